/* RFC 3261 17.2.3 and 8.2.2.2. */
#include "base/test.h"
#include "sip/harness.h"

static enum trans_match arrives(struct rig *r, struct rig_request q, struct handle *ret_h)
{
    rig_request(r, q);
    return rig_match(r, 1, ret_h);
}

static struct handle open_one(struct rig *r, struct rig_request q)
{
    struct handle h;
    assert_int_equal(arrives(r, q, &h), MATCH_NEW);
    assert_false(handle_is(h));
    h = rig_server(r, false, 1);
    assert_true(handle_is(h));
    return h;
}

static void same_only_if_all_is(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 16, 512);
    struct handle h, found;
    struct rig_request q = {.method = "OPTIONS",
                            .branch = "z9hG4bKabc",
                            .host = "host.example.com:5062",
                            .to_tag = "d",
                            .cseq = 4};
    h = open_one(r, q);
    assert_int_equal(arrives(r, q, &found), MATCH_ABSORBED);
    assert_true(handle_eq(h, found));
    struct rig_request v = q;
    v.host = "HOST.example.COM:5062"; /* a host name has no case */
    assert_int_equal(arrives(r, v, &found), MATCH_ABSORBED);
    v = q, v.branch = "Z9HG4BKabc"; /* nor has the cookie */
    assert_int_equal(arrives(r, v, &found), MATCH_ABSORBED);
    v = q, v.branch = "z9hG4bKabC";
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.branch = "z9hG4bKabcd";
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.host = "host.example.com:5063";
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.host = "host.example.com";
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.host = "host.example.net:5062";
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.method = "INFO";
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.cseq = 5; /* phones that reuse a branch with their credentials */
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    trans_drop(r->t, h);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void unknown_methods_differ(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 16, 512);
    struct handle found;
    struct rig_request q = {.method = "FETCH", .branch = "z9hG4bKabc", .to_tag = "d"};
    struct handle h = open_one(r, q);
    assert_int_equal(arrives(r, q, &found), MATCH_ABSORBED);
    q.method = "FETCHX";
    assert_int_equal(arrives(r, q, &found), MATCH_NEW);
    trans_drop(r->t, h);
    rig_free(r);
}

/* Keys longer than the record holds, around the edge. */
static void long_branches(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 16, 128);
    for (size_t n = 30; n < 700; n += n < 80 ? 1 : 61) {
        char branch[800] = "z9hG4bK", other[800];
        struct handle found;
        memset(branch + 7, 'k', n);
        branch[7 + n] = 0;
        memcpy(other, branch, sizeof branch);
        other[6 + n] = 'j';
        struct rig_request q = {.method = "INFO", .branch = branch, .to_tag = "d"};
        struct handle h = open_one(r, q);
        assert_int_equal(arrives(r, q, &found), MATCH_ABSORBED);
        q.branch = other;
        assert_int_equal(arrives(r, q, &found), MATCH_NEW);
        trans_drop(r->t, h);
        assert_true(rig_clean(r));
    }
    rig_free(r);
}

/* Two keys under one hash, which the test makes by entering the first under the hash of the second:
 * the bytes tell them apart. */
static void hash_is_no_identity(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 16, 128);
    for (size_t n = 4; n < 300; n += 37) {
        char one[400] = "z9hG4bK", two[400] = "z9hG4bK";
        memset(one + 7, 'k', n);
        memset(two + 7, 'k', n);
        two[6 + n] = 'j';
        struct handle h =
            open_one(r, (struct rig_request){.method = "INFO", .branch = one, .to_tag = "d"});
        rig_request(r, (struct rig_request){.method = "INFO", .branch = two, .to_tag = "d"});
        uint64_t hash = siphash(&r->t->cfg.hash_key, match_key(r->t, &r->msg, SIP_INFO));
        assert_ok(map_put(&r->t->keys, hash, h.index));
        assert_null(match_find(r->t, match_key(r->t, &r->msg, SIP_INFO)));
        assert_true(map_del(&r->t->keys, hash, h.index));
        trans_drop(r->t, h);
    }
    assert_true(rig_clean(r));
    rig_free(r);
}

/* No room for the rest of a long key: refused by name, nothing left behind. */
static void long_branch_without_memory(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 1, 64);
    char branch[400] = "z9hG4bK";
    struct handle found;
    memset(branch + 7, 'k', 300);
    assert_int_equal(arrives(r, (struct rig_request){.method = "INFO", .branch = branch}, &found),
                     MATCH_NEW);
    assert_false(handle_is(rig_server(r, false, 1)));
    assert_int_equal(counters_get(&r->counters, REASON_capacity_memory), 1);
    assert_true(rig_clean(r));
    assert_int_equal(expect_failed, 0);
    rig_free(r);
}

/* RFC 2543 peers: no cookie, or no branch at all. */
static void rfc2543(void **state)
{
    (void)state;
    static const char *const branches[] = {"", "1", "z9hG4b"};
    for (unsigned i = 0; i < ARRAY_LEN(branches); i++) {
        struct rig *r = rig_new(8, 16, 512);
        struct handle found;
        struct rig_request q = {.method = "INVITE",
                                .branch = branches[i],
                                .call_id = "old@x",
                                .cseq = 7,
                                .from_tag = "oa"};
        struct handle h = open_one(r, q);
        assert_int_equal(arrives(r, q, &found), MATCH_ABSORBED);
        struct rig_request v = q;
        v.call_id = "old@y";
        assert_int_equal(arrives(r, v, &found), MATCH_NEW);
        v = q, v.cseq = 8;
        assert_int_equal(arrives(r, v, &found), MATCH_NEW);
        v = q, v.from_tag = "ob";
        assert_int_equal(arrives(r, v, &found), MATCH_NEW);
        v = q, v.method = "CANCEL";
        assert_int_equal(arrives(r, v, &found), MATCH_CANCEL);
        assert_true(handle_eq(h, found));
        rig_request(r, q);
        assert_ok(rig_respond(r, h, 486));
        v = q, v.method = "ACK", v.to_tag = "t9";
        assert_int_equal(arrives(r, v, &found), MATCH_ABSORBED);
        assert_true(r->told[0].acked);
        rig_wait(r, 5000);
        assert_true(rig_clean(r));
        rig_free(r);
    }
}

static void cancel(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 16, 512);
    struct handle found;
    struct rig_request q = {.method = "INVITE", .branch = "z9hG4bKc"},
                       c = {.method = "CANCEL", .branch = "z9hG4bKc"};
    assert_int_equal(arrives(r, c, &found), MATCH_STRAY);
    struct handle h = open_one(r, q);
    assert_int_equal(arrives(r, c, &found), MATCH_CANCEL);
    assert_true(handle_eq(h, found));
    struct handle own = rig_server(r, false, 2);
    assert_int_equal(trans_kind_of(r->t, own), TRANS_NIST);
    assert_ok(rig_respond(r, own, 200));
    assert_int_equal(arrives(r, c, &found), MATCH_ABSORBED);
    assert_true(handle_eq(own, found));
    assert_int_equal(r->n_sent, 2);
    trans_drop(r->t, own);
    rig_request(r, c);
    assert_int_equal(rig_match(r, 66, &found), MATCH_STRAY); /* from elsewhere */
    assert_false(handle_is(found));
    c.branch = "z9hG4bKd";
    assert_int_equal(arrives(r, c, &found), MATCH_STRAY);
    trans_drop(r->t, h);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void ack_without_invite(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 16, 512);
    struct handle found;
    assert_int_equal(
        arrives(r, (struct rig_request){.method = "ACK", .branch = "z9hG4bKq", .to_tag = "x"},
                &found),
        MATCH_ACK_2XX);
    assert_false(handle_is(found));
    assert_false(handle_is(rig_server(r, false, 1))); /* an ACK opens nothing */
    assert_true(rig_clean(r));
    rig_free(r);
}

/* An ACK before any answer has no place. */
static void early_ack(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 16, 512);
    struct handle found,
        h = open_one(r, (struct rig_request){.method = "INVITE", .branch = "z9hG4bKe"});
    assert_int_equal(
        arrives(r, (struct rig_request){.method = "ACK", .branch = "z9hG4bKe"}, &found),
        MATCH_ABSORBED);
    assert_int_equal(counters_get(&r->counters, REASON_sip_event_order), 1);
    assert_int_equal(r->n_told, 0);
    trans_drop(r->t, h);
    rig_free(r);
}

static void merged(void **state)
{
    (void)state;
    struct rig *r = rig_new(8, 16, 512);
    struct handle found;
    struct rig_request q = {.method = "INVITE", .branch = "z9hG4bK1"}, v;
    struct handle h = open_one(r, q);
    v = q, v.branch = "z9hG4bK2";
    assert_int_equal(arrives(r, v, &found), MATCH_MERGED);
    v.host = "192.0.2.77";
    assert_int_equal(arrives(r, v, &found), MATCH_MERGED);
    v.to_tag = "d"; /* inside a dialog it is not looked for */
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.branch = "z9hG4bK2", v.cseq = 2;
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.branch = "z9hG4bK2", v.call_id = "c2";
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    v = q, v.branch = "z9hG4bK2", v.from_tag = "a2";
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    trans_drop(r->t, h);
    v = q, v.branch = "z9hG4bK2"; /* the first has ended */
    assert_int_equal(arrives(r, v, &found), MATCH_NEW);
    assert_true(rig_clean(r));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_only_if_all_is),
        cmocka_unit_test(unknown_methods_differ),
        cmocka_unit_test(long_branches),
        cmocka_unit_test(long_branch_without_memory),
        cmocka_unit_test(hash_is_no_identity),
        cmocka_unit_test(rfc2543),
        cmocka_unit_test(cancel),
        cmocka_unit_test(ack_without_invite),
        cmocka_unit_test(early_ack),
        cmocka_unit_test(merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
