#include "app/vault/calls.h"
#include "app/vault/offline.h"
#include "crypto/cert.h"
#include "crypto/sti.h"
#include "io/file.h"
#include <stdio.h>

#define PEM_BYTES 65536u

static int failed(const char *what, const char *why)
{
    (void)fprintf(stderr, "ringwall-vault: %s: %s\n", what, why);
    return OFFLINE_FAILED;
}

static int make(struct disk *d, bool json, const char *name)
{
    struct key *k = NULL;
    enum err e = key_new(&k);
    if (e == OK)
        e = disk_key_save(d, str_c(name), k);
    key_free(k);
    if (e != OK)
        return failed(name, e == ERR_EXISTS
                                ? d->why
                                : "no key was made: is the name one of letters, digits, - and _?");
    if (json)
        printf("{\"key\":\"%s\"}\n", name);
    else
        printf("key %s is made. Next: ringwall stir csr %s SUBJECT SPC\n", name, name);
    return OFFLINE_OK;
}

static int request(struct disk *d, bool json, char **w)
{
    static char pem[PEM_BYTES], text[2 * PEM_BYTES];
    struct key *k = NULL;
    struct out o = out_of(pem, sizeof pem), j = out_of(text, sizeof text);
    if (disk_key_load(d, str_c(w[0]), &k) != OK)
        return failed(w[0], d->why);
    enum err e = sti_request(k, str_c(w[1]), str_c(w[2]), &o);
    key_free(k);
    if (e != OK)
        return failed(w[0], e == ERR_RANGE
                                ? "a subject has up to 64 bytes, a provider code up to 16"
                                : "no request was made");
    if (json) {
        out_ch(&j, '{');
        out_json_kstr(&j, STR("csr"), out_str(&o));
        out_ch(&j, '}');
        printf(STR_FMT "\n", STR_ARG(out_str(&j)));
    } else {
        printf(STR_FMT, STR_ARG(out_str(&o)));
    }
    return OFFLINE_OK;
}

static void path_of(const char *state, const char *name, char *ret, size_t cap)
{
    (void)snprintf(ret, cap, "%s/stir-%s.pem", state, name);
}

static int tell(bool json, const char *path, struct str pem)
{
    struct cert_facts f;
    char text[2048];
    struct out o = out_of(text, sizeof text);
    if (cert_read(pem, &f) != OK)
        return failed(path, "there is no certificate in it");
    out_ch(&o, '{');
    out_json_kstr(&o, STR("file"), str_c(path));
    out_json_kstr(&o, STR("subject"), str_c(f.subject));
    out_json_kstr(&o, STR("sha256"), str_c(f.sha256));
    out_json_ki64(&o, STR("until"), f.until.us / 1000000);
    out_json_ku64(&o, STR("in_chain"), f.in_chain);
    out_ch(&o, '}');
    if (json)
        printf(STR_FMT "\n", STR_ARG(out_str(&o)));
    else
        printf("%s: %s, SHA-256 %.16s..., %u in the chain\n"
               "Publish that file at the URL of stir.x5u.\n",
               path, f.subject, f.sha256, f.in_chain);
    return OFFLINE_OK;
}

static int install(struct disk *d, const char *state, bool json, char **w)
{
    static char pem[PEM_BYTES];
    char path[512];
    size_t n = 0;
    struct key *k = NULL;
    if (file_read(w[1], pem, sizeof pem, &n) != OK)
        return failed(w[1], "it cannot be read");
    if (disk_key_load(d, str_c(w[0]), &k) != OK)
        return failed(w[0], d->why);
    enum err e = cert_fits(str_of(pem, n), k);
    key_free(k);
    if (e != OK)
        return failed(w[1], "its first certificate is not of that key");
    path_of(state, w[0], path, sizeof path);
    if (file_write(path, pem, n, 0644) != OK)
        return failed(path, "it cannot be written");
    return tell(json, path, str_of(pem, n));
}

static int show(const char *state, bool json, const char *name)
{
    static char pem[PEM_BYTES];
    char path[512];
    size_t n = 0;
    path_of(state, name, path, sizeof path);
    if (file_read(path, pem, sizeof pem, &n) != OK) {
        (void)failed(path, "no certificate is installed");
        return OFFLINE_NOT_FOUND;
    }
    return tell(json, path, str_of(pem, n));
}

int calls_words(struct disk *d, const char *state, bool json, char **w, int n)
{
    if (n == 3 && strcmp(w[1], "key") == 0)
        return make(d, json, w[2]);
    if (n == 5 && strcmp(w[1], "csr") == 0)
        return request(d, json, w + 2);
    if (n == 4 && strcmp(w[1], "install") == 0)
        return install(d, state, json, w + 2);
    if (n == 3 && strcmp(w[1], "show") == 0)
        return show(state, json, w[2]);
    (void)fprintf(stderr,
                  "ringwall-vault: stir key NAME | csr NAME SUBJECT SPC | install NAME FILE "
                  "| show NAME (see --help)\n");
    return OFFLINE_USAGE;
}
