/* Certificates of signers, with a web and a judge that the test plays: what is asked for, by whom,
 * how often, and what stands on the board afterwards. */
#include "app/fetch/x5u.h"
#include "base/test.h"
#include "crypto/sti.h"

#define S   INT64_C(1000000)
#define URL "https://certs.example.com/"

/* -- the web -- */

struct web {
    struct web_ask ask;
    web_fn *fn;
    void *ctx;
    bool busy, closed; /* closed: it takes no question */
};
static struct web webs[X5U_JOBS];
static unsigned n_webs, n_turns;

struct web *web_new(struct event_base *base, web_resolve_fn *resolve, void *resolver)
{
    (void)base, (void)resolve, (void)resolver;
    return n_webs < X5U_JOBS ? &webs[n_webs++] : NULL;
}
enum err web_get(struct web *w, const struct web_ask *a, web_fn *fn, void *ctx)
{
    assert_false(w->busy);
    if (w->closed)
        return ERR_STATE;
    w->ask = *a;
    w->fn = fn;
    w->ctx = ctx;
    w->busy = true;
    return OK;
}
bool web_busy(const struct web *w)
{
    return w->busy;
}
void web_turn(struct web *w, struct instant now)
{
    (void)w, (void)now;
    n_turns++;
}

/* -- the judge -- */

static struct {
    enum err e;
    struct sti_facts f;
    char body[64], roots[64];
} judge;

enum err sti_judge(struct str pem, struct str roots, struct wall now, struct sti_facts *ret_f,
                   const char **ret_why)
{
    assert_true(now.us > 0);
    (void)snprintf(judge.body, sizeof judge.body, STR_FMT, STR_ARG(pem));
    (void)snprintf(judge.roots, sizeof judge.roots, STR_FMT, STR_ARG(roots));
    *ret_why = "its chain leads nowhere";
    if (judge.e == OK)
        *ret_f = judge.f;
    return judge.e;
}

/* -- who asks -- */

static struct policy policy;
static struct cert_board *board;
static struct x5u *x;
static struct now now;
static struct msg_cert told[X5U_WAITING * 2];
static unsigned n_told, n_notes;
static char note_text[512];

static void done(void *ctx, const struct msg_cert *m)
{
    (void)ctx;
    assert_true(n_told < ARRAY_LEN(told));
    told[n_told++] = *m;
}
static void note(void *ctx, uint8_t severity, const char *text)
{
    (void)ctx;
    assert_int_equal(severity, SEV_WARN);
    (void)snprintf(note_text, sizeof note_text, "%s", text);
    n_notes++;
}

static int setup(void **state)
{
    (void)state;
    memset(webs, 0, sizeof webs);
    memset(&judge, 0, sizeof judge);
    memset(&policy, 0, sizeof policy);
    n_webs = n_turns = n_told = n_notes = 0;
    stir_policy_default(&policy.stir);
    policy.text_n = 17;
    memcpy(policy.text, "certs.example.com", 17);
    policy.stir.verify = true;
    policy.stir.n_allow = 1;
    policy.stir.allow[0] = (struct span){0, 17};
    board = calloc(1, sizeof *board);
    assert_ok(certs_attach(board, sizeof *board));
    const struct x5u_cfg cfg = {.done = done, .note = note, .board = board};
    x = x5u_new(&cfg);
    assert_non_null(x);
    x5u_policy(x, &policy, STR("roots"), STR("authorities"));
    /* what comes is dated by the program's own clock */
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    now = (struct now){{1000 * S}, {(int64_t)t.tv_sec * S}};
    judge.f.key[0] = 4;
    judge.f.has_spc = true;
    (void)snprintf(judge.f.spc, sizeof judge.f.spc, "709J");
    judge.f.until.us = now.wall.us + 365 * 86400 * S;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(x);
    free(board);
    return 0;
}

static void ask(uint32_t id, const char *url)
{
    const struct msg_cert q = {.id = id, .engine = (uint8_t)(id % 7)};
    x5u_ask(x, &q, str_c(url), now);
}

static struct web *of_url(const char *url)
{
    for (unsigned i = 0; i < n_webs; i++)
        if (webs[i].busy && strcmp(webs[i].ask.url, url) == 0)
            return &webs[i];
    return NULL;
}

static unsigned under_way(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < n_webs; i++)
        n += webs[i].busy;
    return n;
}

static void comes(const char *url, unsigned status, const char *body, const char *cache)
{
    struct web *w = of_url(url);
    struct web_answer a = {.status = status, .body = str_c(body), .cache = cache};
    (void)snprintf(a.why, sizeof a.why, "%s", status ? "" : "nobody is there");
    assert_non_null(w);
    w->busy = false;
    w->fn(w->ctx, &a);
}

static enum err on_board(const char *url, int64_t after_s, struct certs_row *ret)
{
    return certs_get(board, sizeof *board, str_c(url), (struct wall){now.wall.us + after_s * S},
                     ret);
}

/* -- tests -- */

static void kept_for(void **state)
{
    static const struct {
        const char *cache;
        int64_t s;
    } row[] = {
        {"", X5U_USUAL_S},
        {"public", X5U_USUAL_S},
        {"max-age=7200", 7200},
        {"public, max-age=7200, must-revalidate", 7200},
        {"Max-Age=7200", 7200},
        {" max-age=61 ,x", 61},
        {"max-age=60", X5U_LEAST_S},
        {"max-age=59", X5U_LEAST_S},
        {"max-age=0", X5U_LEAST_S},
        {"max-age=86400", X5U_GOOD_S},
        {"max-age=86401", X5U_GOOD_S},
        {"max-age=99999999999999999999", X5U_USUAL_S},
        {"max-age=-1", X5U_USUAL_S},
        {"max-age=\"100\"", X5U_USUAL_S},
        {"max-age=", X5U_USUAL_S},
        {"s-maxage=100", X5U_USUAL_S},
        {"no-store", X5U_LEAST_S},
        {"max-age=7200, no-cache", X5U_LEAST_S},
        {"NO-STORE, max-age=7200", X5U_LEAST_S},
        {"no-storefront, max-age=7200", 7200},
        {",,", X5U_USUAL_S},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        if (x5u_keep_s(str_c(row[i].cache)) != row[i].s)
            fail_msg("row %zu: %s: %lld", i, row[i].cache,
                     (long long)x5u_keep_s(str_c(row[i].cache)));
}

/* Everything that is fetched is bounded, and judged anew at each redirect. */
static void what_may_be_fetched(void **state)
{
    const char *why = NULL;
    (void)state;
    ask(1, URL "a");
    struct web_ask *a = &of_url(URL "a")->ask;
    assert_int_equal(a->most, X5U_BYTES);
    assert_int_equal(a->limit_ms, X5U_LIMIT_MS);
    assert_int_equal(a->redirects, X5U_REDIRECTS);
    assert_false(a->inside);
    assert_false(a->plain);
    assert_str(a->ca_pem, "authorities");
    assert_true(a->may(a->may_ctx, STR(URL "b"), &why));
    assert_false(a->may(a->may_ctx, STR("http://certs.example.com/b"), &why));
    assert_non_null(strstr(why, "stir.allow"));
    assert_false(a->may(a->may_ctx, STR("https://example.com/b"), &why));
    assert_false(a->may(a->may_ctx, STR("https://certs.example.com:8080/b"), &why));
    assert_false(a->may(a->may_ctx, STR("https://127.0.0.1/b"), &why));
    assert_int_equal(x5u_next(x).us, now.mono.us + X5U_LIMIT_MS * 1000);
    x5u_turn(x, now);
    assert_int_equal(n_turns, X5U_JOBS);
    /* private addresses only while their waiver lives */
    policy.stir.private_until = now.wall;
    ask(2, URL "c");
    assert_false(of_url(URL "c")->ask.inside);
    policy.stir.private_until.us++;
    ask(3, URL "d");
    assert_true(of_url(URL "d")->ask.inside);
}

static void refused_at_once(void **state)
{
    char url[CERTS_URL_MAX + 2] = URL;
    const struct msg_cert q = {.id = 9};
    (void)state;
    memset(url + strlen(url), 'a', sizeof url - 1 - strlen(url));
    ask(1, "");
    x5u_ask(x, &q, str_of(url, CERTS_URL_MAX + 1), now);
    x5u_ask(x, &q, str_of(URL "a\0b", sizeof(URL) + 2), now);
    policy.stir.verify = false;
    ask(4, URL "a");
    assert_int_equal(n_told, 4);
    for (unsigned i = 0; i < n_told; i++)
        assert_int_equal(told[i].reason, REASON_stir_bad_info);
    assert_int_equal(under_way(), 0);
    policy.stir.verify = true;
    x5u_ask(x, &q, str_of(url, CERTS_URL_MAX), now); /* the longest */
    assert_int_equal(n_told, 4);
    assert_int_equal(under_way(), 1);
    assert_int_equal(strlen(webs[X5U_JOBS - 1].ask.url), CERTS_URL_MAX);
}

static void good(void **state)
{
    struct certs_row r;
    (void)state;
    judge.f.n_ranges = 1;
    judge.f.range[0] = (struct sti_range){49300, 100, 5};
    ask(1, URL "a");
    ask(2, URL "a"); /* under way: asked for once */
    assert_int_equal(under_way(), 1);
    assert_int_equal(n_told, 0);
    comes(URL "a", 200, "PEM", "max-age=7200");
    assert_string_equal(judge.body, "PEM");
    assert_string_equal(judge.roots, "roots");
    assert_int_equal(n_told, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(told[i].id, i + 1);
        assert_int_equal(told[i].engine, i + 1);
        assert_int_equal(told[i].reason, REASON_NONE);
    }
    assert_int_equal(n_notes, 0);
    assert_ok(on_board(URL "a", 7190, &r));
    assert_string_equal(r.spc, "709J");
    assert_true(certs_covers(&r, STR("49300")) && r.n_ranges == 1);
    assert_int_equal(r.range[0].count, 100);
    assert_err(on_board(URL "a", 7210, &r), ERR_NOT_FOUND);
    assert_int_equal(x5u_next(x).us, INSTANT_NEVER.us);
    ask(3, URL "a"); /* and now it is there */
    assert_int_equal(under_way(), 0);
    assert_int_equal(told[2].id, 3);
    assert_int_equal(told[2].reason, REASON_NONE);
    /* a chain that ends sooner ends it */
    judge.f.until.us = now.wall.us + 100 * S;
    ask(4, URL "b");
    comes(URL "b", 200, "PEM", "max-age=7200");
    assert_ok(on_board(URL "b", 99, &r));
    assert_err(on_board(URL "b", 100, &r), ERR_NOT_FOUND);
}

/* A failure stands on the board, too, for a while: a caller cannot make us fetch at will. */
static void negative(void **state)
{
    static const struct {
        unsigned status;
        enum reason why;
        const char *says;
    } row[] = {{0, REASON_stir_bad_info, "nobody is there"},
               {200, REASON_stir_credential, "its chain leads nowhere"},
               {304, REASON_stir_bad_info, ""}};
    struct certs_row r;
    char url[64];
    (void)state;
    judge.e = ERR_AUTH;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        (void)snprintf(url, sizeof url, URL "%zu", i);
        n_told = n_notes = 0;
        ask(1, url);
        comes(url, row[i].status, "PEM", "max-age=86400"); /* a server's word is not asked for */
        assert_int_equal(n_told, 1);
        assert_int_equal(told[0].reason, row[i].why);
        assert_int_equal(n_notes, 1);
        assert_non_null(strstr(note_text, url));
        assert_non_null(strstr(note_text, row[i].says));
        assert_ok(on_board(url, X5U_BAD_S - 2, &r));
        assert_int_equal(r.why, row[i].why);
        ask(2, url);
        assert_int_equal(under_way(), 0);
        assert_int_equal(told[1].reason, row[i].why);
        now.wall.us += (X5U_BAD_S + 2) * S;
        ask(3, url); /* again */
        assert_int_equal(under_way(), 1);
        judge.e = OK;
        comes(url, 200, "PEM", "");
        judge.e = ERR_AUTH;
        assert_int_equal(told[2].reason, REASON_NONE);
        now.wall.us -= (X5U_BAD_S + 2) * S;
    }
}

/* Who comes too late to wait is refused at once; those who wait are answered all. */
static void waiting_list_full(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < X5U_WAITING; i++)
        ask(i, URL "a");
    assert_int_equal(n_told, 0);
    ask(1000, URL "a");
    assert_int_equal(n_told, 1);
    assert_int_equal(told[0].id, 1000);
    assert_int_equal(told[0].reason, REASON_stir_bad_info);
    comes(URL "a", 200, "PEM", "");
    assert_int_equal(n_told, 1 + X5U_WAITING);
    for (uint32_t i = 0; i < X5U_WAITING; i++)
        assert_true(told[1 + i].id == i && told[1 + i].reason == REASON_NONE);
    n_told = 0; /* the list is empty again */
    now.wall.us += (X5U_GOOD_S + 1) * S;
    judge.f.until.us = now.wall.us + 86400 * S;
    ask(1, URL "a");
    comes(URL "a", 200, "PEM", "");
    assert_int_equal(n_told, 1);
}

static void jobs_full(void **state)
{
    char url[64];
    (void)state;
    for (unsigned i = 0; i <= X5U_JOBS; i++) {
        (void)snprintf(url, sizeof url, URL "%u", i);
        ask(i, url);
    }
    assert_int_equal(under_way(), X5U_JOBS);
    assert_int_equal(n_told, 1);
    assert_int_equal(told[0].id, X5U_JOBS);
    assert_int_equal(told[0].reason, REASON_stir_bad_info);
    ask(100, URL "3"); /* of one under way there is still room */
    assert_int_equal(n_told, 1);
    comes(URL "3", 200, "PEM", "");
    ask(101, url);
    assert_int_equal(under_way(), X5U_JOBS);
    assert_non_null(of_url(url));
}

/* A web that takes no question: whoever asked hears so, and the place is free again. */
static void web_refuses(void **state)
{
    (void)state;
    for (unsigned i = 0; i < X5U_JOBS; i++)
        webs[i].closed = true;
    ask(1, URL "a");
    assert_int_equal(n_told, 1);
    assert_int_equal(told[0].reason, REASON_stir_bad_info);
    for (unsigned i = 0; i < X5U_JOBS; i++)
        webs[i].closed = false;
    ask(2, URL "a");
    assert_int_equal(under_way(), 1);
}

/* Other authorities are believed now: what the old ones vouched for is not. */
static void another_policy(void **state)
{
    struct certs_row r;
    (void)state;
    ask(1, URL "a");
    comes(URL "a", 200, "PEM", "");
    assert_ok(on_board(URL "a", 0, &r));
    x5u_policy(x, &policy, STR("others"), STR_NONE);
    assert_err(on_board(URL "a", 0, &r), ERR_NOT_FOUND);
    ask(2, URL "a");
    comes(URL "a", 200, "PEM", "");
    assert_string_equal(judge.roots, "others");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kept_for),
                                       T(what_may_be_fetched),
                                       T(refused_at_once),
                                       T(good),
                                       T(negative),
                                       T(waiting_list_full),
                                       T(jobs_full),
                                       T(web_refuses),
                                       T(another_policy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
