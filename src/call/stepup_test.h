/* For tests only: alice's phone, which is asked for a one-time code by what it hears. */
#ifndef CALL_STEPUP_TEST_H
#define CALL_STEPUP_TEST_H
#include "call/trunks_test.h"
#include "crypto/hash.h"
#include "identity/device.h"
#include "media/state.h"
#include "wire/sdp/sdp.h"

#define HOME    "sip:030123456@example.com"
#define MOBILE  "sip:01711234567@example.com"
#define AUSTRIA "sip:0043123456@example.com"
#define SERVICE "sip:*77@example.com"
#define WORDS   "v=0\r\no=- 77 1 IN IP4 203.0.113.5\r\ns=a\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n"
#define SDP_CODE                                                                                   \
    WORDS "m=audio 4000 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n"     \
          "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
#define SECOND INT64_C(1000000)
static uint8_t users[16384] __attribute__((aligned(64)));

static inline uint64_t place(const char *agent)
{
    enum device_by by;
    struct addr at = test_addr(ALICE);
    return device_id(STR_NONE, STR_NONE, &at, str_c(agent), &by);
}

/* alice and bob, each with a seed and two phones at one address; state: of those but "phone/2". */
static inline struct directory *people(uint8_t state, const uint16_t *country)
{
    const struct directory_device known[] = {{place("phone/1"), state, {0}},
                                             {place(""), state, {0}},
                                             {place("phone/2"), DEVICE_APPROVED, {0}}};
    struct directory_entry e = {.aor = STR("alice@example.com"),
                                .role = STR("user"),
                                .flags = DIRECTORY_SECOND_FACTOR,
                                .n_devices = 3,
                                .devices = known,
                                .n_countries = country != NULL,
                                .countries = country};
    struct directory *d = (struct directory *)(void *)users;
    memset(users, 0, sizeof users);
    directory_begin_of(
        d, &(struct directory_room){.users = 4, .text = 512, .devices = 8, .countries = 4});
    assert_ok(directory_put(d, &e));
    e.aor = STR("bob@example.com");
    e.devices = &known[2];
    e.n_devices = 1;
    assert_ok(directory_put(d, &e));
    return d;
}

static inline int stepup_setup(void **state)
{
    (void)setup(state);
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    assert_ok(crypto_init());
    trunks(p, 1);
    p->service_number = test_text(p, "*77");
    p->step_up_s = 600;
    p->roles[0].rights.step_up = 1u << CLASS_MOBILE | 1u << CLASS_INTERNATIONAL;
    core_directory(x->g.core[0], people(DEVICE_APPROVED, NULL));
    return 0;
}

static inline uint64_t counted(const struct fixture *x, enum reason r)
{
    return x->g.counters[0].n[r];
}

/* --- alice's phone --- */

struct dial {
    const char *user, *agent, *uri, *sdp, *type; /* of the body, if it is not SDP */
    char id[16], ok[4096];
    uint16_t port;
    uint32_t ts;
};

/* Her INVITE; the vault is asked for the proof. */
static inline void invites(struct fixture *x, struct dial *d)
{
    static int turn;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char from[64], to[64], head[256], all[2048];
    d->user = d->user ? d->user : "alice";
    (void)snprintf(from, sizeof from, "<sip:%s@example.com>;tag=u1", d->user);
    (void)snprintf(to, sizeof to, "<%s>", d->uri);
    (void)snprintf(d->id, sizeof d->id, "u%d", ++turn);
    (void)snprintf(head, sizeof head, "Contact: <sip:a@203.0.113.5:5060>\r\nUser-Agent: %s\r\n",
                   d->agent ? d->agent : "phone/1");
    message(x, &f, request("INVITE", d->uri, from, to, d->id, 1, head, d->sdp));
    const char *no = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(no);
    const char *rest = strstr(credentials(no, d->uri), ", realm=");
    (void)snprintf(all, sizeof all, "%sAuthorization: Digest username=\"%s\"%s", head, d->user,
                   rest);
    const char *m = request("INVITE", d->uri, from, to, d->id, 2, all, d->sdp), *type;
    char text[4096];
    if (d->type) {
        type = strstr(m, "application/sdp");
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(type - m), m, d->type,
                       type + strlen("application/sdp"));
        m = text;
    }
    message(x, &f, m);
}

static inline void dials(struct fixture *x, struct dial *d)
{
    invites(x, d);
    vault(x, REASON_NONE);
    assert_null(sent(x, ALICE, "SIP/2.0 100 ")); /* while the vault was asked */
}

static inline void within(struct fixture *x, const struct dial *d, const char *method, int cseq)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char from[64];
    (void)snprintf(from, sizeof from, "<sip:%s@example.com>;tag=u1", d->user);
    message(
        x, &f,
        request(method, "sip:x@" TEST_OUTSIDE, from, field(d->ok, "To").p, d->id, cseq, "", ""));
}

/* She is answered; nobody is called. */
static inline void reached(struct fixture *x, struct dial *d)
{
    struct sdp s;
    const char *ok = sent(x, ALICE, "SIP/2.0 200 ");
    assert_non_null(ok);
    assert_null(sent(x, PBX, "INVITE "));
    (void)snprintf(d->ok, sizeof d->ok, "%s", ok);
    struct str body = str_c(strstr(d->ok, "\r\n\r\n") + 4);
    assert_ok(sdp_parse(body, &s));
    d->port = s.media[0].port;
}

static inline void answered(struct fixture *x, struct dial *d)
{
    reached(x, d);
    within(x, d, "ACK", 2);
}

static inline struct call *only_call(struct fixture *x)
{
    uint32_t it = 0;
    struct call *k = pool_next(&x->g.core[0]->calls, &it);
    assert_non_null(k);
    return k;
}

/* The tones that are said to her now: so many, of which the first sounds so. */
static inline void hears(struct fixture *x, unsigned n, unsigned hz)
{
    const struct voice *v = &only_call(x)->a->media->voice;
    assert_true(v->on);
    assert_int_equal(v->n, n);
    assert_int_equal(v->notes[0].hz ? v->notes[0].hz : v->notes[1].hz, hz);
}
#define ASKED  4, 880
#define AGAIN  5, 220
#define NO     1, 220
#define YES    3, 660
#define CALLED 8, 660

static inline void asked(struct fixture *x, struct dial *d)
{
    d->sdp = d->sdp ? d->sdp : SDP_CODE;
    dials(x, d);
    answered(x, d);
    hears(x, ASKED);
}

static inline void press(struct fixture *x, struct dial *d, const char *digits)
{
    static const char keys[] = "0123456789*#ABCD";
    static uint8_t room[PKT_MAX];
    for (; *digits; digits++) {
        struct rtp h = {.ssrc = 7, .seq = (uint16_t)d->ts, .ts = ++d->ts * 800, .pt = 101};
        const uint8_t event[4] = {(uint8_t)(strchr(keys, *digits) - keys), 0x8a, 3, 0x20};
        struct addr from = test_addr("203.0.113.5:4000");
        struct pkt pk = {.data = room, .len = 16, .port = d->port, .peer = from};
        rtp_put(room, &h);
        memcpy(room + 12, event, sizeof event);
        x->g.now.mono.us += 20000;
        x->g.now.wall.us += 20000;
        core_rtp(x->g.core[0], &pk, 1, x->g.now);
        assert_int_equal(pk.len, 0);
    }
    collect(x);
}

static inline bool asks(const struct fixture *x, enum ask_kind kind, struct ask *ret_q)
{
    unsigned n = 0;
    for (size_t i = 0; i < x->n_got; i++) {
        struct ask q = {0};
        if (x->got[i].kind != INTENT_ASK)
            continue;
        memcpy(&q, x->text[i], MIN(sizeof q, x->got[i].bytes.n));
        assert_ok(ask_valid(&q, x->got[i].bytes.n));
        if (q.kind != kind)
            continue;
        *ret_q = q;
        n++;
    }
    assert_true(n <= 1);
    return n;
}

/* Does that lie anywhere in the engine's memory? */
static inline bool kept(const struct fixture *x, const char *code)
{
    return memmem(x->g.mem[0], core_bytes(&x->g.cfg[0]), code, strlen(code)) != NULL;
}

/* The code goes to the vault, for that user, device and country, and stays nowhere. */
static inline void code_is(struct fixture *x, struct ask *q, const char *user, const char *code)
{
    assert_true(asks(x, ASK_OTP, q));
    struct str t = str_of(q->text, q->n);
    assert_str_eq(span_str(t, q->user), str_c(user));
    assert_str_eq(span_str(t, q->response), str_c(code));
    assert_false(kept(x, code));
}

static int64_t said_us; /* when the vault answered last */
static inline void says(struct fixture *x, const struct ask *q, enum reason why)
{
    const struct answer a = {.id = q->id, .kind = q->kind, .reason = (uint16_t)why};
    said_us = x->g.now.mono.us;
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
}

static inline void types(struct fixture *x, struct dial *d, const char *code, enum reason why)
{
    struct ask q;
    char aor[64];
    (void)snprintf(aor, sizeof aor, "%s@example.com", d->user);
    press(x, d, code);
    code_is(x, &q, aor, code);
    says(x, &q, why);
}

/* The record says how it ended, and nothing of it stays. */
static inline void ended(struct fixture *x, enum reason why)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    unsigned n = 0;
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *t = (const struct fact *)(const void *)x->text[i];
        if (x->got[i].kind != INTENT_FACT || t->kind != FACT_CALL_END)
            continue;
        assert_int_equal(t->reason, why);
        n++;
    }
    assert_int_equal(n, 1);
    const char *bye = sent(x, ALICE, "BYE ");
    if (bye)
        message(x, &f, answer(bye, 200, "u1", "a@203.0.113.5", ""));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
}

/* After the last tone. */
static inline void rings_off(struct fixture *x, enum reason why)
{
    assert_null(sent(x, ALICE, "BYE "));
    pass_ms(x, 899 - (x->g.now.mono.us - said_us) / 1000);
    assert_null(sent(x, ALICE, "BYE "));
    pass_ms(x, 1);
    assert_non_null(sent(x, ALICE, "BYE "));
    ended(x, why);
}

/* The trunk is called, and busy; she is told by tones alone. */
static inline void goes_out(struct fixture *x)
{
    char inv[4096];
    assert_int_equal(who_is_called(x, inv, sizeof inv), 0);
    answer_from(x, PBX, inv, 486, "");
    const char *no = sent(x, ALICE, "SIP/2.0 486 ");
    if (!no)
        assert_non_null(sent(x, ALICE, "BYE "));
}
#endif
