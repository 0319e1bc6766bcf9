#include "app/cli/cli.h"
#include "base/err.h"
#include "ipc/control.h"
#include <errno.h>
#include <unistd.h>

static bool socket_path(const struct cli *c, char *ret, size_t cap)
{
    int n = snprintf(ret, cap, "%s/run/control.sock", c->state);
    return n > 0 && (size_t)n < cap;
}

static int cannot_ask(const struct cli *c, enum err e)
{
    (void)fprintf(stderr, "ringwall: ");
    switch ((int)e) {
    case ERR_NOT_FOUND:
        (void)fprintf(stderr,
                      "the gateway is not running on %s (start it: ringwall run; other folder: "
                      "--state DIR)\n",
                      c->state);
        return EXIT_NOT_RUNNING;
    case ERR_AUTH:
        (void)fprintf(
            stderr,
            "%s/run/control.sock: not permitted; be root, or a member of the socket's group\n",
            c->state);
        return EXIT_NOT_PERMITTED;
    case ERR_AGAIN:
    case ERR_CLOSED:
        (void)fprintf(stderr, "the gateway does not answer in time\n");
        return EXIT_LATE;
    default:
        (void)fprintf(stderr, "the gateway cannot be asked: %s%s%s\n", err_name(e),
                      e == ERR_SYSTEM ? ": " : "", e == ERR_SYSTEM ? strerror(errno) : "");
        return EXIT_LATE;
    }
}

/* The request with --reason TEXT, in characters that need no escape. */
static struct str with_reason(const struct cli *c, struct str request, char *buf, size_t cap)
{
    char why[512];
    size_t n = 0;
    if (!c->reason || request.n < 2 || request.p[request.n - 1] != '}')
        return request;
    for (const char *p = c->reason; *p && n < sizeof why; p++)
        why[n++] = *p == '"' ? '\'' : *p == '\\' ? '/' : *p > 0 && *p < 0x20 ? ' ' : *p;
    struct out o = out_of(buf, cap);
    out_put(&o, str_head(request, request.n - 1));
    out_json_kstr(&o, STR("reason"), str_of(why, n));
    out_ch(&o, '}');
    return o.full ? request : out_str(&o);
}

int gateway_ask(const struct cli *c, struct str request, struct reply *ret_r)
{
    char path[600], *text = NULL, buf[CONTROL_REQUEST_MAX];
    size_t n = 0;
    uint32_t code = 0;
    if (!socket_path(c, path, sizeof path))
        return cannot_ask(c, ERR_LIMIT);
    enum err e = control_ask(path, with_reason(c, request, buf, sizeof buf), &code, &text, &n);
    mem_wipe(buf, sizeof buf); /* may hold a password */
    if (e != OK)
        return cannot_ask(c, e);
    json_error_t why;
    json_t *doc = json_loadb(text, n, JSON_ALLOW_NUL, &why);
    mem_wipe(text, n); /* may hold a password */
    free(text);
    if (!doc) {
        (void)fprintf(stderr, "ringwall: the gateway's answer cannot be read: %s\n", why.text);
        return EXIT_LATE;
    }
    *ret_r = (struct reply){code, doc};
    return EXIT_OK;
}

/* Only whether somebody listens: a request that nobody knows costs the monitor nothing. */
bool gateway_runs(const struct cli *c)
{
    char path[600], *text = NULL;
    size_t n = 0;
    uint32_t code = 0;
    if (!socket_path(c, path, sizeof path))
        return false;
    enum err e = control_ask(path, STR("{\"cmd\":\"status\"}"), &code, &text, &n);
    free(text);
    return e != ERR_NOT_FOUND;
}

void reply_done(struct reply *r)
{
    json_decref(r->doc);
    r->doc = NULL;
}

int reply_judge(const struct reply *r)
{
    static const int EXITS[] = {[CONTROL_OK] = EXIT_OK,
                                [CONTROL_BAD_REQUEST] = EXIT_USAGE,
                                [CONTROL_NOT_FOUND] = EXIT_NOT_FOUND,
                                [CONTROL_REFUSED] = EXIT_REFUSED,
                                [CONTROL_UNAVAILABLE] = EXIT_LATE,
                                [CONTROL_FAILED] = EXIT_REFUSED,
                                [CONTROL_FORBIDDEN] = EXIT_NOT_PERMITTED,
                                [CONTROL_WAITS] = EXIT_WAITS};
    if (r->code == CONTROL_OK)
        return EXIT_OK;
    if (r->code == CONTROL_WAITS) {
        (void)fprintf(stderr, "ringwall: approval %lld is wanted from ",
                      (long long)number(r->doc, "approval"));
        put_safe(stderr, str_c(member(r->doc, "waits_for") ? member(r->doc, "waits_for") : "?"));
        (void)fprintf(stderr, ": ");
        put_safe(stderr, str_c(member(r->doc, "what") ? member(r->doc, "what") : "?"));
        (void)fputc('\n', stderr);
        return EXIT_WAITS;
    }
    const char *error = member(r->doc, "error");
    (void)fprintf(stderr, "ringwall: ");
    put_safe(stderr, str_c(error ? error : "refused without a reason"));
    (void)fputc('\n', stderr);
    return r->code < ARRAY_LEN(EXITS) ? EXITS[r->code] : EXIT_REFUSED;
}

void print_json(FILE *to, const json_t *doc)
{
    size_t flags = isatty(fileno(to)) ? JSON_INDENT(2) : JSON_COMPACT;
    (void)json_dumpf(doc, to, flags | JSON_ENSURE_ASCII);
    (void)fputc('\n', to);
}

int ask_and_show(const struct cli *c, struct str request, show_fn *show)
{
    struct reply r;
    int e = gateway_ask(c, request, &r);
    if (e != EXIT_OK)
        return e;
    e = reply_judge(&r);
    if (c->json && !(e == EXIT_OK && show == show_cdr_as_asked))
        print_json(stdout, r.doc);
    else if (e == EXIT_OK)
        show(stdout, c, r.doc);
    reply_done(&r);
    return e;
}

void request_begin(struct out *o, const char *cmd)
{
    out_ch(o, '{');
    out_json_kstr(o, STR("cmd"), str_c(cmd));
}

void request_str(struct out *o, const char *key, const char *v)
{
    if (v)
        out_json_kstr(o, str_c(key), str_c(v));
}
