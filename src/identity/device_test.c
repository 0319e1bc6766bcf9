#include "base/test.h"
#include "identity/device.h"

static struct addr place(uint8_t last)
{
    struct addr a = {.family = ADDR_V4, .port = 5060};
    a.ip[0] = 192, a.ip[2] = 2, a.ip[3] = last;
    return a;
}

static void the_strongest_name_decides(void **state)
{
    (void)state;
    enum device_by by;
    struct addr here = place(1), there = place(2);
    struct str cert = STR("0123456789abcdef0123456789abcdef"), instance = STR("urn:uuid:1");
    uint64_t a = device_id(cert, instance, &here, STR("Phone 1"), &by);
    assert_int_equal(by, DEVICE_BY_CERT);
    assert_int_equal(a, device_id(cert, STR("urn:uuid:2"), &there, STR("x"), &by));
    uint64_t b = device_id(STR_NONE, instance, &here, STR("Phone 1"), &by);
    assert_int_equal(by, DEVICE_BY_INSTANCE);
    assert_int_equal(b, device_id(STR_NONE, instance, &there, STR("other"), &by));
    assert_int_not_equal(b, device_id(STR_NONE, STR("urn:uuid:2"), &here, STR("Phone 1"), &by));
    uint64_t c = device_id(STR_NONE, STR_NONE, &here, STR("Phone 1"), &by);
    assert_int_equal(by, DEVICE_BY_PLACE);
    here.port = 9; /* a phone takes another port when it restarts */
    assert_int_equal(c, device_id(STR_NONE, STR_NONE, &here, STR("Phone 1"), &by));
    assert_int_not_equal(c, device_id(STR_NONE, STR_NONE, &there, STR("Phone 1"), &by));
    assert_int_not_equal(c, device_id(STR_NONE, STR_NONE, &here, STR("Phone 2"), &by));
    assert_true(a != b && b != c && a != c && a && b && c);
    /* what is a certificate is never taken for an instance */
    assert_int_not_equal(device_id(instance, STR_NONE, &here, STR_NONE, &by), b);
}

static void text_and_back(void **state)
{
    (void)state;
    char text[DEVICE_TEXT];
    uint64_t id = 0;
    device_text(0x0011223344556677u, text);
    assert_string_equal(text, "0011223344556677");
    assert_true(device_parse(str_c(text), &id));
    assert_true(id == 0x0011223344556677u);
    assert_true(device_parse(STR("d-0011223344556677"), &id));
    static const char *const bad[] = {"",
                                      "d-",
                                      "001122334455667",
                                      "00112233445566770",
                                      "0011223344556g77",
                                      "0000000000000000",
                                      "x-0011223344556677"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(device_parse(str_c(bad[i]), &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_strongest_name_decides),
                                       cmocka_unit_test(text_and_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
