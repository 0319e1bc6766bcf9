/* The clock, the network, the vault, and what must hold whatever happens. */
#include "sim.h"
#include <getopt.h>

/* --- clock --- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void sim_at(struct sim *s, int64_t in_ms, sim_fn *fn, void *who, int64_t arg)
{
    if (s->n_heap == s->cap_heap) {
        s->cap_heap = s->cap_heap ? 2 * s->cap_heap : 1024;
        s->heap = realloc(s->heap, s->cap_heap * sizeof *s->heap);
    }
    struct event e = {s->g.now.mono.us + in_ms * 1000, s->seq++, fn, who, arg};
    size_t i = s->n_heap++;
    for (; i && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static struct event take(struct sim *s)
{
    struct event top = s->heap[0], last = s->heap[--s->n_heap];
    size_t i = 0;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= s->n_heap)
            break;
        if (c + 1 < s->n_heap && before(&s->heap[c + 1], &s->heap[c]))
            c++;
        if (!before(&s->heap[c], &last))
            break;
        s->heap[i] = s->heap[c];
        i = c;
    }
    s->heap[i] = last;
    return top;
}

unsigned sim_rand(struct sim *s, unsigned below)
{
    return rng_below(&s->rng, below);
}

bool sim_chance(struct sim *s, unsigned percent)
{
    return sim_rand(s, 100) < percent;
}

void sim_fail(struct sim *s, const char *what, struct str about)
{
    if (!s->failed)
        printf("seed %llu, at %.3f s: %s\n%.*s\n", (unsigned long long)s->seed,
               (double)s->g.now.mono.us / 1e6 - 1000, what, (int)MIN(about.n, (size_t)3000),
               about.n ? about.p : "");
    s->failed = true;
}

/* --- network --- */

struct packet {
    size_t n;
    struct ua *ua;
    char bytes[];
};

static struct packet *packet(struct ua *u, struct str bytes)
{
    struct packet *p = malloc(sizeof *p + bytes.n);
    p->n = bytes.n;
    p->ua = u;
    memcpy(p->bytes, bytes.p, bytes.n);
    return p;
}

/* The same message to the same place is lost at most a few times in a row. */
static bool lost(struct sim *s, const struct ua *u, struct str bytes, bool to_ua)
{
    static const struct sipkey k = {11, 12};
    uint64_t key = siphash(&k, str_head(bytes, 250)) ^ (uint64_t)(u - s->ua) ^ (to_ua ? 64 : 0);
    struct drop *d = &s->drops[key % ARRAY_LEN(s->drops)];
    if (d->key != key)
        *d = (struct drop){key, 0};
    if (sim_rand(s, 1000) >= s->loss || d->n >= DROPS_IN_A_ROW) {
        d->n = 0;
        return false;
    }
    d->n++;
    return true;
}

static void send(struct sim *s, struct ua *u, struct str bytes, sim_fn *fn, bool to_ua)
{
    unsigned copies = sim_rand(s, 1000) < s->dup ? 2 : 1;
    for (unsigned i = 0; i < copies; i++) {
        if (lost(s, u, bytes, to_ua))
            continue;
        int64_t ms = 1 + sim_rand(s, 10);
        if (sim_rand(s, 1000) < s->late)
            ms += sim_rand(s, 600);
        sim_at(s, ms, fn, packet(u, bytes), 0);
    }
}

static void show(struct sim *s, const char *way, const struct ua *u, struct str b)
{
    char a[ADDR_TEXT_MAX];
    struct out o = out_of(a, sizeof a);
    addr_put(&o, &u->addr);
    if (s->verbose)
        printf("%8.3f %s %.*s\n%.*s\n", (double)s->g.now.mono.us / 1e6 - 1000, way, (int)o.n, a,
               (int)b.n, b.p);
}

/* What the shield has stopped at all. */
static uint64_t stopped(const struct sim *s)
{
    static const enum reason why[] = {
        REASON_shield_banned,    REASON_shield_rate,    REASON_shield_access,
        REASON_shield_party,     REASON_shield_refused, REASON_shield_rate_user,
        REASON_shield_rule_drop, REASON_rate_source,    REASON_shield_rate_trunk};
    uint64_t n = 0;
    for (unsigned e = 0; e < s->g.n; e++)
        for (size_t i = 0; i < ARRAY_LEN(why); i++)
            n += s->g.counters[e].n[why[i]];
    return n;
}

static void arrive_gateway(struct sim *s, void *who, int64_t arg)
{
    struct packet *p = who;
    (void)arg;
    struct flow f = {.proto = PROTO_UDP, .listener = p->ua->listener, .peer = p->ua->addr};
    uint64_t before = stopped(s);
    /* Any engine may pick the datagram up. */
    core_message(s->g.core[sim_rand(s, s->g.n)], &f, str_of(p->bytes, p->n), false, s->g.now);
    if (stopped(s) != before)
        sim_fail(s, "somebody harmless is stopped", str_of(p->bytes, p->n));
    free(p);
}

void sim_to_gateway(struct sim *s, struct ua *u, struct str bytes)
{
    show(s, "->  from", u, bytes);
    send(s, u, bytes, arrive_gateway, false);
}

static void arrive_ua(struct sim *s, void *who, int64_t arg)
{
    static struct sip_msg m;
    struct packet *p = who;
    struct sip_error e;
    (void)arg;
    if (sip_parse(str_of(p->bytes, p->n), false, &m, &e) != OK)
        sim_fail(s, "the gateway sent what does not parse", str_of(p->bytes, p->n));
    else
        ua_message(s, p->ua, &m);
    free(p);
}

/* Nothing of one side may show on the other. */
static void check_hidden(struct sim *s, const struct ua *u, struct str b)
{
    static const char *const inner[] = {"198.51.100.", TEST_INSIDE, "pbx-", "Secret-PBX"};
    static const char *const outer[] = {"203.0.113.", TEST_OUTSIDE, "fone-", "Secret-Phone"};
    for (size_t i = 0; i < 4; i++) {
        const char *t = u->pbx ? outer[i] : inner[i];
        if (str_search(b, str_c(t)) < b.n)
            sim_fail(s, t, b);
    }
}

/* --- vault --- */

static void vault_verify(const struct ask *q, struct answer *a)
{
    struct str t = str_of(q->text, q->n);
    char ha1[DIGEST_HEX_MAX], want[DIGEST_HEX_MAX];
    enum digest_alg alg = (enum digest_alg)q->alg;
    a->reason = REASON_auth_failed;
    if (digest_ha1(alg, span_str(t, q->user), span_str(t, q->realm), STR("secret"), ha1) == OK &&
        digest_response(alg, str_of(ha1, digest_hex_chars(alg)), span_str(t, q->nonce),
                        span_str(t, q->nc), span_str(t, q->cnonce), span_str(t, q->qop),
                        span_str(t, q->ha2), want) == OK &&
        str_eq(str_of(want, digest_hex_chars(alg)), span_str(t, q->response)))
        a->reason = REASON_NONE;
}

static void vault_respond(const struct ask *q, struct answer *a)
{
    struct str t = str_of(q->text, q->n);
    char ha1[DIGEST_HEX_MAX];
    enum digest_alg alg = (enum digest_alg)q->alg;
    a->reason = REASON_auth_unavailable;
    if (digest_ha1(alg, span_str(t, q->user), span_str(t, q->realm), STR("secret"), ha1) == OK &&
        digest_response(alg, str_of(ha1, digest_hex_chars(alg)), span_str(t, q->nonce),
                        span_str(t, q->nc), span_str(t, q->cnonce), span_str(t, q->qop),
                        span_str(t, q->ha2), (char *)a->bytes) == OK) {
        a->n = (uint16_t)digest_hex_chars(alg);
        a->reason = REASON_NONE;
    }
}

static void vault_answers(struct sim *s, void *who, int64_t engine)
{
    struct ask *q = who;
    struct answer a = {.id = q->id, .kind = q->kind};
    if (q->kind == ASK_VERIFY)
        vault_verify(q, &a);
    else
        vault_respond(q, &a);
    core_answer(s->g.core[engine], &a, s->g.now);
    free(q);
}

static void vault_asked(struct sim *s, unsigned engine, struct str bytes)
{
    struct ask *q = calloc(1, sizeof *q);
    memcpy(q, bytes.p, bytes.n);
    if (ask_valid(q, bytes.n) != OK)
        sim_fail(s, "ask is not valid", STR_NONE);
    if (sim_rand(s, 1000) < 3) /* it died: the caller hears 503 */
        free(q);
    else
        sim_at(s, sim_rand(s, 20), vault_answers, q, engine);
}

/* --- what the cores want --- */

static void fact_seen(struct sim *s, struct str bytes)
{
    static struct fact f;
    memcpy(&f, bytes.p, bytes.n);
    if (fact_valid(&f, bytes.n) != OK)
        sim_fail(s, "fact is not valid", STR_NONE);
    if (f.kind == FACT_CALL_START && s->n_starts < ARRAY_LEN(s->starts))
        s->starts[s->n_starts++] = f.u.start.session;
    if (f.kind == FACT_TRANSFER)
        ++*(f.code == 200 ? &s->transfers : f.code == 302 ? &s->redirects : &s->transfers_failed);
    if (f.kind == FACT_CALL_END && !f.u.end.refused && s->n_ends < ARRAY_LEN(s->ends))
        s->ends[s->n_ends++] = f.u.end.session;
}

static void to_agent(struct sim *s, const struct intent *i)
{
    if (str_search(i->bytes, STR("evil.invalid")) < i->bytes.n) { /* he wrote in its name */
        hostile_heard(s, i->bytes);
        return;
    }
    for (unsigned k = 0; k < s->n_ua; k++)
        if (addr_eq(&s->ua[k].addr, &i->flow.peer)) {
            if (i->flow.listener != s->ua[k].listener)
                sim_fail(s, "sent from the wrong side", i->bytes);
            show(s, "  <- to  ", &s->ua[k], i->bytes);
            check_hidden(s, &s->ua[k], i->bytes);
            send(s, &s->ua[k], i->bytes, arrive_ua, true);
            return;
        }
    static const char *const hostile[] = {"203.0.113.66:0", "203.0.113.77:0"};
    for (unsigned k = 0; k < ARRAY_LEN(hostile); k++) {
        struct addr a = test_addr(hostile[k]);
        if (addr_eq_ip(&a, &i->flow.peer)) {
            hostile_heard(s, i->bytes);
            return;
        }
    }
    sim_fail(s, "sent to nobody", i->bytes);
}

struct forwarded {
    struct flow f;
    size_t n;
    char bytes[];
};

static void arrive_forward(struct sim *s, void *who, int64_t engine)
{
    struct forwarded *x = who;
    core_forwarded(s->g.core[engine], &x->f, str_of(x->bytes, x->n), false, s->g.now);
    free(x);
}

static void carry(struct sim *s)
{
    for (unsigned e = 0; e < s->g.n; e++) {
        struct intents *in = &s->g.intents[e];
        for (size_t k = 0; k < in->n; k++) {
            const struct intent *i = &in->v[k];
            if (i->kind == INTENT_SEND) {
                to_agent(s, i);
            } else if (i->kind == INTENT_ASK) {
                vault_asked(s, e, i->bytes);
            } else if (i->kind == INTENT_FACT) {
                fact_seen(s, i->bytes);
            } else if (i->kind == INTENT_BAN) {
                hostile_ban(s, i->bytes);
            } else if (i->kind == INTENT_OBSERVE) {
                hostile_observe(s, i);
            } else if (i->kind == INTENT_FORWARD) {
                struct forwarded *x = malloc(sizeof *x + i->bytes.n);
                x->f = i->flow;
                x->n = i->bytes.n;
                memcpy(x->bytes, i->bytes.p, i->bytes.n);
                sim_at(s, 0, arrive_forward, x, i->engine);
            }
        }
        if (in->lost)
            sim_fail(s, "an intent was lost", STR_NONE);
        intents_reset(in);
    }
}

static void run(struct sim *s, int64_t until_us)
{
    while (!s->failed) {
        int64_t next = s->n_heap ? s->heap[0].at : INT64_MAX;
        for (unsigned e = 0; e < s->g.n; e++)
            next = MIN(next, core_next(s->g.core[e]).us);
        if (next > until_us)
            break;
        int64_t step = MAX(next - s->g.now.mono.us, 0);
        s->g.now.mono.us += step;
        s->g.now.wall.us += step;
        for (unsigned e = 0; e < s->g.n; e++)
            core_tick(s->g.core[e], s->g.now);
        carry(s);
        while (s->n_heap && s->heap[0].at <= s->g.now.mono.us) {
            struct event ev = take(s);
            ev.fn(s, ev.who, ev.arg);
            carry(s);
        }
    }
}

/* --- what must hold at the end --- */

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void check_end(struct sim *s)
{
    for (unsigned e = 0; e < s->g.n; e++) {
        struct core_usage u = core_usage(s->g.core[e]);
        char text[256];
        int n = snprintf(text, sizeof text,
                         "engine %u: calls %u legs %u transactions %u pending %u blocks %zu media "
                         "%u ports %u srtp %u exchanges %u timers %u",
                         e, u.calls, u.legs, u.transactions, u.pending, u.blocks_used, u.media.legs,
                         u.media.ports_taken, u.media.srtp_contexts, u.exchanges,
                         s->g.core[e]->wheel.armed);
        if (u.calls || u.legs || u.transactions || u.pending || u.blocks_used || u.media.legs ||
            u.media.ports_taken || u.media.srtp_contexts || u.exchanges ||
            s->g.core[e]->wheel.armed != 1) {
            static char json[65536];
            struct out o = out_of(json, sizeof json);
            uint32_t it = 0;
            sim_fail(s, "something is left", str_of(text, (size_t)n));
            while (core_calls_json(s->g.core[e], &it, &o, s->g.now))
                ;
            printf("%.*s\n", (int)o.n, o.p);
        }
    }
    struct ledger_sum held = ledger_sum(
        &s->g.cfg[0].ledger, LEDGER_SYSTEM,
        ledger_key_of(&s->g.cfg[0].ledger_key, LEDGER_SYSTEM, STR("system")), s->g.now.wall);
    if (held.calls)
        sim_fail(s, "the ledger holds calls that are over", STR_NONE);
    qsort(s->starts, s->n_starts, sizeof *s->starts, by_number);
    qsort(s->ends, s->n_ends, sizeof *s->ends, by_number);
    if (s->n_starts != s->n_ends ||
        memcmp(s->starts, s->ends, s->n_starts * sizeof *s->starts) != 0)
        sim_fail(s, "calls begun and calls ended differ", STR_NONE);
    for (size_t i = 1; i < s->n_starts; i++)
        if (s->starts[i] == s->starts[i - 1])
            sim_fail(s, "a session number came twice", STR_NONE);
    for (struct dlg *d = s->dlgs; d; d = d->next) {
        if (d->caller && d != d->ua->reg && d->finals != 1 && !d->dead)
            sim_fail(s, d->finals ? "more than one final response" : "no final response",
                     str_c(d->id));
        if (d->state == DLG_UP && !d->sent_bye && !d->got_bye)
            sim_fail(s, "a dialog of an agent was never ended", str_c(d->id));
    }
    if (expect_failed)
        sim_fail(s, "an EXPECT failed", STR_NONE);
}

static void sim_free(struct sim *s)
{
    while (s->dlgs) {
        struct dlg *d = s->dlgs;
        s->dlgs = d->next;
        free(d);
    }
    while (s->txs) {
        struct tx *t = s->txs;
        s->txs = t->next;
        free(t->bytes);
        free(t->req);
        free(t);
    }
    while (s->n_heap) {
        struct event e = take(s);
        if (e.fn == arrive_gateway || e.fn == arrive_ua || e.fn == vault_answers ||
            e.fn == arrive_forward || hostile_event(&e))
            free(e.who);
    }
    free(s->heap);
    gateway_done(&s->g);
    free(s);
}

static void agents(struct sim *s)
{
    static const struct {
        const char *addr, *user;
        bool pbx;
    } who[] = {{"203.0.113.5:5060", "alice", false}, {"203.0.113.6:5060", "bob", false},
               {"203.0.113.16:5070", "bob", false},  {"203.0.113.7:5060", "carol", false},
               {"198.51.100.10:5060", "", true},     {"198.51.100.11:5060", "", true}};
    for (size_t i = 0; i < ARRAY_LEN(who); i++) {
        struct ua *u = &s->ua[s->n_ua++];
        u->addr = test_addr(who[i].addr);
        u->user = who[i].user;
        u->pbx = who[i].pbx;
        u->listener = u->pbx ? LISTEN_IN_UDP : LISTEN_OUT_UDP;
        if (!u->pbx)
            sim_at(s, 10 + (int64_t)i, ua_register, u, 0);
    }
}

static bool one(uint64_t seed, bool verbose, unsigned hostile, unsigned counts[17])
{
    struct sim *s = calloc(1, sizeof *s);
    uint8_t key[32] = {0};
    memcpy(key, &seed, sizeof seed);
    rng_init(&s->rng, key);
    s->seed = seed;
    s->verbose = verbose;
    gateway_init(&s->g, 1 + sim_rand(s, TEST_ENGINES), (uint8_t)(seed | 1));
    s->g.policy.limits.session_expires_s = sim_chance(s, 50) ? 90 : 1800;
    s->g.policy.guard.detectors[DET_digest_leak].off = 1; /* phones here challenge for practice */
    s->loss = sim_chance(s, 60) ? sim_rand(s, 200) : 0;
    s->dup = sim_chance(s, 60) ? sim_rand(s, 100) : 0;
    s->late = sim_chance(s, 60) ? sim_rand(s, 200) : 0;
    for (uint8_t z = 0; z < s->g.policy.n_zones; z++) {
        s->g.policy.zones[z].services = sim_chance(s, 85) ? 63 : 0;
        s->g.policy.zones[z].redirect = sim_chance(s, 60);
    }
    for (unsigned e = 0; e < s->g.n; e++)
        core_policy(s->g.core[e], &s->g.policy, s->g.now);
    agents(s);
    for (unsigned i = 0; i < SIM_CALLS; i++)
        sim_at(s, 40000 + sim_rand(s, 60000), ua_call, &s->ua[sim_rand(s, s->n_ua)], 0);
    for (unsigned i = 0; i < SIM_SAYS; i++)
        sim_at(s, 40000 + sim_rand(s, 60000), ua_says, &s->ua[sim_rand(s, s->n_ua)], 0);
    key[8] = 1;
    rng_init(&s->bad_luck, key);
    for (unsigned i = 0; i < hostile; i++)
        sim_at(s, 30000 + rng_below(&s->bad_luck, 80000), hostile_acts, NULL, 0);
    run(s, s->g.now.mono.us + INT64_C(600000000));
    if (!s->failed)
        check_end(s);
    counts[0] += s->calls_made;
    counts[1] += s->calls_up;
    counts[2] += s->calls_refused;
    counts[3] += s->calls_cancelled;
    counts[4] += s->challenges;
    counts[5] += s->credentials;
    counts[6] += s->second_forks;
    counts[7] += s->transfers;
    counts[8] += s->transfers_failed;
    counts[9] += s->redirects;
    counts[10] += s->said;
    counts[11] += s->heard;
    counts[12] += s->watched;
    counts[13] += s->noted;
    counts[14] += s->hostile_sent;
    counts[15] += s->hostile_answers;
    counts[16] += s->bans;
    bool ok = !s->failed;
    sim_free(s);
    return ok;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, n = 150;
    bool verbose = false;
    unsigned counts[17] = {0}, bad = 0, hostile = SIM_HOSTILE;
    static const struct option options[] = {{"seed", 1, NULL, 's'},    {"seeds", 1, NULL, 'n'},
                                            {"first", 1, NULL, 'f'},   {"hostile", 1, NULL, 'h'},
                                            {"verbose", 0, NULL, 'v'}, {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's' || c == 'f')
            first = strtoull(optarg, NULL, 10);
        if (c == 's')
            n = 1;
        else if (c == 'n')
            n = strtoull(optarg, NULL, 10);
        else if (c == 'h')
            hostile = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'v')
            verbose = true;
        else if (c == '?')
            return 2;
    }
    for (uint64_t i = 0; i < n && bad < 5; i++)
        bad += !one(first + i, verbose, hostile, counts);
    printf("sim: %u calls: %u answered, %u refused, %u cancelled; %u bad seeds%s\n", counts[0],
           counts[1], counts[2], counts[3], bad, bad ? " (replay: sim --seed N --verbose)" : "");
    printf("     %u challenges of a PBX, %u answered; %u second answers behind one leg\n",
           counts[4], counts[5], counts[6]);
    printf("     %u transfers, %u that came to nothing; %u redirections followed\n", counts[7],
           counts[8], counts[9]);
    printf("     %u messages, %u taken; %u subscriptions, %u notifications\n", counts[10],
           counts[11], counts[12], counts[13]);
    printf("     %u hostile datagrams, %u answers to them; %u bans\n", counts[14], counts[15],
           counts[16]);
    /* Most challenges are answered (the vault dies now and then, callers give up). */
    if (n >= 50 && (counts[5] * 4 < counts[4] * 3 || !counts[6] || counts[7] < n / 2 ||
                    !counts[9] || counts[11] < n || counts[12] < n || counts[13] < n ||
                    (hostile >= SIM_HOSTILE && counts[16] < n))) {
        printf("sim: too few\n");
        bad++;
    }
    return bad ? 1 : 0;
}
