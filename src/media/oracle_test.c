/* SRTP and SRTCP against libsrtp2, both ways, every suite, with wrap of the sequence number, loss,
 * reordering, replay and damage. */
#include "base/rng.h"
#include "base/test.h"
#include "media/oracle_lib.h"
#include "media/rig.h"
#include "media/srtp.h"

static struct rng rng;
static uint8_t key[SRTP_KEY_MAX], a[PKT_MAX], b[PKT_MAX];

static int setup(void **state)
{
    static const uint8_t seed[32] = "oracle";
    (void)state;
    rng_init(&rng, seed);
    return oracle_open() ? 0 : -1;
}

static struct srtp *ours(enum srtp_suite s)
{
    struct srtp *c = srtp_new(s, key);
    assert_non_null(c);
    return c;
}

static void *theirs(enum srtp_suite s, bool inbound)
{
    void *c = oracle_new((int)s, key, inbound);
    assert_non_null(c);
    return c;
}

static size_t rtcp_packet(uint8_t *p, uint32_t ssrc)
{
    memset(p, 0, 28);
    p[0] = 0x80;
    p[1] = 200;
    p[3] = 6;
    be32_put(p + 4, ssrc);
    return 28;
}

/* RTP only: libsrtp2 counts its SRTCP packets from 1, RFC 3711 from 0; receivers take both. */
static void the_same_bytes_come_out(void **state)
{
    (void)state;
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        rng_bytes(&rng, key, sizeof key);
        struct srtp *o = ours(s);
        void *t = theirs(s, false);
        for (uint32_t i = 0; i < 140000; i++) { /* over two wraps */
            size_t n = rig_rtp(a, 7, (uint16_t)(65000 + i), i % 64), m = n;
            memcpy(b, a, n);
            assert_ok(srtp_protect(o, a, &n, sizeof a));
            assert_int_equal(oracle_protect(t, b, &m, false), 0);
            assert_int_equal(n, m);
            assert_memory_equal(a, b, n);
        }
        srtp_free(o);
        oracle_free(t);
    }
}

/* Both receivers get the same hostile network: they must agree on every packet. */
static void the_same_packets_are_believed(void **state)
{
    (void)state;
    enum { KEPT = 64 };
    static struct {
        uint8_t p[256];
        size_t n;
        bool rtcp;
    } sent[KEPT];
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        unsigned good = 0, bad = 0;
        rng_bytes(&rng, key, sizeof key);
        struct srtp *o = ours(s);
        void *from = theirs(s, false), *t = theirs(s, true);
        for (uint32_t i = 0; i < 120000; i++) {
            unsigned k = i % KEPT;
            sent[k].rtcp = i % 40 == 3;
            sent[k].n = sent[k].rtcp ? rtcp_packet(sent[k].p, 9)
                                     : rig_rtp(sent[k].p, 9, (uint16_t)(64900 + i), 1 + i % 100);
            assert_int_equal(oracle_protect(from, sent[k].p, &sent[k].n, sent[k].rtcp), 0);
            unsigned pick = i < KEPT ? k
                            : rng_below(&rng, 4)
                                ? k
                                : rng_below(&rng, KEPT); /* now, or an old one: late or again */
            if (rng_below(&rng, 20) == 0)
                continue; /* lost */
            size_t n = sent[pick].n, m = n;
            memcpy(a, sent[pick].p, n);
            if (rng_below(&rng, 30) == 0)
                a[rng_below(&rng, (uint32_t)n)] ^= (uint8_t)(1u << rng_below(&rng, 8));
            memcpy(b, a, n);
            bool rtcp = sent[pick].rtcp;
            enum err e = rtcp ? srtcp_unprotect(o, a, &n) : srtp_unprotect(o, a, &n);
            int f = oracle_unprotect(t, b, &m, rtcp);
            if ((e == OK) != (f == 0))
                fail_msg("suite %s packet %u: ours %s, libsrtp2 %d", srtp_suite_name(s), i,
                         err_name(e), f);
            if (e == OK) {
                assert_int_equal(n, m);
                assert_memory_equal(a, b, n);
            }
            good += e == OK;
            bad += e != OK;
        }
        assert_true(good > 80000 && bad > 5000);
        srtp_free(o);
        oracle_free(from);
        oracle_free(t);
    }
}

static void they_believe_us(void **state)
{
    (void)state;
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        rng_bytes(&rng, key, sizeof key);
        struct srtp *o = ours(s);
        void *t = theirs(s, true);
        for (uint32_t i = 0; i < 70000; i++) {
            bool rtcp = i % 50 == 7;
            size_t n = rtcp ? rtcp_packet(a, 5) : rig_rtp(a, 5, (uint16_t)(65500 + i), 144), m,
                   plain = n;
            memcpy(b, a, n);
            assert_ok(rtcp ? srtcp_protect(o, a, &n, sizeof a) : srtp_protect(o, a, &n, sizeof a));
            m = n;
            if (i % 11 == 0)
                continue;
            assert_int_equal(oracle_unprotect(t, a, &m, rtcp), 0);
            assert_int_equal(m, plain);
            assert_memory_equal(a, b, plain);
        }
        srtp_free(o);
        oracle_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(the_same_bytes_come_out, setup),
                                       cmocka_unit_test_setup(the_same_packets_are_believed, setup),
                                       cmocka_unit_test_setup(they_believe_us, setup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
