#include "base/test.h"
#include "sip/machine.h"

static const char INVITE[] =
    "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.100;branch=z9hG4bK1\r\n"
    "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK0\r\nMax-Forwards: 69\r\n"
    "Route: <sip:p1.example.net;lr>\r\nroute: <sip:p2.example.net;lr>\r\n"
    "f: <sip:alice@example.com>;tag=f1\r\nTo: \"B ;tag=x\" <sip:bob@example.com;tag=u>\r\n"
    "i: own1\r\nCSeq:  17   INVITE\r\nContact: <sip:x@192.0.2.100>\r\n"
    "Proxy-Authorization: Digest x=\"y\"\r\nContent-Length: 5\r\n\r\nTo: z";

static struct str made(char *buf, size_t cap, const char *request, const char *method,
                       const char *tag, const char *reason)
{
    struct out o = out_of(buf, cap);
    hop_request(&o, str_c(request), str_c(method), str_c(tag), str_c(reason));
    assert_false(o.full);
    return out_str(&o);
}

static void head_ack_cancel(void **state)
{
    (void)state;
    char head[2048], buf[2048];
    struct str kept = made(head, sizeof head, INVITE, "", "", "");
    assert_str(
        kept,
        "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.100;branch=z9hG4bK1\r\n"
        "Max-Forwards: 69\r\nRoute: <sip:p1.example.net;lr>\r\nroute: <sip:p2.example.net;lr>\r\n"
        "f: <sip:alice@example.com>;tag=f1\r\nTo: \"B ;tag=x\" <sip:bob@example.com;tag=u>\r\n"
        "i: own1\r\nCSeq:  17   INVITE\r\n\r\n");
    head[kept.n] = 0;
    static const char *const from[] = {INVITE, NULL};
    for (unsigned i = 0; i < 2; i++) { /* from the whole and from its head: the same */
        const char *request = from[i] ? from[i] : head;
        assert_str(
            made(buf, sizeof buf, request, "ACK", "t1", ""),
            "ACK sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.100;branch=z9hG4bK1\r\n"
            "Max-Forwards: 69\r\nRoute: <sip:p1.example.net;lr>\r\nroute: "
            "<sip:p2.example.net;lr>\r\n"
            "f: <sip:alice@example.com>;tag=f1\r\nTo: \"B ;tag=x\" "
            "<sip:bob@example.com;tag=u>;tag=t1\r\n"
            "i: own1\r\nCSeq: 17 ACK\r\nContent-Length: 0\r\n\r\n");
        assert_str(
            made(buf, sizeof buf, request, "CANCEL", "", "SIP;cause=200"),
            "CANCEL sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.100;branch=z9hG4bK1\r\n"
            "Max-Forwards: 69\r\nRoute: <sip:p1.example.net;lr>\r\nroute: "
            "<sip:p2.example.net;lr>\r\n"
            "f: <sip:alice@example.com>;tag=f1\r\nTo: \"B ;tag=x\" <sip:bob@example.com;tag=u>\r\n"
            "i: own1\r\nCSeq: 17 CANCEL\r\nReason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n");
    }
}

/* In a re-INVITE To has its tag already; the response's does not come on top of it. */
static void one_tag(void **state)
{
    (void)state;
    char buf[512];
    assert_str(
        made(buf, sizeof buf,
             "INVITE sip:b SIP/2.0\r\nTo: <sip:b>;x=y;tag=old\r\nCSeq: 2 INVITE\r\n\r\n", "ACK",
             "new", ""),
        "ACK sip:b SIP/2.0\r\nTo: <sip:b>;x=y;tag=old\r\nCSeq: 2 ACK\r\nContent-Length: 0\r\n\r\n");
    assert_str(
        made(buf, sizeof buf, "INVITE sip:b SIP/2.0\r\nTo: sip:b\r\nCSeq: 2 INVITE\r\n\r\n", "ACK",
             "new", ""),
        "ACK sip:b SIP/2.0\r\nTo: sip:b;tag=new\r\nCSeq: 2 ACK\r\nContent-Length: 0\r\n\r\n");
}

static void no_smuggling_no_overflow(void **state)
{
    (void)state;
    char buf[512];
    static const char request[] = "INVITE sip:b SIP/2.0\r\nTo: <sip:b>\r\nCSeq: 2 INVITE\r\n\r\n";
    struct out o = out_of(buf, sizeof buf);
    hop_request(&o, str_c(request), STR("ACK"), STR("x\r\nEvil: 1"), STR_NONE);
    assert_true(o.full);
    o = out_of(buf, sizeof buf);
    hop_request(&o, str_c(request), STR("CANCEL"), STR_NONE, STR("SIP\r\nEvil: 1"));
    assert_true(o.full);
    o = out_of(buf, 40);
    hop_request(&o, str_c(request), STR("ACK"), STR("x"), STR_NONE);
    assert_true(o.full);
    /* Pieces of a message must not be read past their end. */
    for (size_t n = 0; n < sizeof request; n++) {
        char *exact = malloc(n ? n : 1);
        memcpy(exact, request, n);
        o = out_of(buf, sizeof buf);
        hop_request(&o, str_of(exact, n), STR("ACK"), STR("x"), STR_NONE);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_ack_cancel),
        cmocka_unit_test(one_tag),
        cmocka_unit_test(no_smuggling_no_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
