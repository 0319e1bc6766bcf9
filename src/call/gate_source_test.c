/* The first gate, row by row: whose zone, encrypted or waived, and what is found out on the way. */
#include "call/fixture_test.h"
#include "call/gate.h"

#define CAP   64u
#define S     INT64_C(1000000)
#define PHONE "203.0.113.5:9"
#define PBX   "192.0.2.10:5070"
enum { PHONES, OLD, PBXS };
static struct policy p;
static uint64_t dir_mem[FIXTURE_DIRECTORY_BYTES / 8];
static struct ban_board *board;
static struct targets_row named[POLICY_PEERS];
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static char text[1024];
static struct wall now;

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    memset(named, 0, sizeof named);
    board = test_calloc(1, ban_bytes(CAP));
    ban_init(board, CAP);
    now.us = 1000 * S;
    e = (struct gate_env){.policy = &p,
                          .directory = fixture_directory(dir_mem),
                          .nonce_key = {5, 6},
                          .hash_key = {7, 8},
                          .bans = board,
                          .bans_cap = CAP};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_free(board);
    return 0;
}

static void comes(int proto, uint8_t listener, const char *peer, const char *uri)
{
    struct sip_error err;
    struct flow f = {
        .proto = (uint8_t)proto, .listener = listener, .peer = fixture_addr(peer), .engine = 1};
    int n = snprintf(text, sizeof text,
                     "INVITE %s SIP/2.0\r\nVia: SIP/2.0/TLS %s;branch=z9hG4bKx\r\n"
                     "From: <sip:alice@example.com>;tag=1\r\nTo: <%s>\r\nCall-ID: c1\r\n"
                     "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
                     uri, peer, uri);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{1}, now});
}

/* What the gate says of r as it is; it asks nobody. */
static void expect(uint8_t kind, enum reason why, uint16_t code)
{
    struct ask q, untouched;
    memset(&q, 0x5a, sizeof q);
    memset(&untouched, 0x5a, sizeof untouched);
    r.zone = r.peer = POLICY_NONE;
    struct verdict v = gate_source(&e, &r, &q);
    assert_int_equal(v.kind, kind);
    assert_int_equal(v.reason, why);
    assert_int_equal(v.code, code);
    assert_memory_equal(&q, &untouched, sizeof q);
}

static void from(int proto, uint8_t listener, const char *peer)
{
    comes(proto, listener, peer, "sip:100@example.com");
}

#define PASSES       VERDICT_PASS, REASON_NONE, 0
#define SILENT(why)  VERDICT_DROP, REASON_##why, 0
#define REFUSED(why) VERDICT_REFUSE, REASON_##why, 403

/* No answer goes to an address that may be forged. */
static void nobodys_zone(void **state)
{
    (void)state;
    static const struct {
        int proto;
        uint8_t listener;
        const char *peer;
        bool known;
    } row[] = {{PROTO_UDP, 2, "192.0.2.0:1", true},      {PROTO_UDP, 2, "192.0.2.255:1", true},
               {PROTO_UDP, 2, "192.0.1.255:1", false},   {PROTO_UDP, 2, "192.0.3.0:1", false},
               {PROTO_TCP, 2, "192.0.3.0:1", false},     {PROTO_TLS, 2, "192.0.3.0:1", false},
               {PROTO_TLS, 2, "[2001:db8::1]:1", false}, {PROTO_UDP, 3, "192.0.2.10:5070", false},
               {PROTO_TLS, 0, "[2001:db8::1]:1", true}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        from(row[i].proto, row[i].listener, row[i].peer);
        if (row[i].known)
            expect(PASSES);
        else if (row[i].proto == PROTO_UDP)
            expect(SILENT(zone_unknown_source));
        else
            expect(REFUSED(zone_unknown_source));
        assert_int_equal(r.zone == POLICY_NONE, !row[i].known);
        assert_int_equal(r.aor_hash != 0, row[i].known); /* nothing is looked up for a stranger */
    }
}

static void what_it_finds_out(void **state)
{
    (void)state;
    static const struct {
        int proto;
        uint8_t listener;
        const char *peer;
        uint8_t zone, who;
        bool proven;
    } row[] = {{PROTO_TLS, 0, PHONE, PHONES, POLICY_NONE, true},
               {PROTO_TCP, 1, PHONE, OLD, POLICY_NONE, true},
               {PROTO_UDP, 1, PHONE, OLD, POLICY_NONE, false},
               {PROTO_UDP, 2, PBX, PBXS, 0, false},
               {PROTO_TLS, 2, PBX, PBXS, 0, true},
               {PROTO_UDP, 2, "192.0.2.10:9", PBXS, 0, false}, /* from any port of its */
               {PROTO_UDP, 2, "192.0.2.11:5070", PBXS, POLICY_NONE, false},
               {PROTO_UDP, 1, PBX, OLD, POLICY_NONE, false}}; /* not of that zone */
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        from(row[i].proto, row[i].listener, row[i].peer);
        expect(PASSES);
        assert_int_equal(r.zone, row[i].zone);
        assert_int_equal(r.peer, row[i].who);
        assert_int_equal(r.proven, row[i].proven);
        /* of a peer's call it is the number that suffers */
        assert_str_eq(str_of(r.who, r.who_n),
                      row[i].who == POLICY_NONE ? STR("alice@example.com") : STR("100"));
        assert_true(r.number != 0);
        assert_int_equal(r.device == 0, row[i].who != POLICY_NONE);
    }
    /* The narrowest network is its zone, wherever that stands in the list. */
    p.zones[OLD].listeners |= 1u << 2;
    from(PROTO_UDP, 2, PBX);
    expect(PASSES);
    assert_int_equal(r.zone, PBXS);
    from(PROTO_UDP, 2, "198.51.100.77:1");
    expect(PASSES);
    assert_int_equal(r.zone, OLD);
}

/* A peer that is known by its name is told by what that resolved to. */
static void peers_by_name(void **state)
{
    (void)state;
    p.peers[1] = p.peers[0];
    p.peers[1].n_targets = 0;
    p.peers[1].host = fixture_text(&p, "pbx.example.net");
    p.n_peers = 2;
    from(PROTO_UDP, 2, "192.0.2.20:5060");
    expect(PASSES);
    assert_int_equal(r.peer, POLICY_NONE);
    named[1].n = 1;
    named[1].entry[0].a = fixture_addr("192.0.2.20:5060");
    expect(PASSES);
    assert_int_equal(r.peer, POLICY_NONE); /* nobody has that list here */
    e.named = named;
    expect(PASSES);
    assert_int_equal(r.peer, 1);
}

static void plain_by_a_live_waiver(void **state)
{
    (void)state;
    static const struct {
        int64_t until_us; /* after now */
        uint8_t zone, allow;
        enum reason why;
    } row[] = {{1, OLD, WAIVE_PLAIN_SIGNALLING, REASON_NONE},
               {1, OLD, WAIVE_PLAIN_SIGNALLING | WAIVE_PLAIN_MEDIA, REASON_NONE},
               {0, OLD, WAIVE_PLAIN_SIGNALLING, REASON_waiver_expired},
               {-1, OLD, WAIVE_PLAIN_SIGNALLING, REASON_waiver_expired},
               {1, OLD, WAIVE_PLAIN_MEDIA, REASON_zone_plaintext}, /* of something else */
               {0, OLD, WAIVE_PLAIN_MEDIA, REASON_zone_plaintext},
               {1, PHONES, WAIVE_PLAIN_SIGNALLING, REASON_zone_plaintext}}; /* somebody else's */
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        p.waivers[0] = (struct policy_waiver){
            .zone = row[i].zone, .allow = row[i].allow, .expires = {now.us + row[i].until_us}};
        from(PROTO_UDP, 1, PHONE);
        expect(row[i].why == REASON_NONE ? VERDICT_PASS : VERDICT_DROP, row[i].why, 0);
        from(PROTO_TCP, 1, PHONE);
        if (row[i].why == REASON_NONE)
            expect(PASSES);
        else
            expect(VERDICT_REFUSE, row[i].why, 403);
        from(PROTO_TLS, 1, PHONE); /* needs none */
        expect(PASSES);
    }
    p.waivers[0] = (struct policy_waiver){.zone = OLD, .allow = WAIVE_PLAIN_SIGNALLING};
    p.waivers[1] = p.waivers[0];
    from(PROTO_TCP, 1, PHONE);
    expect(REFUSED(waiver_expired));
    p.waivers[1].expires.us = now.us + 1; /* any that lives */
    expect(PASSES);
    p.n_waivers = 0;
    from(PROTO_TCP, 1, PHONE);
    expect(REFUSED(zone_plaintext));
    from(PROTO_UDP, 1, PHONE);
    expect(SILENT(zone_plaintext));
}

static void client_certificates(void **state)
{
    (void)state;
    for (uint8_t want = 0; want <= 2; want++)
        for (unsigned has = 0; has < 2; has++) {
            p.zones[PHONES].client_cert = p.zones[OLD].client_cert = want;
            from(PROTO_TLS, 0, PHONE);
            r.tls_verified = has;
            if (want == 2 && !has)
                expect(REFUSED(tls_client_cert_missing));
            else
                expect(PASSES);
        }
    from(PROTO_TCP, 1, PHONE); /* a waiver of encryption is none of the certificate */
    expect(REFUSED(tls_client_cert_missing));
    p.n_waivers = 0;
    expect(REFUSED(zone_plaintext));
}

/* What holds for a call for help is what the network is made of. */
static void calls_for_help(void **state)
{
    (void)state;
    p.zones[PHONES].client_cert = 2;
    comes(PROTO_TLS, 0, PHONE, "urn:service:sos");
    expect(REFUSED(tls_client_cert_missing));
    comes(PROTO_UDP, 2, PHONE, "urn:service:sos");
    expect(SILENT(zone_unknown_source));
    p.n_waivers = 0;
    comes(PROTO_TCP, 1, PHONE, "urn:service:sos");
    expect(REFUSED(zone_plaintext));
}

static void ban(const char *net, enum treat t)
{
    uint32_t slot;
    struct ban b = {.scope = BAN_SOURCE,
                    .treat = (uint8_t)t,
                    .net = fixture_prefix(net),
                    .by = BY_DETECTOR,
                    .times = 1,
                    .since = now};
    assert_ok(ban_put(board, CAP, &b, &slot));
}

/* The zone first, then bans, then encryption. */
static void bans_in_their_place(void **state)
{
    (void)state;
    p.n_waivers = 0;
    from(PROTO_TCP, 1, PHONE);
    expect(REFUSED(zone_plaintext));
    ban("203.0.113.5/32", TREAT_BAN);
    expect(SILENT(shield_banned));
    assert_int_equal(r.zone, OLD);
    from(PROTO_TCP, 1, "203.0.113.6:9");
    expect(REFUSED(zone_plaintext));
    from(PROTO_TCP, 2, PHONE);
    expect(REFUSED(zone_unknown_source));
    ban("203.0.113.5/32", TREAT_REFUSE);
    from(PROTO_TLS, 0, PHONE);
    expect(REFUSED(shield_refused));
    ban("203.0.113.5/32", TREAT_TARPIT); /* that one is let go on, and marked */
    from(PROTO_TLS, 0, PHONE);
    expect(PASSES);
    assert_int_equal(r.treat, TREAT_TARPIT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(nobodys_zone),        T(what_it_finds_out),
                                       T(peers_by_name),       T(plain_by_a_live_waiver),
                                       T(client_certificates), T(calls_for_help),
                                       T(bans_in_their_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
