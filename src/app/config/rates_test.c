#include "app/config/config_test.h"

#define BASE D CERTS TLS ZONE
#define PEER(more)                                                                                 \
    "peers: [{name: p, kind: trunk, zone: phones, listener: tls, address: 192.0.2.9, tls_name: "   \
    "a, " more "}]\n"

static void read_whole(void **state)
{
    (void)state;
    assert_ok(load(BASE "sites: [{name: b, country: DE}, {name: w, country: AT}]\n"
                        "rates:\n  currency: CHF\n  decks:\n"
                        "    - {name: one, file: /x/one.csv}\n"
                        "    - {name: two, file: two.csv, minimum: 1s, increment: 6s}\n"
                        "  caps: {calls: 40, attempts: 300, money: {day: 300, month: 2000.50}}\n"
                        "  class_caps: {premium: {minutes: {day: 10}}, toll-free: {calls: 3}}\n"
                        "  places:\n    - {country: AT, caps: {calls: 5}}\n"
                        "    - {prefix: \"+8816\", caps: {money: {day: 4}}}\n" PEER(
                            "deck: two, priority: 7, site: w, caps: {calls: 9}")));
    assert_string_equal(said, "");
    const struct policy *p = &cfg.policy;
    assert_str(policy_text(p, p->currency), "CHF");
    assert_int_equal(p->n_decks, 2);
    assert_str(policy_text(p, p->decks[1]), "two");
    assert_string_equal(cfg.decks[0].file, "/x/one.csv");
    assert_string_equal(cfg.decks[1].file, "/srv/ringwall/two.csv");
    assert_int_equal(cfg.decks[0].minimum_s, 60);
    assert_int_equal(cfg.decks[1].minimum_s, 1);
    assert_int_equal(cfg.decks[1].increment_s, 6);
    assert_int_equal(p->system.calls, 40);
    assert_int_equal(p->system.micro[SPAN_MONTH], 2000500000);
    assert_int_equal(p->class_caps[CLASS_PREMIUM].seconds[SPAN_DAY], 600);
    assert_int_equal(p->class_caps[CLASS_TOLL_FREE].calls, 3);
    assert_int_equal(p->class_caps[CLASS_MOBILE].calls, 0);
    assert_int_equal(p->n_places, 2);
    assert_int_equal(p->places[0].country, 'A' << 8 | 'T');
    assert_int_equal(p->places[0].caps.calls, 5);
    assert_int_equal(p->places[1].country, 0);
    assert_memory_equal(p->places[1].prefix, "8816", 4);
    assert_int_equal(p->places[1].prefix_n, 4);
    assert_int_equal(p->places[1].caps.micro[SPAN_DAY], 4000000);
    const struct policy_peer *pe = &p->peers[0];
    assert_int_equal(pe->deck, 2);
    assert_int_equal(pe->priority, 7);
    assert_int_equal(pe->caps.calls, 9);

    assert_str(policy_text(p, pe->site), "w");
    assert_ok(load(BASE PEER("priority: 0")));
    assert_int_equal(cfg.policy.peers[0].deck, 0);
    assert_int_equal(cfg.policy.n_decks, 0);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } ROWS[] = {
        {"rates: {currency: eur}\n", "\"eur\" is no currency"},
        {"rates: {currency: EURO}\n", "\"EURO\" is no currency"},
        {"rates: {prices: 1}\n", "unknown key \"prices\""},
        {"rates: {decks: [{name: a}]}\n", "\"file\" is missing"},
        {"rates: {decks: [{file: a.csv}]}\n", "\"name\" is missing"},
        {"rates: {decks: [{name: a, file: a}, {name: a, file: b}]}\n", "two decks have the name"},
        {"rates: {decks: [{name: a, file: a, minimum: 0s}]}\n", "minimum"},
        {"rates: {decks: [{name: a, file: a, increment: 2h}]}\n", "increment"},
        {"rates: {class_caps: {dear: {calls: 1}}}\n", "unknown key \"dear\""},
        {"rates: {caps: {money: {week: 1}}}\n", "unknown key \"week\""},
        {"rates: {places: [{country: AT}]}\n", "\"caps\" is missing"},
        {"rates: {places: [{caps: {calls: 1}}]}\n", "a country or a prefix"},
        {"rates: {places: [{country: AT, prefix: \"43\", caps: {calls: 1}}]}\n",
         "a country or a prefix"},
        {"rates: {places: [{prefix: x, caps: {calls: 1}}]}\n", "is no prefix"},
        {"rates: {places: [{prefix: \"+43x\", caps: {calls: 1}}]}\n", "is no prefix"},
        {"rates: {places: [{country: ZZ, caps: {calls: 1}}]}\n", "is no country"},
        {"rates: {places: [{prefix: \"43\", caps: {calls: 1}}, {prefix: \"+43\", caps: {calls: "
         "2}}]}\n",
         "there twice"},
        {PEER("deck: b"), "there is no deck named \"b\""},
        {PEER("site: b"), "there is no site named \"b\""},
        {PEER("priority: 256"), "priority"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%s%s", BASE, ROWS[i].text);
        if (load(text) != ERR_SYNTAX || !strstr(said, ROWS[i].says))
            print_error("row %zu: %s\n", i, said);
        assert_err(load(text), ERR_SYNTAX);
        assert_non_null(strstr(said, ROWS[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_whole),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
