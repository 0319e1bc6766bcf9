/* What the vault is asked whether the gateway runs or not, and `ringwall secret`. */
#include "app/cli/cli.h"
#include "ipc/control.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPLY_MAX (1u << 20)

/* Gives its standard input the request and reads what it says; its exit code. */
static int converse(const char *const argv[], struct str request, char *ret, size_t cap,
                    size_t *ret_n)
{
    int in[2], out[2], status = 0;
    *ret_n = 0;
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        return 127;
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    bool ok = pid > 0 && write(in[1], request.p, request.n) == (ssize_t)request.n;
    (void)close(in[1]);
    for (ssize_t n = 1; ok && n > 0 && *ret_n<cap; *ret_n += n> 0 ? (size_t)n : 0)
        n = read(out[0], ret + *ret_n, cap - *ret_n);
    (void)close(out[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return ok && WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static int offline_ask(const struct cli *c, struct str request, struct reply *ret_r)
{
    char path[600];
    char *text = malloc(REPLY_MAX);
    const char *argv[8];
    unsigned n = 0;
    size_t got = 0;
    uint32_t code = 0;
    if (!text || !find_program(c, "ringwall-vault", "vault", path, sizeof path)) {
        free(text);
        return EXIT_REFUSED;
    }
    argv[n++] = path;
    argv[n++] = "--state";
    argv[n++] = c->state;
    if (c->domain) {
        argv[n++] = "--domain";
        argv[n++] = c->domain;
    }
    argv[n++] = "query";
    argv[n] = NULL;
    int e = converse(argv, request, text, REPLY_MAX, &got);
    struct str rest, head, all = str_of(text, got);
    rest = str_cut(all, '\n', &head);
    json_t *doc = e == 0 ? json_loadb(rest.p ? rest.p : "", rest.n, 0, NULL) : NULL;
    if (str_u32(str_head(head, str_find(head, ' ')), 99, &code) != OK)
        code = CONTROL_FAILED;
    mem_wipe(text, got); /* may hold a secret */
    free(text);
    *ret_r = (struct reply){code, doc};
    return doc ? EXIT_OK : e == 4 ? EXIT_LATE : EXIT_REFUSED;
}

int vault_ask(const struct cli *c, struct str request, struct reply *ret_r)
{
    return gateway_runs(c) ? gateway_ask(c, request, ret_r) : offline_ask(c, request, ret_r);
}

int vault_ask_and_show(const struct cli *c, struct str request, show_fn *show)
{
    struct reply r;
    int e = vault_ask(c, request, &r);
    if (e != EXIT_OK)
        return e;
    e = reply_judge(&r);
    if (c->json)
        print_json(stdout, r.doc);
    else if (e == EXIT_OK)
        show(stdout, c, r.doc);
    reply_done(&r);
    return e;
}

static void show_secrets(FILE *to, const struct cli *c, const json_t *doc)
{
    const json_t *x;
    size_t i;
    (void)c;
    json_array_foreach(json_object_get(doc, "secrets"), i, x)
    {
        put_safe(to, str_c(json_string_value(x)));
        (void)fputc('\n', to);
    }
}

static void show_done(FILE *to, const struct cli *c, const json_t *doc)
{
    put_safe(to, str_c(member(doc, "secret") ? member(doc, "secret") : ""));
    (void)fprintf(to,
                  strcmp(c->words[0], "set") == 0
                      ? ": kept by the vault; `secret: vault:NAME` of a target in notify names it\n"
                      : ": removed\n");
}

int cmd_secret(struct cli *c)
{
    char text[2048], typed[PASSWORD_LINE];
    struct out o = out_of(text, sizeof text);
    bool list = strcmp(c->words[0], "list") == 0, set = strcmp(c->words[0], "set") == 0;
    if (c->n_words != (list ? 1 : 2) || !(list || set || strcmp(c->words[0], "remove") == 0)) {
        (void)fprintf(stderr, "usage: ringwall secret set NAME | list | remove NAME; the secret "
                              "comes from the terminal or standard input\n");
        return EXIT_USAGE;
    }
    request_begin(&o, list ? "secret-list" : set ? "secret-set" : "secret-remove");
    request_str(&o, "name", c->words[1]);
    if (set) {
        if (!read_password(typed, c->words[1]))
            return EXIT_USAGE;
        request_str(&o, "password", typed);
        mem_wipe(typed, sizeof typed);
    }
    out_ch(&o, '}');
    int e =
        o.full ? EXIT_USAGE : vault_ask_and_show(c, out_str(&o), list ? show_secrets : show_done);
    mem_wipe(text, sizeof text);
    return e;
}
