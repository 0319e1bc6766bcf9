#include "base/test.h"
#include "io/dgram.h"
#include <unistd.h>

static int open_on(const char *ip, struct addr *ret_a)
{
    struct addr a;
    int fd = -1;
    assert_ok(addr_parse_ip(str_c(ip), &a));
    assert_ok(sock_udp(&a, false, &fd));
    assert_ok(sock_local(fd, ret_a));
    assert_true(ret_a->port != 0);
    return fd;
}

static void batch_over(const char *ip)
{
    static uint8_t mem[DGRAM_BATCH * 64];
    static struct dgram_rx rx;
    static struct dgram_tx tx;
    struct addr to, from;
    int in = open_on(ip, &to), out = open_on(ip, &from);
    char text[DGRAM_BATCH][8];
    dgram_rx_init(&rx, mem, DGRAM_BATCH, 64);
    dgram_tx_init(&tx);
    assert_int_equal(dgram_recv(&rx, in, DGRAM_BATCH), 0);
    for (uint32_t i = 0; i < DGRAM_BATCH; i++) {
        int n = snprintf(text[i], sizeof text[i], "m%u", i);
        assert_true(dgram_queue(&tx, &to, str_of(text[i], (size_t)n)));
    }
    assert_false(dgram_queue(&tx, &to, STR("full")));
    assert_int_equal(dgram_flush(&tx, out), 0);
    assert_int_equal(tx.n, 0);
    uint32_t got = 0;
    for (int tries = 0; got < DGRAM_BATCH && tries < 1000; tries++) {
        uint32_t n = dgram_recv(&rx, in, 7);
        assert_true(n <= 7);
        for (uint32_t k = 0; k < n; k++, got++) {
            assert_str_eq(str_of((const char *)rx.d[k].p, rx.d[k].n), str_c(text[got]));
            assert_true(addr_eq(&rx.d[k].from, &from));
            assert_false(rx.d[k].cut);
        }
    }
    assert_int_equal(got, DGRAM_BATCH);
    (void)close(in);
    (void)close(out);
}

static void batches(void **state)
{
    (void)state;
    batch_over("127.0.0.1");
    struct addr a = {.family = ADDR_V6, .ip = {[15] = 1}};
    int fd;
    if (sock_udp(&a, false, &fd) != OK)
        return; /* a machine without IPv6 */
    (void)close(fd);
    batch_over("::1");
}

static void long_ones_are_told(void **state)
{
    (void)state;
    static uint8_t mem[2 * 16];
    static struct dgram_rx rx;
    char buf[16];
    bool cut = false;
    struct addr to, from, who;
    int in = open_on("127.0.0.1", &to), out = open_on("127.0.0.1", &from);
    dgram_rx_init(&rx, mem, 2, 16);
    assert_ok(dgram_send_one(out, &to, STR("exactly 16 bytes")));
    assert_ok(dgram_send_one(out, &to, STR("this is 17 bytes.")));
    assert_int_equal(dgram_recv(&rx, in, 64), 2);
    assert_false(rx.d[0].cut);
    assert_int_equal(rx.d[0].n, 16);
    assert_true(rx.d[1].cut);
    assert_int_equal(rx.d[1].n, 16);
    assert_ok(dgram_send_one(out, &to, STR("this is 17 bytes.")));
    assert_int_equal(dgram_recv_one(in, buf, sizeof buf, &who, &cut), 16);
    assert_true(cut);
    assert_true(addr_eq(&who, &from));
    assert_int_equal(dgram_recv_one(in, buf, sizeof buf, &who, &cut), -1);
    (void)close(in);
    (void)close(out);
}

/* A datagram that the kernel refuses costs itself only. */
static void refusals(void **state)
{
    (void)state;
    static struct dgram_tx tx;
    static char big[66000];
    struct addr to, from, none = {0};
    char buf[8];
    bool cut;
    int in = open_on("127.0.0.1", &to), out = open_on("127.0.0.1", &from);
    dgram_tx_init(&tx);
    assert_true(dgram_queue(&tx, &to, STR("one")));
    assert_true(dgram_queue(&tx, &to, str_of(big, sizeof big)));
    assert_true(dgram_queue(&tx, &none, STR("nowhere")));
    assert_true(dgram_queue(&tx, &to, STR("two")));
    assert_int_equal(dgram_flush(&tx, out), 1);
    assert_int_equal(dgram_recv_one(in, buf, sizeof buf, &from, &cut), 3);
    assert_int_equal(dgram_recv_one(in, buf, sizeof buf, &from, &cut), 3);
    assert_memory_equal(buf, "two", 3);
    assert_err(dgram_send_one(out, &none, STR("x")), ERR_RANGE);
    assert_err(dgram_send_one(out, &to, str_of(big, sizeof big)), ERR_SYSTEM);
    (void)close(in);
    (void)close(out);
}

static void shared_and_taken_ports(void **state)
{
    (void)state;
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}};
    int one, two, three;
    assert_ok(sock_udp(&a, true, &one));
    assert_ok(sock_local(one, &a));
    assert_ok(sock_udp(&a, true, &two));
    assert_err(sock_udp(&a, false, &three), ERR_EXISTS);
    struct addr not_ours = {.family = ADDR_V4, .ip = {192, 0, 2, 1}};
    assert_err(sock_udp(&not_ours, false, &three), ERR_NOT_FOUND);
    struct addr none = {0};
    assert_err(sock_udp(&none, false, &three), ERR_RANGE);
    (void)close(one);
    (void)close(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches), cmocka_unit_test(long_ones_are_told), cmocka_unit_test(refusals),
        cmocka_unit_test(shared_and_taken_ports)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
