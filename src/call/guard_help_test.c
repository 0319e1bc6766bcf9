/* Who calls for help gets through: every gate and every limit that stops the same call to another
 * number lets the call to 112 pass, and what belongs to it, while its source stays banned. */
#include "call/gate.h"
#include "call/guard_fixture.h"

static const char *const HELP[] = {"sip:112@example.com", "sip:911@example.com;user=phone",
                                   "tel:112", "sips:112@example.com"};

static const char *calls(const char *uri, const char *auth)
{
    return stranger("INVITE", uri, "alice", auth);
}

/* The INVITE of alice to uri from ALICE's address, challenged and answered where it is challenged.
 * NULL: it went nowhere; else what the PBX got. code: the last answer. */
static const char *dial(struct scene *s, const struct flow *f, const char *uri, int *code)
{
    char auth[1400], from[ADDR_TEXT_MAX + 1] = "";
    struct out o = out_of(from, sizeof from - 1);
    addr_put(&o, &f->peer);
    *code = 0;
    hit(s, f, calls(uri, ""));
    const char *r = sent(&s->x, from, "SIP/2.0 ");
    *code = r ? (int)strtol(r + 8, NULL, 10) : 0;
    if (*code != 401)
        return sent(&s->x, PBX, "INVITE ");
    (void)snprintf(auth, sizeof auth, "%s", tries(r, "alice", uri));
    if (!strstr(uri, "example.com"))
        (void)snprintf(auth, sizeof auth, "%s", tries(r, "alice", "sip:example.com"));
    hit(s, f, calls(uri, auth));
    *code = 0;
    bool asked = false;
    for (size_t i = 0; i < s->x.n_got; i++)
        asked |= s->x.got[i].kind == INTENT_ASK;
    r = sent(&s->x, from, "SIP/2.0 ");
    *code = r ? (int)strtol(r + 8, NULL, 10) : 0;
    if (!asked)
        return NULL;
    says(s, REASON_NONE);
    r = sent(&s->x, from, "SIP/2.0 ");
    *code = r ? (int)strtol(r + 8, NULL, 10) : 0;
    return sent(&s->x, PBX, "INVITE ");
}

static void passes(struct scene *s)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    int code;
    for (size_t i = 0; i < ARRAY_LEN(HELP); i++)
        assert_non_null(dial(s, &f, HELP[i], &code));
    const char *r = dial(s, &f, "urn:service:sos.fire", &code);
    assert_non_null(r);
    assert_non_null(strstr(r, "INVITE sip:112@"));
}

/* want: the code of the same call to another number, 0: no answer. */
static void stops(struct scene *s, int want)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    int code;
    assert_null(dial(s, &f, "sip:200@example.com", &code));
    assert_int_equal(code, want);
}

static void source(struct scene *s, enum treat t, int want)
{
    struct ban b = ban_on("203.0.113.5:0", t);
    board_put(s, &b);
    stops(s, want);
    passes(s);
    stops(s, want);
}

static void refused_source(void **state)
{
    source(*state, TREAT_REFUSE, 403);
}
static void dropped_source(void **state)
{
    source(*state, TREAT_DROP, 0);
}
static void banned_source(void **state)
{
    source(*state, TREAT_BAN, 0);
}
static void kicked_source(void **state)
{
    source(*state, TREAT_KICK, 0);
}

static void tarpitted_source(void **state)
{
    struct scene *s = *state;
    struct ban b = ban_on("203.0.113.5:0", TREAT_TARPIT);
    board_put(s, &b);
    stops(s, 0); /* its 401 comes later */
    passes(s);
}

static void party(struct scene *s, enum ban_scope scope, enum treat t, int want)
{
    struct ban b = ban_on("203.0.113.5:0", t);
    const struct sipkey *k = &s->x.g.cfg[0].hash_key;
    b.scope = (uint8_t)scope;
    b.key = location_hash(k, STR("alice@example.com"));
    if (scope == BAN_NUMBER)
        b.key = siphash(k, STR("200"));
    if (scope != BAN_PAIR)
        memset(&b.net, 0, sizeof b.net);
    board_put(s, &b);
    stops(s, want);
    passes(s);
}

static void banned_pair(void **state)
{
    party(*state, BAN_PAIR, TREAT_BAN, 0);
}
static void locked_user(void **state) /* his password is right, and does not help */
{
    party(*state, BAN_AOR, TREAT_LOCK, 403);
}
static void refused_number(void **state)
{
    party(*state, BAN_NUMBER, TREAT_REFUSE, 403);
}

/* Even the number itself: a ban of 112 is nonsense. */
static void banned_help_number(void **state)
{
    struct scene *s = *state;
    struct ban b = {.scope = BAN_NUMBER, .treat = TREAT_DROP, .times = 1, .by = BY_ADMIN};
    b.key = siphash(&s->x.g.cfg[0].hash_key, STR("112"));
    board_put(s, &b);
    passes(s);
}

static void reload(struct scene *s)
{
    core_policy(s->x.g.core[0], &s->x.g.policy, s->x.g.now);
}

static void access_list(void **state)
{
    struct scene *s = *state;
    s->x.g.policy.zones[ZONE_PHONES].access_deny = true;
    reload(s);
    stops(s, 0);
    passes(s);
}

/* The zone itself, and what it asks of the network, holds for all. */
static void no_zone(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of("198.18.0.1:5060", LISTEN_OUT_UDP);
    int code;
    assert_null(dial(s, &f, HELP[0], &code));
    assert_int_equal(code, 0);
}

static void rate_before(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    s->quiet = true; /* nobody bans it */
    for (uint8_t z = 0; z < s->x.g.policy.n_zones; z++)
        s->x.g.policy.zones[z].rate_per_source = 10;
    reload(s);
    for (unsigned i = 0; i < 500; i++)
        hit(s, &f, stranger("OPTIONS", "sip:example.com", "alice", ""));
    assert_true(s->x.g.counters[0].n[REASON_shield_rate] > 0);
    stops(s, 0);
    int code;
    assert_non_null(dial(s, &f, HELP[0], &code));
    assert_non_null(dial(s, &f, HELP[2], &code));
}

static void rate_of_zone(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    s->x.g.policy.zones[ZONE_PHONES].rate_per_source = 2;
    reload(s);
    for (unsigned i = 0; i < 8; i++)
        hit(s, &f, stranger("OPTIONS", "sip:example.com", "alice", ""));
    stops(s, 0);
    passes(s);
}

static void rate_of_user(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    s->x.g.policy.guard.aor_rate = 1;
    reload(s);
    int code;
    assert_non_null(dial(s, &f, "sip:200@example.com", &code));
    stops(s, 503);
    passes(s);
}

static void rate_of_trunk(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    s->x.g.policy.guard.trunk_rate = 1;
    reload(s);
    hit(s, &f, stranger("INVITE", "sip:nobody@" TEST_INSIDE, "200", ""));
    assert_non_null(sent(&s->x, PBX, "SIP/2.0 404 "));
    hit(s, &f, stranger("INVITE", "sip:nobody@" TEST_INSIDE, "200", ""));
    assert_non_null(sent(&s->x, PBX, "SIP/2.0 503 "));
    hit(s, &f, stranger("INVITE", "sip:112@" TEST_INSIDE, "200", ""));
    assert_null(sent(&s->x, PBX, "SIP/2.0 503 "));
}

static void draining(void **state)
{
    struct scene *s = *state;
    core_drain(s->x.g.core[0], true);
    stops(s, 503);
    passes(s);
}

static void silent_zone(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    s->x.g.policy.zones[ZONE_PHONES].silent = true;
    reload(s);
    hit(s, &f, calls("sip:200@" TEST_OUTSIDE, ""));
    assert_null(sent(&s->x, ALICE, "SIP"));
    hit(s, &f, calls("sip:112@" TEST_OUTSIDE, ""));
    assert_non_null(sent(&s->x, ALICE, "SIP/2.0 401 "));
}

/* The call is up; then its source is banned: all that belongs to it goes on, nothing else does. */
static void call_of_the_banned(void **state)
{
    struct scene *s = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct ban b = ban_on("203.0.113.5:0", TREAT_BAN);
    char invite[4096], ok[4096], id[256], from[256], to[512];
    int code;
    board_put(s, &b);
    const char *r = dial(s, &fa, HELP[0], &code);
    assert_non_null(r);
    (void)snprintf(invite, sizeof invite, "%s", r);
    pass_ms(&s->x, 2000);
    hit(s, &fp, answer(invite, 180, "p7", "112@198.51.100.10", ""));
    assert_non_null(sent(&s->x, ALICE, "SIP/2.0 180 "));
    hit(s, &fp, answer(invite, 200, "p7", "112@198.51.100.10", SDP_P));
    r = sent(&s->x, ALICE, "SIP/2.0 200 ");
    assert_non_null(r);
    (void)snprintf(ok, sizeof ok, "%s", r);
    (void)snprintf(id, sizeof id, "%s", field(ok, "Call-ID").p);
    (void)snprintf(from, sizeof from, "%s", field(ok, "From").p);
    (void)snprintf(to, sizeof to, "%s", field(ok, "To").p);
    hit(s, &fa, request("ACK", "sip:x@" TEST_OUTSIDE, from, to, id, 1, "", ""));
    pass_ms(&s->x, 2000);
    assert_null(sent(&s->x, ALICE, "SIP/2.0 200 ")); /* the ACK came in */
    hit(s, &fa, request("INFO", "sip:x@" TEST_OUTSIDE, from, to, id, 2, "", ""));
    assert_non_null(sent(&s->x, PBX, "INFO "));
    hit(s, &fa,
        request("UPDATE", "sip:x@" TEST_OUTSIDE, from, to, id, 3,
                "Contact: <sip:alice@203.0.113.5>\r\n", ""));
    assert_non_null(sent(&s->x, ALICE, "SIP/2.0 "));
    pass_ms(&s->x, 3000);
    stops(s, 0);
    hit(s, &fa, stranger("OPTIONS", "sip:example.com", "alice", ""));
    assert_null(sent(&s->x, ALICE, "SIP"));
    assert_int_equal(core_usage(s->x.g.core[0]).calls, 1);
    hit(s, &fa, request("BYE", "sip:x@" TEST_OUTSIDE, from, to, id, 4, "", ""));
    assert_non_null(sent(&s->x, ALICE, "SIP/2.0 200 "));
    assert_non_null(sent(&s->x, PBX, "BYE "));
}

/* He who only pretends gets no farther than to those who help, and there he is nobody. */
static void no_way_around_identity(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    struct ban b = ban_on("203.0.113.66:0", TREAT_BAN);
    board_put(s, &b);
    hit(s, &f, calls(HELP[0], ""));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 401 "));
    hit(s, &f, calls(HELP[0], "Authorization: Digest broken\r\n"));
    const char *r = sent(&s->x, PBX, "INVITE ");
    assert_non_null(r);
    assert_non_null(strstr(r, "INVITE sip:112@"));
    assert_null(strstr(r, "P-Asserted-Identity"));
    static const char *const around[][2] = {
        {"sip:112@elsewhere.example.net", ""},
        {"sip:112@example.com", "Replaces: a@b;to-tag=1;from-tag=2\r\n"},
        {"sip:112%3bx@example.com", ""},
        {"sip:0112@example.com", ""}};
    for (size_t i = 0; i < ARRAY_LEN(around); i++) {
        hit(s, &f, calls(around[i][0], around[i][1]));
        assert_null(sent(&s->x, PBX, "INVITE "));
    }
    static const char *const others[] = {"urn:service:sosx", "urn:service:counseling",
                                         "sip:1122@example.com", "sip:112@example.com"};
    static struct sip_msg m;
    struct sip_error e;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char text[4096];
        (void)snprintf(text, sizeof text, "%s", calls(others[i], ""));
        assert_ok(sip_parse(str_c(text), false, &m, &e));
        assert_int_equal(gate_dials_emergency(&m), i == 3);
    }
    char text[4096];
    (void)snprintf(text, sizeof text, "%s", stranger("OPTIONS", HELP[0], "x", ""));
    assert_ok(sip_parse(str_c(text), false, &m, &e));
    assert_false(gate_dials_emergency(&m));
}

/* Nor is it a way to try passwords unseen. */
static void guesses_count(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    char auth[1400], nonce[4096] = "";
    for (unsigned i = 0; i < 60 && !s->n_asked; i++) {
        pass_ms(&s->x, 500);
        if (!nonce[0]) {
            hit(s, &f, stranger("REGISTER", "sip:example.com", "alice", ""));
            const char *r = sent(&s->x, MALLORY, "SIP/2.0 401 ");
            assert_non_null(r);
            (void)snprintf(nonce, sizeof nonce, "%s", r);
        }
        (void)snprintf(auth, sizeof auth, "%s", tries(nonce, "alice", HELP[0]));
        hit(s, &f, calls(HELP[0], auth));
        says(s, REASON_auth_failed);
    }
    assert_true(s->n_asked > 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_done)
    const struct CMUnitTest tests[] = {T(refused_source),
                                       T(dropped_source),
                                       T(banned_source),
                                       T(kicked_source),
                                       T(tarpitted_source),
                                       T(banned_pair),
                                       T(locked_user),
                                       T(refused_number),
                                       T(banned_help_number),
                                       T(access_list),
                                       T(no_zone),
                                       T(rate_before),
                                       T(rate_of_zone),
                                       T(rate_of_user),
                                       T(rate_of_trunk),
                                       T(draining),
                                       T(silent_zone),
                                       T(call_of_the_banned),
                                       T(no_way_around_identity),
                                       T(guesses_count)};
    return cmocka_run_group_tests_name("guard_help", tests, NULL, NULL);
}
