/* `ringwall cert` and `ringwall token`: what proves a user besides a password. The vault does it,
 * by the running gateway or by itself; files are written here, for whoever asked. */
#include "crypto/cert.h"
#include "app/cli/cli.h"
#include "app/config/values.h"
#include "ipc/control.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUEST_MAX 4096u

static void date_text(int64_t s, char ret[24])
{
    time_text(s * 1000000, ret);
}

static void show_list(FILE *to, const json_t *certs)
{
    static const char *const HEAD[] = {"SERIAL", "USER", "UNTIL", "STATE", "SHA-256"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *x;
    size_t i;
    json_array_foreach(certs, i, x)
    {
        char until[24];
        date_text(number(x, "until"), until);
        table_text(t, member(x, "serial"));
        table_text(t, member(x, "user"));
        table_fmt(t, "%.10s", until);
        table_text(t, member(x, "state"));
        table_fmt(t, "%.16s...", member(x, "sha256") ? member(x, "sha256") : "");
    }
    table_print(t, to);
}

static void show_revoked(FILE *to, const json_t *list)
{
    const json_t *x;
    size_t i;
    json_array_foreach(list, i, x)
    {
        put_safe(to, str_c(json_string_value(x)));
        (void)fprintf(to, " is revoked\n");
    }
}

static void show_cert(FILE *to, const struct cli *c, const json_t *doc)
{
    const char *pem = member(doc, "pem"), *phrase = member(doc, "passphrase");
    char until[24];
    if (json_is_array(json_object_get(doc, "certs"))) {
        show_list(to, json_object_get(doc, "certs"));
        return;
    }
    if (json_is_array(json_object_get(doc, "revoked"))) {
        show_revoked(to, json_object_get(doc, "revoked"));
        return;
    }
    date_text(number(doc, "until"), until);
    put_safe(to, str_c(member(doc, "user") ? member(doc, "user") : member(doc, "subject")));
    (void)fprintf(to, "   until %.10s   SHA-256 %s\n", until, member(doc, "sha256"));
    if (member(doc, "serial"))
        (void)fprintf(to, "serial %s\n", member(doc, "serial"));
    else
        (void)fprintf(to, "%lld certificates of users are valid, %lld revoked\n",
                      (long long)number(doc, "live"), (long long)number(doc, "revoked"));
    if (member(doc, "renews")) {
        time_text(number(doc, "ends") * 1000000, until);
        (void)fprintf(to, "the one before, %s, ends %s\n", member(doc, "renews"), until);
    }
    if (c->out_file)
        (void)fprintf(to, "written to %s\n", c->out_file);
    else if (pem)
        (void)fprintf(to, "%s", pem);
    if (phrase)
        (void)fprintf(to, "passphrase: %s   (shown this once)\n", phrase);
}

static int unbase64(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static size_t decode(const char *s, uint8_t *ret, size_t cap)
{
    size_t n = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (int v; *s && (v = unbase64(*s)) >= 0 && n < cap; s++) {
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8)
            ret[n++] = (uint8_t)(bits >> (have -= 8));
    }
    return n;
}

/* Only for its owner, and never over a file that is there. */
static int write_out(const struct cli *c, const json_t *doc)
{
    static uint8_t file[16384];
    const char *p12 = member(doc, "p12"), *pem = member(doc, "pem");
    size_t n = p12 ? decode(p12, file, sizeof file) : pem ? strlen(pem) : 0;
    if (!c->out_file || n == 0)
        return EXIT_OK;
    int fd = open(c->out_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    const void *p = p12 ? (const void *)file : (const void *)pem;
    bool ok = fd >= 0 && write(fd, p, n) == (ssize_t)n;
    int why = errno;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    if (!ok)
        (void)fprintf(stderr,
                      "ringwall cert: %s cannot be written: %s; the certificate was made: "
                      "revoke it, or ask for another\n",
                      c->out_file, strerror(why));
    mem_wipe(file, sizeof file);
    return ok ? EXIT_OK : EXIT_REFUSED;
}

static void show_token(const json_t *doc)
{
    char until[24];
    if (member(doc, "secret")) {
        printf("secret: %s   (shown this once; for the web application)\n", member(doc, "secret"));
        return;
    }
    date_text(number(doc, "until"), until);
    put_safe(stdout, str_c(member(doc, "user") ? member(doc, "user") : ""));
    printf("\nusername: %s\npassword: %s\nuntil: %s\n", member(doc, "username"),
           member(doc, "password"), until);
}

static int finish(const struct cli *c, uint32_t code, json_t *doc)
{
    struct reply r = {.code = code, .doc = doc};
    int e = reply_judge(&r);
    if (e == EXIT_OK)
        e = write_out(c, doc);
    if (e == EXIT_OK && c->json)
        print_json(stdout, doc);
    else if (e == EXIT_OK && strcmp(c->command, "token") == 0)
        show_token(doc);
    else if (e == EXIT_OK)
        show_cert(stdout, c, doc);
    return e;
}

static int ask(struct cli *c)
{
    char text[REQUEST_MAX], cmd[40];
    struct out o = out_of(text, sizeof text);
    struct reply r;
    uint32_t days = 0, overlap = 0;
    const char *word = c->n_words > 1 ? c->words[1] : NULL, *verb = c->words[0];
    bool serial = word && (strcmp(verb, "revoke") == 0 || strcmp(verb, "renew") == 0) &&
                  cert_serial_text(str_c(word));
    (void)snprintf(cmd, sizeof cmd, "cert-%s", verb);
    request_begin(&o, cmd);
    request_str(&o, strcmp(verb, "list") == 0 ? "match" : serial ? "serial" : "user", word);
    if (c->days && str_u32(str_c(c->days), 3650, &days) == OK)
        out_json_ku64(&o, STR("days"), days);
    if (c->overlap && value_seconds(str_c(c->overlap), &overlap) == OK)
        out_json_ku64(&o, STR("overlap"), overlap);
    request_str(&o, "format", c->format);
    out_ch(&o, '}');
    int e = o.full ? EXIT_USAGE : vault_ask(c, out_str(&o), &r);
    if (e != EXIT_OK)
        return e;
    e = finish(c, r.code, r.doc);
    reply_done(&r);
    return e;
}

int cmd_token(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    struct reply r;
    uint32_t days = 0;
    bool secret = c->n_words == 1 && strcmp(c->words[0], "secret") == 0;
    if (!secret && !(c->n_words == 2 && strcmp(c->words[0], "issue") == 0)) {
        (void)fprintf(stderr, "usage: ringwall token secret | issue USER (see --help)\n");
        return EXIT_USAGE;
    }
    if (c->days && (str_u32(str_c(c->days), 366, &days) != OK || days == 0)) {
        (void)fprintf(stderr, "ringwall token: --days wants 1 to 366\n");
        return EXIT_USAGE;
    }
    request_begin(&o, secret ? "token-secret" : "token-issue");
    request_str(&o, "user", secret ? NULL : c->words[1]);
    if (days)
        out_json_ku64(&o, STR("seconds"), days * 86400u);
    out_ch(&o, '}');
    int e = o.full ? EXIT_USAGE : vault_ask(c, out_str(&o), &r);
    if (e != EXIT_OK)
        return e;
    e = finish(c, r.code, r.doc);
    reply_done(&r);
    return e;
}

int cmd_cert(struct cli *c)
{
    static const struct {
        const char *verb;
        unsigned min, max;
    } VERBS[] = {
        {"authority", 1, 1}, {"issue", 2, 2}, {"renew", 2, 2}, {"revoke", 2, 2}, {"list", 1, 2}};
    uint32_t days;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(VERBS); i++)
        known = known || (strcmp(VERBS[i].verb, c->words[0]) == 0 && c->n_words >= VERBS[i].min &&
                          c->n_words <= VERBS[i].max);
    if (!known) {
        (void)fprintf(stderr,
                      "usage: ringwall cert authority | issue USER | renew USER-OR-SERIAL | revoke "
                      "USER-OR-SERIAL | list [TEXT] (see --help)\n");
        return EXIT_USAGE;
    }
    if (c->days && (str_u32(str_c(c->days), 3650, &days) != OK || days == 0)) {
        (void)fprintf(stderr, "ringwall cert: --days wants 1 to 3650\n");
        return EXIT_USAGE;
    }
    if (c->overlap && (strcmp(c->words[0], "renew") != 0 ||
                       value_seconds(str_c(c->overlap), &days) != OK || days > 366u * 86400)) {
        (void)fprintf(stderr, "ringwall cert: renew --overlap wants a time like 7d, 12h or 0s\n");
        return EXIT_USAGE;
    }
    if (c->format && strcmp(c->format, "pem") != 0 && strcmp(c->format, "p12") != 0) {
        (void)fprintf(stderr, "ringwall cert: --format is pem or p12\n");
        return EXIT_USAGE;
    }
    if (c->format && *c->format == 'p' && c->format[1] == '1' && !c->out_file && !c->json) {
        (void)fprintf(stderr, "ringwall cert: a p12 file wants --out FILE\n");
        return EXIT_USAGE;
    }
    return ask(c);
}
