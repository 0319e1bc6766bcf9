#include "base/test.h"
#include "guard/scene.h"

static struct scene sc;
static char text[65536];
static int open1(void **state)
{
    (void)state;
    scene_open(&sc, 1, 1024);
    return 0;
}
static int shut(void **state)
{
    (void)state;
    scene_close(&sc);
    return 0;
}

static bool has(struct str s, const char *part)
{
    bool ok = str_search(s, str_c(part)) < s.n;
    if (!ok)
        print_error("no %s in " STR_FMT "\n", part, STR_ARG(s));
    return ok;
}

static void of_a_source(void **state)
{
    (void)state;
    struct out o = out_of(text, sizeof text);
    struct addr a = ip4(ATTACKER);
    uint64_t hash = guard_hash(sc.g[0], &a);
    assert_false(guard_explain(sc.g[0], ENTITY_SOURCE, hash, sc.now, &o));
    assert_int_equal(o.n, 0);
    struct obs x = request(ATTACKER, SIP_REGISTER, REASON_auth_required, OBS_DECOY | OBS_PROVEN);
    x.evidence = 99;
    memcpy(x.who, "a\"b@example.com", 15);
    x.who_n = 15;
    scene_do(&sc, &x);
    x.flags = 0;
    scene_do(&sc, &x);
    scene_wait(&sc, 10000);
    assert_true(guard_explain(sc.g[0], ENTITY_SOURCE, hash, sc.now, &o));
    struct str s = out_str(&o);
    assert_true(has(s, "{\"entity\":\"source\",\"address\":\"203.0.113.1\""));
    assert_true(has(s, "\"who\":\"a\\\"b@example.com\""));
    assert_true(has(s, "\"tier\":\"unknown\""));
    assert_true(has(s, "\"proof\":\"proven\",\"score\":100"));
    assert_true(has(s, "\"idle_s\":10"));
    assert_true(has(s, "\"fired\":[\"decoy\"],\"last\":\"decoy\""));
    assert_true(has(s, "\"reason\":\"auth_required\",\"evidence\":99"));
    assert_true(has(s, "\"asked\":\"ban\",\"asked_left_s\":35"));
    assert_true(has(s, "},{\"proof\":\"claimed\",\"score\":0"));
    assert_true(str_ends(s, STR("]}")));
}

static void of_others(void **state)
{
    (void)state;
    struct out o = out_of(text, sizeof text);
    for (unsigned i = 0; i < 9; i++)
        scene_guess(&sc, ATTACKER, 5);
    assert_true(guard_explain(sc.g[0], ENTITY_AOR, name_of(5), sc.now, &o));
    assert_true(has(out_str(&o), "\"entity\":\"aor\""));
    assert_true(has(out_str(&o), "\"last\":\"guess_user\""));
    assert_false(guard_explain(sc.g[0], ENTITY_NUMBER, name_of(5), sc.now, &o));
    assert_false(guard_explain(sc.g[0], ENTITY_DEVICE, name_of(5), sc.now, &o));
    uint64_t device = device_hash(name_of(6), true);
    struct addr a = ip4(ATTACKER);
    for (unsigned i = 0; i < 16; i++) {
        struct obs x = request(i < 8 ? ATTACKER : OFFICE, SIP_REGISTER, REASON_auth_failed,
                               OBS_PROVEN | OBS_GUESS);
        x.aor = name_of(5);
        x.device = device;
        scene_do(&sc, &x);
    }
    o = out_of(text, sizeof text);
    assert_true(guard_explain(sc.g[0], ENTITY_DEVICE, device, sc.now, &o));
    assert_true(has(out_str(&o), "{\"entity\":\"device\""));
    assert_true(has(out_str(&o), "\"known_by\":\"instance\""));
    assert_true(has(out_str(&o), "\"proof\":\"proven\",\"score\":0"));
    assert_true(has(out_str(&o), "},{\"proof\":\"proven\"")); /* at the other source */
    o = out_of(text, sizeof text);
    guard_devices(sc.g[0], guard_hash(sc.g[0], &a), 0, 9, sc.now, &o);
    assert_true(has(out_str(&o), "{\"entity\":\"device\",\"address\":\"203.0.113.1\""));
    assert_true(str_search(out_str(&o), STR("198.51.100.1")) == o.n);
    guard_devices(sc.g[0], 0, name_of(5), 9, sc.now, &o);
    assert_true(has(out_str(&o), "\"address\":\"198.51.100.1\""));
    size_t was = o.n;
    guard_devices(sc.g[0], 0, name_of(4), 9, sc.now, &o);
    assert_int_equal(o.n, was);
    assert_false(guard_explain(sc.g[0], ENTITY_ALL, name_of(5), sc.now, &o));
}

static void the_highest_first(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 100; i++) {
        struct obs x = request(ATTACKER + i * 300, SIP_REGISTER, REASON_NONE, OBS_PROVEN);
        x.kind = OBS_RULE;
        x.weight = (uint8_t)(1 + i * 37 % 100);
        scene_do(&sc, &x);
    }
    struct out o = out_of(text, sizeof text);
    guard_top(sc.g[0], 10, sc.now, &o);
    struct str s = out_str(&o);
    unsigned n = 0, last = 1000;
    for (size_t at; (at = str_search(s, STR("\"score\":"))) < s.n; n++) {
        struct str digits;
        uint32_t v = 0;
        s = str_skip(s, at + 8);
        str_cut(s, ',', &digits);
        assert_ok(str_u32(digits, 1000, &v));
        assert_true(v <= last);
        last = v;
    }
    assert_int_equal(n, 10);
    assert_int_equal(last, 91);
    o = out_of(text, sizeof text);
    guard_top(sc.g[0], 0, sc.now, &o);
    assert_int_equal(o.n, 0);
    guard_top(sc.g[0], 100000, sc.now, &o); /* no more than 64 */
    assert_false(o.full);
    o = out_of(text, 100); /* a small buffer is not overrun */
    guard_top(sc.g[0], 10, sc.now, &o);
    assert_true(o.full && o.n <= 100);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open1, shut)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(of_a_source),
        T(of_others),
        T(the_highest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
