/* What is written down of calls: the fact at the beginning, the CDR at the end (once for each
 * beginning), and the list of live calls. */
#include "call/core_int.h"

#define STREAMS 2u /* as a fact holds */

/* Q.850 causes by SIP status (RFC 3398 7.2.4.1) and by our own reasons. */
uint16_t cdr_q850(uint16_t code, enum reason why)
{
    static const struct {
        uint16_t code, cause;
    } map[] = {{400, 41},  {401, 21},  {402, 21},  {403, 21},  {404, 1},   {405, 63}, {406, 79},
               {407, 21},  {408, 102}, {410, 22},  {413, 127}, {414, 127}, {415, 79}, {416, 127},
               {420, 127}, {423, 127}, {480, 18},  {481, 41},  {482, 25},  {483, 25}, {484, 28},
               {485, 1},   {486, 17},  {487, 16},  {488, 65},  {491, 41},  {500, 41}, {501, 79},
               {502, 38},  {503, 41},  {504, 102}, {505, 127}, {513, 127}, {600, 17}, {603, 21},
               {604, 1},   {606, 65}};
    if (why == REASON_sip_ack_missing || why == REASON_sip_session_expired ||
        why == REASON_sip_timeout || why == REASON_call_too_long)
        return 102; /* recovery on timer expiry */
    if (why == REASON_media_timeout)
        return 31;
    if (why == REASON_call_transferred)
        return 16;
    if (code / 100 == 2)
        return why == REASON_NONE ? 16 : 111; /* normal clearing, else protocol error */
    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (map[i].code == code)
            return map[i].cause;
    return code >= 300 ? 31 : 16;
}

void cdr_start(struct call *k)
{
    struct core *c = k->core;
    const struct leg *a = k->a;
    const struct sip_msg *m = a->held->m;
    struct fact *f = fact_begin(c, FACT_CALL_START, REASON_NONE, 0);
    f->u.start.session = k->session;
    TEXT_SET(f->u.start.call_id_a, sip_text(m, m->call_id));
    TEXT_SET(f->u.start.from, sip_text(m, m->from_uri));
    TEXT_SET(f->u.start.to, sip_text(m, m->to_uri));
    TEXT_SET(f->u.start.user, k->user);
    f->u.start.source = a->flow.peer;
    fact_end(c);
    k->started = true;
}

/* "display <uri>" to uri. */
static struct str bare(struct str party)
{
    size_t lt = str_rfind(party, '<');
    struct str s = str_skip(party, lt + 1), uri;
    str_cut(s, '>', &uri);
    return lt == party.n ? party : uri;
}

static void leg_put(const struct call *k, const struct leg *l, const struct leg *other,
                    struct fact_leg *o)
{
    const struct core *c = k->core;
    const struct policy *p = c->policy;
    TEXT_SET(o->call_id, l->d.call_id);
    TEXT_SET(o->user_agent, l->agent);
    o->peer = l->flow.peer;
    o->proto = l->flow.proto;
    o->zone = l->zone;
    o->peer_id = l->peer;
    if (l->zone != POLICY_NONE)
        TEXT_SET(o->zone_name, policy_text(p, p->zones[l->zone].name));
    if (l->peer != POLICY_NONE)
        TEXT_SET(o->peer_name, policy_text(p, p->peers[l->peer].name));
    bool one_way =
        other && l->media && other->media && media_one_way(l->media, other->media, c->now.mono);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct media_view v;
        if (!l->media || !media_leg_view(l->media, i, &v))
            continue;
        o->stream[i].used = 1;
        o->stream[i].suite = (uint8_t)v.suite;
        o->stream[i].latched = v.latched;
        o->stream[i].one_way = one_way;
        o->stream[i].local_port = v.local_port;
        memcpy(o->stream[i].codec, v.codec, sizeof o->stream[i].codec);
        o->stream[i].in = v.in;
    }
}

static void bill_head(const struct core *c, struct fact_bill *o, const struct number *to)
{
    const struct policy *p = c->policy;
    struct str money = policy_text(p, p->currency);
    o->used = 1;
    o->kind = to->kind;
    o->country = to->country;
    TEXT_SET(o->e164, str_of(to->e164, to->n));
    memcpy(o->currency, money.p ? money.p : "", MIN(money.n, sizeof o->currency - 1));
}

static void bill_role(const struct core *c, struct fact_bill *o, struct str user)
{
    const struct policy *p = c->policy;
    struct str name, host = str_cut(user, '@', &name);
    const struct directory_user *u = user.n ? directory_find(c->env.directory, name, host) : NULL;
    if (u)
        TEXT_SET(o->role, str_c(u->role_name));
    else if (user.n)
        TEXT_SET(o->role, policy_text(p, p->roles[0].name));
}

/* Who has nothing to do with the outside has no bill. */
static void bill_put(const struct call *k, const struct leg *b, struct fact_bill *o)
{
    const struct core *c = k->core;
    bool out = k->priced || (b && b->peer != POLICY_NONE), in = k->a->peer != POLICY_NONE;
    if (!out && !in)
        return;
    bill_head(c, o, &k->called);
    bill_role(c, o, k->payer.n ? k->payer : k->user);
    if (b && b->peer != POLICY_NONE)
        TEXT_SET(o->trunk, policy_text(c->policy, c->policy->peers[b->peer].name));
    TEXT_SET(o->shown, k->shown);
    o->device = k->device_id;
    o->micro = k->cost_micro;
    o->seconds = k->cost_s;
    o->priced = k->priced;
    o->source_country = c->env.geo ? geo_country(c->env.geo, &k->a->flow.peer) : 0;
    o->attest = k->attest;
    o->verstat = k->verstat;
}

void cdr_refused(struct core *c, const struct request *r, const struct verdict *v)
{
    const struct sip_msg *m = r->m;
    struct fact *f = fact_begin(c, FACT_CALL_END, v->reason, v->code);
    f->u.end.session = c->session_next += 64;
    TEXT_SET(f->u.end.from, sip_text(m, m->from_uri));
    TEXT_SET(f->u.end.to, sip_text(m, m->to_uri));
    TEXT_SET(f->u.end.user, str_of(r->user, r->user_n));
    if (r->route)
        TEXT_SET(f->u.end.route, policy_text(c->policy, r->route->name));
    f->u.end.start_us = f->u.end.end_us = c->now.wall.us;
    f->u.end.ended_by = 'g';
    f->u.end.q850 = cdr_q850(v->code, v->reason);
    f->u.end.trace = r->trace;
    f->u.end.refused = 1;
    f->u.end.n_legs = 1;
    struct fact_leg *l = &f->u.end.leg[0];
    TEXT_SET(l->call_id, sip_text(m, m->call_id));
    TEXT_SET(l->user_agent, sip_get(m, HDR_USER_AGENT));
    l->peer = r->flow.peer;
    l->proto = r->flow.proto;
    l->zone = r->zone;
    l->peer_id = r->peer;
    if (r->zone != POLICY_NONE)
        TEXT_SET(l->zone_name, policy_text(c->policy, c->policy->zones[r->zone].name));
    if (r->peer != POLICY_NONE)
        TEXT_SET(l->peer_name, policy_text(c->policy, c->policy->peers[r->peer].name));
    struct fact_bill *b = &f->u.end.bill;
    bill_head(c, b, &r->number_to);
    bill_role(c, b, str_of(r->user, r->user_n));
    b->device = r->device_id;
    b->source_country = r->country;
    b->attest = r->attest;
    b->verstat = r->verstat;
    fact_end(c);
}

void cdr_end(struct call *k, enum reason why, uint16_t code, char by)
{
    struct core *c = k->core;
    const struct leg *a = k->a, *b = k->b ? k->b : k->forks;
    if (!k->started)
        return;
    shield_call(k, code);
    struct fact *f = fact_begin(c, FACT_CALL_END, why, code);
    f->u.end.session = k->session;
    TEXT_SET(f->u.end.from, bare(a->d.remote_uri));
    TEXT_SET(f->u.end.to, bare(a->d.local_uri));
    TEXT_SET(f->u.end.user, k->user);
    TEXT_SET(f->u.end.transferred_by, k->payer);
    f->u.end.other_session = k->led_to;
    if (k->route != POLICY_NONE)
        TEXT_SET(f->u.end.route, policy_text(c->policy, c->policy->routes[k->route].name));
    f->u.end.start_us = k->start_us;
    f->u.end.ring_us = k->ring_us;
    f->u.end.answer_us = k->answer_us;
    f->u.end.end_us = c->now.wall.us;
    f->u.end.ended_by = (uint8_t)by;
    f->u.end.q850 = cdr_q850(code, why);
    f->u.end.trace = k->trace;
    f->u.end.n_legs = b ? 2 : 1;
    bill_put(k, b, &f->u.end.bill);
    leg_put(k, a, b, &f->u.end.leg[0]);
    if (b)
        leg_put(k, b, a, &f->u.end.leg[1]);
    fact_end(c);
}

/* --- live calls --- */

static void json_addr(struct out *o, struct str key, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    struct out t = out_of(text, sizeof text);
    addr_put(&t, a);
    out_json_kstr(o, key, out_str(&t));
}

static void json_leg(const struct core *c, const struct leg *l, struct out *o)
{
    const struct policy *p = c->policy;
    out_ch(o, '{');
    out_json_kstr(o, STR("call_id"), l->d.call_id);
    json_addr(o, STR("address"), &l->flow.peer);
    out_json_kstr(o, STR("transport"), proto_name((enum sip_proto)l->flow.proto));
    if (l->zone != POLICY_NONE)
        out_json_kstr(o, STR("zone"), policy_text(p, p->zones[l->zone].name));
    if (l->peer != POLICY_NONE)
        out_json_kstr(o, STR("peer"), policy_text(p, p->peers[l->peer].name));
    if (l->agent.n)
        out_json_kstr(o, STR("user_agent"), l->agent);
    out_json_key(o, STR("media"));
    out_ch(o, '[');
    for (unsigned i = 0; l->media && i < MEDIA_STREAMS; i++) {
        struct media_view v;
        if (!media_leg_view(l->media, i, &v))
            continue;
        if (o->p[o->n - 1] == '}')
            out_ch(o, ',');
        out_ch(o, '{');
        out_json_kstr(o, STR("kind"), str_c(v.kind));
        out_json_kstr(o, STR("codec"), str_c(v.codec));
        out_json_kstr(o, STR("suite"), str_c(srtp_suite_name(v.suite)));
        out_json_ku64(o, STR("port"), v.local_port);
        json_addr(o, STR("remote"), &v.remote);
        out_json_kbool(o, STR("latched"), v.latched);
        out_json_kbool(o, STR("held"), v.held);
        out_json_ku64(o, STR("packets"), v.in.packets);
        out_json_ku64(o, STR("lost"), v.in.lost);
        out_json_ku64(o, STR("jitter_us"), v.in.jitter_us);
        out_ch(o, '}');
    }
    OUT_LIT(o, "]}");
}

static void json_call(const struct core *c, const struct call *k, struct out *o, struct now now)
{
    const struct leg *b = k->b ? k->b : k->forks;
    if (o->n && o->p[o->n - 1] == '}')
        out_ch(o, ',');
    out_ch(o, '{');
    out_json_ku64(o, STR("session"), k->session);
    out_json_kstr(o, STR("state"), str_c(call_state_name(k->state)));
    out_json_kstr(o, STR("from"), bare(k->a->d.remote_uri));
    out_json_kstr(o, STR("to"), bare(k->a->d.local_uri));
    out_json_kstr(o, STR("user"), k->user);
    if (k->route != POLICY_NONE)
        out_json_kstr(o, STR("route"), policy_text(c->policy, c->policy->routes[k->route].name));
    if (k->payer.n)
        out_json_kstr(o, STR("transferred_by"), k->payer);
    out_json_ki64(o, STR("age_s"), (now.wall.us - k->start_us) / 1000000);
    out_json_ki64(o, STR("answered_s"), k->answer_us ? (now.wall.us - k->answer_us) / 1000000 : -1);
    out_json_kbool(o, STR("emergency"), k->emergency);
    if (b && k->a->media && b->media)
        out_json_kbool(o, STR("one_way"), media_one_way(k->a->media, b->media, now.mono));
    out_json_key(o, STR("legs"));
    out_ch(o, '[');
    json_leg(c, k->a, o);
    if (b) {
        out_ch(o, ',');
        json_leg(c, b, o);
    }
    OUT_LIT(o, "]}");
}

bool core_calls_json(const struct core *c, uint32_t *it, struct out *o, struct now now)
{
    if (o->cap - o->n < 8192)
        return false;
    const struct call *k = pool_next(&c->calls, it);
    if (!k) {
        *it = 0;
        return false;
    }
    json_call(c, k, o, now);
    return true;
}
