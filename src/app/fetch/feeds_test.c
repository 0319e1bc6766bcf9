/* When feeds are read, what is taken, what is told: with answers from memory and a clock of our
 * own.
 */
#include "app/fetch/feeds.h"
#include "base/test.h"
#include "io/file.h"
#include <unistd.h>

static struct feeds f;
static struct policy p;
static struct instant now;
static struct web_ask asked;
static unsigned n_asked, n_told, n_noted;
static bool refuse;
static struct msg_feed told;
static struct prefix list[64];
static char noted[400];

static bool get(void *ctx, const struct web_ask *a)
{
    (void)ctx;
    asked = *a;
    n_asked++;
    return !refuse;
}

static void tell(void *ctx, const struct msg_feed *m, int fd)
{
    void *view = NULL;
    (void)ctx;
    told = *m;
    n_told++;
    assert_int_equal(fd >= 0, m->error == 0 && m->bytes > 0);
    memset(list, 0, sizeof list);
    if (fd < 0)
        return;
    assert_true(m->bytes <= sizeof list);
    assert_ok(mem_map(fd, (size_t)m->bytes, false, true, &view));
    memcpy(list, view, (size_t)m->bytes);
    mem_unmap(view, (size_t)m->bytes);
}

static void note(void *ctx, uint8_t severity, const char *text)
{
    (void)ctx, (void)severity;
    (void)snprintf(noted, sizeof noted, "%s", text);
    n_noted++;
}

static struct span word(const char *s)
{
    struct span sp = {(uint16_t)p.text_n, (uint16_t)strlen(s)};
    memcpy(p.text + p.text_n, s, sp.len);
    p.text_n += sp.len;
    return sp;
}

static void add(const char *name, const char *url, const char *file)
{
    struct guard_feed *g = &p.guard.feeds[p.guard.n_feeds++];
    *g = (struct guard_feed){.name = word(name), .refresh_s = 300, .expires_s = 3600};
    if (url)
        g->url = word(url);
    else
        g->file = word(file);
}

static void give_text(unsigned i, const char *text)
{
    int fd = -1;
    assert_ok(memfd_sealed("t", text, strlen(text), &fd));
    feeds_file(&f, i, fd);
    assert_int_equal(close(fd), 0);
}

static void answer(unsigned status, const char *body, const char *etag, const char *why)
{
    struct web_answer a = {
        .status = status, .body = str_c(body), .etag = etag ? etag : "", .modified = ""};
    (void)snprintf(a.why, sizeof a.why, "%s", why ? why : "");
    feeds_answer(&f, &a, now);
}

static void pass(unsigned seconds)
{
    now = instant_add(now, DUR_S(seconds));
    feeds_turn(&f, now);
}

static int setup(void **state)
{
    (void)state;
    memset(&p, 0, sizeof p);
    n_asked = n_told = n_noted = 0;
    refuse = false;
    now = (struct instant){1000000};
    p.generation = 1;
    feeds_init(&f, get, tell, note, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    feeds_done(&f);
    return 0;
}

static void begin(void)
{
    feeds_policy(&f, &p, now);
    for (unsigned i = 0; i < p.guard.n_feeds; i++)
        if (p.guard.feeds[i].url.len)
            give_text(i, "PEM");
    feeds_turn(&f, now);
}

static void not_before_its_authorities(void **state)
{
    (void)state;
    add("a", "https://feeds.example.net/a", NULL);
    feeds_policy(&f, &p, now);
    pass(5);
    assert_int_equal(n_asked, 0);
    assert_int_equal(feeds_next(&f).us, INT64_MAX);
    give_text(0, "PEM");
    assert_true(feeds_next(&f).us <= now.us);
    pass(0);
    assert_int_equal(n_asked, 1);
    assert_true(str_eq(asked.ca_pem, STR("PEM")));
    assert_string_equal(asked.url, "https://feeds.example.net/a");
    pass(100);
    assert_int_equal(n_asked, 1); /* under way */
}

static void good_changed_and_not_changed(void **state)
{
    (void)state;
    add("a", "https://feeds.example.net/a", NULL);
    begin();
    answer(200, "203.0.113.9\n198.51.100.0/24\nbad\n", "\"x\"", NULL);
    assert_int_equal(n_told, 1);
    assert_int_equal(told.error, 0);
    assert_int_equal(told.feed, 0);
    assert_int_equal(told.generation, 1);
    assert_int_equal(told.lines, 3);
    assert_int_equal(told.bad, 1);
    assert_int_equal(told.bytes, 2 * sizeof(struct prefix));
    assert_int_equal(list[0].a.ip[0], 198);
    assert_int_equal(n_noted, 1);
    pass(299);
    assert_int_equal(n_asked, 1);
    assert_int_equal(feeds_next(&f).us, now.us + 1000000);
    pass(1);
    assert_int_equal(n_asked, 2);
    assert_string_equal(asked.etag, "\"x\"");
    answer(304, "", NULL, NULL);
    assert_int_equal(n_told, 2);
    assert_int_equal(told.bytes, 2 * sizeof(struct prefix));
    pass(300);
    assert_string_equal(asked.etag, "\"x\"");
    answer(200, "# none any more\n", NULL, NULL);
    assert_int_equal(told.error, 0);
    assert_int_equal(told.bytes, 0);
    assert_int_equal(n_noted, 2);
    pass(300);
    assert_string_equal(asked.etag, "");
    answer(304, "", NULL, NULL); /* of an empty list, which is one, too */
    assert_int_equal(told.error, 0);
    assert_int_equal(n_noted, 2);
}

static void failures_wait_longer_and_are_noted_once(void **state)
{
    static const unsigned WAITS[] = {60, 120, 240, 300, 300};
    (void)state;
    add("a", "https://feeds.example.net/a", NULL);
    begin();
    answer(200, "203.0.113.9\n", "\"x\"", NULL);
    pass(300);
    n_noted = 0;
    for (size_t i = 0; i < ARRAY_LEN(WAITS); i++) {
        answer(0, "", NULL, "it is away");
        assert_int_equal(told.error, -1);
        assert_string_equal(told.text, "it is away");
        assert_int_equal(n_noted, 1);
        unsigned before = n_asked;
        pass(WAITS[i] - 1);
        assert_int_equal(n_asked, before);
        pass(1);
        assert_int_equal(n_asked, before + 1);
        assert_string_equal(asked.etag, ""); /* whole, next time */
    }
    answer(200, "<html>\n", NULL, NULL);
    assert_int_equal(told.error, -1);
    assert_int_equal(n_noted, 2);
    pass(300);
    answer(200, "203.0.113.9\n", NULL, NULL);
    assert_int_equal(told.error, 0);
    assert_int_equal(n_noted, 3);
    pass(299);
    unsigned before = n_asked;
    pass(1);
    assert_int_equal(n_asked, before + 1);
}

static void one_at_a_time_the_longest_due_first(void **state)
{
    (void)state;
    add("a", "https://feeds.example.net/a", NULL);
    add("b", "https://feeds.example.net/b", NULL);
    begin();
    assert_string_equal(asked.url, "https://feeds.example.net/a");
    answer(200, "203.0.113.9\n", NULL, NULL);
    pass(10);
    assert_string_equal(asked.url, "https://feeds.example.net/b");
    refuse = true;
    answer(200, "203.0.113.9\n", NULL, NULL);
    pass(295); /* a is due, b is not */
    assert_string_equal(asked.url, "https://feeds.example.net/a");
    assert_int_equal(n_asked, 3);
    refuse = false;
    pass(0);
    assert_int_equal(n_asked, 3); /* refused: again in a second */
    pass(1);
    assert_int_equal(n_asked, 4);
    assert_string_equal(asked.url, "https://feeds.example.net/a");
    pass(20);
    assert_int_equal(n_asked, 4);
    answer(0, "", NULL, "away");
    pass(0);
    assert_string_equal(asked.url, "https://feeds.example.net/b");
}

static void ours_is_left_out(void **state)
{
    (void)state;
    add("a", "https://feeds.example.net/a", NULL);
    p.guard.n_exempt = 1;
    assert_ok(prefix_parse(STR("203.0.113.64/26"), &p.guard.exempt[0]));
    p.n_listeners = 1;
    assert_ok(addr_parse(STR("0.0.0.0:5060"), &p.listeners[0].bind));
    assert_ok(addr_parse(STR("198.51.100.1:5060"), &p.listeners[0].advertise));
    p.n_peers = 1;
    p.peers[0].n_targets = 1;
    assert_ok(addr_parse(STR("192.0.2.10:5060"), &p.peers[0].targets[0]));
    begin();
    answer(200,
           "203.0.113.1\n203.0.113.65\n203.0.113.0/24\n198.51.100.1\n198.51.100.2\n198.51.0.0/16\n"
           "192.0.2.10\n192.0.2.11\n",
           NULL, NULL);
    assert_int_equal(told.bytes, 3 * sizeof(struct prefix));
    assert_int_equal(list[0].a.ip[3], 11);
    assert_int_equal(list[1].a.ip[3], 2);
    assert_int_equal(list[2].a.ip[3], 1);
    assert_non_null(strstr(told.text, "5 of our own side"));
}

static void files(void **state)
{
    (void)state;
    add("own", NULL, "/srv/list");
    feeds_policy(&f, &p, now);
    pass(1000);
    assert_int_equal(n_asked, 0); /* nothing to fetch */
    give_text(0, "203.0.113.9\n");
    assert_int_equal(told.bytes, sizeof(struct prefix));
    give_text(0, "nonsense\n");
    assert_int_equal(told.error, -1);
    p.guard.feeds[0].json = true;
    p.generation++;
    feeds_policy(&f, &p, now);
    give_text(0, "[\"203.0.113.9\",\"203.0.113.11\"]");
    assert_int_equal(told.error, 0);
    assert_int_equal(told.bytes, 2 * sizeof(struct prefix));
    give_text(5, "203.0.113.9\n"); /* no such feed */
    assert_int_equal(told.feed, 0);
    feeds_file(&f, 0, -1);
    assert_int_equal(told.error, -1);
}

static void another_policy(void **state)
{
    static struct policy next;
    (void)state;
    add("a", "https://feeds.example.net/a", NULL);
    add("b", "https://feeds.example.net/b", NULL);
    begin();
    answer(200, "203.0.113.9\n", "\"a\"", NULL);
    feeds_turn(&f, now);
    answer(200, "203.0.113.9\n203.0.113.11\n", "\"b\"", NULL);
    pass(300); /* a is under way */
    assert_string_equal(asked.url, "https://feeds.example.net/a");
    next = p;
    next.generation = 2;
    next.guard.n_feeds = 1;
    next.guard.feeds[0] = p.guard.feeds[1];
    n_told = 0;
    feeds_policy(&f, &next, now);
    assert_int_equal(n_told, 1); /* b goes on as number 0 */
    assert_int_equal(told.feed, 0);
    assert_int_equal(told.generation, 2);
    assert_int_equal(told.bytes, 2 * sizeof(struct prefix));
    answer(200, "192.0.2.1\n", NULL, NULL); /* a's, whom nobody asks any more */
    assert_int_equal(n_told, 1);
    give_text(0, "PEM");
    pass(0);
    assert_string_equal(asked.url, "https://feeds.example.net/b");
    assert_string_equal(asked.etag, "\"b\"");
    answer(304, "", NULL, NULL);
    /* the same name with another url is another feed */
    p.generation = 3;
    p.guard.feeds[0] = next.guard.feeds[0];
    p.guard.feeds[0].url = word("https://feeds.example.net/c");
    p.guard.n_feeds = 1;
    n_told = 0;
    feeds_policy(&f, &p, now);
    assert_int_equal(n_told, 0);
    give_text(0, "PEM");
    pass(0);
    assert_string_equal(asked.url, "https://feeds.example.net/c");
    assert_string_equal(asked.etag, "");
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(not_before_its_authorities),
        TEST(good_changed_and_not_changed),
        TEST(failures_wait_longer_and_are_noted_once),
        TEST(one_at_a_time_the_longest_due_first),
        TEST(ours_is_left_out),
        TEST(files),
        TEST(another_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
