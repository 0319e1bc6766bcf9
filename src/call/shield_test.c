/* What the core tells the guard of requests and of what is below them, and whom it reads at all. */
#include "call/shield_test.h"

static void how_it_is_set_up(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct core_cfg cfg = x->g.cfg[0];
    assert_int_equal(g.cfg.engine, 0);
    assert_int_equal(g.cfg.engines, 1);
    assert_int_equal(g.cfg.sources, 4096);
    assert_int_equal(g.cfg.parties, 2048);
    assert_int_equal(g.cfg.key.k0, cfg.hash_key.k0);
    assert_ptr_equal(g.cfg.bans, x->g.bans);
    assert_int_equal(g.cfg.bans_cap, TEST_BANS);
    assert_ptr_equal(g.policy, &c->shield.policy);
    assert_ptr_equal(c->env.guard, c->shield.guard);
    assert_int_equal(c->env.bans_cap, TEST_BANS);
    assert_int_equal(shield_bytes(&cfg), tarpit_bytes() + 128);
    cfg.guard_sources = 7;
    cfg.guard_parties = 9;
    cfg.bans = NULL; /* then there are none, whatever their number */
    (void)shield_bytes(&cfg);
    assert_int_equal(g.cfg.sources, 7);
    assert_int_equal(g.cfg.parties, 9);
    assert_int_equal(g.cfg.bans_cap, 0);
    x->g.policy.guard.half_life_s = 77;
    g.policy = NULL;
    core_policy(c, &x->g.policy, x->g.now);
    assert_ptr_equal(g.policy, &c->shield.policy);
    assert_int_equal(g.policy->half_life_s, 77);
}

/* --- requests --- */

static void what_is_said_of_a_request(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    const struct verdict v = {VERDICT_REFUSE, GATE_SOURCE, REASON_shield_refused, 403};
    struct request *r = a_request(x, "INVITE", "sip:1@example.com");
    r->country = 'D' << 8 | 'E';
    r->aor_hash = 11;
    r->device = 12;
    r->number = 13;
    r->agent = 14;
    memcpy(r->who, "a\x7f\x1f \xffz", r->who_n = 6);
    shield_request(c, r, &v);
    const struct obs *o = only();
    assert_int_equal(o->kind, OBS_REQUEST);
    assert_int_equal(o->method, SIP_INVITE);
    assert_int_equal(o->proto, PROTO_UDP);
    assert_int_equal(o->zone, ZONE_PHONES);
    assert_int_equal(o->reason, REASON_shield_refused);
    assert_int_equal(o->code, 403);
    assert_int_equal(o->n, 1);
    assert_int_equal(o->listener, LISTEN_OUT_UDP);
    assert_int_equal(o->country, 'D' << 8 | 'E');
    assert_true(addr_eq(&o->source, &r->flow.peer));
    assert_true(o->aor == 11 && o->device == 12 && o->number == 13 && o->agent == 14);
    assert_str(str_of(o->who, o->who_n), "a????z");
    assert_int_equal(o->flags, 0);
    assert_false(g.forwarded[0]);
    collect(x);
    assert_int_equal(x->n_got, 0);
    core_at(x);
    r->unproven = REASON_auth_failed; /* who is refused for something else is */
    shield_request(c, r, &v);
    assert_int_equal(only()->reason, REASON_shield_refused);
    assert_int_equal(only()->flags, 0);
    r->unproven = 0;
    core_at(x);
    r->in_dialog = true; /* what belongs to a call and passes is no news */
    shield_request(c, r, &(struct verdict){.kind = VERDICT_PASS});
    assert_int_equal(g.n, 0);
    shield_request(c, r, &v);
    r->in_dialog = false;
    shield_request(c, r, &(struct verdict){.kind = VERDICT_PASS});
    assert_int_equal(g.n, 2);
}

static void flags_of_a_request(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct request *r = &req;
    static const uint16_t want[] = {OBS_PROVEN, OBS_PROVEN, OBS_IN_DIALOG, OBS_EMERGENCY, OBS_PEER,
                                    OBS_USER,   0,          OBS_MISSING,   OBS_DECOY};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        c = core_at(x);
        r = a_request(x, "OPTIONS", "sip:1@example.com");
        r->flow.proto = i == 1 ? PROTO_TLS : PROTO_UDP; /* a connection cannot be forged */
        r->proven = i == 0;
        r->in_dialog = i == 2;
        r->emergency = i == 3;
        r->peer = i == 4 ? 0 : POLICY_NONE;
        r->ident = i == 5 ? IDENT_USER : i == 6 ? IDENT_PEER : IDENT_NONE;
        r->missing = i == 7;
        r->decoy = i == 8;
        shield_request(c, r, &(struct verdict){.kind = VERDICT_DROP});
        assert_int_equal(only()->flags, want[i]);
    }
    static const struct {
        enum reason why;
        uint16_t flags; /* of an emergency call */
    } row[] = {{REASON_auth_failed, OBS_GUESS},
               {REASON_auth_limited, OBS_GUESS},
               {REASON_auth_replay, 0}, /* nobody tries passwords by calling for help */
               {REASON_auth_identity_mismatch, 0},
               {REASON_auth_syntax, OBS_EMERGENCY},
               {REASON_auth_required, OBS_EMERGENCY},
               {REASON_route_user_unknown, OBS_EMERGENCY | OBS_MISSING}};
    for (size_t i = 0; i < 2 * ARRAY_LEN(row); i++) { /* refused so, or let through in spite */
        enum reason why = row[i / 2].why;
        bool through = i % 2, minds = !(row[i / 2].flags & OBS_EMERGENCY);
        c = core_at(x);
        r = a_request(x, "INVITE", "sip:112@example.com");
        r->emergency = true;
        r->unproven = through ? (uint16_t)why : 0;
        shield_request(c, r,
                       through ? &(struct verdict){.kind = VERDICT_PASS}
                               : &(struct verdict){VERDICT_REFUSE, GATE_IDENTITY, why, 499});
        bool told = !through || minds;
        assert_int_equal(only()->flags, told ? row[i / 2].flags : OBS_EMERGENCY);
        assert_int_equal(only()->reason, told ? why : REASON_NONE);
        assert_int_equal(only()->code, !told ? 0 : through ? reason_info(why)->code : 499);
    }
}

/* Hostile ones are kept to be shown, and whoever touches a decoy. */
static void what_is_kept(void **state)
{
    struct fixture *x = *state;
    for (unsigned why = 1; why < REASON_COUNT; why++)
        for (unsigned decoy = 0; decoy < 2; decoy++) {
            bool hostile = reason_info((enum reason)why)->hostile >= 20;
            struct verdict v = {VERDICT_REFUSE, GATE_RATE, (enum reason)why, 403};
            struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
            rest(x);
            struct request *r = a_request(x, "OPTIONS", "sip:1@example.com");
            r->decoy = decoy;
            shield_request(core_at(x), r, &v);
            assert_int_equal(only()->evidence != 0, hostile || decoy);
            assert_int_equal(r->evidence, only()->evidence);
            shield_stray(core_at(x), &msg, &f, (enum reason)why);
            assert_int_equal(only()->evidence != 0, hostile);
            core_at(x);
            shield_below(x->g.core[0], (enum reason)why, &f, &f.peer, 1, STR("junk"));
            assert_int_equal(g.n, reason_info((enum reason)why)->hostile != 0);
            if (g.n)
                assert_int_equal(only()->evidence != 0, hostile);
        }
}

/* The word of a feed counts against a stranger with each request; not against who is known. */
static void by_feeds(void **state)
{
    struct fixture *x = *state;
    for (unsigned i = 0; i < 4; i++) {
        struct request *r = a_request(x, "OPTIONS", "sip:1@example.com");
        r->weight = i == 3 ? 0 : 30;
        r->peer = i == 1 ? 0 : POLICY_NONE;
        r->ident = i == 2 ? IDENT_USER : IDENT_NONE;
        shield_request(core_at(x), r, &(struct verdict){.kind = VERDICT_PASS});
        assert_int_equal(g.n, i ? 1 : 2);
        assert_int_equal(g.seen[0].kind, OBS_REQUEST);
        assert_int_equal(g.seen[0].weight, 0);
        if (i)
            continue;
        assert_int_equal(g.seen[1].kind, OBS_FEED);
        assert_int_equal(g.seen[1].weight, 30);
    }
}

static void requests_that_no_gate_saw(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *from;
        uint8_t listener, zone;
        uint16_t flags;
    } row[] = {{MALLORY, LISTEN_OUT_UDP, ZONE_PHONES, OBS_IN_DIALOG},
               {PBX, LISTEN_IN_UDP, ZONE_PBX, OBS_IN_DIALOG | OBS_PEER},
               {PBX, LISTEN_OUT_UDP, POLICY_NONE, OBS_IN_DIALOG},
               {"198.51.100.77:5060", LISTEN_IN_UDP, ZONE_PBX, OBS_IN_DIALOG}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct flow f = flow_of(row[i].from, row[i].listener);
        (void)a_request(x, "BYE", "sip:1@example.com");
        shield_stray(core_at(x), &msg, &f, REASON_sip_no_dialog);
        const struct obs *o = only();
        assert_int_equal(o->kind, OBS_REQUEST);
        assert_int_equal(o->method, SIP_BYE);
        assert_int_equal(o->zone, row[i].zone);
        assert_int_equal(o->flags, row[i].flags);
        assert_int_equal(o->reason, REASON_sip_no_dialog);
        assert_int_equal(o->code, 481);
        assert_str(str_of(o->who, o->who_n), "sip:from@example.com");
    }
}

/* --- below requests --- */

static void below(void **state)
{
    struct fixture *x = *state;
    struct addr none = {0}, m = test_addr(MALLORY);
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
    struct core *c = core_at(x);
    shield_below(c, REASON_sip_start_line, &f, &none, 1, STR_NONE); /* nobody knows whose */
    shield_below(c, REASON_sip_empty, &f, &m, 1, STR_NONE);         /* nothing bad */
    assert_int_equal(reason_info(REASON_sip_empty)->hostile, 0);
    assert_int_equal(g.n, 0);
    static const struct {
        const char *from;
        uint8_t proto, listener; /* POLICY_NONE: media */
        uint16_t flags;
    } row[] = {
        {MALLORY, PROTO_UDP, LISTEN_OUT_UDP, 0}, {MALLORY, PROTO_TCP, LISTEN_OUT_UDP, OBS_PROVEN},
        {MALLORY, PROTO_UDP, POLICY_NONE, 0},    {PBX, PROTO_UDP, LISTEN_IN_UDP, OBS_PEER},
        {PBX, PROTO_UDP, LISTEN_OUT_UDP, 0},     {PBX, PROTO_UDP, POLICY_NONE, OBS_PEER}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        bool media = row[i].listener == POLICY_NONE;
        struct addr a = test_addr(row[i].from);
        f.proto = row[i].proto;
        f.listener = row[i].listener;
        shield_below(core_at(x), REASON_rtp_source, media ? NULL : &f, &a, (uint32_t)i, STR_NONE);
        assert_int_equal(only()->kind, OBS_BELOW);
        assert_int_equal(only()->n, MAX(i, (size_t)1));
        assert_int_equal(only()->proto, row[i].proto);
        assert_int_equal(only()->flags, row[i].flags);
        assert_int_equal(only()->zone, POLICY_NONE);
        assert_int_equal(only()->listener, media ? UINT32_MAX : row[i].listener);
        assert_true(addr_eq(&only()->source, &a));
        assert_int_equal(only()->evidence, 0); /* there are no bytes */
    }
    uint8_t junk[PKT_MAX] = {0x80};
    struct pkt p[3] = {{.data = junk, .len = 100, .port = 20000, .peer = m}};
    p[1] = p[2] = p[0];
    core_at(x);
    core_rtp(c, p, 3, x->g.now);
    assert_int_equal(only()->n, 3);
    assert_int_equal(only()->reason, REASON_rtp_no_session);
    assert_int_equal(only()->listener, UINT32_MAX);
}

static const struct flow *peer_flow(const char *from, uint8_t listener)
{
    static struct flow f;
    f = flow_of(from, listener);
    return &f;
}

/* Peers are not asked for; the zone's own rate is the least that the guard lets pass. */
static void before_it_is_read(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    x->g.policy.zones[ZONE_PHONES].rate_per_source = 25;
    g.before = REASON_shield_rate;
    assert_true(shield_before(c, peer_flow(PBX, LISTEN_IN_UDP), STR("x")));
    assert_int_equal(g.asked, 0);
    assert_false(shield_before(c, peer_flow(MALLORY, LISTEN_OUT_UDP), STR("INVITE sip:1 SIP/2.0")));
    assert_int_equal(g.least, 100);
    assert_int_equal(counted(x, REASON_shield_rate), 1);
    assert_int_equal(c->quiet.sum[REASON_shield_rate].n, 1);
    assert_int_equal(only()->kind, OBS_BELOW);
    assert_int_equal(only()->reason, REASON_shield_rate);
    assert_false(shield_before(core_at(x), peer_flow(PBX, LISTEN_OUT_UDP), STR("x")));
    assert_int_equal(g.least, 0); /* in no zone */
    g.before = REASON_NONE;
    assert_true(shield_before(core_at(x), peer_flow(MALLORY, LISTEN_OUT_UDP), STR("x")));
    assert_int_equal(g.n, 0);
    g.before = REASON_shield_banned;
    g.view = (struct ban_view){.slot = 5, .treat = TREAT_BAN};
    assert_false(shield_before(c, peer_flow(MALLORY, LISTEN_OUT_UDP), STR("OPTIONS ")));
    assert_int_equal(g.n, 0); /* it is banned already */
    assert_int_equal(counted(x, REASON_shield_banned), 1);
    assert_int_equal(c->quiet.sum[REASON_shield_banned].n, 1);
    assert_int_equal(x->g.ban_hits[5], 1);
    g.view.slot = TEST_BANS;
    assert_false(shield_before(c, peer_flow(MALLORY, LISTEN_OUT_UDP), STR("OPTIONS ")));
    uint32_t hits = 0;
    for (unsigned i = 0; i < TEST_BANS; i++)
        hits += x->g.ban_hits[i];
    assert_int_equal(hits, 1);
    assert_int_equal(x->g.ports[0], 0); /* what lies behind them */
}

/* Of one who is banned: what a call that is up needs, eight at once and four a second. */
static void a_call_of_the_banned(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    static const char *const no[] = {"OPTIONS sip:1", "INVITEX sip:1",  "invite sip:1",
                                     "INVITE",        "REGISTER sip:1", "",
                                     " INVITE sip:1"},
                             *const yes[] = {"INVITE sip:1", "UPDATE sip:1", "INFO sip:1"};
    g.before = REASON_shield_banned;
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(shield_before(c, peer_flow(MALLORY, LISTEN_OUT_UDP), str_c(no[i])));
    for (unsigned i = 0; i < 20; i++) { /* all of one source together, whatever its port */
        char from[32];
        (void)snprintf(from, sizeof from, "203.0.113.66:%u", 5060 + i);
        assert_int_equal(
            shield_before(c, peer_flow(from, LISTEN_OUT_UDP), str_c(yes[i % ARRAY_LEN(yes)])),
            i < 8);
    }
    assert_true(shield_before(c, peer_flow("203.0.113.67:1", LISTEN_OUT_UDP), str_c(yes[0])));
    x->g.now.mono.us += 1000000;
    c = core_at(x);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(
            shield_before(c, peer_flow(MALLORY, LISTEN_OUT_UDP), str_c(yes[i % ARRAY_LEN(yes)])),
            i < 4);
}

static void who_is_kept_out(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct addr m = test_addr(MALLORY), pbx = test_addr(PBX);
    for (unsigned t = TREAT_CHALLENGE; t < TREAT_COUNT; t++)
        for (unsigned peer = 0; peer < 2; peer++) {
            struct ban b = {.scope = BAN_SOURCE, .treat = (uint8_t)t, .times = 1, .by = BY_ADMIN};
            uint32_t slot;
            b.net = (struct prefix){peer ? pbx : m, 32};
            b.net.a.port = 0;
            assert_ok(ban_put(x->g.bans, TEST_BANS, &b, &slot));
            assert_int_equal(core_banned(c, peer ? &pbx : &m, x->g.now), !peer && t >= TREAT_DROP);
            c->env.bans_cap = 0; /* no board */
            c->env.bans = NULL;
            assert_false(core_banned(c, &m, x->g.now));
            c->env.bans_cap = TEST_BANS;
            c->env.bans = x->g.bans;
            assert_true(ban_del(x->g.bans, TEST_BANS, &b));
        }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, teardown)
    const struct CMUnitTest tests[] = {T(how_it_is_set_up),
                                       T(what_is_said_of_a_request),
                                       T(flags_of_a_request),
                                       T(what_is_kept),
                                       T(by_feeds),
                                       T(requests_that_no_gate_saw),
                                       T(below),
                                       T(before_it_is_read),
                                       T(a_call_of_the_banned),
                                       T(who_is_kept_out)};
    return cmocka_run_group_tests_name("shield", tests, NULL, NULL);
}
