#include "base/test.h"
#include "sip/flow.h"

static void names(void **state)
{
    (void)state;
    assert_str(proto_name(PROTO_UDP), "UDP");
    assert_str(proto_name(PROTO_TCP), "TCP");
    assert_str(proto_name(PROTO_TLS), "TLS");
    assert_str(proto_param(PROTO_UDP), "udp");
    assert_str(proto_param(PROTO_TCP), "tcp");
    assert_str(proto_param(PROTO_TLS), "tls");
    assert_false(flow_reliable(&(struct flow){.proto = PROTO_UDP}));
    assert_true(flow_reliable(&(struct flow){.proto = PROTO_TCP}));
    assert_true(flow_reliable(&(struct flow){.proto = PROTO_TLS}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
