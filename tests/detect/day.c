/* An office's honest life, with all that looks like an attack and is none. */
#include "tests/detect/detect.h"

/* --- everyday --- */

static void calls_of(struct world *w, void *phone, int64_t every_s)
{
    struct phone *p = phone;
    uint32_t what = any(w, 100);
    if (what < 4)
        phone_call(w, p, -1); /* mistyped */
    else if (what < 8)
        phone_message(w, p, 0);
    else
        phone_call(w, p, 0);
    world_at(w, (every_s / 2 + any(w, (uint32_t)every_s)) * SECOND, calls_of, p, every_s);
}

static void calls_in(struct world *w, void *unused, int64_t every_s)
{
    pbx_call(w, NULL, 0);
    world_at(w, (every_s / 2 + any(w, (uint32_t)every_s)) * SECOND, calls_in, unused, every_s);
}

static void office(struct world *w, int64_t phone_calls_s, int64_t pbx_calls_s, int64_t over_us)
{
    for (unsigned i = 0; i < w->n_phones; i++) {
        struct phone *p = &w->phones[i];
        p->plan = i % 17 == 5 ? PLAN_BUSY : i % 13 == 4 ? PLAN_NO_ANSWER : PLAN_ANSWER;
        world_at(w, any(w, (uint32_t)over_us), phone_register, p, 0);
        world_at(w, 2 * MINUTE + any(w, (uint32_t)(phone_calls_s * SECOND % 4000000000)), calls_of,
                 p, phone_calls_s);
        if (i % 5 == 0)
            world_at(w, MINUTE + i * SECOND, phone_watch, p, 0);
    }
    world_at(w, 3 * MINUTE, calls_in, NULL, pbx_calls_s);
}

void day_background(struct world *w)
{
    office(w, 900, 120, 20 * SECOND);
}

/* --- the events of a day --- */

/* Everything goes dark and comes back within a second. */
static void power_back(struct world *w, void *unused, int64_t arg)
{
    (void)unused, (void)arg;
    for (unsigned i = 0; i < w->n_phones; i++) {
        struct phone *p = &w->phones[i];
        p->on = true;
        p->tries = 0;
        world_at(w, any(w, SECOND), phone_register, p, 0);
    }
}

static void power_cut(struct world *w, void *unused, int64_t arg)
{
    (void)arg;
    for (unsigned i = 0; i < w->n_phones; i++) {
        struct phone *p = &w->phones[i];
        p->on = p->registered = false;
        p->nonce[0] = 0;
        p->call = (struct leg_of){.serial = p->call.serial};
    }
    world_at(w, 5 * MINUTE, power_back, unused, 0);
}

/* The router gives all phones behind it other ports. */
static void rebind(struct world *w, void *unused, int64_t arg)
{
    (void)unused;
    for (unsigned i = 0; i < w->n_phones; i++) {
        struct addr a = w->phones[i].a.flow.peer;
        if (a.port == 5060)
            continue;
        a.port = (uint16_t)(20000 + (unsigned)arg * 100 + i * 5);
        world_leave(w, &w->phones[i].a);
        w->phones[i].a.flow.peer = a;
        world_join(w, &w->phones[i].a);
        world_at(w, any(w, 60) * SECOND, phone_register, &w->phones[i], 0);
    }
}

/* Nonces of before are nobody's. */
static void restart(struct world *w, void *unused, int64_t arg)
{
    (void)unused, (void)arg;
    world_restart(w);
    for (unsigned i = 0; i < w->n_phones; i++)
        w->phones[i].call = (struct leg_of){.serial = w->phones[i].call.serial};
}

static void password_is(struct world *w, void *phone, int64_t right)
{
    struct phone *p = phone;
    p->password = right ? PASSWORD : "wrong horse";
    p->retry_s = right ? 60 : 10;
    if (!right)
        phone_register(w, p, 0);
}

/* Three wrong ones after it was changed, then the right one. */
static void mistyped(struct world *w, void *phone, int64_t arg)
{
    (void)arg;
    password_is(w, phone, 0);
    world_at(w, 55 * SECOND, password_is, phone, 1);
}

/* A phone that nobody told about its new password tries all night. */
static void forgotten(struct world *w, void *phone, int64_t hours)
{
    struct phone *p = phone;
    (void)snprintf(w->insider, sizeof w->insider, "%u@", p->number);
    p->a.label = VICTIM; /* to be locked, and it alone */
    p->password = "old horse";
    p->retry_s = 60;
    w->began = true;
    (void)hours;
    phone_register(w, p, 0);
}

static struct agent monitor;
static void monitoring(struct world *w, void *unused, int64_t n)
{
    (void)unused;
    world_say(w, &monitor,
              say("OPTIONS sip:" OUTSIDE " SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.230:5060;"
                  "branch=z9hG4bKm%u;rport\r\nMax-Forwards: 70\r\nFrom: <sip:check@203.0.113.230>"
                  ";tag=%u\r\nTo: <sip:" OUTSIDE ">\r\nCall-ID: m%u@203.0.113.230\r\nCSeq: 1 "
                  "OPTIONS\r\nContent-Length: 0\r\n\r\n",
                  (unsigned)n, (unsigned)n, (unsigned)n));
    world_at(w, MINUTE, monitoring, NULL, n + 1);
}

static void monitor_begins(struct world *w, void *unused, int64_t arg)
{
    (void)arg;
    monitor = (struct agent){
        .flow = {.proto = PROTO_UDP, .listener = LISTEN_UDP, .peer = at("203.0.113.230:5060")}};
    world_join(w, &monitor);
    monitoring(w, unused, 1);
}

/* Office, street, home: the same softphone at three addresses, one of them IPv6. */
static void roams(struct world *w, void *phone, int64_t n)
{
    static const char *const places[] = {"192.0.2.70:5061", "[2001:db8:7::5]:5060",
                                         "203.0.113.231:5060"};
    struct phone *p = phone;
    phone_move(w, p, at(places[n % 3]));
    p->nonce[0] = 0;
    phone_register(w, p, 0);
    world_at(w, (5 + any(w, 40)) * MINUTE, roams, p, n + 1);
}

/* Abroad with the phone he always has; and a new phone at home. */
static void travels(struct world *w, void *phone, int64_t arg)
{
    struct phone *p = phone;
    (void)arg;
    phone_move(w, p, at("203.0.113.245:5060"));
    phone_register(w, p, 0);
}

static void mistypes(struct world *w, void *phone, int64_t left)
{
    phone_call(w, phone, -1);
    if (left > 1)
        world_at(w, 20 * SECOND, mistypes, phone, left - 1);
}

/* Rings a colleague's phone again and again and gives up each time. */
static void impatient(struct world *w, void *phone, int64_t left)
{
    struct phone *p = phone;
    phone_dial(w, p, say("%u", EXT + 4));
    world_at(w, 6 * SECOND, phone_cancel, p, p->call.serial);
    if (left > 1)
        world_at(w, 45 * SECOND, impatient, phone, left - 1);
}

/* The hotline's number in the morning: many call, and most are busy. */
static void rush(struct world *w, void *unused, int64_t left)
{
    pbx_dial(w, EXT + 7, say("030%07u", any(w, 9999999)));
    if (left > 1)
        world_at(w, (4 + any(w, 8)) * SECOND, rush, unused, left - 1);
}

/* --- rows --- */

static void at_hour(struct world *w, unsigned tenths, event_fn *fn, unsigned phone, int64_t arg)
{
    world_at(w, tenths * HOUR / 10, fn, &w->phones[phone], arg);
}

void day_start(struct world *w, int level)
{
    (void)level;
    office(w, 5000, 60, 5 * MINUTE);
    at_hour(w, 10, monitor_begins, 0, 0);
    at_hour(w, 15, mistyped, 70, 0);
    at_hour(w, 20, power_cut, 0, 0);
    at_hour(w, 35, rebind, 0, 1);
    at_hour(w, 41, mistypes, 12, 6);
    at_hour(w, 50, restart, 0, 0);
    at_hour(w, 58, roams, 90, 0);
    at_hour(w, 63, impatient, 31, 6);
    at_hour(w, 70, rush, 0, 40);
    at_hour(w, 74, mistyped, 20, 0);
    at_hour(w, 80, rebind, 0, 2);
    at_hour(w, 85, travels, 95, 0);
    at_hour(w, 90, power_cut, 0, 0);
    at_hour(w, 110, restart, 0, 0);
    at_hour(w, 120, forgotten, 33, 0);
}

#define TWIN(name, ...)                                                                            \
    static void name##_start(struct world *w, int level)                                           \
    {                                                                                              \
        (void)level;                                                                               \
        office(w, 3000, 60, 2 * MINUTE);                                                           \
        __VA_ARGS__                                                                                \
    }
TWIN(dark, at_hour(w, 2, power_cut, 0, 0); at_hour(w, 5, power_cut, 0, 0);)
/* All behind one address that nobody knows, in the same second. */
static void morning_start(struct world *w, int level)
{
    (void)level;
    office(w, 3000, 60, SECOND);
}
TWIN(nat, at_hour(w, 2, rebind, 0, 1); at_hour(w, 5, rebind, 0, 2);)
TWIN(again, at_hour(w, 2, restart, 0, 0); at_hour(w, 5, restart, 0, 0);)
TWIN(typed, at_hour(w, 2, mistyped, 20, 0); at_hour(w, 4, mistyped, 70, 0);)
TWIN(night, at_hour(w, 2, forgotten, 33, 0);)
TWIN(watch, at_hour(w, 2, monitor_begins, 0, 0);)
TWIN(roam, at_hour(w, 2, roams, 90, 0); at_hour(w, 3, travels, 95, 0);)
TWIN(fingers, at_hour(w, 2, mistypes, 12, 8); at_hour(w, 3, mistypes, 80, 8);
     at_hour(w, 4, impatient, 31, 8);)
TWIN(hotline, at_hour(w, 2, rush, 0, 60);)

const struct row DAY[] = {
    {"benign day of an office", "", day_start, {24 * HOUR, 0, 0}, true, 0},
    {"power cut, all back at once", "", dark_start, {HOUR, 0, 0}, true, 0},
    {"200 phones behind one address, at once", "", morning_start, {HOUR, 0, 0}, true, 200},
    {"NAT rebinding", "", nat_start, {HOUR, 0, 0}, true, 0},
    {"gateway restart, stale nonces", "", again_start, {HOUR, 0, 0}, true, 0},
    {"password mistyped", "", typed_start, {HOUR, 0, 0}, true, 0},
    {"one phone, old password all night", "", night_start, {10 * HOUR, 0, 0}, true, 0},
    {"monitoring by OPTIONS", "", watch_start, {10 * HOUR, 0, 0}, true, 0},
    {"softphone roams, user travels", "", roam_start, {6 * HOUR, 0, 0}, true, 0},
    {"mistyped numbers, calls given up", "", fingers_start, {HOUR, 0, 0}, true, 0},
    {"rush on the hotline", "", hotline_start, {HOUR, 0, 0}, true, 0},
};
const unsigned N_DAY = ARRAY_LEN(DAY);
