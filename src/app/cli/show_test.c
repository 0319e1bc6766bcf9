#include "app/cli/cli.h"
#include "base/test.h"
#include <time.h>

static char *shown;
static size_t shown_n;

static int setup(void **state)
{
    (void)state;
    (void)setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

static const char *show(show_fn *fn, const char *text)
{
    static const struct cli C;
    json_error_t why;
    free(shown);
    json_t *doc = json_loads(text, 0, &why);
    if (!doc)
        fail_msg("test's own JSON: %s", why.text);
    FILE *to = open_memstream(&shown, &shown_n);
    fn(to, &C, doc);
    (void)fclose(to);
    json_decref(doc);
    return shown;
}

static void have(const char *part)
{
    if (!strstr(shown, part))
        fail_msg("\"%s\" is not in:\n%s", part, shown);
}

static void safe(const char *in, size_t n, const char *want)
{
    char *got = NULL;
    size_t got_n = 0;
    FILE *to = open_memstream(&got, &got_n);
    put_safe(to, str_of(in, n));
    (void)fclose(to);
    assert_string_equal(got, want);
    free(got);
}

#define SAFE(in, want) safe(in, sizeof(in) - 1, want)
static void nothing_steers_the_terminal(void **state)
{
    (void)state;
    SAFE("plain text", "plain text");
    SAFE("Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x93\x9e",
         "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x93\x9e");
    SAFE("\x1b[2J\x1b]0;t\x07", "?[2J?]0;t?");
    SAFE("a\r\nb\tc\0d\x7f", "a??b?c?d?");
    SAFE("\xc2\x9b"
         "31m",
         "?31m"); /* CSI as one C1 byte */
    SAFE("a\xe2\x80\xae"
         "b\xe2\x81\xa6\xe2\x80\x8b",
         "a?b??"); /* turned reading order, nothing wide */
    SAFE("\xff\xfe\xc3", "???");
    SAFE("\xe2\x82", "??"); /* cut in the middle */
}

static void tables_line_up(void **state)
{
    static const char *const HEAD[] = {"NAME", "N", "NOTE"};
    (void)state;
    struct table *t = table_new(HEAD, 3);
    table_text(t, "Z\xc3\xbcrich");
    table_fmt(t, "%d", 12345);
    table_text(t, "x");
    table_text(t, "b\x1b");
    table_fmt(t, "%d", 1);
    table_text(t, NULL);
    char *got = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&got, &n);
    table_print(t, to);
    (void)fclose(to);
    assert_string_equal(got, "NAME    N      NOTE\n"
                             "Z\xc3\xbcrich  12345  x\n"
                             "b?      1      -\n");
    free(got);
}

static void long_cells_are_cut(void **state)
{
    static const char *const HEAD[] = {"A"};
    char big[1000], *got = NULL;
    size_t n = 0;
    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    struct table *t = table_new(HEAD, 1);
    table_text(t, big);
    FILE *to = open_memstream(&got, &n);
    table_print(t, to);
    (void)fclose(to);
    assert_int_equal(n, 2 + 120 + 1);
    free(got);
}

static void times(void **state)
{
    char text[24];
    int64_t us = 0;
    const int64_t now = INT64_C(1795000000) * 1000000; /* 2026-11-18 11:06:40 UTC */
    (void)state;
    time_text(now, text);
    assert_string_equal(text, "2026-11-18 11:06:40");
    time_text(0, text);
    assert_string_equal(text, "-");
    span_text(59, text);
    assert_string_equal(text, "59s");
    span_text(60, text);
    assert_string_equal(text, "1m00s");
    span_text(3600, text);
    assert_string_equal(text, "1h00m");
    span_text(90061, text);
    assert_string_equal(text, "1d1h");
    span_text(-5, text);
    assert_string_equal(text, "0s");
    assert_true(since_parse("2h", now, &us));
    assert_int_equal(us, now - INT64_C(7200) * 1000000);
    assert_true(since_parse("2026-11-18", now, &us));
    assert_int_equal(us, INT64_C(1794960000) * 1000000);
    assert_true(since_parse("2026-11-18 11:06", now, &us));
    assert_int_equal(us, INT64_C(1794999960) * 1000000);
    assert_true(since_parse("2026-11-18 11:06:40", now, &us));
    assert_int_equal(us, now);
    assert_false(since_parse("yesterday", now, &us));
    assert_false(since_parse("2026-11-18 x", now, &us));
    assert_false(since_parse("", now, &us));
}

static void refused_request_is_explained(void **state)
{
    (void)state;
    (void)show(show_explain, "{\"call_id\":\"x\\u001b[31m\",\"sessions\":[],\"running\":[],"
                             "\"verdicts\":[{\"time_us\":1795000000000000,"
                             "\"method\":\"INVITE\",\"from\":\"sip:e\\u202evil@example.com\","
                             "\"to\":\"sip:bob@example.com\",\"user\":\"\","
                             "\"source\":\"192.0.2.1:5060\",\"transport\":\"udp\",\"code\":403,"
                             "\"reason\":\"auth_failed\","
                             "\"trace\":\"source=pass identity=refuse:auth_failed\"}]}");
    assert_string_equal(shown,
                        "Call-ID x?[31m\n\n"
                        "2026-11-18 11:06:40  INVITE from 192.0.2.1:5060 by udp, answered 403\n"
                        "  from          sip:e?vil@example.com\n"
                        "  to            sip:bob@example.com\n"
                        "    source      pass\n"
                        "    identity    refuse  auth_failed: credentials do not verify\n"
                        "  because       credentials do not verify\n");
}

static const char SESSION[] =
    "{\"id\":1,\"engine\":0,\"start_us\":1795000000000000,\"answer_us\":1795000002000000,\"end_"
    "us\":1795000065000000,\"code\":200,"
    "\"from\":\"sip:alice@example.com\",\"to\":\"sip:2001@example.com\",\"user\":\"alice@example."
    "com\",\"route\":\"to-pbx\","
    "\"ended_by\":\"callee\",\"aborted\":false,\"trace\":\"source=pass "
    "route=pass\",\"legs\":[{\"call_id\":\"a1\",\"peer\":\"192.0.2.1:40000\","
    "\"transport\":\"tls\",\"zone\":\"phones\",\"user_agent\":\"Phone\\u0007\",\"crypto\":\"AEAD_"
    "AES_256_GCM\",\"codec\":\"PCMA/8000\","
    "\"packets\":3000,\"lost\":4,\"jitter_us\":1250,\"one_way\":false,\"latched\":true},{\"call_"
    "id\":\"b1\",\"peer\":\"127.0.0.1:5070\","
    "\"transport\":\"udp\",\"zone\":\"pbx\",\"peer_name\":\"pbx\",\"crypto\":\"none\",\"codec\":"
    "\"PCMA/8000\",\"packets\":10,\"lost\":0,"
    "\"jitter_us\":0,\"one_way\":true}]}";

static void call_is_explained(void **state)
{
    char doc[4096];
    (void)state;
    (void)snprintf(doc, sizeof doc,
                   "{\"call_id\":\"a1\",\"sessions\":[%s],\"running\":[],\"verdicts\":[]}",
                   SESSION);
    (void)show(show_explain, doc);
    have("call: answered, 1m05s in all, talked 1m03s, ended by the callee\n");
    have("  caller's leg: tls 192.0.2.1:40000, zone phones\n");
    have("phone       Phone?\n");
    have("crypto AEAD_AES_256_GCM, codec PCMA/8000, received 3000 packets, 4 lost, jitter 1.2 ms, "
         "latched to its source\n");
    have("  callee's leg: udp 127.0.0.1:5070, zone pbx, peer pbx\n");
    have("jitter 0.0 ms, ONE WAY\n");
}

static void records_as_a_table(void **state)
{
    char doc[4096];
    (void)state;
    (void)snprintf(doc, sizeof doc, "{\"sessions\":[%s],\"truncated\":false}", SESSION);
    (void)show(show_cdr, doc);
    have("2026-11-18 11:06:40  1m03s   sip:alice@example.com  sip:2001@example.com  answered  "
         "callee    AEAD_AES_256_GCM / none  4 / 0 ");
    have("\n1 call\n");
    (void)show(show_cdr, "{\"sessions\":[{\"start_us\":1,\"code\":486,\"reason\":\"route_not_"
                         "registered\",\"legs\":[]}],\"truncated\":true}");
    have("486 route_not_registered");
    have("1 call (cut: narrow the question)");
    (void)show(show_cdr, "{\"sessions\":[{\"start_us\":1,\"aborted\":true}]}");
    have("aborted");
}

static void status_as_text(void **state)
{
    (void)state;
    (void)show(
        show_status,
        "{\"version\":\"0.1.0\",\"state\":\"running\",\"uptime_s\":61,\"pid\":7,\"generation\":2,"
        "\"config_error\":\"line 3\","
        "\"programs\":[{\"name\":\"engine "
        "0\",\"pid\":9,\"state\":\"running\",\"uptime_s\":60,\"restarts\":1,\"sandbox\":{\"ids\":"
        "\"switched\",\"landlock\":0,\"seccomp\":false}}],\"listeners\":[],\"waivers\":[{\"name\":"
        "\"w\",\"zone\":\"pbx\",\"owner\":"
        "\"bob\",\"reason\":\"r\",\"plain_signalling\":true,\"plain_media\":false,\"expires_us\":"
        "1795000000000000,\"expired\":true}],"
        "\"stats\":{\"calls\":3},\"reasons\":{\"auth_failed\":5,\"unheard_of\":1}}");
    have("ringwall 0.1.0 is running (pid 7) for 1m01s, configuration 2\n");
    have("REFUSED RELOAD  line 3\n");
    have("calls 3 now");
    have("engine 0  9    running  1m00s  1         switched  none      OFF\n");
    have("w       pbx   plain signalling  2026-11-18 EXPIRED  bob    r\n");
    have("auth_failed         5      credentials do not verify\n");
    have("unheard_of          1      -\n");
}

/* Documents with members missing or of another type must not be believed. */
static void odd_documents(void **state)
{
    static show_fn *const ALL[] = {show_bans,     show_ban,    show_alert_list, show_evidence,
                                   show_who,      show_status, show_calls,      show_peers,
                                   show_bindings, show_cdr,    show_explain,    show_events};
    static const char *const DOCS[] = {
        "{}", "[]",
        "{\"engines\":[null,{}],\"bindings\":[{},7],\"sessions\":[{\"legs\":7}],\"events\":[{},[1]]"
        ","
        "\"verdicts\":[{\"trace\":\"=:= \"}],\"running\":[{}],\"programs\":[null],\"waivers\":[{}],"
        "\"listeners\":\"x\",\"stats\":[],\"reasons\":{\"a\":\"b\"}}",
        "{\"engines\":[[{\"targets\":[{}]}]],\"events\":[{\"event\":\"e\",\"x\":{\"y\":[1]}}]}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ALL); i++)
        for (size_t k = 0; k < ARRAY_LEN(DOCS); k++)
            assert_non_null(show(ALL[i], DOCS[k]));
    free(shown);
    shown = NULL;
}

static void registrations_of_peers(void **state)
{
    (void)state;
    const char *text = show(
        show_peers,
        "{\"engines\":[[{\"name\":\"pbx\",\"kind\":\"pbx\",\"fronted\":3,\"fronted_registered\":3,"
        "\"targets\":[{\"address\":\"192.0.2.1:5060\",\"up\":true}]},"
        "{\"name\":\"t\",\"kind\":\"trunk\",\"targets\":[{\"address\":\"192.0.2.2:5060\"}]}],"
        "[{\"name\":\"pbx\",\"fronted\":4,\"fronted_registered\":2,\"register_reason\":\"sip_"
        "timeout\"},"
        "{\"name\":\"t\",\"registered\":false,\"register_reason\":\"upstream_auth\"}]]}");
    assert_non_null(strstr(text, "5 of 7 users: sip_timeout"));
    assert_non_null(strstr(text, "ACCOUNT NOT REGISTERED: upstream_auth"));
    text = show(show_peers, "{\"engines\":[{\"peers\":[{\"name\":\"t\",\"registered\":true,"
                            "\"targets\":[{}]}]}]}");
    assert_non_null(strstr(text, " account"));
}

static void bans_and_alerts(void **state)
{
    (void)state;
    show(
        show_bans,
        "{\"bans\":[{\"id\":17,\"scope\":\"pair\",\"address\":\"192.0.2.7\",\"who\":\"alice@"
        "example.com\",\"treat\":\"ban\",\"by\":\"detector\",\"detector\":\"scan\",\"left_s\":7200,"
        "\"until_us\":1,\"since_us\":1795000000000000,\"hits\":12,\"times\":2},"
        "{\"scope\":\"source\",\"address\":\"198.51.100.0/24\",\"treat\":\"weigh\",\"by\":\"feed\","
        "\"feed\":\"bad\",\"dry_run\":true}],\"shown\":2,\"total\":9,\"of_feeds\":4}");
    have("alice@example.com at 192.0.2.7  ban    2h00m");
    have("scan  12");
    have("again");
    have("198.51.100.0/24");
    have("until released");
    have("DRY RUN");
    have("2 of 9; feeds name 4 more");
    show(show_ban,
         "{\"ban\":{\"id\":3,\"scope\":\"source\",\"address\":\"192.0.2.7\",\"reason\":"
         "\"shield_rate\",\"forgeable\":true},\"evidence\":{\"text\":\"INVITE\\n\\u001b[2J\\u009b"
         "x\",\"whole\":99,\"bytes\":10}}");
    have("ban 3: 192.0.2.7\n");
    have("more datagrams or messages than its source may send");
    have("ringwall bans release 3");
    have("can be forged");
    have("(99 bytes, the first of them)");
    have("    INVITE\n    ?[2J?x\n");
    show(show_alert_list,
         "{\"alerts\":[{\"time_us\":1795000000000000,\"severity\":2,\"source\":\"192.0.2."
         "7:5060\",\"sid\":4711,\"message\":\"a\\u001bscanner\",\"action\":\"drop\","
         "\"dry_run\":true,\"evidence\":5}]}");
    have("rule 4711");
    have("a?scanner");
    have("would drop");
    have("1 alert\n");
    show(show_who,
         "{\"name\":\"alice\",\"user\":\"alice@example.com\",\"engines\":[null,{\"tier\":"
         "\"registered\",\"country\":\"DE\",\"aor\":{\"entity\":\"aor\",\"persons\":[{\"proof\":"
         "\"claimed\",\"score\":44,\"fired\":[\"guess_user\"],\"last\":\"guess_user\",\"reason\":"
         "\"x\\u001b\"}]}}],\"bans\":[],\"bindings\":[{\"aor\":\"alice@example.com\",\"source\":"
         "\"192.0.2.7:5061\",\"transport\":\"tls\"}]}");
    have("alice (alice@example.com)\n");
    have("registered");
    have("DE");
    have("score 44; fires: guess_user; last guess_user (x?)");
    have("Not banned.");
    have("alice@example.com from 192.0.2.7:5061 by tls");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bans_and_alerts),
        cmocka_unit_test(registrations_of_peers),
        cmocka_unit_test(nothing_steers_the_terminal),
        cmocka_unit_test(tables_line_up),
        cmocka_unit_test(long_cells_are_cut),
        cmocka_unit_test(times),
        cmocka_unit_test(refused_request_is_explained),
        cmocka_unit_test(call_is_explained),
        cmocka_unit_test(records_as_a_table),
        cmocka_unit_test(status_as_text),
        cmocka_unit_test(odd_documents),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
