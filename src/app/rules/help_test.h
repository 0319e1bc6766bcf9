/* For the tests of this folder: rules from text, messages, runs. */
#ifndef APP_RULES_HELP_TEST_H
#define APP_RULES_HELP_TEST_H
#include "app/rules/compile.h"
#include "app/rules/scanner.h"
#include "base/test.h"

struct ruled { /* compiled rules, ready to run */
    struct rules *r;
    size_t bytes;
    struct rules_scan *scan;
    struct rules_state *state;
};

static inline char *problems_of(struct rules_build *b)
{
    static char text[64 << 10];
    struct out o = out_of(text, sizeof text - 1);
    rules_problems_put(&o, b);
    text[o.n] = 0;
    return text;
}

static inline struct ruled ruled_plain(const char *text, bool plain)
{
    struct ruled x = {0};
    struct rules_build *b = rules_build_new();
    struct rules_build_opts o = {.salt = {1, 2}, .plain = plain};
    assert_non_null(b);
    assert_ok(rules_build_text(b, "test.rules", str_c(text)));
    enum err e = rules_build_end(b, &o, &x.r, &x.bytes);
    if (e != OK)
        print_error("%s", problems_of(b));
    assert_ok(e);
    rules_build_free(b);
    assert_ok(rules_valid(x.r, x.bytes));
    x.scan = rules_scan_new(x.r, plain);
    assert_non_null(x.scan);
    x.state = rules_state_init(calloc(1, rules_state_bytes(x.r)), x.r);
    return x;
}
static inline struct ruled ruled(const char *text)
{
    return ruled_plain(text, false);
}
static inline void ruled_done(struct ruled *x)
{
    free(x->state);
    rules_scan_free(x->scan);
    free(x->r);
}

struct said { /* what stands round a message; zeroed: UDP from 192.0.2.1 to the server */
    const char *source, *dest;
    uint8_t proto;
    bool to_client, established;
    uint64_t flow;
    int64_t at_s;
};
static inline size_t run_bytes(struct ruled *x, struct str bytes, bool rtp, struct said s,
                               struct rules_hit *hits, size_t cap)
{
    static struct sip_msg m;
    struct sip_error why;
    struct rules_input in = {.m = rtp ? NULL : &m,
                             .bytes = bytes,
                             .proto = s.proto,
                             .to_server = !s.to_client,
                             .established = s.established,
                             .flow = s.flow};
    if (!rtp)
        assert_ok(sip_parse(bytes, false, &m, &why));
    assert_ok(addr_parse(str_c(s.source ? s.source : "192.0.2.1:5060"), &in.source));
    assert_ok(addr_parse(str_c(s.dest ? s.dest : "198.51.100.1:5060"), &in.dest));
    struct now now = {{s.at_s * 1000000}, {s.at_s * 1000000}};
    return rules_run(x->r, x->state, rules_scan_get(x->scan), &in, now, hits, cap);
}
static inline size_t run_said(struct ruled *x, const char *message, struct said s)
{
    struct rules_hit hits[64];
    return run_bytes(x, str_c(message), false, s, hits, 64);
}
static inline size_t run(struct ruled *x, const char *message)
{
    return run_said(x, message, (struct said){0});
}
#endif
