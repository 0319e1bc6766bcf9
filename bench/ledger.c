/* What money costs: a call in the ledger (reserve, answer, release; eight keys) with a hundred
 * thousand identities and two shards, a look at prices with a million prefixes, and the memory of
 * an identity with up to eight engines. */
#include "guard/ledger.h"
#include "bench.h"
#include "guard/rates.h"
#include <stdio.h>

#define IDENTITIES 100000u
#define PREFIXES   1000000u
#define ROUNDS     7
#define TIMES      200000u
#define A_MONTH    20u /* calls of each */
#define ELSEWHERE  20u

static struct ledger l;
static struct rates *prices;
static uint64_t key[IDENTITIES], device[IDENTITIES], shared[LEDGER_KINDS][256];
static const struct sipkey K = {1, 2};
static const struct wall NOW = {INT64_C(1790000000000000)};

static uint32_t refused;
static uint64_t seed = 88172645463325252u;
static uint32_t chance(uint32_t n)
{
    return chance_of(&seed, n);
}

static uint64_t name(enum ledger_kind kind, uint32_t i)
{
    char text[32];
    int n = snprintf(text, sizeof text, "u%u@example.com", i);
    return ledger_key_of(&K, kind, str_of(text, (size_t)n));
}

static struct caps CAPS = {
    .calls = 60000, .attempts_min = 65535, .micro = {0, INT64_MAX / 2, INT64_MAX / 2}};
static void call(uint32_t i)
{
    static const struct rate RATE = {.minute_micro = 10000, .minimum_s = 60, .increment_s = 60};
    struct ledger_key v[LEDGER_KEYS] = {{key[i], &CAPS, LEDGER_IDENTITY},
                                        {device[i], NULL, LEDGER_DEVICE}};
    struct ledger_hold h;
    struct ledger_refusal why;
    uint32_t next;
    for (uint8_t k = LEDGER_ROLE; k < LEDGER_KINDS; k++)
        v[k] = (struct ledger_key){shared[k][k == LEDGER_SYSTEM ? 0 : i % 200], &CAPS, k};
    if (ledger_reserve(&l, v, LEDGER_KEYS, &RATE, NOW, &h, &why) != REASON_NONE) {
        refused++;
        return;
    }
    (void)ledger_run(&l, v, LEDGER_KEYS, &h, 0, NOW, &next);
    (void)ledger_release(&l, &h, 30, NOW);
}

static void look(uint32_t i)
{
    char text[16];
    struct rate r;
    int n = snprintf(text, sizeof text, "+%u%05u", 1000000 + i * 9973u % PREFIXES, i % 100000u);
    if (!rates_find(prices, 1, str_of(text, (size_t)n), NOW, &r))
        exit(1);
    __asm__ volatile("" ::"r"(&r) : "memory"); /* it is wanted */
}

static void nothing(uint32_t i)
{
    char text[16];
    int n = snprintf(text, sizeof text, "+%u%05u", 1000000 + i * 9973u % PREFIXES, i % 100000u);
    __asm__ volatile("" ::"r"(n), "r"(text) : "memory");
}

static int64_t best(void (*f)(uint32_t), uint32_t n)
{
    int64_t least = INT64_MAX;
    for (int r = 0; r < ROUNDS; r++) {
        int64_t t = cpu_ns();
        for (uint32_t i = 0; i < TIMES; i++)
            f(chance(n));
        t = cpu_ns() - t;
        least = t < least ? t : least;
    }
    return least / TIMES;
}

static void load_prices(void)
{
    struct rates_entry *v = zeroed(sizeof *v * PREFIXES);
    size_t bad, bytes = rates_bytes(PREFIXES);
    for (uint32_t i = 0; i < PREFIXES; i++) {
        unsigned long p = i % 10 ? 1000000 + i : i % 100 ? 100000 + i / 10 : 10000 + i / 100;
        v[i].deck = 1;
        v[i].from.us = i % 10 ? 0 : i; /* shorter prefixes, too */
        v[i].rate = (struct rate){.minute_micro = i, .minimum_s = 1, .increment_s = 1};
        (void)snprintf(v[i].prefix, sizeof v[i].prefix, "%lu", p);
    }
    prices = zeroed(bytes);
    int64_t t = cpu_ns();
    if (rates_build(v, PREFIXES, prices, bytes, &bad) != OK)
        exit(1);
    printf("rates_build    %8.0f ms for %u prefixes, %.1f bytes each\n",
           (double)(cpu_ns() - t) / 1e6, PREFIXES, (double)bytes / PREFIXES);
    free(v);
}

/* Shards as the monitor makes them, whole, for IDENTITIES that all call: each at home in one
 * engine, where its calls go; one in ELSEWHERE lands in any (a transfer, a forward). All must fit.
 */
static void memory_of(uint8_t engines)
{
    uint32_t rows = ledger_share(IDENTITIES, engines), used = 0;
    size_t bytes = ledger_bytes(rows);
    struct ledger all = {.n = engines};
    for (uint8_t i = 0; i < engines; i++) {
        struct ledger_shard *s = zeroed(bytes);
        ledger_begin(s, rows, &K);
        all.shard[i] = s;
        all.bytes[i] = bytes;
    }
    refused = 0;
    CAPS.attempts_min = 0; /* all of it is one minute */
    for (uint32_t i = 0; i < IDENTITIES * A_MONTH; i++) {
        uint32_t who = i % IDENTITIES, at = chance(ELSEWHERE) ? who % engines : chance(engines);
        l = all;
        l.own = (struct ledger_shard *)(uintptr_t)all.shard[at];
        call(who);
    }
    for (uint8_t i = 0; i < engines; i++) {
        used += ledger_rows_used(all.shard[i]);
        free((void *)(uintptr_t)all.shard[i]);
    }
    double each = (double)bytes * engines / IDENTITIES;
    printf("ledger memory  %8.0f bytes an active identity with its device, %u engine%s, %u calls "
           "a month (%.2f rows used, %u calls refused)\n",
           each, engines, engines > 1 ? "s" : "", A_MONTH, (double)used / IDENTITIES, refused);
    printf("ledger-json {\"engines\":%u,\"bytes\":%.0f,\"remark\":\"with its device, all shards "
           "whole; %u calls, one in %u not at home; %.2f rows used, %u refused\"}\n",
           engines, each, A_MONTH, ELSEWHERE, (double)used / IDENTITIES, refused);
}

int main(void)
{
    uint32_t rows = ledger_share(IDENTITIES, 1);
    size_t bytes = ledger_bytes(rows);
    for (uint8_t i = 0; i < 2; i++) {
        struct ledger_shard *s = zeroed(bytes);
        ledger_begin(s, rows, &K);
        l.own = i ? l.own : s;
        l.shard[i] = s;
        l.bytes[i] = bytes;
    }
    l.n = 2;
    for (uint32_t i = 0; i < IDENTITIES; i++) {
        key[i] = name(LEDGER_IDENTITY, i);
        device[i] = name(LEDGER_DEVICE, i);
    }
    for (uint8_t k = 0; k < LEDGER_KINDS; k++)
        for (uint32_t i = 0; i < 256; i++)
            shared[k][i] = name((enum ledger_kind)k, IDENTITIES + i);
    for (uint32_t i = 0; i < IDENTITIES; i++)
        call(i);
    printf("ledger call    %8lld ns: reserve, answer and release of 8 keys, 2 shards, %u "
           "identities\n",
           (long long)best(call, IDENTITIES), IDENTITIES);
    for (uint8_t n = 1; n <= 8; n = (uint8_t)(n * 2))
        memory_of(n);
    load_prices();
    int64_t text = best(nothing, PREFIXES);
    printf("rates_find     %8lld ns at %u prefixes\n", (long long)(best(look, PREFIXES) - text),
           rates_count(prices));
    return 0;
}
