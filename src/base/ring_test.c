#include "base/ring.h"
#include "base/rng.h"
#include "base/test.h"
#include <pthread.h>
#include <sched.h>

#define SIZE 4096u
static ALIGNED(64) uint8_t mem[sizeof(struct ring_shared) + SIZE];
static struct ring_shared *const sh = (struct ring_shared *)(void *)mem;
static struct ring prod, cons;

static void fresh(void)
{
    memset(mem, 0, sizeof mem);
    assert_int_equal(ring_bytes(SIZE), sizeof mem);
    assert_ok(ring_attach(&prod, mem, SIZE, true));
    assert_ok(ring_attach(&cons, mem, SIZE, false));
}

static void one_by_one(void **state)
{
    (void)state;
    char buf[64];
    size_t n = 99;
    fresh();
    assert_err(ring_get(&cons, buf, sizeof buf, &n), ERR_AGAIN);
    assert_ok(ring_put(&prod, "hello", 5));
    assert_ok(ring_put2(&prod, STR("two "), STR("parts")));
    assert_ok(ring_put(&prod, NULL, 0));
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "hello");
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "two parts");
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_int_equal(n, 0);
    assert_err(ring_get(&cons, buf, sizeof buf, &n), ERR_AGAIN);
}

static void limits(void **state)
{
    (void)state;
    static uint8_t big[RING_RECORD_MAX + 1];
    char buf[8];
    size_t n = 99;
    fresh();
    assert_ok(ring_put(&prod, big, 8));
    assert_ok(ring_put(&prod, big, 9));
    assert_ok(ring_get(&cons, buf, 8, &n));
    n = 99;
    assert_err(ring_get(&cons, buf, 8, &n), ERR_LIMIT);
    assert_int_equal(n, 99);
    assert_err(ring_get(&cons, buf, 8, &n), ERR_AGAIN); /* it was skipped */
    assert_err(ring_put(&prod, big, RING_RECORD_MAX + 1), ERR_LIMIT);
    assert_err(ring_put2(&prod, str_of((char *)big, RING_RECORD_MAX), STR("x")), ERR_LIMIT);
    assert_ok(ring_put(&prod, big, SIZE / 2 - 4));
    assert_err(ring_put(&prod, big, SIZE / 2 - 3), ERR_LIMIT);
    assert_int_equal(sh->lost, 0);
}

static void full_and_lost(void **state)
{
    (void)state;
    uint8_t rec[60] = {0}, buf[60];
    size_t n;
    fresh();
    for (int i = 0; i < 64; i++) {
        rec[0] = (uint8_t)i;
        assert_ok(ring_put(&prod, rec, 60));
    }
    assert_err(ring_put(&prod, rec, 0), ERR_FULL);
    assert_err(ring_put(&prod, rec, 60), ERR_FULL);
    assert_int_equal(sh->lost, 2);
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_err(ring_put(&prod, rec, 61), ERR_FULL);
    assert_ok(ring_put(&prod, rec, 60));
    for (int i = 1; i < 64; i++) {
        assert_ok(ring_get(&cons, buf, sizeof buf, &n));
        assert_int_equal(buf[0], i);
    }
}

/* Sizes of every kind over the seam many times, and over the 2^32 end of the indexes. */
static void wraps(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {5};
    static uint8_t rec[2048], buf[2048];
    struct rng r;
    rng_init(&r, seed);
    memset(mem, 0, sizeof mem);
    sh->head = sh->tail = 0u - 8 * SIZE;
    assert_ok(ring_attach(&prod, mem, SIZE, true));
    assert_ok(ring_attach(&cons, mem, SIZE, false));
    uint32_t sent = 0, got = 0;
    while (got < 20000) {
        size_t n = 4 + rng_below(&r, rng_below(&r, 8) ? 100 : 2040);
        memcpy(rec, &sent, 4);
        memset(rec + 4, (int)(sent & 0xff), n - 4);
        if (rng_below(&r, 2) && ring_put(&prod, rec, n) == OK)
            sent++;
        size_t k = 0;
        if (rng_below(&r, 2) || ring_get(&cons, buf, sizeof buf, &k) != OK)
            continue;
        uint32_t id;
        memcpy(&id, buf, 4);
        assert_int_equal(id, got);
        for (size_t i = 4; i < k; i++)
            assert_int_equal(buf[i], got & 0xff);
        got++;
    }
}

static void attaches_again(void **state)
{
    (void)state;
    char buf[16];
    size_t n;
    fresh();
    assert_ok(ring_put(&prod, "one", 3));
    assert_ok(ring_put(&prod, "two", 3));
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_ok(ring_attach(&cons, mem, SIZE, false)); /* the reader crashed and came back */
    assert_ok(ring_attach(&prod, mem, SIZE, true));
    assert_ok(ring_put(&prod, "three", 5));
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "two");
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "three");
    static const struct {
        uint32_t head, tail;
        enum err e;
    } rows[] = {{SIZE, 0, OK},
                {SIZE + 8, 0, ERR_SYNTAX},
                {0, 8, ERR_SYNTAX},
                {4, 0, ERR_SYNTAX},
                {12, 4, ERR_SYNTAX},
                {8, 0xfffffff8, OK},
                {0xfffffff8, 8, ERR_SYNTAX}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        sh->head = rows[i].head;
        sh->tail = rows[i].tail;
        assert_err(ring_attach(&prod, mem, SIZE, true), rows[i].e);
        assert_err(ring_attach(&cons, mem, SIZE, false), rows[i].e);
    }
}

/* Every place of both indexes: nothing is read or written outside of the ring (AddressSanitizer),
 * and after a skip on the one side the ring works again. */
static void attaches_to_anything(void **state)
{
    (void)state;
    static const uint32_t ends[] = {0, 1, 4, 8, SIZE - 1, SIZE, SIZE + 8, 0x80000000u, UINT32_MAX};
    char buf[16];
    size_t n;
    for (size_t h = 0; h < ARRAY_LEN(ends); h++)
        for (size_t t = 0; t < ARRAY_LEN(ends); t++) {
            memset(mem, 0, sizeof mem);
            sh->head = ends[h];
            sh->tail = ends[t];
            bool sound = ring_attach(&cons, mem, SIZE, false) == OK;
            ring_attach_anyhow(&cons, mem, SIZE, false);
            assert_int_equal(cons.dead, !sound);
            ring_attach_anyhow(&prod, mem, SIZE, true);
            enum err e = ring_put(&prod, "one", 3);
            assert_true(e == OK || e == ERR_FULL);
            if (!sound)
                assert_err(ring_get(&cons, buf, sizeof buf, &n), ERR_SYNTAX);
            sh->head = prod.own; /* a producer says where it stands with its next record */
            (void)ring_skip(&cons);
            assert_ok(ring_put(&prod, "two", 3));
            assert_ok(ring_get(&cons, buf, sizeof buf, &n));
            assert_str(str_of(buf, n), "two");
        }
}

static void lies(uint32_t head, uint32_t tail, uint32_t at, uint32_t length)
{
    uint8_t buf[64];
    size_t n = 99;
    memset(mem, 0, sizeof mem);
    sh->tail = sh->head = tail;
    assert_ok(ring_attach(&cons, mem, SIZE, false));
    sh->head = head;
    memcpy(sh->data + at, &length, 4);
    assert_err(ring_get(&cons, buf, sizeof buf, &n), ERR_SYNTAX);
    sh->head = cons.own + 16; /* once broken, it stays so */
    memset(sh->data, 0, SIZE);
    assert_err(ring_get(&cons, buf, sizeof buf, &n), ERR_SYNTAX);
    assert_int_equal(n, 99);
}

static void hostile_writer(void **state)
{
    (void)state;
    lies(SIZE + 8, 0, 0, 4);    /* more than the ring holds */
    lies(0u - 8, 0, 0, 4);      /* backwards */
    lies(12, 0, 0, 4);          /* not in steps of 8 */
    lies(16, 0, 0, 13);         /* longer than what is there */
    lies(16, 0, 0, 0x80000000); /* and much longer */
    lies(16, 0, 0, UINT32_MAX - 1);
    lies(16, 0, 0, UINT32_MAX); /* a mark with nothing behind the seam */
    lies(SIZE, 0, 0, UINT32_MAX);
    lies(SIZE + SIZE - 8, SIZE - 8, SIZE - 8, 8); /* a record across the seam */
}

static void hostile_reader(void **state)
{
    (void)state;
    static const uint8_t big[2000];
    fresh();
    assert_ok(ring_put(&prod, "x", 1));
    sh->tail = 16; /* past our head: would leave negative fill */
    assert_err(ring_put(&prod, "x", 1), ERR_FULL);
    sh->tail = prod.own - SIZE - 8;
    assert_err(ring_put(&prod, "x", 1), ERR_FULL);
    sh->tail = prod.own - SIZE + 3; /* within bounds, off its step: only shortens the room */
    assert_err(ring_put(&prod, "x", 1), ERR_FULL);
    sh->tail = 3; /* the record stays inside the ring whatever the tail says */
    assert_ok(ring_put(&prod, big, sizeof big));
    assert_int_equal(prod.own, 8 + 2008);
}

static void sleeping(void **state)
{
    (void)state;
    char buf[8];
    size_t n;
    fresh();
    assert_false(ring_want_wake(&prod));
    assert_true(ring_sleep(&cons));
    assert_ok(ring_put(&prod, "x", 1));
    assert_true(ring_want_wake(&prod));
    assert_false(ring_want_wake(&prod)); /* one wake-up a sleep */
    assert_false(ring_sleep(&cons));     /* there is a record */
    assert_false(ring_want_wake(&prod));
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_true(ring_sleep(&cons));
    ring_awake(&cons);
    assert_false(ring_want_wake(&prod));
}

enum { RECORDS = 100000 };
static uint32_t wakes; /* stands in for the eventfd */

static void held_until_released(void **state)
{
    (void)state;
    char buf[64];
    size_t n;
    fresh();
    cons.hold = true;
    assert_ok(ring_put(&prod, "one", 3));
    assert_ok(ring_put(&prod, "two", 3));
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_int_equal(ring_held(&cons), 8);
    assert_ok(ring_attach(&cons, mem, SIZE, false)); /* it died: gets it again */
    cons.hold = true;
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "one");
    ring_release(&cons);
    assert_int_equal(ring_held(&cons), 0);
    assert_ok(ring_attach(&cons, mem, SIZE, false));
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "two");
    cons.hold = true; /* what is held is no room for the producer */
    unsigned put = 0;
    while (ring_put(&prod, buf, sizeof buf) == OK)
        put++;
    while (ring_get(&cons, buf, sizeof buf, &n) == OK)
        continue;
    assert_err(ring_put(&prod, buf, sizeof buf), ERR_FULL);
    ring_release(&cons);
    assert_ok(ring_put(&prod, buf, sizeof buf));
    assert_true(put > SIZE / 2 / sizeof buf);
}

static void skips_what_is_broken(void **state)
{
    (void)state;
    char buf[64];
    size_t n;
    fresh();
    assert_ok(ring_put(&prod, "one", 3));
    memset(sh->data, 0x7f, 4); /* a length that cannot be */
    assert_err(ring_get(&cons, buf, sizeof buf, &n), ERR_SYNTAX);
    assert_err(ring_get(&cons, buf, sizeof buf, &n), ERR_SYNTAX);
    assert_int_equal(ring_skip(&cons), 8);
    assert_err(ring_get(&cons, buf, sizeof buf, &n), ERR_AGAIN);
    assert_ok(ring_put(&prod, "two", 3));
    assert_ok(ring_get(&cons, buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "two");
}

static void *producer(void *arg)
{
    (void)arg;
    uint8_t rec[256];
    for (uint32_t i = 0; i < RECORDS; i++) {
        size_t n = 4 + i % 200;
        memset(rec, (int)(i & 0xff), n);
        memcpy(rec, &i, 4);
        while (ring_put(&prod, rec, n) != OK)
            (void)sched_yield();
        if (ring_want_wake(&prod))
            __atomic_fetch_add(&wakes, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void two_threads(void **state)
{
    (void)state;
    pthread_t t;
    uint8_t buf[256];
    uint32_t got = 0, taken = 0;
    fresh();
    wakes = 0;
    assert_int_equal(pthread_create(&t, NULL, producer, NULL), 0);
    while (got < RECORDS) {
        size_t n = 0;
        enum err e = ring_get(&cons, buf, sizeof buf, &n);
        if (e == ERR_AGAIN && ring_sleep(&cons)) {
            /* A lost wake-up would hang here; the test's time limit is the judge. */
            while (__atomic_load_n(&wakes, __ATOMIC_ACQUIRE) == taken)
                (void)sched_yield();
            taken++;
        }
        if (e == ERR_AGAIN)
            continue;
        assert_ok(e);
        uint32_t id;
        memcpy(&id, buf, 4);
        assert_int_equal(id, got);
        assert_int_equal(n, 4 + got % 200);
        assert_int_equal(buf[n - 1], n == 4 ? buf[3] : (got & 0xff));
        got++;
    }
    assert_int_equal(pthread_join(t, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_by_one),           cmocka_unit_test(limits),
        cmocka_unit_test(full_and_lost),        cmocka_unit_test(wraps),
        cmocka_unit_test(attaches_again),       cmocka_unit_test(hostile_writer),
        cmocka_unit_test(hostile_reader),       cmocka_unit_test(sleeping),
        cmocka_unit_test(two_threads),          cmocka_unit_test(held_until_released),
        cmocka_unit_test(attaches_to_anything), cmocka_unit_test(skips_what_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
