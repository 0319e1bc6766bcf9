/* Codes that were given lately, and devices: what is remembered of them, told, and cut. */
#include "call/stepup_test.h"

/* --- what was proved lately --- */

static void free_of(struct fixture *x, const char *user, const char *agent, const char *uri)
{
    struct dial d = {.user = user, .agent = agent, .uri = uri, .sdp = SDP_CODE};
    dials(x, &d);
    assert_null(sent(x, ALICE, "SIP/2.0 200 "));
    goes_out(x);
}

static void bound_to(struct fixture *x, const char *user, const char *agent, const char *uri)
{
    struct dial d = {.user = user, .agent = agent, .uri = uri};
    asked(x, &d);
    within(x, &d, "BYE", 3);
    ended(x, REASON_call_cancelled);
}

static void proves_from(struct fixture *x, const char *agent, const char *uri)
{
    struct dial d = {.uri = uri, .agent = agent};
    asked(x, &d);
    types(x, &d, "864209", REASON_NONE);
    goes_out(x);
    ended(x, REASON_peer_refused);
}

static void proves(struct fixture *x, const char *uri)
{
    proves_from(x, "phone/1", uri);
}

static void remembered_by_device_and_kind(void **state)
{
    struct fixture *x = *state;
    x->g.policy.roles[0].rights.step_up |= 1u << CLASS_NATIONAL;
    proves(x, MOBILE);
    free_of(x, "alice", "phone/1", MOBILE);
    free_of(x, "alice", "phone/1", "sip:01601234567@example.com");
    bound_to(x, "alice", "phone/2", MOBILE);
    bound_to(x, "alice", "phone/1", "sip:089123456@example.com"); /* of the same country */
    bound_to(x, "alice", "phone/1", AUSTRIA);
    free_of(x, "alice", "phone/1", MOBILE); /* asking for others took nothing away */
    proves(x, AUSTRIA);
    free_of(x, "alice", "phone/1", AUSTRIA);
    bound_to(x, "alice", "phone/1", "sip:0041441234567@example.com"); /* of the same kind */
    proves_from(x, "phone/2", MOBILE);
    free_of(x, "alice", "phone/2", MOBILE);
    bound_to(x, "bob", "phone/2", MOBILE);
    nothing_left(x);
}

/* Places are shared by hash: what lies there has to be the very same. */
static void places_are_shared(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    unsigned used = 0;
    proves(x, MOBILE);
    for (size_t i = 0; i < STEPPED_MAX; i++) {
        used += c->stepped[i].key != 0;
        c->stepped[i].key ^= c->stepped[i].key ? UINT64_C(1) << 40 : 0;
    }
    assert_int_equal(used, 1);
    bound_to(x, "alice", "phone/1", MOBILE);
    /* and whatever it is, the service's number asks */
    uint64_t key = siphash(&c->cfg.hash_key, STR("alice@example.com 0 0")) | 1;
    c->stepped[(key >> 1) % STEPPED_MAX] =
        (struct stepped){key, place("phone/1"), x->g.now.mono.us, INT64_MAX};
    bound_to(x, "alice", "phone/1", SERVICE);
    nothing_left(x);
}

static void remembered_for_a_while(void **state)
{
    struct fixture *x = *state;
    proves(x, AUSTRIA);
    int64_t at = x->g.now.mono.us;
    x->g.now.mono.us = at + 599 * SECOND;
    free_of(x, "alice", "phone/1", AUSTRIA);
    x->g.now.mono.us = at + 600 * SECOND;
    bound_to(x, "alice", "phone/1", AUSTRIA);
    x->g.policy.step_up_s = 0; /* each call */
    proves(x, AUSTRIA);
    bound_to(x, "alice", "phone/1", AUSTRIA);
    nothing_left(x);
}

/* A country that she was not let call yet: the vault is to note it, and has ten seconds to tell. */
static void countries(void **state)
{
    static const uint16_t austria = 'A' << 8 | 'T';
    struct fixture *x = *state;
    struct rights_role *r = &x->g.policy.roles[0].rights;
    struct dial d = {.uri = AUSTRIA};
    struct ask q;
    r->step_up = 0;
    r->step_up_country = true;
    free_of(x, "alice", "phone/1", MOBILE);
    asked(x, &d);
    press(x, &d, "864209");
    code_is(x, &q, "alice@example.com", "864209");
    assert_int_equal(q.key, austria);
    says(x, &q, REASON_NONE);
    goes_out(x);
    int64_t at = x->g.now.mono.us;
    x->g.now.mono.us = at + 10 * SECOND - 1;
    free_of(x, "alice", "phone/1", AUSTRIA);
    x->g.now.mono.us = at + 10 * SECOND;
    bound_to(x, "alice", "phone/1", AUSTRIA); /* forgotten again, as it seems */
    core_directory(x->g.core[0], people(DEVICE_APPROVED, &austria));
    free_of(x, "alice", "phone/2", AUSTRIA);
    nothing_left(x);
}

/* --- devices --- */

static void approves_a_device(void **state)
{
    struct fixture *x = *state;
    struct dial d = {.uri = SERVICE, .agent = "phone/9", .sdp = SDP_CODE};
    char id[DEVICE_TEXT];
    struct ask q;
    device_text(place("phone/9"), id);
    dials(x, &d);
    assert_true(asks(x, ASK_DEVICE, &q)); /* told before it is asked to be approved */
    struct str t = str_of(q.text, q.n);
    assert_str(span_str(t, q.user), "alice@example.com");
    assert_str_eq(span_str(t, q.nonce), str_c(id));
    assert_str(span_str(t, q.realm), "phone/9");
    assert_int_equal(q.alg, DEVICE_BY_PLACE);
    answered(x, &d);
    hears(x, ASKED);
    press(x, &d, "864209");
    code_is(x, &q, "alice@example.com", "864209");
    assert_str_eq(span_str(str_of(q.text, q.n), q.nonce), str_c(id));
    assert_int_equal(q.key, 0);
    says(x, &q, REASON_NONE);
    hears(x, YES);
    assert_null(sent(x, PBX, "INVITE "));
    rings_off(x, REASON_NONE);
    d = (struct dial){.uri = SERVICE, .agent = "phone/9"}; /* nothing is remembered */
    asked(x, &d);
    assert_false(asks(x, ASK_DEVICE, &q)); /* and nothing told twice */
    types(x, &d, "864209", REASON_auth_otp);
    hears(x, AGAIN);
    within(x, &d, "BYE", 3);
    ended(x, REASON_call_cancelled);
    nothing_left(x);
}

/* A long User-Agent is cut; who is known, or is none, is not told. */
static void what_is_told_of_devices(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct sip_error e;
    struct ask q;
    char text[1024], agent[100];
    memset(agent, 'u', sizeof agent);
    agent[sizeof agent - 1] = 0;
    (void)snprintf(text, sizeof text,
                   "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.5;"
                   "branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: "
                   "<sip:a@example.com>\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\nUser-Agent: %s\r\n"
                   "Content-Length: 0\r\n\r\n",
                   agent);
    static struct sip_msg m;
    assert_ok(sip_parse(str_c(text), false, &m, &e));
    static const struct {
        uint64_t id;
        uint8_t state, by;
        bool told;
    } row[] = {{0, 0, DEVICE_BY_PLACE, false},
               {77, DEVICE_APPROVED, DEVICE_BY_PLACE, false},
               {77, DEVICE_REVOKED, DEVICE_BY_PLACE, false},
               {77, 0, 0, false},
               {77, 0, DEVICE_BY_CERT, true},
               {77, 0, DEVICE_BY_CERT, false}, /* twice */
               {78, 0, DEVICE_BY_INSTANCE, true}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct request r = {.m = &m,
                            .user = "alice@example.com",
                            .user_n = 17,
                            .device_id = row[i].id,
                            .device_state = row[i].state,
                            .device_by = row[i].by};
        stepup_device(c, &r);
        collect(x);
        assert_int_equal(asks(x, ASK_DEVICE, &q), row[i].told);
        if (!row[i].told)
            continue;
        assert_int_equal(q.alg, row[i].by);
        assert_int_equal(q.realm.len, 64);
        memcpy(r.user, "carol@example.com", 17); /* the same phone, another's */
        stepup_device(c, &r);
        collect(x);
        assert_true(asks(x, ASK_DEVICE, &q));
    }
}

static void revoked_while_it_talks(void **state)
{
    struct fixture *x = *state;
    struct dial mine = {.uri = MOBILE}, hers = {.uri = MOBILE, .agent = "phone/2"};
    char inv[4096];
    asked(x, &mine);
    types(x, &mine, "864209", REASON_NONE);
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 200, SDP_P);
    dials(x, &(struct dial){.uri = HOME, .sdp = SDP_CODE});
    assert_true(called_at(x, 0, inv, sizeof inv));
    hers.sdp = SDP_CODE;
    dials(x, &hers);
    answered(x, &hers);
    core_directory(x->g.core[0], people(DEVICE_APPROVED, NULL));
    assert_int_equal(core_usage(x->g.core[0]).calls, 3); /* nothing was revoked */
    core_directory(x->g.core[0], people(DEVICE_REVOKED, NULL));
    collect(x);
    assert_int_equal(core_usage(x->g.core[0]).calls, 1); /* both of that phone, and no other */
    assert_int_equal(counted(x, REASON_right_revoked), 2);
    assert_non_null(sent(x, ALICE, "BYE "));
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 ")); /* the one that had no answer yet */
    assert_non_null(sent(x, PBX, "BYE "));
    within(x, &hers, "BYE", 3);
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    answer_from(x, PBX, inv, 487, "");
    nothing_left(x);
}

/* The phone that rings is revoked. */
static void revoked_while_it_rings(void **state)
{
    struct fixture *x = *state;
    char inv[4096];
    register_alice(x);
    ring_alice(x, inv, sizeof inv);
    core_directory(x->g.core[0], people(DEVICE_APPROVED, NULL));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    core_directory(x->g.core[0], people(DEVICE_REVOKED, NULL));
    collect(x);
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    assert_int_equal(counted(x, REASON_right_revoked), 1);
    assert_non_null(sent(x, PBX, "SIP/2.0 403 "));
    answer_from(x, ALICE, inv, 487, "");
    nothing_left(x);
}

static void calls_for_help_go_on(void **state)
{
    struct fixture *x = *state;
    struct dial d = {.uri = HOME, .sdp = SDP_CODE};
    char inv[4096];
    dials(x, &d);
    assert_true(called_at(x, 0, inv, sizeof inv));
    only_call(x)->emergency = true;
    core_directory(x->g.core[0], people(DEVICE_REVOKED, NULL));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    only_call(x)->emergency = false;
    core_directory(x->g.core[0], people(DEVICE_REVOKED, NULL));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    collect(x);
    answer_from(x, PBX, inv, 487, "");
    nothing_left(x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stepup_setup, teardown)
    const struct CMUnitTest tests[] = {T(remembered_by_device_and_kind),
                                       T(places_are_shared),
                                       T(remembered_for_a_while),
                                       T(countries),
                                       T(approves_a_device),
                                       T(what_is_told_of_devices),
                                       T(revoked_while_it_talks),
                                       T(revoked_while_it_rings),
                                       T(calls_for_help_go_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
