/* The torture messages of RFC 4475 and RFC 5118, read in place from the shared corpus: what
 * sip_parse says of each. Where the RFCs let a server be strict or liberal, we are strict. */
#include "base/test.h"
#include "wire/sip/hdr.h"
#include <dirent.h>

struct row {
    const char *file;
    enum reason want; /* REASON_NONE: accepted */
    enum sip_method method;
    bool answerable;
};

static const struct row rfc4475[] = {
    {"wsinv", REASON_NONE, SIP_INVITE, false},
    {"intmeth", REASON_NONE, SIP_OTHER, false},
    {"esc01", REASON_NONE, SIP_INVITE, false},
    {"escnull", REASON_NONE, SIP_REGISTER, false},
    {"esc02", REASON_NONE, SIP_OTHER, false},
    {"lwsdisp", REASON_NONE, SIP_OPTIONS, false},
    {"longreq", REASON_NONE, SIP_INVITE, false},
    {"dblreq", REASON_NONE, SIP_REGISTER, false},
    {"semiuri", REASON_NONE, SIP_OPTIONS, false},
    {"transports", REASON_NONE, SIP_OPTIONS, false},
    {"mpart01", REASON_NONE, SIP_MESSAGE, false},
    {"unreason", REASON_NONE, SIP_INVITE, false},
    {"noreason", REASON_NONE, SIP_INVITE, false},
    {"badinv01", REASON_sip_header_syntax, SIP_INVITE, true},
    {"clerr", REASON_sip_content_length, SIP_INVITE, true},
    {"ncl", REASON_sip_content_length, SIP_INVITE, true},
    {"scalar02", REASON_sip_header_syntax, SIP_REGISTER, true},
    {"scalarlg", REASON_sip_header_syntax, SIP_OPTIONS, false},
    {"quotbal", REASON_sip_header_syntax, SIP_INVITE, true},
    {"ltgtruri", REASON_sip_uri_syntax, SIP_INVITE, true},
    {"lwsruri", REASON_sip_start_line, SIP_INVITE, true},
    {"lwsstart", REASON_sip_start_line, SIP_INVITE, true},
    {"trws", REASON_sip_start_line, SIP_OPTIONS, true},
    {"escruri", REASON_sip_uri_syntax, SIP_INVITE, true},
    {"baddate", REASON_sip_header_syntax, SIP_INVITE, true},
    {"regbadct", REASON_sip_header_syntax, SIP_REGISTER, true},
    {"badaspec", REASON_sip_header_syntax, SIP_OPTIONS, true},
    {"baddn", REASON_sip_header_syntax, SIP_OPTIONS, true},
    {"badvers", REASON_sip_version, SIP_OPTIONS, true},
    {"mismatch01", REASON_sip_method_mismatch, SIP_OPTIONS, true},
    {"mismatch02", REASON_sip_method_unknown, SIP_OTHER, true},
    {"bigcode", REASON_sip_start_line, SIP_INVITE, false},
    {"badbranch", REASON_sip_header_syntax, SIP_OPTIONS, true},
    {"insuf", REASON_sip_header_missing, SIP_INVITE, false},
    {"unkscm", REASON_NONE, SIP_OPTIONS, false},
    {"novelsc", REASON_NONE, SIP_OPTIONS, false},
    {"unksm2", REASON_NONE, SIP_REGISTER, false},
    {"bext01", REASON_NONE, SIP_OPTIONS, false},
    {"invut", REASON_NONE, SIP_INVITE, false},
    {"regaut01", REASON_NONE, SIP_REGISTER, false},
    {"multi01", REASON_sip_header_duplicate, SIP_INVITE, true},
    {"mcl01", REASON_sip_header_duplicate, SIP_OPTIONS, true},
    {"bcast", REASON_NONE, SIP_INVITE, false},
    {"zeromf", REASON_NONE, SIP_OPTIONS, false},
    {"cparam01", REASON_NONE, SIP_REGISTER, false},
    {"cparam02", REASON_NONE, SIP_REGISTER, false},
    {"regescrt", REASON_NONE, SIP_REGISTER, false},
    {"sdp01", REASON_NONE, SIP_INVITE, false},
    {"inv2543", REASON_NONE, SIP_INVITE, false},
    {"test", REASON_sip_start_line, SIP_INVITE, false},
};

static const struct row rfc5118[] = {
    {"ipv6-good", REASON_NONE, SIP_REGISTER, false},
    {"ipv6-bad", REASON_sip_uri_syntax, SIP_REGISTER, true},
    {"port-ambiguous", REASON_NONE, SIP_REGISTER, false},
    {"port-unambiguous", REASON_NONE, SIP_REGISTER, false},
    {"via-received-param-with-delim", REASON_NONE, SIP_BYE, false},
    {"via-received-param-no-delim", REASON_NONE, SIP_OPTIONS, false},
    {"ipv6-in-sdp", REASON_NONE, SIP_INVITE, false},
    {"mult-ip-in-header", REASON_NONE, SIP_BYE, false},
    {"mult-ip-in-sdp", REASON_NONE, SIP_INVITE, false},
    {"ipv4-mapped-ipv6", REASON_NONE, SIP_INVITE, false},
    {"ipv6-bug-abnf-3-colons", REASON_NONE, SIP_OPTIONS, false},
    {"ipv6-correct-abnf-2-colons", REASON_NONE, SIP_OPTIONS, false},
};

static char message[SIP_MSG_MAX];
static struct sip_msg m;
static struct sip_error why;

static struct str load(const char *folder, const char *file, const char *suffix)
{
    char path[512], name[128];
    size_t n = 0;
    (void)snprintf(name, sizeof(name), "%s/%s%s", folder, file, suffix);
    if (!test_corpus(path, sizeof(path), name) || !test_read(path, message, sizeof(message), &n)) {
        print_message("%s is not here\n", name);
        skip();
    }
    return str_of(message, n);
}

/* The archive of RFC 5118 has bare line feeds, two files without an empty line, and three wrong
 * lengths (its SOURCE.md): ends lines and headers, and sets the length. */
static struct str repaired(struct str raw)
{
    static char out[SIP_MSG_MAX];
    struct out o = out_of(out, sizeof(out));
    size_t split = str_search(raw, STR("\n\n"));
    struct str head = str_head(raw, split), body = str_skip(raw, split + 2), line;
    size_t extra = 0;
    for (size_t i = 0; i < body.n; i++)
        extra += body.p[i] == '\n';
    while (head.n > 0) {
        head = str_cut(head, '\n', &line);
        if (str_istarts(line, STR("Content-Length")))
            continue;
        out_put(&o, line);
        OUT_LIT(&o, "\r\n");
    }
    out_fmt(&o, "Content-Length: %zu\r\n\r\n", body.n + extra);
    for (size_t i = 0; i < body.n; i++) {
        if (body.p[i] == '\n')
            out_ch(&o, '\r');
        out_ch(&o, body.p[i]);
    }
    assert_false(o.full);
    return out_str(&o);
}

static unsigned judge(const struct row *r, struct str bytes)
{
    enum err e = sip_parse(bytes, false, &m, &why);
    bool good = why.reason == r->want && (e == OK) == (r->want == REASON_NONE) &&
                m.method == r->method && why.answerable == r->answerable;
    if (!good)
        print_error("%s: %s at %u, reason \"" STR_FMT "\", want \"" STR_FMT
                    "\"; method %d, answerable %d\n",
                    r->file, err_name(e), why.at, STR_ARG(reason_info(why.reason)->name),
                    STR_ARG(reason_info(r->want)->name), (int)m.method, why.answerable);
    return !good;
}

static void rfc4475_as_expected(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(rfc4475); i++)
        wrong += judge(&rfc4475[i], load("rfc4475", rfc4475[i].file, ".dat"));
    assert_int_equal(wrong, 0);
}

static void rfc5118_as_expected(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(rfc5118); i++) {
        struct str raw = load("rfc5118", rfc5118[i].file, "");
        const struct row bare = {rfc5118[i].file, REASON_sip_header_smuggling, SIP_OTHER, false};
        wrong += judge(&bare, raw);
        wrong += judge(&rfc5118[i], repaired(raw));
    }
    assert_int_equal(wrong, 0);
}

static void parsed(const char *folder, const char *file, const char *suffix)
{
    assert_ok(sip_parse(load(folder, file, suffix), false, &m, &why));
}

static void short_tortuous_invite(void **state)
{
    (void)state;
    struct sip_nameaddr a;
    struct sip_via v;
    struct sip_list it = {0};
    struct str e;
    parsed("rfc4475", "wsinv", ".dat");
    assert_int_equal(m.cseq, 9);
    assert_int_equal(m.max_forwards, 68);
    assert_int_equal(m.content_length, 150);
    assert_str(sip_text(&m, m.to_uri), "sip:vivekg@chair-dnrc.example.com");
    assert_str(sip_text(&m, m.to_tag), "1918181833n");
    assert_str(sip_text(&m, m.from_tag), "98asjd8");
    assert_str(sip_text(&m, m.via_host), "192.0.2.2");
    assert_str(sip_text(&m, m.via_branch), "390skdjuw");
    assert_true(sip_has(&m, HDR_SUBJECT));
    assert_str(sip_get(&m, HDR_SUBJECT), "");
    assert_ok(sip_nameaddr_parse(sip_get(&m, HDR_FROM), &a));
    assert_str(a.display, "J Rosenberg \\\\\\\"");
    assert_true(sip_list_next(&m, HDR_VIA, &it, &e));
    assert_true(sip_list_next(&m, HDR_VIA, &it, &e));
    assert_true(sip_list_next(&m, HDR_VIA, &it, &e));
    assert_ok(sip_via_parse(e, &v));
    assert_str(v.branch, "z9hG4bK30239");
    assert_str(v.host, "192.168.255.111");
    assert_false(sip_list_next(&m, HDR_VIA, &it, &e));
    assert_ok(sip_nameaddr_parse(sip_get(&m, HDR_CONTACT), &a));
    assert_str(a.uri, "sip:jdrosen@example.com");
    assert_true(sip_param(a.params, STR("q"), &e));
    assert_str(e, "0.33");
    assert_true(sip_param(a.params, STR("newparam"), &e));
    assert_str(e, "newvalue");
}

static void escaped_nulls(void **state)
{
    (void)state;
    uint16_t it = 0;
    struct str v;
    struct sip_nameaddr a[2];
    struct sip_uri u[2];
    parsed("rfc4475", "escnull", ".dat");
    for (int i = 0; i < 2; i++) {
        assert_true(sip_next(&m, HDR_CONTACT, &it, &v));
        assert_ok(sip_nameaddr_parse(v, &a[i]));
        assert_ok(sip_uri_parse(a[i].uri, &u[i]));
    }
    assert_false(sip_uri_equal(&u[0], &u[1]));
    assert_false(sip_next(&m, HDR_CONTACT, &it, &v));
}

static void percent_that_is_no_escape(void **state)
{
    (void)state;
    uint16_t it = 0;
    unsigned n = 0;
    struct str v;
    parsed("rfc4475", "esc02", ".dat");
    assert_str(sip_text(&m, m.method_text), "RE%47IST%45R");
    while (sip_next(&m, HDR_CONTACT, &it, &v))
        n++;
    assert_int_equal(n, 2);
}

static void second_request_in_a_datagram(void **state)
{
    (void)state;
    parsed("rfc4475", "dblreq", ".dat");
    assert_int_equal(m.body.len, 0);
}

static void multipart_with_binary(void **state)
{
    (void)state;
    struct str part;
    parsed("rfc4475", "mpart01", ".dat");
    assert_ok(sip_body_find(&m, STR("text/plain"), &part));
    assert_str(part, "Hello");
    assert_ok(sip_body_find(&m, STR("application/octet-stream"), &part));
    assert_true(part.n > 100 && part.p[0] == '0' && str_find(part, '\0') < part.n);
    assert_err(sip_body_find(&m, STR("application/sdp"), &part), ERR_NOT_FOUND);
}

static void colons_of_ipv6(void **state)
{
    (void)state;
    struct sip_uri two, three;
    static char keep[256];
    assert_ok(sip_parse(repaired(load("rfc5118", "ipv6-bug-abnf-3-colons", "")), false, &m, &why));
    struct str uri = sip_text(&m, m.uri);
    memcpy(keep, uri.p, uri.n);
    assert_ok(sip_uri_parse(str_of(keep, uri.n), &three));
    assert_ok(
        sip_parse(repaired(load("rfc5118", "ipv6-correct-abnf-2-colons", "")), false, &m, &why));
    assert_ok(sip_uri_parse(sip_text(&m, m.uri), &two));
    assert_int_equal(two.ip.family, ADDR_V6);
    assert_true(sip_uri_equal(&two, &three));
}

/* Every row of expected.tsv is in our table, and what it calls faulty is refused. */
static unsigned agreed(const char *folder, const struct row *rows, size_t n, unsigned column,
                       struct str accepts)
{
    struct str text = load(folder, "expected", ".tsv"), line, field[5] = {0};
    unsigned wrong = 0;
    while (text.n > 0) {
        text = str_cut(text, '\n', &line);
        if (line.n == 0 || *line.p == '#')
            continue;
        for (size_t i = 0; i < ARRAY_LEN(field); i++)
            line = str_cut(line, '\t', &field[i]);
        const struct row *r = NULL;
        struct str name = field[0];
        if (str_ends(name, STR(".dat")))
            name.n -= 4;
        for (size_t i = 0; i < n && !r; i++)
            r = str_eq(name, str_c(rows[i].file)) ? &rows[i] : NULL;
        /* two that the RFC leaves open; the last is in no section of it */
        bool open = str_eq(name, STR("badbranch")) || str_eq(name, STR("test"));
        bool accept = !str_starts(field[column], accepts);
        if (r && (open || (r->want == REASON_NONE) == accept))
            continue;
        print_error("%s: " STR_FMT "\n", folder, STR_ARG(name));
        wrong++;
    }
    return wrong;
}

static void tables_agree_with_the_corpus(void **state)
{
    (void)state;
    assert_int_equal(agreed("rfc4475", rfc4475, ARRAY_LEN(rfc4475), 4, STR("no")), 0);
    assert_int_equal(agreed("rfc5118", rfc5118, ARRAY_LEN(rfc5118), 3, STR("no")), 0);
}

/* RFC 5626 leaves the Via out of some examples: such a message is refused for that and only that.
 */
static bool flow_message(struct str raw)
{
    static char whole[SIP_MSG_MAX];
    struct str line;
    if (str_search(raw, STR("\nVia:")) < raw.n)
        return sip_parse(repaired(raw), true, &m, &why) == OK;
    if (sip_parse(repaired(raw), true, &m, &why) == OK || why.reason != REASON_sip_header_missing)
        return false;
    struct out o = out_of(whole, sizeof(whole));
    raw = str_cut(raw, '\n', &line);
    out_put(&o, line);
    OUT_LIT(&o, "\nVia: SIP/2.0/TCP 192.0.2.2;branch=z9hG4bKa\n");
    out_put(&o, raw);
    return sip_parse(repaired(out_str(&o)), true, &m, &why) == OK;
}

/* One flow: messages as indented blocks of a YAML list. */
static unsigned flow(const char *path, unsigned *wrong)
{
    static char text[SIP_MSG_MAX], one[SIP_MSG_MAX];
    size_t n = 0;
    unsigned count = 0;
    if (!test_read(path, text, sizeof(text), &n))
        fail_msg("%s", path);
    struct str rest = str_of(text, n), line;
    struct out o = out_of(one, sizeof(one));
    while (rest.n > 0 || o.n > 0) {
        rest = str_cut(rest, '\n', &line);
        if (str_starts(line, STR("  "))) {
            out_put(&o, str_skip(line, 2));
            out_ch(&o, '\n');
        } else if (line.n == 0 && o.n > 0 && rest.n > 0) {
            out_ch(&o, '\n');
        } else if (o.n > 0) {
            while (o.n > 1 && one[o.n - 2] == '\n' && one[o.n - 1] == '\n')
                o.n--;
            out_ch(&o, '\n');
            count++;
            if (!flow_message(out_str(&o))) {
                print_error("%s, message %u at %u: " STR_FMT "\n", path, count, why.at,
                            STR_ARG(reason_info(why.reason)->text));
                ++*wrong;
            }
            o = out_of(one, sizeof(one));
        }
    }
    return count;
}

static void call_flows_parse(void **state)
{
    (void)state;
    static const char *const folders[] = {"rfc3327", "rfc3515", "rfc3665", "rfc4916", "rfc5626"};
    char root[512], path[1024];
    unsigned wrong = 0, messages = 0, flows = 0;
    if (!test_corpus(root, sizeof(root), "rfc-callflows/SOURCE.md")) {
        print_message("rfc-callflows is not here\n");
        skip();
    }
    root[strlen(root) - strlen("SOURCE.md")] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", root, folders[i]);
        DIR *d = opendir(path);
        assert_non_null(d);
        for (struct dirent *f; (f = readdir(d)) != NULL;) {
            if (f->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof(path), "%s%s/%s", root, folders[i], f->d_name);
            messages += flow(path, &wrong);
            flows++;
        }
        (void)closedir(d);
    }
    print_message("%u flows, %u messages\n", flows, messages);
    assert_true(flows >= 28 && messages >= 253);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc4475_as_expected),
        cmocka_unit_test(rfc5118_as_expected),
        cmocka_unit_test(short_tortuous_invite),
        cmocka_unit_test(escaped_nulls),
        cmocka_unit_test(percent_that_is_no_escape),
        cmocka_unit_test(second_request_in_a_datagram),
        cmocka_unit_test(multipart_with_binary),
        cmocka_unit_test(colons_of_ipv6),
        cmocka_unit_test(tables_agree_with_the_corpus),
        cmocka_unit_test(call_flows_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
