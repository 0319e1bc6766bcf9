/* Bytes as what two engines do with three identities; then the bytes as the other engine's shard.
 * Caps hold after every step, what runs is what is held, and at the end nothing runs. */
#include "base/cc.h"
#include "guard/ledger.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS 8u
#define ROWS  32u
static ALIGNED(64) uint8_t mem[2][1u << 13];
static const struct sipkey K = {7, 8};

struct call {
    struct ledger_hold h;
    struct ledger_key v[2];
    uint32_t s;
};

static void holds(struct ledger *l, const struct ledger_key *k, uint32_t calls, struct wall now)
{
    struct ledger_sum s = ledger_sum(l, (enum ledger_kind)k->kind, k->key, now);
    CHECK(s.calls == calls && s.calls <= k->caps->calls);
    for (unsigned t = 0; t < SPAN_COUNT; t++)
        CHECK(!k->caps->micro[t] || s.micro[t] <= k->caps->micro[t]);
}

static uint32_t running(const struct call c[2][CALLS], const struct ledger_key *k)
{
    uint32_t n = 0;
    for (unsigned e = 0; e < 2; e++)
        for (unsigned i = 0; i < CALLS; i++)
            for (unsigned m = 0; m < c[e][i].h.n; m++)
                n += c[e][i].h.key[m] == k->key && c[e][i].h.kind[m] == k->kind;
    return n;
}

static void step(struct ledger *l, struct call *c, const uint8_t *d, const struct caps *caps,
                 struct wall now)
{
    static const struct rate RATE = {
        .setup_micro = 3, .minute_micro = 100, .minimum_s = 10, .increment_s = 5};
    struct ledger_refusal why;
    uint32_t next, ahead;
    struct ledger_key v[2] = {{(uint64_t)d[2] % 3 + 1, &caps[0], LEDGER_IDENTITY},
                              {9, &caps[1], LEDGER_SYSTEM}};
    switch (d[1] % 4) {
    case 0:
        if (c->h.n)
            return;
        memcpy(c->v, v, sizeof v);
        c->s = 0;
        if (ledger_reserve(l, v, 2, &RATE, now, &c->h, &why) != REASON_NONE)
            CHECK(c->h.n == 0);
        return;
    case 1:
        ahead = c->h.spent_s + c->h.reserved_s;
        c->s = MIN(c->s + d[3] % 60, ahead);
        (void)ledger_run(l, c->v, 2, &c->h, c->s, now, &next);
        return;
    case 2:
        (void)ledger_release(l, &c->h, c->s, now);
        CHECK(c->h.n == 0);
        return;
    default:
        if (ledger_move(l, &c->h, v, 2, now) == REASON_NONE)
            memcpy(c->v, v, sizeof v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct call c[2][CALLS] = {0};
    struct ledger l[2] = {{.n = 2}, {.n = 2}};
    size_t bytes = ledger_bytes(ROWS);
    const struct caps caps[2] = {{.calls = 3, .micro = {500, 900, 0}, .call_micro = 300},
                                 {.calls = 5, .micro = {900, 0, 4000}, .seconds = {0, 5000, 0}}};
    struct wall now = {INT64_C(1790000000000000)};
    CHECK(bytes <= sizeof mem[0]);
    memset(mem, 0, sizeof mem);
    for (unsigned e = 0; e < 2; e++) {
        l[e].own = (struct ledger_shard *)(void *)mem[e];
        ledger_begin(l[e].own, ROWS, &K);
        for (unsigned i = 0; i < 2; i++) {
            l[e].shard[i] = (struct ledger_shard *)(void *)mem[i];
            l[e].bytes[i] = bytes;
        }
    }
    const uint8_t *d = data;
    for (size_t left = size; left >= 5; d += 5, left -= 5) {
        unsigned e = d[0] & 1;
        step(&l[e], &c[e][d[0] / 2 % CALLS], d, caps, now);
        now.us += (int64_t)d[4] * d[4] * 1000000;
        for (uint64_t k = 1; k <= 3; k++) {
            struct ledger_key id = {k, &caps[0], LEDGER_IDENTITY};
            holds(&l[0], &id, running(c, &id), now);
        }
        struct ledger_key all = {9, &caps[1], LEDGER_SYSTEM};
        holds(&l[1], &all, running(c, &all), now);
    }
    for (unsigned e = 0; e < 2; e++)
        for (unsigned i = 0; i < CALLS; i++)
            (void)ledger_release(&l[e], &c[e][i].h, c[e][i].s, now);
    CHECK(ledger_sum(&l[0], LEDGER_SYSTEM, 9, now).calls == 0);
    memcpy(mem[1], data, MIN(size, bytes)); /* a captured engine's */
    struct ledger_seed row;
    uint32_t it = 0, calls;
    while (ledger_walk(l[0].shard[1], bytes, &it, &row, &calls, now))
        CHECK(row.kind < LEDGER_KINDS && row.micro[0] >= 0);
    struct ledger_sum s = ledger_sum(&l[0], LEDGER_SYSTEM, 9, now);
    CHECK(s.micro[SPAN_MONTH] >= 0);
    if (ledger_valid(l[1].own, bytes) == OK)
        ledger_adopt(l[1].own, now);
    return 0;
}
