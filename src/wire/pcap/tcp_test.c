#include "base/test.h"
#include "wire/pcap/tcp.h"

#define ONE "OPTIONS sip:a@example.com SIP/2.0\r\nContent-Length: 4\r\n\r\nabcd"
#define TWO "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
static struct tcp_table *t;
static void *mem;
static char got[8][256];
static unsigned n_got, n_bad;

static int setup(void **state)
{
    (void)state;
    struct sipkey key = {1, 2};
    mem = calloc(1, tcp_bytes());
    t = mem ? tcp_init(mem, &key) : NULL;
    n_got = n_bad = 0;
    return t ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(mem);
    return 0;
}

static void push_port(uint16_t port, uint32_t seq, struct str s, uint8_t flags, int64_t us)
{
    struct frame f = {.kind = FRAME_TCP,
                      .tcp_flags = flags,
                      .tcp_seq = seq,
                      .src = {.family = ADDR_V4, .port = port, .ip = {192, 0, 2, 1}},
                      .dst = {.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, 2}},
                      .data = (const uint8_t *)s.p,
                      .len = (uint32_t)s.n};
    struct tcp_flow *w = tcp_push(t, &f, (struct instant){us});
    struct str msg;
    enum reason why;
    while (w && tcp_next(w, &msg, &why)) {
        n_bad += why != REASON_NONE;
        if (why == REASON_NONE && n_got < 8 && msg.n < 256) {
            memcpy(got[n_got], msg.p, msg.n);
            got[n_got++][msg.n] = 0;
        }
    }
}

static void push(uint32_t seq, struct str s)
{
    push_port(40000, seq, s, TCP_ACK, 1);
}

static void cut_anywhere(void **state)
{
    (void)state;
    char both[256];
    size_t n = sizeof ONE - 1 + sizeof TWO - 1;
    memcpy(both, ONE, sizeof ONE - 1);
    memcpy(both + sizeof ONE - 1, TWO, sizeof TWO);
    for (size_t cut = 1; cut < n; cut++) {
        uint32_t seq = (uint32_t)(UINT32_MAX - 20 + cut * 1000); /* also over the wrap */
        n_got = 0;
        push_port((uint16_t)(20000 + cut), seq, str_of(both, cut), TCP_ACK, 1);
        push_port((uint16_t)(20000 + cut), seq + (uint32_t)cut, str_of(both + cut, n - cut),
                  TCP_ACK, 1);
        assert_int_equal(n_got, 2);
        assert_string_equal(got[0], ONE);
        assert_string_equal(got[1], TWO);
    }
}

static void again_and_out_of_order(void **state)
{
    (void)state;
    struct str s = STR(ONE);
    push(100, str_head(s, 20));
    push(100, str_head(s, 20)); /* again */
    push(140, str_skip(s, 40));
    assert_int_equal(n_got, 0);
    push(115, str_head(str_skip(s, 15), 25)); /* overlaps what is here, fills the hole */
    assert_int_equal(n_got, 1);
    assert_string_equal(got[0], ONE);
    assert_int_equal(t->again, 1);
    assert_int_equal(t->reordered, 1);
}

static void many_pieces_backwards(void **state)
{
    (void)state;
    struct str s = STR(ONE);
    push(1000, str_head(s, 20));
    for (size_t at = s.n - 5; at > 20; at -= 5)
        push(1000 + (uint32_t)at, str_head(str_skip(s, at), 5));
    push(1020, str_head(str_skip(s, 20), 5));
    assert_int_equal(n_got, 1);
    assert_string_equal(got[0], ONE);
}

static void a_hole_is_given_up(void **state)
{
    (void)state;
    struct str s = STR(ONE), two = STR(TWO);
    push(100, str_head(s, 20));
    push_port(40000, 500, two, TCP_ACK, 2);
    assert_int_equal(n_got, 0);
    push_port(40000, 500 + (uint32_t)two.n, s, TCP_ACK, 3 + TCP_HOLE_US);
    assert_int_equal(n_got, 2);
    assert_string_equal(got[0], TWO);
    assert_string_equal(got[1], ONE);
    assert_int_equal(t->holes, 1);
}

static void too_many_holes(void **state)
{
    (void)state;
    push(100, str_head(STR(ONE), 20));
    for (uint32_t i = 0; i <= TCP_RANGES; i++)
        push(1000 + i * 1000, STR(TWO));
    assert_true(t->holes >= 1);
    assert_true(n_got >= 1);
}

static void not_sip_is_passed_by(void **state)
{
    (void)state;
    push(1, STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 some more bytes"));
    push(100, STR("and more of them, that are no SIP at all"));
    assert_int_equal(n_got + n_bad, 0);
    push(200, STR(TWO)); /* the beginning misled: from here on it is SIP */
    assert_int_equal(n_got, 1);
}

static void new_connection_of_the_same_ports(void **state)
{
    (void)state;
    push_port(40000, 100, STR_NONE, TCP_SYN, 1);
    push(101, str_head(STR(ONE), 20));
    push_port(40000, 7000, STR_NONE, TCP_SYN, 2);
    push(7001, STR(TWO));
    assert_int_equal(n_got, 1);
    assert_string_equal(got[0], TWO);
}

static void bad_framing_is_told_once_and_mended(void **state)
{
    (void)state;
    struct str bad = STR("OPTIONS sip:a@example.com SIP/2.0\r\nContent-Length: x\r\n\r\n");
    push(1, bad);
    assert_int_equal(n_bad, 1);
    push(1 + (uint32_t)bad.n, STR(TWO));
    assert_int_equal(n_bad, 1);
    assert_int_equal(n_got, 1);
    assert_string_equal(got[0], TWO);
}

static void pings_are_no_messages(void **state)
{
    (void)state;
    push(1, STR("\r\n\r\nOPTIONS sip:a@example.com SIP/2.0\r\nContent-Length: 0\r\n\r\n"));
    assert_int_equal(n_got, 1);
}

static void more_flows_than_room(void **state)
{
    (void)state;
    push_port(1, 1, str_head(STR(ONE), 30), TCP_ACK, 1);
    for (uint32_t i = 2; i < TCP_FLOWS + 200; i++)
        push_port((uint16_t)i, 1, STR("something that is not SIP, of many connections"), TCP_ACK,
                  2);
    push_port(1, 31, str_skip(STR(ONE), 30), TCP_ACK, 3);
    assert_int_equal(n_got, 1); /* what carries SIP outlives what does not */
    assert_true(t->evicted > 100);
}

static void start_lines(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        bool is;
    } rows[] = {
        {"INVITE sip:a@b SIP/2.0\r\n", true},
        {"SIP/2.0 200 OK\r\n", true},
        {"sip/2.0 200 OK", true},
        {"BREW sip:a@b SIP/2.0\r\n", true},
        {"INVITE x", true},
        {"GET / HTTP/1.1\r\n", false},
        {"", false},
        {"INVITE", false},
        {"\x80\x08xxxxxxxx", false},
        {"hello you\r\n SIP/2.0\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(sip_looks(str_c(rows[i].s)), rows[i].is);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(cut_anywhere),
                                       T(again_and_out_of_order),
                                       T(many_pieces_backwards),
                                       T(a_hole_is_given_up),
                                       T(too_many_holes),
                                       T(not_sip_is_passed_by),
                                       T(new_connection_of_the_same_ports),
                                       T(bad_framing_is_told_once_and_mended),
                                       T(pings_are_no_messages),
                                       T(more_flows_than_room),
                                       T(start_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
