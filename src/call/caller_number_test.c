/* The number that callees outside see: one that the caller owns or was granted, or none at all. */
#include "call/core_fixture.h"

struct
try {
    struct call k;
    struct leg a, b;
    struct sip_msg m;
    char kept[1024], text[2048];
};
static struct try t;
static struct directory *owners;

static int setup_numbers(void **state)
{
    static uint8_t mem[16384] __attribute__((aligned(64)));
    (void)setup(state);
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    p->peers[0].trunk = 1;
    p->n_sites = 1;
    p->sites[0] = (struct rights_site){.country = 'D' << 8 | 'E',
                                       .area = test_text(p, "30"),
                                       .international = test_text(p, "00"),
                                       .national = test_text(p, "0")};
    memset(mem, 0, sizeof mem);
    owners = (struct directory *)(void *)mem;
    directory_begin_of(owners, &(struct directory_room){.users = 4, .text = 1024, .numbers = 8});
    assert_ok(
        directory_put(owners, &(struct directory_entry){.aor = STR("alice@example.com"),
                                                        .role = STR("user"),
                                                        .numbers = STR("+4930100 +4930101")}));
    assert_ok(directory_put(owners, &(struct directory_entry){.aor = STR("bob@example.com"),
                                                              .role = STR("user"),
                                                              .numbers = STR("+4930200")}));
    assert_ok(directory_put(
        owners, &(struct directory_entry){.aor = STR("carol@example.com"), .role = STR("user")}));
    core_directory(x->g.core[0], owners);
    return 0;
}

/* A call of that user (NULL: of the peer) to the trunk; more: header fields of the INVITE. */
static void call_of(struct fixture *x, const char *user, const char *from, const char *more)
{
    struct sip_error e;
    memset(&t, 0, sizeof t);
    arena_init_fixed(&t.k.text, t.kept, sizeof t.kept);
    t.k.core = x->g.core[0];
    t.k.a = &t.a;
    t.k.forks = &t.b;
    t.a.call = t.b.call = &t.k;
    t.a.peer = user ? POLICY_NONE : 0;
    if (user)
        t.k.user = str_c(user);
    (void)snprintf(t.text, sizeof t.text,
                   "INVITE sip:030999@example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
                   "203.0.113.5;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:%s>;tag=1\r\n"
                   "To: <sip:030999@example.com>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\nContact: "
                   "<sip:a@203.0.113.5>\r\n%sContent-Length: 0\r\n\r\n",
                   from, more);
    assert_ok(sip_parse(str_c(t.text), false, &t.m, &e));
}

static uint64_t refusals(const struct fixture *x)
{
    return x->g.counters[0].n[REASON_right_caller];
}

#define PPI(n) "P-Preferred-Identity: <sip:" n "@example.com>\r\n"
static void users(void **state)
{
    static const struct {
        const char *user, *more, *shown;
        bool replaced; /* and told in the record */
    } row[] = {
        {"alice@example.com", "", "+4930100", false},
        {"alice@example.com", PPI("alice"), "+4930100", false},
        {"alice@example.com", PPI("+4930101"), "+4930101", false},
        {"alice@example.com", PPI("030101"), "+4930101", false}, /* as her site writes it */
        {"alice@example.com", PPI("004930101"), "+4930101", false},
        {"alice@example.com", PPI("+4930200"), "+4930100", true}, /* bob's */
        {"alice@example.com", PPI("+4930102"), "+4930100", true}, /* nobody's */
        {"alice@example.com", PPI("+431580580"), "+4930100", true},
        {"alice@example.com", PPI("110"), "+4930100", true},
        {"alice@example.com", PPI("bob"), "+4930100", true},
        {"bob@example.com", "", "+4930200", false},
        {"carol@example.com", "", "", false}, /* she has none */
    };
    struct fixture *x = *state;
    struct str shown;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint64_t before = refusals(x);
        call_of(x, row[i].user, row[i].user, row[i].more);
        enum reason why = caller_shown(&t.b, &t.m, &shown);
        if (why != REASON_NONE || !str_eq(shown, str_c(row[i].shown)) ||
            (t.k.shown.n > 0) != row[i].replaced ||
            refusals(x) - before != (row[i].replaced ? 1u : 0u))
            fail_msg("row %zu: %.*s", i, STR_ARG(shown));
    }
}

/* Nothing to show instead, or a role that does not allow it: the call does not go. */
static void refused(void **state)
{
    struct fixture *x = *state;
    struct str shown;
    call_of(x, "carol@example.com", "carol@example.com", PPI("+4930100"));
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_right_caller);
    assert_int_equal(shown.n, 0);
    call_of(x, "nobody@example.com", "nobody@example.com", PPI("+4930100"));
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_right_caller);
    x->g.policy.roles[0].strict_caller = true;
    call_of(x, "alice@example.com", "alice@example.com", PPI("+4930200"));
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_right_caller);
    call_of(x, "alice@example.com", "alice@example.com", PPI("+4930101"));
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
    assert_int_equal(refusals(x), 3);
    /* a call for help is not held up by it */
    call_of(x, "carol@example.com", "carol@example.com", PPI("+4930100"));
    t.k.emergency = true;
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
}

static void not_to_a_trunk(void **state)
{
    struct fixture *x = *state;
    struct str shown = STR("x");
    call_of(x, "alice@example.com", "alice@example.com", PPI("+4930200"));
    t.b.peer = POLICY_NONE;
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
    assert_int_equal(shown.n, 0);
    t.b.peer = 0;
    x->g.policy.peers[0].trunk = 0;
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
    assert_int_equal(shown.n, 0);
    assert_int_equal(refusals(x), 0);
}

/* A PBX shows what it was granted; where nothing is named it is believed. */
static void peers(void **state)
{
    struct fixture *x = *state;
    struct policy_peer *p = &x->g.policy.peers[0];
    struct str shown;
    call_of(x, NULL, "+4930555@198.51.100.10", "");
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
    assert_int_equal(shown.n, 0);
    p->n_callers = 2;
    p->callers[0] = test_text(&x->g.policy, "+49305XX");
    p->callers[1] = test_text(&x->g.policy, "+4930500");
    call_of(x, NULL, "+4930555@198.51.100.10", "");
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
    assert_str(shown, "+4930555");
    call_of(x, NULL, "030555@198.51.100.10", "");
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
    assert_str(shown, "+4930555");
    call_of(x, NULL, "anonymous@anonymous.invalid", /* what it asserts goes before From */
            "P-Asserted-Identity: <sip:+4930556@198.51.100.10>\r\n");
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
    assert_str(shown, "+4930556");
    assert_int_equal(t.k.shown.n, 0);
    assert_int_equal(refusals(x), 0);
    static const char *const foreign[] = {"+49305555@198.51.100.10", "+4930655@198.51.100.10",
                                          "+431580580@198.51.100.10", "bob@198.51.100.10"};
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        call_of(x, NULL, foreign[i], "");
        assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_NONE);
        assert_str(shown, "+4930500"); /* the one number that is whole */
        assert_str(t.k.shown, "+4930500");
        assert_int_equal(refusals(x), i + 1);
    }
    p->n_callers = 1; /* a pattern is no number to show instead */
    call_of(x, NULL, foreign[1], "");
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_right_caller);
}

static void no_memory(void **state)
{
    struct fixture *x = *state;
    struct str shown;
    call_of(x, "alice@example.com", "alice@example.com", "");
    arena_init_fixed(&t.k.text, t.kept, 0);
    assert_int_equal(caller_shown(&t.b, &t.m, &shown), REASON_capacity_memory);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_numbers, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(users), T(refused), T(not_to_a_trunk), T(peers),
                                       T(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
