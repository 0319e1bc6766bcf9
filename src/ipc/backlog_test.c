#include "base/test.h"
#include "ipc/backlog.h"
#include <fcntl.h>
#include <unistd.h>

static struct msg msg; /* large */
static struct backlog kept;
struct ends {
    struct channel up, down; /* monitor's, engine's */
    int fd[2];
};

static struct ends open_ends(void)
{
    struct ends e;
    assert_ok(channel_pair(&e.fd[0], &e.fd[1]));
    channel_init(&e.up, e.fd[0], ROLE_ENGINE, true);
    channel_init(&e.down, e.fd[1], ROLE_ENGINE, false);
    e.up.phase = e.down.phase = PHASE_RUNNING;
    kept = (struct backlog){0};
    return e;
}

static void close_ends(struct ends *e)
{
    (void)close(e->fd[0]);
    (void)close(e->fd[1]);
}

static struct str numbered(uint32_t i)
{
    static char bytes[IPC_BAN_MAX];
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, &i, sizeof i);
    return str_of(bytes, sizeof bytes);
}

/* Bans until the channel takes no more; how many went through. */
static uint32_t fill(struct ends *e)
{
    uint32_t n = 0;
    while (!kept.n) {
        assert_ok(backlog_ban(&kept, &e->down, numbered(n++)));
        assert_true(n < 1u << 20);
    }
    return n - 1;
}

static uint32_t take(struct ends *e)
{
    uint32_t i;
    assert_ok(channel_recv(&e->up, &msg, true));
    assert_int_equal(msg.type, MSG_BAN);
    memcpy(&i, msg.u.body, sizeof i);
    return i;
}

static void an_open_channel_keeps_nothing(void **state)
{
    (void)state;
    struct ends e = open_ends();
    assert_ok(backlog_flush(&kept, &e.down));
    assert_ok(backlog_ban(&kept, &e.down, numbered(7)));
    assert_int_equal(kept.n, 0);
    assert_int_equal(take(&e), 7);
    assert_err(channel_recv(&e.up, &msg, true), ERR_AGAIN);
    close_ends(&e);
}

static void what_a_full_channel_refused_arrives_in_order(void **state)
{
    (void)state;
    struct ends e = open_ends();
    uint32_t through = fill(&e), all = through + 1, i = 0;
    while (kept.n < BACKLOG_CAP)
        assert_ok(backlog_ban(&kept, &e.down, numbered(all++)));
    assert_err(backlog_flush(&kept, &e.down), ERR_AGAIN);
    assert_err(backlog_ban(&kept, &e.down, numbered(999999)), ERR_FULL);
    assert_int_equal(kept.n, BACKLOG_CAP);
    for (; i < through; i++)
        assert_int_equal(take(&e), i);
    assert_ok(backlog_ban(&kept, &e.down, numbered(all++))); /* behind those that waited */
    assert_int_equal(kept.n, 0);
    for (; i < all; i++)
        assert_int_equal(take(&e), i);
    assert_err(channel_recv(&e.up, &msg, true), ERR_AGAIN); /* neither lost nor twice */
    close_ends(&e);
}

/* Its ring goes round, with some taken and some kept. */
static void wraps(void **state)
{
    (void)state;
    struct ends e = open_ends();
    uint32_t next = 0, all = fill(&e) + 1;
    for (unsigned round = 0; round < BACKLOG_CAP * 4; round++) {
        if (round % 3)
            assert_int_equal(take(&e), next++);
        if (kept.n < BACKLOG_CAP)
            assert_ok(backlog_ban(&kept, &e.down, numbered(all++)));
    }
    while (next < all) {
        assert_int_equal(take(&e), next++);
        (void)!backlog_flush(&kept, &e.down);
    }
    assert_int_equal(kept.n, 0);
    close_ends(&e);
}

static void a_channel_that_ended_and_too_long(void **state)
{
    (void)state;
    static char long_one[IPC_BAN_MAX + 1];
    struct ends e = open_ends();
    assert_err(backlog_ban(&kept, &e.down, str_of(long_one, sizeof long_one)), ERR_LIMIT);
    (void)fill(&e);
    (void)close(e.fd[0]);
    assert_err(backlog_flush(&kept, &e.down), ERR_CLOSED);
    assert_int_equal(kept.n, 0);
    (void)close(e.fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_channel_keeps_nothing),
        cmocka_unit_test(what_a_full_channel_refused_arrives_in_order), cmocka_unit_test(wraps),
        cmocka_unit_test(a_channel_that_ended_and_too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
