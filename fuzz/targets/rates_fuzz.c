/* Any bytes as a blob of prices: what rates_valid lets through is safe to look up in. And a deck
 * made of the bytes answers as a slow look at its entries does. */
#include "base/cc.h"
#include "guard/rates.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROWS 64u
static ALIGNED(64) uint8_t mem[1u << 16];

static void foreign(const uint8_t *data, size_t size)
{
    if (size > sizeof mem)
        return;
    memcpy(mem, data, size);
    struct rates *r = (struct rates *)(void *)mem;
    struct rate x;
    struct rates_entry e;
    if (rates_valid(r, size) != OK)
        return;
    for (uint32_t it = 0; rates_next(r, &it, &e);)
        CHECK(e.rate.increment_s > 0);
    (void)rates_find(r, 1, STR("+4930123456"), (struct wall){1}, &x);
    (void)rates_find(r, RATES_DECKS, STR("1"), (struct wall){0}, &x);
}

static size_t rows_of(const uint8_t *data, size_t size, struct rates_entry *v)
{
    size_t n = 0;
    for (; size >= 8 && n < ROWS; data += 8, size -= 8, n++) {
        v[n] = (struct rates_entry){.deck = (uint8_t)(1 + data[0] % 2),
                                    .rate = {.setup_micro = data[6],
                                             .minute_micro = (int64_t)data[5] * 1000 + data[6],
                                             .minimum_s = (uint16_t)(1 + data[7] % 90),
                                             .increment_s = (uint16_t)(1 + data[4] % 60)},
                                    .from = {data[1] % 4},
                                    .until = {data[1] & 4 ? data[1] % 4 + 2 : 0}};
        (void)snprintf(v[n].prefix, sizeof v[n].prefix, "%u", data[2] % 16u * 256u + data[3]);
    }
    return n;
}

static const struct rates_entry *slow(const struct rates_entry *v, size_t n, uint8_t deck,
                                      const char *num, int64_t at)
{
    const struct rates_entry *best = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t l = strlen(v[i].prefix), b = best ? strlen(best->prefix) : 0;
        if (v[i].deck != deck || strncmp(v[i].prefix, num, l) || at < v[i].from.us ||
            (v[i].until.us && at >= v[i].until.us))
            continue;
        if (!best || l > b || (l == b && v[i].from.us > best->from.us))
            best = &v[i];
    }
    return best;
}

static void prices(const struct rate *r, int64_t money)
{
    uint32_t s = rate_seconds(r, money);
    CHECK(s == 0 || s == UINT32_MAX || rate_price(r, s) <= money);
    CHECK(s == UINT32_MAX || rate_price(r, s + 1) > money);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rates_entry v[ROWS];
    struct rate x;
    size_t bad = 0;
    foreign(data, size);
    size_t n = rows_of(data, size, v);
    struct rates *r = (struct rates *)(void *)mem;
    enum err e = rates_build(v, n, mem, sizeof mem, &bad);
    if (e != OK) {
        CHECK(e == ERR_EXISTS && bad < n);
        return 0;
    }
    CHECK(rates_valid(r, rates_bytes(n)) == OK && rates_count(r) == n);
    for (unsigned q = 0; q < 256; q++) {
        char num[12];
        (void)snprintf(num, sizeof num, "%u", (q * 2654435761u + (n ? data[q % size] : 0)) % 50000);
        uint8_t deck = (uint8_t)(1 + q % 2);
        int64_t at = q % 7;
        const struct rates_entry *want = slow(v, n, deck, num, at);
        bool found = rates_find(r, deck, str_c(num), (struct wall){at}, &x);
        CHECK(found == (want != NULL));
        CHECK(!want || (x.minute_micro == want->rate.minute_micro &&
                        x.minimum_s == want->rate.minimum_s && x.prefix_n == strlen(want->prefix)));
        if (found)
            prices(&x, (int64_t)q * 997);
    }
    return 0;
}
