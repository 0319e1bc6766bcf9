/* Our parser beside libosip2 and Sofia-SIP over the torture messages and messages of our own: do
 * they accept the same, and read the same in it? Every difference is a row of known.def with its
 * reason. One that is not listed fails, and one that is listed but gone fails too. */
#include "base/out.h"
#include "base/test.h"
#include "wire/sip/hdr.h"
#include <osipparser2/osip_parser.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#define sip_method_name sofia_method_name /* both have one; theirs is not used */
#include <sofia-sip/msg.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_protos.h>
#include <sofia-sip/sip_util.h>
#undef sip_method_name
#pragma GCC diagnostic pop

enum field {
    F_METHOD,
    F_URI,
    F_CALL_ID,
    F_CSEQ,
    F_FROM_TAG,
    F_TO_TAG,
    F_BRANCH,
    F_CONTACTS,
    F_LENGTH,
    F_FIELDS
};
static const char *const field_names[] = {"method", "uri",    "call-id",  "cseq",  "from-tag",
                                          "to-tag", "branch", "contacts", "length"};
/* What one parser reads. */
struct seen {
    bool good;
    char text[F_FIELDS][512];
};

static void set(struct seen *s, enum field f, struct str v)
{
    (void)snprintf(s->text[f], sizeof(s->text[f]), STR_FMT, (int)MIN(v.n, 500u), v.p ? v.p : "");
}
static void set_number(struct seen *s, enum field f, long v)
{
    (void)snprintf(s->text[f], sizeof(s->text[f]), "%ld", v);
}

static void ours(struct str bytes, struct seen *s)
{
    static struct sip_msg m;
    struct sip_error why;
    struct sip_list it = {0};
    struct str e;
    long contacts = 0;
    s->good = sip_parse(bytes, false, &m, &why) == OK;
    if (!s->good)
        return;
    set(s, F_METHOD, sip_text(&m, m.method_text));
    if (!m.is_request)
        set_number(s, F_METHOD, m.code);
    set(s, F_URI, sip_text(&m, m.uri));
    set(s, F_CALL_ID, sip_text(&m, m.call_id));
    set_number(s, F_CSEQ, m.cseq);
    set(s, F_FROM_TAG, sip_text(&m, m.from_tag));
    set(s, F_TO_TAG, sip_text(&m, m.to_tag));
    set(s, F_BRANCH, sip_text(&m, m.via_branch));
    while (sip_list_next(&m, HDR_CONTACT, &it, &e))
        contacts++;
    set_number(s, F_CONTACTS, contacts);
    set_number(s, F_LENGTH, m.content_length == UINT32_MAX ? -1 : (long)m.content_length);
}

static void osip_read(const osip_message_t *m, struct seen *s)
{
    char *text = NULL;
    osip_generic_param_t *p = NULL;
    if (m->sip_method)
        set(s, F_METHOD, str_c(m->sip_method));
    else
        set_number(s, F_METHOD, m->status_code);
    if (m->req_uri && osip_uri_to_str(m->req_uri, &text) == 0) {
        set(s, F_URI, str_c(text));
        osip_free(text);
    }
    if (m->call_id && osip_call_id_to_str(m->call_id, &text) == 0) {
        set(s, F_CALL_ID, str_c(text));
        osip_free(text);
    }
    if (m->cseq)
        set_number(s, F_CSEQ, strtol(m->cseq->number, NULL, 10));
    if (m->from && osip_generic_param_get_byname(&m->from->gen_params, (char[]){"tag"}, &p) == 0)
        set(s, F_FROM_TAG, str_c(p->gvalue));
    if (m->to && osip_generic_param_get_byname(&m->to->gen_params, (char[]){"tag"}, &p) == 0)
        set(s, F_TO_TAG, str_c(p->gvalue));
    osip_via_t *via = osip_list_get(&m->vias, 0);
    if (via && osip_generic_param_get_byname(&via->via_params, (char[]){"branch"}, &p) == 0)
        set(s, F_BRANCH, str_c(p->gvalue));
    set_number(s, F_CONTACTS, osip_list_size(&m->contacts));
    set_number(s, F_LENGTH, m->content_length ? strtol(m->content_length->value, NULL, 10) : -1);
}

static void by_osip(struct str bytes, struct seen *s)
{
    osip_message_t *m = NULL;
    assert_int_equal(osip_message_init(&m), 0);
    s->good = osip_message_parse(m, bytes.p, bytes.n) == 0;
    if (s->good)
        osip_read(m, s);
    osip_message_free(m);
}

static void by_sofia(struct str bytes, struct seen *s)
{
    msg_t *msg = msg_make(sip_default_mclass(), 0, bytes.p, (ssize_t)bytes.n);
    sip_t *m = msg ? sip_object(msg) : NULL;
    long contacts = 0;
    char uri[512] = "";
    s->good = m && !m->sip_error && sip_sanity_check(m) == 0;
    if (s->good) {
        if (m->sip_request) {
            set(s, F_METHOD, str_c(m->sip_request->rq_method_name));
            (void)url_e(uri, sizeof(uri), m->sip_request->rq_url);
            set(s, F_URI, str_c(uri));
        } else {
            set_number(s, F_METHOD, m->sip_status->st_status);
        }
        set(s, F_CALL_ID, str_c(m->sip_call_id->i_id));
        set_number(s, F_CSEQ, (long)m->sip_cseq->cs_seq);
        set(s, F_FROM_TAG, str_c(m->sip_from->a_tag));
        set(s, F_TO_TAG, str_c(m->sip_to->a_tag));
        set(s, F_BRANCH, str_c(m->sip_via->v_branch));
        for (sip_contact_t *c = m->sip_contact; c; c = c->m_next)
            contacts++;
        set_number(s, F_CONTACTS, contacts);
        set_number(s, F_LENGTH, m->sip_content_length ? (long)m->sip_content_length->l_length : -1);
    }
    if (msg)
        msg_destroy(msg);
}

static struct known {
    const char *message, *library, *what, *why;
    bool met;
} known[] = {
#define D(message, library, what, why) {message, library, what, why, false},
#include "known.def"
#undef D
};

static unsigned differs(const char *message, const char *library, const char *what, const char *a,
                        const char *b)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i].message, message) == 0 && strcmp(known[i].library, library) == 0 &&
            strcmp(known[i].what, what) == 0) {
            known[i].met = true;
            return 0;
        }
    print_error("D(\"%s\", \"%s\", \"%s\", \"ours '%.60s', theirs '%.60s'\")\n", message, library,
                what, a, b);
    return 1;
}

static unsigned compare(const char *message, struct str bytes)
{
    static const struct {
        const char *name;
        void (*read)(struct str, struct seen *);
    } others[] = {{"osip", by_osip}, {"sofia", by_sofia}};
    static struct seen a, b;
    unsigned wrong = 0;
    memset(&a, 0, sizeof(a));
    ours(bytes, &a);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        memset(&b, 0, sizeof(b));
        others[i].read(bytes, &b);
        if (a.good != b.good)
            wrong += differs(message, others[i].name, a.good ? "only-ours" : "only-theirs", "", "");
        for (int f = 0; f < F_FIELDS && a.good && b.good; f++)
            if (strcmp(a.text[f], b.text[f]) != 0)
                wrong += differs(message, others[i].name, field_names[f], a.text[f], b.text[f]);
    }
    return wrong;
}

#define OWN_VIA  "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport\r\n"
#define OWN_FROM "From: \"Alice\" <sip:alice@example.com>;tag=1a\r\n"
#define OWN_TO   "To: <sip:bob@example.com>\r\n"
#define OWN_REST OWN_VIA OWN_FROM OWN_TO "Call-ID: a@192.0.2.1\r\nCSeq: 7 OPTIONS\r\n"
#define OWN_HEAD "OPTIONS sip:bob@example.com SIP/2.0\r\n" OWN_REST
#define OWN_END  "Content-Length: 0\r\n\r\n"
static const struct {
    const char *name;
    struct str bytes;
} own[] = {
#define M(s)                                                                                       \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }
    {"own-plain", M(OWN_HEAD OWN_END)},
    {"own-contacts", M(OWN_HEAD "Contact: <sip:a@example.com>, \"B, C\" <sip:b@example.com>;q=1\r\n"
                                "m: sip:c@example.com\r\n" OWN_END)},
    {"own-body", M(OWN_HEAD "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi")},
    {"own-response", M("SIP/2.0 200 OK\r\n" OWN_REST OWN_END)},
    {"own-compact", M("OPTIONS sip:bob@example.com SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bKa\r\n"
                      "f: sip:a@example.com;tag=1\r\nt: sip:b@example.com;tag=2\r\ni: x\r\n"
                      "CSeq: 1 OPTIONS\r\nl: 0\r\n\r\n")},
    {"own-ipv6", M("OPTIONS sip:b@[2001:db8::1]:5061;transport=tcp SIP/2.0\r\n" OWN_REST OWN_END)},
    {"own-sips", M("OPTIONS sips:b@example.com SIP/2.0\r\n" OWN_REST OWN_END)},
    {"own-tel", M("OPTIONS tel:+15550100 SIP/2.0\r\n" OWN_REST OWN_END)},
    {"own-fold", M(OWN_HEAD "Subject: a\r\n b\r\n" OWN_END)},
    {"own-no-length", M(OWN_HEAD "\r\n")},
    {"own-space-in-name", M(OWN_HEAD "Sub ject: a\r\n" OWN_END)},
    {"own-folded-name", M(OWN_HEAD "Sub\r\n ject: a\r\n" OWN_END)},
    {"own-nul", M(OWN_HEAD "Subject: a\0b\r\n" OWN_END)},
    {"own-bare-cr", M(OWN_HEAD "Subject: a\rb\r\n" OWN_END)},
    {"own-bare-lf", M(OWN_HEAD "Subject: a\nAllow: b\r\n" OWN_END)},
    {"own-two-lengths", M(OWN_HEAD "Content-Length: 1\r\n" OWN_END "a")},
    {"own-two-from", M(OWN_HEAD "From: <sip:bob@example.com>;tag=2\r\n" OWN_END)},
    {"own-two-tags", M("OPTIONS sip:b SIP/2.0\r\n" OWN_VIA "From: <sip:a>;tag=1;tag=2\r\n" OWN_TO
                       "Call-ID: a\r\nCSeq: 7 OPTIONS\r\n" OWN_END)},
    {"own-two-branches", M("OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;branch=2"
                           "\r\n" OWN_FROM OWN_TO "Call-ID: a\r\nCSeq: 7 OPTIONS\r\n" OWN_END)},
    {"own-long-length", M(OWN_HEAD "Content-Length: 4294967297\r\n\r\na")},
    {"own-cseq-limit", M("OPTIONS sip:b SIP/2.0\r\n" OWN_VIA OWN_FROM OWN_TO
                         "Call-ID: a\r\nCSeq: 2147483648 OPTIONS\r\n" OWN_END)},
    {"own-port", M("OPTIONS sip:b@example.com:65536 SIP/2.0\r\n" OWN_REST OWN_END)},
    {"own-no-colon", M(OWN_HEAD "Subject\r\n" OWN_END)},
    {"own-open-quote", M(OWN_HEAD "Contact: \"a <sip:a@example.com>\r\n" OWN_END)},
    {"own-http", M("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")},
};

static const char *const rfc4475[] = {
    "wsinv",    "intmeth",    "esc01",      "escnull",  "esc02",     "lwsdisp",  "longreq",
    "dblreq",   "semiuri",    "transports", "mpart01",  "unreason",  "noreason", "badinv01",
    "clerr",    "ncl",        "scalar02",   "scalarlg", "quotbal",   "ltgtruri", "lwsruri",
    "lwsstart", "trws",       "escruri",    "baddate",  "regbadct",  "badaspec", "baddn",
    "badvers",  "mismatch01", "mismatch02", "bigcode",  "badbranch", "insuf",    "unkscm",
    "novelsc",  "unksm2",     "bext01",     "invut",    "regaut01",  "multi01",  "mcl01",
    "bcast",    "zeromf",     "cparam01",   "cparam02", "regescrt",  "sdp01",    "inv2543"};

static void own_messages(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        wrong += compare(own[i].name, own[i].bytes);
    assert_int_equal(wrong, 0);
}

static void torture_messages(void **state)
{
    (void)state;
    static char bytes[SIP_MSG_MAX];
    char path[512], name[64];
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(rfc4475); i++) {
        size_t n = 0;
        (void)snprintf(name, sizeof(name), "rfc4475/%s.dat", rfc4475[i]);
        if (!test_corpus(path, sizeof(path), name) ||
            !test_read(path, bytes, sizeof(bytes) - 1, &n)) {
            print_message("%s is not here\n", name);
            for (size_t k = 0; k < ARRAY_LEN(known); k++)
                known[k].met = known[k].met || strncmp(known[k].message, "own-", 4) != 0;
            skip();
        }
        bytes[n] = '\0';
        wrong += compare(rfc4475[i], str_of(bytes, n));
    }
    assert_int_equal(wrong, 0);
}

static void every_listed_difference_is_met(void **state)
{
    (void)state;
    unsigned gone = 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!known[i].met) {
            print_error("gone: %s %s %s\n", known[i].message, known[i].library, known[i].what);
            gone++;
        }
    assert_int_equal(gone, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_messages),
        cmocka_unit_test(torture_messages),
        cmocka_unit_test(every_listed_difference_is_met),
    };
    (void)parser_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
