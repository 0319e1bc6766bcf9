/* Whose message it is, of several engines. */
#include "call/core_fixture.h"

/* Another token, whose last bits stay 0. */
static void forge(char *tag)
{
    char *c = &tag[strlen(tag) - 4];
    *c = *c == 'b' ? 'c' : 'b';
}

static struct intents *put(struct gateway *g, unsigned engine, const struct flow *f,
                           const char *text)
{
    intents_reset(&g->intents[engine]);
    core_message(g->core[engine], f, str_c(text), false, g->now);
    return &g->intents[engine];
}

/* The engine that a message is handed to; that which got it if it is its own. */
static unsigned owner(struct gateway *g, unsigned engine, const struct flow *f, const char *text)
{
    const struct intents *i = put(g, engine, f, text);
    for (size_t k = 0; k < i->n; k++)
        if (i->v[k].kind == INTENT_FORWARD) {
            assert_int_equal(i->n, 1); /* and nothing else was done */
            assert_str_eq(i->v[k].bytes, str_c(text));
            assert_true(addr_eq(&i->v[k].flow.peer, &f->peer));
            return i->v[k].engine;
        }
    return engine;
}

static void owners(void **state)
{
    struct gateway *g = calloc(1, sizeof *g);
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    unsigned seen[TEST_ENGINES] = {0};
    char id[32], text[4096], to[256];
    (void)state;
    gateway_init(g, TEST_ENGINES, 7);
    for (unsigned n = 0; n < 64; n++) { /* one Call-ID, one engine, whichever has received it */
        unsigned first = TEST_ENGINES;
        (void)snprintf(id, sizeof id, "call-%u", n);
        for (unsigned e = 0; e < TEST_ENGINES; e++) {
            unsigned o =
                owner(g, e, &fp,
                      request("OPTIONS", "sip:" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                              "<sip:" TEST_INSIDE ">", id, (int)(1 + e), "", ""));
            first = e ? first : o;
            assert_int_equal(o, first);
        }
        seen[first]++;
    }
    for (unsigned e = 0; e < TEST_ENGINES; e++)
        assert_true(seen[e] > 4);
    /* REGISTER: by the user, whatever the Call-ID and however it is spelt */
    unsigned home = TEST_ENGINES;
    for (unsigned n = 0; n < 16; n++) {
        (void)snprintf(id, sizeof id, "reg-%u", n);
        const char *uri = n % 2 ? "<sip:alice@EXAMPLE.com>" : "<sip:alice@example.com>";
        unsigned o = owner(g, n % TEST_ENGINES, &fa,
                           request("REGISTER", "sip:example.com", "<sip:alice@example.com>;tag=1",
                                   uri, id, 1, "", ""));
        home = n ? home : o;
        assert_int_equal(o, home);
    }
    assert_int_equal(home, siphash(&g->cfg[0].hash_key, STR("alice@example.com")) % TEST_ENGINES);
    /* What bears a tag of ours goes where that was made, whatever its Call-ID. */
    for (unsigned e = 0; e < TEST_ENGINES; e++) {
        char tag[TOKEN_CHARS];
        tag_of(g->core[e], (struct handle){5, 5}, tag);
        (void)snprintf(to, sizeof to, "<sip:" TEST_INSIDE ">;tag=%.*s", (int)sizeof tag, tag);
        for (unsigned by = 0; by < TEST_ENGINES; by++) {
            (void)snprintf(id, sizeof id, "tagged-%u", by);
            (void)snprintf(text, sizeof text, "%s",
                           request("BYE", "sip:" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", to,
                                   id, 2, "", ""));
            assert_int_equal(owner(g, by, &fp, text), e);
        }
    }
    /* One that only looks like it does not: it goes by the Call-ID. */
    forge(to);
    unsigned o = owner(g, 0, &fp,
                       request("BYE", "sip:" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", to,
                               "call-0", 2, "", ""));
    assert_int_equal(o, siphash(&g->cfg[0].hash_key, STR("call-0")) % TEST_ENGINES);
    gateway_done(g);
    free(g);
}

/* Calls of a phone go where its user is at home, so that what he spends lies in one engine, or
 * where its address says if it does not tell who that is; those of a peer by the Call-ID. */
static void callers_home(void **state)
{
    static const char *const from[] = {"<sip:alice@example.com>;tag=1",
                                       "\"A\" <sip:alice@EXAMPLE.com:5060>;tag=2"},
                             *const stranger = "<sip:anonymous@anonymous.invalid>;tag=1";
    struct gateway *g = calloc(1, sizeof *g);
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    unsigned home, peers = 0, strangers = 0, options = 0;
    char id[32];
    (void)state;
    gateway_init(g, TEST_ENGINES, 7);
    unsigned by_place = (unsigned)(addr_hash(&g->cfg[0].hash_key, &fa.peer) % TEST_ENGINES);
    uint64_t who = ledger_key_of(&g->cfg[0].ledger_key, LEDGER_IDENTITY, STR("alice@example.com"));
    home = ledger_home(who, TEST_ENGINES);
    for (unsigned n = 0; n < 32; n++) {
        const char *method = n % 2 ? "INVITE" : "CANCEL", *to = "<sip:200@example.com>";
        (void)snprintf(id, sizeof id, "call-%u", n);
        unsigned by_id = siphash(&g->cfg[0].hash_key, str_c(id)) % TEST_ENGINES;
        unsigned e = n % TEST_ENGINES;
#define OWNER(flow, method, from)                                                                  \
    owner(g, e, flow, request(method, "sip:200@example.com", from, to, id, 1, "", ""))
        assert_int_equal(OWNER(&fa, method, from[n / 2 % 2]), home);
        peers += OWNER(&fp, method, from[0]) == by_id;
        strangers += OWNER(&fa, method, stranger) == by_place;
        options += OWNER(&fa, "OPTIONS", from[0]) == by_id;
    }
    assert_true(peers == 32 && strangers == 32 && options == 32);
    /* Whoever is handed one keeps it: two engines with policies of two ages would hand it on for
     * ever. */
    for (unsigned e = 0; e < TEST_ENGINES; e++) {
        intents_reset(&g->intents[e]);
        core_forwarded(g->core[e], &fa,
                       str_c(request("INVITE", "sip:200@example.com", from[0],
                                     "<sip:200@example.com>", "handed", 1, "", "")),
                       false, g->now);
        for (size_t k = 0; k < g->intents[e].n; k++)
            assert_int_not_equal(g->intents[e].v[k].kind, INTENT_FORWARD);
        assert_true(g->intents[e].n > 0);
    }
    gateway_done(g);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(owners), cmocka_unit_test(callers_home)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
