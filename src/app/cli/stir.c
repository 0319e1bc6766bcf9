/* `ringwall stir`: the key that signs calls, and its certificate. The key is the vault's, whether
 * the gateway runs or not; the certificate is a file for everybody. */
#include "app/cli/cli.h"
#include "crypto/cert.h"
#include "io/file.h"
#include "ipc/control.h"
#include <errno.h>

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: ringwall stir key NAME | csr NAME SUBJECT SPC | install NAME FILE "
                  "| show NAME (see --help)\n");
    return EXIT_USAGE;
}

static int failed(const char *what, const char *why)
{
    (void)fprintf(stderr, "ringwall: %s: %s\n", what, why);
    return EXIT_REFUSED;
}

static void show_key(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)doc;
    (void)fprintf(to, "key %s is made. Next: ringwall stir csr %s SUBJECT SPC\n", c->words[1],
                  c->words[1]);
}

static void show_csr(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)c;
    (void)fputs(member(doc, "csr") ? member(doc, "csr") : "", to);
}

static void show_nothing(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)to;
    (void)c;
    (void)doc;
}

/* v: 2 * n texts, names and values; NULL: left out. */
static int ask(struct cli *c, const char *cmd, const char *const *v, unsigned n, show_fn *show)
{
    char text[CONTROL_REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    request_begin(&o, cmd);
    for (unsigned i = 0; i < n; i++)
        request_str(&o, v[2 * i], v[2 * i + 1]);
    out_ch(&o, '}');
    if (o.full)
        return failed(c->words[1], "the words, or the certificates, are too long");
    return vault_ask_and_show(c, out_str(&o), show);
}

static int tell(const struct cli *c, const char *path, struct str pem)
{
    struct cert_facts f;
    if (cert_read(pem, &f) != OK)
        return failed(path, "there is no certificate in it");
    if (c->json) {
        json_t *doc = json_pack("{s:s,s:s,s:s,s:I,s:i}", "file", path, "subject", f.subject,
                                "sha256", f.sha256, "until", (json_int_t)(f.until.us / 1000000),
                                "in_chain", (int)f.in_chain);
        print_json(stdout, doc);
        json_decref(doc);
    } else {
        printf("%s: ", path);
        put_safe(stdout, str_c(f.subject));
        printf(", SHA-256 %.16s..., %u in the chain\n"
               "Publish that file at the URL of stir.x5u.\n",
               f.sha256, f.in_chain);
    }
    return EXIT_OK;
}

static int install(struct cli *c)
{
    static char pem[CONTROL_REQUEST_MAX];
    char path[600];
    size_t n = 0;
    bool json = c->json;
    if (file_read(c->words[2], pem, sizeof pem - 1, &n) != OK)
        return failed(c->words[2], "it cannot be read, or is longer than 8 kB");
    const char *const v[] = {"name", c->words[1], "pem", pem};
    c->json = false;
    int e = ask(c, "stir-fits", v, 2, show_nothing);
    c->json = json;
    if (e != EXIT_OK)
        return e;
    (void)snprintf(path, sizeof path, "%s/stir-%s.pem", c->state, c->words[1]);
    if (file_write(path, pem, n, 0644) != OK)
        return failed(path, strerror(errno));
    return tell(c, path, str_of(pem, n));
}

static int show(const struct cli *c)
{
    static char pem[CONTROL_REQUEST_MAX];
    char path[600];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/stir-%s.pem", c->state, c->words[1]);
    if (file_read(path, pem, sizeof pem, &n) == OK)
        return tell(c, path, str_of(pem, n));
    (void)failed(path, "no certificate is installed");
    return EXIT_NOT_FOUND;
}

int cmd_stir(struct cli *c)
{
    const char *w = c->words[0];
    const char *const v[] = {"name", c->words[1], "subject", c->words[2], "spc", c->words[3]};
    if (!w)
        return usage();
    if (c->n_words == 2 && strcmp(w, "key") == 0)
        return ask(c, "stir-key", v, 1, show_key);
    if (c->n_words == 4 && strcmp(w, "csr") == 0)
        return ask(c, "stir-csr", v, 3, show_csr);
    if (c->n_words == 3 && strcmp(w, "install") == 0)
        return install(c);
    if (c->n_words == 2 && strcmp(w, "show") == 0)
        return show(c);
    return usage();
}
