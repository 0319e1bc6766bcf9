/* Requests that are kept: held copies, and those that wait for the vault (identity gate; a peer's
 * challenge that we answer). */
#include "call/exchange.h"

enum err held_new(struct core *c, const struct sip_msg *m, const struct flow *f, struct handle t,
                  struct held **ret_h)
{
    struct arena a;
    arena_init_blocks(&a, &c->large, LARGE_BLOCK);
    struct held *h = arena_take_zero(&a, sizeof *h);
    struct sip_msg *copy = h ? arena_take(&a, sizeof *copy) : NULL;
    struct str bytes = copy ? arena_str(&a, m->bytes) : STR_NONE;
    if (!bytes.p) {
        arena_reset(&a);
        return h ? ERR_LIMIT : ERR_FULL;
    }
    *copy = *m; /* spans stay true: they are offsets */
    copy->bytes = bytes;
    h->m = copy;
    h->t = t;
    h->flow = *f;
    h->arena = a;
    *ret_h = h;
    return OK;
}

void held_free(struct held **h)
{
    if (!*h)
        return;
    struct arena a = (*h)->arena; /* it lies in itself */
    *h = NULL;
    arena_reset(&a);
}

enum err incoming_hold(struct core *c, struct incoming *in)
{
    if (in->held)
        return OK;
    enum err e = held_new(c, in->m, &in->r->flow, in->t, &in->held);
    if (e == OK)
        in->m = in->r->m = in->held->m;
    return e;
}

/* --- facts --- */

void fact_verdict(struct core *c, const struct request *r, const struct verdict *v)
{
    if (v->kind != VERDICT_PASS && r->ident == IDENT_NONE && !quiet_share(c, &r->flow.peer)) {
        core_count(c, REASON_log_share);
        quiet_add(c, v->reason, &r->flow.peer);
        return;
    }
    struct fact *f = fact_begin(c, FACT_VERDICT, v->reason,
                                v->kind == VERDICT_PASS || v->kind == VERDICT_DROP ? 0 : v->code);
    TEXT_SET(f->u.verdict.call_id, sip_text(r->m, r->m->call_id));
    TEXT_SET(f->u.verdict.from, sip_text(r->m, r->m->from_uri));
    TEXT_SET(f->u.verdict.to, sip_text(r->m, r->m->to_uri));
    TEXT_SET(f->u.verdict.method, sip_text(r->m, r->m->method_text));
    TEXT_SET(f->u.verdict.user, str_of(r->user, r->user_n));
    f->u.verdict.source = r->flow.peer;
    f->u.verdict.proto = r->flow.proto;
    f->u.verdict.zone = r->zone;
    f->u.verdict.trace = r->trace;
    fact_end(c);
}

/* --- waiting --- */

static uint32_t ask_id(struct handle h)
{
    return (h.gen & 0xffff) << 16 | (h.index & 0xffff);
}

static struct pending *pending_of(struct core *c, uint32_t id)
{
    uint32_t index = id & 0xffff;
    if (!index || index > c->pendings.cap || (c->pending_gen[index - 1] & 0xffff) != id >> 16)
        return NULL;
    return pool_get(&c->pendings, (struct handle){index, c->pending_gen[index - 1]});
}

static struct pending *pending_open(struct core *c, enum ask_kind kind, struct handle *ret_h)
{
    struct pending *p = pool_new(&c->pendings, ret_h);
    if (!p)
        return NULL;
    c->pending_gen[ret_h->index - 1] = ret_h->gen;
    p->kind = (uint8_t)kind;
    p->policies = c->policies;
    p->timer.owner = OWNER_PENDING;
    int64_t life = kind == ASK_CERT      ? CERT_LIFE_MS
                   : kind == ASK_CONSULT ? (int64_t)c->policy->consult.wait_ms
                                         : ASK_LIFE_MS;
    timer_arm(&c->wheel, &p->timer, instant_add(c->now.mono, DUR_MS(life)));
    return p;
}

static void pending_close(struct core *c, struct pending *p)
{
    timer_stop(&c->wheel, &p->timer);
    held_free(&p->held);
    pool_free(&c->pendings, p);
}

/* Takes the request out of the pending, which ends. The caller frees in->held. */
static void pending_take(struct core *c, struct pending *p, struct incoming *in)
{
    c->req = p->r;
    *in = (struct incoming){.r = &c->req, .m = p->held->m, .t = p->held->t, .held = p->held};
    in->leg = p->r.in_dialog ? pool_get(&c->legs, p->leg_h) : NULL;
    c->req.now = c->now;
    p->held = NULL;
    pending_close(c, p);
}

/* The policy says what becomes of a call whose signer's certificate cannot be had. */
static void uncertified(struct core *c, struct incoming *in, bool same_policy)
{
    const struct answer none = {.kind = ASK_CERT, .reason = REASON_stir_bad_info};
    struct verdict v = {VERDICT_REFUSE, GATE_IDENTITY, REASON_auth_unavailable, 503};
    c->env.calls_used = c->calls.used;
    c->env.trans_used = trans_used(c->trans);
    if (same_policy)
        v = gates_resume(&c->env, in->r, &none);
    verdict_apply(c, in, &v);
    held_free(&in->held);
}

/* A call for help does not fail because nobody can be asked who calls. */
static void unasked(struct core *c, struct incoming *in)
{
    const struct answer none = {.kind = ASK_VERIFY, .reason = REASON_auth_unavailable};
    c->env.calls_used = c->calls.used;
    c->env.trans_used = trans_used(c->trans);
    struct verdict v = gates_resume(&c->env, in->r, &none);
    verdict_apply(c, in, &v);
    held_free(&in->held);
}

static void pending_give_up(struct core *c, struct pending *p, enum reason why)
{
    struct incoming in;
    bool cert = p->kind == ASK_CERT, same_policy = p->policies == c->policies;
    pending_take(c, p, &in);
    if (cert) {
        uncertified(c, &in, same_policy);
        return;
    }
    if (in.r->emergency && !in.r->in_dialog) {
        unasked(c, &in);
        return;
    }
    if (!in.r->in_dialog) {
        struct verdict v = {VERDICT_REFUSE, GATE_IDENTITY, why, reason_info(why)->code};
        in.r->trace.gate[GATE_IDENTITY].verdict = VERDICT_REFUSE;
        in.r->trace.gate[GATE_IDENTITY].reason = (uint16_t)why;
        fact_verdict(c, in.r, &v);
        shield_request(c, in.r, &v);
    }
    reply_reason(c, &in, why);
    held_free(&in.held);
}

void pending_wait(struct core *c, struct incoming *in, struct ask *q)
{
    struct handle h;
    struct pending *p = pending_open(c, (enum ask_kind)q->kind, &h);
    if (!p && in->r->emergency && !in->r->in_dialog) {
        in->t = trans_server(c->trans, in->m, &in->r->flow, 0, c->now.mono);
        if (handle_is(in->t)) {
            unasked(c, in);
            return;
        }
    }
    enum reason why = REASON_capacity_transactions;
    if (p)
        in->t = trans_server(c->trans, in->m, &in->r->flow, 0, c->now.mono);
    if (handle_is(in->t)) {
        enum err e = incoming_hold(c, in);
        why = e == OK ? REASON_NONE
                      : (e == ERR_LIMIT ? REASON_sip_too_large : REASON_capacity_memory);
    }
    if (why != REASON_NONE) {
        if (p)
            pending_close(c, p);
        reply_reason(c, in, why);
        return;
    }
    trans_set_user(c->trans, in->t, USER(USER_PENDING, h));
    p->held = in->held;
    p->r = *in->r;
    if (in->leg)
        p->leg_h = leg_handle(in->leg);
    q->id = ask_id(h);
    core_ask(c, q);
    if (in->m->method == SIP_INVITE)
        reply(c, in->m, &in->r->flow, in->t, 100, STR_NONE);
}

/* A peer's challenge cannot be answered. */
static void give_up(struct leg *l, enum serves what, enum reason why)
{
    if (what == FOR_CALL)
        fork_failed(l, why);
    else
        relay_retry(l, what, STR_NONE);
}

static void answered(struct core *c, enum serves what, struct handle h, const struct answer *a)
{
    if (what == FOR_CODE)
        stepup_answer(c, h, a);
    else if (what == FOR_CONSULT)
        consult_answer(c, h, a);
    else
        stir_answer(c, h, a);
}

/* Its answer is not put into a request. */
static bool is_answered(enum serves what)
{
    return what == FOR_CODE || what == FOR_STIR || what == FOR_CONSULT;
}

/* NULL: it has gone, or went to another call, where what it was challenged for has no place. */
static struct leg *leg_challenged(struct core *c, struct handle h, uint64_t session)
{
    struct leg *l = pool_get(&c->legs, h);
    return l && l->call->session == session ? l : NULL;
}

/* The vault has nothing for us: whoever waited goes on without. */
static void respond_none(struct core *c, struct pending *p, enum reason why)
{
    enum serves what = (enum serves)p->serves;
    struct handle h = p->leg_h;
    uint64_t session = p->session;
    const struct answer none = {.kind = p->kind, .reason = (uint16_t)why};
    pending_close(c, p);
    if (is_answered(what)) {
        answered(c, what, h, &none);
        return;
    }
    if (what == FOR_UPSTREAM) {
        upstream_retry(c, h, STR_NONE);
        return;
    }
    if (what == FOR_BYE) {
        parting_retry(c, h, STR_NONE);
        return;
    }
    if (what == FOR_EXCHANGE) {
        exchange_retry(c, h, STR_NONE);
        return;
    }
    struct leg *l = leg_challenged(c, h, session);
    if (l)
        give_up(l, what, why);
}

void pending_timer(struct core *c, struct timer *t)
{
    struct pending *p = (struct pending *)(void *)((char *)t - offsetof(struct pending, timer));
    if (p->kind == ASK_VERIFY || p->kind == ASK_CERT)
        pending_give_up(c, p, REASON_auth_unavailable);
    else
        respond_none(c, p, REASON_auth_unavailable);
}

/* The caller gave up before the vault answered. */
void pending_cancel(struct core *c, struct pending *p)
{
    struct incoming in;
    struct verdict v = {VERDICT_REFUSE, GATE_IDENTITY, REASON_call_cancelled, 487};
    pending_take(c, p, &in);
    shield_request(c, in.r, &v); /* else INVITE and CANCEL together would count as nothing */
    reply(c, in.m, &in.r->flow, in.t, 487, STR_NONE);
    held_free(&in.held);
}

static void verified(struct core *c, struct pending *p, const struct answer *a)
{
    struct incoming in;
    struct verdict v = {VERDICT_CHALLENGE, GATE_IDENTITY, REASON_auth_stale, 401};
    bool same_policy = p->policies == c->policies;
    if (p->kind == ASK_CERT) /* nobody who could be challenged again */
        v = (struct verdict){VERDICT_REFUSE, GATE_IDENTITY, REASON_auth_unavailable, 503};
    pending_take(c, p, &in);
    c->env.calls_used = c->calls.used;
    c->env.trans_used = trans_used(c->trans);
    struct sub *s;
    uint8_t side;
    if (in.r->in_dialog && !in.leg && sub_find(c, in.m, &s, &side) != SUB_HERE)
        v = (struct verdict){VERDICT_REFUSE, GATE_IDENTITY, REASON_sip_no_dialog, 481};
    else if (same_policy)
        v = gates_resume(&c->env, in.r, a);
    else
        in.r->stale = true; /* what the gates found out is of the old policy: once more */
    verdict_apply(c, &in, &v);
    held_free(&in.held);
}

void core_answer(struct core *c, const struct answer *a, struct now now)
{
    c->now = now;
    struct pending *p = pending_of(c, a->id);
    if (!p || p->kind != a->kind)
        return; /* too late: it was answered, or its caller gave up */
    if (p->kind == ASK_VERIFY || p->kind == ASK_CERT) {
        verified(c, p, a);
        return;
    }
    if (is_answered((enum serves)p->serves)) {
        enum serves serves = (enum serves)p->serves;
        struct handle who = p->leg_h;
        pending_close(c, p);
        answered(c, serves, who, a);
        return;
    }
    struct out o = out_of(c->fields, sizeof c->fields);
    out_put(&o, p->challenge);
    OUT_LIT(&o, ", response=\"");
    out_put(&o, str_of((const char *)a->bytes, a->n));
    OUT_LIT(&o, "\"\r\n");
    if (a->reason != REASON_NONE || o.full) {
        respond_none(c, p, REASON_auth_unavailable);
        return;
    }
    enum serves what = (enum serves)p->serves;
    struct handle h = p->leg_h;
    uint64_t session = p->session;
    pending_close(c, p);
    bool leg = what != FOR_UPSTREAM && what != FOR_EXCHANGE && what != FOR_BYE;
    struct leg *b = leg ? leg_challenged(c, h, session) : NULL;
    if (what == FOR_UPSTREAM)
        upstream_retry(c, h, out_str(&o));
    else if (what == FOR_EXCHANGE)
        exchange_retry(c, h, out_str(&o));
    else if (what == FOR_BYE)
        parting_retry(c, h, out_str(&o));
    else if (b && what == FOR_CALL)
        fork_retry(b, out_str(&o));
    else if (b)
        relay_retry(b, what, out_str(&o));
}

/* --- a peer challenges us --- */

static bool pick_challenge(const struct sip_msg *m, struct sip_auth *ret_a,
                           enum digest_alg *ret_alg)
{
    enum sip_hdr h = m->code == 407 ? HDR_PROXY_AUTHENTICATE : HDR_WWW_AUTHENTICATE;
    static const uint8_t rank[DIGEST_ALG_COUNT] = {
        [DIGEST_SHA512_256] = 3, [DIGEST_SHA256] = 2, [DIGEST_MD5] = 1};
    unsigned best = 0;
    uint16_t it = 0;
    struct str v;
    while (sip_next(m, h, &it, &v)) {
        struct sip_auth a;
        enum digest_alg alg;
        if (sip_auth_parse(v, &a) != OK || !str_ieq(a.scheme, STR("Digest")) ||
            digest_alg_parse(a.algorithm, &alg) != OK || rank[alg] <= best)
            continue;
        best = rank[alg];
        *ret_a = a;
        *ret_alg = alg;
    }
    return best > 0;
}

/* "auth" among the offered qop values; auth-int alone is not answered. */
static bool offers_auth(struct str qop)
{
    struct str one;
    while (qop.n) {
        qop = str_cut(qop, ',', &one);
        if (str_ieq(str_trim(one), STR("auth")))
            return true;
    }
    return false;
}

static void quoted(struct out *o, struct str name, struct str value)
{
    OUT_LIT(o, ", ");
    out_put(o, name);
    OUT_LIT(o, "=\"");
    sip_piece(o, value);
    out_ch(o, '"');
}

/* All of the credentials but the response. */
static struct str credentials(const struct challenged *x, const struct sip_msg *m,
                              const struct sip_auth *a, struct str user, enum digest_alg alg,
                              struct str cnonce)
{
    char buf[480];
    struct out o = out_of(buf, sizeof buf);
    out_put(&o, m->code == 407 ? STR("Proxy-Authorization: Digest username=\"")
                               : STR("Authorization: Digest username=\""));
    sip_piece(&o, user);
    out_ch(&o, '"');
    quoted(&o, STR("realm"), a->realm);
    quoted(&o, STR("nonce"), a->nonce);
    quoted(&o, STR("uri"), x->uri);
    if (a->opaque.n)
        quoted(&o, STR("opaque"), a->opaque);
    OUT_LIT(&o, ", algorithm=");
    out_put(&o, digest_alg_name(alg));
    if (cnonce.n) {
        OUT_LIT(&o, ", qop=auth, nc=00000001");
        quoted(&o, STR("cnonce"), cnonce);
    }
    return o.full ? STR_NONE : arena_str(x->keep, out_str(&o));
}

static bool respond_ask(struct core *c, const struct challenged *x, const struct sip_msg *m,
                        struct ask *q, struct str *ret_line)
{
    struct sip_auth a;
    enum digest_alg alg;
    char ha2[DIGEST_HEX_MAX], cn[16];
    uint8_t noise[8];
    if (!pick_challenge(m, &a, &alg) ||
        digest_ha2(alg, sip_method_name(m->method), x->uri, false, STR_NONE, ha2) != OK)
        return false;
    rng_bytes(&c->rng, noise, sizeof noise);
    hex_encode(noise, sizeof noise, cn);
    bool qop = offers_auth(a.qop);
    if (a.qop.n && !qop)
        return false;
    struct str user = policy_text(c->policy, c->policy->peers[x->peer].username),
               cnonce = qop ? str_of(cn, sizeof cn) : STR_NONE;
    memset(q, 0, offsetof(struct ask, text));
    q->kind = ASK_RESPOND;
    q->alg = (uint8_t)alg;
    q->key = x->peer;
    *ret_line = credentials(x, m, &a, user, alg, cnonce);
    return ret_line->p && ask_add(q, user, &q->user) && ask_add(q, a.realm, &q->realm) &&
           ask_add(q, a.nonce, &q->nonce) && ask_add(q, qop ? STR("00000001") : STR_NONE, &q->nc) &&
           ask_add(q, cnonce, &q->cnonce) && ask_add(q, qop ? STR("auth") : STR_NONE, &q->qop) &&
           ask_add(q, str_of(ha2, digest_hex_chars(alg)), &q->ha2);
}

enum reason pending_ask(struct core *c, struct ask *q, enum serves what, struct handle who)
{
    struct handle h;
    struct pending *p = pending_open(c, (enum ask_kind)q->kind, &h);
    if (!p)
        return REASON_capacity_transactions;
    p->serves = (uint8_t)what;
    p->leg_h = who;
    q->id = ask_id(h);
    core_ask(c, q);
    return REASON_NONE;
}

enum reason pending_credentials(struct core *c, const struct challenged *x, const struct sip_msg *m)
{
    struct handle h;
    struct str line;
    if (x->peer >=
        c->policy->n_peers) /* no user's secret is ever used for somebody else's challenge */
        return REASON_peer_challenge;
    if (!respond_ask(c, x, m, &c->ask, &line))
        return REASON_peer_challenge;
    struct pending *p = pending_open(c, ASK_RESPOND, &h);
    if (!p)
        return REASON_capacity_transactions;
    p->serves = (uint8_t)x->what;
    p->leg_h = x->who;
    p->challenge = line;
    p->session = x->session;
    c->ask.id = ask_id(h);
    core_ask(c, &c->ask);
    return REASON_NONE;
}

void pending_respond(struct core *c, struct leg *b, const struct sip_msg *m, enum serves what)
{
    struct challenged x = {.what = what,
                           .who = leg_handle(b),
                           .peer = b->peer,
                           .uri = b->d.remote_target,
                           .keep = &b->call->text,
                           .session = b->call->session};
    enum reason why = pending_credentials(c, &x, m);
    if (why != REASON_NONE)
        give_up(b, what, why);
}
