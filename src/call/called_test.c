/* What is called, seen from the caller's site on the way that a rule takes; and whose a number is.
 */
#include "base/test.h"
#include "call/called.h"
#include "call/fixture_test.h"
#include <stdlib.h>

enum { PBX, TRUNK };
static struct policy p;
static struct directory *d;

/* A PBX and a trunk; a route to each, to both, and to users; Berlin. */
static int called_setup(void **state)
{
    const struct directory_room room = {.users = 3, .numbers = 4, .text = 256};
    const struct directory_entry who[] = {
        {.aor = STR("alice@example.com"), .role = STR("user"), .numbers = STR("+4930111 +4940111")},
        {.aor = STR("42@example.com"), .role = STR("user"), .numbers = STR("+4314000")}};
    (void)state;
    fixture_policy(&p);
    p.n_peers = 2;
    p.peers[TRUNK] = p.peers[PBX];
    p.peers[TRUNK].name = fixture_text(&p, "trunk");
    p.peers[TRUNK].trunk = 1;
    p.n_sites = 2;
    p.sites[0].name = fixture_text(&p, "berlin");
    p.sites[0].country = 'D' << 8 | 'E';
    p.sites[0].area = fixture_text(&p, "30");
    p.sites[0].international = fixture_text(&p, "00");
    p.sites[0].national = fixture_text(&p, "0");
    p.sites[1] = p.sites[0];
    p.sites[1].name = fixture_text(&p, "vienna");
    p.sites[1].country = 'A' << 8 | 'T';
    p.sites[1].area = fixture_text(&p, "1");
    d = calloc(1, directory_bytes_of(&room));
    directory_begin_of(d, &room);
    for (size_t i = 0; i < ARRAY_LEN(who); i++)
        assert_ok(directory_put(d, &who[i]));
    return 0;
}

static int called_teardown(void **state)
{
    (void)state;
    free(d);
    return 0;
}

static struct policy_route route(enum route_to to, unsigned peers)
{
    struct policy_route r = {.to = (uint8_t)to, .from_zone = POLICY_NONE, .from_peer = POLICY_NONE};
    for (uint8_t i = 0; i < 2; i++)
        if (peers >> i & 1)
            r.peers[r.n_peers++] = i;
    return r;
}

static enum number_class class_of(const struct policy_route *r, const char *dialled)
{
    return (enum number_class)called_number(&p, d, &p.sites[0], r, str_c(dialled)).kind;
}

static void by_the_way_it_takes(void **state)
{
    static const struct {
        const char *dialled;
        enum number_class users, pbx, trunk;
    } row[] = {
        {"030123456", CLASS_INTERNAL, CLASS_LOCAL, CLASS_LOCAL},
        {"123456", CLASS_INTERNAL, CLASS_INTERNAL, CLASS_LOCAL}, /* six digits: its own */
        {"1234567", CLASS_INTERNAL, CLASS_LOCAL, CLASS_LOCAL},   /* seven: no extension */
        {"01711234567", CLASS_INTERNAL, CLASS_MOBILE, CLASS_MOBILE},
        {"+12025550123", CLASS_INTERNAL, CLASS_INTERNATIONAL, CLASS_INTERNATIONAL},
        {"0012025550123", CLASS_INTERNAL, CLASS_INTERNATIONAL, CLASS_INTERNATIONAL},
        {"09001234567", CLASS_INTERNAL, CLASS_PREMIUM, CLASS_PREMIUM},
        {"+88213300", CLASS_INTERNAL, CLASS_SATELLITE, CLASS_SATELLITE},
        {"reception", CLASS_INTERNAL, CLASS_INTERNAL, CLASS_UNKNOWN}, /* no number */
        {"alice", CLASS_INTERNAL, CLASS_INTERNAL, CLASS_UNKNOWN},
        {"42", CLASS_INTERNAL, CLASS_INTERNAL, CLASS_UNKNOWN}, /* a user; by a trunk who knows */
        {"00", CLASS_INTERNAL, CLASS_UNKNOWN, CLASS_UNKNOWN},
    };
    struct policy_route users = route(ROUTE_USERS, 0), pbx = route(ROUTE_PEERS, 1u << PBX),
                        trunk = route(ROUTE_PEERS, 1u << TRUNK), both = route(ROUTE_PEERS, 3);
    (void)state;
    assert_false(called_trunk(&p, &users));
    assert_false(called_trunk(&p, &pbx));
    assert_true(called_trunk(&p, &trunk) && called_trunk(&p, &both));
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        enum number_class c[] = {class_of(&users, row[i].dialled), class_of(&pbx, row[i].dialled),
                                 class_of(&trunk, row[i].dialled)};
        if (c[0] != row[i].users || c[1] != row[i].pbx || c[2] != row[i].trunk)
            print_error("%s: %d %d %d\n", row[i].dialled, (int)c[0], (int)c[1], (int)c[2]);
        assert_int_equal(c[0], row[i].users);
        assert_int_equal(c[1], row[i].pbx);
        assert_int_equal(c[2], row[i].trunk);
        assert_int_equal(class_of(&both, row[i].dialled), row[i].trunk); /* it may leave */
    }
}

static void where_lines_have_a_prefix(void **state)
{
    struct policy_route pbx = route(ROUTE_PEERS, 1u << PBX);
    (void)state;
    p.sites[0].outside = fixture_text(&p, "9");
    assert_int_equal(class_of(&pbx, "12345678"), CLASS_INTERNAL); /* whatever its length */
    assert_int_equal(class_of(&pbx, "9030123456"), CLASS_LOCAL);
    assert_int_equal(class_of(&pbx, "91234567"), CLASS_LOCAL);
    assert_int_equal(class_of(&pbx, "90012025550123"), CLASS_INTERNATIONAL);
}

/* Nobody knows how calls leave: what all the world writes before another country does. */
static void without_a_site(void **state)
{
    struct policy_route pbx = route(ROUTE_PEERS, 1u << PBX);
    (void)state;
    p.sites[0] = (struct rights_site){0};
    assert_int_equal(class_of(&pbx, "123456789"), CLASS_INTERNAL);
    assert_int_equal(class_of(&pbx, "0012025550123"), CLASS_INTERNATIONAL);
    assert_int_equal(class_of(&pbx, "+12025550123"), CLASS_INTERNATIONAL);
}

/* A rule may not make a dear number of a cheap one. */
static void what_a_rule_makes_of_it(void **state)
{
    struct policy_route r = route(ROUTE_PEERS, 1u << TRUNK);
    (void)state;
    r.strip = 1;
    r.prefix = fixture_text(&p, "00");
    struct number n = called_number(&p, d, &p.sites[0], &r, STR("712025550123"));
    assert_int_equal(n.kind, CLASS_INTERNATIONAL);
    assert_true(str_eq(str_of(n.e164, n.n), STR("+12025550123")));
    r.prefix = fixture_text(&p, "0900");
    assert_int_equal(class_of(&r, "71234567"), CLASS_PREMIUM);
    /* A cheaper one is not believed: the plan's word stands. */
    r.strip = 4;
    r.prefix = fixture_text(&p, "030");
    assert_int_equal(class_of(&r, "09001234567"), CLASS_PREMIUM);
    /* What the plan does not know is what leaves. */
    r.strip = 1;
    r.prefix = fixture_text(&p, "+49171");
    assert_int_equal(class_of(&r, "#1234567"), CLASS_MOBILE);
    r.strip = 0;
    r.prefix.len = 0;
    assert_int_equal(class_of(&r, "#1234567"), CLASS_UNKNOWN);
}

static void numbers_to_users(void **state)
{
    static const struct {
        uint8_t peer;
        const char *site, *dialled, *owner;
    } row[] = {
        {PBX, "", "+4930111", "alice@example.com"},
        {PBX, "", "030111", "alice@example.com"},
        {PBX, "", "004930111", "alice@example.com"},
        {PBX, "", "111", "alice@example.com"}, /* local, where that peer is */
        {PBX, "vienna", "111", ""},
        {PBX, "vienna", "004930111", "alice@example.com"},
        {PBX, "vienna", "030111", ""},
        {PBX, "vienna", "014000", "42@example.com"},
        {PBX, "no-such-site", "030111", "alice@example.com"}, /* the first */
        {POLICY_NONE, "", "030111", "alice@example.com"},
        {PBX, "", "+4940111", "alice@example.com"},   /* her second */
        {PBX, "", "+49 40-111", "alice@example.com"}, /* what is written for the eye */
        {PBX, "", "+493011", ""},
        {PBX, "", "+49301111", ""},
        {PBX, "", "+4314000", "42@example.com"},
        {PBX, "", "alice", ""},
        {PBX, "", "42", ""}, /* a name, not his number */
        {PBX, "", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        if (row[i].peer == PBX)
            p.peers[PBX].site = fixture_text(&p, row[i].site);
        struct str who = called_owner(&p, d, row[i].peer, str_c(row[i].dialled));
        if (!str_eq(who, str_c(row[i].owner)))
            print_error("%s at \"%s\"\n", row[i].dialled, row[i].site);
        assert_true(str_eq(who, str_c(row[i].owner)));
    }
    assert_int_equal(called_owner(&p, NULL, PBX, STR("030111")).n, 0);
}

static bool private(const char *privacy, const char *from)
{
    char text[512];
    struct sip_msg m;
    struct sip_error bad;
    (void)snprintf(text, sizeof text,
                   "INVITE sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP a.invalid;branch=z9hG4bKx\r\nFrom: "
                   "%s;tag=a\r\nTo: <sip:c@d>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\nMax-Forwards: "
                   "70\r\n%s%s%sContent-Length: 0\r\n\r\n",
                   from, *privacy ? "Privacy: " : "", privacy, *privacy ? "\r\n" : "");
    assert_ok(sip_parse(str_c(text), true, &m, &bad));
    return called_private(&m);
}

static void who_stays_unknown(void **state)
{
    (void)state;
    assert_false(private("", "<sip:alice@example.com>"));
    assert_false(private("none", "<sip:alice@example.com>"));
    assert_false(private("NONE", "<sip:alice@example.com>"));
    assert_true(private("id", "<sip:alice@example.com>"));
    assert_true(private("header;user", "<sip:alice@example.com>"));
    assert_true(private("", "\"Anonymous\" <sip:anonymous@anonymous.invalid>"));
    assert_true(private("none", "<sip:anonymous@anonymous.invalid>"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, called_setup, called_teardown)
    const struct CMUnitTest tests[] = {
        T(by_the_way_it_takes),     T(where_lines_have_a_prefix), T(without_a_site),
        T(what_a_rule_makes_of_it), T(numbers_to_users),          T(who_stays_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
