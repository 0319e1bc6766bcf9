/* BYEs that are not over when they are made. Those to peers that may challenge them: the leg has
 * gone by then, so what the second BYE is made of is kept here until the first has its answer, the
 * message itself. And those of who transferred: they leave behind the answer to the last NOTIFY, or
 * its time-out, so that the phone still knows the dialog when it is told how the transfer ended.
 * There are few places; without one a BYE leaves at once, and when the credentials do not help, the
 * peer's own session timer has to do. */
#include "call/core_int.h"

struct parting {
    struct held *bye; /* as it was sent; the peer's credentials line lies in its arena, too */
    uint8_t peer;
    bool tried;
    bool waits;         /* not sent yet: the NOTIFY before it is on its way */
    char peer_name[32]; /* a reload may number peers anew */
};

size_t parting_bytes(void)
{
    return pool_bytes(sizeof(struct parting), PARTINGS_MAX);
}

void parting_init(struct core *c, void *mem)
{
    pool_init(&c->partings, mem, sizeof(struct parting), PARTINGS_MAX);
}

static void done(struct core *c, struct parting *p)
{
    held_free(&p->bye);
    pool_free(&c->partings, p);
}

static bool same_peer(const struct core *c, const struct parting *p)
{
    const struct policy *pol = c->policy;
    return p->peer < pol->n_peers && pol->peers[p->peer].has_secret &&
           str_eq(str_head(policy_text(pol, pol->peers[p->peer].name), sizeof p->peer_name - 1),
                  str_c(p->peer_name));
}

static struct parting *take(const struct leg *l, struct handle t, struct str bytes)
{
    struct core *c = l->call->core;
    struct sip_msg m;
    struct sip_error bad;
    struct handle h;
    struct parting *p = sip_parse(bytes, false, &m, &bad) == OK ? pool_new(&c->partings, &h) : NULL;
    if (!p)
        return NULL;
    if (held_new(c, &m, &l->flow, t, &p->bye) != OK) {
        pool_free(&c->partings, p);
        return NULL;
    }
    p->peer = l->peer;
    if (l->peer != POLICY_NONE) {
        struct str name = str_head(policy_text(c->policy, c->policy->peers[l->peer].name),
                                   sizeof p->peer_name - 1);
        memcpy(p->peer_name, name.p, name.n);
    }
    trans_set_user(c->trans, t, USER(USER_PARTING, h));
    return p;
}

void parting_keep(const struct leg *l, struct handle t, struct str bytes)
{
    if (l->peer != POLICY_NONE && l->call->core->policy->peers[l->peer].has_secret)
        (void)take(l, t, bytes);
}

bool parting_hold(const struct leg *l, struct handle t, struct str bytes)
{
    struct core *c = l->call->core;
    if (!handle_is(l->notify) || !trans_alive(c->trans, l->notify))
        return false;
    struct parting *p = take(l, t, bytes);
    if (!p)
        return false;
    p->waits = true;
    trans_set_user(c->trans, l->notify, trans_user_of(c->trans, t));
    return true;
}

static void leave(struct core *c, struct parting *p)
{
    const struct sip_msg *m = p->bye->m;
    const struct flow *f = &p->bye->flow;
    p->waits = false;
    if (f->listener < c->policy->n_listeners &&
        trans_send(c->trans, p->bye->t, f, m->bytes, c->now.mono) == OK)
        return;
    core_count(c, REASON_capacity_memory);
    trans_drop(c->trans, p->bye->t);
    done(c, p);
}

void parting_response(struct core *c, uint64_t user, const struct sip_msg *m)
{
    struct handle h = handle_unpack(user);
    struct parting *p = pool_get(&c->partings, h);
    if (!p || m->code < 200)
        return;
    if (p->waits) { /* whatever the answer to the NOTIFY is */
        leave(c, p);
        return;
    }
    if ((m->code == 401 || m->code == 407) && !p->tried && same_peer(c, p)) {
        struct challenged x = {.what = FOR_BYE,
                               .who = h,
                               .peer = p->peer,
                               .uri = sip_text(p->bye->m, p->bye->m->uri),
                               .keep = &p->bye->arena};
        p->tried = true;
        if (pending_credentials(c, &x, m) == REASON_NONE)
            return;
    }
    if (m->code == 401 || m->code == 407)
        core_count(c, REASON_peer_challenge);
    done(c, p);
}

void parting_failed(struct core *c, uint64_t user, enum reason why)
{
    struct parting *p = pool_get(&c->partings, handle_unpack(user));
    core_count(c, why);
    if (p && p->waits)
        leave(c, p);
    else if (p)
        done(c, p);
}

void parting_retry(struct core *c, struct handle h, struct str authorization)
{
    struct parting *p = pool_get(&c->partings, h);
    char branch[BRANCH_CHARS], by[ADDR_TEXT_MAX];
    if (!p)
        return;
    const struct sip_msg *m = p->bye->m;
    const struct flow *f = &p->bye->flow;
    struct handle t = HANDLE_NONE;
    if (authorization.n && f->listener < c->policy->n_listeners)
        t = trans_client(c->trans, SIP_BYE, USER(USER_PARTING, h), branch);
    if (!handle_is(t)) {
        core_count(c, REASON_peer_challenge);
        done(c, p);
        return;
    }
    struct out o = intents_room(c->out);
    sip_request_line(&o, STR("BYE"), sip_text(m, m->uri));
    sip_begin(&o, HDR_VIA);
    OUT_LIT(&o, "SIP/2.0/");
    out_put(&o, proto_name((enum sip_proto)f->proto));
    out_ch(&o, ' ');
    out_put(&o, hide_sent_by(c, f, by, sizeof by));
    OUT_LIT(&o, ";rport;branch=");
    out_put(&o, str_of(branch, sizeof branch));
    sip_eol(&o);
    sip_put_u32(&o, HDR_MAX_FORWARDS, 70);
    sip_copy(&o, m, HDR_ROUTE);
    sip_copy(&o, m, HDR_FROM);
    sip_copy(&o, m, HDR_TO);
    sip_copy(&o, m, HDR_CALL_ID);
    sip_put_cseq(&o, m->cseq + 1, STR("BYE"));
    out_put(&o, authorization);
    sip_copy(&o, m, HDR_REASON);
    sip_end(&o, STR_NONE, STR_NONE);
    if (o.full || trans_send(c->trans, t, f, out_str(&o), c->now.mono) != OK) {
        core_count(c, REASON_capacity_memory);
        trans_drop(c->trans, t);
        done(c, p);
    }
}
