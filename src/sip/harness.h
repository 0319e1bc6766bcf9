/* For the tests and fuzzers of the transactions only: a table with a clock of its own that writes
 * down what is sent and what the user hears. */
#ifndef SIP_HARNESS_H
#define SIP_HARNESS_H
#include "sip/machine.h"
#include "wire/sip/build.h"
#include <stdio.h>
#include <stdlib.h>

#define RIG_LOG    64u
#define RIG_TEXT   4096u
#define RIG_OWNER  7
#define RIG_ENGINE 3
struct rig_sent {
    int64_t ms;
    struct handle h;
    size_t n;
    char text[RIG_TEXT];
};
struct rig_told {
    char what; /* 'r'esponse, 'f'ailed, 'e'nded */
    uint64_t user;
    struct handle h;
    unsigned code;
    enum reason why;
    bool acked, alive; /* alive: the handle was, when told */
};
struct rig {
    struct wheel wheel;
    struct blocks blocks;
    struct counters counters;
    struct token_keys keys;
    struct trans_table *t;
    struct instant now;
    struct rig_sent sent[RIG_LOG];
    struct rig_told told[RIG_LOG];
    unsigned n_sent, n_told; /* may exceed RIG_LOG: then the last ones are lost */
    void *mem, *block_mem;
    struct handle drop_on_tell; /* dropped inside the next callback */
    struct sip_msg msg;
    char text[RIG_TEXT], branch[BRANCH_CHARS];
};

static inline void rig_send(void *ctx, const struct flow *f, struct str bytes, struct handle h)
{
    struct rig *r = ctx;
    (void)f;
    if (r->n_sent < RIG_LOG) {
        struct rig_sent *s = &r->sent[r->n_sent];
        s->ms = r->now.us / 1000;
        s->h = h;
        s->n = MIN(bytes.n, (size_t)RIG_TEXT);
        memcpy(s->text, bytes.p, s->n);
    }
    r->n_sent++;
}

static inline void rig_note(struct rig *r, struct rig_told told)
{
    told.alive = trans_alive(r->t, told.h);
    if (r->n_told < RIG_LOG)
        r->told[r->n_told] = told;
    r->n_told++;
    if (handle_is(r->drop_on_tell))
        trans_drop(r->t, r->drop_on_tell);
    r->drop_on_tell = HANDLE_NONE;
}

static inline void rig_response(void *ctx, uint64_t user, struct handle h, const struct sip_msg *m,
                                const struct flow *f)
{
    (void)f;
    rig_note(ctx, (struct rig_told){.what = 'r', .user = user, .h = h, .code = m->code});
}

static inline void rig_failed(void *ctx, uint64_t user, struct handle h, enum reason why)
{
    rig_note(ctx, (struct rig_told){.what = 'f', .user = user, .h = h, .why = why});
}

static inline void rig_ended(void *ctx, uint64_t user, struct handle h, bool acked)
{
    rig_note(ctx, (struct rig_told){.what = 'e', .user = user, .h = h, .acked = acked});
}

static inline struct rig *rig_new(uint32_t cap, uint32_t n_blocks, size_t block_bytes)
{
    struct rig *r = calloc(1, sizeof *r);
    CHECK(r);
    r->now = (struct instant){1000000};
    wheel_init(&r->wheel, r->now);
    r->block_mem = aligned_alloc(64, (n_blocks * block_bytes + 63) / 64 * 64);
    r->mem = calloc(1, trans_bytes(cap));
    CHECK(r->block_mem && r->mem);
    blocks_init(&r->blocks, r->block_mem, n_blocks * block_bytes, block_bytes);
    r->keys = (struct token_keys){{1, 2}, {3, 4}};
    struct trans_cfg cfg = {.cap = cap,
                            .wheel = &r->wheel,
                            .blocks = &r->blocks,
                            .keys = &r->keys,
                            .hash_key = {5, 6},
                            .engine = RIG_ENGINE,
                            .counters = &r->counters,
                            .timer_owner = RIG_OWNER,
                            .user = {r, rig_send, rig_response, rig_failed, rig_ended}};
    r->t = trans_init(r->mem, &cfg);
    return r;
}

/* Everything must have been given back. */
static inline bool rig_clean(const struct rig *r)
{
    return trans_used(r->t) == 0 && blocks_used(&r->blocks) == 0 && r->wheel.armed == 0 &&
           r->t->keys.used == 0 && r->t->merges.used == 0;
}

static inline void rig_free(struct rig *r)
{
    free(r->mem);
    free(r->block_mem);
    free(r);
}

static inline void rig_fire(struct rig *r)
{
    struct timer *fired;
    while ((fired = wheel_pop(&r->wheel, r->now)) != NULL) {
        CHECK(fired->owner == RIG_OWNER);
        trans_timer(r->t, fired, r->now);
    }
}

static inline void rig_wait(struct rig *r, int64_t ms)
{
    for (; ms > 0; ms--) {
        r->now = instant_add(r->now, DUR_MS(1));
        rig_fire(r);
    }
}

static inline struct flow rig_flow(bool reliable, uint8_t host)
{
    return (struct flow){.proto = reliable ? PROTO_TCP : PROTO_UDP,
                         .peer = {.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, host}}};
}

static inline struct str rig_str(const struct rig *r)
{
    return str_c(r->text);
}

static inline void rig_parse(struct rig *r, struct str text)
{
    struct sip_error error;
    CHECK(text.n < sizeof r->text);
    memmove(r->text, text.p, text.n);
    r->text[text.n] = 0;
    CHECK(sip_parse(rig_str(r), false, &r->msg, &error) == OK);
}

/* A request as a peer sends it. */
struct rig_request {
    const char *method, *branch, *host, *to_tag, *from_tag, *call_id;
    uint32_t cseq;
    const char *body;
};
static inline void rig_request(struct rig *r, struct rig_request q)
{
    char text[RIG_TEXT];
    const char *tag = q.to_tag ? ";tag=" : "";
    (void)snprintf(
        text, sizeof text,
        "%s sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s%s%s\r\nMax-Forwards: 70\r\n"
        "From: <sip:alice@example.com>;tag=%s\r\nTo: <sip:bob@example.com>%s%s\r\nCall-ID: %s\r\n"
        "CSeq: %u %s\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Length: %zu\r\n\r\n%s",
        q.method, q.host ? q.host : "192.0.2.1:5060", q.branch[0] ? ";branch=" : "", q.branch,
        q.from_tag ? q.from_tag : "a1", tag, q.to_tag ? q.to_tag : "",
        q.call_id ? q.call_id : "c1@192.0.2.1", q.cseq ? q.cseq : 1, q.method,
        q.body ? strlen(q.body) : 0, q.body ? q.body : "");
    rig_parse(r, str_c(text));
}

/* Our answer to the request that rig_request made. */
static inline struct str rig_reply(struct rig *r, unsigned code, char *buf, size_t cap)
{
    struct out o = out_of(buf, cap);
    sip_reply(&o, &r->msg, code, STR_NONE, STR("t9"), NULL);
    sip_end(&o, STR_NONE, STR_NONE);
    CHECK(!o.full);
    return out_str(&o);
}

static inline enum err rig_respond(struct rig *r, struct handle h, unsigned code)
{
    char buf[RIG_TEXT];
    return trans_respond(r->t, h, code, rig_reply(r, code, buf, sizeof buf), r->now);
}

/* Starts a client transaction; our request with a Route, a body and the branch in r->branch. */
static inline struct handle rig_client(struct rig *r, enum sip_method method, bool reliable,
                                       uint64_t user)
{
    char text[RIG_TEXT];
    struct handle h = trans_client(r->t, method, user, r->branch);
    if (!handle_is(h))
        return h;
    struct str name = sip_method_name(method);
    int n = snprintf(
        text, sizeof text,
        STR_FMT
        " sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.100:5060;rport;branch=%.*s\r\n"
        "Max-Forwards: 70\r\nRoute: <sip:p1.example.net;lr>\r\nRoute: <sip:p2.example.net;lr>\r\n"
        "From: \"Alice\" <sip:alice@example.com>;tag=f1\r\nTo: <sip:bob@example.com>\r\n"
        "Call-ID: own1\r\nCSeq: 17 " STR_FMT "\r\nContact: <sip:x@192.0.2.100>\r\n"
        "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
        STR_ARG(name), (int)BRANCH_CHARS, r->branch, STR_ARG(name));
    struct flow f = rig_flow(reliable, 9);
    CHECK(trans_send(r->t, h, &f, str_of(text, (size_t)n), r->now) == OK);
    return h;
}

/* A response to what rig_client sent last; cseq_method as given. false: stray. */
static inline bool rig_answer_to(struct rig *r, const char branch[BRANCH_CHARS], unsigned code,
                                 const char *cseq_method, const char *to_tag, bool *ret_forged)
{
    char text[RIG_TEXT];
    (void)snprintf(
        text, sizeof text,
        "SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 192.0.2.100:5060;rport=5060;branch=%.*s\r\n"
        "From: \"Alice\" <sip:alice@example.com>;tag=f1\r\nTo: <sip:bob@example.com>;tag=%s\r\n"
        "Call-ID: own1\r\nCSeq: 17 %s\r\nContent-Length: 0\r\n\r\n",
        code, (int)BRANCH_CHARS, branch, to_tag, cseq_method);
    rig_parse(r, str_c(text));
    struct flow f = rig_flow(false, 9);
    return trans_response(r->t, &r->msg, &f, r->now, ret_forged);
}

static inline bool rig_answer(struct rig *r, unsigned code, const char *cseq_method)
{
    bool forged;
    return rig_answer_to(r, r->branch, code, cseq_method, "t1", &forged);
}

/* What a peer sends: matched, not yet opened. */
static inline enum trans_match rig_match(struct rig *r, uint8_t from_host, struct handle *ret_h)
{
    struct flow f = rig_flow(false, from_host);
    return trans_request(r->t, &r->msg, &f, r->now, ret_h);
}

static inline struct handle rig_server(struct rig *r, bool reliable, uint64_t user)
{
    struct flow f = rig_flow(reliable, 1);
    return trans_server(r->t, &r->msg, &f, user, r->now);
}

static inline struct trans *rig_trans(const struct rig *r, struct handle h)
{
    return pool_get(&r->t->pool, h);
}

/* Which states have a clock running: RFC 3261 17, RFC 6026. */
static inline bool rig_state_timed(enum trans_kind kind, enum trans_state s)
{
    bool client = kind == TRANS_ICT || kind == TRANS_NICT;
    return client ? s != ST_IDLE : s != ST_TRYING && s != ST_PROCEEDING;
}

/* The invariants of every record. */
static inline void rig_check(const struct rig *r)
{
    uint32_t it = 0, armed = 0, servers = 0;
    const struct trans *x;
    while ((x = pool_next(&r->t->pool, &it)) != NULL) {
        bool timed = rig_state_timed((enum trans_kind)x->kind, (enum trans_state)x->state);
        CHECK(timer_armed(&x->timer) == timed);
        CHECK(x->state != ST_NONE && x->state < ST_TERMINATED);
        CHECK((x->copy != NULL) == (x->copy_len != 0));
        CHECK(!(x->state == ST_ACCEPTED || x->state == ST_CONFIRMED) || !x->copy);
        CHECK(x->kind != TRANS_NICT || x->state != ST_COMPLETED || !x->copy);
        CHECK(!flow_reliable(&x->flow) || x->interval_ms == 0);
        armed += timed;
        servers += x->kind == TRANS_IST || x->kind == TRANS_NIST;
    }
    uint32_t queued = 0, ticks = 0;
    for (unsigned i = 0; i < QUEUES; i++) {
        const struct queue *q = &r->t->queues[i];
        const struct timer *n = q->ends.next;
        CHECK(timer_armed(&q->tick) == (n != &q->ends));
        CHECK(n == &q->ends || !instant_before(n->due, q->tick.due));
        ticks += n != &q->ends;
        for (; n != &q->ends; n = n->next) {
            CHECK(n->next->prev == n && n->prev->next == n);
            CHECK(n->next == &q->ends || !instant_before(n->next->due, n->due));
            queued++;
        }
    }
    CHECK(r->wheel.armed == armed - queued + ticks);
    CHECK(r->t->keys.used == servers && r->t->merges.used <= servers);
}
#endif
