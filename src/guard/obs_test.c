#include "base/test.h"
#include "guard/scene.h"

static void rows(void **state)
{
    (void)state;
    struct obs good = request(ATTACKER, SIP_INVITE, REASON_auth_required, OBS_PROVEN), o;
    memcpy(good.who, "bob", 3);
    good.who_n = 3;
    assert_ok(obs_valid(&good, sizeof good));
    assert_err(obs_valid(&good, sizeof good - 1), ERR_SYNTAX);
    assert_err(obs_valid(&good, 0), ERR_SYNTAX);
#define BAD(change)                                                                                \
    do {                                                                                           \
        o = good;                                                                                  \
        change;                                                                                    \
        assert_err(obs_valid(&o, sizeof o), ERR_SYNTAX);                                           \
    } while (0)
    BAD(o.kind = 0);
    BAD(o.kind = OBS_KIND_COUNT);
    BAD(o.method = SIP_METHOD_COUNT);
    BAD(o.reason = REASON_COUNT);
    BAD(o.n = 0);
    BAD(o.who_n = OBS_WHO + 1);
    BAD(o.who[1] = '\n');
    BAD(o.who[2] = (char)0xff);
    BAD(o.flags = 1024);
    BAD(o.source.family = 5);
    BAD((o.kind = OBS_FEED, o.value = GUARD_FEEDS));
    o = good;
    o.who[3] = '\n'; /* behind its end */
    o.who_n = 3;
    assert_ok(obs_valid(&o, sizeof o));
    o.source = (struct addr){0};
    assert_ok(obs_valid(&o, sizeof o));
    o.reason = REASON_COUNT - 1;
    assert_ok(obs_valid(&o, sizeof o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
