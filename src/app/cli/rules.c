/* rules: the signatures without a gateway. */
#include "app/cli/cli.h"
#include "app/rules/compile.h"
#include "app/rules/examples.h"
#include "app/rules/scanner.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES    64u
#define HITS     64u
#define TEXT_MAX (1u << 20)

struct pack {
    struct rules_build *b;
    struct rules *r;
    size_t bytes;
    const char *files[FILES]; /* those of the command line; else the installed pack's */
    char path[FILES][512];
    unsigned n_files;
};

static void say(const struct cli *c, struct out *o)
{
    (void)fwrite(o->p, 1, o->n, c->json ? stdout : stderr);
}

/* The files named, a folder standing for all *.rules in it; without any the installed pack. */
static bool take(struct pack *p, const char *path)
{
    struct stat st;
    DIR *d = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    if (!d) {
        if (p->n_files == FILES)
            return false;
        (void)snprintf(p->path[p->n_files++], sizeof p->path[0], "%s", path);
        return true;
    }
    for (struct dirent *e; (e = readdir(d)) && p->n_files < FILES;)
        if (str_ends(str_c(e->d_name), STR(".rules")))
            (void)snprintf(p->path[p->n_files++], sizeof p->path[0], "%.255s/%.200s", path,
                           e->d_name);
    (void)closedir(d);
    return true;
}

/* Installed beside this program in ../share/ringwall/rules, or in the source of a build tree. */
bool rules_pack(char *ret, size_t cap)
{
    static const char *const WHERE[] = {"/../share/ringwall/rules", "/../../../../packaging/rules"};
    char own[400], path[512], real[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[n > 0 ? n : 0] = 0;
    char *slash = strrchr(own, '/');
    if (slash)
        *slash = 0;
    for (size_t i = 0; i < ARRAY_LEN(WHERE); i++) {
        (void)snprintf(path, sizeof path, "%s%s", own, WHERE[i]);
        if (realpath(path, real) && access(real, R_OK) == 0 && strlen(real) < cap) {
            memcpy(ret, real, strlen(real) + 1);
            return true;
        }
    }
    return false;
}

static bool take_pack(struct pack *p)
{
    char path[512];
    return rules_pack(path, sizeof path) && take(p, path) && p->n_files > 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Compiles; problems are printed. EXIT_OK, or what to return. */
static int load(struct cli *c, struct pack *p, unsigned from, unsigned to)
{
    enum err e = OK;
    memset(p, 0, sizeof *p);
    p->b = rules_build_new();
    for (unsigned i = from; i < to; i++)
        if (!take(p, c->words[i]))
            return EXIT_REFUSED;
    if (from >= to && !take_pack(p)) {
        (void)fprintf(stderr, "ringwall rules: no pack is installed; name the files\n");
        return EXIT_REFUSED;
    }
    qsort(p->path, p->n_files, sizeof p->path[0], by_path);
    for (unsigned i = 0; p->b && i < p->n_files && e == OK; i++)
        e = rules_build_file(p->b, p->path[i]);
    struct rules_build_opts o = {.plain = false};
    if (e == OK)
        e = p->b ? rules_build_end(p->b, &o, &p->r, &p->bytes) : ERR_FULL;
    if (e == OK || e == ERR_SYNTAX)
        return e == OK ? EXIT_OK : EXIT_REFUSED;
    (void)fprintf(stderr, "ringwall rules: %s\n", err_name(e));
    return EXIT_REFUSED;
}

static void unload(struct pack *p)
{
    rules_build_free(p->b);
    free(p->r);
}

static int told(struct cli *c, struct pack *p, int exit)
{
    if (exit == EXIT_OK && c->json)
        return exit;
    char *text = malloc(TEXT_MAX);
    struct out o = out_of(text, text ? TEXT_MAX : 0);
    if (c->json) {
        OUT_LIT(&o, "{\"problems\":");
        rules_problems_json(&o, p->b);
        OUT_LIT(&o, "}\n");
    } else {
        rules_problems_put(&o, p->b);
    }
    say(c, &o);
    free(text);
    return exit;
}

static int check(struct cli *c)
{
    static struct pack p;
    int exit = load(c, &p, 1, c->n_words);
    char *text = malloc(TEXT_MAX);
    struct out o = out_of(text, text ? TEXT_MAX : 0);
    uint32_t n, errors, lost, rules = p.r ? rules_count(p.r) : 0;
    (void)rules_build_problems(p.b, &n, &errors, &lost);
    if (c->json) {
        out_ch(&o, '{');
        out_json_kbool(&o, STR("good"), exit == EXIT_OK);
        out_json_ku64(&o, STR("files"), p.n_files);
        out_json_ku64(&o, STR("rules"), rules);
        out_json_ku64(&o, STR("disabled"), p.r ? p.r->n_disabled : 0);
        out_json_ku64(&o, STR("errors"), errors);
        out_json_key(&o, STR("problems"));
        rules_problems_json(&o, p.b);
        OUT_LIT(&o, "}\n");
    } else {
        rules_problems_put(&o, p.b);
        if (exit == EXIT_OK)
            out_fmt(&o, "good: %u rules in %u files, %u commented out, %zu KiB\n", (unsigned)rules,
                    p.n_files, (unsigned)p.r->n_disabled, p.bytes >> 10);
        else
            out_fmt(&o, "%u errors\n", (unsigned)errors);
    }
    (void)fwrite(o.p, 1, o.n, stdout);
    free(text);
    unload(&p);
    return exit;
}

static const char *action_name(uint8_t a)
{
    static const char *const names[] = {"alert", "pass", "drop", "reject"};
    return a < ARRAY_LEN(names) ? names[a] : "?";
}

static void list_json(const struct rules *r, struct out *o)
{
    OUT_LIT(o, "{\"rules\":[");
    for (uint32_t i = 0; i < rules_count(r); i++) {
        const struct rules_rule *u = rules_rule_at(r, i);
        if (i)
            out_ch(o, ',');
        out_ch(o, '{');
        out_json_ku64(o, STR("sid"), u->sid);
        out_json_ku64(o, STR("gid"), u->gid);
        out_json_ku64(o, STR("rev"), u->rev);
        out_json_kstr(o, STR("action"), str_c(action_name(u->action)));
        out_json_ku64(o, STR("severity"), u->severity);
        out_json_ku64(o, STR("weight"), u->weight);
        out_json_kstr(o, STR("protocol"), u->protos == RP_RTP ? STR("rtp") : STR("sip"));
        out_json_kstr(o, STR("classtype"), rules_text(r, u->classtype.at, u->classtype.n));
        out_json_kstr(o, STR("msg"), rules_text(r, u->msg.at, u->msg.n));
        out_ch(o, '}');
    }
    OUT_LIT(o, "]}\n");
}

static void list_text(const struct rules *r)
{
    static const char *const heads[] = {"SID",    "REV",   "ACTION", "SEVERITY",
                                        "WEIGHT", "CLASS", "MSG"};
    struct table *t = table_new(heads, ARRAY_LEN(heads));
    for (uint32_t i = 0; i < rules_count(r); i++) {
        const struct rules_rule *u = rules_rule_at(r, i);
        table_fmt(t, "%u", (unsigned)u->sid);
        table_fmt(t, "%u", (unsigned)u->rev);
        table_text(t, action_name(u->action));
        table_fmt(t, "%u", (unsigned)u->severity);
        table_fmt(t, "%u", (unsigned)u->weight);
        table_cell(t, rules_text(r, u->classtype.at, u->classtype.n));
        table_cell(t, rules_text(r, u->msg.at, u->msg.n));
    }
    table_print(t, stdout);
}

static int list(struct cli *c)
{
    static struct pack p;
    int exit = told(c, &p, load(c, &p, 1, c->n_words));
    if (exit == EXIT_OK && c->json) {
        size_t cap = 4096 + (size_t)rules_count(p.r) * 2048;
        char *text = malloc(cap);
        struct out o = out_of(text, text ? cap : 0);
        list_json(p.r, &o);
        (void)fwrite(o.p, 1, o.n, stdout);
        free(text);
    } else if (exit == EXIT_OK) {
        list_text(p.r);
    }
    unload(&p);
    return exit;
}

/* -- try -- */

static void hit_json(struct out *o, const struct rules_hit *h)
{
    out_ch(o, '{');
    out_json_ku64(o, STR("sid"), h->sid);
    out_json_ku64(o, STR("rev"), h->rev);
    out_json_kstr(o, STR("action"), str_c(action_name(h->action)));
    out_json_ku64(o, STR("severity"), h->severity);
    out_json_ku64(o, STR("weight"), h->weight);
    out_json_kstr(o, STR("msg"), h->msg);
    out_ch(o, '}');
}

static void hits_put(const struct cli *c, const struct rules_hit *h, size_t n)
{
    static char text[HITS * 2048];
    struct out o = out_of(text, sizeof text);
    if (c->json) {
        OUT_LIT(&o, "{\"hits\":[");
        for (size_t i = 0; i < n; i++) {
            if (i)
                out_ch(&o, ',');
            hit_json(&o, &h[i]);
        }
        OUT_LIT(&o, "]}\n");
        (void)fwrite(o.p, 1, o.n, stdout);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        printf("%s %u:%u severity %u weight %u ", action_name(h[i].action), (unsigned)h[i].sid,
               (unsigned)h[i].rev, (unsigned)h[i].severity, (unsigned)h[i].weight);
        put_safe(stdout, h[i].msg);
        printf("\n");
    }
    if (n == 0)
        printf("no rule fires\n");
}

static int try_message(struct cli *c)
{
    static struct pack p;
    static char bytes[EXAMPLE_MAX];
    struct rules_hit hits[HITS];
    struct example x = {.path = c->words[1], .bytes = bytes};
    int exit = told(c, &p, load(c, &p, 2, c->n_words));
    const char *why = exit == EXIT_OK ? example_read(&x) : NULL;
    if (why) {
        (void)fprintf(stderr, "ringwall rules: %s: %s\n", c->words[1], why);
        exit = EXIT_REFUSED;
    }
    if (exit == EXIT_OK) {
        struct rules_scan *s = rules_scan_new(p.r, false);
        void *state = calloc(1, rules_state_bytes(p.r));
        if (s && state)
            hits_put(c, hits, example_run(&x, p.r, s, rules_state_init(state, p.r), hits, HITS));
        rules_scan_free(s);
        free(state);
    }
    unload(&p);
    return exit;
}

/* -- test -- */

static int test(struct cli *c)
{
    static struct pack p;
    int exit = told(c, &p, load(c, &p, 1, c->n_words));
    char *text = malloc(TEXT_MAX);
    struct out o = out_of(text, text ? TEXT_MAX : 0);
    struct examples_told t = {0};
    if (exit == EXIT_OK) {
        const char *folders[FILES];
        for (unsigned i = 0; i < p.n_files; i++)
            folders[i] = p.path[i];
        examples_test(p.r, folders, p.n_files, &o, &t);
        exit = t.failed || t.missing ? EXIT_REFUSED : EXIT_OK;
        if (c->json)
            printf("{\"rules\":%u,\"examples\":%u,\"failed\":%u,\"missing\":%u}\n",
                   (unsigned)rules_count(p.r), t.examples, t.failed, t.missing);
        else
            printf("%.*s%u rules, %u examples: %u failed, %u rules without\n", (int)o.n, o.p,
                   (unsigned)rules_count(p.r), t.examples, t.failed, t.missing);
    }
    free(text);
    unload(&p);
    return exit;
}

int cmd_rules(struct cli *c)
{
    static const struct {
        const char *name;
        command_fn *run;
        unsigned least;
    } verbs[] = {
        {"check", check, 2}, {"test", test, 1}, {"list", list, 1}, {"try", try_message, 2}};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(c->words[0], verbs[i].name) == 0 && c->n_words >= verbs[i].least)
            return verbs[i].run(c);
    (void)fprintf(stderr, "usage: ringwall rules check FILE... | test [FILE...] | list [FILE...] | "
                          "try MESSAGE [FILE...]\n");
    return EXIT_USAGE;
}
