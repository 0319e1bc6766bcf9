/* What the shield costs a message: ns of guard_before (limits and the ban board) and guard_observe
 * (detectors), for a few people and for a hundred thousand, whose slots no cache holds. */
#include "guard/guard.h"
#include "bench.h"
#include "wire/sip/msg.h"
#include <stdio.h>

#define SOURCES (1u << 17)
#define PARTIES (1u << 15)
#define BANS    (1u << 17)
#define ROUNDS  7
#define TIMES   200000u

static struct guard *g;
static struct guard_policy policy;
static struct ban_board *board;
static struct now now = {{INT64_C(1) << 40}, {INT64_C(1800000000000000)}};
static unsigned asked;

static struct addr source(uint32_t n)
{
    return (struct addr){.family = ADDR_V4,
                         .port = 5060,
                         .ip = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static uint64_t name(uint32_t n)
{
    return (n + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
}

static void before(uint32_t i)
{
    struct addr a = source(i);
    struct ban_view v;
    (void)guard_before(g, &a, false, STR("REGISTER sip:example.com SIP/2.0\r\n"), now, &v);
}

static void after(uint32_t i)
{
    (void)guard_after(g, name(i), name(i + 7), now.mono);
}

static struct obs request(uint32_t i, enum sip_method m, enum reason why, unsigned flags)
{
    return (struct obs){.kind = OBS_REQUEST,
                        .method = (uint8_t)m,
                        .reason = (uint16_t)why,
                        .flags = (uint16_t)flags,
                        .n = 1,
                        .source = source(i),
                        .aor = name(i),
                        .agent = 1,
                        .who = "alice@example.com",
                        .who_n = 17};
}

static void observe(const struct obs *o)
{
    static struct guard_out out;
    guard_observe(g, o, false, now, &out);
    asked += out.n_events;
}

static void challenged(uint32_t i)
{
    struct obs o = request(i, SIP_REGISTER, REASON_auth_required, 0);
    observe(&o);
}

static void call(uint32_t i)
{
    struct obs o = request(i, SIP_INVITE, REASON_NONE, OBS_PROVEN | OBS_USER);
    o.number = name(i % 1000);
    observe(&o);
}

static void scanner(uint32_t i)
{
    struct obs o = request(i, SIP_REGISTER, REASON_auth_required, OBS_MISSING);
    observe(&o);
}

static void guess(uint32_t i)
{
    struct obs o = request(i, SIP_REGISTER, REASON_auth_failed, OBS_PROVEN | OBS_GUESS);
    observe(&o);
}

static const struct {
    const char *name;
    void (*run)(uint32_t i);
} ROWS[] = {
    {"guard_before", before},
    {"guard_after", after},
    {"observe: REGISTER, challenged", challenged},
    {"observe: INVITE of a user", call},
    {"observe: a scanner's request", scanner},
    {"observe: a wrong password", guess},
};

/* Best of some rounds, each over people in an order that no prefetcher guesses. */
static double measure(void (*run)(uint32_t), uint32_t people)
{
    int64_t best = INT64_MAX;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t t0 = cpu_ns();
        for (uint32_t i = 0; i < TIMES; i++) {
            run((i * 2654435761u >> 5) % people);
            if (i % 64 == 0)
                now.mono.us += 10000;
        }
        best = MIN(best, cpu_ns() - t0);
    }
    return (double)best / TIMES;
}

static void ban(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t slot;
        struct ban b = {.id = i + 1,
                        .scope = BAN_SOURCE,
                        .treat = TREAT_BAN,
                        .times = 1,
                        .net = {source(i), 32},
                        .since = now.wall,
                        .until = {now.wall.us + INT64_C(86400000000)}};
        b.net.a.port = 0;
        b.net.a.ip[0] = 11;
        if (ban_put(board, BANS, &b, &slot) != OK)
            return;
    }
}

int main(void)
{
    struct guard_cfg cfg = {
        .engines = 1, .sources = SOURCES, .parties = PARTIES, .key = {1, 2}, .policy = &policy};
    guard_policy_default(&policy);
    board = zeroed(ban_bytes(BANS));
    ban_init(board, BANS);
    ban(10000);
    cfg.bans = board;
    cfg.bans_cap = BANS;
    (void)printf("%-30s %10s %10s   ns a call; board of 10,000 bans, %zu MiB of slots\n", "", "100",
                 "100,000", guard_bytes(&cfg) >> 20);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        g = guard_init(zeroed(guard_bytes(&cfg)), &cfg, now);
        double few = measure(ROWS[i].run, 100), many = measure(ROWS[i].run, 100000);
        (void)printf("%-30s %10.0f %10.0f\n", ROWS[i].name, few, many);
        free(g);
    }
    free(board);
    return asked == 0; /* the scanners must have been seen */
}
