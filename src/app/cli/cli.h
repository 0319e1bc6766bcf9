/* `ringwall`: one program for the operator. A command is a function of the parsed words; it prints
 * for people, or with --json the document that it got, and returns an exit code. Texts of peers
 * (names, URIs, User-Agents) never reach a terminal raw. */
#ifndef APP_CLI_CLI_H
#define APP_CLI_CLI_H
#include "base/out.h"
#include <jansson.h>
#include <stdio.h>

enum cli_exit {
    EXIT_OK = 0,
    EXIT_REFUSED = 1,     /* refused or failed; a bad configuration; a log that does not verify */
    EXIT_USAGE = 2,       /* the command line is wrong */
    EXIT_NOT_RUNNING = 3, /* no gateway runs on this state folder */
    EXIT_NOT_PERMITTED = 4,
    EXIT_NOT_FOUND = 5, /* no such call, user or peer */
    EXIT_LATE = 6,      /* the gateway or a program of it does not answer */
    EXIT_WAITS = 7,     /* taken down: a second person has to approve it */
};

#define CLI_WORDS 8u
#define CLI_LIST  16u
struct cli { /* what the command line says; strings borrow from argv */
    const char *command;
    const char *words[CLI_WORDS];
    unsigned n_words;
    const char *state, *config;
    bool json;
    /* of single commands; NULL or false: not said */
    const char *last, *call_id, *user, *since, *until, *aor, *role, *md5_owner, *md5_reason,
        *md5_expires;
    const char *domain, *pbx, *owner, *programs, *ready_fd;
    const char *country;                                           /* of init */
    const char *as, *to, *at;                                      /* of explain */
    const char *reason;                                            /* of changing commands */
    const char *against, *eve;                                     /* of replay */
    const char *scope, *by, *lasts, *why, *treat, *sid, *detector; /* of bans and alerts */
    const char *site, *must_change, *second_factor, *format;       /* of user */
    const char *out_file, *days, *overlap;                         /* of cert */
    const char *names[CLI_LIST], *users[CLI_LIST], *numbers[CLI_LIST];
    unsigned n_names, n_users, n_numbers;
    bool regenerate;
    bool state_said, config_said; /* by option or environment */
    bool once;                    /* of top */
    bool password_stdin, any_password, off, quiet, live, aborted, no_wait, drain, verbose;
    char state_buf[512], config_buf[600];
};
typedef int command_fn(struct cli *c);
command_fn cmd_init, cmd_check, cmd_run, cmd_selftest, cmd_phone, cmd_verify_log, cmd_rules,
    cmd_rates, cmd_reasons, cmd_version;
command_fn cmd_stir, cmd_secret;
command_fn cmd_status, cmd_calls, cmd_peers, cmd_bindings, cmd_cdr, cmd_explain, cmd_events;
command_fn cmd_replay, cmd_fraud, cmd_top;
command_fn cmd_otp, cmd_device; /* factor.c */
command_fn cmd_bans, cmd_alerts;
command_fn cmd_cert, cmd_token;
command_fn cmd_approvals, cmd_break_glass, cmd_audit, cmd_notify; /* admin.c */
command_fn cmd_country, cmd_user, cmd_peer_secret, cmd_reload, cmd_drain, cmd_stop;

/* -- asking the gateway (ask.c) -- */
struct reply {
    uint32_t code; /* enum control_code */
    json_t *doc;   /* gives: reply_done */
};
/* EXIT_OK: a document came, *ret_r holds it, whatever its code. Else the reason has been told on
 * standard error. */
int gateway_ask(const struct cli *c, struct str request, struct reply *ret_r);
bool gateway_runs(const struct cli *c);
/* The same of the vault, which answers without a running gateway, too (secret.c). */
int vault_ask(const struct cli *c, struct str request, struct reply *ret_r);
void reply_done(struct reply *r);
/* Tells the document's error on standard error; the exit code that fits. OK for code 0. */
int reply_judge(const struct reply *r);
/* Asks {"cmd": cmd} with more members (JSON without braces, or empty), prints it as JSON or by
 * show. */
typedef void show_fn(FILE *to, const struct cli *c, const json_t *doc);
int ask_and_show(const struct cli *c, struct str request, show_fn *show);
int vault_ask_and_show(const struct cli *c, struct str request, show_fn *show);
#define PASSWORD_LINE 1024u
/* One line of the terminal (not shown) or of standard input. */
bool read_password(char ret[PASSWORD_LINE], const char *whose);
int cdr_export(struct cli *c); /* cdr_export.c */
show_fn show_cdr_as_asked;     /* prints JSON itself */
void request_begin(struct out *o, const char *cmd);
void request_str(struct out *o, const char *key, const char *v); /* nothing for NULL */
void print_json(FILE *to, const json_t *doc); /* ASCII; in lines when to is a terminal */

/* -- of one address, user or number (bans.c) -- */
bool is_address(const char *word);
int explain_who(struct cli *c, const char *word);
int explain_call(struct cli *c); /* explain.c: --as, --to, --at */
show_fn show_explain_call;       /* show_call.c */

/* -- helpers of setup (start.c) -- */
bool find_program(const struct cli *c, const char *name, const char *folder, char *ret, size_t cap);
/* Runs the vault program with these words and the options that were said (gateway.c). */
int vault_offline(struct cli *c, const char *const *words, unsigned n_words);
bool rules_pack(char *ret, size_t cap);    /* rules.c: folder of the signatures that come with us */
int run_program(const char *const argv[]); /* waits; its exit code, 127 if it cannot be started */

/* -- printing (print.c) -- */
/* Without bytes that steer a terminal or turn the reading order: they become '?'. */
void put_safe(FILE *to, struct str s);
struct table; /* rows of cells under headings; columns as wide as needed */
struct table *table_new(const char *const *headings,
                        unsigned n); /* NULL: no memory; the others accept it */
void table_cell(struct table *t, struct str s);
void table_text(struct table *t, const char *s); /* NULL: "-" */
void table_fmt(struct table *t, const char *fmt, ...) PRINTF(2, 3);
void table_print(struct table *t, FILE *to);   /* and frees */
void time_text(int64_t us, char ret[24]);      /* local: "2026-11-18 10:15:02"; "-" for 0 */
void span_text(int64_t seconds, char ret[24]); /* "3m12s" */
/* "2h" "30m" ago, "2026-11-18" or "2026-11-18 10:15": an instant. false if it is none of them. */
bool since_parse(const char *s, int64_t now_us, int64_t *ret_us);

/* -- showing documents (show.c); used by the tests too -- */
show_fn show_status, show_calls, show_peers, show_bindings, show_cdr, show_explain, show_events;
show_fn show_bans, show_ban, show_alert_list, show_evidence, show_who; /* show_bans.c */
const char *member(const json_t *o, const char *key); /* string member; NULL if there is none */
int64_t number(const json_t *o, const char *key);     /* 0 if there is none */
#endif
