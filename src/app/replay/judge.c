/* One configuration's gates, signatures and detectors. The order is that of a running engine: the
 * door before parsing, the gates, what the shield observes, what it asks for. */
#include "app/replay/state.h"
#include "io/rand.h"

static bool board(struct judge *j)
{
    j->board = calloc(1, ban_bytes(BOARD_CAP));
    j->ban_hits = calloc(BOARD_CAP, sizeof *j->ban_hits);
    j->slot_owner = calloc(BOARD_CAP, sizeof *j->slot_owner);
    if (!j->board || !j->ban_hits || !j->slot_owner)
        return false;
    ban_init(j->board, BOARD_CAP);
    j->env.bans = j->board;
    j->env.bans_cap = BOARD_CAP;
    j->env.ban_hits = j->ban_hits;
    return true;
}

static bool shield(struct replay *r, struct judge *j)
{
    struct now zero = {{1}, {1}};
    struct guard_cfg g = {.engines = 1,
                          .sources = 65536,
                          .parties = 32768,
                          .key = r->key,
                          .policy = &j->policy->guard,
                          .bans = j->board,
                          .bans_cap = BOARD_CAP};
    void *mem = aligned_alloc(64, (guard_bytes(&g) + 63) & ~(size_t)63);
    if (!mem)
        return false;
    memset(mem, 0, (guard_bytes(&g) + 63) & ~(size_t)63);
    j->guard = guard_init(mem, &g, zero);
    j->env.guard = j->guard;
    if (!j->by->rules)
        return true;
    void *state = calloc(1, rules_state_bytes(j->by->rules));
    if (!state)
        return false;
    j->env.rules = j->by->rules;
    j->env.scanner = j->by->scanner;
    j->env.rules_state = rules_state_init(state, j->by->rules);
    j->rtp_rules = rules_want_rtp(j->by->rules);
    return true;
}

bool judge_init(struct replay *r, unsigned i)
{
    struct judge *j = &r->judges[i];
    uint8_t seed[32];
    j->by = &r->o.by[i];
    j->policy = j->by->policy;
    j->alerts = calloc(ALERTS, sizeof *j->alerts);
    j->bans = calloc(BANS, sizeof *j->bans);
    j->rng = calloc(1, sizeof *j->rng);
    void *rate = calloc(1, rate_bytes(RATE_CAP));
    if (!j->alerts || !j->bans || !j->rng || !rate || rand_bytes(seed, sizeof seed) != OK)
        return false;
    rng_init(j->rng, seed);
    j->env.policy = j->policy;
    j->env.rate = rate_init(rate, RATE_CAP);
    j->env.rng = j->rng;
    j->env.hash_key = j->env.nonce_key = r->key;
    j->env.calls_cap = j->env.trans_cap = UINT32_MAX;
    j->env.geo = j->by->geo;
    j->env.hits = &j->hits;
    return board(j) && shield(r, j);
}

/* -- whom it comes from -- */

static bool own(const struct judge *j, uint8_t proto, const struct addr *a)
{
    for (unsigned i = 0; i < j->policy->n_listeners && !j->by->assumed; i++) {
        const struct policy_listener *l = &j->policy->listeners[i];
        if (l->proto == proto && (addr_eq(&l->bind, a) || addr_eq(&l->advertise, a)))
            return true;
    }
    return false;
}

/* The listener that is written on the message; else the first of its transport whose zones know the
 * source, as if the message had been sent to the gateway. */
static uint8_t listener(const struct judge *j, uint8_t proto, const struct addr *src,
                        const struct addr *dst)
{
    const struct policy *p = j->policy;
    uint8_t first = POLICY_NONE, fits = POLICY_NONE;
    for (uint8_t i = 0; i < p->n_listeners; i++) {
        const struct policy_listener *l = &p->listeners[i];
        if (l->proto != proto)
            continue;
        if (addr_eq(&l->bind, dst) || addr_eq(&l->advertise, dst))
            return i;
        if (first == POLICY_NONE)
            first = i;
        if (fits == POLICY_NONE && policy_zone_of(p, i, src) != POLICY_NONE)
            fits = i;
    }
    return fits != POLICY_NONE ? fits : first != POLICY_NONE ? first : 0;
}

static struct flow flow_of(const struct judge *j, const struct seen *s)
{
    return (struct flow){
        .proto = s->proto, .listener = listener(j, s->proto, &s->src, &s->dst), .peer = s->src};
}

static bool is_peer(const struct judge *j, const struct flow *f, uint8_t *ret_zone)
{
    *ret_zone = policy_zone_of(j->policy, f->listener, &f->peer);
    return *ret_zone != POLICY_NONE &&
           targets_peer_of(j->policy, NULL, *ret_zone, &f->peer) != POLICY_NONE;
}

/* Of the default's zones the second alone asks for proof: inside, an office is believed. */
static bool authenticates(const struct judge *j, uint8_t zone)
{
    return j->by->assumed ? zone == 1 : j->policy->zones[zone].authenticate;
}

bool judge_banned(struct replay *r, unsigned i, const struct addr *source)
{
    struct judge *j = &r->judges[i];
    struct ban_view v;
    return ban_of_source(j->board, BOARD_CAP, source, r->now.wall, &v) &&
           (v.treat == TREAT_BAN || v.treat == TREAT_DROP || v.treat == TREAT_KICK);
}

/* -- verdicts -- */

void judge_count(struct judge *j, struct outcome o)
{
    if (o.kind == OUT_SKIPPED)
        return;
    j->kinds[MIN(o.kind, (uint8_t)VERDICT_WAIT)]++;
    if (o.reason < REASON_COUNT)
        j->reasons[o.reason]++;
}

void judge_diff(struct replay *r, const struct addr *source, uint8_t method, struct outcome a,
                struct outcome b)
{
    if ((a.kind == b.kind && a.reason == b.reason) || a.kind == VERDICT_NONE ||
        b.kind == VERDICT_NONE)
        return;
    struct addr s = *source;
    s.port = 0;
    for (uint32_t i = 0; i < r->n_diffs; i++) {
        struct diff *d = &r->diffs[i];
        if (d->method == method && d->a.kind == a.kind && d->a.reason == a.reason &&
            d->b.kind == b.kind && d->b.reason == b.reason && addr_eq(&d->source, &s)) {
            d->n++;
            return;
        }
    }
    if (r->n_diffs == DIFFS)
        r->diffs_lost++;
    else
        r->diffs[r->n_diffs++] = (struct diff){a, b, s, method, 1};
}

static struct outcome outcome_of(const struct verdict *v)
{
    return (struct outcome){v->kind, (uint16_t)v->reason};
}

static void below(struct replay *r, struct judge *j, const struct seen *s, enum reason why)
{
    struct obs o = {.kind = OBS_BELOW,
                    .proto = s->proto,
                    .zone = POLICY_NONE,
                    .reason = (uint16_t)why,
                    .n = 1,
                    .listener = UINT32_MAX,
                    .source = s->src,
                    .flags = s->stream ? OBS_PROVEN : 0};
    struct flow f = flow_of(j, s);
    uint8_t zone;
    if (is_peer(j, &f, &zone))
        o.flags |= OBS_PEER;
    if (reason_info(why)->hostile)
        judge_observe(r, (unsigned)(j - r->judges), &o, NULL);
}

bool judge_door(struct replay *r, struct judge *j, const struct seen *s, struct outcome *ret_o)
{
    struct ban_view v = {0};
    uint8_t zone;
    if (own(j, s->proto, &s->src)) {
        *ret_o = (struct outcome){OUT_SKIPPED, 0};
        j->own++;
        return false;
    }
    struct flow f = flow_of(j, s);
    if (is_peer(j, &f, &zone))
        return true;
    enum reason why = guard_before(j->guard, &s->src, false, s->bytes, r->now, &v);
    if (why == REASON_NONE)
        return true;
    *ret_o = (struct outcome){VERDICT_DROP, (uint16_t)why};
    judge_count(j, *ret_o);
    if (why == REASON_shield_banned && v.slot < BOARD_CAP)
        j->ban_hits[v.slot]++;
    if (why == REASON_shield_rate)
        below(r, j, s, why);
    return false;
}

/* Misuse that one message shows by itself is worth a line, whatever it weighs. */
static void told(struct replay *r, struct judge *j, const struct addr *source, enum reason why,
                 struct str who, const struct trans *t)
{
    const struct reason_info *info = reason_info(why);
    if (info->severity >= SEV_WARN && info->hostile)
        judge_plain(r, (unsigned)(j - r->judges), source, why, who, t);
}

void judge_malformed(struct replay *r, struct judge *j, const struct seen *s, enum reason why,
                     struct outcome *ret_o)
{
    *ret_o =
        (struct outcome){reason_info(why)->code ? VERDICT_REFUSE : VERDICT_DROP, (uint16_t)why};
    judge_count(j, *ret_o);
    told(r, j, &s->src, why, STR_NONE, NULL);
    below(r, j, s, why);
}

/* -- requests -- */

static bool printable(char c)
{
    return c > 0x20 && c < 0x7f;
}

static void who_set(struct obs *o, struct str who)
{
    o->who_n = (uint8_t)MIN(who.n, (size_t)OBS_WHO);
    for (unsigned i = 0; i < o->who_n; i++)
        o->who[i] = printable(who.p[i]) ? who.p[i] : '?';
}

static void rule_hits(struct replay *r, unsigned i, const struct obs *o, const struct trans *t)
{
    struct judge *j = &r->judges[i];
    struct gate_hits hits = j->hits;
    j->hits.n = 0;
    for (unsigned k = 0; k < hits.n; k++)
        if (hits.v[k].action != RULE_PASS && !hits.v[k].quiet)
            judge_rule(r, i, &hits.v[k], o, t);
}

static bool decoy(const struct judge *j, struct str name)
{
    struct str user;
    str_cut(name, '@', &user);
    const struct guard_policy *p = &j->policy->guard;
    for (unsigned i = 0; user.n && i < p->n_decoys; i++)
        if (str_ieq(user, policy_text(j->policy, p->decoys[i])))
            return true;
    return false;
}

static void names(const struct judge *j, const struct request *q, struct obs *o)
{
    char text[64];
    size_t n;
    struct sip_uri u;
    struct str claimed = gate_claimed(q->m);
    struct str scheme = str_cut(claimed, ':', &(struct str){0});
    who_set(o, scheme.n ? scheme : claimed);
    if (sip_uri_parse(claimed, &u) == OK && decoy(j, u.user))
        o->flags |= OBS_DECOY;
    if (q->m->method != SIP_REGISTER &&
        dialled_of_uri(sip_text(q->m, q->m->uri), text, sizeof text, &n) &&
        decoy(j, str_of(text, n)))
        o->flags |= OBS_DECOY;
}

static void obs_fill(const struct judge *j, const struct request *q, const struct trans *t,
                     struct obs *o)
{
    *o = (struct obs){.kind = OBS_REQUEST,
                      .method = t->method,
                      .proto = t->proto,
                      .zone = q->zone,
                      .country = q->country,
                      .n = 1,
                      .listener = q->flow.listener,
                      .source = t->src,
                      .aor = q->aor_hash,
                      .device = q->device,
                      .number = q->number,
                      .agent = q->agent};
    o->flags =
        (uint16_t)((t->proven ? OBS_PROVEN : 0) | (t->in_dialog ? OBS_IN_DIALOG : 0) |
                   (q->emergency ? OBS_EMERGENCY : 0) | (q->peer != POLICY_NONE ? OBS_PEER : 0));
    if (!t->in_dialog)
        names(j, q, o);
}

static struct verdict gates(const struct judge *j, struct request *q)
{
    static gate_fn *const BEFORE[] = {gate_source, gate_rate, gate_sanity, gate_signature,
                                      gate_emergency};
    struct verdict v = gate_pass();
    for (size_t i = 0; i < ARRAY_LEN(BEFORE) && v.kind == VERDICT_PASS; i++)
        v = BEFORE[i](&j->env, q, NULL);
    if (v.kind == VERDICT_PASS)
        v = gate_ban_party(&j->env, q);
    if (v.kind == VERDICT_PASS && q->locked && !q->emergency)
        v = gate_refuse(REASON_shield_party);
    return v;
}

/* What the routing rules say, once who asks is taken for granted. */
static struct verdict right(const struct judge *j, struct request *q)
{
    if (j->by->assumed)
        return gate_pass();
    bool peer = q->peer != POLICY_NONE;
    q->ident = peer ? IDENT_PEER : IDENT_USER;
    q->role = peer ? POLICY_NONE : 0;
    return gate_right(&j->env, q, NULL);
}

static void decided(struct replay *r, unsigned i, struct trans *t, struct verdict v)
{
    struct judge *j = &r->judges[i];
    struct obs *o = &t->j[i].o;
    t->j[i].out = outcome_of(&v);
    judge_count(j, t->j[i].out);
    o->reason = (uint16_t)v.reason;
    o->code = v.code;
    if (v.kind != VERDICT_PASS)
        told(r, j, &t->src, v.reason, str_of(o->who, o->who_n), t);
    if (v.kind != VERDICT_PASS || !t->in_dialog)
        judge_observe(r, i, o, t);
}

void judge_request(struct replay *r, unsigned i, const struct seen *s, struct trans *t,
                   const struct call *k)
{
    struct judge *j = &r->judges[i];
    struct request q;
    struct flow f = flow_of(j, s);
    request_init(&q, &r->m, &f, r->now);
    q.in_dialog = t->in_dialog && k;
    q.dialog_authenticated = q.in_dialog;
    j->hits.n = 0;
    struct verdict v = gates(j, &q);
    obs_fill(j, &q, t, &t->j[i].o);
    rule_hits(r, i, &t->j[i].o, t);
    /* Within a call, but from nobody who takes part in it. */
    bool call = t->method == SIP_BYE || t->method == SIP_CANCEL || t->method == SIP_INVITE ||
                t->method == SIP_UPDATE || t->method == SIP_INFO || t->method == SIP_REFER;
    if (v.kind == VERDICT_PASS && !k && call &&
        (t->method == SIP_CANCEL ? t->call != 0 : t->in_dialog && t->call))
        v = gate_refuse(REASON_sip_no_dialog);
    if (v.kind == VERDICT_PASS && t->method == SIP_CANCEL) {
        t->j[i].out = outcome_of(&v);
        judge_count(j, t->j[i].out);
        return;
    }
    if (v.kind == VERDICT_PASS && !t->in_dialog) {
        v = right(j, &q);
        if (v.kind == VERDICT_REFUSE && (v.reason == REASON_right_denied))
            v.kind = t->method == SIP_REGISTER ? VERDICT_REFUSE : VERDICT_PASS; /* of no role */
    }
    if (v.kind != VERDICT_PASS) {
        decided(r, i, t, v);
        return;
    }
    t->j[i].authenticate =
        q.zone != POLICY_NONE && authenticates(j, q.zone) && q.peer == POLICY_NONE && !q.in_dialog;
    t->pending |= (uint8_t)(1u << i);
}

/* What the server's answer says of who asked. */
static struct verdict identity(const struct trans *t, bool authenticate, uint16_t code, bool stale,
                               struct obs *o)
{
    bool refused = code == 401 || code == 407 || (code == 403 && t->credentials);
    if (code == 404 || code == 604 || code == 410) {
        o->flags |= OBS_MISSING;
        if (!authenticate || t->credentials)
            return gate_refuse(REASON_route_user_unknown);
    }
    if (code == 481)
        return gate_refuse(t->in_dialog ? REASON_sip_no_dialog : REASON_sip_no_transaction);
    if (refused && t->credentials && stale)
        return gate_challenge(REASON_auth_stale);
    if (refused && t->credentials) {
        o->flags |= OBS_GUESS;
        return gate_refuse(REASON_auth_failed);
    }
    if (refused || (authenticate && !t->credentials))
        return gate_challenge(REASON_auth_required);
    if (t->credentials && code == 0) /* nobody knows */
        return gate_challenge(REASON_auth_required);
    if (t->credentials)
        o->flags |= OBS_USER;
    return gate_pass();
}

static void registered(struct replay *r, unsigned i, const struct trans *t)
{
    struct obs o = t->j[i].o;
    uint64_t device = (o.aor * 31 ^ o.device) | 1;
    uint64_t *at = &r->devices[device % NONCES];
    bool fresh = *at != device;
    *at = device;
    o.kind = OBS_REGISTERED;
    o.code = 200;
    o.reason = REASON_NONE;
    o.flags = (uint16_t)(OBS_PROVEN | OBS_USER | (fresh ? OBS_NEW : 0));
    struct instant until = instant_add(r->now.mono, DUR_S(3700));
    guard_known(r->judges[i].guard, &t->src, until);
    r->n.registrations += i == 0;
    judge_observe(r, i, &o, t);
}

void judge_answered(struct replay *r, unsigned i, struct trans *t, uint16_t code, bool stale)
{
    struct obs *o = &t->j[i].o;
    /* Nothing is configured: whom the server of the capture serves, it knows. */
    bool served = r->judges[i].by->assumed && code >= 180 && code < 400;
    struct verdict v = t->in_dialog && code != 481
                           ? gate_pass()
                           : identity(t, t->j[i].authenticate && !served, code, stale, o);
    decided(r, i, t, v);
    if (t->call && t->method == SIP_INVITE && !t->in_dialog)
        r->calls[t->call - 1].j[i].flags =
            o->flags & (OBS_PEER | OBS_USER | OBS_EMERGENCY | OBS_PROVEN);
    if (v.kind == VERDICT_PASS && t->binds && code >= 200 && code < 300)
        registered(r, i, t);
}

/* Answers to us: who is asked for credentials by the called side may be tricked into giving them.
 */
void judge_response(struct replay *r, unsigned i, const struct seen *s, const struct trans *t)
{
    struct judge *j = &r->judges[i];
    struct flow f = flow_of(j, s);
    uint8_t zone;
    bool peer = is_peer(j, &f, &zone), asks = r->m.code == 401 || r->m.code == 407;
    if (peer || zone == POLICY_NONE || !authenticates(j, zone))
        return;
    bool early = r->now.wall.us - r->first_us < TRANS_US; /* its request was before the capture */
    if (t ? !(asks && t->in_dialog) : early)
        return;
    struct obs o = {.kind = OBS_RESPONSE,
                    .method = (uint8_t)r->m.method,
                    .proto = s->proto,
                    .zone = zone,
                    .reason = t ? REASON_NONE : REASON_sip_response_stray,
                    .code = r->m.code,
                    .n = 1,
                    .listener = f.listener,
                    .source = s->src};
    judge_observe(r, i, &o, t);
}
