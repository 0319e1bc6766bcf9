/* The INVITE that a leg B gets, made from header fields of anybody's choice. Whatever came in: it
 * is one well-formed message with our own fields only, and an identity or the way a call came is in
 * it only where both sides are trusted.
 *
 * First byte: 1 A is trusted, 2 B is trusted, 4 A is a peer (else a user), 8 B is a peer, 16 a user
 * proved itself. Then header lines. */
#include "call/core_int.h"
#include "call/gate.h"
#include "call/hide.h"

static struct core core;
static struct policy policy;
static struct call call;
static _Alignas(16) uint8_t legs[2 * (sizeof(struct leg) + 64) + 64], texts[65536];

static struct span text(const char *s)
{
    struct span sp = {(uint16_t)policy.text_n, (uint16_t)strlen(s)};
    memcpy(policy.text + policy.text_n, s, strlen(s));
    policy.text_n += (uint32_t)strlen(s);
    return sp;
}

static struct leg *leg(uint8_t peer, char side)
{
    struct handle h;
    struct leg *l = pool_new(&core.legs, &h);
    CHECK(l);
    l->call = &call;
    l->side = (uint8_t)side;
    l->zone = 0;
    l->peer = peer;
    return l;
}

static void start(uint8_t flags)
{
    policy = (struct policy){.n_domains = 1, .n_listeners = 1, .n_peers = 2};
    policy.domains[0] = text("example.com");
    policy.listeners[0].advertise =
        (struct addr){.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, 1}};
    policy.peers[0].trust_identity = flags & 1;
    policy.peers[1].trust_identity = flags & 2;
    policy.peers[1].realm_host = text("example.net");
    memset(legs, 0, sizeof legs);
    core = (struct core){.policy = &policy};
    CHECK(pool_bytes(sizeof(struct leg), 2) <= sizeof legs);
    pool_init(&core.legs, legs, sizeof(struct leg), 2);
    call = (struct call){.core = &core, .dialled = {"300", 3}};
    arena_init_fixed(&call.text, texts, sizeof texts);
    if (flags & 16)
        call.user = STR("al ice@example.com");
    call.a = leg(flags & 4 ? 0 : POLICY_NONE, 'a');
    call.forks = leg(flags & 8 ? 1 : POLICY_NONE, 'b');
}

static unsigned count(const struct sip_msg *m, enum sip_hdr h)
{
    uint16_t it = 0;
    struct str v;
    unsigned n = 0;
    while (sip_next(m, h, &it, &v))
        n++;
    return n;
}

/* Every URI in that field names the receiver's own host. */
static void hosts(const struct sip_msg *m, enum sip_hdr h, struct str host)
{
    struct sip_list it = {0};
    struct sip_nameaddr na;
    struct sip_uri u;
    struct str v;
    while (sip_list_next(m, h, &it, &v)) {
        CHECK(sip_nameaddr_parse(v, &na) == OK && sip_uri_parse(na.uri, &u) == OK);
        CHECK(str_eq(u.host, host) && !u.port);
    }
}

static void judge(const struct sip_msg *in, const struct sip_msg *out, uint8_t flags)
{
    static const enum sip_hdr never[] = {
        HDR_RECORD_ROUTE,  HDR_WARNING,   HDR_SERVER,          HDR_USER_AGENT,
        HDR_ORGANIZATION,  HDR_CALL_INFO, HDR_REMOTE_PARTY_ID, HDR_P_PREFERRED_IDENTITY,
        HDR_AUTHORIZATION, HDR_PATH,      HDR_OTHER,           HDR_P_ACCESS_NETWORK_INFO};
    static const enum sip_hdr entries[] = {HDR_DIVERSION, HDR_HISTORY_INFO};
    bool a = (flags & 5) == 5, b = (flags & 10) == 10;
    struct str host = flags & 8 ? STR("example.net") : STR("example.com");
    for (size_t i = 0; i < out->n_fields; i++)
        for (size_t j = 0; j < ARRAY_LEN(never); j++)
            CHECK(out->fields[i].id != never[j]);
    CHECK(count(out, HDR_VIA) == 1 && count(out, HDR_REASON) <= 1);
    CHECK(count(out, HDR_P_ASSERTED_IDENTITY) <= (b ? 1 : 0));
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        CHECK(count(out, entries[i]) <= (a && b ? HIDE_ENTRIES_MAX : 0));
        hosts(out, entries[i], host);
    }
    hosts(out, HDR_P_ASSERTED_IDENTITY, host);
    CHECK(out->max_forwards == hide_max_forwards(in));
    if (gate_anonymous(sip_text(in, in->from_uri)))
        CHECK(gate_anonymous(sip_text(out, out->from_uri)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char request[SIP_MSG_MAX + 1], answer[2 * SIP_MSG_MAX];
    struct sip_msg in, out;
    struct sip_error e;
    if (n < 1 || n > 16000)
        return 0;
    struct out r = out_of(request, sizeof request), o = out_of(answer, sizeof answer);
    OUT_LIT(&r,
            "INVITE sip:300@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\n"
            "To: <sip:300@example.com>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n");
    out_put(&r, str_of((const char *)data + 1, n - 1));
    OUT_LIT(&r, "\r\n\r\n");
    if (sip_parse(out_str(&r), false, &in, &e) != OK)
        return 0;
    start(data[0]);
    struct leg *b = call.forks;
    if (hide_dialog(b, &in, STR("sip:300@192.0.2.20")) != OK)
        return 0;
    hide_invite(b, &in, STR("z9hG4bKours"), STR_NONE, STR_NONE, &o);
    CHECK(!o.full);
    CHECK(sip_parse(out_str(&o), true, &out, &e) == OK);
    judge(&in, &out, data[0]);
    return 0;
}
