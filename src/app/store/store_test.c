#include "app/store/store_test.h"

static void have_not(const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in %s", part, text);
}

static void call_becomes_cdr(void **state)
{
    (void)state;
    open_store(true);
    struct fact v = verdict_of("c1", REASON_NONE), s = start_of(9, "c1"), e = end_of(9, "c1");
    put(&v);
    put(&s);
    (void)ask(CONTROL_OK, "{\"cmd\":\"explain\",\"call_id\":\"c1\"}");
    have("\"running\":[{\"engine\":1,\"session\":9");
    put(&e);
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions"), 1);
    assert_int_equal(number("SELECT count(*) FROM legs"), 2);
    assert_int_equal(number("SELECT count(*) FROM verdicts"),
                     0); /* accepted: its trace is in the session */
    assert_int_equal(
        number("SELECT packets FROM legs WHERE crypto='AEAD_AES_256_GCM' AND codec='PCMA/8000'"),
        150);
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"call_id\":\"c1\"}");
    have("\"trace\":\"source=pass route=pass\"");
    have("\"crypto\":\"AEAD_AES_256_GCM\"");
    have("\"user_agent\":\"Phone \\\"1\\\"\"");
    have("\"aborted\":false");
    have("\"truncated\":false");
    (void)ask(CONTROL_OK,
              "{\"cmd\":\"explain\",\"call_id_hex\":\"622d6331\"}"); /* b-c1: the callee's leg */
    have("\"verdicts\":[{\"time_us\":");
    have("\"running\":[]");
    (void)ask(CONTROL_NOT_FOUND, "{\"cmd\":\"explain\",\"call_id\":\"nope\"}");
    (void)ask(CONTROL_BAD_REQUEST, "{\"cmd\":\"explain\"}");
    (void)ask(CONTROL_BAD_REQUEST, "{\"cmd\":\"drop table\"}");
    done();
}

static void bills(void **state)
{
    (void)state;
    open_store(true);
    struct fact e = end_of(9, "c1"), within = end_of(10, "c2");
    struct fact_bill *b = &e.u.end.bill;
    b->used = b->priced = 1;
    b->kind = CLASS_MOBILE;
    b->country = 'D' << 8 | 'E';
    b->micro = 123456789012;
    b->seconds = 61;
    b->attest = 'B';
    b->verstat = REASON_stir_stale;
    b->device = 0xabc;
    memcpy(b->currency, "EUR", 4);
    TEXT_SET(b->e164, STR("+4915112345678"));
    TEXT_SET(b->trunk, STR("carrier"));
    put(&e);
    put(&within);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bills"), 1);
    assert_int_equal(number("SELECT micro FROM bills"), 123456789012);
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"after\":0}");
    have("\"to_e164\":\"+4915112345678\",\"class\":\"mobile\",\"country\":\"DE\"");
    have("\"seconds\":61,\"price_micro\":123456789012,\"currency\":\"EUR\"");
    have("\"attest\":\"B\",\"verstat\":\"stir_stale\"");
    have("\"device\":\"0000000000000abc\"");
    assert_true(strstr(text, "\"c1\"") < strstr(text, "\"c2\"")); /* oldest first */
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"after\":1}");
    have_not("\"c1\"");
    have("\"c2\"");
    (void)ask(CONTROL_BAD_REQUEST, "{\"cmd\":\"cdr\",\"after\":-1}");
    b->kind = CLASS_COUNT;
    assert_int_equal(fact_valid(&e, e.bytes), ERR_RANGE);
    done();
}

static void kept_as_long_as_said(void **state)
{
    (void)state;
    open_store(true);
    for (uint64_t i = 0; i < 30; i++) {
        struct fact e = end_of(i, "k");
        e.u.end.bill.used = 1;
        put(&e);
        later(3600 * 1000);
    }
    commit();
    later(61000);
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions"), 30); /* nothing was said: for ever */
    store.cdr_keep_s = 10 * 3600 + 1800;
    later(61000);
    commit();
    commit();
    int64_t left = number("SELECT count(*) FROM sessions");
    assert_in_range(left, 9, 11);
    assert_int_equal(number("SELECT count(*) FROM legs"), 2 * left);
    assert_int_equal(number("SELECT count(*) FROM bills"), left);
    later(INT64_C(1000) * 86400 * 100);
    commit();
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions"),
                     1); /* its number is not given again */
    done();
}

static void filters(void **state)
{
    (void)state;
    open_store(true);
    for (uint64_t i = 0; i < 30; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "f%llu", (unsigned long long)i);
        struct fact e = end_of(i, id);
        if (i == 3)
            TEXT_SET(e.u.end.user, STR("carol@example.com"));
        put(&e);
        later(1000);
    }
    commit();
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"last\":2}");
    have("\"call_id\":\"f29\"");
    have("\"call_id\":\"f28\"");
    have_not("\"call_id\":\"f27\"");
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"user\":\"carol@example.com\"}");
    have("\"call_id\":\"f3\"");
    have_not("\"call_id\":\"f4\"");
    char req[96];
    (void)snprintf(req, sizeof req, "{\"cmd\":\"cdr\",\"since_us\":%lld,\"last\":100}",
                   (long long)(now.wall.us - 3300000));
    (void)ask(CONTROL_OK, req);
    have("\"call_id\":\"f27\"");
    have_not("\"call_id\":\"f20\"");
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"user\":\"x' OR 1=1 --\"}");
    assert_string_equal(text, "{\"sessions\":[],\"truncated\":false}");
    done();
}

static void refusals(void **state)
{
    (void)state;
    open_store(true);
    struct fact first = verdict_of("r0", REASON_auth_required),
                bad = verdict_of("r1", REASON_auth_failed);
    TEXT_SET(bad.u.verdict.from, STR("sip:\xff\xfe<script>@example.com"));
    put(&first);
    put(&bad);
    commit();
    assert_int_equal(number("SELECT count(*) FROM verdicts"), 1); /* a first 401 is no news */
    (void)ask(CONTROL_OK, "{\"cmd\":\"explain\",\"call_id\":\"r0\"}");
    have("auth_required");
    (void)ask(CONTROL_OK, "{\"cmd\":\"events\"}");
    have("\"event\":\"request-refused\"");
    have("\"trace\":\"source=pass identity=refuse:auth_failed\"");
    have("\\u00ff");
    /* After a restart only the database knows. */
    done();
    open_store(false);
    (void)ask(CONTROL_OK, "{\"cmd\":\"explain\",\"call_id\":\"r1\"}");
    have("\"from\":\"sip:?\?<script>@example.com\"");
    have("\"reason\":\"auth_failed\"");
    (void)ask(CONTROL_NOT_FOUND, "{\"cmd\":\"explain\",\"call_id\":\"r0\"}");
    done();
}

static void flood_is_summed_up(void **state)
{
    (void)state;
    open_store(true);
    struct fact bad = verdict_of("flood", REASON_zone_unknown_source);
    for (unsigned i = 0; i < STORE_REFUSALS_S + 500; i++)
        put(&bad);
    later(1000);
    commit();
    assert_int_equal(number("SELECT count(*) FROM verdicts"), STORE_REFUSALS_S);
    (void)ask(CONTROL_OK, "{\"cmd\":\"events\",\"last\":1}");
    have("\"event\":\"refusals-summed\",\"times\":500,\"reasons\":{\"zone_unknown_source\":500}");
    assert_int_equal(store.n.refusals_skipped, 500);
    done();
}

static void hostile_records_are_counted(void **state)
{
    (void)state;
    open_store(true);
    struct fact e = end_of(1, "x");
    store_fact(&store, &e, e.bytes - 1u, now);
    store_fact(&store, &e, 3, now);
    e.u.end.n_legs = 3;
    put(&e);
    e.u.end.n_legs = 2;
    e.u.end.leg[1].call_id.n = 255;
    put(&e);
    assert_int_equal(store.n.bad, 4);
    assert_int_equal(store.n.sessions, 0);
    e = end_of(1, "x");
    e.u.end.leg[0].stream[0].suite = 200; /* numbers that no enum has */
    e.u.end.leg[0].proto = 77;
    memset(e.u.end.leg[0].stream[0].codec, 'c', 24);
    e.u.end.trace.gate[0].reason = 60000;
    e.u.end.trace.gate[1].verdict = 99;
    put(&e);
    struct fact p = fact_of(FACT_PROCESS), g = fact_of(FACT_REGISTERED),
                d = fact_of(FACT_PEER_STATE), r = fact_of(FACT_REFUSED);
    p.engine = UINT8_MAX;
    put(&p);
    put(&g);
    put(&d);
    r.reason = REASON_tls_handshake;
    put(&r);
    commit();
    assert_int_equal(store.n.sessions, 1);
    done();
}

/* -- bindings -- */

static void bind_phone(struct location_shard *shard, const char *aor, const char *contact,
                       int64_t for_s, uint32_t cseq)
{
    struct binding b = {
        .expires = {now.wall.us + for_s * 1000000}, .cseq = cseq, .q = 1000, .flags = BINDING_NAT};
    b.aor_hash = location_hash(&KEY, str_c(aor));
    b.aor_len = (uint8_t)strlen(aor);
    b.contact_len = (uint8_t)strlen(contact);
    memcpy(b.aor, aor, b.aor_len);
    memcpy(b.contact, contact, b.contact_len);
    b.flow.proto = PROTO_TLS;
    b.flow.listener = 2;
    assert_ok(addr_parse(STR("192.0.2.1:40000"), &b.flow.peer));
    assert_ok(location_put(shard, &b));
}

static unsigned restored_n;
static struct binding restored[8];
static bool keep(void *ctx, const struct binding *b)
{
    (void)ctx;
    assert_true(restored_n < ARRAY_LEN(restored));
    restored[restored_n++] = *b;
    return true;
}

static void bindings_survive(void **state)
{
    enum { CAP = 64 };
    (void)state;
    struct location_shard *shard = calloc(1, location_bytes(CAP));
    assert_ok(location_attach(shard, CAP));
    open_store(true);
    assert_ok(store_watch(&store, 0, shard, CAP));
    bind_phone(shard, "alice@example.com", "sip:a@192.0.2.1", 3600, 1);
    bind_phone(shard, "bob@example.com", "sip:b@192.0.2.2", 3600, 1);
    bind_phone(shard, "carol@example.com", "sip:c@192.0.2.3", 2, 1);
    store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings"), 3);
    uint64_t written = store.n.bindings_written;
    store_bindings(&store, now);
    assert_int_equal(store.n.bindings_written, written); /* nothing new, nothing written */
    /* A batch that the database takes back (disk full) is written again. */
    bind_phone(shard, "dora@example.com", "sip:d@192.0.2.4", 2, 1);
    store_bindings(&store, now);
    const char *why = "";
    assert_int_equal(sqlite3_exec(store.db.h, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_false(store_commit(&store, now, &why));
    assert_int_equal(number("SELECT count(*) FROM bindings"), 3);
    for (int i = 0; i < 8; i++)
        store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings"), 4);
    bind_phone(shard, "alice@example.com", "sip:a@192.0.2.1", 7200, 2);
    struct binding gone = {
        .aor_hash = location_hash(&KEY, STR("bob@example.com")), .aor_len = 15, .contact_len = 15};
    memcpy(gone.aor, "bob@example.com", 15);
    memcpy(gone.contact, "sip:b@192.0.2.2", 15);
    assert_true(location_del(shard, &gone));
    store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings"), 3);
    (void)ask(CONTROL_OK, "{\"cmd\":\"bindings\",\"aor\":\"alice\"}");
    have("\"aor\":\"alice@example.com\",\"contact\":\"sip:a@192.0.2.1\"");
    have("\"shown\":1,\"total\":1");
    done();
    later(5000); /* carol's has run out meanwhile */
    open_store(true);
    restored_n = 0;
    assert_ok(store_restore(&store, now, keep, NULL));
    assert_int_equal(restored_n, 1);
    assert_int_equal(restored[0].cseq, 2);
    assert_int_equal(restored[0].flags, BINDING_NAT | BINDING_RESTORED);
    assert_int_equal(restored[0].aor_hash, location_hash(&KEY, STR("alice@example.com")));
    assert_int_equal(restored[0].flow.listener, 2);
    assert_int_equal(restored[0].flow.peer.port, 40000);
    /* Given back to the board, it is the same row again. */
    memset(shard, 0, location_bytes(CAP));
    assert_ok(location_attach(shard, CAP));
    assert_ok(location_put(shard, &restored[0]));
    assert_ok(store_watch(&store, 0, shard, CAP));
    store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings WHERE aor='alice@example.com'"), 1);
    done();
    free(shard);
}

/* What a captured engine writes of a user who is not its own neither comes into the database nor
 * takes the place of what stands there, which goes by user and Contact. */
static void bindings_of_others_users(void **state)
{
    enum { CAP = 8 };
    (void)state;
    struct location_shard *shard[2];
    unsigned home = (unsigned)(siphash(&KEY, STR("alice@example.com")) % 2);
    for (int i = 0; i < 2; i++) {
        shard[i] = calloc(1, location_bytes(CAP));
        assert_ok(location_attach(shard[i], CAP));
    }
    open_store(true);
    store.engines = 2;
    for (uint8_t i = 0; i < 2; i++)
        assert_ok(store_watch(&store, i, shard[i], CAP));
    bind_phone(shard[home], "alice@example.com", "sip:a@192.0.2.1", 3600, 1);
    bind_phone(shard[!home], "alice@example.com", "sip:a@192.0.2.1", 3600, 7);
    bind_phone(shard[!home], "alice@example.com", "sip:a@192.0.2.66", 3600, 8);
    /* And one whose hash is not that of its name. */
    struct binding b = {
        .aor_hash = 5, .aor_len = 1, .contact_len = 5, .expires = {now.wall.us + 3600 * 1000000ll}};
    memcpy(b.aor, "x", 1);
    memcpy(b.contact, "sip:x", 5);
    assert_ok(location_put(shard[home], &b));
    store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings"), 1);
    assert_int_equal(number("SELECT cseq FROM bindings"), 1);
    done();
    free(shard[0]);
    free(shard[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(call_becomes_cdr),
        T(bills),
        T(kept_as_long_as_said),
        T(filters),
        T(refusals),
        T(flood_is_summed_up),
        T(hostile_records_are_counted),
        T(bindings_survive),
        T(bindings_of_others_users),
    };
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
