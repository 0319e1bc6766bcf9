/* Peers' addresses and their health: OPTIONS to each (RFC 3261 11), and what their answers to calls
 * say. Every address is hoped for until it fails. Those of a peer with a name come from the board
 * (call/targets.h), of which we keep a judged copy; calls that run keep the address they have. */
#include "call/core_int.h"

#define DOWN_S 30 /* without OPTIONS a target that failed is tried again after that */

/* version: an answer to what was asked of an older list of addresses means nothing. */
static uint64_t user_of(const struct core *c, uint8_t peer, uint8_t target)
{
    return (uint64_t)USER_PEER << 48 | (uint64_t)peer << 40 |
           (uint64_t)(c->peers[peer].version & 0xffffff) << 8 | target;
}

/* --- addresses --- */

static bool by_name(const struct core *c, uint8_t peer)
{
    return c->policy->peers[peer].host.len != 0;
}

uint8_t peers_targets(const struct core *c, uint8_t peer)
{
    return by_name(c, peer) ? c->named[peer].n : c->policy->peers[peer].n_targets;
}

const struct addr *peers_address(const struct core *c, uint8_t peer, uint8_t target)
{
    static const struct addr none;
    if (target >= peers_targets(c, peer)) /* an index from before the list changed */
        return &none;
    return by_name(c, peer) ? &c->named[peer].entry[target].a
                            : &c->policy->peers[peer].targets[target];
}

uint8_t peers_pick(const struct core *c, uint8_t peer, uint64_t salt, uint8_t nth)
{
    uint8_t order[LOCATE_ENTRIES];
    const struct targets_row *r = &c->named[peer];
    if (!by_name(c, peer))
        return nth;
    CHECK(nth < r->n);
    salt = siphash(&c->cfg.hash_key, str_of((const char *)&salt, sizeof salt));
    locate_order(r->entry, r->n, salt, order);
    return order[nth];
}

enum reason peers_none(const struct core *c, uint8_t peer)
{
    return by_name(c, peer) && !c->named[peer].n ? REASON_route_peer_unresolved
                                                 : REASON_route_peer_down;
}

bool peers_is(const struct core *c, uint8_t peer, uint8_t zone, const struct addr *source)
{
    if (targets_peer_of(c->policy, c->named, zone, source) == peer)
        return true;
    return peer < c->policy->n_peers && by_name(c, peer) && c->policy->peers[peer].zone == zone &&
           targets_was(&c->named[peer], source, c->now.wall);
}

/* What was known of an address stays known. */
static void take(struct core *c, uint8_t peer, const struct targets_row *row)
{
    struct peer *x = &c->peers[peer];
    struct peer_target was[LOCATE_ENTRIES];
    struct targets_row *have = &c->named[peer];
    bool moved = row->n != have->n;
    memcpy(was, x->target, sizeof was);
    memset(x->target, 0, sizeof x->target);
    for (unsigned i = 0; i < row->n; i++) {
        int k = targets_find(have, &row->entry[i].a);
        moved = moved || k != (int)i;
        if (k >= 0)
            x->target[i] = was[k];
    }
    x->version += moved;
    *have = *row;
}

void peers_look(struct core *c)
{
    const struct targets_board *b = c->cfg.targets;
    if (!b)
        return;
    uint32_t changes = __atomic_load_n(&b->changes, __ATOMIC_ACQUIRE);
    if (changes == c->targets_seen)
        return;
    c->targets_seen = changes;
    for (uint8_t i = 0; i < c->policy->n_peers; i++) {
        struct targets_row row;
        enum err e = by_name(c, i) ? targets_get(b, c->cfg.targets_bytes, c->policy, i, &row)
                                   : ERR_NOT_FOUND;
        if (e == OK)
            take(c, i, &row);
        else if (e != ERR_NOT_FOUND)
            core_count(c, REASON_ipc_malformed); /* what we have was sound: it stays */
    }
}

struct flow peers_flow(const struct core *c, uint8_t peer, uint8_t target)
{
    const struct policy_peer *p = &c->policy->peers[peer];
    return (struct flow){.proto = p->proto,
                         .listener = p->listener,
                         .engine = c->cfg.engine,
                         .peer_id = (uint8_t)(peer + 1),
                         .peer = *peers_address(c, peer, target)};
}

void peers_start(struct core *c)
{
    for (uint8_t i = 0; i < POLICY_PEERS; i++) {
        struct peer *x = &c->peers[i];
        timer_stop(&c->wheel, &x->timer);
        *x = (struct peer){.cseq = x->cseq, .version = x->version + 1};
        c->named[i] = (struct targets_row){0};
        x->timer.owner = OWNER_PEER;
        if (i >= c->policy->n_peers || !c->policy->peers[i].options_s)
            continue;
        /* Spread, so that peers and engines do not all ask in the same moment. */
        int64_t first_ms = 100 + rng_below(&c->rng, 1000);
        timer_arm(&c->wheel, &x->timer, instant_add(c->now.mono, DUR_MS(first_ms)));
    }
    c->targets_seen = c->cfg.targets ? c->cfg.targets->changes - 1 : 0;
    peers_look(c);
}

static void options_put(struct core *c, uint8_t peer, uint8_t target, struct str branch,
                        struct out *o)
{
    const struct policy *p = c->policy;
    struct flow f = peers_flow(c, peer, target);
    char by[ADDR_TEXT_MAX], uri[320], id[2][17];
    struct out u = out_of(uri, sizeof uri);
    OUT_LIT(&u, "sip:");
    addr_put(&u, &f.peer);
    for (int i = 0; i < 2; i++) {
        uint64_t r = rng_u64(&c->rng);
        hex_encode((const uint8_t *)&r, 8, id[i]);
    }
    sip_request_line(o, STR("OPTIONS"), out_str(&u));
    sip_begin(o, HDR_VIA);
    OUT_LIT(o, "SIP/2.0/");
    out_put(o, proto_name((enum sip_proto)f.proto));
    out_ch(o, ' ');
    out_put(o, hide_sent_by(c, &f, by, sizeof by));
    OUT_LIT(o, ";rport;branch=");
    out_put(o, branch);
    sip_eol(o);
    sip_put_u32(o, HDR_MAX_FORWARDS, 70);
    sip_begin(o, HDR_FROM);
    OUT_LIT(o, "<sip:");
    out_put(o, policy_text(p, p->domains[0]));
    OUT_LIT(o, ">;tag=");
    out_put(o, str_of(id[0], 16));
    sip_eol(o);
    sip_begin(o, HDR_TO);
    out_ch(o, '<');
    out_put(o, out_str(&u));
    out_ch(o, '>');
    sip_eol(o);
    sip_put(o, HDR_CALL_ID, str_of(id[1], 16));
    sip_put_cseq(o, ++c->peers[peer].cseq, STR("OPTIONS"));
    sip_put(o, HDR_ACCEPT, STR("application/sdp"));
    sip_end(o, STR_NONE, STR_NONE);
}

static void ask(struct core *c, uint8_t peer, uint8_t target)
{
    struct peer_target *x = &c->peers[peer].target[target];
    char branch[BRANCH_CHARS];
    if (handle_is(x->t) && trans_alive(c->trans, x->t))
        return;
    struct handle t = trans_client(c->trans, SIP_OPTIONS, user_of(c, peer, target), branch);
    if (!handle_is(t))
        return;
    struct out o = intents_room(c->out);
    struct flow f = peers_flow(c, peer, target);
    options_put(c, peer, target, str_of(branch, sizeof branch), &o);
    if (o.full || trans_send(c->trans, t, &f, out_str(&o), c->now.mono) != OK)
        trans_drop(c->trans, t);
    else
        x->t = t;
}

void peers_timer(struct core *c, struct timer *t)
{
    struct peer *x = (struct peer *)(void *)((char *)t - offsetof(struct peer, timer));
    uint8_t peer = (uint8_t)(x - c->peers);
    for (uint8_t i = 0; i < peers_targets(c, peer); i++)
        ask(c, peer, i);
    timer_arm(&c->wheel, t, instant_add(c->now.mono, DUR_S(c->policy->peers[peer].options_s)));
}

void peers_heard(struct core *c, uint8_t peer, uint8_t target, bool up, enum reason why)
{
    if (peer >= c->policy->n_peers || target >= peers_targets(c, peer))
        return;
    struct peer_target *x = &c->peers[peer].target[target];
    if (!up)
        x->since = c->now.mono;
    if (x->down == !up)
        return;
    x->down = !up;
    struct fact *f = fact_begin(c, FACT_PEER_STATE, up ? REASON_NONE : why, 0);
    TEXT_SET(f->u.peer.peer, policy_text(c->policy, c->policy->peers[peer].name));
    f->u.peer.target = *peers_address(c, peer, target);
    f->u.peer.up = up;
    fact_end(c);
    if (up)
        upstream_peer_up(c, peer);
}

void peers_heard_at(struct core *c, uint8_t peer, const struct addr *a, bool up, enum reason why)
{
    for (uint8_t t = 0; peer < c->policy->n_peers && t < peers_targets(c, peer); t++)
        if (addr_eq(peers_address(c, peer, t), a)) {
            peers_heard(c, peer, t, up, why);
            return;
        }
}

static void heard(struct core *c, uint64_t user, bool up, enum reason why)
{
    uint8_t peer = (uint8_t)(user >> 40), target = (uint8_t)user;
    if (peer >= c->policy->n_peers || target >= peers_targets(c, peer) ||
        user != user_of(c, peer, target))
        return;
    c->peers[peer].target[target].t = HANDLE_NONE;
    peers_heard(c, peer, target, up, why);
}

/* Any answer shows life, but 503 says itself that it cannot serve. */
void peers_response(struct core *c, uint64_t user, const struct sip_msg *m)
{
    if (m->code >= 200)
        heard(c, user, m->code != 503 && m->code != 408, REASON_peer_refused);
}

void peers_failed(struct core *c, uint64_t user, enum reason why)
{
    core_count(c, why);
    heard(c, user, false, why);
}

bool peers_usable(struct core *c, uint8_t peer, uint8_t target)
{
    const struct peer_target *x = &c->peers[peer].target[target];
    if (!x->down)
        return true;
    return !c->policy->peers[peer].options_s &&
           !instant_before(c->now.mono, instant_add(x->since, DUR_S(DOWN_S)));
}

static bool peer_up(const struct core *c, uint8_t peer)
{
    for (uint8_t t = 0; t < peers_targets(c, peer); t++)
        if (!c->peers[peer].target[t].down)
            return true;
    return false;
}

uint32_t peers_up(const struct core *c)
{
    uint32_t n = 0;
    for (uint8_t i = 0; i < c->policy->n_peers; i++)
        n += peer_up(c, i);
    return n;
}

static void name_json(const struct core *c, uint8_t peer, struct out *o)
{
    static const struct str STATE[] = {[TARGETS_UNKNOWN] = STR("unresolved"),
                                       [TARGETS_GOOD] = STR("resolved"),
                                       [TARGETS_STALE] = STR("stale"),
                                       [TARGETS_FAILED] = STR("unresolved")};
    const struct targets_row *r = &c->named[peer];
    out_json_kstr(o, STR("host"), policy_text(c->policy, c->policy->peers[peer].host));
    out_json_kstr(o, STR("name_state"), STATE[r->state]);
    out_json_kbool(o, STR("secure"), r->secure && r->n);
    out_json_ki64(o, STR("asked_us"), r->asked.us);
    out_json_ki64(o, STR("until_us"), r->until.us);
    if (r->why)
        out_json_kstr(o, STR("name_error"), reason_info((enum reason)r->why)->name);
    else
        OUT_LIT(o, ",\"name_error\":null");
}

void core_peers_json(const struct core *c, struct out *o, struct now now)
{
    (void)now;
    out_ch(o, '[');
    for (uint8_t i = 0; i < c->policy->n_peers; i++) {
        const struct policy_peer *p = &c->policy->peers[i];
        if (i)
            out_ch(o, ',');
        out_ch(o, '{');
        out_json_kstr(o, STR("name"), policy_text(c->policy, p->name));
        out_json_kstr(o, STR("kind"), p->trunk ? STR("trunk") : STR("pbx"));
        out_json_kbool(o, STR("up"), peer_up(c, i));
        upstream_json(c, i, o);
        if (by_name(c, i))
            name_json(c, i, o);
        out_json_key(o, STR("targets"));
        out_ch(o, '[');
        for (uint8_t t = 0; t < peers_targets(c, i); t++) {
            char text[ADDR_TEXT_MAX];
            struct out a = out_of(text, sizeof text);
            addr_put(&a, peers_address(c, i, t));
            if (t)
                out_ch(o, ',');
            out_ch(o, '{');
            out_json_kstr(o, STR("address"), out_str(&a));
            out_json_kbool(o, STR("up"), !c->peers[i].target[t].down);
            if (by_name(c, i)) {
                out_json_ku64(o, STR("priority"), c->named[i].entry[t].priority);
                out_json_ku64(o, STR("weight"), c->named[i].entry[t].weight);
            }
            out_ch(o, '}');
        }
        OUT_LIT(o, "]}");
    }
    out_ch(o, ']');
}
