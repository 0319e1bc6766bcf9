/* Attacks on media ports. */
#include "tests/detect/attack.h"

static uint8_t rtp[172] = {0x80, 8, 0, 1};

/* A call that stays up, whose port is known to the attacker. */
static uint16_t long_call(struct world *w)
{
    for (unsigned i = 0; i < w->n_phones; i++)
        if (w->phones[i].call.up && w->phones[i].call.port)
            return w->phones[i].call.port;
    return 0;
}
static void busy(struct world *w, void *unused, int64_t arg)
{
    (void)unused, (void)arg;
    for (unsigned i = 0; i < 12; i++) {
        w->phones[i].talk_s = 3600;
        phone_call(w, &w->phones[i], 30123450 + i);
    }
}
static void media_attack(struct world *w, int64_t every, shot_fn *shot)
{
    world_at(w, MINUTE, busy, NULL, 0);
    world_at(w, 2 * MINUTE, busy, NULL, 0);
    attack(w, 1, every, shot, NULL);
}
static void sequence(unsigned n)
{
    rtp[2] = (uint8_t)(n >> 8);
    rtp[3] = (uint8_t)n;
    rtp[11] = 0x77;
}

static void inject_shot(struct world *w, struct thug *t, unsigned n)
{
    uint16_t port = long_call(w);
    sequence(n);
    if (port)
        world_rtp(w, &t->a.flow.peer, port, rtp, sizeof rtp, BAD);
}
void rtp_inject(struct world *w, int level)
{
    media_attack(w, pace(2 * SECOND, 20 * MS, MS)[level], inject_shot);
}
static void bleed_shot(struct world *w, struct thug *t, unsigned n)
{
    world_rtp(w, &t->a.flow.peer, (uint16_t)(20000 + n * 2 % 4096), rtp, 12, BAD);
}
void rtp_bleed(struct world *w, int level)
{
    media_attack(w, pace(2 * SECOND, 50 * MS, 500)[level], bleed_shot);
}
void rtp_flood_out(struct world *w, int level)
{
    media_attack(w, pace(5 * MS, MS, 200)[level], inject_shot);
}
static void stray_shot(struct world *w, struct thug *t, unsigned n)
{
    sequence(n);
    world_rtp(w, &t->a.flow.peer, 23998, rtp, sizeof rtp, BAD);
}
void rtp_stray(struct world *w, int level)
{
    media_attack(w, pace(2 * SECOND, 20 * MS, MS)[level], stray_shot);
}
static void hello_shot(struct world *w, struct thug *t, unsigned n)
{
    static const uint8_t hello[64] = {22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 51, 1};
    uint16_t port = long_call(w);
    (void)n;
    if (port)
        world_rtp(w, &t->a.flow.peer, port, hello, sizeof hello, BAD);
}
void dtls(struct world *w, int level)
{
    media_attack(w, pace(5 * SECOND, 200 * MS, 5 * MS)[level], hello_shot);
}

/* A phone of the house whose call it is, gone mad: its own stream at many times the pace. */
static void party_shot(struct world *w, struct thug *t, unsigned n)
{
    struct phone *p = &w->phones[w->n_phones - 1];
    struct addr from = p->a.flow.peer;
    (void)t;
    from.port = (uint16_t)(40000 + p->index * 2);
    sequence(n);
    rtp[11] = (uint8_t)p->index;
    if (p->call.up && p->call.port)
        world_rtp(w, &from, p->call.port, rtp, sizeof rtp, BAD);
    else if (p->call.role == CALL_NONE)
        phone_call(w, p, 30123456);
}
static void turns_bad(struct world *w, void *phone, int64_t arg)
{
    struct phone *p = phone;
    (void)arg;
    p->talk_s = 3600;
    p->a.label = BAD;
    phone_call(w, p, 30123456);
}
void rtp_flood_in(struct world *w, int level)
{
    struct phone *p = &w->phones[w->n_phones - 1];
    (void)snprintf(w->insider, sizeof w->insider, "%u@", p->number);
    world_at(w, 2 * MINUTE, turns_bad, p, 0);
    media_attack(w, pace(5 * MS, MS, 200)[level], party_shot);
}
