/* For tests: labelled traffic before real engine cores with a clock of its own. Phones, a PBX and
 * attackers talk to the gateway; the world plays vault, monitor (ban board) and kernel sockets, and
 * writes down what the shield says and does about whom. Labels say who is bad. */
#ifndef TESTS_DETECT_H
#define TESTS_DETECT_H
#include "call/core.h"
#include <stdio.h>
#include <stdlib.h>

#define ENGINES      2u
#define OUTSIDE      "192.0.2.1"
#define INSIDE       "192.0.2.200"
#define PBX_AT       "198.51.100.10:5060"
#define TRUNK_AT     "198.51.100.20:5060"
#define PASSWORD     "correct horse"
#define EXT          1001 /* of the first phone */
#define MS           INT64_C(1000)
#define SECOND       INT64_C(1000000)
#define MINUTE       (60 * SECOND)
#define HOUR         (60 * MINUTE)
#define TEXT_MAX     4096
#define PHONES_MAX   260
#define BAD_INSTANCE "<urn:uuid:0-666>"
enum { LISTEN_UDP, LISTEN_TLS, LISTEN_LAN };

struct world;
struct agent;
typedef void recv_fn(struct world *w, struct agent *a, char *msg);
typedef void event_fn(struct world *w, void *who, int64_t arg);

enum label { GOOD, BAD, VICTIM };
/* Whoever has an address. */
struct agent {
    struct agent *next; /* of the hash chain */
    struct flow flow;
    recv_fn *recv;
    void *data;
    enum label label;
};

struct event {
    int64_t at;
    uint64_t serial;
    event_fn *fn;
    void *who;
    int64_t arg;
};

enum call_role { CALL_NONE, CALL_CALLER, CALL_CALLEE };
struct leg_of { /* a phone's one call */
    enum call_role role;
    bool up;
    uint32_t serial, cseq;
    unsigned remote_cseq;
    char id[80], mine[320], theirs[320], target[256], via[512], invite_cseq[32];
    uint16_t port; /* the gateway's media port */
};
enum plan { PLAN_ANSWER, PLAN_BUSY, PLAN_NO_ANSWER, PLAN_LEAK };
struct phone {
    struct agent a;
    unsigned number, index;
    const char *password;
    bool on, registered, pbx, no_refresh;
    bool keeps_nonce; /* goes on with its last nonce, as most phones do */
    enum plan plan;
    uint32_t cseq, nc, serial;
    unsigned tries; /* REGISTERs in a row that were refused */
    uint32_t retry_s, refresh_s;
    char nonce[96], host[64], reg_id[64];
    struct leg_of call;
    uint32_t calls_made, calls_up, calls_failed, services_failed;
    int64_t last_answer;
    int talk_s, hold;
};

struct verdict_seen {
    bool alert, act, mild; /* it was said; it was stopped; it was made harder */
    uint8_t alert_by, act_by, act_treat, act_scope;
    int64_t alert_us, act_us;
    uint32_t alert_packets, act_packets; /* act_*: of the mild one, while it is all there is */
};
struct world {
    struct policy policy;
    struct directory *directory;
    struct core *core[ENGINES];
    struct core_cfg cfg[ENGINES];
    struct intents intents[ENGINES];
    struct location_shard *shards[ENGINES];
    struct counters counters[ENGINES];
    void *mem[ENGINES];
    struct ban_board *board;
    uint32_t ban_hits[4096];
    uint64_t next_ban;
    struct geo *geo;
    struct now now;
    struct rng rng;
    struct event *heap;
    size_t n_heap, heap_cap;
    uint64_t serial;
    struct agent *chains[4096];
    struct phone *phones;
    unsigned n_phones, boots;
    struct phone pbx;
    struct {
        int64_t tokens, filled;
    } tries[1 << 12]; /* the vault's patience, by name */
    /* labels and results */
    char victim[48];  /* AOR or number that is attacked: that it is watched or locked is right */
    char insider[48]; /* AOR that does bad things */
    bool began, verbose;
    int64_t bad_since;
    uint32_t bad_packets;
    struct verdict_seen seen;
    uint32_t false_alerts, false_bans, narrow_bans, alerts, bans, refused, answered_401;
    char first_false[160];
    uint32_t to_bad[700]; /* answers to the bad by status code */
};

/* world.c */
struct world *world_new(uint64_t seed, unsigned phones, unsigned behind_nat);
void world_free(struct world *w);
void world_restart(struct world *w); /* the gateway's programs begin anew, with new keys */
void world_run(struct world *w, int64_t until_us, bool (*enough)(const struct world *w));
void world_at(struct world *w, int64_t in_us, event_fn *fn, void *who, int64_t arg);
void world_join(struct world *w, struct agent *a);
void world_leave(struct world *w, struct agent *a);
void world_say(struct world *w, struct agent *a, const char *msg);
void world_bytes(struct world *w, const struct agent *a, const void *p, size_t n);
void world_rtp(struct world *w, const struct addr *from, uint16_t port, const void *p, size_t n,
               enum label label);
void world_bad(struct world *w); /* something bad happens, whoever sent it */
uint32_t any(struct world *w, uint32_t below);
struct addr at(const char *text);
struct addr at_nth(unsigned net, unsigned n, uint16_t port); /* strangers: 198.18.net.n */

/* house.c */
void house_policy(struct policy *p);
struct geo *house_countries(void); /* gives: free */

/* text.c: what stands in a message; copies, terminated, "" if it is not there */
const char *part(const char *msg, const char *name);
const char *within(const char *text, const char *before, const char *after);
unsigned code_of(const char *msg);
const char *say(const char *f, ...) __attribute__((format(printf, 1, 2)));
void digest_for(const char *user, const char *password, const char *nonce, unsigned nc,
                const char *method, const char *uri, char *ret, size_t cap);

/* phone.c */
void phone_init(struct world *w, struct phone *p, unsigned index, struct addr where);
void phone_move(struct world *w, struct phone *p, struct addr where);
void phone_register(struct world *w, void *phone, int64_t arg);
void phone_call(struct world *w, void *phone, int64_t number); /* 0: somebody; < 0: mistyped */
void phone_dial(struct world *w, struct phone *p, const char *user);
void phone_cancel(struct world *w, void *phone, int64_t serial);
void phone_hang_up(struct world *w, void *phone, int64_t serial);
void phone_picks_up(struct world *w, void *late, int64_t arg); /* owns late */
void phone_message(struct world *w, void *phone, int64_t arg);
void phone_watch(struct world *w, void *phone, int64_t arg); /* MWI */
void pbx_init(struct world *w);
void pbx_call(struct world *w, void *unused, int64_t number);
void pbx_dial(struct world *w, unsigned number, const char *from);

/* rows.c */
struct row {
    const char *name, *wanted; /* what it is; detectors that may find it, separated by spaces */
    void (*start)(struct world *w, int level);
    int64_t most_us[3]; /* how long it goes on at the most */
    bool benign;
    unsigned behind; /* one address of the day's 200 phones; 0: 60 */
};
extern const struct row ROWS[], DAY[];
extern const unsigned N_ROWS, N_DAY;
extern const char *const LEVELS[3];

/* day.c */
void day_start(struct world *w, int level);
void day_background(struct world *w); /* a small office under attack */
#endif
