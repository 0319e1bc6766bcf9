/* Questions about calls: so many at once, so many that wait, in their order and not too late. The
 * web is played by the test. */
#include "app/fetch/consult.h"
#include "base/test.h"
#include "io/clock.h"
#include <stdlib.h>

/* -- the web -- */

struct web {
    bool busy;
    struct web_ask ask;
    char body[CONSULT_BODY_MAX + 1];
    web_fn *fn;
    void *ctx;
};
static struct web webs[CONSULT_JOBS];
static unsigned n_webs, n_busy, most_busy;

struct web *web_new(struct event_base *base, web_resolve_fn *resolve, void *resolver)
{
    (void)base, (void)resolve, (void)resolver;
    return &webs[n_webs++];
}

bool web_busy(const struct web *w)
{
    return w->busy;
}

enum err web_get(struct web *w, const struct web_ask *a, web_fn *fn, void *ctx)
{
    const char *why = "";
    assert_false(w->busy);
    assert_true(a->may(a->may_ctx, str_c(a->url), &why));
    assert_false(a->may(a->may_ctx, STR("https://judge.example.net/elsewhere"), &why));
    w->ask = *a;
    w->fn = fn;
    w->ctx = ctx;
    w->busy = true;
    memcpy(w->body, a->post.p, a->post.n);
    w->body[a->post.n] = 0;
    n_busy++;
    most_busy = MAX(most_busy, n_busy);
    return OK;
}

void web_turn(struct web *w, struct instant now)
{
    (void)w, (void)now;
}

/* -- the program -- */

static struct {
    uint32_t id;
    uint16_t reason;
} said[256];
static unsigned n_said, n_notes;
static char noted[256];

static void done(void *ctx, const struct msg_consult *m)
{
    (void)ctx;
    assert_true(n_said < ARRAY_LEN(said));
    assert_int_equal(m->engine, 3);
    said[n_said].id = m->id;
    said[n_said++].reason = m->reason;
}

static void note(void *ctx, uint8_t severity, const char *text)
{
    (void)ctx, (void)severity;
    n_notes++;
    (void)snprintf(noted, sizeof noted, "%s", text);
}

static struct policy p;
static struct consult *x;
static struct now now;

static int setup(void **state)
{
    static const char url[] = "https://judge.example.net/calls";
    const struct consult_cfg cfg = {.done = done, .note = note};
    (void)state;
    memset(&p, 0, sizeof p);
    memset(webs, 0, sizeof webs);
    n_webs = n_busy = most_busy = n_said = n_notes = 0;
    memcpy(p.text, url, sizeof url - 1);
    p.text_n = sizeof url - 1;
    p.consult = (struct policy_consult){
        .on = true, .peer = POLICY_NONE, .wait_ms = 500, .url = {0, sizeof url - 1}};
    now = (struct now){{1000000}, {1700000000000000}};
    x = consult_new(&cfg);
    assert_non_null(x);
    consult_policy(x, &p, STR("pem"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(x);
    return 0;
}

static void ask(uint32_t id, uint32_t wait_ms)
{
    char body[64];
    const struct msg_consult m = {.id = id, .wait_ms = wait_ms, .engine = 3};
    (void)snprintf(body, sizeof body, "{\"session\":%u}", id);
    consult_ask(x, &m, str_c(body), now);
}

static void answer(unsigned web, unsigned status, const char *body)
{
    struct web *w = &webs[web];
    const struct web_answer a = {
        .status = status, .body = str_c(body), .etag = "", .modified = "", .cache = ""};
    assert_true(w->busy);
    w->busy = false;
    n_busy--;
    w->fn(w->ctx, &a);
}

static void what_is_said(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        enum reason reason;
    } row[] = {{200, "{\"allow\":true}", REASON_NONE},
               {200, "{\"allow\":false}", REASON_fraud_asked},
               {403, "", REASON_fraud_asked},
               {200, "{}", REASON_consult_failed},
               {500, "{\"allow\":true}", REASON_consult_failed},
               {0, "", REASON_consult_failed}};
    (void)state;
    for (uint32_t i = 0; i < ARRAY_LEN(row); i++) {
        ask(7 + i, 500);
        assert_string_equal(webs[0].ask.url, "https://judge.example.net/calls");
        assert_int_equal(webs[0].ask.limit_ms, 500);
        assert_int_equal(webs[0].ask.redirects, 0);
        assert_int_equal(webs[0].ask.most, CONSULT_ANSWER_MAX);
        assert_false(webs[0].ask.inside || webs[0].ask.plain);
        assert_true(str_eq(webs[0].ask.ca_pem, STR("pem")));
        answer(0, row[i].status, row[i].body);
        assert_int_equal(n_said, i + 1);
        assert_int_equal(said[i].id, 7 + i);
        assert_int_equal(said[i].reason, row[i].reason);
    }
    assert_int_equal(n_notes, 1); /* not a line for each */
}

static void so_many(void **state)
{
    uint32_t all = CONSULT_JOBS + CONSULT_WAITING;
    (void)state;
    for (uint32_t i = 0; i < all; i++)
        ask(i, 500);
    assert_int_equal(n_said, 0);
    assert_int_equal(most_busy, CONSULT_JOBS);
    ask(all, 500); /* no place is left */
    assert_int_equal(n_said, 1);
    assert_int_equal(said[0].id, all);
    assert_int_equal(said[0].reason, REASON_consult_failed);
    /* In the order in which they came, with what is left of their time. */
    now.mono.us += 200000;
    for (uint32_t i = 0; i < CONSULT_WAITING; i++) {
        answer(i % CONSULT_JOBS, 200, "{\"allow\":true}");
        consult_turn(x, now);
        char want[32];
        (void)snprintf(want, sizeof want, "{\"session\":%u}", i + CONSULT_JOBS);
        assert_string_equal(webs[i % CONSULT_JOBS].body, want);
        assert_int_equal(webs[i % CONSULT_JOBS].ask.limit_ms, 300);
    }
    assert_int_equal(n_said, 1 + CONSULT_WAITING);
    for (uint32_t i = 0; i < CONSULT_JOBS; i++)
        answer(i, 200, "{\"allow\":true}");
    assert_int_equal(n_said, 1 + all);
    assert_int_equal(most_busy, CONSULT_JOBS);
    assert_true(consult_next(x).us == INSTANT_NEVER.us);
}

static void not_too_late(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CONSULT_JOBS; i++)
        ask(i, 500);
    ask(100, 300);
    assert_true(consult_next(x).us == now.mono.us + 300000);
    now.mono.us += 299999;
    consult_turn(x, now);
    assert_int_equal(n_said, 0);
    now.mono.us += 1;
    consult_turn(x, now);
    assert_int_equal(n_said, 1);
    assert_int_equal(said[0].id, 100);
    assert_int_equal(said[0].reason, REASON_consult_failed);
    assert_true(consult_next(x).us == now.mono.us + 200000); /* those under way */
    /* Whatever an engine asks for, there is an end. */
    answer(0, 200, "{\"allow\":true}");
    ask(101, UINT32_MAX);
    assert_int_equal(webs[0].ask.limit_ms, 5000);
}

static void nobody_to_ask(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= CONSULT_JOBS; i++)
        ask(i, 500);
    p.consult.url.len = 0;
    p.consult.on = false;
    answer(0, 200, "{\"allow\":true}"); /* what was asked is answered */
    consult_turn(x, now);
    assert_int_equal(n_said, 2);
    assert_int_equal(said[0].reason, REASON_NONE);
    assert_int_equal(said[1].id, CONSULT_JOBS);
    assert_int_equal(said[1].reason, REASON_consult_failed);
    ask(50, 500);
    assert_int_equal(said[2].reason, REASON_consult_failed);
    assert_false(webs[0].busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(so_many, setup, teardown),
        cmocka_unit_test_setup_teardown(not_too_late, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_to_ask, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
