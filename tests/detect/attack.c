/* Attackers: each a source of its own, or many, that go on at a pace. */
#include "tests/detect/attack.h"

struct thug thugs[THUGS];
static struct campaign campaign;

const int64_t *pace(int64_t slow, int64_t normal, int64_t fast)
{
    static int64_t p[3];
    p[0] = slow, p[1] = normal, p[2] = fast;
    return p;
}

static void shoot(struct world *w, void *who, int64_t n)
{
    struct campaign *c = who;
    c->shot(w, &thugs[(unsigned)n % c->sources], (unsigned)n);
    world_at(w, c->every / 2 + (int64_t)any(w, (uint32_t)MIN(c->every, 4000 * SECOND)) + 1, shoot,
             c, n + 1);
}

void attack(struct world *w, unsigned sources, int64_t every, shot_fn *shot, recv_fn *recv)
{
    memset(thugs, 0, sizeof thugs);
    for (unsigned i = 0; i < sources; i++) {
        struct addr a = sources == 1 ? at("192.0.2.66:5066")
                                     : at_nth(i / 250, i % 250 + 1, (uint16_t)(5060 + i % 50));
        thugs[i].a = (struct agent){.flow = {.proto = PROTO_UDP, .listener = LISTEN_UDP, .peer = a},
                                    .recv = recv,
                                    .label = BAD};
        thugs[i].n = i;
        world_join(w, &thugs[i].a);
    }
    campaign = (struct campaign){sources, every, shot};
    world_at(w, BEFORE, shoot, &campaign, 0);
}

void thug_moves(struct world *w, struct thug *t, struct addr where)
{
    world_leave(w, &t->a);
    t->a.flow.peer = where;
    world_join(w, &t->a);
}

/* A request from outside of any call. */
const char *stranger(struct thug *t, const char *method, const char *uri, const char *user,
                     const char *more, const char *body)
{
    t->sent++;
    return say(
        "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1:5060;branch=z9hG4bKt%u.%u;rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:%s@example.com>;tag=t%u.%u\r\nTo: <sip:%s@example.com>"
        "\r\nCall-ID: t%u.%u@10.1.1.1\r\nCSeq: 1 %s\r\nContact: <sip:%s@10.1.1.1:5060>%s\r\n%s"
        "Content-Length: %zu\r\n\r\n%s",
        method, uri, t->n, t->sent, user, t->n, t->sent, user, t->n, t->sent, method, user,
        t->device ? ";+sip.instance=\"" BAD_INSTANCE "\"" : "", more, strlen(body), body);
}
