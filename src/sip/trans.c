/* The table of transactions: memory, matching of responses, and the calls of the user. */
#include "sip/machine.h"

static size_t round16(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

size_t trans_bytes(uint32_t cap)
{
    return round16(sizeof(struct trans_table)) + round16(pool_bytes(sizeof(struct trans), cap)) +
           2 * round16(map_bytes(cap));
}

struct trans_table *trans_init(void *mem, const struct trans_cfg *cfg)
{
    struct trans_table *t = mem;
    uint8_t *p = (uint8_t *)mem + round16(sizeof *t);
    t->cfg = *cfg;
    pool_init(&t->pool, p, sizeof(struct trans), cfg->cap);
    p += round16(pool_bytes(sizeof(struct trans), cfg->cap));
    map_init(&t->keys, p, cfg->cap);
    p += round16(map_bytes(cfg->cap));
    map_init(&t->merges, p, cfg->cap);
    copies_init(&t->copies, cfg->blocks);
    clock_init(t);
    return t;
}

static struct trans *trans_new(struct trans_table *t, enum trans_kind kind, enum sip_method method,
                               uint64_t user, struct handle *ret_h)
{
    struct trans *x = pool_new(&t->pool, ret_h);
    if (!x)
        return NULL;
    x->timer.owner = t->cfg.timer_owner;
    x->kind = (uint8_t)kind;
    x->state = (uint8_t)machine_of(kind)->initial;
    x->method = (uint8_t)method;
    x->user = user;
    return x;
}

void trans_destroy(struct trans_table *t, struct trans *x)
{
    clock_stop(t, x);
    trans_forget(t, x);
    if (x->kind == TRANS_IST || x->kind == TRANS_NIST)
        match_leave(t, x);
    else
        copy_release(&t->copies, &x->client.reason);
    pool_free(&t->pool, x);
}

/* --- for the actions --- */

struct str trans_copy(struct trans_table *t, const struct trans *x)
{
    return copy_read(&t->copies, x->copy, x->copy_len, t->scratch);
}

void trans_forget(struct trans_table *t, struct trans *x)
{
    copy_release(&t->copies, &x->copy);
    x->copy_len = 0;
}

void trans_keep(struct trans_table *t, struct trans *x, struct str bytes)
{
    trans_forget(t, x);
    if (copy_keep(&t->copies, bytes, &x->copy) == OK)
        x->copy_len = (uint16_t)bytes.n;
    else
        counters_hit(t->cfg.counters, REASON_capacity_memory);
}

void trans_emit(struct trans_table *t, struct trans *x, struct str bytes)
{
    t->cfg.user.send(t->cfg.user.ctx, &x->flow, bytes, pool_handle(&t->pool, x));
}

void trans_resend(struct trans_table *t, struct trans *x)
{
    if (x->copy)
        trans_emit(t, x, trans_copy(t, x));
}

/* --- client --- */

static bool sendable(struct str bytes)
{
    return bytes.n > 0 && bytes.n <= SIP_MSG_MAX;
}

struct handle trans_client(struct trans_table *t, enum sip_method method, uint64_t user,
                           char ret_branch[BRANCH_CHARS])
{
    struct handle h;
    if (!trans_new(t, method == SIP_INVITE ? TRANS_ICT : TRANS_NICT, method, user, &h)) {
        counters_hit(t->cfg.counters, REASON_capacity_transactions);
        return HANDLE_NONE;
    }
    memcpy(ret_branch, BRANCH_COOKIE, strlen(BRANCH_COOKIE));
    token_mint(t->cfg.keys, (struct token){TOKEN_BRANCH, t->cfg.engine, h},
               ret_branch + strlen(BRANCH_COOKIE));
    return h;
}

enum err trans_send(struct trans_table *t, struct handle h, const struct flow *f, struct str bytes,
                    struct instant now)
{
    struct trans *x = pool_get(&t->pool, h);
    if (!x)
        return ERR_NOT_FOUND;
    if (!sendable(bytes))
        return ERR_LIMIT;
    if (x->state == ST_IDLE)
        x->flow = *f;
    return trans_step(t, x, EV_SEND, &(struct trans_input){.now = now, .bytes = bytes}) ? OK
                                                                                        : ERR_STATE;
}

void trans_cancel_start(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    struct handle h;
    struct trans *c = trans_new(t, TRANS_NICT, SIP_CANCEL, 0, &h);
    if (!c) {
        counters_hit(t->cfg.counters, REASON_capacity_transactions);
        return;
    }
    x->client.cancel = h;
    c->flags = FLAG_SILENT;
    c->flow = x->flow;
    struct out o = out_of(t->work, sizeof t->work);
    hop_request(&o, trans_copy(t, x), STR("CANCEL"), STR_NONE, in->reason);
    if (x->copy && !o.full)
        (void)trans_step(t, c, EV_SEND,
                         &(struct trans_input){.now = in->now, .bytes = out_str(&o)});
    else
        trans_destroy(t, c);
}

static enum err cancel_waiting(struct trans_table *t, struct trans *x, struct instant now)
{
    struct str reason = STR_NONE;
    char text[256]; /* longer ones, which we never write, are left out */
    if (x->client.reason && x->client.reason_len <= sizeof text) {
        reason = copy_read(&t->copies, x->client.reason, x->client.reason_len, t->scratch);
        memcpy(text, reason.p, reason.n);
        reason.p = text;
    }
    copy_release(&t->copies, &x->client.reason);
    return trans_step(t, x, EV_CANCEL, &(struct trans_input){.now = now, .reason = reason})
               ? OK
               : ERR_STATE;
}

enum err trans_cancel(struct trans_table *t, struct handle ict, struct str reason_header,
                      struct instant now)
{
    struct trans *x = pool_get(&t->pool, ict);
    if (!x || x->kind != TRANS_ICT)
        return ERR_NOT_FOUND;
    if (x->state == ST_PROCEEDING && t->pool.used == t->pool.cap)
        return ERR_FULL;
    struct trans_input in = {.now = now, .reason = reason_header};
    return trans_step(t, x, EV_CANCEL, &in) ? OK : ERR_STATE;
}

static enum trans_event event_of(unsigned code)
{
    if (code >= 300)
        return EV_FAIL;
    if (code >= 200)
        return EV_2XX;
    return code == 100 ? EV_100 : EV_1XX;
}

/* The client transaction that a response names, RFC 3261 17.1.3: by branch and CSeq method. */
static struct trans *client_of(struct trans_table *t, const struct sip_msg *m, bool *ret_forged)
{
    struct str branch = sip_text(m, m->via_branch);
    struct token tok;
    if (branch.n != BRANCH_CHARS || !str_istarts(branch, STR(BRANCH_COOKIE)))
        return NULL;
    enum err e =
        token_open(t->cfg.keys, str_skip(branch, strlen(BRANCH_COOKIE)), TOKEN_BRANCH, &tok);
    *ret_forged = e == ERR_AUTH;
    if (e != OK || tok.engine != t->cfg.engine)
        return NULL;
    struct trans *x = pool_get(&t->pool, tok.handle);
    if (x && x->kind == TRANS_ICT && m->method == SIP_CANCEL)
        x = pool_get(&t->pool, x->client.cancel);
    bool client = x && (x->kind == TRANS_ICT || x->kind == TRANS_NICT);
    return client && x->state != ST_IDLE && x->method == m->method ? x : NULL;
}

bool trans_response(struct trans_table *t, const struct sip_msg *m, const struct flow *f,
                    struct instant now, bool *ret_forged)
{
    *ret_forged = false;
    struct trans *x = client_of(t, m, ret_forged);
    if (!x)
        return false;
    struct handle h = pool_handle(&t->pool, x);
    (void)trans_step(t, x, event_of(m->code), &(struct trans_input){.now = now, .m = m, .f = f});
    x = pool_get(&t->pool, h);
    if (x && x->state == ST_PROCEEDING && (x->flags & FLAG_CANCEL_WAITS))
        (void)!cancel_waiting(t, x, now);
    return true;
}

void trans_transport_failed(struct trans_table *t, struct handle h, struct instant now)
{
    struct trans *x = pool_get(&t->pool, h);
    if (x)
        (void)trans_step(t, x, EV_TRANSPORT, &(struct trans_input){.now = now});
}

void trans_flow_lost(struct trans_table *t, struct handle h, struct instant now)
{
    struct trans *x = pool_get(&t->pool, h);
    if (x && (x->kind == TRANS_ICT || x->kind == TRANS_NICT))
        (void)trans_step(t, x, EV_TRANSPORT, &(struct trans_input){.now = now});
}

/* --- server --- */

static enum trans_match match_ack(struct trans_table *t, const struct sip_msg *m,
                                  struct instant now, struct handle *ret_t)
{
    struct trans *x = match_find(t, match_key(t, m, SIP_INVITE));
    if (!x)
        return MATCH_ACK_2XX;
    *ret_t = pool_handle(&t->pool, x);
    if (x->state == ST_ACCEPTED)
        return MATCH_ACK_2XX;
    (void)trans_step(t, x, EV_ACK, &(struct trans_input){.now = now, .m = m});
    return MATCH_ABSORBED;
}

/* The INVITE that a CANCEL means. From another address than the INVITE's it is not believed: a
 * branch is no secret on the path, and no honest sender changes its address in between. */
static enum trans_match match_cancel(struct trans_table *t, const struct sip_msg *m,
                                     const struct flow *f, struct handle *ret_t)
{
    struct trans *x = match_find(t, match_key(t, m, SIP_INVITE));
    if (!x || !addr_eq_ip(&x->flow.peer, &f->peer))
        return MATCH_STRAY;
    *ret_t = pool_handle(&t->pool, x);
    return MATCH_CANCEL;
}

enum trans_match trans_request(struct trans_table *t, const struct sip_msg *m, const struct flow *f,
                               struct instant now, struct handle *ret_t)
{
    *ret_t = HANDLE_NONE;
    if (m->method == SIP_ACK)
        return match_ack(t, m, now, ret_t);
    struct trans *x = match_find(t, match_key(t, m, m->method));
    if (x) {
        *ret_t = pool_handle(&t->pool, x);
        (void)trans_step(t, x, EV_REQUEST, &(struct trans_input){.now = now, .m = m});
        return MATCH_ABSORBED;
    }
    if (m->method == SIP_CANCEL)
        return match_cancel(t, m, f, ret_t);
    return match_merged(t, m) ? MATCH_MERGED : MATCH_NEW;
}

struct handle trans_server(struct trans_table *t, const struct sip_msg *m, const struct flow *f,
                           uint64_t user, struct instant now)
{
    (void)now; /* no timer runs before the first response */
    struct handle h;
    enum trans_kind kind = m->method == SIP_INVITE ? TRANS_IST : TRANS_NIST;
    struct trans *x = m->method == SIP_ACK ? NULL : trans_new(t, kind, m->method, user, &h);
    if (!x) {
        counters_hit(t->cfg.counters, REASON_capacity_transactions);
        return HANDLE_NONE;
    }
    x->flow = *f;
    if (match_enter(t, x, m) != OK) {
        trans_destroy(t, x);
        return HANDLE_NONE;
    }
    return h;
}

void trans_set_user(struct trans_table *t, struct handle h, uint64_t user)
{
    struct trans *x = pool_get(&t->pool, h);
    if (x)
        x->user = user;
}

uint64_t trans_user_of(const struct trans_table *t, struct handle h)
{
    const struct trans *x = pool_get(&t->pool, h);
    return x ? x->user : 0;
}

enum err trans_respond(struct trans_table *t, struct handle h, unsigned code, struct str bytes,
                       struct instant now)
{
    struct trans *x = pool_get(&t->pool, h);
    if (!x || (x->kind != TRANS_IST && x->kind != TRANS_NIST))
        return ERR_NOT_FOUND;
    if (code < 100 || code > 699)
        return ERR_RANGE;
    if (!sendable(bytes))
        return ERR_LIMIT;
    struct trans_input in = {.now = now, .bytes = bytes};
    return trans_step(t, x, event_of(code), &in) ? OK : ERR_STATE;
}

/* --- both --- */

void trans_drop(struct trans_table *t, struct handle h)
{
    struct trans *x = pool_get(&t->pool, h);
    if (x)
        trans_destroy(t, x);
}

uint32_t trans_used(const struct trans_table *t)
{
    return t->pool.used;
}

enum trans_kind trans_kind_of(const struct trans_table *t, struct handle h)
{
    const struct trans *x = pool_get(&t->pool, h);
    return x ? (enum trans_kind)x->kind : TRANS_NIST;
}

const struct flow *trans_flow(const struct trans_table *t, struct handle h)
{
    const struct trans *x = pool_get(&t->pool, h);
    return x ? &x->flow : NULL;
}

bool trans_alive(const struct trans_table *t, struct handle h)
{
    return pool_get(&t->pool, h) != NULL;
}
