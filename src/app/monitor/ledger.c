/* Money over restarts: shards of the ledger are made here, before any engine writes them, with what
 * was spent before; then read every second and kept in two files of the state folder in turn, so
 * that a damaged one leaves the one before it. The key under which names are hashed is kept beside
 * them. With both damaged nobody knows what was spent: calls that cost money are refused
 * (fraud_unknown) until an administrator accepts it or the month is over. */
#include "app/config/decks.h"
#include "app/monitor/lists.h"
#include "app/monitor/notify.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/rand.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_EVERY DUR_S(1)
#define KEEP_SHARE 20 /* writing takes at most one part in so many of the time */
#define FILE_MAGIC UINT64_C(0x32524c4447574c52)
#define SEEDS_MAX  (1u << 23)
#define COPIES     2u

struct kept {                /* head of a file; struct ledger_seed each behind it */
    uint64_t magic, n, turn; /* turn: the higher one is the newer */
    struct wall at;
    struct wall unknown; /* since then nobody knows what was spent; 0: known */
    uint64_t check;      /* siphash of the seeds and of the head with 0 here */
};

static void path_of(const struct monitor *m, const char *name, char ret[CONFIG_PATH + 32])
{
    (void)snprintf(ret, CONFIG_PATH + 32, "%s/%s", m->state, name);
}

static void path_copy(const struct monitor *m, uint64_t turn, char ret[CONFIG_PATH + 32])
{
    path_of(m, turn % COPIES ? "ledger.1" : "ledger.0", ret);
}

static uint64_t check_of(const struct monitor *m, struct kept *k, size_t bytes)
{
    uint64_t was = k->check;
    k->check = 0;
    uint64_t h = siphash(&m->keys.ledger, str_of((const char *)k, bytes));
    k->check = was;
    return h;
}

/* *ret_new: there was none, so nothing was ever spent. */
static enum err key_take(struct monitor *m, bool *ret_new)
{
    char path[CONFIG_PATH + 32];
    size_t n = 0;
    path_of(m, "ledger.key", path);
    enum err e = file_read(path, &m->keys.ledger, sizeof m->keys.ledger, &n);
    *ret_new = e == ERR_NOT_FOUND;
    if (e == OK && n == sizeof m->keys.ledger)
        return OK;
    if (e != ERR_NOT_FOUND)
        monitor_log(m, SEV_ALERT, "%s: %s; a new key is made", path,
                    e == ERR_SYSTEM ? strerror(errno) : "not a key");
    e = rand_bytes(&m->keys.ledger, sizeof m->keys.ledger);
    if (e == OK)
        e = file_write(path, &m->keys.ledger, sizeof m->keys.ledger, 0600);
    if (e != OK)
        monitor_log(m, SEV_ALERT, "%s: %s", path, strerror(errno));
    return e;
}

/* The number of rows that found no room. */
static uint64_t plant(struct monitor *m, struct ledger *l, const struct kept *k, struct wall now)
{
    const struct ledger_seed *v = (const struct ledger_seed *)(const void *)(k + 1);
    uint64_t lost = 0;
    for (uint64_t i = 0; i < k->n; i++) {
        struct ledger_seed s = v[i];
        for (unsigned t = 0; t < SPAN_COUNT; t++) {
            if (ledger_same_window((enum span_of_time)t, k->at, now) || now.us < k->at.us)
                continue; /* a clock that went back gives nothing back */
            s.seconds[t] = 0;
            s.micro[t] = 0;
        }
        if (!s.micro[SPAN_MONTH] && !s.seconds[SPAN_MONTH])
            continue;
        l->own = m->ledger_view[ledger_home(
            s.key, (uint8_t)m->n_engines)]; /* rows of one key meet again */
        lost += ledger_plant(l, &s, now) != OK;
    }
    return lost;
}

/* One of the two files; NULL: there is none (*ret_there false) or it is damaged. */
static struct kept *copy_read(struct monitor *m, uint64_t turn, bool *ret_there)
{
    char path[CONFIG_PATH + 32];
    struct stat st;
    size_t n = 0;
    path_copy(m, turn, path);
    *ret_there = stat(path, &st) == 0 || errno != ENOENT;
    if (!*ret_there)
        return NULL;
    size_t cap = st.st_size > 0 ? MIN((size_t)st.st_size,
                                      sizeof(struct kept) + SEEDS_MAX * sizeof(struct ledger_seed))
                                : 0;
    struct kept *k = cap >= sizeof *k ? malloc(cap) : NULL;
    if (k && file_read(path, k, cap, &n) == OK && n == cap && k->magic == FILE_MAGIC &&
        k->n <= SEEDS_MAX && n == sizeof *k + k->n * sizeof(struct ledger_seed) &&
        k->turn % COPIES == turn % COPIES && check_of(m, k, n) == k->check)
        return k;
    monitor_log(m, SEV_ALERT, "%s is damaged", path);
    free(k);
    return NULL;
}

/* The newer of both that is sound. *ret_any: there are files. */
static struct kept *kept_read(struct monitor *m, bool *ret_any)
{
    bool there[COPIES];
    struct kept *v[COPIES] = {copy_read(m, 0, &there[0]), copy_read(m, 1, &there[1])};
    unsigned best = v[1] && (!v[0] || v[1]->turn > v[0]->turn) ? 1 : 0;
    free(v[!best]);
    *ret_any = there[0] || there[1];
    if (v[best] && !v[!best] && (there[!best] || v[best]->turn > 1)) {
        int64_t ago = (clock_now().wall.us - v[best]->at.us) / 1000000;
        monitor_log(m, SEV_ALERT,
                    "the ledger's other copy is used, of %lld s ago: what was spent in the last "
                    "second before the stop may be missing",
                    (long long)ago);
    }
    return v[best];
}

static uint32_t rows_of(const struct monitor *m, const struct kept *k)
{
    /* never less than what was spent before, a row each */
    uint64_t kept = k ? MIN(k->n, (uint64_t)SEEDS_MAX) : 0;
    return MAX(ledger_share(m->conf->policy.limits.bindings, m->n_engines),
               ledger_share((uint32_t)kept, m->n_engines));
}

static enum err shard_make(struct monitor *m, uint32_t i, uint32_t rows)
{
    size_t n = ledger_bytes(rows);
    void *view = NULL;
    enum err e = memfd_new("ringwall-ledger", n, &m->ledger[i].fd);
    m->ledger[i].n = m->ledger_ro[i].n = n;
    if (e == OK)
        e = memfd_readonly(m->ledger[i].fd, &m->ledger_ro[i].fd);
    if (e == OK)
        e = mem_map(m->ledger[i].fd, n, true, false, &view);
    m->ledger_view[i] = view;
    if (e == OK)
        ledger_begin(m->ledger_view[i], rows, &m->keys.ledger);
    return e;
}

static void unknown_since(struct monitor *m, struct wall since)
{
    m->ledger_unknown = since;
    monitor_log(m, SEV_ALERT,
                "what was spent this month is not known: calls that cost money are refused; "
                "ringwall fraud accept --reason TEXT");
}

static void fill(struct monitor *m, struct kept *k, bool new, struct wall now)
{
    struct ledger l = {.n = 0};
    uint64_t lost = k ? plant(m, &l, k, now) : 0;
    if (lost)
        monitor_log(m, SEV_ALERT, "ledger: %llu rows of %llu do not fit", (unsigned long long)lost,
                    (unsigned long long)k->n);
    m->ledger_turn = k ? k->turn : 0;
    if ((!k && !new) || lost)
        unknown_since(m, now);
    else if (k && k->unknown.us && ledger_same_window(SPAN_MONTH, k->unknown, now))
        unknown_since(m, k->unknown);
    m->conf->policy.spent_unknown = m->ledger_unknown;
}

enum err ledger_open(struct monitor *m)
{
    struct wall now = clock_now().wall;
    bool new = false, any = false;
    enum err e = key_take(m, &new);
    struct kept *k = e == OK ? kept_read(m, &any) : NULL;
    for (uint32_t i = 0; i < m->n_engines && e == OK; i++)
        e = shard_make(m, i, rows_of(m, k));
    if (e == OK)
        fill(m, k, new && !any, now);
    free(k);
    for (uint32_t i = 0; i < m->n_engines && e == OK; i++) { /* from here on engines write */
        void *view = NULL;
        mem_unmap(m->ledger_view[i], (size_t)m->ledger[i].n);
        m->ledger_view[i] = NULL;
        e = mem_map(m->ledger_ro[i].fd, (size_t)m->ledger_ro[i].n, false, false, &view);
        m->ledger_view[i] = view;
    }
    m->ledger_ready = e == OK; /* else nothing may be written over what is kept */
    if (e == OK)
        ledger_keep(m); /* from the first start on there is a file: one that is missing is seen */
    m->ledger_moved = true;
    m->ledger_due = instant_add(m->loop.now.mono, KEEP_EVERY);
    return e;
}

static bool worth(const struct ledger_seed *s)
{
    return s->micro[SPAN_MONTH] || s->seconds[SPAN_MONTH];
}

static struct kept *collect(struct monitor *m, size_t *ret_bytes)
{
    struct wall now = clock_now().wall;
    size_t n = 0, cap = 256;
    struct kept *k = malloc(sizeof *k + cap * sizeof(struct ledger_seed));
    for (uint32_t i = 0; i < m->n_engines && k; i++) {
        struct ledger_seed s;
        uint32_t it = 0, calls;
        while (n < SEEDS_MAX &&
               ledger_walk(m->ledger_view[i], (size_t)m->ledger[i].n, &it, &s, &calls, now)) {
            if (!worth(&s))
                continue;
            if (n == cap) {
                cap *= 2;
                struct kept *more = realloc(k, sizeof *k + cap * sizeof(struct ledger_seed));
                if (!more) {
                    free(k);
                    return NULL;
                }
                k = more;
            }
            memcpy((struct ledger_seed *)(void *)(k + 1) + n++, &s, sizeof s);
        }
    }
    if (!k)
        return NULL;
    *k = (struct kept){FILE_MAGIC, n, m->ledger_turn + 1, now, m->ledger_unknown, 0};
    *ret_bytes = sizeof *k + n * sizeof(struct ledger_seed);
    return k;
}

void ledger_keep(struct monitor *m)
{
    size_t bytes = 0;
    if (!m->ledger_ready)
        return;
    struct kept *k = collect(m, &bytes);
    if (!k)
        return;
    struct kept head = *k;
    k->turn = 0;
    k->at.us /= INT64_C(3600000000); /* the same sums of the same hour are not written twice */
    uint64_t sums = check_of(m, k, bytes);
    *k = head;
    k->check = check_of(m, k, bytes);
    char path[CONFIG_PATH + 32];
    path_copy(m, k->turn, path);
    if (sums == m->ledger_kept[0] && sums == m->ledger_kept[1]) {
        m->ledger_failed = false;
    } else if (file_write(path, k, bytes, 0600) == OK) {
        m->ledger_kept[k->turn % COPIES] = sums;
        m->ledger_turn = k->turn;
        m->ledger_failed = false;
    } else {
        if (!m->ledger_failed)
            monitor_log(m, SEV_ALERT, "%s: %s: what is spent now is lost at a restart", path,
                        strerror(errno));
        m->ledger_failed = true;
    }
    free(k);
}

/* Once more after the last change: a write may have been under way while it was read, and the other
 * copy shall hold the same. */
static bool changed(struct monitor *m)
{
    uint32_t writes = 0;
    for (uint32_t i = 0; i < m->n_engines; i++)
        writes += ledger_writes(m->ledger_view[i]);
    bool now = writes != m->ledger_writes || m->ledger_failed;
    bool is = now || m->ledger_moved;
    m->ledger_writes = writes;
    m->ledger_moved = now;
    return is;
}

static void tell_unknown(struct monitor *m)
{
    if (!m->ledger_unknown.us || m->ledger_told || m->starting)
        return;
    m->ledger_told = true;
    monitor_fact(m, NULL, 0, 0, "spending unknown");
    notify_event(m, NOTE_LEDGER_UNKNOWN, "monitor", "spending unknown", "",
                 "the ledger was damaged: calls that cost money are refused until somebody says "
                 "ringwall fraud accept");
}

void ledger_turn(struct monitor *m)
{
    struct instant began = clock_now().mono;
    tell_unknown(m);
    if (instant_before(began, m->ledger_due))
        return;
    if (changed(m))
        ledger_keep(m);
    struct instant now = clock_now().mono;
    int64_t took = instant_sub(now, began).us;
    m->ledger_due = instant_add(now, DUR_US(MAX(KEEP_EVERY.us, took * KEEP_SHARE)));
}

void ledger_accept(struct monitor *m, struct client *c, struct str req)
{
    (void)req;
    bool was = m->ledger_unknown.us != 0;
    (void)snprintf(c->act.before, sizeof c->act.before, "spending %s", was ? "unknown" : "known");
    (void)snprintf(c->act.after, sizeof c->act.after, "spending counted from what is known");
    if (!was) {
        client_sorry(m, c, CONTROL_REFUSED, REASON_NONE, "what was spent is known");
        return;
    }
    m->ledger_unknown = m->conf->policy.spent_unknown = (struct wall){0};
    if (monitor_policy_again(m) != OK) {
        client_sorry(m, c, CONTROL_FAILED, REASON_NONE, "shared memory; see the log");
        return;
    }
    ledger_keep(m);
    m->ledger_moved = true;
    monitor_log(m, SEV_WARN, "%s accepts that what was spent is not known: %s", c->by.name,
                c->act.why);
    client_answer(m, c, CONTROL_OK, STR("{\"accepted\":true}"));
}

void ledger_close(struct monitor *m)
{
    for (uint32_t i = 0; i < IPC_ENGINES_MAX; i++) {
        mem_unmap(m->ledger_view[i], (size_t)m->ledger[i].n);
        m->ledger_view[i] = NULL;
        shared_close(&m->ledger[i]);
        shared_close(&m->ledger_ro[i]);
    }
}

/* -- prices -- */

void rates_policy(struct monitor *m)
{
    void *blob = NULL;
    size_t bytes = 0;
    static struct deck_report why;
    struct shared s = {-1, 0};
    enum err e = decks_load(m->conf, &blob, &bytes, &why);
    if (e != OK) {
        monitor_log(m, SEV_ALERT, "rates: %s:%u: %s; the prices of before stay", why.at[0].file,
                    (unsigned)why.at[0].line, why.at[0].text);
        return;
    }
    s.n = bytes;
    uint64_t mark = siphash(&m->keys.ledger, str_of(blob, bytes));
    if (m->rates.fd >= 0 && mark == m->rates_mark) { /* the same files as before */
        free(blob);
        return;
    }
    m->rates_mark = mark;
    e = memfd_sealed("ringwall-rates", blob, bytes, &s.fd);
    if (e == OK) {
        if (rates_count(blob))
            monitor_log(m, SEV_INFO, "rates: %u prefixes of %u decks", (unsigned)rates_count(blob),
                        (unsigned)m->conf->policy.n_decks);
        shared_close(&m->rates);
        m->rates = s;
        supply_all(m, ATTACH_RATES, 0);
    } else {
        monitor_log(m, SEV_ALERT, "rates: shared memory: %s", strerror(errno));
    }
    free(blob);
}
