/* What the ban board costs a message: ns a look-up of a source that is not banned and of one that
 * is, by the number of bans on the board and of prefix lengths in use. */
#include "guard/ban.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 2000000u

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
    return *s;
}

static struct addr nth(uint64_t i, bool six)
{
    struct addr a = {.family = six ? ADDR_V6 : ADDR_V4};
    uint64_t h = i * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(a.ip, &h, six ? 8 : 4);
    a.ip[0] = six ? 0x20 : a.ip[0];
    return a;
}

static double look(const struct ban_board *b, uint64_t from, uint32_t span, bool six,
                   uint32_t *ret_found)
{
    uint64_t seed = 88172645463325252u;
    struct ban_view v;
    uint32_t found = 0;
    int64_t start = now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct addr a = nth(from + next(&seed) % span, six);
        found += ban_of_source(b, BAN_CAP, &a, (struct wall){1}, &v);
    }
    *ret_found = found;
    return (double)(now_ns() - start) / ROUNDS;
}

static void fill(struct ban_board *b, uint32_t n, bool six)
{
    uint32_t slot, lost = 0;
    for (uint64_t i = 0; b->used < n && lost < 1000; i++) {
        struct ban x = {
            .scope = BAN_SOURCE, .treat = TREAT_BAN, .net = {nth(i, six), six ? 64 : 32}};
        lost += ban_put(b, BAN_CAP, &x, &slot) != OK;
    }
}

static void wide(struct ban_board *b, unsigned lengths)
{
    uint32_t slot;
    for (unsigned l = 0; l < lengths; l++) {
        struct ban x = {.scope = BAN_SOURCE, .treat = TREAT_BAN, .net = {{.family = ADDR_V4}, 0}};
        x.net.bits = (uint8_t)(24 - l);
        x.net.a.ip[0] = 192;
        if (ban_put(b, BAN_CAP, &x, &slot) != OK)
            abort();
    }
}

int main(void)
{
    static const struct {
        uint32_t n;
        bool six;
        unsigned lengths;
    } rows[] = {{0, false, 0},    {10000, false, 0},  {BAN_CAP, false, 0}, {0, true, 0},
                {10000, true, 0}, {BAN_CAP, true, 0}, {10000, false, 4},   {10000, false, 15}};
    struct ban_board *b = aligned_alloc(64, (ban_bytes(BAN_CAP) + 63) & ~(size_t)63);
    if (!b)
        return 1;
    uint32_t found;
    double base = 0;
    printf("%-40s %10s %10s\n", "bans", "free ns", "banned ns");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ban_init(b, BAN_CAP);
        b->key = (struct sipkey){1, 2};
        fill(b, rows[i].n, rows[i].six);
        wide(b, rows[i].lengths);
        double free_ns = look(b, UINT64_C(1) << 40, BAN_CAP, rows[i].six, &found);
        double banned_ns = rows[i].n ? look(b, 0, rows[i].n, rows[i].six, &found) : 0;
        base = i == 0 ? free_ns : base;
        printf("%7u %s, %2u prefix lengths more      %13.1f %10.1f\n", rows[i].n,
               rows[i].six ? "IPv6 /64" : "IPv4 /32", rows[i].lengths, free_ns, banned_ns);
    }
    printf("(each with %.1f ns for making the address)\n", base);
    free(b);
    return 0;
}
