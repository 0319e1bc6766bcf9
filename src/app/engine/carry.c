/* Carries out the core's intents, and brings in what other programs put into our rings. */
#include "app/engine/engine.h"

/* What travels between engines: a message for its owner, or bytes for a connection that the other
 * engine holds. */
struct peer_record {
    uint8_t kind;           /* enum record_kind */
    uint8_t verified, from; /* from: the engine that ref belongs to */
    uint8_t pad;
    struct flow flow;
    struct handle ref;
};
#define VERIFIED_PROOF 2 /* a struct proof comes before the message */
enum record_kind {
    RECORD_MESSAGE = 1,
    RECORD_SEND,
    RECORD_CLOSE,
    RECORD_FAILED,
    RECORD_LOST,
    RECORD_PROVED,
    RECORD_OBSERVE,
    RECORD_FRAUD
};

static bool put_record(struct engine *e, uint8_t engine, const struct peer_record *r,
                       struct str bytes)
{
    return engine < IPC_ENGINES_MAX &&
           child_put2(&e->child.to[engine], str_of((const char *)r, sizeof *r), bytes) == OK;
}

void tell_owner(struct engine *e, struct sent s, bool lost)
{
    if (!handle_is(s.ref))
        return;
    if (s.engine != e->index) {
        struct peer_record r = {.kind = lost ? RECORD_LOST : RECORD_FAILED, .ref = s.ref};
        if (!put_record(e, s.engine, &r, STR_NONE))
            counters_hit(&e->child.stats->reasons, REASON_ring_full);
    } else if (lost) {
        core_flow_lost(e->core, s.ref, e->loop.now);
    } else {
        core_send_failed(e->core, s.ref, e->loop.now);
    }
}

static void to_engine(struct engine *e, uint8_t engine, enum record_kind kind,
                      const struct intent *i)
{
    struct peer_record r = {.kind = (uint8_t)kind,
                            .verified = i->verified,
                            .from = e->index,
                            .flow = i->flow,
                            .ref = i->ref};
    struct peer_record with[1 + sizeof(struct proof) / sizeof r + 1] = {r};
    size_t n = sizeof r;
    if (kind == RECORD_MESSAGE && i->proof) {
        with[0].verified = VERIFIED_PROOF;
        memcpy((char *)with + n, i->proof, sizeof *i->proof);
        n += sizeof *i->proof;
    }
    if (engine < IPC_ENGINES_MAX &&
        child_put2(&e->child.to[engine], str_of((const char *)with, n), i->bytes) == OK)
        return;
    counters_hit(&e->child.stats->reasons, REASON_ring_full);
    if (kind == RECORD_SEND)
        core_send_failed(e->core, i->ref, e->loop.now);
}

static void send_udp(struct engine *e, const struct intent *i)
{
    struct dgram_tx *tx = &e->tx[i->flow.listener];
    int fd = e->child.listener[i->flow.listener];
    if (fd < 0)
        return;
    if (!dgram_queue(tx, &i->flow.peer, i->bytes)) {
        (void)dgram_flush(tx, fd);
        (void)dgram_queue(tx, &i->flow.peer, i->bytes);
    }
    stat_add(e->child.stats, STAT_sip_out, 1);
    stat_add(e->child.stats, STAT_sip_bytes_out, i->bytes.n);
}

/* By way of the monitor. What cannot be sent is answered by the core's time-out. */
static void ask_fetch(struct engine *e, const struct ask *q)
{
    struct msg_cert m = {.id = q->id, .engine = e->index};
    struct str url = span_str(str_of(q->text, q->n), q->user);
    if (channel_send2(&e->child.ch, MSG_CERT_ASK, str_of((const char *)&m, sizeof m), url, -1) !=
        OK)
        counters_hit(&e->child.stats->reasons, REASON_ring_full);
}

static void ask_about(struct engine *e, const struct ask *q)
{
    struct msg_consult m = {.id = q->id, .wait_ms = q->sign, .engine = e->index};
    struct str body = span_str(str_of(q->text, q->n), q->user);
    if (channel_send2(&e->child.ch, MSG_CONSULT_ASK, str_of((const char *)&m, sizeof m), body,
                      -1) != OK)
        counters_hit(&e->child.stats->reasons, REASON_ring_full);
}

static void ask_vault(struct engine *e, const struct intent *i)
{
    struct ask q;
    if (i->bytes.n <= sizeof q) {
        memcpy(&q, i->bytes.p, i->bytes.n);
        if (q.kind == ASK_CERT) {
            ask_fetch(e, &q);
            return;
        }
        if (q.kind == ASK_CONSULT) {
            ask_about(e, &q);
            return;
        }
    }
    stat_add(e->child.stats, STAT_asks, 1);
    if (child_put(&e->child.ask[e->index], i->bytes.p, i->bytes.n) != OK)
        counters_hit(&e->child.stats->reasons,
                     REASON_ring_full); /* the core's time-out answers 503 */
}

static void tell_fact(struct engine *e, const struct intent *i)
{
    stat_add(e->child.stats, STAT_facts, 1);
    if (child_put(&e->child.fact[e->index], i->bytes.p, i->bytes.n) != OK) {
        counters_hit(&e->child.stats->reasons, REASON_ring_full);
        stat_add(e->child.stats, STAT_facts_lost, 1);
    }
}

static void carry_one(struct engine *e, const struct intent *i)
{
    bool stream = i->flow.proto != PROTO_UDP;
    bool elsewhere = stream && handle_is(i->flow.conn) && i->flow.engine != e->index;
    switch ((enum intent_kind)i->kind) {
    case INTENT_SEND:
        if (elsewhere)
            to_engine(e, i->flow.engine, RECORD_SEND, i);
        else if (stream)
            streams_send(e, i, e->index);
        else
            send_udp(e, i);
        break;
    case INTENT_FORWARD:
        to_engine(e, i->engine, RECORD_MESSAGE, i);
        break;
    case INTENT_ASK:
        ask_vault(e, i);
        break;
    case INTENT_FACT:
        tell_fact(e, i);
        break;
    case INTENT_CLOSE:
        if (elsewhere)
            to_engine(e, i->flow.engine, RECORD_CLOSE, i);
        else
            streams_close(e, &i->flow);
        break;
    case INTENT_BAN:
        if (backlog_ban(&e->bans_unsent, &e->child.ch, i->bytes) != OK)
            counters_hit(&e->child.stats->reasons, REASON_ban_unsent);
        break;
    case INTENT_OBSERVE:
        to_engine(e, i->engine, RECORD_OBSERVE, i);
        break;
    case INTENT_FRAUD:
        to_engine(e, i->engine, RECORD_FRAUD, i);
        break;
    case INTENT_PROVED:
        if (elsewhere)
            to_engine(e, i->flow.engine, RECORD_PROVED, i);
        else
            streams_proved(e, &i->flow);
        break;
    }
}

/* Carrying out can make new intents (a send fails, the core tries the next peer): they are appended
 * behind and reached in the same walk. */
void carry_out(struct engine *e)
{
    for (size_t k = 0; k < e->intents.n; k++) {
        struct intent i = e->intents.v[k];
        carry_one(e, &i);
    }
    for (unsigned l = 0; l < e->policy->n_listeners; l++)
        if (e->tx[l].n)
            (void)dgram_flush(&e->tx[l], e->child.listener[l]);
    intents_reset(&e->intents);
}

/* A message for its owner, and what the certificate of its connection proves. */
static void message_record(struct engine *e, const struct peer_record *r, struct str bytes)
{
    struct proof proof;
    bool proved = r->verified == VERIFIED_PROOF;
    if (proved && bytes.n < sizeof proof) {
        counters_hit(&e->child.stats->reasons, REASON_ipc_malformed);
        return;
    }
    if (proved) {
        memcpy(&proof, bytes.p, sizeof proof);
        bytes = str_skip(bytes, sizeof proof);
    }
    core_proof(e->core, proved ? &proof : NULL);
    core_forwarded(e->core, &r->flow, bytes, r->verified != 0, e->loop.now);
}

static void peer_record(struct engine *e, const uint8_t *rec, size_t n)
{
    struct peer_record r;
    if (n < sizeof r) {
        counters_hit(&e->child.stats->reasons, REASON_ipc_malformed);
        return;
    }
    memcpy(&r, rec, sizeof r);
    struct str bytes = str_of((const char *)rec + sizeof r, n - sizeof r);
    if (r.flow.listener >= e->policy->n_listeners || r.flow.proto > PROTO_TLS) {
        counters_hit(&e->child.stats->reasons, REASON_ipc_malformed);
        return;
    }
    struct intent i = {.kind = INTENT_SEND, .flow = r.flow, .bytes = bytes, .ref = r.ref};
    switch ((enum record_kind)r.kind) {
    case RECORD_MESSAGE:
        message_record(e, &r, bytes);
        return;
    case RECORD_SEND:
        streams_send(e, &i, r.from);
        return;
    case RECORD_CLOSE:
        streams_close(e, &r.flow);
        return;
    case RECORD_PROVED:
        streams_proved(e, &r.flow);
        return;
    case RECORD_OBSERVE: {
        struct obs o;
        if (bytes.n != sizeof o)
            break;
        memcpy(&o, bytes.p, sizeof o);
        if (obs_valid(&o, sizeof o) != OK)
            break;
        core_observe(e->core, &o, e->loop.now);
        return;
    }
    case RECORD_FRAUD:
        core_fraud(e->core, bytes, e->loop.now);
        return;
    case RECORD_FAILED:
    case RECORD_LOST:
        tell_owner(e, (struct sent){r.ref, e->index}, r.kind == RECORD_LOST);
        return;
    }
    counters_hit(&e->child.stats->reasons, REASON_ipc_malformed);
}

static bool answers_in(struct engine *e)
{
    struct answer a;
    size_t n;
    bool any = false;
    while (child_get(&e->child.answer[e->index], &a, sizeof a, &n) == OK) {
        any = true;
        stat_add(e->child.stats, STAT_answers, 1);
        if (answer_valid(&a, n) != OK)
            counters_hit(&e->child.stats->reasons, REASON_ipc_malformed);
        else if (a.kind == ASK_SIGN)
            streams_signed(e, &a);
        else
            core_answer(e->core, &a, e->loop.now);
        if (e->intents.n > INTENTS_CAP / 2)
            carry_out(e);
    }
    return any;
}

bool rings_in(struct engine *e)
{
    size_t n;
    bool any = answers_in(e);
    for (unsigned k = 0; k < e->child.setup.engines; k++) {
        if (k == e->index)
            continue;
        for (unsigned burst = 0; burst < 256; burst++) {
            if (child_get(&e->child.from[k], e->scratch, SCRATCH_BYTES * 2, &n) != OK)
                break;
            any = true;
            peer_record(e, e->scratch, n);
            if (e->intents.n > INTENTS_CAP / 2)
                carry_out(e);
        }
    }
    struct binding b;
    while (child_get(&e->child.restore[e->index], &b, sizeof b, &n) == OK)
        if (n == sizeof b)
            core_restore(e->core, &b, 1, e->loop.now);
    return any;
}
