#include "base/test.h"
#include "guard/feed.h"

static struct prefix room[FEED_PREFIXES + 1];
static struct feed_list l;
static char said[4096];

/* Reads and settles; gives what is on the list as text. */
static const char *names(struct str text, bool json, enum err want)
{
    struct out o = out_of(said, sizeof said - 1);
    l = (struct feed_list){.v = room, .cap = 64};
    assert_err(feed_read(text, json, &l), want);
    feed_settle(&l);
    for (uint32_t i = 0; want == OK && i < l.n; i++) {
        if (i)
            out_ch(&o, ' ');
        addr_put_ip(&o, &l.v[i].a);
        out_fmt(&o, "/%u", l.v[i].bits);
    }
    assert_false(o.full);
    said[o.n] = 0;
    return said;
}
#define TEXT(s) names(STR(s), false, OK)
#define JSON(s) names(STR(s), true, OK)

static void lines_of_text(void **state)
{
    (void)state;
    assert_string_equal(TEXT(""), "");
    assert_string_equal(TEXT("# nothing\n; at all\n\n   \n"), "");
    assert_int_equal(l.lines, 0);
    assert_string_equal(TEXT("203.0.113.9"), "203.0.113.9/32");
    assert_string_equal(
        TEXT("\xef\xbb\xbf"
             "203.0.113.9\r\n198.51.100.0/24 ; SBL1\r\n2001:db8:5::/48\tcolumn\n"
             "192.0.2.7,2026-11-23,scan\n192.0.2.8|x\n192.0.2.9#c\n\"192.0.2.10\";5\n"
             "  192.0.2.11   \n::ffff:192.0.2.12\n"),
        "192.0.2.7/32 192.0.2.8/32 192.0.2.9/32 192.0.2.10/32 192.0.2.11/32 "
        "192.0.2.12/32 198.51.100.0/24 203.0.113.9/32 2001:db8:5::/48");
    assert_int_equal(l.lines, 9);
    assert_int_equal(l.bad, 0);
    assert_string_equal(TEXT("first_seen,ip\n198.51.100.77/24\n1.2.3\n1.2.3.4/33\nexample.com\n"),
                        "198.51.100.0/24");
    assert_int_equal(l.lines, 5);
    assert_int_equal(l.bad, 4);
    assert_int_equal(l.bad_line, 1);
}

static void nothing_understood_is_an_error(void **state)
{
    (void)state;
    (void)names(STR("<html>\n<body>It moved</body>\n"), false, ERR_SYNTAX);
    (void)names(STR("# list\nnobody\n"), false, ERR_SYNTAX);
    (void)names(STR("[\"nobody\"]"), true, ERR_SYNTAX);
    assert_string_equal(TEXT("nobody\n192.0.2.1\n"), "192.0.2.1/32");
    assert_string_equal(JSON("[]"), "");
    assert_string_equal(JSON("{\"error\":\"gone\"}"), "");
}

static void left_out_by_name(void **state)
{
    (void)state;
    assert_string_equal(TEXT("0.0.0.0/0\n128.0.0.0/7\n198.0.0.0/9\n::/0\n2000::/15\n2600::/16\n"),
                        "2600::/16");
    assert_int_equal(l.wide, 4);
    assert_int_equal(l.wide_line, 1);
    assert_int_equal(l.wide_first.bits, 0);
    assert_int_equal(l.inside, 1); /* 198.0.0.0/9 holds 198.18.0.0/15 */
    assert_string_equal(
        TEXT("10.1.2.3\n192.168.0.0/16\n127.0.0.1\n169.254.0.0/16\n100.64.0.1\n"
             "172.31.255.255\n172.32.0.0\n224.0.0.5\n240.0.0.0/8\n0.1.2.3\n"
             "fe80::1\nfd00::/16\n::1\nff02::1\n2002:a00::1\n9.255.255.255\n11.0.0.0\n"),
        "9.255.255.255/32 11.0.0.0/32 172.32.0.0/32");
    assert_int_equal(l.inside, 14);
    assert_int_equal(l.bad, 0);
}

static void order_and_doubles(void **state)
{
    (void)state;
    assert_string_equal(TEXT("203.0.113.9\n203.0.113.9/32\n203.0.113.0/24\n203.0.113.255\n"
                             "203.0.114.0\n2001:db8::1\n2001:db8::/64\n2001:db8::/63\n"
                             "198.51.100.0/25\n198.51.100.128/25\n"),
                        "198.51.100.0/25 198.51.100.128/25 203.0.113.0/24 203.0.114.0/32 "
                        "2001:db8::/63");
}

static void forms_of_json(void **state)
{
    (void)state;
    assert_string_equal(JSON("[\"203.0.113.9\", \"198.51.100.0\\/24\" , \"\\u0031.2.3.4\"]"),
                        "1.2.3.4/32 198.51.100.0/24 203.0.113.9/32");
    assert_string_equal(
        JSON(" [ {\"ip\":\"192.0.2.1\",\"score\":1.5e3,\"tags\":[\"192.0.2.99\"]},"
             "{\"Address\":\"192.0.2.2\"},{\"cidr\":\"192.0.2.4/30\",\"x\":{\"ip\":"
             "\"192.0.2.98\"}},{\"network\":\"192.0.2.8/29\",\"ok\":true,\"no\":null}]"),
        "192.0.2.1/32 192.0.2.2/32 192.0.2.4/30 192.0.2.8/29");
    assert_int_equal(l.lines, 4);
    assert_string_equal(JSON("{\"generated\":\"2026-11-23\",\"data\":{\"list\":[{\"ip_prefix\":"
                             "\"192.0.2.0/24\"}]},\"more\":[\"2001:db8::/32\"]}"),
                        "192.0.2.0/24 2001:db8::/32");
    assert_string_equal(
        JSON("{\"cidr\":\"192.0.2.0/25\",\"rir\":\"x\"}\n{\"cidr\":\"192.0.2.128/25\"}\n"
             "{\"type\":\"metadata\",\"records\":2}\n"),
        "192.0.2.0/25 192.0.2.128/25");
    assert_int_equal(l.bad, 0);
    assert_string_equal(JSON("[{\"name\":\"x\"},\n{\"ip\":7},{\"ip\":\"192.0.2.1\"}]"),
                        "192.0.2.1/32");
    assert_int_equal(l.lines, 3);
    assert_int_equal(l.bad, 2);
    assert_int_equal(l.bad_line, 1);
    assert_string_equal(JSON("[\"0.0.0.0/0\",\"10.0.0.1\",\"\\u00e4\",\"192.0.2.1\"]"),
                        "192.0.2.1/32");
    assert_int_equal(l.wide + l.inside + l.bad, 3);
}

static void broken_json(void **state)
{
    static const char *const ROWS[] = {
        "",
        "[",
        "[\"192.0.2.1\"",
        "[\"192.0.2.1\",]",
        "[,]",
        "{\"ip\"}",
        "{\"ip\":}",
        "{ip:\"192.0.2.1\"}",
        "[\"192.0.2.1]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[01]",
        "[1.]",
        "[1e]",
        "[-]",
        "[tru]",
        "[\"a\nb\"]",
        "]",
        "[\"192.0.2.1\"] x",
        "{\"a\":1,}",
        "[1 2]",
        "[\"192.0.2.1\"}",
        "[\"\\",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        l = (struct feed_list){.v = room, .cap = 64};
        if (feed_read(str_c(ROWS[i]), true, &l) != ERR_SYNTAX)
            print_error("%s\n", ROWS[i]);
        assert_err(
            (l = (struct feed_list){.v = room, .cap = 64}, feed_read(str_c(ROWS[i]), true, &l)),
            ERR_SYNTAX);
    }
    (void)names(STR("[\"192.0.2.1\",\n\n?]"), true, ERR_SYNTAX);
    assert_int_equal(l.bad_line, 3);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char deep[2 * FEED_DEPTH + 3];
    for (unsigned d = FEED_DEPTH - 1; d <= FEED_DEPTH + 1; d++) {
        memset(deep, '[', d);
        memset(deep + d, ']', d);
        l = (struct feed_list){.v = room, .cap = 64};
        assert_int_equal(feed_read(str_of(deep, 2 * d), true, &l) == OK, d <= FEED_DEPTH);
    }
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    size_t n = 0, bytes = FEED_BYTES + 1;
    char *text = malloc(bytes);
    assert_non_null(text);
    for (uint32_t i = 0; i < FEED_PREFIXES + 5; i++) {
        uint32_t a = i * 2654435761u; /* odd: no two alike; in an order that is none */
        int k = snprintf(text + n, bytes - n, "%u.%u.%u.%u\n", 16 + (a >> 24 & 15), a >> 16 & 255,
                         a >> 8 & 255, a & 255);
        assert_true(k > 0);
        n += (size_t)k;
    }
    l = (struct feed_list){.v = room, .cap = FEED_PREFIXES};
    assert_ok(feed_read(str_of(text, n), false, &l));
    assert_int_equal(l.n, FEED_PREFIXES);
    assert_int_equal(l.lost, 5);
    feed_settle(&l);
    for (uint32_t i = 1; i < l.n; i++)
        assert_true(memcmp(room[i - 1].a.ip, room[i].a.ip, 4) < 0);
    memset(text, '#', bytes);
    l = (struct feed_list){.v = room, .cap = FEED_PREFIXES};
    assert_ok(feed_read(str_of(text, FEED_BYTES), false, &l));
    assert_err(feed_read(str_of(text, FEED_BYTES + 1), false, &l), ERR_LIMIT);
    free(text);
}

static void urls(void **state)
{
    static const struct {
        const char *url, *host, *target;
        uint16_t port;
        bool plain;
    } GOOD[] = {
        {"https://example.net", "example.net", "", 443, false},
        {"https://example.net/", "example.net", "/", 443, false},
        {"http://example.net:8080/a/b?c=d", "example.net", "/a/b?c=d", 8080, true},
        {"https://192.0.2.1?x", "192.0.2.1", "?x", 443, false},
        {"https://[2001:db8::1]:8443/x", "2001:db8::1", "/x", 8443, false},
    };
    static const char *const BAD[] = {
        "",
        "example.net",
        "HTTPS://example.net",
        "ftp://example.net",
        "https://",
        "https:///x",
        "https://a@example.net/",
        "https://example.net:0/",
        "https://example.net:65536/",
        "https://example.net:/",
        "https://example.net:x/",
        "https://[::1",
        "https://[192.0.2.1]/",
        "https://[::1]x/",
        "https://example.net/a b",
        "https://example.net/#a",
        "https://example.net\\a",
        "https://exa\tmple.net/",
        "https://-a.example/",
        "https://\xc3\xa4.example/",
        "https://exa%6dple.net/",
    };
    struct feed_url u;
    const char *why = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        assert_ok(feed_url_parse(str_c(GOOD[i].url), &u, &why));
        assert_true(str_eq(u.host, str_c(GOOD[i].host)));
        assert_true(str_eq(u.target, str_c(GOOD[i].target)));
        assert_int_equal(u.port, GOOD[i].port);
        assert_int_equal(u.plain, GOOD[i].plain);
    }
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        if (feed_url_parse(str_c(BAD[i]), &u, &why) == OK)
            print_error("%s\n", BAD[i]);
        assert_err(feed_url_parse(str_c(BAD[i]), &u, &why), ERR_SYNTAX);
    }
    char text[FEED_URL_MAX + 1];
    memset(text, 'a', sizeof text);
    memcpy(text, "https://", 8);
    text[20] = '/';
    assert_ok(feed_url_parse(str_of(text, FEED_URL_MAX), &u, &why));
    assert_err(feed_url_parse(str_of(text, FEED_URL_MAX + 1), &u, &why), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_text),
        cmocka_unit_test(nothing_understood_is_an_error),
        cmocka_unit_test(left_out_by_name),
        cmocka_unit_test(order_and_doubles),
        cmocka_unit_test(forms_of_json),
        cmocka_unit_test(broken_json),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
