/* Who a request is for the shield, and what the ban board and access lists make of it. */
#include "call/fixture_test.h"
#include "call/gate.h"

#define CAP 1024u
static struct policy p;
static uint64_t dir_mem[FIXTURE_DIRECTORY_BYTES / 8];
static struct ban_board *board;
static uint32_t hits[CAP];
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static char text[4096];
static const struct wall NOW = {INT64_C(1000) * 1000000};
enum { PHONES, OLD, PBXS };
#define PHONE "203.0.113.5:9"
#define PBX   "192.0.2.10:5070"

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    board = test_calloc(1, ban_bytes(CAP));
    ban_init(board, CAP);
    memset(hits, 0, sizeof hits);
    e = (struct gate_env){.policy = &p,
                          .directory = fixture_directory(dir_mem),
                          .nonce_key = {5, 6},
                          .hash_key = {7, 8},
                          .bans = board,
                          .bans_cap = CAP,
                          .ban_hits = hits};
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    test_free(board);
    return 0;
}

/* A request as the source gate hands it on. more: further header fields. */
static void from(int proto, const char *peer, const char *method, const char *uri, const char *user,
                 const char *more)
{
    struct sip_error err;
    struct flow f = {.proto = (uint8_t)proto, .peer = fixture_addr(peer)};
    int n = snprintf(text, sizeof text,
                     "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;branch=z9hG4bKx\r\n"
                     "From: <sip:%s>;tag=1\r\nTo: <sip:%s>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\n"
                     "%sContent-Length: 0\r\n\r\n",
                     method, uri, user, user, method, more);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{1}, NOW});
    r.zone = proto == PROTO_TLS ? PHONES : OLD;
    if (str_eq(str_c(peer), STR(PBX))) {
        r.zone = PBXS;
        r.peer = 0;
    }
    gate_keys(&e, &r);
}
static void call_from(int proto, const char *peer)
{
    from(proto, peer, "INVITE", "sip:100@example.com", "alice@example.com", "");
}

static struct ban put(struct ban b)
{
    uint32_t slot;
    b.by = BY_DETECTOR;
    b.times = 1;
    b.since = NOW;
    assert_ok(ban_valid(&b, sizeof b));
    assert_ok(ban_put(board, CAP, &b, &slot));
    return b;
}
static struct ban source(const char *net, enum treat t)
{
    return put((struct ban){
        .scope = BAN_SOURCE, .treat = (uint8_t)t, .net = fixture_prefix(net), .weight = 30});
}
static struct ban party(enum ban_scope scope, uint64_t key, enum treat t)
{
    struct ban b = {.scope = (uint8_t)scope, .treat = (uint8_t)t, .key = key};
    if (scope == BAN_PAIR)
        b.net = fixture_prefix("203.0.113.5/32");
    return put(b);
}

static uint32_t counted(void)
{
    uint32_t n = 0;
    for (size_t i = 0; i < CAP; i++)
        n += hits[i];
    return n;
}

static void expect(struct verdict v, int kind, enum reason why, uint16_t code)
{
    assert_int_equal(v.kind, kind);
    assert_int_equal(v.reason, why);
    assert_int_equal(v.code, code);
}
static void expect_source(int kind, enum reason why, uint16_t code)
{
    expect(gate_ban_source(&e, &r), kind, why, code);
}
static void expect_party(int kind, enum reason why, uint16_t code)
{
    expect(gate_ban_party(&e, &r), kind, why, code);
}
#define PASSES VERDICT_PASS, REASON_NONE, 0
#define SILENT VERDICT_DROP, REASON_shield_banned, 0
#define BARRED VERDICT_DROP, REASON_shield_party, 0

static void what_each_treatment_does(void **state)
{
    (void)state;
    static const struct {
        enum treat treat;
        int kind;
        enum reason why;
        uint16_t code;
        uint8_t seen; /* in the request: what the core goes by */
        uint32_t hits;
    } row[] = {{TREAT_WEIGH, PASSES, TREAT_LOG, 0},
               {TREAT_CHALLENGE, PASSES, TREAT_CHALLENGE, 1},
               {TREAT_TARPIT, PASSES, TREAT_TARPIT, 1},
               {TREAT_REFUSE, VERDICT_REFUSE, REASON_shield_refused, 403, TREAT_REFUSE, 1},
               {TREAT_DROP, SILENT, TREAT_DROP, 1},
               {TREAT_BAN, SILENT, TREAT_BAN, 1},
               {TREAT_KICK, SILENT, TREAT_KICK, 1}};
    call_from(PROTO_TLS, PHONE);
    expect_source(PASSES); /* nobody is banned */
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct ban b = source("203.0.113.5/32", row[i].treat);
        memset(hits, 0, sizeof hits);
        call_from(PROTO_TLS, PHONE);
        expect_source(row[i].kind, row[i].why, row[i].code);
        assert_int_equal(r.treat, row[i].seen);
        assert_int_equal(r.weight, row[i].treat == TREAT_WEIGH ? 30 : 0);
        assert_int_equal(counted(), row[i].hits);
        assert_false(r.locked);
        assert_true(ban_del(board, CAP, &b));
        call_from(PROTO_TLS, PHONE);
        expect_source(PASSES); /* released */
    }
}

static void addresses_at_the_edge_of_a_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *peer;
        bool banned;
    } row[] = {{"203.0.113.127:9", false},        {"203.0.113.128:9", true},
               {"203.0.113.128:10", true},        {"203.0.113.255:9", true},
               {"203.0.114.0:9", false},          {"[2001:db8:0:1::1]:9", true},
               {"[2001:db8:0:1:ffff::]:9", true}, {"[2001:db8:0:2::]:9", false},
               {"[2001:db8::ffff]:9", false}};
    source("203.0.113.128/25", TREAT_BAN);
    source("2001:db8:0:1::/64", TREAT_BAN);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        call_from(PROTO_TLS, row[i].peer);
        assert_int_equal(gate_ban_source(&e, &r).kind, row[i].banned ? VERDICT_DROP : VERDICT_PASS);
    }
}

static void a_ban_ends_on_the_microsecond(void **state)
{
    (void)state;
    struct ban b = source("203.0.113.5/32", TREAT_BAN);
    b.until.us = NOW.us + 1;
    put(b);
    call_from(PROTO_TLS, PHONE);
    expect_source(SILENT);
    b.until = NOW;
    put(b);
    expect_source(PASSES);
    b.until.us = 0; /* until somebody releases it */
    put(b);
    r.now.wall.us = INT64_MAX;
    expect_source(SILENT);
}

static void what_bans_do_not_reach(void **state)
{
    (void)state;
    source("0.0.0.0/1", TREAT_BAN);
    source("128.0.0.0/1", TREAT_BAN);
    call_from(PROTO_UDP, PBX);
    expect_source(PASSES); /* a peer */
    call_from(PROTO_TLS, PHONE);
    r.in_dialog = r.dialog_authenticated = true;
    expect_source(PASSES); /* a call that is up can be ended */
    assert_int_equal(counted(), 0);
    r.dialog_authenticated = false; /* its tags alone, which others may have seen, prove nothing */
    expect_source(SILENT);
    e.bans_cap = 0; /* there is no board */
    expect_source(PASSES);
    expect_party(PASSES);
}

static void calls_for_help(void **state)
{
    (void)state;
    static const struct {
        const char *method, *uri;
        bool passes;
    } row[] = {{"INVITE", "sip:112@example.com", true},   {"INVITE", "sip:911@example.com", true},
               {"INVITE", "urn:service:sos", true},       {"INVITE", "urn:service:sos.fire", true},
               {"INVITE", "sip:1120@example.com", false}, {"INVITE", "sip:11@example.com", false},
               {"INVITE", "urn:service:sosx", false},     {"OPTIONS", "sip:112@example.com", false},
               {"MESSAGE", "urn:service:sos", false}};
    p.zones[PHONES].access_deny = true;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        from(PROTO_TLS, PHONE, row[i].method, row[i].uri, "alice@example.com", "");
        assert_int_equal(r.emergency, row[i].passes);
        assert_int_equal(gate_ban_source(&e, &r).kind, /* by the access list */
                         row[i].passes ? VERDICT_PASS : VERDICT_REFUSE);
    }
    p.zones[PHONES].access_deny = false;
    source("203.0.113.5/32", TREAT_KICK);
    party(BAN_AOR, r.aor_hash, TREAT_LOCK);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        from(PROTO_TLS, PHONE, row[i].method, row[i].uri, "alice@example.com", "");
        assert_int_equal(gate_ban_source(&e, &r).kind, row[i].passes ? VERDICT_PASS : VERDICT_DROP);
        expect_party(PASSES);
        assert_int_equal(r.locked, !row[i].passes);
    }
}

/* In a call that is up only the challenge is heard: whoever has it proves itself anew. */
static void running_calls_of_the_challenged(void **state)
{
    (void)state;
    source("203.0.113.5/32", TREAT_CHALLENGE);
    call_from(PROTO_TLS, PHONE);
    r.in_dialog = r.dialog_authenticated = true;
    expect_source(PASSES);
    assert_false(r.dialog_authenticated);
    assert_int_equal(counted(), 1);
    source("203.0.113.5/32", TREAT_TARPIT);
    r.dialog_authenticated = true;
    expect_source(PASSES);
    assert_true(r.dialog_authenticated);
    assert_int_equal(counted(), 1);
}

static void users_devices_and_numbers(void **state)
{
    (void)state;
    static const char instance[] =
        "Contact: <sip:a@203.0.113.5>;+sip.instance=\"<urn:uuid:1>\"\r\n";
    static const struct {
        enum ban_scope scope;
        const char *same, *other; /* whom else it meets, and whom not: user at address */
        const char *same_at, *other_at, *same_uri, *other_uri, *other_device;
    } row[] = {{BAN_AOR, "alice@example.com", "bob@example.com", "203.0.113.6:1", PHONE,
                "sip:200@example.com", "sip:100@example.com", instance},
               {BAN_PAIR, "alice@example.com", "alice@example.com", "203.0.113.5:777",
                "203.0.113.6:9", "sip:200@example.com", "sip:100@example.com", instance},
               {BAN_DEVICE, "bob@example.com", "alice@example.com", "203.0.113.6:1", PHONE,
                "sip:200@example.com", "sip:100@example.com", ""},
               {BAN_NUMBER, "bob@example.com", "alice@example.com", "203.0.113.6:1", PHONE,
                "sip:100@example.com", "sip:200@example.com", instance}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        from(PROTO_TLS, PHONE, "INVITE", "sip:100@example.com", "alice@example.com", instance);
        expect_party(PASSES);
        uint64_t key = row[i].scope == BAN_DEVICE   ? r.device
                       : row[i].scope == BAN_NUMBER ? r.number
                                                    : r.aor_hash;
        assert_true(key != 0);
        struct ban b = party(row[i].scope, key, TREAT_DROP);
        expect_party(BARRED);
        from(PROTO_TLS, row[i].same_at, "INVITE", row[i].same_uri, row[i].same, instance);
        expect_party(BARRED);
        from(PROTO_TLS, row[i].other_at, "INVITE", row[i].other_uri, row[i].other,
             row[i].other_device);
        expect_party(PASSES);
        assert_true(ban_del(board, CAP, &b));
    }
}

static void what_is_done_about_a_party(void **state)
{
    (void)state;
    call_from(PROTO_TLS, PHONE);
    struct ban b = party(BAN_AOR, r.aor_hash, TREAT_LOCK);
    expect_party(PASSES); /* refused later, in the words of a wrong password */
    assert_true(r.locked);
    assert_int_equal(r.treat, TREAT_LOCK);
    b.treat = TREAT_REFUSE;
    put(b);
    call_from(PROTO_TLS, PHONE);
    expect_party(VERDICT_REFUSE, REASON_shield_party, reason_info(REASON_shield_party)->code);
    assert_int_equal(reason_info(REASON_shield_party)->code, 403);
    party(BAN_NUMBER, r.number, TREAT_DROP); /* the hardest counts */
    expect_party(BARRED);
    assert_int_equal(counted(), 3);
    r.in_dialog = r.dialog_authenticated = true; /* and none of it in a call that is up */
    expect_party(PASSES);
    assert_int_equal(counted(), 3);
    call_from(PROTO_UDP,
              PBX); /* a peer is no device and no user; the number suffers all the same */
    assert_int_equal(r.device, 0);
    expect_party(BARRED);
    from(PROTO_TLS, PHONE, "REGISTER", "sip:100@example.com", "bob@example.com", "");
    assert_int_equal(r.number, 0); /* registering is no call */
    expect_party(PASSES);
}

/* What anybody may write or send in another's name: it shuts out nobody else, and no longer than
 * the board says. */
static void forged_evidence(void **state)
{
    (void)state;
    static const char *const evil = "198.51.100.66:4";
    struct ban b = {.scope = BAN_PAIR, .treat = TREAT_DROP, .forgeable = 1};
    from(PROTO_UDP, evil, "INVITE", "sip:100@example.com", "alice@example.com", "");
    b.net = fixture_prefix("198.51.100.66/32");
    b.key = r.aor_hash;
    b.until.us = NOW.us + 60 * 1000000;
    put(b);
    expect_party(BARRED);
    r.now.wall = b.until;
    expect_party(PASSES);
    call_from(PROTO_UDP, PHONE); /* alice herself */
    expect_party(PASSES);
    from(PROTO_UDP, evil, "INVITE", "sip:100@example.com", "bob@example.com", "");
    expect_party(PASSES);
    /* nobody can say that he is a device whose instance he has not seen, or take its number away */
    b.scope = BAN_DEVICE;
    b.key = r.device;
    put(b);
    expect_party(BARRED);
    from(PROTO_UDP, PHONE, "INVITE", "sip:100@example.com", "bob@example.com", "");
    expect_party(PASSES);
    /* a dry run is told and not done */
    b = source("198.51.100.0/24", TREAT_BAN);
    b.dry = 1;
    put(b);
    call_from(PROTO_UDP, evil);
    expect_source(PASSES);
}

/* The board is another program's memory: what cannot stand there is no ban. */
static void a_spoilt_board(void **state)
{
    (void)state;
    source("203.0.113.5/32", TREAT_BAN);
    call_from(PROTO_TLS, PHONE);
    expect_source(SILENT);
    e.ban_hits = NULL;
    expect_source(SILENT);
    struct ban_slot good = board->slot[0];
    board->slot[0].treat = TREAT_COUNT;
    expect_source(PASSES);
    board->slot[0] = good;
    board->slot[0].reason = REASON_COUNT;
    expect_source(PASSES);
    board->slot[0] = good;
    board->slot[0].next = UINT32_MAX;
    board->cap = UINT32_MAX;
    expect_source(SILENT);
}

static void access_lists(void **state)
{
    (void)state;
    struct policy_zone *z = &p.zones[PHONES];
    z->access[0] = (struct access_rule){
        .allow = true, .by_prefix = true, .net = fixture_prefix("203.0.113.5/32")};
    z->access[1] = (struct access_rule){.by_prefix = true, .net = fixture_prefix("203.0.113.0/24")};
    z->n_access = 2;
    p.zones[OLD] = *z;
    call_from(PROTO_TLS, PHONE);
    expect_source(PASSES);
    call_from(PROTO_TLS, "203.0.113.6:9");
    expect_source(VERDICT_REFUSE, REASON_shield_access, 403);
    r.in_dialog = r.dialog_authenticated = true;
    expect_source(PASSES);
    r.dialog_authenticated = false;
    expect_source(VERDICT_REFUSE, REASON_shield_access, 403);
    call_from(PROTO_UDP, "203.0.113.6:9"); /* which may be forged: no answer to be reflected */
    expect_source(VERDICT_DROP, REASON_shield_access, 0);
    call_from(PROTO_TLS, "198.51.100.9:9");
    expect_source(PASSES);
    z->access_deny = true;
    expect_source(VERDICT_REFUSE, REASON_shield_access, 403);
    z->n_access = 0;
    call_from(PROTO_TLS, PHONE);
    expect_source(VERDICT_REFUSE, REASON_shield_access, 403);
    z->n_access = 1;
    z->access[0] = (struct access_rule){.allow = true, .country = 'D' << 8 | 'E'};
    expect_source(VERDICT_REFUSE, REASON_shield_access, 403); /* it has none */
    r.country = 'D' << 8 | 'E';
    expect_source(PASSES);
    p.zones[PBXS].access_deny = true;
    call_from(PROTO_UDP, PBX);
    expect_source(PASSES);
}

static void who_it_is(void **state)
{
    (void)state;
    static const char *const same[] = {"alice@EXAMPLE.com", "alice@198.51.100.1:5061",
                                       "%61lice@example.com"};
    call_from(PROTO_TLS, PHONE);
    uint64_t alice = r.aor_hash;
    assert_str(str_of(r.who, r.who_n), "alice@example.com");
    assert_false(r.missing);
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        from(PROTO_TLS, PHONE, "INVITE", "sip:100@example.com", same[i], "");
        assert_true(r.aor_hash == alice);
    }
    from(PROTO_TLS, PHONE, "INVITE", "sip:100@example.com", "zoe@example.com", "");
    assert_true(r.missing && r.aor_hash != alice);
    from(PROTO_TLS, PHONE, "INVITE", "sip:100@example.com", "alice@example.net", "");
    assert_true(r.missing && r.aor_hash != alice); /* another's domain */
    from(PROTO_UDP, PBX, "INVITE", "sip:100@example.com", "zoe@example.net", "");
    assert_false(r.missing); /* peers speak for users whom we do not know */
    assert_str(str_of(r.who, r.who_n), "100");
    gate_names(&e, &r, STR("bob")); /* by its credentials, whatever From says */
    assert_str(str_of(r.who, r.who_n), "bob@example.com");
    assert_false(r.missing);
    r.in_dialog = true;
    r.aor_hash = 0;
    gate_keys(&e, &r); /* a dialog says who speaks; its names are not looked at */
    assert_int_equal(r.aor_hash, 0);
}

static void names_at_their_longest(void **state)
{
    (void)state;
    char name[512];
    memset(name, 'a', sizeof name);
    call_from(PROTO_TLS, PHONE);
    size_t domain = strlen("@example.com");
    for (size_t n = OBS_WHO - domain; n <= OBS_WHO - domain + 1; n++) {
        gate_names(&e, &r, str_of(name, n));
        assert_int_equal(r.who_n, OBS_WHO);
        assert_int_equal(r.who[OBS_WHO - 1] == 'm', n + domain == OBS_WHO);
    }
    for (size_t n = LOCATION_AOR_MAX - domain; n <= LOCATION_AOR_MAX - domain + 1; n++) {
        r.aor_hash = 0;
        gate_names(&e, &r, str_of(name, n));
        assert_true(r.aor_hash != 0 && r.missing);
    }
}

static void devices(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *agent;
        bool same;
    } row[] = {{"203.0.113.5:777", "one", true},
               {"203.0.113.5:9", "two", false},
               {"203.0.113.6:9", "one", false},
               {"203.0.113.5:9", NULL, false}};
    char agent[64];
    from(PROTO_TLS, PHONE, "INVITE", "sip:1@example.com", "alice@example.com",
         "User-Agent: one\r\n");
    uint64_t first = r.device;
    uint16_t mark = gate_mark(&e, &r.flow.peer);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        (void)snprintf(agent, sizeof agent, row[i].agent ? "User-Agent: %s\r\n" : "%s",
                       row[i].agent ? row[i].agent : "");
        from(PROTO_TLS, row[i].peer, "INVITE", "sip:1@example.com", "bob@example.com", agent);
        assert_int_equal(r.device == first, row[i].same);
    }
    from(PROTO_TLS, "[2001:db8::1]:9", "OPTIONS", "sip:1@example.com", "a@example.com", "");
    first = r.device;
    from(PROTO_TLS, "[2001:db8::ffff:0:0:1]:9", "OPTIONS", "sip:1@example.com", "a@example.com",
         "");
    assert_true(r.device == first); /* an IPv6 source is its /64 */
    from(PROTO_TLS, "[2001:db8:0:1::1]:9", "OPTIONS", "sip:1@example.com", "a@example.com", "");
    assert_true(r.device != first);
    struct addr a = fixture_addr("203.0.113.5:4000"), b = fixture_addr("203.0.113.6:9");
    assert_int_equal(gate_mark(&e, &a), mark); /* NAT moved its port */
    assert_true(gate_mark(&e, &b) != mark);
}

static void decoys(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *method, *uri, *user;
        bool touched;
    } row[] = {{PHONE, "INVITE", "sip:100@example.com", "test@example.com", true},
               {PHONE, "INVITE", "sip:100@example.com", "TEST@example.com", true},
               {PHONE, "INVITE", "sip:test@example.com", "alice@example.com", true},
               {PHONE, "OPTIONS", "sip:9999@example.com", "alice@example.com", true},
               {PHONE, "REGISTER", "sip:9999@example.com", "alice@example.com", false},
               {PHONE, "INVITE", "sip:99999@example.com", "alice@example.com", false},
               {PHONE, "INVITE", "sip:100@example.com", "tester@example.com", false},
               {PHONE, "INVITE", "sip:100@example.com", "test@example.net", false},
               {PBX, "INVITE", "sip:9999@example.com", "alice@example.com", true},
               {PBX, "INVITE", "sip:100@example.com", "test@example.com", false}};
    p.guard.decoys[0] = fixture_text(&p, "test");
    p.guard.decoys[1] = fixture_text(&p, "9999");
    p.guard.n_decoys = 2;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        from(PROTO_UDP, row[i].peer, row[i].method, row[i].uri, row[i].user, "");
        assert_int_equal(r.decoy, row[i].touched);
    }
    p.guard.n_decoys = 0;
    from(PROTO_UDP, PHONE, "INVITE", "sip:test@example.com", "test@example.com", "");
    assert_false(r.decoy);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(what_each_treatment_does),
                                       T(addresses_at_the_edge_of_a_prefix),
                                       T(a_ban_ends_on_the_microsecond),
                                       T(what_bans_do_not_reach),
                                       T(calls_for_help),
                                       T(running_calls_of_the_challenged),
                                       T(users_devices_and_numbers),
                                       T(what_is_done_about_a_party),
                                       T(forged_evidence),
                                       T(a_spoilt_board),
                                       T(access_lists),
                                       T(who_it_is),
                                       T(names_at_their_longest),
                                       T(devices),
                                       T(decoys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
