/* Attackers before the whole core, each with somebody harmless who does much the same. */
#include "call/guard_fixture.h"

static unsigned tries_until_banned(struct scene *s, const struct flow *f, unsigned most)
{
    for (unsigned i = 1; i <= most; i++) {
        pass_ms(&s->x, 200);
        (void)registers(s, f, "alice", REASON_auth_failed);
        if (s->n_asked)
            return i;
    }
    return 0;
}

static void wrong_passwords(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    unsigned n = tries_until_banned(s, &f, 40);
    assert_in_range(n, 4, 20);
    assert_false(s->asked[0].forgeable);
    assert_true(s->asked[0].scope == BAN_SOURCE || s->asked[0].scope == BAN_PAIR);
    /* The message that was too much is kept, and what it proves nobody can read in it. */
    assert_true(s->n_evidence > 0);
    assert_int_not_equal(s->asked[0].evidence, 0);
    assert_non_null(strstr(s->evidence, "REGISTER sip:example.com"));
    assert_non_null(strstr(s->evidence, "Authorization: [redacted]"));
    assert_null(strstr(s->evidence, "0000000007"));
    /* From there the user is out of reach, with whatever password. */
    for (unsigned i = 0; i < 4; i++)
        if (!registers(s, &f, "alice", REASON_NONE))
            return;
    fail();
}

/* After a change of his password a phone tries the old one some times. */
static void one_forgetful_phone(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(ALICE);
    assert_true(registers(s, &f, "alice", REASON_NONE));
    for (unsigned i = 0; i < 3; i++) {
        pass_ms(&s->x, 5000);
        assert_true(registers(s, &f, "alice", REASON_auth_failed));
    }
    assert_true(registers(s, &f, "alice", REASON_NONE));
    assert_int_equal(s->n_asked, 0);
}

/* Whom the credentials name is tried, not whom From names. */
static void behind_another_name(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    char auth[1400];
    for (unsigned i = 0; i < 60 && !s->n_asked; i++) {
        char from[40];
        (void)snprintf(from, sizeof from, "nobody%u", i);
        pass_ms(&s->x, 2000);
        hit(s, &f, stranger("REGISTER", "sip:example.com", from, ""));
        const char *r = sent(&s->x, MALLORY, "SIP/2.0 401 ");
        if (!r)
            break;
        (void)snprintf(auth, sizeof auth, "%s", tries(r, "alice", "sip:example.com"));
        hit(s, &f, stranger("REGISTER", "sip:example.com", from, auth));
        says(s, REASON_auth_failed);
    }
    assert_true(s->n_asked > 0);
    uint64_t alice = location_hash(&s->x.g.cfg[0].hash_key, STR("alice@example.com"));
    bool named = false;
    for (unsigned i = 0; i < s->n_asked; i++)
        named |= s->asked[i].scope == BAN_SOURCE || s->asked[i].key == alice;
    assert_true(named);
}

static unsigned sweep(struct scene *s, const struct flow *f, unsigned most)
{
    for (unsigned i = 1; i <= most; i++) {
        char uri[60];
        (void)snprintf(uri, sizeof uri, "sip:%u@192.0.2.1", 100 + i);
        pass_ms(&s->x, 50);
        hit(s, f, stranger("OPTIONS", uri, "100", "User-Agent: friendly-scanner\r\n"));
        if (s->n_asked)
            return i;
    }
    return 0;
}

static void scanner(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    assert_in_range(sweep(s, &f, 200), 5, 100);
    struct ban last = s->asked[s->n_asked - 1];
    for (unsigned i = 0; i < 200 && last.treat != TREAT_BAN; i++) {
        (void)sweep(s, &f, 1);
        last = s->asked[s->n_asked - 1];
    }
    assert_int_equal(last.treat, TREAT_BAN);
    assert_int_equal(last.scope, BAN_SOURCE);
    assert_false(last.forgeable);
    assert_int_not_equal(last.evidence, 0); /* it can be shown what it did */
    pass_ms(&s->x, 1000);
    hit(s, &f, stranger("OPTIONS", "sip:example.com", "100", ""));
    assert_null(sent(&s->x, MALLORY, "SIP"));
    assert_true(s->x.g.counters[0].n[REASON_shield_banned] > 0);
    uint64_t hits = 0;
    for (unsigned i = 0; i < TEST_BANS; i++)
        hits += s->x.g.ban_hits[i];
    assert_true(hits > 0);
    /* Its neighbour is somebody else. */
    struct flow other = stream_of("203.0.113.67:5060");
    hit(s, &other, stranger("OPTIONS", "sip:example.com", "100", ""));
    assert_non_null(sent(&s->x, "203.0.113.67:5060", "SIP/2.0 401 "));
}

/* The same by UDP, where anybody could have written that address: briefly, and marked. */
static void scanner_by_udp(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
    assert_in_range(sweep(s, &f, 300), 5, 300);
    for (unsigned i = 0; i < s->n_asked; i++) {
        assert_true(s->asked[i].forgeable);
        assert_int_equal((s->asked[i].until.us - s->asked[i].since.us) / 1000000,
                         s->x.g.policy.guard.spoof_s);
    }
}

/* In the name of somebody who is registered it comes to nothing. */
static void forged(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    register_alice(&s->x);
    monitor(s);
    assert_int_equal(sweep(s, &f, 300), 0);
    for (unsigned i = 0; i < 100; i++)
        hit(s, &f, "OPTIONS sip:x SIP/2.0\r\nVia: \r\nNo colon\r\n\r\n");
    assert_int_equal(s->n_asked, 0);
}

/* A nonce that went to somebody else proves nothing. */
static void borrowed_nonce(void **state)
{
    struct scene *s = *state;
    struct flow mine = flow_of(MALLORY, LISTEN_OUT_UDP),
                his = flow_of(OFFICE ":5060", LISTEN_OUT_UDP);
    s->quiet = true;
    for (unsigned i = 0; i < 60; i++) {
        char auth[1400];
        hit(s, &mine, stranger("REGISTER", "sip:example.com", "alice", ""));
        const char *r = sent(&s->x, MALLORY, "SIP/2.0 401 ");
        pass_ms(&s->x, 300);
        if (!r)
            continue;
        (void)snprintf(auth, sizeof auth, "%s", tries(r, "alice", "sip:example.com"));
        hit(s, &his, stranger("REGISTER", "sip:example.com", "alice", auth));
        if (s->x.n_got)
            says(s, REASON_auth_failed);
    }
    struct addr office = test_addr(OFFICE ":0");
    unsigned of_him = 0;
    for (unsigned i = 0; i < s->n_asked; i++)
        if (prefix_has(&s->asked[i].net, &office)) {
            assert_true(s->asked[i].forgeable);
            of_him++;
        }
    assert_true(of_him > 0);
}

#define PHONES 60u
static struct directory *office_staff(void)
{
    struct directory *d = calloc(1, directory_bytes(PHONES, 4096));
    directory_begin(d, PHONES, 4096);
    for (unsigned i = 0; i < PHONES; i++) {
        char user[40];
        (void)snprintf(user, sizeof user, "u%02u@example.com", i);
        assert_ok(directory_add(d, str_c(user), STR("user"), (struct wall){0}));
    }
    return d;
}

static unsigned power_cut(struct scene *s, bool udp)
{
    unsigned up = 0;
    for (unsigned i = 0; i < PHONES; i++) {
        char from[40], user[8];
        (void)snprintf(from, sizeof from, OFFICE ":%u", 20000 + i);
        (void)snprintf(user, sizeof user, "u%02u", i);
        struct flow f = udp ? flow_of(from, LISTEN_OUT_UDP) : stream_of(from);
        hit(s, &f, stranger("SUBSCRIBE", "sip:example.com", user, "Event: message-summary\r\n"));
        up += registers(s, &f, user, REASON_NONE);
        if (i % 10 == 9) /* all within a second */
            pass_ms(&s->x, 150);
    }
    return up;
}

/* 60 phones behind one address come back, three times: nobody is banned; one that then tries to
 * guess is, and he alone. */
static void office(void **state)
{
    struct scene *s = *state;
    struct directory *d = office_staff();
    core_directory(s->x.g.core[0], d);
    for (unsigned turn = 0; turn < 3; turn++) {
        unsigned up = power_cut(s, turn == 1);
        assert_in_range(up, PHONES / 2, PHONES); /* the rest repeat it a little later */
        pass_ms(&s->x, 20000);
    }
    assert_int_equal(s->n_asked, 0);
    struct flow bad = stream_of(OFFICE ":20005"), good = stream_of(OFFICE ":20006");
    unsigned n = 0;
    while (n++ < 60 && !s->n_asked) {
        pass_ms(&s->x, 500);
        (void)registers(s, &bad, "u07", REASON_auth_failed);
    }
    assert_int_equal(s->asked[0].scope, BAN_PAIR);
    assert_true(registers(s, &good, "u06", REASON_NONE));
    assert_false(registers(s, &bad, "u07", REASON_NONE));
    core_directory(s->x.g.core[0], s->x.g.directory);
    free(d);
}

static void decoy(void **state)
{
    struct scene *s = *state;
    struct guard_policy *p = &s->x.g.policy.guard;
    p->decoys[p->n_decoys++] = test_text(&s->x.g.policy, "carol");
    core_policy(s->x.g.core[0], &s->x.g.policy, s->x.g.now);
    struct flow f = stream_of(MALLORY), b = stream_of("203.0.113.67:5060");
    hit(s, &b, stranger("REGISTER", "sip:example.com", "bob", ""));
    assert_int_equal(s->n_asked, 0);
    hit(s, &f, stranger("REGISTER", "sip:example.com", "carol", ""));
    assert_int_equal(s->n_asked, 1);
    assert_int_equal(s->asked[0].detector, DET_decoy);
    assert_int_not_equal(s->asked[0].evidence, 0);
    hit(s, &f, stranger("REGISTER", "sip:example.com", "bob", ""));
    assert_null(sent(&s->x, MALLORY, "SIP"));
    struct flow g = stream_of("203.0.113.68:5060");
    hit(s, &g, stranger("INVITE", "sip:carol@example.com", "bob", ""));
    assert_int_equal(s->n_asked, 2);
}

static void dry_run(void **state)
{
    struct scene *s = *state;
    s->x.g.policy.guard.dry_run = true;
    core_policy(s->x.g.core[0], &s->x.g.policy, s->x.g.now);
    struct flow f = stream_of(MALLORY);
    assert_int_equal(sweep(s, &f, 200), 0);
    assert_true(s->n_alerts > 0);
    for (unsigned i = 0; i < s->n_alerts; i++)
        assert_true(s->alerts[i].u.alert.dry);
    hit(s, &f, stranger("OPTIONS", "sip:example.com", "100", ""));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 "));
}

/* Alerts are told within a share: neither one real source nor thousands of forged ones fill the
 * store. */
static void a_flood_of_alerts(void **state)
{
    struct scene *s = *state;
    s->quiet = true;
    for (unsigned i = 0; i < 20000; i++) {
        char from[40];
        (void)snprintf(from, sizeof from, "203.0.113.%u:%u", 100 + i / 25 % 150, 1024 + i % 60000);
        struct flow f = flow_of(from, LISTEN_OUT_UDP);
        hit(s, &f, stranger("OPTIONS", "sip:900@192.0.2.1", "900", ""));
        if (i % 1000 == 999)
            pass_ms(&s->x, 100);
    }
    assert_in_range(s->n_alerts, 1, 200);
    assert_in_range(s->n_evidence, 0, 300);
    assert_true(s->x.g.counters[0].n[REASON_log_share] > 0);
}

/* The same observation is made once, wherever the message arrived. */
static void two_engines(void **state)
{
    (void)state;
    struct scene *s = calloc(1, sizeof *s);
    gateway_init(&s->x.g, 2, 1);
    struct flow f = stream_of(MALLORY);
    unsigned forwarded = 0;
    struct intents *in[2] = {&s->x.g.intents[0], &s->x.g.intents[1]};
    for (unsigned i = 0; i < 80 && !s->n_asked; i++) {
        char uri[60];
        (void)snprintf(uri, sizeof uri, "sip:%u@192.0.2.1", 100 + i);
        s->x.g.now.mono.us += 50000;
        s->x.g.now.wall.us += 50000;
        core_message(s->x.g.core[0], &f, str_c(stranger("OPTIONS", uri, "100", "")), false,
                     s->x.g.now);
        for (unsigned turn = 0; turn < 6; turn++) /* until nothing is under way */
            for (unsigned e = 0; e < 2; e++) {
                struct intents copy = *in[e];
                for (size_t k = 0; k < copy.n; k++) {
                    const struct intent *x = &copy.v[k];
                    struct obs o;
                    if (x->kind == INTENT_OBSERVE) {
                        assert_int_equal(x->engine, 1 - e);
                        memcpy(&o, x->bytes.p, sizeof o);
                        assert_ok(obs_valid(&o, x->bytes.n));
                        core_observe(s->x.g.core[1 - e], &o, s->x.g.now);
                        forwarded++;
                    } else if (x->kind == INTENT_FORWARD) {
                        core_forwarded(s->x.g.core[1 - e], &x->flow, x->bytes, false, s->x.g.now);
                    } else if (x->kind == INTENT_BAN) {
                        memcpy(&s->asked[s->n_asked++ % 64], x->bytes.p, sizeof(struct ban));
                    }
                }
                if (copy.n == in[e]->n)
                    intents_reset(in[e]);
            }
    }
    assert_int_equal(s->n_asked, 1);
    assert_true(forwarded > 0);
    gateway_done(&s->x.g);
    free(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_done)
    const struct CMUnitTest tests[] = {T(wrong_passwords),
                                       T(one_forgetful_phone),
                                       T(behind_another_name),
                                       T(scanner),
                                       T(scanner_by_udp),
                                       T(forged),
                                       T(borrowed_nonce),
                                       T(office),
                                       T(decoy),
                                       T(dry_run),
                                       T(a_flood_of_alerts),
                                       cmocka_unit_test(two_engines)};
    return cmocka_run_group_tests_name("guard_attack", tests, NULL, NULL);
}
