/* Which number callees outside see: one that the caller owns or was granted, or the call does not
 * leave. By whole calls: what counts is in the INVITE that the trunk gets. */
#include "call/trunks_test.h"
#include <stdlib.h>

#define LOCAL   "sip:030123456@example.com"
#define GRANTER "198.51.100.60:5060" /* a PBX */

static struct directory *people;

static void person(const char *aor, const char *role, const char *numbers)
{
    const struct directory_entry e = {
        .aor = str_c(aor), .role = str_c(role), .numbers = str_c(numbers)};
    assert_ok(directory_put(people, &e));
}

static int caller_setup(void **state)
{
    (void)setup(state);
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    const struct directory_room room = {.users = 4, .numbers = 4, .text = 256};
    trunks(p, 1);
    p->roles[p->n_roles] = p->roles[0];
    p->roles[p->n_roles].strict_caller = true;
    p->roles[p->n_roles++].name = test_text(p, "strict");
    struct policy_peer *x2 = &p->peers[p->n_peers++];
    *x2 = p->peers[0];
    x2->name = test_text(p, "granter");
    x2->targets[0] = test_addr(GRANTER);
    x2->trunk = 0;
    people = calloc(1, directory_bytes_of(&room));
    directory_begin_of(people, &room);
    person("bob@example.com", "user", "");
    person("carol@example.com", "user", "+4930999");
    return 0;
}

static int caller_teardown(void **state)
{
    free(people);
    return teardown(state);
}

static void alice_is(struct fixture *x, const char *role, const char *numbers)
{
    person("alice@example.com", role, numbers);
    core_directory(x->g.core[0], people);
}

static uint64_t told(const struct fixture *x)
{
    return x->g.counters[0].n[REASON_right_caller];
}

/* From user part of the INVITE at the trunk; empty: none came. */
static const char *shown(struct fixture *x)
{
    static char user[128];
    const char *inv = sent(x, PBX, "INVITE ");
    user[0] = 0;
    if (inv)
        (void)sscanf(strstr(inv, "\r\nFrom: "), "\r\nFrom: %*[^<]<sip:%127[^@]", user);
    if (inv && !user[0])
        (void)sscanf(strstr(inv, "\r\nFrom: "), "\r\nFrom: <sip:%127[^@]", user);
    if (inv) {
        char copy[4096];
        (void)snprintf(copy, sizeof copy, "%s", inv);
        answer_from(x, PBX, copy, 486, "");
    }
    return user;
}

static const char *prefers(const char *number)
{
    static char line[128];
    (void)snprintf(line, sizeof line, "P-Preferred-Identity: <sip:%s@example.com>\r\n", number);
    return line;
}

static const char *calls(struct fixture *x, const char *more)
{
    static int turn;
    char id[16];
    (void)snprintf(id, sizeof id, "v%d", ++turn);
    dial_more(x, id, LOCAL, more);
    return shown(x);
}

static void ones_own(void **state)
{
    static const struct {
        const char *wants, *shown;
        unsigned told;
    } row[] = {
        {"", "+4930111", 0},
        {"+4930111", "+4930111", 0},
        {"+4930112", "+4930112", 0},
        {"030112", "+4930112", 0} /* as the site writes it */,
        {"004930112", "+4930112", 0},
        {"alice", "+4930111", 0} /* himself */,
        {"+4930999", "+4930111", 1} /* carol's */,
        {"+4930113", "+4930111", 1} /* nobody's */,
        {"+49301", "+4930111", 1},
        {"+493011", "+4930111", 1},
        {"carol", "+4930111", 1},
        {"0", "+4930111", 1},
    };
    struct fixture *x = *state;
    alice_is(x, "user", "+4930111 +4930112");
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint64_t before = told(x);
        assert_string_equal(calls(x, *row[i].wants ? prefers(row[i].wants) : ""), row[i].shown);
        assert_int_equal(told(x) - before, row[i].told);
    }
    /* An assertion is a peer's to make: of a user it is nothing. */
    assert_string_equal(calls(x, "P-Asserted-Identity: <sip:+4930999@example.com>\r\n"),
                        "+4930111");
    nothing_left(x);
}

static void strict_ones_are_refused(void **state)
{
    struct fixture *x = *state;
    alice_is(x, "strict", "+4930111 +4930112");
    assert_string_equal(calls(x, ""), "+4930111");
    assert_string_equal(calls(x, prefers("+4930112")), "+4930112");
    assert_int_equal(told(x), 0);
    assert_string_equal(calls(x, prefers("+4930999")), "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_true(told(x) > 0);
    nothing_left(x);
}

static void who_has_no_number(void **state)
{
    struct fixture *x = *state;
    alice_is(x, "user", "");
    assert_string_equal(calls(x, ""), "alice"); /* no number at all */
    assert_string_equal(calls(x, prefers("alice")), "alice");
    assert_int_equal(told(x), 0);
    assert_string_equal(calls(x, prefers("+4930999")), "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    /* To a PBX of our own anything may be said. */
    x->g.policy.peers[0].trunk = 0;
    assert_string_equal(calls(x, prefers("+4930999")), "alice");
    nothing_left(x);
}

static void a_call_for_help_leaves(void **state)
{
    struct fixture *x = *state;
    alice_is(x, "strict", "+4930111");
    dial_more(x, "help1", "sip:112@example.com", prefers("+4930999"));
    assert_true(*shown(x));
    dial_more(x, "help2", "sip:112@example.com", prefers("+4930111"));
    assert_string_equal(shown(x), "+4930111");
    nothing_left(x);
}

/* --- a PBX --- */

static const char *pbx_calls(struct fixture *x, const char *from, const char *asserts)
{
    static int turn;
    struct flow f = flow_of(GRANTER, LISTEN_IN_UDP);
    char id[16], who[128], more[256] = "Contact: <sip:p@198.51.100.60:5060>\r\n";
    (void)snprintf(id, sizeof id, "g%d", ++turn);
    (void)snprintf(who, sizeof who, "<sip:%s@198.51.100.60>;tag=g", from);
    if (*asserts)
        (void)snprintf(more, sizeof more,
                       "Contact: <sip:p@198.51.100.60:5060>\r\nP-Asserted-Identity: "
                       "<sip:%s@198.51.100.60>\r\n",
                       asserts);
    message(x, &f,
            request("INVITE", "sip:030123456@" TEST_INSIDE, who, "<sip:030123456@" TEST_INSIDE ">",
                    id, 1, more, SDP_P));
    return shown(x);
}

static void grant(struct fixture *x, const char *pattern)
{
    struct policy_peer *p = &x->g.policy.peers[1];
    p->callers[p->n_callers++] = test_text(&x->g.policy, pattern);
}

static void what_a_pbx_was_granted(void **state)
{
    static const struct {
        const char *from, *asserts, *shown;
        unsigned told;
    } row[] = {
        {"+493077712", "", "+493077712", 0},
        {"03077712", "", "+493077712", 0},
        {"200", "+493077712", "+493077712", 0}, /* what it asserts counts for more */
        {"+493077712", "+4930999", "+493012345", 1},
        {"+4930777123", "", "+493012345", 1}, /* one digit more, one less */
        {"+49307771", "", "+493012345", 1},
        {"+4940", "", "+4940", 0},
        {"200", "", "+493012345", 1},
        {"anonymous", "", "anonymous", 1}, /* hidden it stays */
    };
    struct fixture *x = *state;
    alice_is(x, "user", "");
    assert_string_equal(pbx_calls(x, "+4930999", ""), "+4930999"); /* nothing named: believed */
    grant(x, "+4930777XX");
    grant(x, "+493012345");
    grant(x, "+494.");
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint64_t before = told(x);
        assert_string_equal(pbx_calls(x, row[i].from, row[i].asserts), row[i].shown);
        assert_int_equal(told(x) - before, row[i].told);
    }
    nothing_left(x);
}

static void patterns_alone_replace_nothing(void **state)
{
    struct fixture *x = *state;
    alice_is(x, "user", "");
    grant(x, "+4930777XX");
    assert_string_equal(pbx_calls(x, "+493077712", ""), "+493077712");
    assert_string_equal(pbx_calls(x, "+4930999", ""), "");
    assert_true(told(x) > 0);
    nothing_left(x);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, caller_setup, caller_teardown)
    const struct CMUnitTest tests[] = {
        T(ones_own),
        T(strict_ones_are_refused),
        T(who_has_no_number),
        T(a_call_for_help_leaves),
        T(what_a_pbx_was_granted),
        T(patterns_alone_replace_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
