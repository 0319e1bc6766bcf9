#include "app/rules/help_test.h"

#define H                                                                                          \
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:alice@example.com>;tag=1\r\n"   \
    "To: <sip:bob@example.com>\r\nCall-ID: 1@example.com\r\nMax-Forwards: 70\r\n"
#define INVITE  "INVITE sip:bob@example.com SIP/2.0\r\n" H "CSeq: 1 INVITE\r\n"
#define OPTIONS "OPTIONS sip:bob@example.com SIP/2.0\r\n" H "CSeq: 1 OPTIONS\r\n"
#define ANSWER                                                                                     \
    "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"                 \
    "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>;tag=2\r\n"                   \
    "Call-ID: 1@example.com\r\nCSeq: 1 INVITE\r\n"
#define END "Content-Length: 0\r\n\r\n"
#define SDP                                                                                        \
    "v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=a name\r\ni=info\r\nu=http://example.com/\r\n"       \
    "e=alice@example.com\r\np=+1 555 0100\r\nc=IN IP4 192.0.2.1\r\nb=AS:64\r\nt=0 0\r\nr=7d 1h 0 " \
    "25h\r\n"                                                                                      \
    "z=2882844526 -1h\r\nk=prompt\r\na=tool:one\r\na=recvonly\r\nm=audio 49170 RTP/AVP "           \
    "0\r\ni=loud\r\n"                                                                              \
    "c=IN IP4 203.0.113.9\r\nk=clear:abc\r\na=ptime:20\r\nm=video 49180 RTP/AVP 31\r\n"
#define RULE(options) "alert sip any any -> any any (" options " sid:1;)\n"

/* Each with a message that it fits and one that it does not. */
static const struct {
    const char *rule, *fits, *not ;
} cases[] = {
    {RULE("content:\"friendly\";"), OPTIONS "User-Agent: friendly-scanner\r\n" END, OPTIONS END},
    {RULE("content:\"FRIENDLY\"; nocase;"), OPTIONS "User-Agent: friendly\r\n" END, OPTIONS END},
    {RULE("content:\"FRIENDLY\";"), OPTIONS "User-Agent: FRIENDLY\r\n" END,
     OPTIONS "User-Agent: friendly\r\n" END},
    {RULE("sip.method; content:\"INVITE\";"), INVITE END, OPTIONS END},
    {RULE("sip_method; content:\"OPTIONS\";"), OPTIONS END, INVITE END},
    {RULE("sip.uri; content:\"bob@\";"), INVITE END,
     "INVITE sip:carol@example.com SIP/2.0\r\n" H "CSeq: 1 INVITE\r\n" END},
    {RULE("sip.request_line; content:\"INVITE sip:bob@example.com SIP/2.0\"; startswith; "
          "endswith;"),
     INVITE END, OPTIONS END},
    {RULE("sip.stat_code; content:\"486\"; bsize:3;"), ANSWER END, INVITE END},
    {RULE("sip.stat_msg; content:\"Busy Here\"; startswith; endswith;"), ANSWER END, OPTIONS END},
    {RULE("sip.response_line; content:\"SIP/2.0 486 Busy Here\"; bsize:21;"), ANSWER END,
     INVITE END},
    {RULE("sip.protocol; content:\"SIP/2.0\"; bsize:7; sip.stat_code; content:\"4\"; depth:1;"),
     ANSWER END, INVITE END},
    {RULE("sip.protocol; content:\"SIP/2.0\"; bsize:7; sip.method; content:\"INVITE\";"),
     INVITE END, OPTIONS END},
    {RULE("sip.from; content:\"alice\"; sip.to; content:\"bob\"; sip.user_agent; content:\"X\";"),
     INVITE "User-Agent: X\r\n" END, INVITE "User-Agent: Y\r\n" END},
    {RULE("sip.via; content:\"10.0.0.7\"; sip.via; content:\"192.0.2.1\";"),
     INVITE "Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK2\r\n" END, INVITE END},
    {RULE("sip.via; content:\"10.0.0.7\"; content:\"192.0.2.1\";"),
     INVITE "v: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK192.0.2.1\r\n" END,
     INVITE "Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK2\r\n" END},
    {RULE("sip.user_agent; content:!\"Phone\";"), INVITE "User-Agent: x\r\n" END,
     INVITE "User-Agent: Phone 1\r\n" END},
    {RULE("sip.user_agent; content:!\"Phone\"; content:\"x\";"), INVITE "User-Agent: x\r\n" END,
     INVITE END}, /* no buffer: nothing is true of it */
    {RULE("sip.content_length; content:\"0\"; sip.content_type; content:\"sdp\";"),
     INVITE "c: application/sdp\r\n" END, INVITE END},
    {RULE("sip.from; content:\"sip:\"; content:\"@\"; distance:5; within:1;"), INVITE END,
     "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
     "From: <sip:carl@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1@example.com\r\n"
     "Max-Forwards: 70\r\nCSeq: 1 INVITE\r\n" END},
    /* the first "ab" does not do, the second does */
    {RULE("sip.user_agent; content:\"ab\"; content:\"cd\"; distance:1; within:2;"),
     INVITE "User-Agent: ab--cd ab-cd\r\n" END, INVITE "User-Agent: ab--cd abcd\r\n" END},
    {RULE("sip.user_agent; content:\"ab\"; content:!\"x\"; within:1;"),
     INVITE "User-Agent: abx aby\r\n" END, INVITE "User-Agent: abx abx\r\n" END},
    {RULE("sip.user_agent; content:\"b\"; offset:1; depth:2;"), INVITE "User-Agent: aab\r\n" END,
     INVITE "User-Agent: baab\r\n" END},
    {RULE("sip.user_agent; content:\"a\"; startswith; content:\"b\"; endswith;"),
     INVITE "User-Agent: a b\r\n" END, INVITE "User-Agent: b a\r\n" END},
    {RULE("sip.user_agent; content:\"ab\"; isdataat:!1,relative;"),
     INVITE "User-Agent: ab ab\r\n" END, INVITE "User-Agent: ab ab.\r\n" END},
    {RULE("sip.user_agent; isdataat:3;"), INVITE "User-Agent: 1234\r\n" END,
     INVITE "User-Agent: 123\r\n" END},
    {RULE("sip.user_agent; bsize:>3;"), INVITE "User-Agent: 1234\r\n" END,
     INVITE "User-Agent: 123\r\n" END},
    {RULE("sip.user_agent; bsize:2<>4;"), INVITE "User-Agent: 123\r\n" END,
     INVITE "User-Agent: 1234\r\n" END},
    {RULE("dsize:>300;"),
     INVITE "User-Agent: 0123456789012345678901234567890123456789\r\n"
            "X: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n" END,
     INVITE END},
    {RULE("content:\"|0d 0a|X: \\\"a\\;\\\\\";"), INVITE "X: \"a;\\\r\n" END,
     INVITE "X: \"a\r\n" END},
    {RULE("sip.user_agent; pcre:\"/^ab+c$/\";"), INVITE "User-Agent: abbbc\r\n" END,
     INVITE "User-Agent: xabc\r\n" END},
    {RULE("sip.user_agent; pcre:\"/AB+C/i\";"), INVITE "User-Agent: xabbcx\r\n" END,
     INVITE "User-Agent: xaccx\r\n" END},
    {RULE("sip.user_agent; pcre:!\"/[0-9]/\";"), INVITE "User-Agent: abc\r\n" END,
     INVITE "User-Agent: abc1\r\n" END},
    {RULE("sip.user_agent; content:\"ab\"; pcre:\"/^[0-9]/R\";"),
     INVITE "User-Agent: abx ab1\r\n" END, INVITE "User-Agent: 1ab\r\n" END},
    {RULE("sip.user_agent; pcre:\"/a[0-9]/\"; content:\"b\"; distance:0; within:1;"),
     INVITE "User-Agent: a1c a2b\r\n" END, INVITE "User-Agent: a1c a2cb\r\n" END},
    {RULE("sip.user_agent; pcre:\"/(a)b\\1/\";"), INVITE "User-Agent: xabax\r\n" END,
     INVITE "User-Agent: abb\r\n" END},
    {RULE("flow:to_server; sip.method; content:\"INVITE\";"), INVITE END, OPTIONS END},
#define WITH_SDP INVITE "Content-Type: application/sdp\r\n\r\n" SDP
#define S(buffer, value)                                                                           \
    {                                                                                              \
        RULE(buffer "; content:\"" value "\"; startswith; endswith;"), WITH_SDP, INVITE END        \
    }
    /* of the session's part, and of the media's, alone */
    {RULE("sdp.connection_data; content:\"192.0.2.1\";"), WITH_SDP,
     INVITE "Content-Type: application/sdp\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 192.0.2.1"
            "\r\n"},
    {RULE("sdp.media.connection_data; content:\"203.0.113.9\";"), WITH_SDP,
     INVITE "Content-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 203.0.113.9\r\nm=audio 1 RTP/AVP"
            " 0\r\n"},
    S("sdp.origin", "alice 1 1 IN IP4 192.0.2.1"),
    S("sdp.session_name", "a name"),
    S("sdp.session_info", "info"),
    S("sdp.uri", "http\\://example.com/"),
    S("sdp.email", "alice@example.com"),
    S("sdp.phone_number", "+1 555 0100"),
    S("sdp.connection_data", "IN IP4 192.0.2.1"),
    S("sdp.bandwidth", "AS\\:64"),
    S("sdp.time", "0 0"),
    S("sdp.repeat_time", "7d 1h 0 25h"),
    S("sdp.timezone", "2882844526 -1h"),
    S("sdp.encryption_key", "prompt"),
    S("sdp.attribute", "recvonly"),
    S("sdp.media.media", "video 49180 RTP/AVP 31"),
    S("sdp.media.media_info", "loud"),
    S("sdp.media.session_info", "loud"),
    S("sdp.media.connection_data", "IN IP4 203.0.113.9"),
    S("sdp.media.encryption_key", "clear\\:abc"),
};

static void each_fits_and_does_not(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct ruled x = ruled_plain(cases[i].rule, plain);
            if (run(&x, cases[i].fits) != 1 || run(&x, cases[i].not ) != 0)
                fail_msg("%s", cases[i].rule);
            ruled_done(&x);
        }
    }
}

/* The text, and where in it which problem is. */
static const struct {
    const char *rules, *problem;
} wrong[] = {
    {"alert sip any any -> any any (content:\"a\";)\n", "1:1: error: the rule has no sid"},
    {"allow sip any any -> any any (sid:1;)\n", "1:1: error: \"allow\" is no action"},
    {"alert http any any -> any any (sid:1;)\n", "1:7: error: protocol \"http\" is not served"},
    {"alert sip any any => any any (sid:1;)\n", "1:19: error: \"=>\" is no direction"},
    {"alert sip $NO_NET any -> any any (sid:1;)\n", "1:11: error: variable \"$NO_NET\""},
    {"alert sip 192.0.2.300 any -> any any (sid:1;)\n", "1:11: error: \"192.0.2.300\" is no addr"},
    {"alert sip any 70000 -> any any (sid:1;)\n", "1:15: error: \"70000\" is no port"},
    {"alert sip any [5060,5070:5061] -> any any (sid:1;)\n", "1:21: error: \"5070:5061\" is no"},
    {"alert sip any any -> !any any (sid:1;)\n", "1:22: error: not any is nothing"},
    {"alert sip ![192.0.2.1,!192.0.2.2] any -> any any (sid:1;)\n", "1:23: error: lists are"},
    {"alert sip any any -> any any\n", "1:29: error: the options in parentheses are missing"},
    {"alert sip any any -> any any (sid:1; content:\"a\"\n", "1:49: error: the semicolon behind"},
    {"alert sip any any -> any any (sid:1; content:\"a;\n",
     "error: the value of content ends inside"},
    {"alert sip any any -> any any (sid:1;\n", "error: the rule is not closed by )"},
    {"alert sip any any -> any any (sid:1;) x\n", "1:39: error: something stands behind"},
    {RULE("contents:\"a\";"),
     "1:31: error: keyword \"contents\" is not known; did you mean content?"},
    {RULE("http.uri; content:\"a\";"), "1:31: error: keyword \"http.uri\" is of another protocol"},
    {RULE("byte_test:1,>,2,3;"), "1:31: error: keyword \"byte_test\" of Suricata is not served"},
    {RULE("sip.body; content:\"a\";"), "1:31: error: keyword \"sip.body\" is not known"},
    {RULE("content:\"\";"), "error: the content is empty"},
    {RULE("content:\"|0d 0|\";"), "1:44: error: between bars"},
    {RULE("content:\"|0d\";"), "error: the bar that ends"},
    {RULE("content:\"a\\n\";"), "1:42: error: only"},
    {RULE("content:a;"), "1:39: error: the value must stand in quotes"},
    {RULE("nocase;"), "1:31: error: nocase without a content"},
    {RULE("content:\"abc\"; depth:2;"), "1:52: error: depth 2 is less than the content's 3"},
    {RULE("content:\"abc\"; depth:5; within:5;"), "error: offset or depth together with"},
    {RULE("content:\"abc\"; startswith; offset:1;"),
     "error: startswith and endswith leave no room"},
    {RULE("content:!\"abc\"; fast_pattern;"), "error: a negated content cannot be"},
    {RULE("content:\"abc\"; fast_pattern; content:\"b\"; fast_pattern;"), "said twice"},
    {RULE("content:\"abc\"; depth:x;"), "\"x\" is not a number"},
    {RULE("pcre:\"/a(b/\";"), "error: expression: missing closing parenthesis"},
    {RULE("pcre:\"/a/U\";"), "flag U is not served; put a sticky buffer"},
    {RULE("pcre:\"a\";"), "an expression is written"},
    {RULE("bsize:3;"), "bsize needs a sticky buffer"},
    {RULE("dsize:5<>6;"), "no size lies between"},
    {RULE("flow:to_server,to_client;"), "1:46: error: flow says both"},
    {RULE("flow:only_stream;"), "flow \"only_stream\" is not served"},
    {RULE("threshold:type limit, track by_src, count 1;"), "count and seconds must all be said"},
    {RULE("threshold:type backoff, track by_src, count 1, seconds 1;"), "type \"backoff\" is not"},
    {RULE("threshold:type limit, track by_me, count 1, seconds 1;"), "track \"by_me\" is not"},
    {RULE("detection_filter:type limit, track by_src, count 1, seconds 1;"),
     "does not belong here"},
    {RULE("flowbits:isset,a|b;"), "a flowbit's name"},
    {RULE("flowbits:foo,a;"), "flowbits \"foo\" is not served"},
    {RULE("classtype:none-such;"), "classtype \"none-such\" is not known"},
    {RULE("priority:0;"), "\"0\" is not a number from 1 to 255"},
    {RULE("msg:\"a\"; msg:\"b\";"), "error: msg is said twice"},
    {RULE("msg;"), "msg needs a value"},
    {RULE("noalert:1;"), "noalert has no value"},
    {RULE("sip.uri:1;"), "sip.uri has no value"},
    {RULE("metadata:ringwall_weight 300;"), "\"300\" is not a number from 1 to 255"},
    {RULE("reference:cve;"), "a reference is TYPE,VALUE"},
    {RULE("sip.method; content:\"a\"; sip.stat_code; content:\"2\";"), "it can never fit"},
    {"alert rtp any any -> any any (sip.uri; content:\"a\"; sid:1;)\n",
     "are not in packets of media"},
    {RULE("content:\"a\";") RULE("content:\"b\";"), "2:1: error: sid 1 is taken by test.rules:1"},
    {"# a comment\nalert sip any any -> any any ( \\\n  content:\"a\"; \\\n  foo:1; sid:1;)\n",
     "4:3: error: keyword \"foo\""},
};

static void what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct rules_build *b = rules_build_new();
        struct rules_build_opts o = {.plain = true};
        struct rules *r = NULL;
        size_t n = 0;
        assert_ok(rules_build_text(b, "test.rules", str_c(wrong[i].rules)));
        assert_err(rules_build_end(b, &o, &r, &n), ERR_SYNTAX);
        if (!strstr(problems_of(b), wrong[i].problem))
            fail_msg("%s\nwant %s\ngot %s", wrong[i].rules, wrong[i].problem, problems_of(b));
        rules_build_free(b);
    }
}

static void all_problems_are_told_at_once(void **state)
{
    (void)state;
    struct rules_build *b = rules_build_new();
    uint32_t n, errors, lost;
    assert_ok(rules_build_text(
        b, "a",
        STR("alert sip any any -> any any (foo; bar:1; depth:x; sid:1;)\n#alert sip x\n"
            "alert sip any any -> any any (priority:9999; sid:2;)\r\n\r\nhello\n")));
    (void)rules_build_problems(b, &n, &errors, &lost);
    assert_int_equal(errors, 5);
    assert_int_equal(lost, 0);
    rules_build_free(b);
}

static void addresses_and_ports(void **state)
{
    (void)state;
    static const struct {
        const char *head, *source, *dest;
        bool fits;
    } rows[] = {
        {"any any -> any any", "192.0.2.1:1", "192.0.2.2:2", true},
        {"192.0.2.0/24 any -> any any", "192.0.2.255:1", "203.0.113.1:2", true},
        {"192.0.2.0/24 any -> any any", "192.0.3.0:1", "203.0.113.1:2", false},
        {"!192.0.2.0/24 any -> any any", "192.0.3.0:1", "203.0.113.1:2", true},
        {"!192.0.2.0/24 any -> any any", "192.0.2.0:1", "203.0.113.1:2", false},
        {"[192.0.2.0/24, !192.0.2.7] any -> any any", "192.0.2.8:1", "203.0.113.1:2", true},
        {"[192.0.2.0/24,!192.0.2.7] any -> any any", "192.0.2.7:1", "203.0.113.1:2", false},
        {"[any,!192.0.2.7] any -> any any", "198.51.100.1:1", "203.0.113.1:2", true},
        {"[any,!192.0.2.7] any -> any any", "192.0.2.7:1", "203.0.113.1:2", false},
        {"192.0.2.3-192.0.2.9 any -> any any", "192.0.2.9:1", "203.0.113.1:2", true},
        {"192.0.2.3-192.0.2.9 any -> any any", "192.0.2.10:1", "203.0.113.1:2", false},
        {"2001:db8::/32 any -> any any", "[2001:db8::5]:1", "203.0.113.1:2", true},
        {"2001:db8::/32 any -> any any", "[2001:db9::5]:1", "203.0.113.1:2", false},
        {"$MINE any -> any any", "198.51.100.9:1", "203.0.113.1:2", true},
        {"!$MINE any -> any any", "198.51.100.9:1", "203.0.113.1:2", false},
        {"![192.0.2.1, [192.0.2.2,192.0.2.3]] any -> any any", "192.0.2.3:1", "203.0.113.1:2",
         false},
        {"any 5060 -> any any", "192.0.2.1:5060", "203.0.113.1:2", true},
        {"any 5060 -> any any", "192.0.2.1:5061", "203.0.113.1:2", false},
        {"any any -> any :1023", "192.0.2.1:5061", "203.0.113.1:1023", true},
        {"any any -> any 1024:", "192.0.2.1:5061", "203.0.113.1:1023", false},
        {"any any -> any [5060:5070, !5065]", "192.0.2.1:1", "203.0.113.1:5065", false},
        {"any any -> 192.0.2.1 any", "192.0.2.1:1", "203.0.113.1:2", false},
        {"any any <> 192.0.2.1 any", "192.0.2.1:1", "203.0.113.1:2", true},
        {"any any -> 192.0.2.1 any", "203.0.113.1:1", "0.0.0.0:0", true}, /* not known */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[200];
        struct ruled x = {0};
        struct rules_build *b = rules_build_new();
        struct rules_build_opts o = {.plain = true};
        (void)snprintf(text, sizeof text, "alert sip %s (content:\"INVITE\"; sid:1;)",
                       rows[i].head);
        assert_ok(rules_build_var(b, "MINE", "[198.51.100.0/24,192.0.2.99]"));
        assert_ok(rules_build_text(b, "x", str_c(text)));
        assert_ok(rules_build_end(b, &o, &x.r, &x.bytes));
        rules_build_free(b);
        x.scan = rules_scan_new(x.r, true);
        x.state = rules_state_init(calloc(1, rules_state_bytes(x.r)), x.r);
        struct said s = {.source = rows[i].source, .dest = rows[i].dest};
        if (run_said(&x, INVITE END, s) != rows[i].fits)
            fail_msg("%s: %s %s", rows[i].head, rows[i].source, rows[i].dest);
        ruled_done(&x);
    }
}

static void protocols_and_flow(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        struct said s;
        bool fits;
    } rows[] = {
        {"alert udp any any -> any any (content:\"INVITE\"; sid:1;)", {.proto = 0}, true},
        {"alert udp any any -> any any (content:\"INVITE\"; sid:1;)", {.proto = 1}, false},
        {"alert tcp any any -> any any (content:\"INVITE\"; sid:1;)", {.proto = 2}, true},
        {"alert tcp any any -> any any (content:\"INVITE\"; sid:1;)", {.proto = 0}, false},
        {"alert sip any any -> any any (content:\"INVITE\"; sid:1;)", {.proto = 2}, true},
        {RULE("flow:to_server; content:\"INVITE\";"), {.to_client = true}, false},
        {RULE("flow:to_client; content:\"INVITE\";"), {.to_client = true}, true},
        {RULE("flow:from_server,established; content:\"INVITE\";"), {.to_client = true}, false},
        {RULE("flow:from_client,established; content:\"INVITE\";"), {.established = true}, true},
        {RULE("flow:not_established; content:\"INVITE\";"), {.established = true}, false},
        {RULE("flow:not_established; content:\"INVITE\";"), {.established = false}, true},
        {RULE("flow:stateless; content:\"INVITE\";"), {.established = true}, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ruled x = ruled(rows[i].rule);
        if (run_said(&x, INVITE END, rows[i].s) != rows[i].fits)
            fail_msg("%zu %s", i, rows[i].rule);
        ruled_done(&x);
    }
}

static void hits_say_what_the_rule_says(void **state)
{
    (void)state;
    struct ruled x = ruled(
        "alert sip any any -> any any (msg:\"one \\\"q\\\"\"; content:\"INVITE\"; priority:3; "
        "sid:1; rev:4;)\n"
        "drop sip any any -> any any (msg:\"two\"; content:\"INVITE\"; classtype:attempted-admin; "
        "metadata:policy x, ringwall_weight 77; sid:2; gid:9;)\n"
        "reject sip any any -> any any (content:\"alice\"; priority:2; sid:3; noalert;)\n"
        "alert sip any any -> any any (content:\"alice\"; priority:2; sid:4;)\n");
    struct rules_hit h[8];
    assert_int_equal(run_bytes(&x, str_c(INVITE END), false, (struct said){0}, h, 8), 3);
    assert_int_equal(h[0].sid, 2);
    assert_int_equal(h[0].gid, 9);
    assert_int_equal(h[0].action, RULE_DROP);
    assert_int_equal(h[0].severity, 1);
    assert_int_equal(h[0].weight, 77);
    assert_str(h[0].msg, "two");
    assert_str(h[0].classtype, "attempted-admin");
    assert_int_equal(h[1].sid, 4);
    assert_int_equal(h[1].weight, 20);
    assert_int_equal(h[2].sid, 1);
    assert_int_equal(h[2].rev, 4);
    assert_int_equal(h[2].weight, 10);
    assert_str(h[2].msg, "one \"q\"");
    assert_int_equal(run_bytes(&x, str_c(INVITE END), false, (struct said){0}, h, 1), 1);
    assert_int_equal(h[0].sid, 2);
    assert_int_equal(run_bytes(&x, str_c(INVITE END), false, (struct said){0}, h, 0), 0);
    ruled_done(&x);
}

static void pass_ends_all(void **state)
{
    (void)state;
    struct ruled x = ruled("drop sip any any -> any any (content:\"INVITE\"; sid:1;)\n"
                           "pass sip 192.0.2.7 any -> any any (content:\"alice\"; sid:2;)\n");
    assert_int_equal(run(&x, INVITE END), 1);
    assert_int_equal(run_said(&x, INVITE END, (struct said){.source = "192.0.2.7:5060"}), 0);
    assert_int_equal(run(&x, INVITE END), 1); /* and leaves nothing behind */
    ruled_done(&x);
}

static size_t times(struct ruled *x, const char *source, int64_t at_s, unsigned n)
{
    size_t hits = 0;
    for (unsigned i = 0; i < n; i++)
        hits += run_said(x, INVITE END, (struct said){.source = source, .at_s = at_s});
    return hits;
}

static void thresholds(void **state)
{
    (void)state;
    struct ruled x =
        ruled(RULE("content:\"INVITE\"; threshold:type limit, track by_src, count 2, seconds 60;"));
    assert_int_equal(times(&x, "192.0.2.1:1", 0, 5), 2);
    assert_int_equal(times(&x, "192.0.2.2:1", 0, 5), 2);
    assert_int_equal(times(&x, "192.0.2.1:2", 59, 5), 0);
    assert_int_equal(times(&x, "192.0.2.1:2", 60, 5), 2);
    ruled_done(&x);
    x = ruled(
        RULE("content:\"INVITE\"; threshold:type threshold, track by_src, count 3, seconds 60;"));
    assert_int_equal(times(&x, "192.0.2.1:1", 0, 2), 0);
    assert_int_equal(times(&x, "192.0.2.1:1", 1, 1), 1);
    assert_int_equal(times(&x, "192.0.2.1:1", 1, 6), 2);
    assert_int_equal(times(&x, "192.0.2.1:1", 1, 2), 0);
    assert_int_equal(times(&x, "192.0.2.1:1", 70, 2), 0); /* another window */
    ruled_done(&x);
    x = ruled(RULE("content:\"INVITE\"; threshold:type both, track by_dst, count 3, seconds 60;"));
    assert_int_equal(times(&x, "192.0.2.1:1", 0, 2), 0);
    assert_int_equal(times(&x, "192.0.2.2:1", 0, 9), 1);
    ruled_done(&x);
    x = ruled(RULE("content:\"INVITE\"; detection_filter:track by_src, count 3, seconds 60;"));
    assert_int_equal(times(&x, "192.0.2.1:1", 0, 3), 0);
    assert_int_equal(times(&x, "192.0.2.1:1", 0, 4), 4);
    ruled_done(&x);
    x = ruled("drop sip any any -> any any (content:\"INVITE\"; sid:1; threshold:type limit, track "
              "by_rule, count 1, seconds 60;)");
    struct rules_hit h[2];
    assert_int_equal(run_bytes(&x, str_c(INVITE END), false, (struct said){0}, h, 2), 1);
    assert_false(h[0].quiet);
    assert_int_equal(run_bytes(&x, str_c(INVITE END), false, (struct said){0}, h, 2), 1);
    assert_true(h[0].quiet); /* still dropped */
    ruled_done(&x);
}

static void memory_of_thresholds_is_fixed(void **state)
{
    (void)state;
    struct ruled x =
        ruled(RULE("content:\"INVITE\"; threshold:type limit, track by_src, count 1, seconds 60;"));
    size_t hits = 0;
    for (unsigned i = 0; i < 40000; i++) {
        char source[40];
        (void)snprintf(source, sizeof source, "10.%u.%u.%u:5060", i >> 16 & 255, i >> 8 & 255,
                       i & 255);
        hits += times(&x, source, i / 1000, 1);
    }
    assert_int_equal(hits, 40000); /* each fires once; the oldest made room */
    ruled_done(&x);
}

static void flowbits(void **state)
{
    (void)state;
    struct ruled x =
        ruled("alert sip any any -> any any (sip.method; content:\"INVITE\"; flowbits:isset,seen; "
              "sid:1;)\n"
              "alert sip any any -> any any (sip.method; content:\"OPTIONS\"; flowbits:set,seen; "
              "flowbits:noalert; sid:2;)\n"
              "alert sip any any -> any any (sip.stat_code; content:\"486\"; flowbits:unset,seen; "
              "sid:3;)\n"
              "alert sip any any -> any any (content:\"alice\"; flowbits:isnotset,seen; sid:4;)\n");
    struct said one = {.flow = 1}, two = {.flow = 2};
    assert_int_equal(run_said(&x, INVITE END, one), 1);  /* 4 */
    assert_int_equal(run_said(&x, OPTIONS END, one), 0); /* sets it before 4 asks */
    assert_int_equal(run_said(&x, INVITE END, one), 1);  /* 1 */
    assert_int_equal(run_said(&x, INVITE END, two), 1);  /* 4 */
    assert_int_equal(run_said(&x, ANSWER END, one), 2);  /* 3, and 4 */
    assert_int_equal(run_said(&x, OPTIONS END, one), 0);
    assert_int_equal(run_said(&x, INVITE END, (struct said){.flow = 1, .at_s = 3600}), 1); /* 4 */
    ruled_done(&x);
}

/* A threshold holds back what is told; the bit is set all the same. */
static void flowbits_do_not_wait_for_thresholds(void **state)
{
    (void)state;
    struct ruled x =
        ruled("alert sip any any -> any any (sip.method; content:\"OPTIONS\"; flowbits:set,seen; "
              "threshold:type threshold, track by_src, count 5, seconds 60; sid:1;)\n"
              "alert sip any any -> any any (sip.method; content:\"INVITE\"; flowbits:isset,seen; "
              "flowbits:toggle,seen; sid:2;)\n");
    struct said one = {.flow = 1};
    assert_int_equal(run_said(&x, OPTIONS END, one), 0);
    assert_int_equal(run_said(&x, INVITE END, one), 1);
    assert_int_equal(run_said(&x, INVITE END, one), 0); /* toggled */
    ruled_done(&x);
}

static void packets_of_media(void **state)
{
    (void)state;
    struct ruled x = ruled("alert rtp any any -> any any (content:\"/bin/sh\"; dsize:>20; sid:1;)\n"
                           "alert sip any any -> any any (content:\"/bin/sh\"; sid:2;)\n");
    struct rules_hit h[4];
    assert_true(rules_want_rtp(x.r));
    struct str bad = STR("\x80\x00\x00\x01xxxxxxxx/bin/sh -c \0 xxxx"), good = STR("\x80 hello");
    assert_int_equal(run_bytes(&x, bad, true, (struct said){0}, h, 4), 1);
    assert_int_equal(h[0].sid, 1);
    assert_int_equal(run_bytes(&x, good, true, (struct said){0}, h, 4), 0);
    assert_int_equal(
        run_bytes(&x, str_c(INVITE "X: /bin/sh\r\n" END), false, (struct said){0}, h, 4), 1);
    assert_int_equal(h[0].sid, 2);
    ruled_done(&x);
    x = ruled(RULE("content:\"x\";"));
    assert_false(rules_want_rtp(x.r));
    ruled_done(&x);
}

static void damaged_blobs_are_refused(void **state)
{
    (void)state;
    struct ruled x = ruled_plain(
        RULE("content:\"INVITE\"; sip.from; pcre:\"/a/\";") "alert sip any any -> any any "
                                                            "(content:\"OPTIONS\"; sid:2;)\n",
        true);
    struct rules *r = x.r;
#define BAD(change)                                                                                \
    {                                                                                              \
        struct rules *c = aligned_alloc(64, x.bytes);                                              \
        memcpy(c, r, x.bytes);                                                                     \
        struct rules_rule *u = (struct rules_rule *)((uint8_t *)c + c->part[PART_RULE].at);        \
        struct rules_cond *d = (struct rules_cond *)((uint8_t *)c + c->part[PART_COND].at);        \
        struct rules_pattern *p =                                                                  \
            (struct rules_pattern *)((uint8_t *)c + c->part[PART_PATTERN].at);                     \
        uint32_t *h = (uint32_t *)((uint8_t *)c + c->part[PART_HEAD].at);                          \
        (void)u, (void)d, (void)p, (void)h;                                                        \
        change;                                                                                    \
        if (rules_valid(c, x.bytes) == OK)                                                         \
            fail_msg("%s", #change);                                                               \
        free(c);                                                                                   \
    }
    BAD(c->magic++)
    BAD(c->bytes++)
    BAD(c->part[PART_TEXT].n = UINT32_MAX)
    BAD(c->part[PART_RULE].at = 8)
    BAD(c->part[PART_RULE].at += 4)
    BAD(c->part[PART_HEAD].n--)
    BAD(c->sip_patterns = 99)
    BAD(u->conds.n = 4)
    BAD(u->conds.at = 2)
    BAD(u->msg.at = UINT32_MAX)
    BAD(u->severity = 0)
    BAD(u->action = 9)
    BAD(u->bits_set = 1)
    BAD(u->buffers = UINT64_MAX)
    BAD(u->limit[0].type = 1)
    BAD(u->protos = RP_RTP)
    BAD(d[0].flags = 0)
    BAD(d[1].text_n = 0)
    BAD(d[0].buffer = 99)
    BAD(d[0].kind = 9)
    BAD(d[0].text = 99)
    BAD(p->users.n = 3)
    BAD(p->next = 0)
    BAD(p[1].next = 0)
    BAD(p->gram = 9)
    BAD(h[5] = 2)
#undef BAD
    assert_err(rules_valid(r, x.bytes - 1), ERR_SYNTAX);
    assert_err(rules_valid(r, 8), ERR_SYNTAX);
    assert_err(rules_valid(NULL, 0), ERR_SYNTAX);
    ruled_done(&x);
}

static void no_rules_are_no_problem(void **state)
{
    (void)state;
    struct ruled x = ruled("# nothing\n#alert sip any any -> any any (sid:1;)\n");
    assert_int_equal(rules_count(x.r), 0);
    assert_int_equal(x.r->n_disabled, 1);
    assert_int_equal(run(&x, INVITE END), 0);
    ruled_done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fits_and_does_not),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(all_problems_are_told_at_once),
        cmocka_unit_test(addresses_and_ports),
        cmocka_unit_test(protocols_and_flow),
        cmocka_unit_test(hits_say_what_the_rule_says),
        cmocka_unit_test(pass_ends_all),
        cmocka_unit_test(thresholds),
        cmocka_unit_test(memory_of_thresholds_is_fixed),
        cmocka_unit_test(flowbits),
        cmocka_unit_test(flowbits_do_not_wait_for_thresholds),
        cmocka_unit_test(packets_of_media),
        cmocka_unit_test(damaged_blobs_are_refused),
        cmocka_unit_test(no_rules_are_no_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
