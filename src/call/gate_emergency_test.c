/* What is a call for help, from both sides of each edge. */
#include "call/fixture_test.h"
#include "call/gate.h"

static struct sip_msg m;
static char text[1024];

static void ask_for(const char *method, const char *uri)
{
    struct sip_error err;
    int n = snprintf(text, sizeof text,
                     "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;branch=z9hG4bKx\r\n"
                     "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:112@example.com>\r\n"
                     "Call-ID: c1\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
                     method, uri, method);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
}

static void by_what_is_dialled(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        bool help;
    } row[] = {{"sip:112@example.com", true},
               {"sips:911@example.com", true},
               {"sip:911@example.net:5070;transport=tcp", true}, /* wherever it was sent */
               {"sip:112;phone-context=x@example.com", true},
               {"sip:%31%312@example.com", true},
               {"sip:112:secret@example.com", true},
               {"tel:112", true},
               {"tel:1-1.2;phone-context=example.com", true},
               {"tel:(911)", true},
               {"sip:11@example.com", false},
               {"sip:1121@example.com", false},
               {"sip:0112@example.com", false},
               {"sip:+112@example.com", false},
               {"sip:1-1-2@example.com", false}, /* no number's separators: a user of that name */
               {"sip:911911911@example.com", false},
               {"sip:110@example.com", false},
               {"sip:112.example.com", false}, /* a host, and nobody there */
               {"sip:alice@112.example.com", false},
               {"tel:1120", false},
               {"tel:+911", false},
               {"tel:112112112", false},
               {"http:112@example.com", false}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        ask_for("INVITE", row[i].uri);
        if (gate_dials_emergency(&m) != row[i].help)
            fail_msg("%s", row[i].uri);
    }
}

/* RFC 5031 4: the service and what lies below it; names do not tell capitals apart. */
static void by_service(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        bool help;
    } row[] = {{"urn:service:sos", true},
               {"URN:Service:SOS", true},
               {"urn:service:sos.police", true},
               {"urn:service:sos.animal-control", true},
               {"urn:service:sos;x=1", true},
               {"urn:service:sos?x=1", true},
               {"urn:service:so", false},
               {"urn:service:soso", false},
               {"urn:service:sos-police", false},
               {"urn:service:counseling", false},
               {"urn:service:counseling.sos", false},
               {"urn:services:sos", false},
               {"urn:nena:service:sos", false},
               {"sip:urn%3aservice%3asos@example.com", false}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        ask_for("INVITE", row[i].uri);
        if (gate_dials_emergency(&m) != row[i].help)
            fail_msg("%s", row[i].uri);
        if (gate_service_sos(str_c(row[i].uri)) != row[i].help)
            fail_msg("%s alone", row[i].uri);
    }
    assert_false(gate_service_sos(STR_NONE));
}

static void by_invite_alone(void **state)
{
    (void)state;
    static const char *const methods[] = {"REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE",
                                          "REFER",    "PUBLISH", "BYE",     "NOTIFY"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        ask_for(methods[i], "sip:112@example.com");
        assert_false(gate_dials_emergency(&m));
        ask_for(methods[i], "urn:service:sos");
        assert_false(gate_dials_emergency(&m));
    }
}

/* The gate marks, never refuses, and takes no mark away. */
static void the_mark(void **state)
{
    (void)state;
    struct gate_env e = {.calls_cap = 0};
    struct flow f = {.proto = PROTO_UDP, .peer = fixture_addr("203.0.113.5:9")};
    struct request r;
    for (unsigned i = 0; i < 4; i++) {
        bool dials = i & 1, marked = i & 2;
        ask_for("INVITE", dials ? "sip:112@example.com" : "sip:113@example.com");
        request_init(&r, &m, &f, (struct now){{1}, {1}});
        r.emergency = marked;
        struct verdict v = gate_emergency(&e, &r, NULL);
        assert_int_equal(v.kind, VERDICT_PASS);
        assert_int_equal(v.reason, REASON_NONE);
        assert_int_equal(r.emergency, dials || marked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_what_is_dialled), cmocka_unit_test(by_service),
        cmocka_unit_test(by_invite_alone), cmocka_unit_test(the_mark)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
