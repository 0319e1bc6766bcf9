/* verify-log: the chains of the logs, file after file. */
#include "app/cli/cli.h"
#include "app/store/chainlog.h"
#include "crypto/hash.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FILES_MAX 4096u
struct files {
    char *path[FILES_MAX];
    unsigned n;
};

static bool file_add(struct files *f, const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *p = f->n < FILES_MAX ? malloc(n) : NULL;
    if (!p)
        return false;
    (void)snprintf(p, n, "%s%s%s", folder, *folder ? "/" : "", name);
    f->path[f->n++] = p;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* LOG.000000000001.jsonl ... in order, then LOG.jsonl. */
static bool files_of(struct files *f, const char *folder, const char *log)
{
    char prefix[64], current[64];
    (void)snprintf(prefix, sizeof prefix, "%s.0", log);
    (void)snprintf(current, sizeof current, "%s.jsonl", log);
    DIR *d = opendir(folder);
    if (!d)
        return false;
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0)
            ok = file_add(f, folder, e->d_name);
    (void)closedir(d);
    qsort(f->path, f->n, sizeof f->path[0], by_name);
    return ok && file_add(f, folder, current);
}

static bool verify_one(const struct cli *c, const char *path, const struct chain_verdict *before,
                       struct chain_verdict *v)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum err e = fd >= 0 ? chainlog_verify(fd, before, v) : ERR_SYSTEM;
    int why = errno;
    if (fd >= 0)
        (void)close(fd);
    if (c->json) {
        json_t *o = json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:s}", "file", path, "ok", e == OK, "lines",
                              (json_int_t)v->lines, "first", (json_int_t)v->first_seq, "last",
                              (json_int_t)v->last_seq, "bad_line", (json_int_t)v->bad_line, "why",
                              e == ERR_SYSTEM ? strerror(why)
                              : v->why        ? v->why
                                              : "");
        print_json(stdout, o);
        json_decref(o);
    } else if (e == OK) {
        printf("%s: %llu lines, %llu to %llu, unbroken\n", path, (unsigned long long)v->lines,
               (unsigned long long)v->first_seq, (unsigned long long)v->last_seq);
    } else if (e == ERR_SYSTEM) {
        printf("%s: cannot be read: %s\n", path, strerror(why));
    } else {
        printf("%s: BROKEN at line %llu: it %s\n", path, (unsigned long long)v->bad_line, v->why);
    }
    return e == OK;
}

/* The newest file of a running gateway may end in the middle of a write; that is looked at twice.
 */
static bool verify_files(const struct cli *c, struct files *f)
{
    struct chain_verdict last = {0};
    bool ok = true, chained = false;
    for (unsigned i = 0; i < f->n; i++) {
        struct chain_verdict v = {0};
        bool good = verify_one(c, f->path[i], chained ? &last : NULL, &v);
        ok = ok && good;
        chained = good;
        last = v;
        free(f->path[i]);
    }
    f->n = 0;
    return ok;
}

static bool verify_folder(const struct cli *c, struct files *f)
{
    static const char *const LOGS[] = {"events", "cdr"};
    char folder[600];
    bool ok = true;
    (void)snprintf(folder, sizeof folder, "%s/store", c->state);
    for (size_t i = 0; i < ARRAY_LEN(LOGS); i++) {
        if (!files_of(f, folder, LOGS[i])) {
            (void)fprintf(stderr, "ringwall: %s: %s\n", folder, strerror(errno));
            return false;
        }
        ok = verify_files(c, f) && ok;
    }
    return ok;
}

int cmd_verify_log(struct cli *c)
{
    static struct files f;
    bool ok;
    if (crypto_init() != OK)
        return EXIT_REFUSED;
    if (c->n_words == 0) {
        ok = verify_folder(c, &f);
        return ok ? EXIT_OK : EXIT_REFUSED;
    }
    for (unsigned i = 0; i < c->n_words; i++)
        if (!file_add(&f, "", c->words[i]))
            return EXIT_REFUSED;
    ok = verify_files(c, &f);
    return ok ? EXIT_OK : EXIT_REFUSED;
}
