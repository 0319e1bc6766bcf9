/* Bans in the kernel: the table beside a plain list, and what the program does with it. Needs root.
 */
#include "io/xdp_test.h"

static void test_bans(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    for (int v6 = 0; v6 < 2; v6++) {
        const char *one = v6 ? "2001:db8:9:9::/64" : "192.0.2.9",
                   *one_whole = v6 ? "2001:db8:9:9::7/128" : NULL,
                   *net = v6 ? "2001:db8:9::/48" : "192.0.2.0/28";
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = STR(SOUND));
        ban(x, one);
        EXPECT_IS(XDP_BANNED, .v6 = v6, .payload = STR(SOUND));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .tagged = true, .payload = STR(SOUND));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .tagged = true, .tagged2 = true, .payload = STR(SOUND));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .extended = true, .payload = STR(SOUND));
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .source = 10, .payload = STR(SOUND));
        struct prefix p = net_of(one);
        assert_int_equal(xdp_hits(x, &p), 4);
        ban(x, one); /* longer: its hits stay */
        assert_int_equal(xdp_hits(x, &p), 4);
        release(x, one);
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = STR(SOUND));
        ban(x, net);
        EXPECT_IS(XDP_BANNED, .v6 = v6, .payload = STR(SOUND));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .source = 10, .payload = STR(SOUND));
        if (!v6)
            EXPECT_IS(XDP_PASS_SIP, .source = 77, .payload = STR(SOUND));
        release(x, net);
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .source = 10, .payload = STR(SOUND));
        if (one_whole) {
            ban(x, one_whole);
            EXPECT_IS(XDP_BANNED, .v6 = true, .payload = STR(SOUND));
            release(x, one_whole);
            EXPECT_IS(XDP_PASS_SIP, .v6 = true, .payload = STR(SOUND));
        }
    }
    xdp_close(x, true);
}

static void test_ban_expires(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    struct prefix p = net_of("192.0.2.9");
    assert_ok(xdp_ban(x, &p, DUR_MS(300), clock_now().mono));
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    (void)usleep(1500000);
    EXPECT_IS(XDP_PASS_SIP, .payload = STR(SOUND)); /* without anybody's doing */
    xdp_close(x, true);
}

/* So many that lines are full: those in second lines are found by the kernel, too. */
static void test_bans_in_second_lines(void **state)
{
    (void)state;
    struct xdp *x = start(NULL); /* 4096 lines of 4 */
    struct prefix p = {{ADDR_V4, 0, 0, {10, 0, 0, 0}}, 32};
    char who[16];
    for (unsigned i = 0; i < 9000; i++) {
        p.a.ip[2] = (uint8_t)(i >> 8);
        p.a.ip[3] = (uint8_t)i;
        assert_ok(xdp_ban(x, &p, DUR_US(0), clock_now().mono));
    }
    for (unsigned i = 1; i < 255; i++) {
        (void)snprintf(who, sizeof who, "192.0.2.%u", i);
        EXPECT_IS(XDP_PASS_SIP, .source = (uint8_t)i, .payload = STR(SOUND));
        ban(x, who);
    }
    for (unsigned i = 1; i < 255; i++) {
        EXPECT_IS(XDP_BANNED, .source = (uint8_t)i, .payload = STR(SOUND));
        (void)snprintf(who, sizeof who, "192.0.2.%u", i);
        p = net_of(who);
        assert_int_equal(xdp_hits(x, &p), 1);
        release(x, who);
        EXPECT_IS(XDP_PASS_SIP, .source = (uint8_t)i, .payload = STR(SOUND));
        EXPECT_IS(XDP_PASS_SIP, .v6 = true, .upper = 1, .payload = STR(SOUND));
        EXPECT_IS(XDP_PASS_SIP, .v6 = true, .upper = 2, .payload = STR(SOUND));
    }
    xdp_close(x, true);
}

static void test_ban_board_full(void **state)
{
    (void)state;
    struct xdp *x = start(NULL); /* 4096 lines of 4 */
    struct prefix p = {{ADDR_V4, 0, 0, {10, 0, 0, 0}}, 32};
    unsigned n = 0;
    enum err e = OK;
    for (; n < 20000 && e == OK; n++) {
        p.a.ip[2] = (uint8_t)(n >> 8);
        p.a.ip[3] = (uint8_t)n;
        e = xdp_ban(x, &p, DUR_US(0), clock_now().mono);
    }
    assert_err(e, ERR_FULL);
    assert_true(n > 4096 * 2);                      /* what it was made for, with much to spare */
    EXPECT_IS(XDP_PASS_SIP, .payload = STR(SOUND)); /* fails open */
    xdp_close(x, true);
}

/* The table beside a plain list: what was put is there, what was released is not, whatever moved.
 */
static void test_table(void **state)
{
    enum { LINES = 64, KEYS = 200 };
    static struct xdp_line t[LINES];
    static bool in[KEYS];
    uint64_t r = 1;
    (void)state;
    memset(t, 0, sizeof t);
    for (int step = 0; step < 20000; step++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(r >> 33) % KEYS;
        if (r >> 63) {
            enum err e = xdp_table_put(t, LINES, 42, i + 1, 0, 3);
            in[i] = in[i] || e == OK;
            assert_true(e == OK || e == ERR_FULL);
        } else {
            struct xdp_cell *c = xdp_table_find(t, LINES, 42, i + 1);
            assert_int_equal(c != NULL, in[i]);
            if (c)
                xdp_table_free(t, c);
            in[i] = false;
        }
    }
    for (unsigned i = 0; i < KEYS; i++) {
        const struct xdp_cell *c = xdp_table_find(t, LINES, 42, i + 1);
        assert_int_equal(c != NULL, in[i]);
        if (!c)
            continue;
        uint64_t h = xdp_mix((i + 1) ^ 42u);
        const struct xdp_line *first = &t[(uint32_t)h & (LINES - 1)];
        bool there = false, open = false; /* a second line only where the first has no empty cell */
        for (unsigned k = 0; k < XDP_WAYS; k++) {
            there = there || first->cell[k].key == i + 1;
            open = open || first->cell[k].key == 0;
        }
        assert_true(there || !open);
    }
    assert_err(xdp_table_put(t, LINES, 42, 0, 0, 0), ERR_RANGE);
    assert_err(xdp_table_put(t, LINES, 42, XDP_GONE, 0, 0), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bans),
        cmocka_unit_test(test_ban_expires),
        cmocka_unit_test(test_bans_in_second_lines),
        cmocka_unit_test(test_ban_board_full),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
