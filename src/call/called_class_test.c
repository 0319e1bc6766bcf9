/* Classes of what is called, by what a rule makes of it; and who wants to stay unknown. */
#include "call/called.h"
#include "call/fixture_test.h"

#define CC(a, b) ((uint16_t)((a) << 8 | (b)))
static struct policy p;
static struct directory *d;
enum { TO_USERS, TO_PBX, TO_TRUNK, MIXED, STRIPS, PREMIUM };

static int setup(void **state)
{
    static uint8_t mem[FIXTURE_DIRECTORY_BYTES] __attribute__((aligned(64)));
    (void)state;
    fixture_policy(&p);
    d = fixture_directory(mem);
    p.peers[1] = p.peers[0];
    p.peers[1].name = fixture_text(&p, "trunk");
    p.peers[1].trunk = 1;
    p.n_peers = 2;
    p.n_sites = 1;
    p.sites[0] = (struct rights_site){.country = CC('D', 'E'),
                                      .area = fixture_text(&p, "30"),
                                      .international = fixture_text(&p, "00"),
                                      .national = fixture_text(&p, "0")};
    p.n_routes = PREMIUM + 1;
    p.routes[TO_USERS] = (struct policy_route){.to = ROUTE_USERS};
    p.routes[TO_PBX] = (struct policy_route){.to = ROUTE_PEERS, .n_peers = 1, .peers = {0}};
    p.routes[TO_TRUNK] = (struct policy_route){.to = ROUTE_PEERS, .n_peers = 1, .peers = {1}};
    p.routes[MIXED] = (struct policy_route){.to = ROUTE_PEERS, .n_peers = 2, .peers = {0, 1}};
    p.routes[STRIPS] = p.routes[TO_TRUNK];
    p.routes[STRIPS].strip = 1;
    p.routes[PREMIUM] = p.routes[TO_TRUNK];
    p.routes[PREMIUM].prefix = fixture_text(&p, "0900");
    return 0;
}

static struct number called(int route, const char *dialled)
{
    return called_number(&p, d, &p.sites[0], &p.routes[route], str_c(dialled));
}

static void classes(void **state)
{
    static const struct {
        int route;
        const char *dialled;
        enum number_class kind;
        const char *e164;
    } row[] = {
        {TO_USERS, "0900123456", CLASS_INTERNAL, ""},
        {TO_USERS, "alice", CLASS_INTERNAL, ""},
        {TO_PBX, "200", CLASS_INTERNAL, ""}, /* an extension */
        {TO_PBX, "123456", CLASS_INTERNAL, ""},
        {TO_PBX, "1234567", CLASS_LOCAL, "+49301234567"},
        {TO_PBX, "alice", CLASS_INTERNAL, ""}, /* no number at all */
        {TO_PBX, "+alice", CLASS_UNKNOWN, ""},
        {TO_PBX, "00431580580", CLASS_INTERNATIONAL, "+431580580"},
        {TO_PBX, "09001234567", CLASS_PREMIUM, "+499001234567"},
        {TO_PBX, "00999", CLASS_UNKNOWN, ""},       /* abroad, wherever that is */
        {TO_TRUNK, "200", CLASS_LOCAL, "+4930200"}, /* a trunk has no extensions */
        {TO_TRUNK, "1234567", CLASS_LOCAL, "+49301234567"},
        {TO_TRUNK, "089123456", CLASS_NATIONAL, "+4989123456"},
        {MIXED, "200", CLASS_LOCAL, "+4930200"}, /* one of both may be a trunk */
        /* what leaves decides, where that is dearer */
        {STRIPS, "9089123456", CLASS_NATIONAL, "+4989123456"},
        {STRIPS, "909001234567", CLASS_PREMIUM, "+499001234567"},
        {STRIPS, "900431580580", CLASS_INTERNATIONAL, "+431580580"},
        {STRIPS, "9015123456789", CLASS_MOBILE, "+4915123456789"},
        {PREMIUM, "1234567", CLASS_PREMIUM, "+499001234567"},
        /* and not, where that is cheaper or unknown */
        {STRIPS, "00431580580", CLASS_INTERNATIONAL, "+431580580"},
        {STRIPS, "015123456789", CLASS_MOBILE, "+4915123456789"},
        {STRIPS, "089123456", CLASS_NATIONAL, "+4989123456"},
        {STRIPS, "08001234567", CLASS_TOLL_FREE, "+498001234567"},
        {STRIPS, "908001234567", CLASS_LOCAL, ""}, /* nothing becomes free */
        {STRIPS, "2112", CLASS_LOCAL, ""},         /* nor a call for help */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct number n = called(row[i].route, row[i].dialled);
        struct str e164 = str_of(n.e164, n.n);
        if (n.kind != row[i].kind || (row[i].e164[0] && !str_eq(e164, str_c(row[i].e164))))
            fail_msg("row %zu: %s is %.*s %.*s", i, row[i].dialled,
                     STR_ARG(number_class_name((enum number_class)n.kind)), STR_ARG(e164));
    }
}

/* A user of ours behind a PBX is internal; a trunk that hears his name is paid for it. */
static void users(void **state)
{
    (void)state;
    assert_ok(directory_add(d, STR("04930123@example.com"), STR("user"), (struct wall){0}));
    assert_int_equal(called(TO_PBX, "04930123").kind, CLASS_INTERNAL);
    assert_int_not_equal(called(TO_TRUNK, "04930123").kind, CLASS_INTERNAL);
    assert_int_not_equal(
        called_number(&p, NULL, &p.sites[0], &p.routes[TO_PBX], STR("04930123")).kind,
        CLASS_INTERNAL);
}

/* With a digit for a line, what has none is the PBX's own. */
static void lines(void **state)
{
    (void)state;
    p.sites[0].outside = fixture_text(&p, "9");
    assert_int_equal(called(TO_PBX, "1234567").kind, CLASS_INTERNAL);
    assert_int_equal(called(TO_PBX, "91234567").kind, CLASS_LOCAL);
    assert_int_equal(called(TO_PBX, "9008821234567").kind, CLASS_SATELLITE);
    assert_int_not_equal(called(TO_PBX, "+4989123456").kind, CLASS_INTERNAL);
}

/* Without a site nobody knows what is abroad, but for 00 and '+'. */
static void no_site(void **state)
{
    (void)state;
    p.sites[0] = (struct rights_site){0};
    assert_int_equal(called(TO_PBX, "200").kind, CLASS_INTERNAL);
    assert_int_equal(called(TO_PBX, "123456789").kind, CLASS_INTERNAL);
    assert_int_not_equal(called(TO_PBX, "00431580580").kind, CLASS_INTERNAL);
    assert_int_not_equal(called(TO_PBX, "+431580580").kind, CLASS_INTERNAL);
    assert_int_not_equal(called(TO_TRUNK, "200").kind, CLASS_INTERNAL);
}

static void trunks(void **state)
{
    (void)state;
    assert_false(called_trunk(&p, &p.routes[TO_USERS]));
    assert_false(called_trunk(&p, &p.routes[TO_PBX]));
    assert_true(called_trunk(&p, &p.routes[TO_TRUNK]));
    assert_true(called_trunk(&p, &p.routes[MIXED]));
    p.routes[TO_TRUNK].to = ROUTE_REFUSE;
    assert_false(called_trunk(&p, &p.routes[TO_TRUNK]));
}

static void privacy(void **state)
{
    static const struct {
        const char *from, *more;
        bool hidden;
    } row[] = {{"<sip:alice@example.com>", "", false},
               {"<sip:alice@example.com>", "Privacy: none\r\n", false},
               {"<sip:alice@example.com>", "Privacy: NONE\r\n", false},
               {"<sip:alice@example.com>", "Privacy: id\r\n", true},
               {"<sip:alice@example.com>", "Privacy: header;none\r\n", true},
               {"\"Anonymous\" <sip:anonymous@anonymous.invalid>", "", true},
               {"<sip:anonymous@example.com>", "", true},
               {"<sip:Anonymous@example.com>", "Privacy: none\r\n", true},
               {"\"anonymous\" <sip:alice@example.com>", "", false}};
    static char text[2048];
    struct sip_msg m;
    struct sip_error e;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        (void)snprintf(text, sizeof text,
                       "INVITE sip:200@example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
                       "203.0.113.5;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: %s;tag=1\r\n"
                       "To: <sip:200@example.com>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\nContact: "
                       "<sip:alice@203.0.113.5>\r\n%sContent-Length: 0\r\n\r\n",
                       row[i].from, row[i].more);
        assert_ok(sip_parse(str_c(text), false, &m, &e));
        if (called_private(&m) != row[i].hidden)
            fail_msg("row %zu", i);
    }
}

/* Inbound numbers lead to who owns them, as the peer's site writes numbers. */
static void owners(void **state)
{
    static uint8_t mem[FIXTURE_DIRECTORY_BYTES] __attribute__((aligned(64)));
    struct directory *x = (struct directory *)(void *)mem;
    (void)state;
    memset(mem, 0, sizeof mem);
    directory_begin_of(x, &(struct directory_room){.users = 4, .text = 1024, .numbers = 4});
    assert_ok(directory_put(x, &(struct directory_entry){.aor = STR("carol@example.com"),
                                                         .role = STR("user"),
                                                         .numbers = STR("+4930123456")}));
    assert_str(called_owner(&p, x, 1, STR("030123456")), "carol@example.com");
    assert_str(called_owner(&p, x, 1, STR("+4930123456")), "carol@example.com");
    assert_str(called_owner(&p, x, POLICY_NONE, STR("123456")), "carol@example.com");
    assert_int_equal(called_owner(&p, x, 1, STR("030123457")).n, 0);
    assert_int_equal(called_owner(&p, x, 1, STR("03012345")).n, 0);
    assert_int_equal(called_owner(&p, x, 1, STR("carol")).n, 0);
    assert_int_equal(called_owner(&p, NULL, 1, STR("030123456")).n, 0);
    /* a peer elsewhere writes them in another way */
    p.n_sites = 2;
    p.sites[1] = (struct rights_site){.name = fixture_text(&p, "york"),
                                      .country = CC('U', 'S'),
                                      .international = fixture_text(&p, "011"),
                                      .national = fixture_text(&p, "1")};
    p.peers[1].site = p.sites[1].name;
    assert_int_equal(called_owner(&p, x, 1, STR("030123456")).n, 0);
    assert_str(called_owner(&p, x, 1, STR("0114930123456")), "carol@example.com");
    assert_str(called_owner(&p, x, 0, STR("030123456")), "carol@example.com");
}

#define T(f) cmocka_unit_test_setup(f, setup)
int main(void)
{
    const struct CMUnitTest tests[] = {T(classes), T(users),   T(lines), T(no_site),
                                       T(trunks),  T(privacy), T(owners)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
