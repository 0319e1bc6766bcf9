/* The queues of lingering records. The schedules themselves are in the tests of the machines. */
#include "base/test.h"
#include "sip/harness.h"

#define N 40u

static struct handle lingering(struct rig *r, unsigned i)
{
    char branch[32];
    (void)snprintf(branch, sizeof branch, "z9hG4bK%u", i);
    rig_request(r, (struct rig_request){.method = "BYE", .branch = branch, .to_tag = "x"});
    struct handle h = rig_server(r, false, i);
    assert_ok(rig_respond(r, h, 200));
    return h;
}

/* One entry in the wheel whatever the number; each ends to the millisecond, in order, and one that
 * is taken out at the front, in the middle or at the end disturbs no other. */
static void queue_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 8; seed++) {
        struct rig *r = rig_new(N, N, 512);
        struct handle h[N];
        int64_t start[N];
        bool dropped[N] = {false};
        unsigned left = N;
        for (unsigned i = 0; i < N; i++) {
            h[i] = lingering(r, i);
            start[i] = r->now.us / 1000;
            rig_check(r);
            rig_wait(r, i * seed % 5); /* several in one millisecond, too */
        }
        assert_int_equal(r->wheel.armed, 1);
        for (unsigned i = 0; i < N; i++) {
            dropped[i] = i == 0 || i == N - 1 || i * seed % 3 == 0;
            left -= dropped[i];
            if (dropped[i])
                trans_drop(r->t, h[i]);
            rig_check(r);
        }
        unsigned next = 0;
        while (trans_used(r->t)) {
            unsigned told = r->n_told;
            rig_wait(r, 1);
            rig_check(r);
            for (; told < r->n_told; told++) {
                while (dropped[next])
                    next++;
                assert_int_equal(r->told[told].user, next);
                assert_int_equal(r->now.us / 1000 - start[next], 32000);
                next++;
            }
        }
        assert_int_equal(r->n_told, left);
        assert_true(rig_clean(r));
        rig_free(r);
    }
}

/* A handler that drops the next in the queue, while the queue is worked off. */
static void drop_while_draining(void **state)
{
    (void)state;
    struct rig *r = rig_new(N, N, 512);
    struct handle h[3];
    for (unsigned i = 0; i < 3; i++)
        h[i] = lingering(r, i);
    r->drop_on_tell = h[1];
    rig_wait(r, 32000);
    assert_int_equal(r->n_told, 2);
    assert_int_equal(r->told[1].user, 2);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void clock_goes_back(void **state)
{
    (void)state;
    struct rig *r = rig_new(N, N, 512);
    struct instant now = r->now;
    (void)lingering(r, 0);
    r->now.us -= 400000;
    (void)lingering(r, 1);
    rig_check(r);
    r->now = now;
    rig_wait(r, 31999);
    assert_int_equal(r->n_told, 0); /* late, not out of order */
    rig_wait(r, 1);
    assert_int_equal(r->n_told, 2);
    assert_true(rig_clean(r));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_order),
        cmocka_unit_test(drop_while_draining),
        cmocka_unit_test(clock_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
