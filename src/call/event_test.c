#include "base/test.h"
#include "call/event.h"

static const struct sipkey key = {1, 2};
static char buf[8192];

static enum reason body(enum event_package p, const char *type, const char *text, const char **ret)
{
    struct event_side side = {STR("example.com"), &key};
    struct out o = out_of(buf, sizeof buf - 1);
    enum reason why = event_body(p, str_c(type), str_c(text), &side, &o);
    buf[o.n] = 0;
    *ret = buf;
    return why;
}

#define MWI_TYPE    "application/simple-message-summary"
#define DIALOG_TYPE "application/dialog-info+xml"
#define PIDF_TYPE   "application/pidf+xml;charset=UTF-8"

/* What comes in, what goes out. */
static void test_uris(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"sip:bob@10.1.2.3", "sip:bob@example.com"},
        {"SIPS:bob@pbx.test:5061;transport=tls?x=y", "SIPS:bob@example.com"},
        {"sip:bob:secret@pbx.test", "sip:bob@example.com"},
        {"sip:bob;phone-context=pbx.test@10.1.2.3", "sip:bob@example.com"},
        {"sip:10.1.2.3@pbx.test", "sip:anonymous@example.com"},
        {"sip:a@b@pbx.test", "sip:anonymous@example.com"},
        {"sip:@pbx.test", "sip:example.com"},
        {"sip:pbx.test", "sip:example.com"},
        {"sip:[2001:db8::1]:5060", "sip:example.com"},
        {"sip:bob@[2001:db8::1]:5060", "sip:bob@example.com"},
        {"pres:bob@pbx.test", "pres:bob@example.com"},
        {"im:bob@pbx.test and bob@pbx.test.", "im:bob@example.com and bob@example.com"},
        {"mailto:bob@pbx.test", "mailto:bob@example.com"},
        {"xsip:bob@pbx.test", "xsip:bob@example.com"},
        {"http://10.0.0.1:80/x", "http://example.com/x"},
        {"http://bob:pw@10.0.0.1/x", "http://example.com/x"},
        {"http://www.w3.org/2001/XMLSchema", "http://www.w3.org/2001/XMLSchema"},
        {"http://www.w3.org.pbx.test/", "http://example.com/"},
        {"at 10.1.2.3, 255.255.255.255.", "at 0.0.0.0, 0.0.0.0."},
        {"1.2.3 and 1.2.3.4.5 and 1234.1.1.1", "1.2.3 and 0.0.0.0.5 and 1234.1.1.1"},
        {"sip:", "sip:example.com"},
        {"tel:+15551234", "tel:+15551234"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[256], want[256];
        const char *got;
        (void)snprintf(in, sizeof in, "<note>%s</note>", rows[i].in);
        (void)snprintf(want, sizeof want, "<note>%s</note>", rows[i].out);
        assert_int_equal(body(EVENT_PRESENCE, PIDF_TYPE, in, &got), REASON_NONE);
        assert_string_equal(got, want);
        (void)snprintf(in, sizeof in, "<t uri='%s'/>", rows[i].in);
        (void)snprintf(want, sizeof want, "<t uri='%s'/>", rows[i].out);
        assert_int_equal(body(EVENT_PRESENCE, PIDF_TYPE, in, &got), REASON_NONE);
        assert_string_equal(got, want);
    }
}

static void test_summary(void **state)
{
    (void)state;
    const char *got;
    assert_int_equal(body(EVENT_MWI, MWI_TYPE,
                          "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vm.pbx.test\r\n"
                          "voice-message: 2/8 (0/2)\nX-Server: 10.1.2.3\r\n\r\n"
                          "To: alice@pbx.test\r\nMessage-ID: 27@vm.pbx.test\r\n",
                          &got),
                     REASON_NONE);
    assert_string_equal(got, "Messages-Waiting: yes\r\nMessage-Account: sip:alice@example.com\r\n"
                             "voice-message: 2/8 (0/2)\r\n");
    assert_int_equal(body(EVENT_MWI, MWI_TYPE, "", &got), REASON_NONE);
    assert_string_equal(got, "");
    assert_int_equal(body(EVENT_MWI, DIALOG_TYPE, "a", &got), REASON_sip_body_type);
    assert_int_equal(body(EVENT_MWI, "", "a", &got), REASON_sip_body_type);
    assert_int_equal(body(EVENT_MWI, MWI_TYPE, "a\001", &got), REASON_sip_body_syntax);
}

static void test_dialog_info(void **state)
{
    (void)state;
    const char *got, *again;
    static const char in[] =
        "<?xml version=\"1.0\" encoding='ISO-8859-1'?><?style href=\"http://10.1.2.3\"?>\r\n"
        "<!-- pbx.test 10.1.2.3 --><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" "
        "version=\"3\" state=\"full\" entity=\"sip:200@pbx.test\">\r\n"
        "<dialog id=\"77@10.1.2.3\" call-id=\"77@10.1.2.3\" local-tag=\"as1\"\r\n"
        "\tremote-tag = 'as2' direction=\"recipient\"><state>early</state>\r\n"
        "<remote><identity display=\"A &amp; B\">sip:300@10.1.2.3</identity>"
        "<target uri=\"sip:300@10.1.2.3:5070;transport=tcp\"/></remote></dialog></dialog-info>";
    assert_int_equal(body(EVENT_DIALOG, DIALOG_TYPE, in, &got), REASON_NONE);
    static const char *const gone[] = {"10.1.2.3", "pbx.test", "as1",  "as2", "call-id",
                                       "tag",      "5070",     "<!--", "77@"};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_null(strstr(got, gone[i]));
    assert_non_null(strstr(got, "<?xml version=\"1.0\" encoding=\"UTF-8\"?> \r\n <dialog-info"));
    assert_non_null(strstr(got, "entity=\"sip:200@example.com\">"));
    assert_non_null(strstr(got, "display=\"A &amp; B\">sip:300@example.com</identity>"));
    assert_non_null(strstr(got, "<target uri=\"sip:300@example.com\"/>"));
    assert_non_null(strstr(got, " direction=\"recipient\"><state>early</state>"));
    /* The same dialog keeps its name, another has another. */
    char id[32];
    const char *p = strstr(got, "id=\"r");
    assert_non_null(p);
    (void)snprintf(id, sizeof id, "%.21s", p);
    assert_int_equal(body(EVENT_DIALOG, DIALOG_TYPE, "<dialog id='77@10.1.2.3'/>", &again),
                     REASON_NONE);
    assert_non_null(strstr(again, id));
    assert_int_equal(body(EVENT_DIALOG, DIALOG_TYPE, "<dialog id='78@10.1.2.3'/>", &again),
                     REASON_NONE);
    assert_null(strstr(again, id));
}

static void test_bad_xml(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "<!DOCTYPE x [<!ENTITY a \"10.1.2.3\">]><x>&a;</x>",
        "<x><![CDATA[10.1.2.3]]></x>",
        "<x>&#49;0.1.2.3</x>",
        "<x>&host;</x>",
        "<x>&</x>",
        "<x",
        "<x a=\"",
        "<x id=\"",
        "<x id=bare>",
        "<x <y>",
        "<!-- open",
        "<? open",
        "<x>\x7f</x>",
        "<x>\x1b</x>",
    };
    const char *got;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(body(EVENT_DIALOG, DIALOG_TYPE, rows[i], &got), REASON_sip_body_syntax);
    assert_int_equal(body(EVENT_DIALOG, DIALOG_TYPE, "<x>10.1.<!-- -->2.3 a<?b?>@c</x>", &got),
                     REASON_NONE);
    assert_string_equal(got, "<x>10.1. 2.3 a @example.com</x>");
    /* Names that only look like those of dialogs stay. */
    assert_int_equal(body(EVENT_DIALOG, DIALOG_TYPE, "<x sid=\"1\" id.y=\"2\">id=\"3\"</x>", &got),
                     REASON_NONE);
    assert_string_equal(got, "<x sid=\"1\" id.y=\"2\">id=\"3\"</x>");
}

static void test_full(void **state)
{
    (void)state;
    struct event_side side = {STR("example.com"), &key};
    struct str text = STR("<x>sip:a@b</x>"); /* becomes 24 bytes */
    for (size_t cap = 0; cap < 30; cap++) {
        char *room = test_malloc(cap + 1);
        struct out o = out_of(room, cap);
        enum reason why = event_body(EVENT_PRESENCE, STR(PIDF_TYPE), text, &side, &o);
        assert_int_equal(why, cap < 24 ? REASON_sip_too_large : REASON_NONE);
        test_free(room);
    }
}

static void test_state(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        enum reason why;
        bool ended;
        uint32_t expires;
    } rows[] = {
        {"active;expires=600", "active;expires=600", REASON_NONE, false, 600},
        {"Pending", "pending", REASON_NONE, false, UINT32_MAX},
        {"active;expires=x;host=10.1.2.3", "active", REASON_NONE, false, UINT32_MAX},
        {"terminated;reason=NoResource;retry-after=5", "terminated;reason=noresource;retry-after=5",
         REASON_NONE, true, UINT32_MAX},
        {"terminated;reason=odd", "terminated", REASON_NONE, true, UINT32_MAX},
        {"active;expires=4294967295", "active", REASON_NONE, false, UINT32_MAX},
        {"active;expires=1;expires=2;reason=giveup;reason=timeout",
         "active;expires=1;reason=giveup", REASON_NONE, false, 1},
        {"waiting", "", REASON_sip_header_syntax, false, 0},
        {"", "", REASON_sip_header_missing, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[96];
        struct out o = out_of(text, sizeof text);
        bool ended = false;
        uint32_t expires = 0;
        assert_int_equal(event_state(str_c(rows[i].in), &o, &ended, &expires), rows[i].why);
        assert_true(str_eq(out_str(&o), str_c(rows[i].out)));
        assert_int_equal(ended, rows[i].ended);
        assert_int_equal(expires, rows[i].expires);
    }
}

static void test_text_type(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"text/plain", "text/plain"},
        {"Text/Plain;charset=UTF-8;x=10.1.2.3", "text/plain;charset=UTF-8"},
        {"text/plain;charset=\"a b\"", "text/plain"},
        {"application/im-iscomposing+xml", "application/im-iscomposing+xml"},
        {"message/cpim", NULL},
        {"text/html", NULL},
        {"text", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[96];
        struct out o = out_of(text, sizeof text);
        enum reason why = event_text_type(str_c(rows[i].in), &o);
        assert_int_equal(why, rows[i].out ? REASON_NONE : REASON_sip_body_type);
        if (rows[i].out)
            assert_true(str_eq(out_str(&o), str_c(rows[i].out)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uris),        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_dialog_info), cmocka_unit_test(test_bad_xml),
        cmocka_unit_test(test_full),        cmocka_unit_test(test_state),
        cmocka_unit_test(test_text_type),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
