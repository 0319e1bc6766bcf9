/* The monitor's own state, shared by the files of this folder only. */
#ifndef APP_MONITOR_STATE_H
#define APP_MONITOR_STATE_H
#include "app/config/config.h"
#include "app/monitor/approve.h"
#include "app/monitor/monitor.h"
#include "app/monitor/rights.h"
#include "app/monitor/risky.h"
#include "call/targets.h"
#include "io/loop.h"
#include "io/spawn.h"
#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/stats.h"

#define PROGRAMS_MAX   (IPC_ENGINES_MAX + 3u)
#define CHAIN_MAX      262144u /* bytes of a PEM file */
#define FACTS_WAITING  4096u /* of the monitor: kept, told or not, for a store that starts again */
#define LISTEN_BACKLOG 1024
#define PART_MAX       (32u << 20) /* bytes of one engine's reply */

enum program_state { PROGRAM_DOWN, PROGRAM_LOCKING, PROGRAM_SETUP, PROGRAM_RUNNING };
struct tokens {
    int64_t n;
    struct instant at;
};
struct program {
    enum role role;
    uint8_t engine; /* 0 for others */
    enum program_state state;
    struct spawned proc;
    struct channel ch; /* fd -1 while down */
    struct sandbox_report report;
    uint32_t restarts;
    bool once; /* has run at least once */
    bool told_stop;
    bool drained;
    bool died; /* last_status is valid */
    int last_status;
    pid_t last_pid;
    struct instant since; /* start of the present state */
    struct instant due; /* DOWN: start again; LOCKING, SETUP: must be through; RUNNING: next ping */
    struct instant answered; /* last pong */
    uint64_t pings;
    struct dur backoff;
    struct tokens certs;       /* certificates it may ask for */
    struct tokens consults;    /* questions about calls */
    struct tokens dial, notes; /* outgoing connections it may ask for, lines it may log */
    uint32_t notes_lost;
    int wake_in, wake_out; /* pipe it sleeps on; lives as long as the monitor */
    int stats_fd;
    struct stats *stats; /* read-only view */
};
struct shared { /* a memfd of ours */
    int fd;     /* -1: none */
    uint64_t n;
};
struct client { /* of the control socket */
    int fd;     /* -1: free */
    struct asker by;
    const struct admin_command *command; /* NULL: none yet */
    struct act act;
    struct instant due;
    char *in;
    size_t n_in;
    bool asked;       /* a whole request was read */
    uint32_t id;      /* of the query that is out; 0 = none */
    uint64_t waiting; /* bit per program that still owes a reply */
    struct {
        char *p;
        size_t n;
    } part[PROGRAMS_MAX]; /* engines' replies */
    char *out;            /* head, and body unless it is a file */
    size_t n_out, sent;
    int body; /* memfd, or -1 */
    uint64_t n_body, body_sent;
};
struct fact_waiting {
    size_t n;
    uint8_t bytes[1024];
};
struct file_mark { /* which file it was that was read */
    char path[CONFIG_PATH];
    uint64_t ino, size;
    int64_t mtime_ns;
};
struct feed_news { /* what fetch said of a feed last */
    struct wall good, tried;
    uint32_t entries, lines, bad;
    char text[124]; /* of the last good list: what was left out; or, where tried is later, the error
                     */
};
struct monitor {
    const struct monitor_cfg *cfg;
    struct loop loop;
    struct config *conf, *next;
    struct config_errors *errors;
    char state[CONFIG_PATH];
    char programs_dir[CONFIG_PATH];
    char program_path[ROLE_COUNT][CONFIG_PATH + 64];
    int lock_fd, signal_fd, control_fd;
    uint32_t n_engines, n_programs; /* programs: vault, store, fetch, engines */
    struct program program[PROGRAMS_MAX];
    pid_t pid;
    struct instant started;
    struct wall started_wall;
    bool starting, draining, stopping, failed, ready_told;
    bool stop_drained; /* stop as soon as no call is left */
    struct instant stop_due;
    char reload_problem[256]; /* of the last reload; "" = none */
    uint32_t generation;
    struct msg_setup keys; /* what all children's set-up have in common */
    uint32_t location_cap;
    struct shared policy, directory, ca, key_names, chain[CONFIG_CERTS];
    struct shared targets, targets_ro, certs, certs_ro;
    const struct targets_board *board; /* read-only view of it */
    struct shared location[IPC_ENGINES_MAX], location_ro[IPC_ENGINES_MAX];
    struct shared ask[IPC_ENGINES_MAX], answer[IPC_ENGINES_MAX], fact[IPC_ENGINES_MAX],
        restore[IPC_ENGINES_MAX];
    struct shared peer[IPC_ENGINES_MAX][IPC_ENGINES_MAX];
    int listener[IPC_ENGINES_MAX][POLICY_LISTENERS];
    struct bans *bans;     /* bans.c */
    struct shield *shield; /* shield.c */
    struct shared bans_board, bans_ro, ban_hits[IPC_ENGINES_MAX];
    struct shared ports;      /* media ports with a session: the kernel's map, or fd -1 */
    struct shared geo, rules; /* fd -1: none */
    struct file_mark geo_mark;
    struct shared ledger[IPC_ENGINES_MAX], ledger_ro[IPC_ENGINES_MAX], rates;
    struct ledger_shard *ledger_view[IPC_ENGINES_MAX]; /* read-only once engines run */
    struct instant ledger_due;
    struct shared fraud[IPC_ENGINES_MAX], fraud_ro[IPC_ENGINES_MAX];
    struct habits *habits;               /* habits.c */
    uint64_t ledger_kept[2], rates_mark; /* what was written or given last */
    uint64_t ledger_turn;                /* of the copy that was written last */
    uint32_t ledger_writes;
    bool ledger_ready, ledger_failed, ledger_moved, ledger_told;
    struct wall ledger_unknown;           /* since then nobody knows what was spent; 0: known */
    struct instant feed_due[GUARD_FEEDS]; /* files of feeds: opened again */
    int feed_error[GUARD_FEEDS];          /* errno that was told */
    struct feed_news feed_news[GUARD_FEEDS];
    struct client client[CONTROL_CLIENTS_MAX];
    struct tokens refusals; /* told as facts */
    struct approvals approvals;
    struct risks risks;    /* of the last reload that was judged */
    struct notify *notify; /* notify.c */
    uint32_t next_query;
    struct fact_waiting facts[FACTS_WAITING]; /* ring of the newest */
    uint32_t first_fact, n_facts, sent_facts; /* of these the store was told so many */
    uint32_t lost_facts;
    uint64_t fact_seq;
    struct msg msg;
};
#define VAULT_SLOT     0u
#define STORE_SLOT     1u
#define FETCH_SLOT     2u
#define ENGINE_SLOT(e) (3u + (e))

/* log.c */
void monitor_log(const struct monitor *m, enum severity sev, const char *fmt, ...) PRINTF(3, 4);
void monitor_log_from(const struct monitor *m, const struct program *p, enum severity sev,
                      struct str text);
void program_label(const struct program *p, char ret[24]); /* "engine 1" */

/* boot.c: what exists before any child. Problems are logged. */
MUST_CHECK enum err boot_config(struct monitor *m);
MUST_CHECK enum err boot_all(struct monitor *m);
void boot_undo(struct monitor *m);
/* What peers' certificates are judged by: authorities and revocation lists, as the files are. */
MUST_CHECK enum err boot_authorities(struct monitor *m, const struct config *c,
                                     struct shared *ret_ca);
bool boot_revoked(struct monitor *m); /* has the vault's revocation list changed since? */
MUST_CHECK enum err boot_certs(struct monitor *m, const struct config *c,
                               struct shared ret_chain[CONFIG_CERTS], struct shared *ret_ca,
                               struct shared *ret_names);
void shared_close(struct shared *s);

/* supply.c: what children are given */
MUST_CHECK enum err
supply_rings(struct monitor *m,
             struct program *p); /* fresh ones for p, told to the other ends that live */
MUST_CHECK enum err supply_setup(struct monitor *m, struct program *p);
void supply_all(struct monitor *m, enum attach_kind kind,
                uint8_t index); /* a changed policy, directory, chain ... to all whom it concerns */

/* programs.c */
MUST_CHECK enum err program_init(struct monitor *m, uint32_t slot, enum role role, uint8_t engine);
bool program_wanted(const struct monitor *m,
                    const struct program *p); /* false: a fetch program without a name or feed */
void programs_turn(struct monitor *m);        /* start, restart, ping, give up: whatever is due */
struct instant programs_due(const struct monitor *m);
void program_kill(struct monitor *m, struct program *p, const char *why);
enum err program_send(struct monitor *m, struct program *p, enum msg_type t, struct str head,
                      struct str tail, int fd); /* kills p if it does not read */
void programs_stop(struct monitor *m);
bool programs_gone(const struct monitor *m);

/* facts.c: the monitor's own facts */
struct fact;
void monitor_fact(struct monitor *m, const struct program *p, int32_t pid, int32_t status,
                  const char *what);
/* Whole but for its head, which is filled in. Lost, and counted, if the store has been away for
 * FACTS_WAITING of them. */
void fact_tell(struct monitor *m, struct fact *f);
void facts_send(struct monitor *m);       /* as many as the store takes now */
void facts_again(struct monitor *m);      /* the store has started again */
bool facts_wait(const struct monitor *m); /* some could be sent soon */

/* dial.c */
bool tokens_take(struct tokens *t, struct instant now, int64_t rate);
void connect_for(struct monitor *m, struct program *p); /* answers the CONNECT in m->msg */

/* reload.c */
/* On whose word a reload is: a risky one wants a reason; where four_eyes is on, a second person who
 * has seen this very text. NULL: a signal, nobody's word. */
struct reload_word {
    bool reason, second;
    struct text_digest of; /* with second; empty: any */
};
/* Logs; keeps the old one on any error; m->errors and m->reload_problem say why. ERR_AUTH: risky
 * (m->risks), and the word does not do; *ret_digest then names the text. */
enum err monitor_reload(struct monitor *m, const struct reload_word *w,
                        struct text_digest *ret_digest);
/* The policy in force, given again after a change of the monitor's own. */
MUST_CHECK enum err monitor_policy_again(struct monitor *m);

/* clients.c */
MUST_CHECK enum err clients_open(struct monitor *m);
void clients_policy(struct monitor *m); /* who may knock */
void clients_turn(struct monitor *m);
struct instant clients_due(const struct monitor *m);
void clients_reply(struct monitor *m, uint32_t slot, struct msg *reply); /* takes its descriptor */
void clients_lost(struct monitor *m, uint32_t slot); /* a program died: its replies will not come */
void clients_close(struct monitor *m);
void client_answer(struct monitor *m, struct client *c, uint32_t code, struct str json);
/* A refusal by name. */
void client_sorry(struct monitor *m, struct client *c, enum control_code code, enum reason why,
                  const char *text);
void client_run(struct monitor *m, struct client *c, const struct admin_command *k,
                struct str request); /* whatever it needs, it has */

/* acts.c: who asked, and what the log is told of it */
bool asker_of(const struct monitor *m, int fd, struct asker *ret_a);
void asker_turn_away(struct monitor *m, int fd, const struct asker *by); /* closes fd */
void act_begin(struct client *c, struct str request);
void act_tell(struct monitor *m, const struct asker *by, const struct act *a, const char *command,
              uint32_t code, enum reason why);

/* approve.c */
void approve_reload(struct monitor *m, struct client *c, struct str req);
void approve_list(struct monitor *m, struct client *c, struct str req);
void approve_second(struct monitor *m, struct client *c, struct str req);
void approve_deny(struct monitor *m, struct client *c, struct str req);
void approve_glass(struct monitor *m, struct client *c, struct str req);
/* A risky command: true if it may run now; else the client has been answered. */
bool approval_gate(struct monitor *m, struct client *c, struct str req);
void approvals_turn(struct monitor *m);
/* approve_keep.c: a file of the state folder; _open tells each that waits on. */
void approvals_keep(struct monitor *m);
void approvals_open(struct monitor *m);
void approvals_put(const struct monitor *m, struct out *o); /* members of the status */

/* status.c: documents of the commands that the monitor answers itself */
void status_command(struct monitor *m, struct client *c, struct str req);
void metrics_command(struct monitor *m, struct client *c, struct str req);
void notify_command(struct monitor *m, struct client *c, struct str req);
void notify_test_command(struct monitor *m, struct client *c, struct str req);
void status_put(const struct monitor *m, struct out *o);
void metrics_put(const struct monitor *m, struct out *o);
bool status_drained(const struct monitor *m);
#endif
