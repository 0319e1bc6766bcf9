/* What the shield tells, to the letter: evidence, alerts, bans that are asked for; whose calls it
 * ends; and what people are told of somebody. */
#include "call/exchange_test.h"
#include "call/redact.h"
#include "guard/access.h"

#define MALLORY "203.0.113.66:5060"
static struct sip_msg msg;

static struct core *core_at(struct fixture *x)
{
    struct core *c = x->g.core[0];
    c->now = x->g.now;
    return c;
}

static struct obs obs_from(const char *source, uint16_t flags)
{
    return (struct obs){.kind = OBS_REQUEST,
                        .proto = PROTO_TLS,
                        .zone = ZONE_PHONES,
                        .n = 1,
                        .reason = REASON_auth_failed,
                        .code = 403,
                        .listener = LISTEN_OUT_TLS,
                        .source = test_addr(source),
                        .flags = flags,
                        .who_n = 7,
                        .who = "mallory"};
}

static void parse(const char *text)
{
    static char kept[4096];
    struct sip_error e;
    (void)snprintf(kept, sizeof kept, "%s", text);
    assert_ok(sip_parse(str_c(kept), false, &msg, &e));
}

static const struct sip_msg *a_request(void)
{
    parse(request("INVITE", "sip:1@example.com", "<sip:from@example.com>;tag=1",
                  "<sip:to@example.com>", "told", 1,
                  "User-Agent: scan/1\r\nAuthorization: Digest response=\"5ecre7\"\r\n", ""));
    return &msg;
}

/* The n-th fact of that kind; NULL: there are not so many. */
static const struct fact *fact_at(struct fixture *x, enum fact_kind k, unsigned n)
{
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const void *)x->text[i];
        if (x->got[i].kind != INTENT_FACT || f->kind != k || n--)
            continue;
        assert_ok(fact_valid(f, x->got[i].bytes.n));
        return f;
    }
    return NULL;
}

static const struct ban *asked(struct fixture *x)
{
    const struct ban *b = NULL;
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_BAN) {
            assert_null(b);
            b = (const void *)x->text[i];
        }
    return b;
}

/* --- evidence --- */

static void kept_once(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct obs o = obs_from(MALLORY, 0), other = o;
    static char text[4096];
    (void)snprintf(text, sizeof text, STR_FMT, STR_ARG(a_request()->bytes));
    c->cfg.engine = 3;
    shield_keep(c, &o, str_c(text));
    shield_keep(c, &o, str_c(text)); /* it is */
    shield_keep(c, &other, str_c(text));
    c->cfg.engine = 0;
    collect(x);
    assert_int_equal(x->n_got, 2);
    const struct fact *f = fact_at(x, FACT_EVIDENCE, 0);
    assert_int_equal(f->u.evidence.id, o.evidence);
    assert_int_equal(o.evidence >> 56, 4);
    assert_int_equal(o.evidence & ((UINT64_C(1) << 56) - 1), x->g.now.wall.us);
    assert_int_equal(other.evidence, o.evidence + 1); /* in the same microsecond */
    assert_int_equal(fact_at(x, FACT_EVIDENCE, 1)->u.evidence.id, other.evidence);
    assert_int_equal(f->u.evidence.whole, strlen(text));
    char want[FACT_EVIDENCE_BYTES];
    size_t n = redact(str_c(text), want, sizeof want);
    assert_int_equal(f->u.evidence.n, n);
    assert_memory_equal(f->u.evidence.p, want, n);
    assert_null(memmem(f->u.evidence.p, n, "5ecre7", 6));
}

static void what_is_not_kept(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    static char text[FACT_EVIDENCE_BYTES + 2];
    struct obs o = obs_from(MALLORY, 0);
    shield_keep(c, &o, STR_NONE);
    assert_int_equal(o.evidence, 0);
    memset(text, 'a', sizeof text - 1);
    shield_keep(c, &o, str_c(text)); /* its beginning */
    collect(x);
    assert_int_equal(fact_at(x, FACT_EVIDENCE, 0)->u.evidence.n, FACT_EVIDENCE_BYTES);
    assert_int_equal(fact_at(x, FACT_EVIDENCE, 0)->u.evidence.whole, FACT_EVIDENCE_BYTES + 1);
    unsigned kept = 1;
    for (unsigned i = 0; i < 50; i++) {
        o.evidence = 0;
        shield_keep(c, &o, STR("junk"));
        kept += o.evidence != 0;
    }
    collect(x);
    assert_int_equal(kept, 10); /* of one source */
    assert_int_equal(x->n_got, 9);
}

/* --- alerts --- */

static void whom_an_alert_is_about(void **state)
{
    struct fixture *x = *state;
    const struct rules_hit hit = {.sid = 1, .action = RULE_ALERT};
    static const uint32_t listeners[] = {LISTEN_OUT_TLS, 3, UINT32_MAX};
    x->g.policy.listeners[3].bind = test_addr(PBX); /* behind the last one */
    for (unsigned i = 0; i < 3; i++) {
        struct obs o = obs_from(MALLORY, OBS_PROVEN);
        o.listener = listeners[i];
        o.evidence = 77;
        if (i == 2)
            parse("SIP/2.0 401 X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n"
                  "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 1\r\n"
                  "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n");
        shield_tell_rule(core_at(x), &hit, &o, i == 0 ? a_request() : i == 1 ? NULL : &msg);
        collect(x);
        assert_int_equal(x->n_got, 1);
        const struct fact *f = fact_at(x, FACT_ALERT, 0);
        assert_int_equal(f->reason, REASON_auth_failed);
        assert_int_equal(f->code, 403);
        assert_int_equal(f->u.alert.proto, PROTO_TLS);
        assert_int_equal(f->u.alert.zone, ZONE_PHONES);
        assert_true(addr_eq(&f->u.alert.source, &o.source));
        assert_int_equal(f->u.alert.evidence, 77);
        assert_int_equal(f->u.alert.dest.family != ADDR_NONE, i == 0); /* media have none */
        assert_int_equal(f->u.alert.dest.port, i == 0 ? 5061 : 0);
        assert_str_eq(TEXT_STR(f->u.alert.from), /* a request names more than what was observed */
                      i ? STR("mallory") : STR("sip:from@example.com"));
        assert_str_eq(TEXT_STR(f->u.alert.to), i ? STR_NONE : STR("sip:1@example.com"));
        assert_str_eq(TEXT_STR(f->u.alert.call_id), i ? STR_NONE : STR("told"));
        assert_str_eq(TEXT_STR(f->u.alert.method), i ? STR_NONE : STR("INVITE"));
        assert_str_eq(TEXT_STR(f->u.alert.user_agent), i ? STR_NONE : STR("scan/1"));
    }
}

static void of_a_rule(void **state)
{
    struct fixture *x = *state;
    const struct rules_hit hit = {.sid = 1000001,
                                  .rev = 2,
                                  .gid = 3,
                                  .action = RULE_DROP,
                                  .severity = 4,
                                  .msg = STR("a scanner"),
                                  .classtype = STR("attempted-recon")};
    for (unsigned dry = 0; dry < 2; dry++) {
        struct obs o = obs_from(MALLORY, 0);
        x->g.policy.guard.dry_run = dry;
        shield_tell_rule(core_at(x), &hit, &o, NULL);
        collect(x);
        const struct fact *f = fact_at(x, FACT_ALERT, 0);
        assert_int_equal(f->u.alert.by, BY_RULE);
        assert_int_equal(f->u.alert.action, RULE_DROP);
        assert_int_equal(f->u.alert.severity, 4);
        assert_int_equal(f->u.alert.gid, 3);
        assert_int_equal(f->u.alert.sid, 1000001);
        assert_int_equal(f->u.alert.rev, 2);
        assert_int_equal(f->u.alert.dry, dry);
        assert_str(TEXT_STR(f->u.alert.message), "a scanner");
        assert_str(TEXT_STR(f->u.alert.classtype), "attempted-recon");
    }
}

/* What is proven has a share of its own, which forged sources do not touch; the rest is counted. */
static void within_their_shares(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    const struct rules_hit hit = {.sid = 1};
    unsigned lost = 0;
    for (unsigned proven = 0; proven < 2; proven++) {
        struct obs o = obs_from(MALLORY, proven ? OBS_PROVEN | OBS_NEW : OBS_NEW);
        unsigned told = 0;
        for (unsigned i = 0; i < 50; i++) {
            o.reason = i % 2 ? REASON_NONE : REASON_sip_loop; /* some have none to be summed by */
            shield_tell_rule(c, &hit, &o, NULL);
            collect(x);
            told += x->n_got != 0;
        }
        assert_int_equal(told, proven ? 20 : 10);
        lost += 50 - told;
        assert_int_equal(counted(x, REASON_log_share), lost);
    }
    assert_int_equal(c->quiet.sum[REASON_sip_loop].n, lost / 2);
    assert_int_equal(c->quiet.sum[REASON_NONE].n, 0);
}

/* --- what detectors found --- */

static void hard_and_mild(void **state)
{
    struct fixture *x = *state;
    static const uint8_t severity[TREAT_COUNT] = {
        [TREAT_LOG] = 3,    [TREAT_WEIGH] = 2,  [TREAT_CHALLENGE] = 2,
        [TREAT_TARPIT] = 2, [TREAT_REFUSE] = 1, [TREAT_DROP] = 1,
        [TREAT_LOCK] = 1,   [TREAT_BAN] = 1,    [TREAT_KICK] = 1};
    for (unsigned t = 0; t < TREAT_COUNT; t++) {
        struct guard_event e = {.detector = DET_scan,
                                .treat = (uint8_t)t,
                                .score = (uint16_t)(100 + t),
                                .level = 9,
                                .dry = t % 2};
        struct obs o = obs_from(MALLORY, OBS_PROVEN);
        shield_tell(core_at(x), &e, &o, a_request());
        collect(x);
        assert_int_equal(x->n_got, 1); /* nobody is banned, so nothing is kept */
        const struct fact *f = fact_at(x, FACT_ALERT, 0);
        assert_int_equal(f->u.alert.by, BY_DETECTOR);
        assert_int_equal(f->u.alert.detector, DET_scan);
        assert_int_equal(f->u.alert.treat, t);
        assert_int_equal(f->u.alert.severity, severity[t]);
        assert_int_equal(f->u.alert.score, 100 + t);
        assert_int_equal(f->u.alert.level, 9);
        assert_int_equal(f->u.alert.dry, t % 2);
        assert_str(TEXT_STR(f->u.alert.classtype), "scan");
        struct str text = str_c(detector_text(DET_scan));
        assert_str_eq(TEXT_STR(f->u.alert.message), text);
    }
}

/* Nobody is banned without a reason to show, and nobody in a dry run. */
static void bans(void **state)
{
    struct fixture *x = *state;
    static const struct {
        bool scope, m, dry, ban_dry;
        uint64_t had; /* evidence: of the ban, or of what is observed */
        bool of_obs;
        bool keeps, asks;
    } row[] = {{true, true, false, false, 0, false, true, true},
               {true, false, false, false, 0, false, false, true}, /* no SIP: nothing to show */
               {true, true, false, false, 88, true, false, true},  /* it is kept already */
               {true, true, false, false, 88, false, true, true},  /* and another one counts */
               {true, true, true, false, 0, false, true, false},
               {true, true, false, true, 0, false, true, false},
               {false, true, false, false, 0, false, false, false}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct guard_event e = {.detector = DET_scan, .treat = TREAT_BAN, .dry = row[i].dry};
        struct obs o = obs_from(MALLORY, OBS_PROVEN);
        e.ban = (struct ban){.scope = row[i].scope ? BAN_AOR : 0, .key = 5, .dry = row[i].ban_dry};
        *(row[i].of_obs ? &o.evidence : &e.ban.evidence) = row[i].had;
        shield_tell(core_at(x), &e, &o, row[i].m ? a_request() : NULL);
        collect(x);
        const struct fact *kept = fact_at(x, FACT_EVIDENCE, 0);
        const struct ban *b = asked(x);
        assert_int_equal(kept != NULL, row[i].keeps);
        assert_int_equal(b != NULL, row[i].asks);
        assert_non_null(fact_at(x, FACT_ALERT, 0));
        assert_int_equal(fact_at(x, FACT_ALERT, 0)->u.alert.evidence, o.evidence);
        if (!b)
            continue;
        assert_int_equal(b->key, 5);
        assert_int_equal(b->evidence, row[i].had ? row[i].had : kept ? kept->u.evidence.id : 0);
    }
}

/* Whoever has had his share of the log is banned all the same. */
static void banned_without_a_word(void **state)
{
    struct fixture *x = *state;
    unsigned alerts = 0, bans_asked = 0;
    for (unsigned i = 0; i < 40; i++) {
        struct guard_event e = {
            .detector = DET_scan, .treat = TREAT_BAN, .ban = {.scope = BAN_AOR}};
        struct obs o = obs_from(MALLORY, OBS_PROVEN);
        shield_tell(core_at(x), &e, &o, a_request());
        collect(x);
        alerts += fact_at(x, FACT_ALERT, 0) != NULL;
        bans_asked += asked(x) != NULL;
    }
    assert_int_equal(alerts, 20);
    assert_int_equal(bans_asked, 40);
}

/* --- calls that end --- */

/* So many calls of alice's to the PBX, which rings. */
static void dial(struct fixture *x, unsigned n)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char uri[] = "sip:200@example.com", from[] = "<sip:alice@example.com>;tag=1",
                      to[] = "<sip:200@example.com>";
    static const char contact[] = "Contact: <sip:alice@203.0.113.5:5060>\r\n";
    for (unsigned i = 0; i < n; i++) {
        char id[32], more[1400];
        (void)snprintf(id, sizeof id, "dial%u", i);
        message(x, &f, request("INVITE", uri, from, to, id, 1, contact, SDP_A));
        (void)snprintf(more, sizeof more, "%s%s", contact,
                       credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
        message(x, &f, request("INVITE", uri, from, to, id, 2, more, SDP_A));
        vault(x, REASON_NONE);
        assert_non_null(sent(x, PBX, "INVITE "));
    }
    assert_int_equal(core_usage(x->g.core[0]).calls, n);
}

/* Calls that are left after another look. */
static uint32_t left(struct fixture *x)
{
    shield_tick(core_at(x));
    intents_reset(&x->g.intents[0]);
    return core_usage(x->g.core[0]).calls;
}

static void put(struct fixture *x, struct ban b)
{
    uint32_t slot;
    b.times = 1;
    b.by = BY_ADMIN;
    assert_ok(ban_put(x->g.bans, TEST_BANS, &b, &slot));
}

static void whose_call_ends(void **state)
{
    struct fixture *x = *state;
    const struct sipkey *k = &x->g.cfg[0].hash_key;
    struct addr alice = test_addr("203.0.113.5:0");
    uint64_t aor = location_hash(k, STR("alice@example.com")), number = siphash(k, STR("200"));
    uint64_t pbx = location_hash(k, STR("pbx"));
    const struct {
        struct ban b;
        bool ends;
    } row[] = {
        {{.scope = BAN_AOR, .treat = TREAT_KICK, .key = pbx}, false},
        {{.scope = BAN_AOR, .treat = TREAT_KICK, .key = aor + 1}, false},
        {{.scope = BAN_AOR, .treat = TREAT_BAN, .key = aor}, false},
        {{.scope = BAN_NUMBER, .treat = TREAT_DROP, .key = number}, false},
        {{.scope = BAN_NUMBER, .treat = TREAT_KICK, .key = number + 1}, false},
        {{.scope = BAN_DEVICE, .treat = TREAT_KICK, .key = 0}, false},
        {{.scope = BAN_PAIR, .treat = TREAT_KICK, .key = aor + 1, .net = {alice, 32}}, false},
        {{.scope = BAN_SOURCE, .treat = TREAT_BAN, .net = {alice, 32}}, false},
        {{.scope = BAN_PAIR, .treat = TREAT_KICK, .key = aor, .net = {alice, 32}}, true},
        {{.scope = BAN_NUMBER, .treat = TREAT_KICK, .key = number}, true},
        {{.scope = BAN_AOR, .treat = TREAT_KICK, .key = aor}, true},
        {{.scope = BAN_SOURCE, .treat = TREAT_KICK, .net = {alice, 32}}, true},
    };
    uint64_t kicked = 0;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        dial(x, 1);
        put(x, row[i].b);
        uint32_t calls = left(x);
        if (calls != !row[i].ends)
            fail_msg("row %zu: %u calls", i, calls);
        kicked += row[i].ends;
        assert_int_equal(counted(x, REASON_shield_kicked), kicked);
        assert_true(ban_del(x->g.bans, TEST_BANS, &row[i].b));
        uint32_t it = 0;
        struct call *call = pool_next(&x->g.core[0]->calls, &it);
        if (call)
            call_end(call, REASON_call_cancelled, 487, 'a');
        pass_ms(x, 33000);
        intents_reset(&x->g.intents[0]);
    }
}

static void the_record_says_why(void **state)
{
    struct fixture *x = *state;
    struct ban b = {.scope = BAN_SOURCE, .treat = TREAT_KICK};
    dial(x, 1);
    b.net = (struct prefix){test_addr("203.0.113.5:0"), 32};
    put(x, b);
    shield_tick(core_at(x));
    collect(x);
    const struct fact *f = fact_at(x, FACT_CALL_END, 0);
    assert_non_null(f);
    assert_int_equal(f->reason, REASON_shield_kicked);
    assert_int_equal(f->code, 403);
    assert_int_equal(f->u.end.ended_by, 'g');
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
}

/* 256 at a look; who comes after them has his turn with the next. */
static void some_at_a_time(void **state)
{
    struct fixture *x = *state;
    struct ban b = {.scope = BAN_SOURCE, .treat = TREAT_KICK};
    struct guard_policy *p = &x->g.policy.guard;
    p->source_rate = p->known_rate = p->aor_rate = p->device_rate = 1000000;
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    dial(x, 300);
    assert_int_equal(left(x), 300); /* nobody is banned */
    b.net = (struct prefix){test_addr("203.0.113.5:0"), 32};
    put(x, b);
    x->g.core[0]->env.bans_cap = 0; /* or nobody looks */
    assert_int_equal(left(x), 300);
    x->g.core[0]->env.bans_cap = TEST_BANS;
    assert_int_equal(left(x), 300 - 256);
    assert_int_equal(left(x), 0);
    assert_true(ban_del(x->g.bans, TEST_BANS, &b));
    pass_ms(x, 40000);
    dial(x, 1);
    put(x, b);
    assert_int_equal(left(x), 0); /* the look goes round */
}

/* --- for people --- */

static char text[8192];
static const char *explain(struct fixture *x, const char *addr, const char *name)
{
    struct out o = out_of(text, sizeof text - 1);
    struct addr a = {0};
    if (addr && *addr)
        a = test_addr(addr);
    core_explain_json(x->g.core[0], addr ? &a : NULL, str_c(name), &o, x->g.now);
    assert_false(o.full);
    text[out_str(&o).n] = 0;
    return text;
}

static void who_is_unknown(void **state)
{
    struct fixture *x = *state;
#define NAMED "\"aor\":null,\"number\":null"
    assert_string_equal(explain(x, MALLORY, ""),
                        "{\"tier\":\"unknown\",\"source\":null,\"devices\":[]}");
    assert_string_equal(explain(x, PBX, ""), "{\"tier\":\"trunk\",\"source\":null,\"devices\":[]}");
    assert_string_equal(explain(x, NULL, "alice"), "{" NAMED ",\"devices\":[]}");
    assert_string_equal(explain(x, "", "alice"), "{" NAMED ",\"devices\":[]}"); /* of no family */
    assert_string_equal(explain(x, MALLORY, "alice"),
                        "{\"tier\":\"unknown\",\"source\":null,\"devices\":[]," NAMED "}");
    assert_string_equal(explain(x, NULL, ""), "{}");
    static char longest[4096];
    memset(longest, 'a', sizeof longest - 1);
    assert_string_equal(explain(x, NULL, longest), "{" NAMED ",\"devices\":[]}");
    assert_string_equal(explain(x, NULL, "a\"b\r\n"), "{" NAMED ",\"devices\":[]}");
}

/* What was observed of alice is found by her name alone, by name and domain, and of no other. */
static void who_is_known(void **state)
{
    struct fixture *x = *state;
    const struct sipkey *k = &x->g.cfg[0].hash_key;
    struct obs o = obs_from(MALLORY, OBS_PROVEN | OBS_GUESS);
    o.aor = location_hash(k, STR("alice@example.com"));
    o.number = siphash(k, STR("0301234"));
    o.device = device_hash(99, true);
    for (unsigned i = 0; i < 60; i++)
        core_observe(x->g.core[0], &o, x->g.now);
    o.method = SIP_INVITE; /* a call to that number, that passes */
    o.reason = REASON_NONE;
    o.code = 0;
    core_observe(x->g.core[0], &o, x->g.now);
    collect(x);
    static const char *const hers[] = {"alice", "alice@example.com"}, *const others[] = {
                                                                          "bob",
                                                                          "alice@example.net",
                                                                          "lice", "alice@"};
    for (size_t i = 0; i < ARRAY_LEN(hers); i++) {
        assert_non_null(strstr(explain(x, NULL, hers[i]), "{\"aor\":{\"entity\":\"aor\","));
        assert_non_null(strstr(text, "\"devices\":[{"));
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_string_equal(explain(x, NULL, others[i]), "{" NAMED ",\"devices\":[]}");
    assert_non_null(strstr(explain(x, NULL, "0301234"), "\"number\":{\"entity\":\"number\","));
    assert_non_null(strstr(explain(x, MALLORY, ""), "\"source\":{\"entity\":\"source\","));
    assert_non_null(strstr(text, "\"devices\":[{"));
    assert_non_null(strstr(explain(x, "203.0.113.67:1", ""), "\"source\":null,\"devices\":[]"));
    struct out top = out_of(text, sizeof text - 1);
    core_top_json(x->g.core[0], 1, &top, x->g.now);
    text[top.n] = 0;
    assert_non_null(strstr(text, "\"address\":\"203.0.113.66\""));
}

static void where_it_is(void **state)
{
    struct fixture *x = *state;
    static const struct geo4 area = {0xcb007142, 0xcb007142, 'F' << 8 | 'R', 0};
    static uint8_t room[256] ALIGNED(8);
    struct geo *g = (struct geo *)(void *)room;
    *g = (struct geo){.magic = GEO_MAGIC, .n4 = 1};
    memcpy(g->data, &area, sizeof area);
    core_geo(x->g.core[0], g);
    assert_non_null(strstr(explain(x, MALLORY, ""), "\"country\":\"FR\","));
    assert_null(strstr(explain(x, ALICE, ""), "country"));
    assert_null(strstr(explain(x, NULL, "alice"), "country"));
    core_geo(x->g.core[0], NULL);
    assert_null(strstr(explain(x, MALLORY, ""), "country"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(kept_once),
                                       T(what_is_not_kept),
                                       T(whom_an_alert_is_about),
                                       T(of_a_rule),
                                       T(within_their_shares),
                                       T(hard_and_mild),
                                       T(bans),
                                       T(banned_without_a_word),
                                       T(whose_call_ends),
                                       T(the_record_says_why),
                                       T(some_at_a_time),
                                       T(who_is_unknown),
                                       T(who_is_known),
                                       T(where_it_is)};
    return cmocka_run_group_tests_name("shield_tell", tests, NULL, NULL);
}
