/* The first call of a user to a country, row by row: what role, number, approval, second factor and
 * method make of it. What else the gate says stands in gates_test.c. */
#include "call/fixture_test.h"
#include "call/gate.h"

#define CC(a, b) ((uint16_t)((a) << 8 | (b)))
static struct policy p;
static uint64_t memory[1024];
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static char text[1024];

static const struct directory_user *user(const char *name)
{
    return directory_find(e.directory, str_c(name), STR("example.com"));
}

static int begin(void **state)
{
    (void)state;
    static const uint16_t open[] = {CC('A', 'T'), RIGHTS_NO_COUNTRY};
    static const struct directory_room room = {.users = 4, .countries = 4, .text = 128};
    struct directory *d = (struct directory *)(void *)memory;
    fixture_policy(&p);
    p.peers[0].trunk = true;
    p.n_sites = 1;
    p.sites[0].country = CC('D', 'E');
    p.sites[0].international = fixture_text(&p, "00");
    p.sites[0].national = fixture_text(&p, "0");
    p.routes[0].pattern = fixture_text(&p, "112");
    p.routes[0].to = p.routes[2].to = ROUTE_PEERS;
    p.routes[0].n_peers = p.routes[2].n_peers = 1;
    p.routes[2].pattern = fixture_text(&p, "+X.");
    rights_role_default(&p.roles[0].rights);
    p.roles[0].rights.classes = p.roles[0].rights.off_classes = (1u << CLASS_COUNT) - 1;
    p.roles[0].rights.n_countries = RIGHTS_ALL;
    p.roles[0].rights.features = UINT32_MAX;
    memset(memory, 0, sizeof memory);
    assert_true(directory_bytes_of(&room) <= sizeof memory);
    directory_begin_of(d, &room);
    struct directory_entry x = {.aor = STR("alice@example.com"), .role = STR("user")};
    assert_ok(directory_put(d, &x)); /* no second factor, no country */
    x.aor = STR("bob@example.com");
    x.n_countries = 2;
    x.countries = open;
    assert_ok(directory_put(d, &x)); /* two countries */
    x = (struct directory_entry){.aor = STR("carol@example.com"),
                                 .role = STR("user"),
                                 .flags = DIRECTORY_SECOND_FACTOR,
                                 .n_countries = 1,
                                 .countries = open};
    assert_ok(directory_put(d, &x)); /* a second factor, Austria */
    assert_ok(directory_valid(d, sizeof memory));
    e = (struct gate_env){.policy = &p, .directory = d};
    return 0;
}

static struct verdict call(const char *who, const char *method, const char *number)
{
    struct sip_error err;
    struct flow f = {.proto = PROTO_TLS, .peer = fixture_addr("203.0.113.5:9")};
    int n = snprintf(text, sizeof text,
                     "%s sip:%s@example.com SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;"
                     "branch=z9hG4bKx\r\nFrom: <sip:%s@example.com>;tag=1\r\n"
                     "To: <sip:%s@example.com>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\n"
                     "Content-Length: 0\r\n\r\n",
                     method, number, who, number, method);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{1}, {INT64_C(1000000)}});
    r.zone = r.role = 0;
    p.zones[0].services = 0xff;
    r.ident = IDENT_USER;
    r.known = user(who);
    r.emergency = gate_dials_emergency(&m);
    return gate_right(&e, &r, NULL);
}

static void each_country_once(void **state)
{
    (void)state;
    static const struct {
        const char *who, *number;
        uint8_t kind;
        uint16_t first; /* what a code would open; 0: nothing */
    } row[] = {
        {"alice", "0301234567", VERDICT_PASS, 0},                 /* home */
        {"alice", "09001234567", VERDICT_PASS, 0},                /* dear, and home */
        {"alice", "08001234567", VERDICT_PASS, 0},                /* the callee pays */
        {"alice", "0080012345678", VERDICT_PASS, 0},              /* the same of all the world */
        {"alice", "112", VERDICT_PASS, 0},                        /* help */
        {"alice", "004315808", VERDICT_REFUSE, CC('A', 'T')},     /* abroad */
        {"alice", "+4315808", VERDICT_REFUSE, CC('A', 'T')},      /* however it is dialled */
        {"alice", "0043900123456", VERDICT_REFUSE, CC('A', 'T')}, /* and dear there */
        {"alice", "0018765230123", VERDICT_REFUSE, CC('J', 'M')}, /* +1 is many countries */
        {"alice", "0012125550123", VERDICT_REFUSE, CC('U', 'S')},
        {"alice", "008821234567", VERDICT_REFUSE, RIGHTS_NO_COUNTRY},
        {"alice", "0097912345678", VERDICT_REFUSE, RIGHTS_NO_COUNTRY},
        {"alice", "00210123456", VERDICT_REFUSE, RIGHTS_NO_COUNTRY}, /* nobody's */
        {"bob", "004315808", VERDICT_PASS, 0},
        {"bob", "0043900123456", VERDICT_PASS, 0}, /* the country, of any class */
        {"bob", "008821234567", VERDICT_PASS, 0},
        {"bob", "0041446681800", VERDICT_REFUSE, CC('C', 'H')},
        {"carol", "004315808", VERDICT_PASS, 0},
        {"carol", "0041446681800", VERDICT_STEP_UP, CC('C', 'H')},
        {"carol", "008821234567", VERDICT_STEP_UP, RIGHTS_NO_COUNTRY},
        {"carol", "112", VERDICT_PASS, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct verdict v = call(row[i].who, "INVITE", row[i].number);
        if (v.kind != row[i].kind || r.first_country != row[i].first)
            fail_msg("%s calls %s: %u (%.*s), %x", row[i].who, row[i].number, v.kind,
                     STR_ARG(reason_info(v.reason)->name), r.first_country);
        if (row[i].first)
            assert_int_equal(v.reason, REASON_right_country_first);
        if (v.kind == VERDICT_REFUSE)
            assert_int_equal(v.code, 403);
    }
}

static void a_code_lets_it_out_and_names_the_country(void **state)
{
    (void)state;
    assert_int_equal(call("carol", "INVITE", "0041446681800").kind, VERDICT_STEP_UP);
    r.stepped_up = true;
    assert_int_equal(gate_right(&e, &r, NULL).kind, VERDICT_PASS);
    assert_int_equal(r.first_country, CC('C', 'H'));
}

/* Nobody is there who could give one. */
static void a_message_is_refused(void **state)
{
    (void)state;
    struct verdict v = call("carol", "MESSAGE", "0041446681800");
    assert_int_equal(v.kind, VERDICT_REFUSE);
    assert_int_equal(v.reason, REASON_right_country_first);
    assert_int_equal(call("carol", "MESSAGE", "004315808").kind, VERDICT_PASS);
}

static void the_role_says_whether_it_is_asked(void **state)
{
    (void)state;
    struct rights_role *role = &p.roles[0].rights;
    role->step_up_country = false;
    assert_int_equal(call("alice", "INVITE", "004315808").kind, VERDICT_PASS);
    assert_int_equal(r.first_country, 0);
    role->step_up_country = true;
    role->n_countries = 0; /* what the role closes stays closed, approved or not */
    assert_int_equal(call("bob", "INVITE", "004315808").reason, REASON_right_country);
    role->n_countries = RIGHTS_ALL;
    role->classes &= (uint16_t) ~(1u << CLASS_INTERNATIONAL);
    assert_int_equal(call("bob", "INVITE", "004315808").reason, REASON_right_class);
    role->step_up = 1u << CLASS_INTERNATIONAL; /* asked at each call, the country's word besides */
    struct verdict v = call("carol", "INVITE", "004315808");
    assert_int_equal(v.kind, VERDICT_STEP_UP);
    assert_int_equal(v.reason, REASON_right_step_up);
    assert_int_equal(r.first_country, 0);
    v = call("carol", "INVITE", "0041446681800");
    assert_int_equal(v.reason, REASON_right_step_up);
    assert_int_equal(r.first_country, CC('C', 'H'));
    assert_int_equal(call("bob", "INVITE", "004315808").reason, REASON_right_class);
}

/* Whoever nobody knows was let call nothing; a peer's calls are no user's. */
static void who_is_asked(void **state)
{
    (void)state;
    (void)call("alice", "INVITE", "004315808");
    r.known = NULL;
    assert_int_equal(gate_right(&e, &r, NULL).reason, REASON_right_country_first);
    r.ident = IDENT_PEER;
    assert_int_equal(gate_right(&e, &r, NULL).kind, VERDICT_PASS);
}

/* Without a site every country is another. */
static void without_a_site(void **state)
{
    (void)state;
    p.n_sites = 0;
    p.sites[0] = (struct rights_site){0};
    assert_int_equal(call("alice", "INVITE", "004930123456").reason, REASON_right_country_first);
    assert_int_equal(r.first_country, CC('D', 'E'));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, begin)
    const struct CMUnitTest tests[] = {
        T(each_country_once),    T(a_code_lets_it_out_and_names_the_country),
        T(a_message_is_refused), T(the_role_says_whether_it_is_asked),
        T(who_is_asked),         T(without_a_site)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
