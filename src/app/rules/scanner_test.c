/* The evaluation beside a slow one written from the definitions: random rules over random messages
 * must fire alike, by the library and by the plain scanner. PCRE2 beside the library. */
#include "app/rules/help_test.h"
#include "app/rules/lib.h"
#include "app/rules/pcre.h"
#include "guard/scan.h"

static uint64_t seed = 0x2545f4914f6cdd1du;
static uint32_t next(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

/* -- the slow one -- */

struct cond { /* as the text says it */
    bool negated, nocase, starts, ends, relative, has_within, has_depth;
    int offset, limit;
    char text[8];
    size_t n;
};
#define CONDS 4
struct slow {
    struct cond c[CONDS];
    int n;
    char text[600];
};

static bool at(const struct cond *c, struct str s, long from)
{
    for (size_t i = 0; i < c->n; i++) {
        char a = s.p[(size_t)from + i], b = c->text[i];
        if (c->nocase ? ascii_lower(a) != ascii_lower(b) : a != b)
            return false;
    }
    return true;
}

/* May it lie there? Every modifier by its definition. */
static bool may(const struct cond *c, struct str s, long prev, long from)
{
    long end = from + (long)c->n, base = c->relative ? prev : 0;
    if (from < 0 || end > (long)s.n || from < base + c->offset)
        return false;
    if ((c->has_within || c->has_depth) && end > base + c->offset + c->limit)
        return false;
    if (c->starts && from != 0)
        return false;
    return !c->ends || end == (long)s.n;
}

static bool holds(const struct slow *r, int i, struct str s, long prev)
{
    bool any = false;
    if (i == r->n)
        return true;
    const struct cond *c = &r->c[i];
    for (long from = 0; from + (long)c->n <= (long)s.n; from++) {
        if (!may(c, s, prev, from) || !at(c, s, from))
            continue;
        any = true;
        if (!c->negated && holds(r, i + 1, s, from + (long)c->n))
            return true;
    }
    return c->negated && !any && holds(r, i + 1, s, prev);
}

static void letters(char *ret, size_t n)
{
    static const char of[] = "aAbBc-";
    for (size_t i = 0; i < n; i++)
        ret[i] = of[next(sizeof of - 1)];
}

static void invent(struct slow *r, unsigned sid)
{
    struct out o = out_of(r->text, sizeof r->text - 1);
    *r = (struct slow){.n = 1 + (int)next(CONDS)};
    OUT_LIT(&o, "alert sip any any -> any any (sip.user_agent; ");
    for (int i = 0; i < r->n; i++) {
        struct cond *c = &r->c[i];
        c->n = 1 + next(3);
        letters(c->text, c->n);
        c->negated = next(5) == 0;
        c->nocase = next(2) == 0;
        out_fmt(&o, "content:%s\"%.*s\"; %s", c->negated ? "!" : "", (int)c->n, c->text,
                c->nocase ? "nocase; " : "");
        unsigned kind = next(6);
        c->starts = kind == 0;
        c->ends = kind == 1;
        OUT_LIT(&o, "");
        if (kind == 0)
            OUT_LIT(&o, "startswith; ");
        if (kind == 1)
            OUT_LIT(&o, "endswith; ");
        if (kind == 2 || kind == 3) {
            c->relative = true;
            c->offset = (int)next(7) - 2;
            out_fmt(&o, "distance:%d; ", c->offset);
        }
        if (kind == 4) {
            c->offset = (int)next(6);
            out_fmt(&o, "offset:%d; ", c->offset);
        }
        if ((kind >= 3 && kind <= 5) && next(2)) {
            c->limit = (int)c->n + (int)next(6);
            c->has_within = c->relative;
            c->has_depth = !c->relative;
            out_fmt(&o, "%s:%d; ", c->relative ? "within" : "depth", c->limit);
        }
    }
    out_fmt(&o, "sid:%u;)\n", sid);
    r->text[o.n] = 0;
}

#define RULES 40
static void random_rules_fire_as_defined(void **state)
{
    (void)state;
    static struct slow slow[RULES];
    static char text[RULES * 600];
    unsigned fired = 0;
    for (int round = 0; round < 60; round++) {
        struct out o = out_of(text, sizeof text - 1);
        for (unsigned i = 0; i < RULES; i++) {
            invent(&slow[i], i + 1);
            out_put(&o, str_c(slow[i].text));
        }
        text[o.n] = 0;
        struct ruled fast = ruled(text), plain = ruled_plain(text, true);
        for (int k = 0; k < 40; k++) {
            char ua[32], message[512];
            struct rules_hit hits[2][64];
            uint64_t seen[2] = {0, 0}, want = 0;
            size_t n = 1 + next(20);
            letters(ua, n);
            (void)snprintf(message, sizeof message,
                           "OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
                           "192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:x@example.com>;tag=1\r\n"
                           "To: <sip:x@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
                           "Max-Forwards: 70\r\nUser-Agent: %.*s\r\n\r\n",
                           (int)n, ua);
            for (unsigned i = 0; i < RULES; i++)
                want |= (uint64_t)holds(&slow[i], 0, str_of(ua, n), 0) << i;
            for (int way = 0; way < 2; way++) {
                size_t got = run_bytes(way ? &plain : &fast, str_c(message), false,
                                       (struct said){0}, hits[way], 64);
                for (size_t i = 0; i < got; i++)
                    seen[way] |= UINT64_C(1) << (hits[way][i].sid - 1);
                for (unsigned i = 0; i < RULES; i++)
                    if (((seen[way] ^ want) >> i) & 1)
                        fail_msg("%s: %.*s: %s must%s fire", way ? "plain" : "library", (int)n, ua,
                                 slow[i].text, (want >> i) & 1 ? "" : " not");
            }
            fired += (unsigned)__builtin_popcountll(want);
        }
        ruled_done(&fast);
        ruled_done(&plain);
    }
    assert_true(fired > 5000); /* it was not all silence */
}

/* -- scanners beside each other and beside a search -- */

static void mark_found(void *ctx, uint32_t pattern)
{
    ((bool *)ctx)[pattern] = true;
}

static void scanners_find_the_same(void **state)
{
    (void)state;
    static char text[300 * 100];
    for (int round = 0; round < 20; round++) {
        struct out o = out_of(text, sizeof text - 1);
        for (unsigned i = 0; i < 300; i++) {
            char w[12];
            size_t n = 1 + next(8);
            letters(w, n);
            out_fmt(&o, "alert sip any any -> any any (content:\"%.*s\"; %s sid:%u;)\n", (int)n, w,
                    next(2) ? "nocase;" : "", i + 1);
        }
        text[o.n] = 0;
        struct ruled x = ruled(text);
        struct rules_scanner plain;
        scan_plain(x.r, &plain);
        const struct rules_scanner *lib = rules_scan_get(x.scan);
        for (int k = 0; k < 50; k++) {
            char s[200];
            size_t n = next(sizeof s);
            letters(s, n);
            static bool a[400], b[400];
            memset(a, 0, sizeof a);
            memset(b, 0, sizeof b);
            assert_true(lib->scan(lib->ctx, str_of(s, n), mark_found, a));
            assert_true(plain.scan(plain.ctx, str_of(s, n), mark_found, b));
            for (uint32_t i = 0; i < x.r->sip_patterns; i++) {
                const struct rules_pattern *p = rules_pattern_at(x.r, i);
                struct cond c = {.n = p->text_n, .nocase = p->nocase};
                memcpy(c.text, rules_text(x.r, p->text, p->text_n).p, MIN(c.n, sizeof c.text));
                bool there = false;
                for (long from = 0; from + (long)c.n <= (long)n; from++)
                    there = there || at(&c, str_of(s, n), from);
                assert_int_equal(a[i], there);
                assert_int_equal(b[i], there);
            }
        }
        ruled_done(&x);
    }
}

/* -- the library beside PCRE2 -- */

static const struct {
    const char *expression;
    uint32_t flags;
} expressions[] = {
    {"ab", 0},
    {"^ab", 0},
    {"ab$", 0},
    {"^ab$", 0},
    {"^a", EXPR_M},
    {"b$", EXPR_M},
    {"a.b", 0},
    {"a.b", EXPR_S},
    {"A[bB]+c", EXPR_I},
    {"(?:a|b)c", 0},
    {"a{2,3}b", 0},
    {"[^a]+$", 0},
    {"\\ba", 0},
    {"a\\b", 0},
    {"\\Ba", 0},
    {"\\s", 0},
    {"\\w\\W\\d", 0},
    {"a*", 0},
    {"^$", 0},
    {"(a|ab)(c|bcd)", 0},
    {"a+?b", 0},
    {"[[:alpha:]]-", 0},
    {"\\x41b", 0},
    {"a|^b|c$", 0},
    {".", 0},
    {"^.{3}$", EXPR_S},
};

static void library_and_pcre_agree(void **state)
{
    (void)state;
    unsigned both = 0, yes = 0;
    if (!rules_lib_can_make() || !rules_pcre_there())
        skip();
    struct rules_lib *l = rules_lib_new();
    for (size_t i = 0; i < ARRAY_LEN(expressions); i++) {
        char why[120];
        size_t where, n, first, end;
        void *bytes;
        struct str e = str_c(expressions[i].expression);
        struct rules_pcre *p = rules_pcre_new(e, expressions[i].flags, why, sizeof why, &where);
        assert_non_null(p);
        if (rules_lib_expr(e, expressions[i].flags, &bytes, &n) == OK) {
            struct rules_db *d = rules_lib_add(l, str_of(bytes, n));
            assert_non_null(d);
            both++;
            for (int k = 0; k < 2000; k++) {
                static const char of[] = "aabbcAB-1 \n\r\x80";
                char s[12];
                size_t len = next(sizeof s);
                for (size_t m = 0; m < len; m++)
                    s[m] = of[next(sizeof of - 1)];
                bool a = rules_lib_fits(l, d, str_of(s, len)),
                     b = rules_pcre_find(p, str_of(s, len), 0, &first, &end);
                yes += b;
                if (a != b)
                    fail_msg("%s on \"%.*s\": library %d, PCRE %d", e.p, (int)len, s, a, b);
            }
            free(bytes);
        }
        rules_pcre_free(p);
    }
    rules_lib_free(l);
    assert_true(both >= 20);
    assert_true(yes > 1000);
}

/* An expression that would run for ever does not. */
static void a_costly_expression_is_bounded(void **state)
{
    (void)state;
    char why[120], s[4096];
    size_t where, first, end;
    if (!rules_pcre_there())
        skip();
    struct rules_pcre *p = rules_pcre_new(STR("^(a+)+\\1$"), 0, why, sizeof why, &where);
    memset(s, 'a', sizeof s);
    s[sizeof s - 1] = 'b';
    assert_non_null(p);
    assert_false(rules_pcre_find(p, str_of(s, sizeof s), 0, &first, &end));
    assert_true(rules_pcre_find(p, STR("aa"), 0, &first, &end));
    rules_pcre_free(p);
    /* and so is a search over places of contents */
    struct ruled x = ruled(
        "alert sip any any -> any any (content:\"a\"; content:\"a\"; distance:0; content:\"a\"; "
        "distance:0; content:\"a\"; distance:0; content:\"zz\"; distance:0; sid:1;)\n"
        "alert sip any any -> any any (content:\"aaab\"; sid:2;)\n");
    static char m[60000];
    struct out o = out_of(m, sizeof m);
    OUT_LIT(&o, "OPTIONS sip:zz@example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
                "192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:x@example.com>;tag=1\r\n"
                "To: <sip:x@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
                "Max-Forwards: 70\r\n\r\n");
    while (o.n < 50000)
        out_ch(&o, 'a');
    out_ch(&o, 'b');
    struct rules_hit h[4];
    assert_int_equal(run_bytes(&x, out_str(&o), false, (struct said){0}, h, 4), 1);
    assert_int_equal(h[0].sid, 2);
    ruled_done(&x);
}

static void what_the_library_cannot_read_is_not_believed(void **state)
{
    (void)state;
    struct rules_lib *l = rules_lib_new();
    if (!l)
        skip();
    assert_null(rules_lib_add(l, STR("not a database at all, but long enough to be looked at")));
    assert_null(rules_lib_add(l, STR("")));
    rules_lib_free(l);
    /* a blob with a spoilt database is scanned by the plain scanner */
    struct ruled x = ruled("alert sip any any -> any any (content:\"OPTIONS\"; sid:1;)\n");
    uint8_t *lib = (uint8_t *)x.r + x.r->part[PART_LIB].at;
    for (uint32_t i = 0; i < x.r->part[PART_LIB].n; i++)
        lib[i] ^= 0x5a;
    struct rules_scan *s = rules_scan_new(x.r, false);
    assert_string_equal(rules_scan_kind(s), "plain");
    rules_scan_free(x.scan);
    x.scan = s;
    assert_int_equal(run(&x, "OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
                             "192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:x@example.com>;tag=1\r\n"
                             "To: <sip:x@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
                             "Max-Forwards: 70\r\n\r\n"),
                     1);
    ruled_done(&x);
}

/* -- literals of expressions: every match holds one of them -- */

static void literals_are_certain(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *scanned; /* patterns of the blob, sorted; "": judged always */
    } rows[] = {
        {"friendly", "friendly"},
        {"^fri[a-z]+endly$", "endly"},
        {"(?:foo|barr)[0-9]", "barr foo"},
        {"foo|x*", ""},
        {"(?:quux)?zap", "zap"},
        {"quux+", "quux"},
        {"quuxy?", "quux"},
        {"quuxy{0,3}", "quux"},
        {"quuxy{2}", "quuxy"},
        {"\\x71uux", "quux"},
        {"(?i)quux", ""},
        {"a(?!quux)zap", "zap"},
        {"\\Qquux\\E", ""},
        {"[quux]zap", "zap"},
        {"[]q]zap", "zap"},
        {"(?:(?:qua|quo)x|zap)", "qua quo zap"},
        {"quux.zapp", "quux"},
        {"qu\\.ux\\;", "qu.ux;"},
        {"[[:alpha:]]zap", ""},
        {"(quux)\\1", "quux"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[200], got[200] = "";
        (void)snprintf(text, sizeof text,
                       "alert sip any any -> any any (sip.user_agent; pcre:\"/%s/\"; sid:1;)\n",
                       rows[i].expression);
        struct ruled x = ruled_plain(text, true);
        for (uint32_t k = 0; k < x.r->sip_patterns; k++) {
            const struct rules_pattern *p = rules_pattern_at(x.r, k);
            size_t n = strlen(got);
            (void)snprintf(got + n, sizeof got - n, "%s%.*s", n ? " " : "", (int)p->text_n,
                           rules_text(x.r, p->text, p->text_n).p);
        }
        if (strcmp(got, rows[i].scanned) != 0)
            fail_msg("%s: \"%s\", want \"%s\"", rows[i].expression, got, rows[i].scanned);
        assert_int_equal(x.r->part[PART_ALWAYS].n, rows[i].scanned[0] == 0);
        ruled_done(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_rules_fire_as_defined),
        cmocka_unit_test(scanners_find_the_same),
        cmocka_unit_test(library_and_pcre_agree),
        cmocka_unit_test(a_costly_expression_is_bounded),
        cmocka_unit_test(what_the_library_cannot_read_is_not_believed),
        cmocka_unit_test(literals_are_certain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
