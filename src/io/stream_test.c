#include "base/test.h"
#include "io/stream.h"
#include <poll.h>
#include <unistd.h>

static void wait_for(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    assert_int_equal(poll(&p, 1, 5000), 1);
}

static void pair(struct stream *a, struct stream *b, uint32_t q_max)
{
    struct addr at = {.family = ADDR_V4, .ip = {127, 0, 0, 1}}, peer, me;
    int listener, out, in;
    assert_ok(sock_listen(&at, false, 8, &listener));
    assert_ok(sock_local(listener, &at));
    assert_err(stream_accept(listener, &in, &peer), ERR_AGAIN);
    assert_ok(sock_connect(NULL, &at, &out));
    wait_for(listener, POLLIN);
    assert_ok(stream_accept(listener, &in, &peer));
    wait_for(out, POLLOUT);
    assert_int_equal(sock_error(out), 0);
    assert_ok(sock_local(out, &me));
    assert_true(addr_eq(&me, &peer));
    assert_ok(sock_peer(out, &me));
    assert_true(addr_eq(&me, &at));
    stream_init(a, out, q_max);
    stream_init(b, in, q_max);
    (void)close(listener);
}

static void bytes_pass(void **state)
{
    (void)state;
    struct stream a, b;
    char buf[64];
    size_t n = 0;
    pair(&a, &b, 4096);
    assert_err(stream_read(&b, buf, sizeof buf, &n), ERR_AGAIN);
    assert_ok(stream_write(&a, STR("hello")));
    assert_false(stream_wants_out(&a));
    wait_for(b.fd, POLLIN);
    assert_ok(stream_read(&b, buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "hello");
    stream_close(&a);
    wait_for(b.fd, POLLIN);
    assert_err(stream_read(&b, buf, sizeof buf, &n), ERR_CLOSED);
    stream_close(&b);
}

/* A slow peer: what waits is bounded, keeps its order, and holds no memory once it has gone. */
static void queue_is_bounded(void **state)
{
    (void)state;
    enum { CHUNK = 10007, Q_MAX = 65536 };
    static uint8_t chunk[CHUNK], buf[65536];
    struct stream a, b;
    uint64_t put = 0, got = 0;
    enum err e = OK;
    pair(&a, &b, Q_MAX);
    sock_buffers(a.fd, 4096, 4096);
    while (e == OK) {
        for (size_t i = 0; i < CHUNK; i++)
            chunk[i] = (uint8_t)((put + i) * 31 >> 3);
        uint32_t before = stream_waiting(&a);
        e = stream_write(&a, str_of((const char *)chunk, CHUNK));
        if (e == OK)
            put += CHUNK;
        else
            assert_true(before + CHUNK > Q_MAX);
        assert_true(stream_waiting(&a) <= Q_MAX);
        assert_true(put < UINT64_C(1) << 30);
    }
    assert_err(e, ERR_FULL);
    while (got < put) {
        size_t n = 0;
        if (stream_flush(&a) == ERR_CLOSED)
            fail();
        wait_for(b.fd, POLLIN);
        assert_ok(stream_read(&b, buf, sizeof buf, &n));
        for (size_t i = 0; i < n; i++)
            if (buf[i] != (uint8_t)((got + i) * 31 >> 3))
                fail_msg("byte %zu differs", (size_t)got + i);
        got += n;
    }
    assert_int_equal(got, put);
    assert_ok(stream_flush(&a));
    assert_null(a.queue);
    stream_close(&a);
    stream_close(&b);
}

static void gone_peers(void **state)
{
    (void)state;
    struct stream a, b;
    pair(&a, &b, 1 << 20);
    struct linger now = {1, 0};
    assert_int_equal(setsockopt(b.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    stream_close(&b);
    wait_for(a.fd, POLLIN);
    assert_err(stream_write(&a, STR("to nobody")), ERR_CLOSED);
    stream_close(&a);
    struct addr closed = {.family = ADDR_V4, .ip = {127, 0, 0, 1}, .port = 1};
    int fd = -1;
    enum err e = sock_connect(NULL, &closed, &fd);
    if (e == OK) {
        wait_for(fd, POLLOUT);
        assert_int_not_equal(sock_error(fd), 0);
        (void)close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_pass),
                                       cmocka_unit_test(queue_is_bounded),
                                       cmocka_unit_test(gone_peers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
