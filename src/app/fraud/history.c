#include "app/fraud/history.h"
#include "call/payer.h"
#include "guard/fraud.h"
#include "guard/ledger.h"
#include <stdlib.h>

#define LIVE      65536u
#define LOCKS     65536u /* slots of the table of locks */
#define TOLD      1000u  /* refused calls listed */
#define ROWS      65536u
#define DAY_US    INT64_C(86400000000)
#define LOCK_DAYS 1

static const struct sipkey KEY = {0x72696e67, 0x77616c6c};

struct live { /* heap by at_us */
    int64_t at_us, end_us, began_us;
    size_t record;
    uint64_t who;
    struct ledger_hold hold;
    struct ledger_key keys[LEDGER_KEYS];
    uint8_t n_keys;
    struct fraud_event e;
};
struct lock {
    uint64_t who;
    int64_t until_us;
};
struct judge {
    const struct records *r;
    const struct history_opts *o;
    struct fraud *f;
    struct ledger l;
    struct live *heap;
    size_t n_live;
    struct lock *locks;
    json_t *told, *locked;
    uint64_t outside, internal, refused, cut, by_reason[REASON_COUNT], lost;
    uint64_t fraud, fraud_hit, honest, honest_hit;
    int64_t spent, saved, hit_last;
};

static struct lock *lock_of(struct judge *j, uint64_t who)
{
    for (uint64_t i = 0; i < 16; i++) {
        struct lock *l = &j->locks[(who + i) % LOCKS];
        if (l->who == who || !l->who)
            return l;
    }
    return &j->locks[who % LOCKS];
}

static bool is_locked(struct judge *j, uint64_t who, int64_t now_us)
{
    const struct lock *l = lock_of(j, who);
    return l->who == who && now_us < l->until_us;
}

static void time_put(json_t *x, const char *key, int64_t us)
{
    (void)json_object_set_new(x, key, json_integer(us));
}

static json_t *signs_of(uint16_t signs)
{
    json_t *v = json_array();
    for (unsigned i = 0; i < SIGN_COUNT; i++)
        if (signs >> i & 1)
            (void)json_array_append_new(v, json_string(fraud_sign_name((enum fraud_sign)i).p));
    return v;
}

static json_t *text(struct str s)
{
    json_t *v = json_stringn(s.p ? s.p : "", s.n);
    return v ? v : json_string("?"); /* no UTF-8 */
}

static void lock(struct judge *j, const struct record *x, uint64_t who, int64_t now_us,
                 const struct fraud_verdict *v)
{
    const struct fraud_policy *p = &j->o->policy->fraud;
    struct lock *l = lock_of(j, who);
    if (v->dry || is_locked(j, who, now_us))
        return;
    l->who = who;
    l->until_us = now_us + (p->lock_s ? p->lock_s * INT64_C(1000000) : LOCK_DAYS * DAY_US);
    json_t *o = json_object();
    (void)json_object_set_new(o, "user", text(x->user));
    time_put(o, "at_us", now_us);
    (void)json_object_set_new(o, "score", json_integer(v->score));
    (void)json_object_set_new(o, "signs", signs_of(v->signs));
    (void)json_object_set_new(o, "line", json_integer(x->line));
    (void)json_array_append_new(j->locked, o);
}

static int64_t price_of(const struct record *x, const struct rate *r, uint32_t seconds)
{
    return x->priced && x->seconds ? x->price_micro / x->seconds * seconds +
                                         x->price_micro % x->seconds * seconds / x->seconds
                                   : rate_price(r, seconds);
}

static void hit(struct judge *j, const struct record *x, const char *what, enum reason why,
                int64_t at_us, int64_t saved, uint16_t signs)
{
    j->by_reason[why]++;
    j->saved += saved;
    j->fraud_hit += x->label == 2;
    j->honest_hit += x->label == 1;
    if (json_array_size(j->told) >= TOLD) {
        j->lost++;
        return;
    }
    json_t *o = json_object();
    (void)json_object_set_new(o, "line", json_integer(x->line));
    time_put(o, "at_us", at_us);
    (void)json_object_set_new(o, "user", text(x->user));
    (void)json_object_set_new(o, "to", text(x->to_e164.n ? x->to_e164 : x->to));
    (void)json_object_set_new(o, "what", json_string(what));
    (void)json_object_set_new(o, "reason", text(reason_info(why)->name));
    (void)json_object_set_new(o, "saved_micro", json_integer(saved));
    (void)json_object_set_new(o, "signs", signs_of(signs));
    (void)json_array_append_new(j->told, o);
}

/* --- running calls --- */

static void sift(struct judge *j, size_t i)
{
    struct live x = j->heap[i];
    while (i > 0 && j->heap[(i - 1) / 2].at_us > x.at_us) {
        j->heap[i] = j->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    for (size_t k; (k = 2 * i + 1) < j->n_live; i = k) {
        if (k + 1 < j->n_live && j->heap[k + 1].at_us < j->heap[k].at_us)
            k++;
        if (j->heap[k].at_us >= x.at_us)
            break;
        j->heap[i] = j->heap[k];
    }
    j->heap[i] = x;
}

static void end(struct judge *j, size_t i, int64_t at_us, enum reason why)
{
    struct live x = j->heap[i];
    const struct record *r = &j->r->v[x.record];
    uint32_t s = (uint32_t)MIN((at_us - x.began_us + 999999) / 1000000, r->seconds);
    int64_t whole = price_of(r, &x.hold.rate, r->seconds), cost = price_of(r, &x.hold.rate, s);
    struct fraud_verdict v;
    j->heap[i] = j->heap[--j->n_live];
    if (i < j->n_live)
        sift(j, i);
    (void)ledger_release(&j->l, &x.hold, s, (struct wall){at_us});
    if (why != REASON_NONE) {
        j->cut++;
        hit(j, r, "cut", why, at_us, whole - cost, 0);
    }
    x.e.what = FRAUD_ENDED;
    x.e.at.us = at_us;
    x.e.seconds = s;
    x.e.code = 200;
    x.e.micro = cost;
    fraud_step(j->f, &x.e, &v);
    if (v.act == FRAUD_LOCK)
        lock(j, r, x.who, at_us, &v);
}

static void cut_locked(struct judge *j, uint64_t who, int64_t now_us)
{
    for (size_t i = 0; i < j->n_live;)
        if (j->heap[i].who == who) {
            end(j, i, now_us, REASON_fraud_cut);
            i = 0;
        } else {
            i++;
        }
}

static void pass(struct judge *j, int64_t until_us)
{
    while (j->n_live && j->heap[0].at_us <= until_us) {
        struct live *x = &j->heap[0];
        uint32_t next = UINT32_MAX, s = (uint32_t)((x->at_us - x->began_us) / 1000000);
        uint64_t who = x->who;
        int64_t at_us = x->at_us;
        enum reason why = REASON_NONE;
        bool was = is_locked(j, who, at_us);
        if (at_us < x->end_us)
            why = ledger_run(&j->l, x->keys, x->n_keys, &x->hold, s, (struct wall){at_us}, &next);
        if (at_us >= x->end_us || (why != REASON_NONE && next <= s)) {
            end(j, 0, at_us, at_us >= x->end_us ? REASON_NONE : why);
            if (!was && is_locked(j, who, at_us))
                cut_locked(j, who, at_us);
            continue;
        }
        x->at_us = next == UINT32_MAX
                       ? x->end_us
                       : MIN(x->end_us, x->began_us + MAX(next, s + 1) * INT64_C(1000000));
        sift(j, 0);
    }
}

/* --- calls --- */

static const struct policy_peer *trunk_of(const struct policy *p, struct str name)
{
    for (unsigned i = 0; i < p->n_peers; i++)
        if (name.n && str_eq(policy_text(p, p->peers[i].name), name))
            return &p->peers[i];
    return NULL;
}

/* Records do not say where somebody sits: the first site that has a country. */
static const struct rights_site *site_of(const struct policy *p)
{
    for (unsigned i = 0; i < p->n_sites && i < RIGHTS_SITES; i++)
        if (p->sites[i].country)
            return &p->sites[i];
    return policy_site(p, STR_NONE);
}

static uint8_t role_of(const struct policy *p, struct str name)
{
    for (uint8_t i = 0; i < p->n_roles; i++)
        if (name.n && str_eq(policy_text(p, p->roles[i].name), name))
            return i;
    return 0;
}

static void number_of_record(const struct policy *p, const struct rights_site *s,
                             const struct record *x, struct number *ret_n)
{
    struct dial_plan plan = policy_plan(p, s);
    enum number_class said;
    struct str to = x->to_e164.n ? x->to_e164 : x->to;
    if (number_of(&plan, to, ret_n) != OK)
        *ret_n = (struct number){.kind = CLASS_UNKNOWN};
    if ((!plan.country || !x->to_e164.n) && number_class_parse(x->kind, &said))
        ret_n->kind = (uint8_t)said;
}

/* Records do not say from which device; a user's name has a role. */
static void keys_of(struct judge *j, struct live *x, const struct number *n,
                    const struct payer *who, const struct rate *rate,
                    const struct policy_peer *trunk)
{
    const struct policy *p = j->o->policy;
    const struct money_bill b = {.by = who,
                                 .number = str_of(n->e164, n->n),
                                 .country = n->country,
                                 .kind = n->kind,
                                 .rate_prefix_n = rate->prefix_n,
                                 .peer = trunk ? (uint8_t)(trunk - p->peers) : POLICY_NONE};
    x->n_keys = money_keys(p, &KEY, &b, false, x->keys);
}

static enum reason may(struct judge *j, struct live *x, const struct number *n,
                       const struct payer *who, const struct rate *rate, uint16_t *ret_signs)
{
    const struct policy *p = j->o->policy;
    struct fraud_verdict v;
    struct ledger_refusal no;
    if (n->kind == CLASS_EMERGENCY)
        return REASON_NONE;
    enum reason why = who->role < p->n_roles
                          ? rights_call(&p->roles[who->role].rights, who->site, n, x->e.at)
                          : REASON_NONE;
    if (why == REASON_NONE && is_locked(j, x->who, x->e.at.us))
        why = REASON_fraud_locked;
    if (why != REASON_NONE)
        return why;
    fraud_step(j->f, &x->e, &v);
    *ret_signs = v.signs;
    if (v.act == FRAUD_LOCK)
        lock(j, &j->r->v[x->record], x->who, x->e.at.us, &v);
    if (!v.dry && v.act >= FRAUD_CUT)
        cut_locked(j, x->who, x->e.at.us);
    if (!v.dry && v.act >= FRAUD_STEP_UP)
        return v.act == FRAUD_LOCK ? REASON_fraud_locked : REASON_fraud_behaviour;
    return ledger_reserve(&j->l, x->keys, x->n_keys, rate, x->e.at, &x->hold, &no);
}

/* It goes: until its end, or until it is cut. */
static void begin(struct judge *j, struct live *x, const struct record *r)
{
    struct fraud_verdict v;
    if (!r->seconds || j->n_live == LIVE) {
        (void)ledger_release(&j->l, &x->hold, 0, x->e.at);
        x->e.what = FRAUD_ENDED;
        x->e.code = r->code;
        fraud_step(j->f, &x->e, &v);
        return;
    }
    x->e.what = FRAUD_ANSWERED;
    fraud_step(j->f, &x->e, &v);
    x->at_us = x->began_us;
    x->end_us = x->began_us + r->seconds * INT64_C(1000000);
    j->heap[j->n_live++] = *x;
    sift(j, j->n_live - 1);
}

static void call(struct judge *j, size_t i)
{
    const struct policy *p = j->o->policy;
    const struct record *r = &j->r->v[i];
    const struct rights_site *s = site_of(p);
    const struct policy_peer *trunk = trunk_of(p, r->trunk);
    struct str payer = r->transferred_by.n ? r->transferred_by : r->user;
    struct number n;
    const struct payer who = {.who = payer,
                              .site = s,
                              .role = role_of(p, r->role),
                              .user = true,
                              .off_hours = !rights_open(s, (struct wall){r->start_us})};
    number_of_record(p, s, r, &n);
    if (n.kind == CLASS_INTERNAL || !payer.n) {
        j->internal++;
        return;
    }
    struct live x = {.record = i, .who = ledger_key_of(&KEY, LEDGER_IDENTITY, payer)};
    struct rate rate;
    x.began_us = r->answer_us ? r->answer_us : r->start_us;
    if (!trunk || !trunk->deck || !j->o->rates ||
        !rates_find(j->o->rates, trunk->deck, str_of(n.e164, n.n), (struct wall){r->start_us},
                    &rate))
        rate = rate_of_class(n.kind);
    x.e = (struct fraud_event){.at = {r->start_us},
                               .identity = x.who,
                               .micro = rate_price(&rate, 60),
                               .country = n.country,
                               .source_country = country_parse(r->source_country),
                               .what = FRAUD_ATTEMPT,
                               .kind = n.kind,
                               .off_hours = who.off_hours};
    memcpy(x.e.number, n.e164, MIN(n.n, sizeof x.e.number - 1));
    uint16_t signs = 0;
    int64_t cost = price_of(r, &rate, r->seconds);
    keys_of(j, &x, &n, &who, &rate, trunk);
    j->outside++;
    j->spent += cost;
    j->fraud += r->label == 2;
    j->honest += r->label == 1;
    enum reason why = may(j, &x, &n, &who, &rate, &signs);
    if (why != REASON_NONE) {
        j->refused++;
        hit(j, r, "refused", why, r->start_us, cost, signs);
        return;
    }
    x.hold.rate = rate;
    begin(j, &x, r);
}

static json_t *report(struct judge *j)
{
    json_t *o = json_object(), *by = json_object();
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (j->by_reason[i])
            (void)json_object_set_new(by, reason_info((enum reason)i)->name.p,
                                      json_integer((json_int_t)j->by_reason[i]));
    const struct {
        const char *key;
        uint64_t v;
    } N[] = {{"records", j->r->n},
             {"bad_lines", j->r->bad},
             {"outside", j->outside},
             {"internal", j->internal},
             {"refused", j->refused},
             {"cut", j->cut},
             {"not_listed", j->lost},
             {"spent_micro", (uint64_t)MAX(j->spent, 0)},
             {"saved_micro", (uint64_t)MAX(j->saved, 0)},
             {"lock_assumed_s",
              j->o->policy->fraud.lock_s ? j->o->policy->fraud.lock_s : LOCK_DAYS * 86400}};
    for (unsigned i = 0; i < ARRAY_LEN(N); i++)
        (void)json_object_set_new(o, N[i].key, json_integer((json_int_t)N[i].v));
    (void)json_object_set_new(o, "dry_run", json_boolean(j->o->policy->fraud.dry_run));
    if (j->r->labels)
        (void)json_object_set_new(o, "labels",
                                  json_pack("{s:I,s:I,s:I,s:I}", "fraud", (json_int_t)j->fraud,
                                            "fraud_stopped", (json_int_t)j->fraud_hit, "honest",
                                            (json_int_t)j->honest, "false_alarms",
                                            (json_int_t)j->honest_hit));
    (void)json_object_set_new(o, "by_reason", by);
    (void)json_object_set(o, "locks", j->locked);
    (void)json_object_set(o, "calls", j->told);
    return o;
}

static bool judge_init(struct judge *j)
{
    void *f = calloc(1, fraud_bytes(ROWS));
    struct ledger_shard *s = calloc(1, ledger_bytes(ROWS));
    j->heap = calloc(LIVE, sizeof *j->heap);
    j->locks = calloc(LOCKS, sizeof *j->locks);
    j->told = json_array();
    j->locked = json_array();
    j->f = f;
    j->l.own = s;
    if (!f || !s || !j->heap || !j->locks)
        return false;
    j->f = fraud_init(f, ROWS, &j->o->policy->fraud, &KEY);
    ledger_begin(s, ROWS, &KEY);
    j->l.shard[0] = s;
    j->l.bytes[0] = ledger_bytes(ROWS);
    j->l.n = 1;
    return true;
}

json_t *history_judge(const struct records *r, const struct history_opts *o)
{
    struct judge *j = calloc(1, sizeof *j);
    json_t *doc = NULL;
    if (!j)
        return NULL;
    j->r = r;
    j->o = o;
    if (judge_init(j)) {
        for (size_t i = 0; i < r->n; i++) {
            pass(j, r->v[i].start_us);
            call(j, i);
            if (o->progress && i % 100000 == 99999)
                (void)fprintf(o->progress, "\r%zu of %zu calls", i + 1, r->n);
        }
        pass(j, INT64_MAX);
        doc = report(j);
    }
    json_decref(j->told);
    json_decref(j->locked);
    free(j->heap);
    free(j->locks);
    free(j->f);
    free(j->l.own);
    free(j);
    return doc;
}
