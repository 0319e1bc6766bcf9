/* The table of attacks, and those that need no call. */
#include "tests/detect/attack.h"

static const char *number(unsigned below_existing, unsigned n)
{
    return say("%u", below_existing + n);
}

/* --- scans --- */

static void options_shot(struct world *w, struct thug *t, unsigned n)
{
    world_say(w, &t->a, stranger(t, "OPTIONS", "sip:100@" OUTSIDE, number(100, n % 30), "", ""));
}
static void register_shot(struct world *w, struct thug *t, unsigned n)
{
    world_say(w, &t->a, stranger(t, "REGISTER", "sip:" OUTSIDE, number(100, n % 30), "", ""));
}
static void invite_shot(struct world *w, struct thug *t, unsigned n)
{
    world_say(w, &t->a,
              stranger(t, "INVITE", say("sip:%u441632960%u@" OUTSIDE, n % 3 ? 0 : 900, n % 1000),
                       number(100, n % 30), "", ""));
}
static void mixed_shot(struct world *w, struct thug *t, unsigned n)
{
    static shot_fn *const shots[] = {options_shot, register_shot, invite_shot};
    shots[n / 7 % 3](w, t, n);
}
static void scan_options(struct world *w, int level)
{
    attack(w, 1, pace(2 * MINUTE, 2 * SECOND, 5 * MS)[level], options_shot, NULL);
}
static void scan_register(struct world *w, int level)
{
    attack(w, 1, pace(2 * MINUTE, 2 * SECOND, 5 * MS)[level], register_shot, NULL);
}
static void scan_invite(struct world *w, int level)
{
    attack(w, 1, pace(2 * MINUTE, 2 * SECOND, 5 * MS)[level], invite_shot, NULL);
}
static void scan_wide(struct world *w, int level)
{
    attack(w, 300, pace(20 * SECOND, SECOND, 20 * MS)[level], mixed_shot, NULL);
}

/* --- names --- */

static void enumerate_shot(struct world *w, struct thug *t, unsigned n)
{
    const char *user = n % 5 == 0 ? number(EXT, n / 5 % 40) : number(2000, n);
    world_say(
        w, &t->a,
        stranger(t, n % 2 ? "REGISTER" : "INVITE", say("sip:%s@example.com", user), user, "", ""));
}
static void enumerate(struct world *w, int level)
{
    attack(w, 1, pace(MINUTE, 500 * MS, 4 * MS)[level], enumerate_shot, NULL);
}
static void enumerate_wide(struct world *w, int level)
{
    attack(w, 300, pace(15 * SECOND, 500 * MS, 10 * MS)[level], enumerate_shot, NULL);
}
/* Somebody with an account, who knows how to dial, tries the numbers of colleagues. */
static void dial_shot(struct world *w, struct thug *t, unsigned n)
{
    (void)t;
    lines[0].call.role = CALL_NONE;
    phone_dial(w, &lines[0], number(3000, n));
}
static void enumerate_user(struct world *w, int level)
{
    insider_attacks(w, 1, pace(MINUTE, 2 * SECOND, 200 * MS)[level], dial_shot);
}

/* --- passwords --- */

static const char *auth(struct thug *t, const char *password)
{
    static char buf[1024];
    digest_for(t->user, password, t->nonce, ++t->tries, "REGISTER", "sip:example.com", buf,
               sizeof buf);
    return buf;
}

static void guess_hears(struct world *w, struct agent *a, char *msg)
{
    struct thug *t = (struct thug *)a;
    const char *nonce = within(part(msg, "WWW-Authenticate"), "nonce=\"", "\"");
    if (code_of(msg) != 401 || !nonce[0])
        return;
    (void)snprintf(t->nonce, sizeof t->nonce, "%s", nonce);
    t->tries = 0;
    if (strstr(part(msg, "Call-ID"), "t"))
        world_say(
            w, a,
            stranger(t, "REGISTER", "sip:example.com", t->user, auth(t, say("%u", t->sent)), ""));
}
static void guess(struct world *w, struct thug *t, const char *user)
{
    (void)snprintf(t->user, sizeof t->user, "%s", user);
    world_say(w, &t->a, stranger(t, "REGISTER", "sip:example.com", user, "", ""));
}
static void guess_one_shot(struct world *w, struct thug *t, unsigned n)
{
    (void)n;
    guess(w, t, "1005");
}
static void guess_many_shot(struct world *w, struct thug *t, unsigned n)
{
    guess(w, t, number(EXT, n % 30));
}
static void victim(struct world *w, const char *name)
{
    (void)snprintf(w->victim, sizeof w->victim, "%s", name);
}
static void guess_one(struct world *w, int level)
{
    victim(w, "1005@");
    attack(w, 1, pace(5 * MINUTE, 5 * SECOND, 50 * MS)[level], guess_one_shot, guess_hears);
}
static void guess_one_wide(struct world *w, int level)
{
    victim(w, "1005@");
    attack(w, 300, pace(5 * MINUTE, 5 * SECOND, 50 * MS)[level], guess_one_shot, guess_hears);
}
static void guess_many(struct world *w, int level)
{
    attack(w, 1, pace(10 * MINUTE, 10 * SECOND, 100 * MS)[level], guess_many_shot, guess_hears);
}
static void guess_wide(struct world *w, int level)
{
    attack(w, 300, pace(2 * MINUTE, 5 * SECOND, 50 * MS)[level], guess_many_shot, guess_hears);
}
/* A device of the office itself, behind the address of all the others. */
static void guess_inside(struct world *w, int level)
{
    victim(w, "1005@");
    attack(w, 1, pace(2 * MINUTE, 5 * SECOND, 100 * MS)[level], guess_one_shot, guess_hears);
    thug_moves(w, &thugs[0], at("203.0.113.9:31000"));
}

/* One of them that names itself, and tries everybody's. */
static void guess_device(struct world *w, int level)
{
    attack(w, 1, pace(5 * MINUTE, 2 * SECOND, 50 * MS)[level], guess_many_shot, guess_hears);
    thug_moves(w, &thugs[0], at("203.0.113.9:31000"));
    thugs[0].device = true;
}

/* --- floods --- */

static void flood_register_shot(struct world *w, struct thug *t, unsigned n)
{
    (void)n;
    world_say(w, &t->a, stranger(t, "REGISTER", "sip:example.com", "1003", "", ""));
}
static void flood_invite_shot(struct world *w, struct thug *t, unsigned n)
{
    (void)n;
    world_say(w, &t->a, stranger(t, "INVITE", "sip:1003@example.com", "1004", "", ""));
}
static void flood_options_shot(struct world *w, struct thug *t, unsigned n)
{
    (void)n;
    world_say(w, &t->a, stranger(t, "OPTIONS", "sip:example.com", "1004", "", ""));
}
static void flood_other_shot(struct world *w, struct thug *t, unsigned n)
{
    static const char *const methods[] = {"SUBSCRIBE", "MESSAGE", "PUBLISH"};
    world_say(
        w, &t->a,
        stranger(t, methods[n % 3], "sip:1003@example.com", "1004", "Event: presence\r\n", ""));
}
#define FLOOD(name, sources)                                                                       \
    static void flood_##name(struct world *w, int level)                                           \
    {                                                                                              \
        attack(w, sources, pace(100 * MS, 10 * MS, 500)[level], flood_##name##_shot, NULL);        \
    }
FLOOD(register, 1)
FLOOD(invite, 1)
FLOOD(options, 1)
FLOOD(other, 1)
static void flood_wide(struct world *w, int level)
{
    attack(w, 500, pace(10 * MS, 2 * MS, 200)[level], flood_register_shot, NULL);
}
/* The sender writes the address of an honest phone. */
static void flood_forged(struct world *w, int level)
{
    attack(w, 1, pace(100 * MS, 10 * MS, MS)[level], flood_register_shot, NULL);
    world_leave(w, &thugs[0].a);
    thugs[0].a.flow.peer = w->phones[w->n_phones - 1].a.flow.peer;
}

/* --- what is not SIP, and what nobody uses --- */

static void malformed_shot(struct world *w, struct thug *t, unsigned n)
{
    static const char *const broken[] = {
        "INVITE sip:1003@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1\r\nFrom: "
        "<sip:a@b\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no SIP",
        "REGISTER sip:example.com SIP/2.0\r\nContent-Length: -5\r\n\r\n",
        "OPTIONS\x00sip:example.com SIP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        "INVITE sip:1003@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: "
        "<sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nTo: <sip:d@e>\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n\r\n",
    };
    const char *b = broken[n % ARRAY_LEN(broken)];
    world_bytes(w, &t->a, b, n % ARRAY_LEN(broken) == 3 ? 33 : strlen(b));
}
static void malformed(struct world *w, int level)
{
    attack(w, 1, pace(2 * MINUTE, 2 * SECOND, 5 * MS)[level], malformed_shot, NULL);
}
static void decoy_shot(struct world *w, struct thug *t, unsigned n)
{
    const char *user = n % 2 ? "admin" : "1999";
    world_say(
        w, &t->a,
        stranger(t, n % 3 ? "REGISTER" : "INVITE", say("sip:%s@example.com", user), user, "", ""));
}
static void decoy(struct world *w, int level)
{
    attack(w, 1, pace(HOUR, 10 * SECOND, 50 * MS)[level], decoy_shot, NULL);
}

const char *const LEVELS[3] = {"slow", "normal", "fast"};
#define LONG                                                                                       \
    {                                                                                              \
        6 * HOUR, 20 * MINUTE, MINUTE                                                              \
    }
#define DAYS                                                                                       \
    {                                                                                              \
        24 * HOUR, 30 * MINUTE, 2 * MINUTE                                                         \
    }
#define BRIEF                                                                                      \
    {                                                                                              \
        5 * MINUTE, MINUTE, 10 * SECOND                                                            \
    }
const struct row ROWS[] = {
    {"OPTIONS scan", "scan scan_slow", scan_options, LONG, false, 0},
    {"REGISTER scan", "scan scan_slow enumeration", scan_register, LONG, false, 0},
    {"INVITE scan", "scan scan_slow enumeration", scan_invite, LONG, false, 0},
    {"scan from 300 sources", "scan_wide enumeration_wide", scan_wide, LONG, false, 0},
    {"names tried", "enumeration", enumerate, LONG, false, 0},
    {"names tried from 300 sources", "enumeration_wide", enumerate_wide, LONG, false, 0},
    {"numbers tried by a user", "enumeration", enumerate_user, LONG, false, 0},
    {"passwords of one user", "guess_source guess_user", guess_one, DAYS, false, 0},
    {"passwords of one user, 300 sources", "guess_user guess_wide", guess_one_wide, DAYS, false, 0},
    {"passwords of many users", "guess_many guess_source", guess_many, DAYS, false, 0},
    {"passwords of many, 300 sources", "guess_wide", guess_wide, DAYS, false, 0},
    {"passwords, from inside the office", "guess_source guess_user", guess_inside, DAYS, false, 0},
    {"passwords of many, by a device of the office", "device_guess", guess_device, DAYS, false, 0},
    {"REGISTER flood", "flood_register", flood_register, BRIEF, false, 0},
    {"INVITE flood", "flood_invite", flood_invite, BRIEF, false, 0},
    {"OPTIONS flood", "flood_options", flood_options, BRIEF, false, 0},
    {"flood of other methods", "flood_other", flood_other, BRIEF, false, 0},
    {"REGISTER flood, 500 sources", "scan_wide flood_register", flood_wide, BRIEF, false, 0},
    {"flood with a phone's address", "", flood_forged, BRIEF, true, 0},
    {"registration taken over", "hijack", hijack, LONG, false, 0},
    {"teardown from outside", "teardown", teardown, LONG, false, 0},
    {"digest leak", "digest_leak", digest_leak, LONG, false, 0},
    {"SDP attacks", "sdp", sdp, LONG, false, 0},
    {"Wangiri", "wangiri", wangiri, LONG, false, 0},
    {"robocalls", "robocall", robocall, LONG, false, 0},
    {"one number called by all", "tdos", tdos, LONG, false, 0},
    {"RTP into a call", "rtp_inject", rtp_inject, BRIEF, false, 0},
    {"RTP bleed: all ports probed", "media_stray rtp_inject", rtp_bleed, BRIEF, false, 0},
    {"RTP flood from outside", "rtp_flood rtp_inject", rtp_flood_out, BRIEF, false, 0},
    {"RTP flood by a party of the call", "rtp_flood", rtp_flood_in, BRIEF, false, 0},
    {"packets to a closed media port", "media_stray", rtp_stray, BRIEF, false, 0},
    {"DTLS hello into a call", "dtls_race rtp_inject", dtls, BRIEF, false, 0},
    {"malformed messages", "malformed", malformed, LONG, false, 0},
    {"decoys touched", "decoy", decoy, LONG, false, 0},
};
const unsigned N_ROWS = ARRAY_LEN(ROWS);
