/* What is observed, and what is done about it. An observation costs a few hundred nanoseconds and
 * waits for nobody; what the guard decides becomes facts and questions to the monitor. */
#include "call/core_int.h"
#include "call/gate.h"
#include "call/redact.h"

#define SOURCES_DEFAULT 4096u
#define PARTIES_DEFAULT 2048u
#define KNOWN_LIFE_S    3700 /* a registration's default life and some */
#define PARSE_FACTOR    4u   /* datagrams that one request may bring: copies, ACK, responses */

static struct guard_cfg guard_cfg_of(const struct core_cfg *cfg)
{
    return (struct guard_cfg){.engine = cfg->engine,
                              .engines = cfg->engines,
                              .sources = cfg->guard_sources ? cfg->guard_sources : SOURCES_DEFAULT,
                              .parties = cfg->guard_parties ? cfg->guard_parties : PARTIES_DEFAULT,
                              .key = cfg->hash_key,
                              .bans = cfg->bans,
                              .bans_cap = cfg->bans ? cfg->bans_cap : 0};
}

static size_t pit_bytes(void)
{
    return (TARPIT_SLOTS * sizeof(struct tarpit_slot) + 63) & ~(size_t)63;
}

size_t shield_bytes(const struct core_cfg *cfg)
{
    struct guard_cfg g = guard_cfg_of(cfg);
    return guard_bytes(&g) + pit_bytes();
}

void shield_init(struct core *c, void *mem)
{
    struct shield *s = &c->shield;
    struct guard_cfg g = guard_cfg_of(&c->cfg);
    s->tarpit = mem;
    g.policy = &s->policy;
    s->policy = c->policy->guard;
    s->guard = guard_init((uint8_t *)mem + pit_bytes(), &g, c->now);
    s->timer.owner = OWNER_SHIELD;
    c->env.guard = s->guard;
    c->env.hits = &s->hits;
    c->env.bans = c->cfg.bans;
    c->env.bans_cap = c->cfg.bans ? c->cfg.bans_cap : 0;
    c->env.ban_hits = c->cfg.ban_hits;
    shield_policy(c);
}

/* Nobody is stopped before parsing who would be let through after it. */
void shield_policy(struct core *c)
{
    struct shield *s = &c->shield;
    uint32_t zones = 0;
    for (uint8_t i = 0; i < c->policy->n_zones; i++)
        zones = MAX(zones, c->policy->zones[i].rate_per_source);
    s->policy = c->policy->guard;
    s->policy.source_rate = MAX(s->policy.source_rate, zones * PARSE_FACTOR);
    s->policy.known_rate = MAX(s->policy.known_rate, s->policy.source_rate);
    guard_set_policy(s->guard, &s->policy);
}

void core_geo(struct core *c, const struct geo *g)
{
    c->env.geo = g;
}

void core_rules(struct core *c, const struct rules *r, const struct rules_scanner *s, void *state)
{
    c->shield.hits.n = 0;
    c->env.rules = r;
    c->env.scanner = s;
    c->env.rules_state = r ? rules_state_init(state, r) : NULL;
}

bool core_wants_rtp_rules(const struct core *c)
{
    return c->env.rules && rules_want_rtp(c->env.rules);
}

void core_known(struct core *c, const struct addr *source, struct instant until)
{
    guard_known(c->shield.guard, source, until);
}

/* --- evidence and alerts --- */

/* Keeps the message, within what its source may fill of the log. 0: it was not. */
static uint64_t evidence(struct core *c, const struct addr *source, struct str bytes)
{
    if (!bytes.n || !quiet_share(c, source))
        return 0;
    uint64_t id = (uint64_t)(c->cfg.engine + 1) << 56 |
                  (((uint64_t)c->now.wall.us + c->shield.evidence++) & ((UINT64_C(1) << 56) - 1));
    struct fact *f = fact_begin(c, FACT_EVIDENCE, REASON_NONE, 0);
    f->u.evidence.id = id;
    f->u.evidence.whole = (uint32_t)bytes.n;
    f->u.evidence.n = (uint16_t)redact(bytes, f->u.evidence.p, sizeof f->u.evidence.p);
    fact_end(c);
    return id;
}

static struct fact *alert_begin(struct core *c, const struct obs *o, const struct sip_msg *m)
{
    struct fact *f = fact_begin(c, FACT_ALERT, (enum reason)o->reason, o->code);
    f->u.alert.proto = o->proto;
    f->u.alert.zone = o->zone;
    f->u.alert.source = o->source;
    f->u.alert.evidence = o->evidence;
    if (o->listener < c->policy->n_listeners)
        f->u.alert.dest = c->policy->listeners[o->listener].bind;
    TEXT_SET(f->u.alert.from, str_of(o->who, o->who_n));
    if (m && m->is_request) {
        TEXT_SET(f->u.alert.call_id, sip_text(m, m->call_id));
        TEXT_SET(f->u.alert.from, sip_text(m, m->from_uri));
        TEXT_SET(f->u.alert.to, sip_text(m, m->uri));
        TEXT_SET(f->u.alert.method, sip_text(m, m->method_text));
        TEXT_SET(f->u.alert.user_agent, sip_get(m, HDR_USER_AGENT));
    }
    return f;
}

/* Ends the calls of that source or user; those of an emergency go on. */
static void kick(struct core *c, const struct ban *b)
{
    uint32_t it = 0;
    struct call *k;
    while ((k = pool_next(&c->calls, &it))) {
        bool his = b->scope == BAN_SOURCE
                       ? k->a && prefix_has(&b->net, &k->a->flow.peer)
                       : b->key && k->user.n && location_hash(&c->cfg.hash_key, k->user) == b->key;
        if (his && !k->emergency)
            call_end(k, REASON_shield_kicked, 403, 'g');
    }
}

static void event(struct core *c, const struct guard_event *e, const struct obs *o,
                  const struct sip_msg *m)
{
    struct fact *f = alert_begin(c, o, m);
    f->u.alert.by = BY_DETECTOR;
    f->u.alert.detector = e->detector;
    f->u.alert.treat = e->treat;
    f->u.alert.dry = e->dry;
    f->u.alert.score = e->score;
    f->u.alert.level = e->level;
    f->u.alert.severity = e->treat >= TREAT_REFUSE ? 1 : e->treat > TREAT_LOG ? 2 : 3;
    TEXT_SET(f->u.alert.message, str_c(detector_text((enum detector)e->detector)));
    TEXT_SET(f->u.alert.classtype, str_c(detector_name((enum detector)e->detector)));
    fact_end(c);
    if (!e->ban.scope || e->dry || e->ban.dry)
        return;
    core_ban(c, &e->ban);
    if (e->treat == TREAT_KICK)
        kick(c, &e->ban);
}

static void observe(struct core *c, struct obs *o, const struct sip_msg *m, bool forwarded)
{
    struct guard_out *out = &c->shield.found;
    guard_observe(c->shield.guard, o, forwarded, c->now, out);
    for (unsigned i = 0; i < out->n_to && !forwarded; i++)
        core_observe_at(c, out->to[i], o);
    for (unsigned i = 0; i < out->n_events; i++)
        event(c, &out->events[i], o, m);
}

void core_observe(struct core *c, const struct obs *o, struct now now)
{
    struct obs copy = *o;
    c->now = now;
    observe(c, &copy, NULL, true);
}

/* --- what happens --- */

static struct obs obs_of(const struct flow *f, enum obs_kind kind, enum reason why)
{
    return (struct obs){.kind = (uint8_t)kind,
                        .proto = f->proto,
                        .zone = POLICY_NONE,
                        .reason = (uint16_t)why,
                        .n = 1,
                        .listener = f->listener,
                        .source = f->peer,
                        .flags = f->proto == PROTO_UDP ? 0 : OBS_PROVEN};
}

static void who_set(struct obs *o, struct str who)
{
    o->who_n = (uint8_t)MIN(who.n, (size_t)OBS_WHO);
    for (unsigned i = 0; i < o->who_n; i++)
        o->who[i] = who.p[i] > 0x20 && who.p[i] < 0x7f ? who.p[i] : '?';
}

bool shield_before(struct core *c, const struct flow *f, struct str bytes)
{
    struct ban_view v = {0};
    uint8_t z = policy_zone_of(c->policy, f->listener, &f->peer);
    bool peer =
        z != POLICY_NONE && targets_peer_of(c->policy, c->env.named, z, &f->peer) != POLICY_NONE;
    if (peer)
        return true;
    enum reason why = guard_before(c->shield.guard, &f->peer, false, bytes, c->now, &v);
    if (why == REASON_NONE)
        return true;
    core_count(c, why);
    quiet_add(c, why, &f->peer);
    if (why == REASON_shield_banned && c->cfg.ban_hits && v.slot < c->env.bans_cap)
        c->cfg.ban_hits[v.slot]++;
    if (why == REASON_shield_rate)
        shield_below(c, why, &f->peer, 1, f->proto != PROTO_UDP, STR_NONE);
    return false;
}

static bool decoy(const struct core *c, struct str name)
{
    struct str user;
    str_cut(name, '@', &user);
    const struct guard_policy *p = &c->policy->guard;
    for (uint8_t i = 0; user.n && i < p->n_decoys; i++)
        if (str_ieq(user, policy_text(c->policy, p->decoys[i])))
            return true;
    return false;
}

/* The names in it: whether they exist, and whether they are traps. Nobody learns it by the answer.
 */
static void names(const struct core *c, const struct request *r, struct obs *o)
{
    char text[LOCATION_AOR_MAX];
    size_t n;
    struct str user, claimed = gate_claimed(r->m);
    struct str realm = policy_text(c->policy, c->policy->domains[0]);
    if (aor_of_uri(c->policy, claimed, text, sizeof text, &n)) {
        str_cut(str_of(text, n), '@', &user);
        who_set(o, str_of(text, n));
        if (!c->env.directory || !directory_find(c->env.directory, user, realm))
            o->flags |= OBS_MISSING;
        if (decoy(c, user))
            o->flags |= OBS_DECOY;
    } else if (claimed.n) {
        who_set(o, claimed);
        o->flags |= OBS_MISSING;
    }
    if (r->m->method != SIP_REGISTER &&
        dialled_of_uri(sip_text(r->m, r->m->uri), text, sizeof text, &n) &&
        decoy(c, str_of(text, n)))
        o->flags |= OBS_DECOY;
    if (o->reason == REASON_route_user_unknown)
        o->flags |= OBS_MISSING;
}

static void rule_hits(struct core *c, const struct request *r, struct obs *o)
{
    struct gate_hits *h = &c->shield.hits;
    for (unsigned i = 0; i < h->n; i++) {
        const struct rules_hit *x = &h->v[i];
        if (x->action == RULE_PASS)
            continue;
        struct fact *f = alert_begin(c, o, r->m);
        f->u.alert.by = BY_RULE;
        f->u.alert.action = x->action;
        f->u.alert.severity = x->severity;
        f->u.alert.gid = x->gid;
        f->u.alert.sid = x->sid;
        f->u.alert.rev = x->rev;
        f->u.alert.dry = c->policy->guard.dry_run;
        TEXT_SET(f->u.alert.message, x->msg);
        TEXT_SET(f->u.alert.classtype, x->classtype);
        fact_end(c);
        struct obs hit = *o;
        hit.kind = OBS_RULE;
        hit.value = x->sid;
        hit.weight = x->weight;
        observe(c, &hit, r->m, false);
    }
    h->n = 0;
}

void shield_request(struct core *c, const struct request *r, const struct verdict *v)
{
    bool fine = v->kind == VERDICT_PASS;
    if (fine && r->in_dialog && !c->shield.hits.n)
        return;
    struct obs o = obs_of(&r->flow, OBS_REQUEST, v->reason);
    o.method = (uint8_t)r->m->method;
    o.zone = r->zone;
    o.code = v->code;
    o.country = r->country;
    o.aor = r->aor_hash;
    o.device = r->device;
    o.number = r->number;
    o.agent = r->agent;
    if (r->proven)
        o.flags |= OBS_PROVEN;
    if (r->in_dialog)
        o.flags |= OBS_IN_DIALOG;
    if (r->emergency)
        o.flags |= OBS_EMERGENCY;
    if (r->peer != POLICY_NONE)
        o.flags |= OBS_PEER;
    if (r->ident == IDENT_USER)
        o.flags |= OBS_USER;
    if (v->reason == REASON_auth_failed || v->reason == REASON_auth_limited)
        o.flags |= OBS_GUESS;
    if (!r->in_dialog)
        names(c, r, &o);
    if (c->shield.hits.n || o.flags & OBS_DECOY || reason_info(v->reason)->hostile >= 20)
        o.evidence = evidence(c, &r->flow.peer, r->m->bytes);
    rule_hits(c, r, &o);
    observe(c, &o, r->m, false);
}

void shield_stray(struct core *c, const struct sip_msg *m, const struct flow *f, enum reason why)
{
    struct obs o = obs_of(f, OBS_REQUEST, why);
    uint8_t z = policy_zone_of(c->policy, f->listener, &f->peer);
    o.method = (uint8_t)m->method;
    o.zone = z;
    o.code = reason_info(why)->code;
    o.flags |= OBS_IN_DIALOG;
    if (z != POLICY_NONE && targets_peer_of(c->policy, c->env.named, z, &f->peer) != POLICY_NONE)
        o.flags |= OBS_PEER;
    who_set(&o, sip_text(m, m->from_uri));
    if (reason_info(why)->hostile >= 20)
        o.evidence = evidence(c, &f->peer, m->bytes);
    observe(c, &o, m, false);
}

void shield_below(struct core *c, enum reason why, const struct addr *source, uint32_t n,
                  bool proven, struct str bytes)
{
    if (!source->family || !reason_info(why)->hostile)
        return;
    struct obs o = {.kind = OBS_BELOW,
                    .zone = POLICY_NONE,
                    .reason = (uint16_t)why,
                    .n = MAX(n, 1u),
                    .listener = UINT32_MAX,
                    .source = *source,
                    .flags = proven ? OBS_PROVEN : 0};
    if (bytes.n && reason_info(why)->hostile >= 20)
        o.evidence = evidence(c, source, bytes);
    observe(c, &o, NULL, false);
}

void shield_registered(struct core *c, const struct request *r, bool is_new)
{
    struct obs o = obs_of(&r->flow, OBS_REGISTERED, REASON_NONE);
    o.method = SIP_REGISTER;
    o.zone = r->zone;
    o.code = 200;
    o.country = r->country;
    o.aor = r->aor_hash;
    o.device = r->device;
    o.agent = r->agent;
    o.flags |= OBS_PROVEN | OBS_USER | (is_new ? OBS_NEW : 0);
    who_set(&o, str_of(r->user, r->user_n));
    guard_known(c->shield.guard, &r->flow.peer, instant_add(c->now.mono, DUR_S(KNOWN_LIFE_S)));
    observe(c, &o, r->m, false);
}

void shield_call(const struct call *k, uint16_t code)
{
    struct core *c = k->core;
    const struct leg *a = k->a;
    struct obs o = obs_of(&a->flow, OBS_CALL, REASON_NONE);
    int64_t from = k->answer_us ? k->answer_us : k->ring_us ? k->ring_us : k->start_us;
    int64_t us = c->now.wall.us - from;
    o.method = SIP_INVITE;
    o.zone = a->zone;
    o.code = code;
    o.seconds = us > 0 ? (uint32_t)(us / 1000000) : 0;
    struct str party = k->user.n ? k->user : a->d.remote_uri;
    o.aor = location_hash(&c->cfg.hash_key, party);
    o.number = siphash(&c->cfg.hash_key, k->dialled);
    if (k->answer_us)
        o.flags |= OBS_ANSWERED;
    if (k->user.n)
        o.flags |= OBS_USER | OBS_PROVEN;
    if (a->peer != POLICY_NONE)
        o.flags |= OBS_PEER;
    if (k->emergency)
        o.flags |= OBS_EMERGENCY;
    who_set(&o, k->dialled);
    observe(c, &o, NULL, false);
}

void shield_response(struct core *c, const struct sip_msg *m, const struct flow *f, enum reason why)
{
    struct obs o = obs_of(f, OBS_RESPONSE, why);
    uint8_t z = policy_zone_of(c->policy, f->listener, &f->peer);
    o.method = (uint8_t)m->method;
    o.zone = z;
    o.code = m->code;
    if (z != POLICY_NONE && targets_peer_of(c->policy, c->env.named, z, &f->peer) != POLICY_NONE)
        o.flags |= OBS_PEER;
    observe(c, &o, NULL, false);
}

/* --- answers that wait, and answers that do not come --- */

bool shield_holds(struct core *c, const struct request *r, const struct flow *f, struct handle t,
                  unsigned code, struct str bytes)
{
    struct shield *s = &c->shield;
    if (r->treat != TREAT_TARPIT || r->emergency || code < 200)
        return false;
    if (s->tarpit_n == TARPIT_SLOTS || bytes.n > TARPIT_BYTES) {
        core_count(c, REASON_shield_tarpit_full);
        if (handle_is(t))
            trans_drop(c->trans, t);
        return true;
    }
    struct tarpit_slot *x = &s->tarpit[(s->tarpit_head + s->tarpit_n++) % TARPIT_SLOTS];
    x->due = instant_add(c->now.mono, DUR_MS(c->policy->guard.tarpit_ms));
    x->flow = *f;
    x->t = t;
    x->code = (uint16_t)code;
    x->n = (uint16_t)bytes.n;
    memcpy(x->bytes, bytes.p, bytes.n);
    if (!timer_armed(&s->timer))
        timer_arm(&c->wheel, &s->timer, s->tarpit[s->tarpit_head % TARPIT_SLOTS].due);
    return true;
}

void shield_timer(struct core *c)
{
    struct shield *s = &c->shield;
    while (s->tarpit_n) {
        struct tarpit_slot *x = &s->tarpit[s->tarpit_head];
        if (instant_before(c->now.mono, x->due)) {
            timer_arm(&c->wheel, &s->timer, x->due);
            return;
        }
        struct str bytes = str_of(x->bytes, x->n);
        if (!handle_is(x->t))
            core_send(c, &x->flow, bytes, HANDLE_NONE);
        else if (trans_respond(c->trans, x->t, x->code, bytes, c->now.mono) != OK)
            core_count(c, REASON_sip_no_transaction);
        s->tarpit_head = (s->tarpit_head + 1) % TARPIT_SLOTS;
        s->tarpit_n--;
    }
}

/* Scanners ask an address; phones ask the name that they were given. */
bool shield_silent(const struct core *c, const struct request *r)
{
    struct sip_uri u;
    struct str host;
    struct addr a;
    if (r->zone == POLICY_NONE || !c->policy->zones[r->zone].silent || r->emergency ||
        r->in_dialog || r->ident != IDENT_NONE || r->peer != POLICY_NONE)
        return false;
    if (r->m->method == SIP_OPTIONS)
        return true;
    if (sip_uri_parse(sip_text(r->m, r->m->uri), &u) != OK)
        return true;
    host = u.host;
    return addr_parse_ip(host, &a) == OK || !policy_domain(c->policy, host);
}

/* --- for people --- */

static void entity_put(const struct core *c, enum entity e, uint64_t hash, struct now now,
                       struct out *o)
{
    out_json_key(o, str_c(entity_name(e)));
    if (!guard_explain(c->shield.guard, e, hash, now, o))
        OUT_LIT(o, "null");
}

void core_explain_json(const struct core *c, const struct addr *a, struct str name, struct out *o,
                       struct now now)
{
    const struct guard *g = c->shield.guard;
    uint16_t country = a && a->family && c->env.geo ? geo_country(c->env.geo, a) : 0;
    char two[2] = {(char)(country >> 8), (char)(country & 0xff)};
    out_ch(o, '{');
    if (a && a->family) {
        out_json_kstr(o, STR("tier"), str_c(tier_name(guard_tier(g, a, now.mono))));
        if (country)
            out_json_kstr(o, STR("country"), str_of(two, sizeof two));
        entity_put(c, ENTITY_SOURCE, guard_hash(g, a), now, o);
    }
    if (name.n) {
        entity_put(c, ENTITY_AOR, location_hash(&c->cfg.hash_key, name), now, o);
        entity_put(c, ENTITY_NUMBER, siphash(&c->cfg.hash_key, name), now, o);
    }
    out_ch(o, '}');
}

void core_top_json(const struct core *c, unsigned n, struct out *o, struct now now)
{
    guard_top(c->shield.guard, n, now, o);
}
