/* Identity of a peer's calls, row by row: who signed what for which call, and what comes of it. */
#include "call/gate_stir_test.h"

/* Refused by the code of the reason; or let in and marked, if the policy says so. */
static void fails(enum reason why)
{
    bool *refuse = why == REASON_stir_no_identity ? &p.stir.refuse_none : &p.stir.refuse_failed;
    for (unsigned strict = 0; strict < 2; strict++) {
        *refuse = strict;
        struct verdict v = gate_stir(&e, &r, &q);
        assert_int_equal(r.verstat, why);
        assert_int_equal(r.attest, 0);
        assert_int_equal(v.kind, strict ? VERDICT_REFUSE : VERDICT_PASS);
        assert_int_equal(v.reason, strict ? why : REASON_NONE);
        assert_int_equal(v.code, strict ? reason_info(why)->code : 0);
    }
}

static void passes(char attest)
{
    struct verdict v = gate_stir(&e, &r, &q);
    assert_int_equal(r.verstat, REASON_NONE);
    assert_int_equal(r.attest, attest);
    assert_int_equal(v.kind, VERDICT_PASS);
}

static void expect(bool good, enum reason why)
{
    if (good)
        passes('A');
    else
        fails(why);
}

static void bad(const char *more, enum reason why)
{
    brings(more);
    fails(why);
}

static void who_is_verified(void **state)
{
    (void)state;
    bad("", REASON_stir_no_identity);
    assert_int_equal(reason_info(REASON_stir_no_identity)->code, 428);
    for (unsigned i = 0; i < 3; i++) {
        p.peers[0].verify = i != 0;
        p.stir.verify = i != 1;
        brings("");
        r.peer = i == 2 ? POLICY_NONE : 0;
        assert_int_equal(gate_stir(&e, &r, &q).kind, VERDICT_PASS);
        assert_int_equal(r.verstat, REASON_COUNT); /* not looked at */
        assert_int_equal(r.attest, 'x');
    }
}

static void what_is_attested(void **state)
{
    (void)state;
    struct passport t = shaken();
    for (char a = 'A'; a <= 'C'; a++) {
        t.attest = a;
        brings(signed_by(key, &t));
        passes(a);
    }
    t = base(); /* says no more than that the number is the caller's */
    brings(signed_by(key, &t));
    passes('A');
}

static void signed_by_whom_and_whole(void **state)
{
    (void)state;
    const struct passport t = shaken();
    bad(signed_by(other, &t), REASON_stir_invalid);
    assert_int_equal(reason_info(REASON_stir_invalid)->code, 438);
    (void)good();
    for (unsigned part = 0; part < 3; part++) { /* another character in each */
        char *c = value + strlen("Identity: ");
        for (unsigned i = 0; i < part; i++)
            c = strchr(c, '.') + 1;
        c[8] = c[8] == 'A' ? 'B' : 'A';
        bad(value, REASON_stir_invalid);
        (void)good();
    }
    char *end = strstr(value, ";info");
    memmove(end - 4, end, strlen(end) + 1); /* a signature of 61 bytes */
    bad(value, REASON_stir_invalid);
    row.key[40] ^= 1; /* and a key that is none */
    place(row);
    bad(good(), REASON_stir_invalid);
}

static void the_first_that_says_who_calls(void **state)
{
    (void)state;
    static const char others[] = "Identity: aGVhZA.Y2xhaW1z.c2ln;info=<" URL ">;ppt=div\r\n"
                                 "Identity: aGVhZA.Y2xhaW1z.c2ln;info=<" URL ">;ppt=\"rph\"\r\n",
                      broken[] = "Identity: what\r\n";
    char more[16384];
    (void)snprintf(more, sizeof more, "%s%s%s", others, broken, good());
    brings(more);
    passes('A');
    bad(others, REASON_stir_invalid); /* of which none says who */
    bad(broken, REASON_stir_invalid);
    (void)snprintf(more, sizeof more, "%.*s, %s", (int)strlen(good()) - 2, value,
                   "aGVhZA.Y2xhaW1z.c2ln;info=<" URL ">;ppt=shaken\r\n");
    brings(more);
    passes('A');
    const struct passport t = shaken();
    (void)snprintf(more, sizeof more, "%s", signed_by(other, &t));
    (void)snprintf(more + strlen(more), sizeof more - strlen(more), "%s", good());
    bad(more, REASON_stir_invalid); /* one that is good behind it does not count */
}

/* Cut anywhere: it verifies only if all that was signed is still there. */
static void cut_anywhere(void **state)
{
    (void)state;
    char whole[4096], more[4096];
    (void)snprintf(whole, sizeof whole, "%s", good());
    size_t n = strlen(whole) - 2, enough = (size_t)(strstr(whole, "pem>") - whole) + 4;
    for (size_t i = strlen("Identity: "); i <= n; i++) {
        (void)snprintf(more, sizeof more, "%.*s\r\n", (int)i, whole);
        brings(more);
        struct verdict v = gate_stir(&e, &r, &q);
        if (v.kind == VERDICT_PASS)
            assert_true(i >= enough && r.attest == 'A');
        else
            assert_true(v.kind == VERDICT_REFUSE && r.attest == 0 &&
                        (i < n || v.reason == REASON_stir_invalid));
    }
    assert_int_equal(r.attest, 'A'); /* the last was whole */
}

static void who_calls(void **state)
{
    (void)state;
#define PAI(uri) "P-Asserted-Identity: <" uri ">\r\n"
#define ANON     "sip:anonymous@anonymous.invalid"
    static const struct {
        const char *from, *more;
        bool trusted, ok;
    } x[] = {
        {FROM, "", false, true},
        {"sip:4930123456@example.net", "", false, true}, /* without '+' */
        {"sip:030123456@example.net", "", false, true},  /* as it is dialled at the peer's site */
        {"tel:+49-30-123456", "", false, true},
        {"sip:+49-30-123456--------------------@example.net", "", false, false}, /* too long */
        {"sip:+49-30-123456-------------------@example.net", "", false, true},
        {"sip:+4930123457@example.net", "", false, false},
        {"sip:030123457@example.net", "", false, false},
        {"sip:bob@example.net", "", false, false},
        {"sip:bob@example.net", PAI(FROM), true, false}, /* which the callee would be shown */
        {ANON, "", true, false},
        {ANON, PAI(FROM), true, true},
        {ANON, PAI(FROM), false, false}, /* not believed */
        {ANON, PAI(FROM) PAI("tel:+4930123456"), true, true},
        {ANON, "P-Asserted-Identity: <" FROM ">, <tel:+4930123457>\r\n", true, false},
        {FROM, PAI("sip:030123456@example.net"), true, true},
        {FROM, PAI("sip:+4930123457@example.net"), true, false}, /* one for each audience */
        {"sip:+4930123457@example.net", PAI(FROM), true, false},
        {FROM, PAI("sip:+4930123457@example.net"), false, true}, /* nobody will see that */
        {FROM, PAI("sip:bob@example.net"), true, false},
        {FROM, PAI(ANON), true, false},
        {FROM, PAI("sip:+4930123456@anonymous.invalid"), true, false},
        {FROM, "P-Asserted-Identity: <" FROM "\r\n", true, false},
        {FROM, "P-Asserted-Identity: <" FROM "\r\n", false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(x); i++) {
        char more[4096];
        p.peers[0].trust_identity = x[i].trusted;
        (void)snprintf(more, sizeof more, "%s%s", x[i].more, good());
        call(CALLS, x[i].from, CALLS, more);
        expect(x[i].ok, REASON_stir_invalid);
    }
}

static void whom(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *to;
        bool ok;
    } x[] = {{CALLS, CALLS, true},
             {"sip:4989654321@example.com", "sip:bob@example.com", true},
             {"sip:089654321@example.com", "sip:bob@example.com", true},
             {"tel:+49-89-654321", "sip:bob@example.com", true},
             {"sip:bob@example.com", CALLS, true}, /* no number there */
             {"sip:bob@example.com", "sip:089654321@example.com", true},
             {"sip:bob@example.com", "sip:bob@example.com", false},
             {"sip:+4989654322@example.com", CALLS, false}, /* a token for another callee */
             {CALLS, "sip:+4989654322@example.com", true},
             {"urn:service:sos", CALLS, false}};
    struct passport t = shaken();
    for (size_t i = 0; i < ARRAY_LEN(x); i++) {
        call(x[i].uri, FROM, x[i].to, good());
        expect(x[i].ok, REASON_stir_invalid);
    }
    t.n_tn = 3; /* any of those that it names, each in its own form */
    t.dest_tn[0] = STR("4989000000");
    t.dest_tn[1] = STR("4989000001");
    t.dest_tn[2] = STR("089654321");
    bad(signed_by(key, &t), REASON_stir_invalid);
    call("sip:089654321@example.com", FROM, CALLS, value);
    passes('A');
    t.dest_tn[1] = STR(TO_TN);
    call("sip:089654321@example.com", FROM, CALLS, signed_by(key, &t));
    passes('A');
    t.n_tn = 0; /* a URI is no number */
    t.n_uri = 1;
    t.dest_uri[0] = STR(CALLS);
    bad(signed_by(key, &t), REASON_stir_invalid);
}

/* A site that is nowhere makes no numbers of digits: they are compared as they stand. */
static void digits_without_a_plan(void **state)
{
    (void)state;
    struct passport t = shaken();
    p.sites[0].country = 0;
    t.orig_tn = STR("200");
    t.dest_tn[0] = STR("100");
    call("sip:100@example.com", "sip:200@example.net", CALLS, signed_by(key, &t));
    passes('A');
    call("sip:101@example.com", "sip:200@example.net", CALLS, value);
    fails(REASON_stir_invalid);
    call("sip:100@example.com", "sip:+200@example.net", CALLS, value);
    passes('A');
    call("sip:100@example.com", "sip:2000@example.net", CALLS, value);
    fails(REASON_stir_invalid);
    t = base(); /* and the compact form is made of them */
    t.orig_tn = STR("200");
    t.dest_tn[0] = STR("100");
    char more[4096];
    (void)snprintf(more, sizeof more, "%s%s", DATE, compact(key, &t));
    call("sip:100@example.com", "sip:200@example.net", CALLS, more);
    passes('A');
}

static void how_fresh(void **state)
{
    (void)state;
    static const struct {
        int64_t after_s;
        bool ok;
    } x[] = {{60, true}, {61, false}, {-60, true}, {-61, false}, {0, true}};
    const struct passport t = base();
    for (unsigned small = 0; small < 2; small++) {
        char more[4096];
        (void)snprintf(more, sizeof more, "%s%s", DATE, small ? compact(key, &t) : good());
        for (size_t i = 0; i < ARRAY_LEN(x); i++) {
            brings(more);
            r.now.wall.us += x[i].after_s * 1000000;
            row.fetched.us = r.now.wall.us;
            place(row);
            expect(x[i].ok, REASON_stir_stale);
        }
    }
    assert_int_equal(reason_info(REASON_stir_stale)->code, 403);
}

static void compact_form(void **state)
{
    (void)state;
    struct passport t = base();
    char more[4096];
#define SMALL(date) (void)snprintf(more, sizeof more, "%s%s", date, compact(key, &t))
    SMALL(DATE);
    brings(more);
    passes('A');
    call("sip:089654321@example.com", "sip:030123456@example.net", CALLS, more); /* same people */
    passes('A');
    call(CALLS, "sip:+4930123457@example.net", CALLS, more);
    fails(REASON_stir_invalid);
    call("sip:+4989654322@example.com", FROM, CALLS, more);
    fails(REASON_stir_invalid);
    SMALL(""); /* nobody knows when */
    bad(more, REASON_stir_invalid);
    SMALL("Date: Tue, 14 Nov 2023 25:13:20 GMT\r\n"); /* no hour of a day */
    bad(more, REASON_stir_invalid);
    SMALL("Date: Tue, 14 Nov 2023 22:13:21 GMT\r\n"); /* not what was signed */
    bad(more, REASON_stir_invalid);
    SMALL(DATE); /* an attestation cannot be made of the request */
    (void)snprintf(strstr(more, ";alg="), 32, ";ppt=shaken\r\n");
    bad(more, REASON_stir_invalid);
    t.x5u = STR("https://certs.example.net/b.pem"); /* signed for another certificate */
    SMALL(DATE);
    memcpy(strstr(more, "b.pem"), "a", 1);
    bad(more, REASON_stir_invalid);
}

static void where_the_certificate_lies(void **state)
{
    (void)state;
    struct passport t = shaken();
    (void)signed_by(key, &t);
    char *info = strstr(value, "<" URL) + strlen("<https://certs.example.net/");
    *info = 'b'; /* not the one inside */
    bad(value, REASON_stir_invalid);
    static const char *const elsewhere[] = {"https://certs.example.com/a.pem",
                                            "http://certs.example.net/",
                                            "https://certs.example.net:8080/a.pem"};
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        t.x5u = str_c(elsewhere[i]);
        brings(signed_by(key, &t));
        memset(&q, 0, sizeof q);
        fails(REASON_stir_bad_info);
        assert_int_equal(q.kind, 0); /* nobody is sent there */
    }
    assert_int_equal(reason_info(REASON_stir_bad_info)->code, 436);
    t.iat = 0; /* what the call says itself comes first */
    bad(signed_by(key, &t), REASON_stir_stale);
}

static void numbers_of_the_certificate(void **state)
{
    (void)state;
    brings(good());
    row.has_spc = false;
    row.n_ranges = 1;
    row.range[0] = (struct certs_range){4930123456, 1, 10};
    place(row);
    passes('A');
    row.range[0].first++;
    place(row);
    fails(REASON_stir_credential);
    assert_int_equal(reason_info(REASON_stir_credential)->code, 437);
    row.range[0] = (struct certs_range){4989654321, 1, 10}; /* the callee's helps nobody */
    place(row);
    fails(REASON_stir_credential);
    row = row_of(key);
    row.why = REASON_stir_credential; /* it was judged, and found bad */
    place(row);
    fails(REASON_stir_credential);
    row.why = REASON_stir_bad_info;
    place(row);
    fails(REASON_stir_bad_info);
}

/* --- certificates that are not there --- */

static void waits(bool for_it)
{
    memset(&q, 0x5a, sizeof q);
    q.n = 0;
    struct verdict v = gate_stir(&e, &r, &q);
    assert_int_equal(v.kind, for_it ? VERDICT_WAIT : VERDICT_REFUSE);
    assert_int_equal(v.reason, for_it ? REASON_NONE : REASON_stir_bad_info);
    assert_int_equal(r.attest, 0);
    if (!for_it)
        return;
    assert_int_equal(q.kind, ASK_CERT);
    assert_str(span_str(str_of(q.text, q.n), q.user), URL);
    assert_int_equal(q.n, strlen(URL));
    assert_int_equal(q.id | q.alg | q.key | q.sign, 0);
    assert_ok(ask_valid(&q, ask_size(&q)));
}

static void asked_for(void **state)
{
    (void)state;
    brings(good());
    certs_forget(board);
    waits(true);
    place(row);
    r.now.wall = row.until; /* too old */
    const struct passport late = {
        .x5u = STR(URL), .orig_tn = STR(BOBS), .n_tn = 1, .dest_tn = {STR(TO_TN)}, .iat = T0 + 600};
    brings(signed_by(key, &late));
    r.now.wall = row.until;
    waits(true);
    brings(good());
    row.n_ranges = CERTS_RANGES + 1; /* what breaks its contract is not asked for again */
    place(row);
    waits(false);
    certs_forget(board);
    e.certs = NULL; /* nobody brings any */
    waits(false);
    e.certs = board;
    assert_int_equal(gate_stir(&e, &r, NULL).reason, REASON_stir_bad_info); /* nor can be asked */
}

static void of_an_older_policy(void **state)
{
    (void)state;
    static const struct {
        uint32_t of, policy;
        bool old;
    } x[] = {{7, 7, false},          {8, 7, false},          {6, 7, true},
             {0, 7, true},           {UINT32_MAX, 0, true},  {0, UINT32_MAX, false},
             {UINT32_MAX, 5, true},  {5, UINT32_MAX, false}, {0x80000007, 7, true},
             {0x80000006, 7, false}, {7, 0x80000006, true}};
    brings(good());
    for (size_t i = 0; i < ARRAY_LEN(x); i++) {
        row.generation = x[i].of;
        p.generation = x[i].policy;
        place(row);
        if (x[i].old)
            waits(true);
        else
            passes('A');
    }
    row.generation = p.generation - 1; /* its refusal holds no more either */
    row.why = REASON_stir_credential;
    place(row);
    waits(true);
}

/* After the fetch program has answered: what is on the board counts, and nobody is asked twice. */
static void answered(void **state)
{
    (void)state;
    static const struct {
        enum reason said, why;
    } x[] = {{REASON_NONE, REASON_stir_bad_info},
             {REASON_stir_bad_info, REASON_stir_bad_info},
             {REASON_auth_unavailable, REASON_stir_bad_info},
             {REASON_stir_credential, REASON_stir_credential}};
    for (size_t i = 0; i < ARRAY_LEN(x); i++) {
        struct answer a = {.kind = ASK_CERT, .reason = (uint16_t)x[i].said};
        for (unsigned strict = 0; strict < 2; strict++) {
            brings(good());
            p.stir.refuse_failed = strict;
            place(row);
            assert_int_equal(gate_stir_answer(&e, &r, &a).kind, VERDICT_PASS);
            assert_int_equal(r.verstat, REASON_NONE);
            assert_int_equal(r.attest, 'A');
            certs_forget(board);
            struct verdict v = gate_stir_answer(&e, &r, &a);
            assert_int_equal(v.kind, strict ? VERDICT_REFUSE : VERDICT_PASS);
            assert_int_equal(v.reason, strict ? x[i].why : REASON_NONE);
            assert_int_equal(r.verstat, x[i].why);
            assert_int_equal(r.attest, 0);
        }
        struct certs_row old = row; /* of an older policy: as if it were not there */
        old.generation--;
        place(old);
        struct verdict v = gate_identity_answer(&e, &r, &a); /* by the way that it comes */
        assert_int_equal(v.kind, VERDICT_REFUSE);
        assert_int_equal(v.reason, x[i].why);
        place(row);
        assert_int_equal(gate_identity_answer(&e, &r, &a).kind, VERDICT_PASS);
        r.now.wall.us += 61 * 1000000; /* it took too long */
        assert_int_equal(gate_identity_answer(&e, &r, &a).reason, REASON_stir_stale);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(who_is_verified),
                                       T(what_is_attested),
                                       T(signed_by_whom_and_whole),
                                       T(the_first_that_says_who_calls),
                                       T(cut_anywhere),
                                       T(who_calls),
                                       T(whom),
                                       T(digits_without_a_plan),
                                       T(how_fresh),
                                       T(compact_form),
                                       T(where_the_certificate_lies),
                                       T(numbers_of_the_certificate),
                                       T(asked_for),
                                       T(of_an_older_policy),
                                       T(answered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
