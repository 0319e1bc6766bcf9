/* Our SIP parser beside libosip2 and Sofia-SIP over the IPv6 torture messages and whole call flows
 * of the RFCs (sip_test has the messages of RFC 4475 and our own). A difference that flows.def does
 * not explain fails, and so does a row there that no longer occurs. */
#include "base/test.h"
#include "wire/sip/msg.h"
#include <dirent.h>
#include <osipparser2/osip_parser.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
/* both of us have a function of this name */
#define sip_method_name sofia_method_name
#include <sofia-sip/msg.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_protos.h>
#undef sip_method_name
#pragma GCC diagnostic pop

enum fact {
    F_METHOD,
    F_CODE,
    F_CALL_ID,
    F_CSEQ,
    F_FROM_TAG,
    F_TO_TAG,
    F_BRANCH,
    F_HOST,
    F_BODY,
    FACTS
};
static const char *const fact_names[FACTS] = {"method", "code",   "call-id", "cseq", "from-tag",
                                              "to-tag", "branch", "host",    "body"};
struct view {
    bool accepted;
    char fact[FACTS][1024];
};

static void set(struct view *v, enum fact f, struct str s)
{
    if (s.n > 2 && *s.p == '[') /* some keep the brackets of IPv6 */
        s = str_of(s.p + 1, s.n - 2);
    (void)snprintf(v->fact[f], sizeof(v->fact[f]), STR_FMT, STR_ARG(s));
}

static void set_number(struct view *v, enum fact f, unsigned long n)
{
    (void)snprintf(v->fact[f], sizeof(v->fact[f]), "%lu", n);
}

static void ours(struct str s, struct view *v)
{
    static struct sip_msg m;
    struct sip_error why;
    v->accepted = sip_parse(s, false, &m, &why) == OK;
    if (!v->accepted)
        return;
    struct str cseq = sip_get(&m, HDR_CSEQ);
    size_t n = 0;
    while (n < cseq.n && (ascii_digit(cseq.p[n]) || strchr(" \t\r\n", cseq.p[n])))
        n++;
    set(v, F_METHOD, m.is_request ? sip_text(&m, m.method_text) : str_skip(cseq, n));
    set_number(v, F_CODE, m.code);
    set(v, F_CALL_ID, sip_text(&m, m.call_id));
    set_number(v, F_CSEQ, m.cseq);
    set(v, F_FROM_TAG, sip_text(&m, m.from_tag));
    set(v, F_TO_TAG, sip_text(&m, m.to_tag));
    set(v, F_BRANCH, sip_text(&m, m.via_branch));
    set(v, F_HOST, sip_text(&m, m.via_host));
    set_number(v, F_BODY, m.body.len);
}

static struct str osip_tag(osip_from_t *party)
{
    osip_generic_param_t *tag = NULL;
    (void)osip_generic_param_get_byname(&party->gen_params, (char[]){"tag"}, &tag);
    return tag ? str_c(tag->gvalue) : STR_NONE;
}

static void osip_facts(const osip_message_t *m, struct view *v)
{
    osip_via_t *via = osip_list_get(&m->vias, 0);
    osip_generic_param_t *branch = NULL;
    size_t body = 0;
    for (int i = 0; i < osip_list_size(&m->bodies); i++)
        body += ((osip_body_t *)osip_list_get(&m->bodies, i))->length;
    set(v, F_METHOD, str_c(m->sip_method ? m->sip_method : m->cseq->method));
    set_number(v, F_CODE, (unsigned long)m->status_code);
    (void)snprintf(v->fact[F_CALL_ID], sizeof(v->fact[F_CALL_ID]), "%s%s%s", m->call_id->number,
                   m->call_id->host ? "@" : "", m->call_id->host ? m->call_id->host : "");
    set_number(v, F_CSEQ, strtoul(m->cseq->number, NULL, 10));
    set(v, F_FROM_TAG, osip_tag(m->from));
    set(v, F_TO_TAG, osip_tag(m->to));
    (void)osip_via_param_get_byname(via, (char[]){"branch"}, &branch);
    set(v, F_BRANCH, branch ? str_c(branch->gvalue) : STR_NONE);
    set(v, F_HOST, str_c(via->host));
    set_number(v, F_BODY, body);
}

/* libosip2 asks its caller whether the mandatory fields are there. */
static void osip(struct str s, struct view *v)
{
    osip_message_t *m;
    assert_int_equal(osip_message_init(&m), 0);
    v->accepted = osip_message_parse(m, s.p, s.n) == 0 && m->call_id && m->cseq && m->from &&
                  m->to && osip_list_size(&m->vias) > 0;
    if (v->accepted)
        osip_facts(m, v);
    osip_message_free(m);
}

static void sofia_facts(const sip_t *m, struct view *v)
{
    set(v, F_METHOD,
        str_c(m->sip_request ? m->sip_request->rq_method_name : m->sip_cseq->cs_method_name));
    set_number(v, F_CODE, m->sip_status ? (unsigned long)m->sip_status->st_status : 0);
    set(v, F_CALL_ID, str_c(m->sip_call_id->i_id));
    set_number(v, F_CSEQ, m->sip_cseq->cs_seq);
    set(v, F_FROM_TAG, str_c(m->sip_from->a_tag));
    set(v, F_TO_TAG, str_c(m->sip_to->a_tag));
    set(v, F_BRANCH, str_c(m->sip_via->v_branch));
    set(v, F_HOST, str_c(m->sip_via->v_host));
    set_number(v, F_BODY, m->sip_payload ? m->sip_payload->pl_len : 0);
}

static void sofia(struct str s, struct view *v)
{
    msg_t *msg = msg_make(sip_default_mclass(), 0, s.p, (ssize_t)s.n);
    sip_t *m = msg ? sip_object(msg) : NULL;
    v->accepted = m && !m->sip_error && !(m->sip_flags & MSG_FLG_ERROR) && m->sip_call_id &&
                  m->sip_cseq && m->sip_from && m->sip_to && m->sip_via &&
                  (m->sip_request || m->sip_status);
    if (v->accepted)
        sofia_facts(m, v);
    if (msg)
        msg_destroy(msg);
}

static const struct {
    const char *name;
    void (*parse)(struct str, struct view *);
} peers[] = {{"libosip2", osip}, {"sofia", sofia}};

/* Where we differ, and why. what: "takes" (the peer accepts what we refuse), "refuses", or a field.
 */
static const struct {
    const char *peer, *message, *what, *reason;
} known[] = {
#define D(peer, message, what, reason) {peer, message, what, reason},
#include "flows.def"
#undef D
};
static bool met[ARRAY_LEN(known)];
static unsigned unexplained, compared;

static void differs(const char *peer, const char *message, const char *what, const char *a,
                    const char *b)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(known[i].peer, peer) && !strcmp(known[i].message, message) &&
            !strcmp(known[i].what, what)) {
            if (!met[i])
                print_message("%-9s %-26s %-8s %s\n", peer, message, what, known[i].reason);
            met[i] = true;
            return;
        }
    print_error("unexplained: %s %s %s: ours \"%.60s\", theirs \"%.60s\"\n", peer, message, what, a,
                b);
    unexplained++;
}

static void compare(const char *name, struct str s)
{
    static struct view us, them;
    memset(&us, 0, sizeof(us));
    ours(s, &us);
    compared++;
    for (size_t p = 0; p < ARRAY_LEN(peers); p++) {
        memset(&them, 0, sizeof(them));
        peers[p].parse(s, &them);
        if (us.accepted != them.accepted)
            differs(peers[p].name, name, us.accepted ? "refuses" : "takes", "", "");
        if (!us.accepted || !them.accepted)
            continue;
        for (int f = 0; f < FACTS; f++)
            if (strcmp(us.fact[f], them.fact[f]) != 0)
                differs(peers[p].name, name, fact_names[f], us.fact[f], them.fact[f]);
    }
}

/* Lines of LF become SIP's, the headers end, and Content-Length is what follows them. */
static struct str repaired(struct str raw)
{
    static char text[SIP_MSG_MAX];
    struct out o = out_of(text, sizeof(text));
    size_t split = str_search(raw, STR("\n\n"));
    struct str head = str_head(raw, split), body = str_skip(raw, split + 2), line;
    size_t length = body.n;
    for (size_t i = 0; i < body.n; i++)
        length += body.p[i] == '\n';
    while (head.n > 0) {
        head = str_cut(head, '\n', &line);
        if (str_istarts(line, STR("Content-Length")))
            continue;
        out_put(&o, line);
        OUT_LIT(&o, "\r\n");
    }
    out_fmt(&o, "Content-Length: %zu\r\n\r\n", length);
    for (size_t i = 0; i < body.n; i++) {
        if (body.p[i] == '\n')
            out_ch(&o, '\r');
        out_ch(&o, body.p[i]);
    }
    assert_false(o.full);
    return out_str(&o);
}

/* One flow: messages as indented blocks of a YAML list; all of a flow share its name. */
static void flow(const char *name, struct str text)
{
    static char one[SIP_MSG_MAX];
    struct out o = out_of(one, sizeof(one));
    while (text.n > 0 || o.n > 0) {
        struct str line;
        text = str_cut(text, '\n', &line);
        if (str_starts(line, STR("  "))) {
            out_put(&o, str_skip(line, 2));
            out_ch(&o, '\n');
        } else if (line.n == 0 && o.n > 0 && text.n > 0) {
            out_ch(&o, '\n');
        } else if (o.n > 0) {
            while (o.n > 1 && one[o.n - 2] == '\n')
                o.n--;
            compare(name, repaired(out_str(&o)));
            o = out_of(one, sizeof(one));
        }
    }
}

static void folder(const char *name)
{
    static char text[SIP_MSG_MAX];
    char path[512], file[1024], label[64];
    struct dirent **list;
    size_t bytes = 0;
    bool flows = strcmp(name, "rfc5118") != 0;
    (void)snprintf(label, sizeof(label), "%s/SOURCE.md", flows ? "rfc-callflows" : name);
    assert_true(test_corpus(path, sizeof(path), label));
    path[strlen(path) - strlen("SOURCE.md") - 1] = '\0';
    (void)snprintf(file, sizeof(file), "%s%s%s", path, flows ? "/" : "", flows ? name : "");
    int n = scandir(file, &list, NULL, alphasort);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        const char *f = list[i]->d_name;
        (void)snprintf(label, sizeof(label), "%s/%.40s", name, f);
        (void)snprintf(file, sizeof(file), "%s/%s%s%s", path, flows ? name : "", flows ? "/" : "",
                       f);
        bool read = *f != '.' && strcmp(f, "SOURCE.md") && strcmp(f, "expected.tsv") &&
                    test_read(file, text, sizeof(text), &bytes);
        if (read && flows) {
            label[strlen(name) + 1 + strcspn(f, "_")] = '\0';
            flow(label, str_of(text, bytes));
        } else if (read) {
            label[strlen(name) + 1 + strcspn(f, ".")] = '\0';
            compare(label, repaired(str_of(text, bytes)));
        }
        free(list[i]);
    }
    free(list);
}

/* Every row of the table must have been met. */
static void all_explained(void)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!met[i]) {
            print_error("no such difference any more: %s %s %s\n", known[i].peer, known[i].message,
                        known[i].what);
            unexplained++;
        }
    assert_int_equal(unexplained, 0);
}

static void corpus(void **state)
{
    (void)state;
    static const char *const folders[] = {"rfc5118", "rfc3327", "rfc3515",
                                          "rfc3665", "rfc4916", "rfc5626"};
    char path[512];
    if (!test_corpus(path, sizeof(path), "rfc-callflows/SOURCE.md")) {
        print_message("the corpus is not here\n");
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        folder(folders[i]);
    print_message("%u messages compared\n", compared);
    assert_true(compared >= 265);
    all_explained();
}

static void silent(const char *file, int line, osip_trace_level_t level, const char *fmt,
                   va_list ap)
{
    (void)file;
    (void)line;
    (void)level;
    (void)fmt;
    (void)ap;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(corpus)};
    osip_trace_initialize_func(END_TRACE_LEVEL, silent);
    (void)parser_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
