#include "app/fetch/names.h"

#define RETRY_FIRST_S 5u
#define LATE_S        1u /* by then the library's own cache has dropped it, too */

void names_init(struct names *n, struct targets_board *board, struct counters *counters,
                names_ask_fn *ask, names_note_fn *note, void *ctx)
{
    memset(n, 0, sizeof *n);
    n->board = board;
    n->counters = counters;
    n->ask = ask;
    n->note = note;
    n->ctx = ctx;
}

/* --- which names --- */

static struct name *find(struct names *n, const struct locate_ask *ask)
{
    for (unsigned i = 0; i < POLICY_PEERS; i++)
        if (n->v[i].used && targets_same(&n->v[i].row.ask, ask))
            return &n->v[i];
    return NULL;
}

static bool asked_for(const struct names *n, const struct locate_ask *ask)
{
    struct locate_ask a;
    for (uint8_t i = 0; i < n->policy->n_peers; i++)
        if (targets_ask(n->policy, i, &a) && targets_same(&a, ask))
            return true;
    return false;
}

/* The slot where an earlier life of this program had it, else a free one. There are as many slots
 * as peers. */
static uint8_t slot_for(const struct names *n, const struct locate_ask *ask)
{
    uint8_t free_slot = 0;
    for (uint8_t i = POLICY_PEERS; i-- > 0;) {
        if (n->v[i].used)
            continue;
        free_slot = i;
        if (targets_same(&n->board->slot[i].row.ask, ask))
            return i;
    }
    return free_slot;
}

static void add(struct names *n, uint8_t peer, const struct locate_ask *ask, struct now now)
{
    uint8_t slot = slot_for(n, ask);
    struct name *x = &n->v[slot];
    *x = (struct name){.used = true, .due = now.mono, .serial = x->serial};
    if (targets_get(n->board, sizeof *n->board, n->policy, peer, &x->row) != OK)
        x->row = (struct targets_row){.ask = *ask};
    targets_put(n->board, slot, &x->row);
}

void names_policy(struct names *n, const struct policy *p, struct now now)
{
    static const struct targets_row none;
    struct locate_ask ask;
    n->policy = p;
    for (uint8_t i = 0; i < POLICY_PEERS; i++)
        if (n->v[i].used && !asked_for(n, &n->v[i].row.ask)) {
            n->v[i].used = n->v[i].busy = false;
            targets_put(n->board, i, &none);
        }
    for (uint8_t i = 0; i < p->n_peers; i++)
        if (targets_ask(p, i, &ask) && !find(n, &ask))
            add(n, i, &ask, now);
}

/* --- what becomes of an answer --- */

static struct wall later(struct wall w, uint32_t s)
{
    return (struct wall){w.us + DUR_S(s).us};
}

static uint32_t bound(uint32_t s, uint32_t most)
{
    return MIN(MAX(s, NAMES_TTL_MIN_S), most);
}

/* By every peer that asks for this name. */
static bool allowed(const struct names *n, const struct locate_ask *ask, const struct addr *a)
{
    struct locate_ask other;
    for (uint8_t i = 0; i < n->policy->n_peers; i++)
        if (targets_ask(n->policy, i, &other) && targets_same(&other, ask) &&
            !targets_allowed(n->policy, i, a))
            return false;
    return true;
}

static void past_add(struct targets_row *r, const struct addr *a, struct wall until)
{
    unsigned at = 0; /* of the one that ends first, when there is no room */
    for (unsigned i = 0; i < r->n_past; i++)
        at = r->past[i].until.us < r->past[at].until.us ? i : at;
    if (r->n_past < TARGETS_PAST)
        at = r->n_past++;
    r->past[at] = (struct targets_past){*a, until};
}

/* Addresses that the new row lost may serve the calls that have them. */
static void remember(const struct names *n, struct targets_row *r, const struct targets_row *was,
                     struct wall now)
{
    struct wall until = later(now, n->policy->limits.call_max_s);
    r->n_past = 0;
    for (unsigned i = 0; i < was->n_past; i++)
        if (was->past[i].until.us > now.us && targets_find(r, &was->past[i].a) < 0)
            past_add(r, &was->past[i].a, was->past[i].until);
    for (unsigned i = 0; i < was->n; i++)
        if (targets_find(r, &was->entry[i].a) < 0)
            past_add(r, &was->entry[i].a, until);
}

static void good(const struct names *n, struct name *x, struct now now)
{
    struct targets_row r = {.ask = x->row.ask, .state = TARGETS_GOOD, .secure = x->l.secure};
    for (unsigned i = 0; i < x->l.n; i++)
        if (allowed(n, &r.ask, &x->l.entry[i].a))
            r.entry[r.n++] = x->l.entry[i];
    uint32_t ttl = bound(x->l.ttl_s, NAMES_TTL_MAX_S);
    if (r.n < x->l.n)
        counters_hit(n->counters, REASON_dns_address_refused);
    if (!r.n) {
        x->l.n = 0;
        x->l.why = REASON_dns_address_refused;
        x->l.certain = true;
        return;
    }
    r.asked = now.wall;
    r.until = later(now.wall, ttl);
    r.forget = later(r.until, NAMES_STALE_S);
    remember(n, &r, &x->row, now.wall);
    x->row = r;
    x->tries = 0;
    x->due = instant_add(now.mono, DUR_S(ttl + LATE_S));
}

static uint32_t retry_s(struct name *x)
{
    uint32_t s = RETRY_FIRST_S << MIN(x->tries, (uint8_t)4);
    if (x->tries < UINT8_MAX)
        x->tries++;
    return x->l.certain ? bound(x->l.ttl_s, NAMES_NEGATIVE_MAX_S) : MIN(s, NAMES_NEGATIVE_MAX_S);
}

static void bad(const struct names *n, struct name *x, struct now now)
{
    uint32_t s = retry_s(x);
    struct targets_row *r = &x->row, was = *r;
    counters_hit(n->counters, x->l.why);
    if (!x->l.certain && r->n && now.wall.us < r->forget.us) {
        r->state = TARGETS_STALE;
    } else {
        *r = (struct targets_row){.ask = was.ask, .state = TARGETS_FAILED};
        remember(n, r, &was, now.wall);
    }
    r->why = (uint16_t)x->l.why;
    r->asked = now.wall;
    r->until = later(now.wall, s);
    x->due = instant_add(now.mono, DUR_S(s + LATE_S));
}

static void settle(struct names *n, struct name *x, struct now now)
{
    struct targets_row was = x->row;
    x->busy = false;
    if (x->l.n)
        good(n, x, now);
    if (!x->l.n)
        bad(n, x, now);
    targets_put(n->board, (uint32_t)(x - n->v), &x->row);
    bool news = x->row.state != was.state || x->row.why != was.why || x->row.n != was.n;
    for (unsigned i = 0; i < x->row.n; i++)
        news = news || targets_find(&was, &x->row.entry[i].a) < 0;
    if (news)
        n->note(n->ctx, x->row.state == TARGETS_GOOD ? SEV_INFO : SEV_WARN, &x->row);
}

/* --- look-ups --- */

static void send(struct names *n, struct name *x, struct now now)
{
    static const struct locate_reply nothing = {LOCATE_FAILED, false, NULL};
    uint32_t serial = x->serial;
    /* An answer may come at once and bring new queries, or the end. */
    for (unsigned i = 0; x->busy && x->serial == serial && i < x->l.n_queries; i++) {
        struct locate_query *q = &x->l.query[i];
        struct names_question ask = {serial, (uint8_t)(x - n->v), (uint8_t)i};
        if (q->state != LOCATE_WANTED)
            continue;
        struct dns_name name = q->name;
        q->state = LOCATE_ASKED;
        if (!n->ask(n->ctx, &ask, &name, (enum dns_type)q->type))
            names_reply(n, &ask, &nothing, now);
    }
}

static void begin(struct names *n, struct name *x, struct now now)
{
    x->busy = true;
    x->serial = ++n->serial;
    x->due = instant_add(now.mono, DUR_S(NAMES_LOOKUP_S));
    locate_begin(&x->l, &x->row.ask);
    send(n, x, now);
}

void names_reply(struct names *n, const struct names_question *q, const struct locate_reply *r,
                 struct now now)
{
    struct name *x = &n->v[q->slot];
    if (!x->used || !x->busy || x->serial != q->serial || q->query >= x->l.n_queries ||
        x->l.query[q->query].state != LOCATE_ASKED)
        return;
    uint8_t stage = x->l.stage;
    locate_answer(&x->l, q->query, r);
    if (x->l.done) {
        settle(n, x, now);
        return;
    }
    if (x->l.stage != stage) /* questions have new numbers: answers to old ones are late */
        x->serial = ++n->serial;
    send(n, x, now);
}

void names_turn(struct names *n, struct now now)
{
    for (unsigned i = 0; i < POLICY_PEERS; i++) {
        struct name *x = &n->v[i];
        if (!x->used || instant_before(now.mono, x->due))
            continue;
        if (!x->busy) {
            begin(n, x, now);
            continue;
        }
        locate_give_up(&x->l);
        settle(n, x, now);
    }
}

struct instant names_next(const struct names *n)
{
    struct instant first = INSTANT_NEVER;
    for (unsigned i = 0; i < POLICY_PEERS; i++)
        if (n->v[i].used && instant_before(n->v[i].due, first))
            first = n->v[i].due;
    return first;
}
