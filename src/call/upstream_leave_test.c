/* How registrations of ours end: with the last phone, by drain and stop, and a reload. */
#include "call/upstream_test.h"

/* Unregistering, and an expiry that nobody announces. */
static void goes_with_the_last_phone(void **state)
{
    struct fixture *x = *state;
    for (int expiry = 0; expiry < 2; expiry++) {
        if (expiry)
            alice_again(x, 30, "Contact: <sip:alice@203.0.113.5:5060>;expires=60\r\n");
        else
            alice_fronted(x, "Expires: 3600\r\n");
        if (expiry) {
            answered(x, keep(wait_register(x, PBX, 500, NULL)), 200, "Expires: 3600\r\n");
            assert_null(wait_register(x, PBX, 59000, NULL));
        } else {
            alice_again(x, 10, "Contact: <sip:alice@203.0.113.5:5060>;expires=0\r\n");
        }
        const char *m = keep(wait_register(x, PBX, 5000, NULL));
        assert_str(field(m, "Expires"), "0");
        assert_str(field(m, "Contact"), "<sip:alice@" TEST_INSIDE ":5060>");
        answered(x, m, 200, "");
        const struct fact *f = fact_of(x);
        assert_non_null(f);
        assert_true(f->u.upstream.expires_us == 0);
        assert_int_equal(core_usage(x->g.core[0]).upstream, 0);
    }
    nothing_left(x);
}

static void one_breath_of_absence_is_not_told(void **state)
{
    struct fixture *x = *state;
    alice_fronted(x, "Expires: 3600\r\n");
    alice_again(x, 10, "Contact: *\r\nExpires: 0\r\n");
    alice_again(x, 12, "Contact: <sip:alice@203.0.113.5:5060>\r\n");
    assert_null(wait_register(x, PBX, 60000, NULL));
    assert_int_equal(core_usage(x->g.core[0]).upstream, 1);
}

/* Comes back while its goodbye is under way. */
static void back_before_the_goodbye_is_answered(void **state)
{
    struct fixture *x = *state;
    alice_fronted(x, "Expires: 3600\r\n");
    alice_again(x, 10, "Contact: *\r\nExpires: 0\r\n");
    keep(wait_register(x, PBX, 2000, NULL));
    alice_again(x, 12, "Contact: <sip:alice@203.0.113.5:5060>\r\n");
    answered(x, kept, 200, "");
    const char *m = wait_register(x, PBX, 1000, NULL);
    assert_non_null(m);
    assert_str(field(m, "Expires"), "600");
}

static void draining_takes_leave(void **state)
{
    struct fixture *x = *state;
    own(x, 1800);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 200, "");
    core_drain(x->g.core[0], true);
    const char *m = keep(wait_register(x, PBX, 2000, NULL));
    assert_str(field(m, "Expires"), "0");
    answered(x, m, 200, "");
    assert_int_equal(core_usage(x->g.core[0]).upstream, 0);
    core_drain(x->g.core[0], false);
    assert_str(field(keep(wait_register(x, PBX, 2000, NULL)), "Expires"), "1800");
}

static void stopping_takes_leave_at_once(void **state)
{
    struct fixture *x = *state;
    own(x, 1800);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 200, "");
    front(x);
    register_alice(x);
    const char *m = keep(wait_register(x, PBX, 500, NULL)); /* alice's waits for its answer */
    core_leave(x->g.core[0], x->g.now);
    assert_int_equal(core_usage(x->g.core[0]).upstream, 2);
    pass_ms(x, 2);
    const char *bye = sent(x, PBX, "REGISTER ");
    assert_non_null(bye);
    assert_str(field(bye, "To"), "<sip:gateway@198.51.100.10>");
    assert_str(field(bye, "Expires"), "0");
    answered(x, bye, 200, "");
    answered(x, m, 200, "");
    pass_ms(x, 2);
    bye = sent(x, PBX, "REGISTER ");
    assert_non_null(bye);
    assert_str(field(bye, "To"), "<sip:alice@198.51.100.10>");
    assert_str(field(bye, "Expires"), "0");
    answered(x, bye, 200, "");
    assert_int_equal(core_usage(x->g.core[0]).upstream, 0);
    assert_null(wait_register(x, PBX, 5000, NULL));
}

/* Answers to one engine may come to another one's socket. */
static void all_engines_wait_for_the_last(void **state)
{
    struct gateway *g = calloc(1, sizeof *g);
    struct service_board *b[2] = {calloc(1, service_bytes(10)), calloc(1, service_bytes(10))};
    (void)state;
    gateway_init(g, 2, 3);
    g->policy.peers[0].register_s = 600;
    for (unsigned i = 0; i < 2; i++) {
        g->cfg[i].service[0] = b[0];
        g->cfg[i].service[1] = b[1];
        g->cfg[i].service_own = b[i];
        g->cfg[i].service_cap = 10;
        memset(g->mem[i], 0, core_bytes(&g->cfg[i]));
        b[i]->regs = 77; /* of an engine that died */
        g->core[i] = core_init(g->mem[i], &g->cfg[i], g->now);
    }
    unsigned keeper = core_usage(g->core[1]).upstream == 1;
    g->now.mono.us += 10000;
    core_tick(g->core[keeper], g->now); /* it asks */
    for (unsigned i = 0; i < 2; i++) {
        core_leave(g->core[i], g->now);
        assert_int_equal(core_usage(g->core[i]).upstream, i == keeper);
        assert_false(core_left(g->core[i]));
    }
    for (int i = 0; i < 700; i++) { /* neither address answers */
        g->now.mono.us += 100000;
        core_tick(g->core[keeper], g->now);
        intents_reset(&g->intents[keeper]);
    }
    assert_true(core_left(g->core[0]) && core_left(g->core[1]));
    free(b[0]);
    free(b[1]);
    gateway_done(g);
    free(g);
}

static void who_never_came_need_not_leave(void **state)
{
    struct fixture *x = *state;
    own(x, 1800);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 403, "");
    assert_int_equal(core_usage(x->g.core[0]).upstream, 1);
    core_leave(x->g.core[0], x->g.now);
    assert_int_equal(core_usage(x->g.core[0]).upstream, 0);
}

/* A goodbye that fails is not repeated for ever. */
static void a_goodbye_without_answer_ends(void **state)
{
    struct fixture *x = *state;
    own(x, 1800);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 200, "");
    own(x, 0);
    answered(x, keep(wait_register(x, PBX, 2000, NULL)), 500, "");
    assert_int_equal(core_usage(x->g.core[0]).upstream, 0);
    nothing_left(x);
}

/* A drain of many is spread, and so is what comes back after it. */
static void many_do_not_leave_at_once(void **state)
{
    struct fixture *x = *state;
    enum { N = 640 };
    char aor[32];
    front(x);
    for (int i = 0; i < N; i++) {
        struct binding b = {.contact_len = 5, .expires = {INT64_MAX}, .flow = alice()};
        b.aor_len = (uint8_t)snprintf(aor, sizeof aor, "u%d@example.com", i);
        memcpy(b.aor, aor, b.aor_len);
        memcpy(b.contact, "sip:x", 5);
        core_restore(x->g.core[0], &b, 1, x->g.now);
    }
    static char text[64][4096];
    for (int leaving = 0; leaving < 2; leaving++) {
        unsigned sent_n = 0;
        for (int i = 0; i < 200 && sent_n < N; i++) {
            pass_ms(x, 25);
            size_t n = x->n_got;
            assert_true(n < 64); /* no burst */
            memcpy(text, x->text, sizeof text);
            for (size_t k = 0; k < n; k++)
                if (strncmp(text[k], "REGISTER ", 9) == 0) {
                    assert_string_equal(field(text[k], "Expires").p, leaving ? "0" : "600");
                    sent_n++;
                    answered(x, text[k], 200, "Expires: 3600\r\n");
                }
        }
        assert_int_equal(sent_n, N);
        core_drain(x->g.core[0], true);
    }
    assert_int_equal(core_usage(x->g.core[0]).upstream, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(goes_with_the_last_phone),
                                       T(one_breath_of_absence_is_not_told),
                                       T(back_before_the_goodbye_is_answered),
                                       T(draining_takes_leave),
                                       T(stopping_takes_leave_at_once),
                                       T(who_never_came_need_not_leave),
                                       cmocka_unit_test(all_engines_wait_for_the_last),
                                       T(a_goodbye_without_answer_ends),
                                       T(many_do_not_leave_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
