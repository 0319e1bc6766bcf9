/* What is observed. An observation costs a few hundred nanoseconds and waits for nobody; what the
 * guard decides becomes facts and questions to the monitor (shield_tell.c). */
#include "call/core_int.h"
#include "call/gate.h"

#define SOURCES_DEFAULT 4096u
#define PARTIES_DEFAULT 2048u
#define KNOWN_LIFE_S    3700 /* a registration's default life and some */
#define LANE_S          4u
#define LANE_MOST       8u
#define LANE_SALT       UINT64_C(0x27d4eb2f165667c5)
#define PARSE_FACTOR    4u /* datagrams that one request may bring: copies, ACK, responses */

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

size_t shield_bytes(const struct core_cfg *cfg)
{
    struct guard_cfg g = guard_cfg_of(cfg);
    return tarpit_bytes() + guard_bytes(&g);
}

void shield_init(struct core *c, void *mem)
{
    struct shield *s = &c->shield;
    struct guard_cfg g = guard_cfg_of(&c->cfg);
    tarpit_init(s, mem);
    g.policy = &s->policy;
    s->policy = c->policy->guard;
    s->guard = guard_init((uint8_t *)mem + tarpit_bytes(), &g, c->now);
    c->env.guard = s->guard;
    c->env.hits = &s->hits;
    c->env.bans = c->cfg.bans;
    c->env.bans_cap = c->cfg.bans ? c->cfg.bans_cap : 0;
    c->env.ban_hits = c->cfg.ban_hits;
    shield_policy(c);
}

void shield_policy(struct core *c)
{
    struct shield *s = &c->shield;
    s->policy = c->policy->guard;
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

static void observe(struct core *c, struct obs *o, const struct sip_msg *m, bool forwarded)
{
    struct guard_out *out = &c->shield.found;
    guard_observe(c->shield.guard, o, forwarded, c->now, out);
    for (unsigned i = 0; i < out->n_to && !forwarded; i++)
        core_observe_at(c, out->to[i], o);
    for (unsigned i = 0; i < out->n_events; i++)
        shield_tell(c, &out->events[i], o, m);
}

void core_observe(struct core *c, const struct obs *o, struct now now)
{
    struct obs copy = *o;
    c->now = now;
    if (o->kind == OBS_REGISTERED)
        core_known(c, &o->source, instant_add(now.mono, DUR_S(KNOWN_LIFE_S)));
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

bool shield_peer(const struct core *c, const struct addr *a, uint32_t listener)
{
    const struct policy *p = c->policy;
    if (listener < p->n_listeners) {
        uint8_t z = policy_zone_of(p, (uint8_t)listener, a);
        return z != POLICY_NONE && targets_peer_of(p, c->env.named, z, a) != POLICY_NONE;
    }
    for (uint8_t z = 0; z < p->n_zones; z++)
        if (targets_peer_of(p, c->env.named, z, a) != POLICY_NONE)
            return true;
    return false;
}

/* A call that is up goes on, a few messages a second, though its source is banned: the gates let in
 * what belongs to it, and nothing else. What else it needs guard_before lets pass. */
static bool goes_on(struct core *c, const struct addr *source, struct str bytes)
{
    static const struct str WITHIN[] = {{"INVITE ", 7}, {"UPDATE ", 7}, {"INFO ", 5}};
    struct addr a = guard_source(source);
    for (size_t i = 0; i < ARRAY_LEN(WITHIN); i++)
        if (str_starts(bytes, WITHIN[i]))
            return rate_take(c->env.rate, addr_hash(&c->cfg.hash_key, &a) ^ LANE_SALT, LANE_S,
                             LANE_MOST, c->now.mono);
    return false;
}

bool core_banned(const struct core *c, const struct addr *source, struct now now)
{
    struct ban_view v;
    return c->env.bans_cap && !shield_peer(c, source, UINT32_MAX) &&
           ban_of_source(c->env.bans, c->env.bans_cap, source, now.wall, &v) &&
           v.treat >= TREAT_DROP;
}

/* Nobody is stopped before parsing who would be let through after it: a zone's own rate counts. */
bool shield_before(struct core *c, const struct flow *f, struct str bytes)
{
    struct ban_view v = {0};
    if (shield_peer(c, &f->peer, f->listener))
        return true;
    uint8_t z = policy_zone_of(c->policy, f->listener, &f->peer);
    uint32_t zone = z == POLICY_NONE ? 0 : c->policy->zones[z].rate_per_source * PARSE_FACTOR;
    enum reason why = guard_before_at(c->shield.guard, &f->peer, zone, bytes, c->now, &v);
    if (why == REASON_NONE || (why == REASON_shield_banned && goes_on(c, &f->peer, bytes)))
        return true;
    core_count(c, why);
    quiet_add(c, why, &f->peer);
    if (why == REASON_shield_banned && c->cfg.ban_hits && v.slot < c->env.bans_cap)
        c->cfg.ban_hits[v.slot]++;
    if (why == REASON_shield_rate)
        shield_below(c, why, f, &f->peer, 1, STR_NONE);
    return false;
}

/* obs_of for a request that went through gates. */
static struct obs obs_of_request(const struct request *r, const struct verdict *v)
{
    struct obs o = obs_of(&r->flow, OBS_REQUEST, v->reason);
    o.method = (uint8_t)r->m->method;
    o.zone = r->zone;
    o.code = v->code;
    o.country = r->country;
    o.aor = r->aor_hash;
    o.device = r->device;
    o.number = r->number;
    o.agent = r->agent;
    o.evidence = r->evidence;
    o.flags |=
        (uint16_t)((r->proven ? OBS_PROVEN : 0) | (r->in_dialog ? OBS_IN_DIALOG : 0) |
                   (r->emergency ? OBS_EMERGENCY : 0) | (r->peer != POLICY_NONE ? OBS_PEER : 0) |
                   (r->ident == IDENT_USER ? OBS_USER : 0) | (r->missing ? OBS_MISSING : 0) |
                   (r->decoy ? OBS_DECOY : 0));
    who_set(&o, str_of(r->who, r->who_n));
    return o;
}

void shield_rules(struct core *c, struct request *r)
{
    struct gate_hits *h = &c->shield.hits;
    if (!h->n)
        return;
    struct verdict v = {VERDICT_PASS, GATE_SIGNATURE, REASON_NONE, 0};
    struct obs o = obs_of_request(r, &v);
    for (unsigned i = 0; i < h->n; i++) {
        const struct rules_hit *x = &h->v[i];
        if (x->action == RULE_PASS || x->quiet)
            continue;
        shield_keep(c, &o, r->m->bytes);
        r->evidence = o.evidence;
        struct obs hit = o;
        hit.kind = OBS_RULE;
        hit.value = x->sid;
        hit.weight = x->weight;
        shield_tell_rule(c, x, &hit, r->m);
        observe(c, &hit, r->m, false);
    }
    h->n = 0;
}

static bool hostile(enum reason why)
{
    return why == REASON_auth_failed || why == REASON_auth_limited || why == REASON_auth_replay ||
           why == REASON_auth_identity_mismatch;
}

void shield_request(struct core *c, struct request *r, const struct verdict *v)
{
    if (v->kind == VERDICT_PASS && r->in_dialog)
        return;
    struct verdict told = *v;
    if (v->kind == VERDICT_PASS && hostile((enum reason)r->unproven)) /* it came through, and yet */
        told = (struct verdict){VERDICT_PASS, GATE_IDENTITY, (enum reason)r->unproven,
                                reason_info((enum reason)r->unproven)->code};
    v = &told;
    struct obs o = obs_of_request(r, v);
    if (v->reason == REASON_auth_failed || v->reason == REASON_auth_limited)
        o.flags |= OBS_GUESS;
    if (hostile(v->reason)) /* nobody tries passwords by calling for help */
        o.flags &= (uint16_t)~OBS_EMERGENCY;
    if (v->reason == REASON_route_user_unknown)
        o.flags |= OBS_MISSING;
    if (o.flags & OBS_DECOY || reason_info(v->reason)->hostile >= EVIDENCE_FROM)
        shield_keep(c, &o, r->m->bytes);
    r->evidence = o.evidence;
    observe(c, &o, r->m, false);
    if (!r->weight || o.flags & (OBS_PEER | OBS_USER))
        return;
    o.kind = OBS_FEED;
    o.value = 0;
    o.weight = r->weight;
    observe(c, &o, r->m, false);
}

void shield_stray(struct core *c, const struct sip_msg *m, const struct flow *f, enum reason why)
{
    struct obs o = obs_of(f, OBS_REQUEST, why);
    o.method = (uint8_t)m->method;
    o.zone = policy_zone_of(c->policy, f->listener, &f->peer);
    o.code = reason_info(why)->code;
    o.flags |= OBS_IN_DIALOG;
    if (shield_peer(c, &f->peer, f->listener))
        o.flags |= OBS_PEER;
    who_set(&o, sip_text(m, m->from_uri));
    if (reason_info(why)->hostile >= EVIDENCE_FROM)
        shield_keep(c, &o, m->bytes);
    observe(c, &o, m, false);
}

void shield_below(struct core *c, enum reason why, const struct flow *f, const struct addr *source,
                  uint32_t n, struct str bytes)
{
    if (!source->family || !reason_info(why)->hostile)
        return;
    struct obs o = {.kind = OBS_BELOW,
                    .proto = f ? f->proto : PROTO_UDP,
                    .zone = POLICY_NONE,
                    .reason = (uint16_t)why,
                    .n = MAX(n, 1u),
                    .listener = f ? f->listener : UINT32_MAX,
                    .source = *source,
                    .flags = f && f->proto != PROTO_UDP ? OBS_PROVEN : 0};
    if (shield_peer(c, source, o.listener))
        o.flags |= OBS_PEER;
    if (bytes.n && reason_info(why)->hostile >= EVIDENCE_FROM)
        shield_keep(c, &o, bytes);
    observe(c, &o, NULL, false);
}

void shield_registered(struct core *c, const struct request *r, bool is_new)
{
    struct verdict v = {VERDICT_PASS, GATE_ROUTE, REASON_NONE, 200};
    struct obs o = obs_of_request(r, &v);
    o.kind = OBS_REGISTERED;
    o.flags |= OBS_PROVEN | OBS_USER | (is_new ? OBS_NEW : 0);
    who_set(&o, str_of(r->user, r->user_n));
    guard_known(c->shield.guard, &r->flow.peer, instant_add(c->now.mono, DUR_S(KNOWN_LIFE_S)));
    observe(c, &o, r->m, false);
}

/* Packets that came from both sides. */
static uint32_t packets(const struct call *k)
{
    const struct leg *legs[2] = {k->a, k->b};
    uint64_t n = 0;
    for (unsigned i = 0; i < 2; i++)
        for (unsigned s = 0; s < MEDIA_STREAMS; s++) {
            struct media_view v;
            if (legs[i] && legs[i]->media && media_leg_view(legs[i]->media, s, &v))
                n += v.in.packets;
        }
    return (uint32_t)MIN(n, (uint64_t)UINT32_MAX);
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
    o.seconds = us > 0 ? (uint32_t)MIN(us / 1000000, (int64_t)UINT32_MAX) : 0;
    o.value = packets(k);
    struct str party = k->user.n ? k->user : a->d.remote_uri;
    o.aor = k->aor_hash ? k->aor_hash : location_hash(&c->cfg.hash_key, party);
    o.number = k->number ? k->number : siphash(&c->cfg.hash_key, k->dialled);
    if (k->answer_us)
        o.flags |= OBS_ANSWERED;
    if (k->user.n)
        o.flags |= OBS_USER | OBS_PROVEN;
    if (a->peer != POLICY_NONE)
        o.flags |= OBS_PEER;
    if (k->emergency)
        o.flags |= OBS_EMERGENCY;
    who_set(&o, party);
    observe(c, &o, NULL, false);
}

void shield_response(struct core *c, const struct sip_msg *m, const struct flow *f, enum reason why,
                     bool proven)
{
    struct obs o = obs_of(f, OBS_RESPONSE, why);
    o.method = (uint8_t)m->method;
    o.zone = policy_zone_of(c->policy, f->listener, &f->peer);
    o.code = m->code;
    if (shield_peer(c, &f->peer, f->listener))
        o.flags |= OBS_PEER;
    if (proven)
        o.flags |= OBS_PROVEN;
    who_set(&o, sip_text(m, m->to_uri));
    observe(c, &o, m, false);
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

/* --- media --- */

void shield_media(struct core *c)
{
    struct media_note notes[MEDIA_NOTES];
    size_t n = media_notes(c->media, notes, ARRAY_LEN(notes));
    for (size_t i = 0; i < n; i++)
        shield_below(c, (enum reason)notes[i].reason, NULL, &notes[i].source, notes[i].n, STR_NONE);
}

/* One packet in a stream, and one alert: the same rule for the same stream is told once a minute.
 */
static bool told_lately(struct core *c, const struct pkt *p, uint32_t sid)
{
    uint64_t minute = (uint64_t)c->now.mono.us / 60000000;
    uint64_t key = addr_hash(&c->cfg.hash_key, &p->peer) ^
                   ((uint64_t)p->port << 48 | (uint64_t)sid << 16) ^ minute;
    uint64_t *x = &c->shield.rtp_told[(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) % RTP_TOLD];
    bool was = *x == key;
    *x = key;
    return was;
}

/* Its way is that of our request back: to_client for the rules. A rule that drops
 * the answers of a called side drops those to a call for help, too: who writes one has said so. */
bool shield_answer(struct core *c, const struct sip_msg *m, const struct flow *f)
{
    struct rules_hit hits[GATE_HITS];
    if (!c->env.rules)
        return true;
    struct rules_input in = {.m = m,
                             .bytes = m->bytes,
                             .source = f->peer,
                             .dest = c->policy->listeners[f->listener].bind,
                             .proto = f->proto,
                             .established = true,
                             .flow = addr_hash(&c->cfg.hash_key, &f->peer)};
    size_t n = rules_run(c->env.rules, c->env.rules_state, c->env.scanner, &in, c->now, hits,
                         ARRAY_LEN(hits));
    bool dropped = false;
    for (size_t i = 0; i < n; i++) {
        const struct rules_hit *x = &hits[i];
        dropped |= x->action == RULE_DROP || x->action == RULE_REJECT;
        if (x->action == RULE_PASS || x->quiet)
            continue;
        struct obs o = obs_of(f, OBS_RULE, REASON_NONE);
        o.zone = policy_zone_of(c->policy, f->listener, &f->peer);
        o.code = m->code;
        o.value = x->sid;
        o.weight = x->weight;
        if (shield_peer(c, &f->peer, f->listener))
            o.flags |= OBS_PEER;
        who_set(&o, sip_text(m, m->to_uri));
        shield_keep(c, &o, m->bytes);
        shield_tell_rule(c, x, &o, m);
        observe(c, &o, m, false);
    }
    if (!dropped || c->policy->guard.dry_run)
        return true;
    core_count(c, REASON_shield_rule_drop);
    return false;
}

bool shield_packet(struct core *c, const struct pkt *p)
{
    struct addr dest = c->policy->media_ip;
    dest.port = p->port;
    struct rules_hit hits[GATE_HITS];
    struct rules_input in = {.bytes = str_of((const char *)p->data, p->len),
                             .source = p->peer,
                             .dest = dest,
                             .proto = PROTO_UDP,
                             .to_server = true,
                             .established = true,
                             .flow = addr_hash(&c->cfg.hash_key, &p->peer) ^ p->port};
    size_t n = rules_run(c->env.rules, c->env.rules_state, c->env.scanner, &in, c->now, hits,
                         ARRAY_LEN(hits));
    bool dropped = false;
    for (size_t i = 0; i < n; i++) {
        const struct rules_hit *x = &hits[i];
        dropped |= x->action == RULE_DROP || x->action == RULE_REJECT;
        if (x->action == RULE_PASS || x->quiet || told_lately(c, p, x->sid))
            continue;
        struct flow f = {.proto = PROTO_UDP, .peer = p->peer};
        struct obs o = obs_of(&f, OBS_RULE, REASON_NONE);
        o.listener = UINT32_MAX;
        o.value = x->sid;
        o.weight = x->weight;
        if (shield_peer(c, &p->peer, UINT32_MAX))
            o.flags |= OBS_PEER;
        shield_tell_rule(c, x, &o, NULL);
        observe(c, &o, NULL, false);
    }
    if (!dropped || c->policy->guard.dry_run)
        return true;
    core_count(c, REASON_shield_rule_drop);
    return false;
}
