/* Devices, row by row: which one a request comes from, and what its state lets it do. */
#include "call/fixture_test.h"
#include "call/gate.h"
#include "identity/device.h"

#define CAP      16u
#define INSTANCE "<urn:uuid:0f2c1a6e-0000-4000-8000-000000000001>"
static struct policy p;
static uint64_t memory[1024];
static struct directory *d;
static struct location_shard *shard;
static struct location_view view;
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static char text[1024];
static struct flow udp, tls;

static uint64_t by_place(const char *agent)
{
    enum device_by by;
    return device_id(STR_NONE, STR_NONE, &udp.peer, str_c(agent), &by);
}

static uint64_t by_instance(void)
{
    enum device_by by;
    return device_id(STR_NONE, STR(INSTANCE), &udp.peer, STR_NONE, &by);
}

/* alice: second factor, the phone at `udp` approved, the instance revoked. bob: none, nothing.
 * cleo: of a role that wants second factors. dave: no factor, his phone at `udp` revoked. */
static int begin(void **state)
{
    (void)state;
    static const struct directory_room room = {.users = 4, .devices = 4, .text = 128};
    udp = (struct flow){.proto = PROTO_UDP, .peer = fixture_addr("203.0.113.5:9")};
    tls = (struct flow){
        .proto = PROTO_TLS, .peer = fixture_addr("203.0.113.5:9"), .conn = {.index = 3, .gen = 1}};
    fixture_policy(&p);
    p.service_number = fixture_text(&p, "*77");
    p.roles[1].rights.second_factor = true;
    memset(memory, 0, sizeof memory);
    d = (struct directory *)(void *)memory;
    assert_true(directory_bytes_of(&room) <= sizeof memory);
    directory_begin_of(d, &room);
    const struct directory_device alices[] = {{by_place("phone/1"), DEVICE_APPROVED, {0}},
                                              {by_instance(), DEVICE_REVOKED, {0}}},
                                  daves[] = {{by_place("phone/1"), DEVICE_REVOKED, {0}}};
    struct directory_entry x = {.aor = STR("alice@example.com"),
                                .role = STR("user"),
                                .flags = DIRECTORY_SECOND_FACTOR,
                                .n_devices = 2,
                                .devices = alices};
    assert_ok(directory_put(d, &x));
    x = (struct directory_entry){.aor = STR("bob@example.com"), .role = STR("user")};
    assert_ok(directory_put(d, &x));
    x = (struct directory_entry){.aor = STR("cleo@example.com"), .role = STR("internal")};
    assert_ok(directory_put(d, &x));
    x = (struct directory_entry){
        .aor = STR("dave@example.com"), .role = STR("user"), .n_devices = 1, .devices = daves};
    assert_ok(directory_put(d, &x));
    shard = test_calloc(1, location_bytes(CAP));
    assert_ok(location_attach(shard, CAP));
    view = (struct location_view){shard, CAP};
    e = (struct gate_env){.policy = &p, .directory = d, .shards = &view, .n_shards = 1};
    return 0;
}

static int done(void **state)
{
    (void)state;
    test_free(shard);
    return 0;
}

static const struct directory_user *user(const char *name)
{
    return directory_find(d, str_c(name), STR("example.com"));
}

static void request(const char *who, const char *method, const char *to, const char *agent,
                    const char *contact)
{
    struct sip_error err;
    int n = snprintf(text, sizeof text,
                     "%s sip:%s@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.5:9;"
                     "branch=z9hG4bKx\r\nFrom: <sip:%s@example.com>;tag=1\r\n"
                     "To: <sip:%s@example.com>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\n"
                     "User-Agent: %s\r\nContact: <sip:%s@203.0.113.5:9>%s\r\n"
                     "Content-Length: 0\r\n\r\n",
                     method, to, who, to, method, agent, who, contact);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &udp, (struct now){{1}, {INT64_C(1000000)}});
    r.ident = IDENT_USER;
    r.known = user(who);
    r.user_n = (uint16_t)snprintf(r.user, sizeof r.user, "%s@example.com", who);
    r.emergency = gate_dials_emergency(&m);
}

static struct verdict ask(const char *who, const char *method, const char *to, const char *agent)
{
    request(who, method, to, agent, "");
    return gate_device(&e, &r);
}

static void what_a_device_may(void **state)
{
    (void)state;
    static const struct {
        const char *who, *agent, *method, *to;
        uint8_t kind;
        enum reason why;
        bool quarantined;
    } row[] = {
        {"alice", "phone/1", "INVITE", "100", VERDICT_PASS, REASON_NONE, false},
        {"alice", "phone/1", "REGISTER", "alice", VERDICT_PASS, REASON_NONE, false},
        {"alice", "phone/1", "INVITE", "*77", VERDICT_STEP_UP, REASON_right_step_up, false},
        /* a new one of her: registers, calls for help and approves itself, nothing else */
        {"alice", "phone/2", "REGISTER", "alice", VERDICT_PASS, REASON_NONE, true},
        {"alice", "phone/2", "OPTIONS", "alice", VERDICT_PASS, REASON_NONE, true},
        {"alice", "phone/2", "INVITE", "100", VERDICT_REFUSE, REASON_right_quarantine, true},
        {"alice", "phone/2", "MESSAGE", "100", VERDICT_REFUSE, REASON_right_quarantine, true},
        {"alice", "phone/2", "SUBSCRIBE", "100", VERDICT_REFUSE, REASON_right_quarantine, true},
        {"alice", "phone/2", "PUBLISH", "alice", VERDICT_REFUSE, REASON_right_quarantine, true},
        {"alice", "phone/2", "INVITE", "*7", VERDICT_REFUSE, REASON_right_quarantine, true},
        {"alice", "phone/2", "MESSAGE", "*77", VERDICT_REFUSE, REASON_right_quarantine, true},
        {"alice", "phone/2", "INVITE", "*77", VERDICT_STEP_UP, REASON_right_step_up, false},
        {"alice", "phone/2", "INVITE", "112", VERDICT_PASS, REASON_NONE, false},
        /* the role puts the account under a second factor */
        {"cleo", "phone/1", "INVITE", "100", VERDICT_REFUSE, REASON_right_quarantine, true},
        {"cleo", "phone/1", "REGISTER", "cleo", VERDICT_PASS, REASON_NONE, true},
        /* nothing does */
        {"bob", "phone/2", "INVITE", "100", VERDICT_PASS, REASON_NONE, false},
        {"bob", "phone/2", "MESSAGE", "100", VERDICT_PASS, REASON_NONE, false},
        /* revoked: whatever the account */
        {"dave", "phone/1", "INVITE", "100", VERDICT_REFUSE, REASON_right_revoked, false},
        {"dave", "phone/1", "REGISTER", "dave", VERDICT_REFUSE, REASON_right_revoked, false},
        {"dave", "phone/1", "INVITE", "*77", VERDICT_REFUSE, REASON_right_revoked, false},
        {"dave", "phone/1", "INVITE", "112", VERDICT_PASS, REASON_NONE, false},
        {"dave", "phone/2", "INVITE", "100", VERDICT_PASS, REASON_NONE, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct verdict v = ask(row[i].who, row[i].method, row[i].to, row[i].agent);
        if (v.kind != row[i].kind || v.reason != row[i].why || r.quarantined != row[i].quarantined)
            fail_msg("%s %s %s by %s: %u %.*s", row[i].who, row[i].method, row[i].to, row[i].agent,
                     v.kind, STR_ARG(reason_info(v.reason)->name));
    }
    p.service_number = (struct span){0}; /* off */
    assert_int_equal(ask("alice", "INVITE", "*77", "phone/2").reason, REASON_right_quarantine);
}

/* A dialog that stands goes on, and so does the one that is being ended. */
static void a_dialog_goes_on(void **state)
{
    (void)state;
    request("dave", "INVITE", "100", "phone/1", "");
    r.in_dialog = true;
    assert_int_equal(gate_device(&e, &r).kind, VERDICT_PASS);
    assert_int_equal(r.device_state, DEVICE_REVOKED); /* the call learns of it elsewhere */
}

static void which_device(void **state)
{
    (void)state;
    request("alice", "INVITE", "100", "phone/1", ";+sip.instance=\"" INSTANCE "\"");
    assert_int_equal(gate_device(&e, &r).reason, REASON_right_revoked); /* the instance decides */
    assert_int_equal(r.device_id, by_instance());
    assert_int_equal(r.device_by, DEVICE_BY_INSTANCE);
    request("alice", "INVITE", "100", "phone/1", ";+sip.instance=\"" INSTANCE "\"");
    r.certified = true; /* a certificate before both */
    memset(r.fingerprint, 7, sizeof r.fingerprint);
    assert_int_equal(gate_device(&e, &r).reason, REASON_right_quarantine);
    assert_int_equal(r.device_by, DEVICE_BY_CERT);
    (void)ask("alice", "INVITE", "100", "phone/1");
    assert_int_equal(r.device_id, by_place("phone/1"));
    assert_int_equal(r.device_by, DEVICE_BY_PLACE);
}

static struct binding registered(const char *aor, const struct flow *f, uint64_t device)
{
    struct binding b = {.aor_hash = location_hash(&e.hash_key, str_c(aor)),
                        .expires = {INT64_C(60000000)},
                        .q = 1000,
                        .flow = *f,
                        .device = device};
    b.aor_len = (uint8_t)strlen(aor);
    memcpy(b.aor, aor, b.aor_len);
    b.contact_len = 5;
    memcpy(b.contact, "sip:x", 5);
    return b;
}

/* What registered over a flow is what calls over it, though the call does not say who it is. */
static void by_the_flow(void **state)
{
    (void)state;
    struct binding b = registered("alice@example.com", &udp, by_instance());
    assert_ok(location_put(shard, &b));
    assert_int_equal(ask("alice", "INVITE", "100", "phone/1").reason, REASON_right_revoked);
    assert_int_equal(r.device_id, by_instance());
    /* a registration says for itself who it is */
    assert_int_equal(ask("alice", "REGISTER", "alice", "phone/1").kind, VERDICT_PASS);
    /* somebody else's binding, another port, another transport: not that flow */
    assert_int_equal(ask("bob", "INVITE", "100", "phone/1").kind, VERDICT_PASS);
    request("alice", "INVITE", "100", "phone/1", "");
    r.flow.peer = fixture_addr("203.0.113.5:10");
    (void)gate_device(&e, &r);
    assert_int_not_equal(r.device_id, by_instance());
    request("alice", "INVITE", "100", "phone/1", "");
    r.flow = tls;
    (void)gate_device(&e, &r);
    assert_int_not_equal(r.device_id, by_instance());
    struct str alice = STR("alice@example.com");
    struct wall now = {INT64_C(1000000)};
    assert_int_equal(device_of_flow(&e, alice, &udp, now), by_instance());
    assert_int_equal(device_of_flow(&e, alice, &udp, (struct wall){INT64_C(61000000)}), 0);
    b = registered("alice@example.com", &tls, 42);
    b.contact[4] = 'y';
    assert_ok(location_put(shard, &b));
    assert_int_equal(device_of_flow(&e, alice, &tls, now), 42); /* by its connection */
    struct flow other = tls;
    other.conn.gen++;
    assert_int_equal(device_of_flow(&e, alice, &other, now), 0);
    e.shards = NULL;
    assert_int_equal(device_of_flow(&e, alice, &udp, now), 0);
}

static void who_is_reached(void **state)
{
    (void)state;
    const uint64_t fine = by_place("phone/1"), gone = by_instance();
    static const struct {
        const char *aor;
        unsigned device; /* 0: unknown, 1: approved one of alice, 2: revoked one of hers, 3: new */
        uint8_t flags;
        bool reached;
    } row[] = {
        {"alice@example.com", 1, 0, true},
        {"alice@example.com", 2, 0, false},
        {"alice@example.com", 3, 0, false},
        {"alice@example.com", 0, 0, true}, /* of a snapshot from before; it was let in then */
        {"alice@example.com", 0, BINDING_QUARANTINED, false},
        {"bob@example.com", 3, 0, true},
        {"bob@example.com", 0, BINDING_QUARANTINED, true}, /* no second factor any more */
        {"cleo@example.com", 3, 0, false},
        {"nobody@example.com", 3, 0, true}, /* no user of the directory: not ours to judge */
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint64_t id = row[i].device == 1   ? fine
                      : row[i].device == 2 ? gone
                      : row[i].device      ? 4711
                                           : 0;
        struct binding b = registered(row[i].aor, &udp, id);
        b.flags = row[i].flags;
        if (device_reached(&e, &b) != row[i].reached)
            fail_msg("row %zu", i);
    }
}

static void under_a_second_factor(void **state)
{
    (void)state;
    assert_true(device_under(&e, user("alice")));
    assert_false(device_under(&e, user("bob")));
    assert_true(device_under(&e, user("cleo")));
    p.roles[1].rights.second_factor = false;
    assert_false(device_under(&e, user("cleo")));
    p.n_roles = 1; /* a role that is gone says nothing */
    assert_false(device_under(&e, user("cleo")));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, done)
    const struct CMUnitTest tests[] = {T(what_a_device_may), T(a_dialog_goes_on),
                                       T(which_device),      T(by_the_flow),
                                       T(who_is_reached),    T(under_a_second_factor)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
