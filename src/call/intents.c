/* What the core wants done, in order, until the platform has done it. */
#include "call/core_int.h"

void intents_init(struct intents *i, struct intent *v, size_t cap, void *mem, size_t bytes)
{
    *i = (struct intents){.v = v, .cap = cap};
    arena_init_fixed(&i->arena, mem, bytes);
}

void intents_reset(struct intents *i)
{
    i->n = 0;
    arena_reset(&i->arena);
}

struct out intents_room(struct intents *i)
{
    return out_of(i->arena.p, MIN((size_t)(i->arena.end - i->arena.p), (size_t)SIP_MSG_MAX));
}

static struct intent *append(struct intents *i, enum intent_kind kind, struct str bytes)
{
    struct str kept = STR_NONE;
    if (i->n < i->cap) {
        if (bytes.n && bytes.p == (const char *)i->arena.p) /* built in place: intents_room */
            kept = str_of(arena_take(&i->arena, bytes.n), bytes.n);
        else
            kept = arena_str(&i->arena, bytes);
    }
    if (!kept.p) {
        i->lost++;
        return NULL;
    }
    struct intent *x = &i->v[i->n++];
    *x = (struct intent){.kind = (uint8_t)kind, .bytes = kept};
    return x;
}

void core_send(struct core *c, const struct flow *f, struct str bytes, struct handle ref)
{
    struct intent *x = append(c->out, INTENT_SEND, bytes);
    if (!x) {
        core_count(c, REASON_capacity_memory);
        return;
    }
    x->flow = *f;
    x->ref = ref;
}

void core_forward(struct core *c, uint8_t engine, const struct flow *f, struct str bytes,
                  bool tls_verified)
{
    struct intent *x = append(c->out, INTENT_FORWARD, bytes);
    if (!x) {
        core_count(c, REASON_capacity_memory);
        return;
    }
    x->flow = *f;
    x->engine = engine;
    x->verified = tls_verified;
    struct proof *p = tls_verified && c->proof ? arena_take(&c->out->arena, sizeof *p) : NULL;
    if (p)
        *p = *c->proof;
    x->proof = p;
}

void core_proved(struct core *c, const struct request *r)
{
    if (r->flow.proto == PROTO_UDP || r->ident == IDENT_NONE)
        return;
    struct intent *x = append(c->out, INTENT_PROVED, STR(""));
    if (x) /* else the connection proves itself with its next request */
        x->flow = r->flow;
}

void core_ask(struct core *c, const struct ask *a)
{
    if (!append(c->out, INTENT_ASK, str_of((const char *)a, ask_size(a))))
        core_count(c, REASON_capacity_memory);
}

void core_ban(struct core *c, const struct ban *b)
{
    if (!append(c->out, INTENT_BAN, str_of((const char *)b, sizeof *b)))
        core_count(c, REASON_capacity_memory);
}

void core_observe_at(struct core *c, uint8_t engine, const struct obs *o)
{
    struct intent *x = append(c->out, INTENT_OBSERVE, str_of((const char *)o, sizeof *o));
    if (x)
        x->engine = engine;
    else
        core_count(c, REASON_capacity_memory);
}

void core_fraud_at(struct core *c, uint8_t engine, struct str news)
{
    struct intent *x = append(c->out, INTENT_FRAUD, news);
    if (x)
        x->engine = engine;
    else
        core_count(c, REASON_capacity_memory);
}

struct fact *fact_begin(struct core *c, enum fact_kind k, enum reason why, uint16_t code)
{
    struct fact *f = &c->fact;
    size_t n = fact_size(k);
    memset(f, 0, n);
    f->bytes = (uint16_t)n;
    f->kind = (uint8_t)k;
    f->engine = c->cfg.engine;
    f->reason = (uint16_t)why;
    f->code = code;
    f->seq = ++c->fact_seq;
    f->wall_us = c->now.wall.us;
    return f;
}

void core_fact(struct core *c, const struct fact *f)
{
    if (!append(c->out, INTENT_FACT, str_of((const char *)f, f->bytes)))
        core_count(c, REASON_ring_full);
}

void fact_end(struct core *c)
{
    core_fact(c, &c->fact);
}

void core_count(struct core *c, enum reason why)
{
    if (why != REASON_NONE)
        counters_hit(c->cfg.counters, why);
}
