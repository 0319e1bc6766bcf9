/* The same history through one engine and through four; what is kept over a restart; memory that
 * somebody else wrote. */
#include "base/rng.h"
#include "base/test.h"
#include "guard/fraud_int.h"
#include <stdlib.h>

#define ENGINES 4u
#define PEOPLE  40u
#define ROWS    1024u

static const struct sipkey KEY = {3, 4};

static uint32_t any(struct rng *r)
{
    return (uint32_t)rng_u64(r);
}

struct house {
    struct fraud *f[ENGINES];
    struct fraud_shard *shard[ENGINES];
    size_t bytes;
    uint8_t n;
    struct fraud_event late[64]; /* on their way to their home */
    uint8_t home[64], said[64];
    unsigned n_late, delay, locks;
};

static void house_make(struct house *h, uint8_t n)
{
    static struct fraud_policy p;
    fraud_policy_default(&p);
    memset(h, 0, sizeof *h);
    h->n = n;
    h->bytes = fraud_shard_bytes(ROWS);
    for (unsigned i = 0; i < n; i++) {
        h->shard[i] = calloc(1, h->bytes);
        fraud_shard_begin(h->shard[i], h->bytes);
    }
    for (uint8_t i = 0; i < n; i++) {
        const struct fraud_shard *v[ENGINES];
        for (unsigned k = 0; k < n; k++)
            v[k] = h->shard[k];
        h->f[i] = fraud_init(calloc(1, fraud_bytes(0)), 0, &p, &KEY);
        assert_int_equal(fraud_shards(h->f[i], h->shard[i], v, h->bytes, n, i), OK);
    }
}

static void house_free(struct house *h)
{
    for (unsigned i = 0; i < h->n; i++) {
        free(h->f[i]);
        free(h->shard[i]);
    }
}

static void deliver(struct house *h, unsigned keep)
{
    struct fraud_verdict v;
    while (h->n_late > keep) {
        fraud_step(h->f[h->home[0]], &h->late[0], &v);
        assert_false(v.elsewhere);
        h->locks += v.act == FRAUD_LOCK && h->said[0] != FRAUD_LOCK;
        h->n_late--;
        memmove(&h->late[0], &h->late[1], h->n_late * sizeof h->late[0]);
        memmove(&h->home[0], &h->home[1], h->n_late);
        memmove(&h->said[0], &h->said[1], h->n_late);
    }
}

static struct fraud_verdict tell(struct house *h, unsigned engine, const struct fraud_event *e)
{
    struct fraud_verdict v;
    fraud_step(h->f[engine % h->n], e, &v);
    if (v.elsewhere) {
        h->late[h->n_late] = *e;
        h->said[h->n_late] = v.act;
        h->home[h->n_late++] = v.home;
    }
    h->locks += v.act == FRAUD_LOCK;
    deliver(h, h->delay);
    return v;
}

struct world {
    struct house one, four;
    struct rng rng;
    uint64_t steps, differ;
};

static void both(struct world *w, const struct fraud_event *e, unsigned engine)
{
    struct fraud_verdict a = tell(&w->one, 0, e), b = tell(&w->four, engine, e);
    bool told = e->what == FRAUD_ATTEMPT || !b.elsewhere;
    w->steps++;
    w->differ += told && (a.act != b.act || a.signs != b.signs);
}

/* Who calls where: people with habits, some of whom one day call as a thief would. */
static void history(struct world *w, unsigned events)
{
    static const struct {
        const char *number;
        uint16_t country;
        uint8_t kind;
    } TO[] = {{"+4930123456", 0x4445, CLASS_NATIONAL},
              {"+33140123456", 0x4652, CLASS_INTERNATIONAL},
              {"+46812345678", 0x5345, CLASS_INTERNATIONAL},
              {"+39061234567", 0x4954, CLASS_INTERNATIONAL},
              {"+24740001", 0x4143, CLASS_INTERNATIONAL},
              {"+8823456789", 0, CLASS_SATELLITE},
              {"+23222123456", 0x534c, CLASS_INTERNATIONAL}};
    int64_t now = INT64_C(1700000000000000);
    for (unsigned i = 0; i < events; i++) {
        uint32_t who = any(&w->rng) % PEOPLE, engine = any(&w->rng);
        bool odd = i > events / 2 && who % 8 == 0;
        uint32_t to = odd ? 4 + any(&w->rng) % 3 : (who + any(&w->rng) % 2) % (who % 3 ? 2 : 4);
        struct fraud_event e = {.at = {now},
                                .identity = who + 1,
                                .micro = 1000,
                                .code = 200,
                                .country = TO[to].country,
                                .source_country = any(&w->rng) % 200 ? 0x4445 : 0x5345,
                                .kind = TO[to].kind};
        memcpy(e.number, TO[to].number, strlen(TO[to].number));
        both(w, &e, engine);
        e.what = FRAUD_ANSWERED;
        both(w, &e, engine);
        e.at.us += (e.seconds = any(&w->rng) % 900) * INT64_C(1000000);
        e.what = FRAUD_ENDED;
        e.micro = (int64_t)e.seconds * 9000;
        both(w, &e, engine);
        if (any(&w->rng) % 50 == 0) {
            e.what = FRAUD_INBOUND;
            both(w, &e, any(&w->rng));
        }
        now = e.at.us + INT64_C(60000000) * (1 + any(&w->rng) % 20); /* in the order of time */
    }
}

static void one_engine_and_four_say_the_same(void **st)
{
    (void)st;
    static struct world w;
    uint8_t seed[32] = {7};
    for (unsigned delay = 0; delay <= 8; delay += 8) {
        memset(&w, 0, sizeof w);
        house_make(&w.one, 1);
        house_make(&w.four, ENGINES);
        w.four.delay = delay;
        rng_init(&w.rng, seed);
        history(&w, 20000);
        assert_true(w.one.locks > 5);
        /* told at once: the same to the sign. Told events later: but for a few in a thousand */
        assert_true(delay ? w.differ * 200 <= w.steps : w.differ == 0);
        assert_in_range(w.four.locks, w.one.locks - w.one.locks / 10, w.one.locks * 11 / 10);
        house_free(&w.one);
        house_free(&w.four);
    }
}

/* Rows of four engines into three, as a restart with fewer would do. */
static void it_is_kept(void **st)
{
    (void)st;
    static struct world w;
    static struct house next;
    uint8_t seed[32] = {9};
    memset(&w, 0, sizeof w);
    house_make(&w.one, 1);
    house_make(&w.four, ENGINES);
    house_make(&next, 3);
    rng_init(&w.rng, seed);
    history(&w, 8000);
    uint8_t *rec = malloc(fraud_row_bytes()), *all = malloc(fraud_all_bytes());
    unsigned rows = 0;
    for (unsigned i = 0; i < ENGINES; i++) {
        uint32_t it = 0;
        fraud_all_get(w.four.shard[i], all);
        assert_int_equal(fraud_all_put(next.shard[i % 3], all), OK);
        for (; fraud_row_next(w.four.shard[i], w.four.bytes, &it, rec); rows++) {
            assert_int_equal(fraud_row_put(next.shard, next.bytes, 3, &KEY, rec), OK);
            assert_int_equal(fraud_row_put(next.shard, next.bytes, 3, &KEY, rec),
                             ERR_SYNTAX); /* not twice */
        }
    }
    assert_int_equal(rows, PEOPLE);
    assert_int_equal(fraud_began(next.f[0]), fraud_began(w.four.f[0]));
    for (uint16_t c = 'A' * 256 + 'A'; c < 'Z' * 256 + 'Z'; c++)
        assert_int_equal(fraud_known(next.f[0], c), fraud_known(w.one.f[0], c));
    /* and goes on as if nothing had happened */
    house_free(&w.four);
    w.four = next;
    w.differ = 0;
    history(&w, 500);
    assert_true(w.differ * 100 <= 1500);
    house_free(&w.one);
    house_free(&w.four);
    free(rec);
    free(all);
}

static void what_is_no_row_is_refused(void **st)
{
    (void)st;
    static struct house h;
    house_make(&h, 1);
    struct row r = {.key = 5, .seen_us = 1, .heat_us = 1}, bad;
    static struct of_all all, worse;
    assert_int_equal(fraud_row_put(h.shard, h.bytes, 1, &KEY, &r), OK);
#define BAD(field, v)                                                                              \
    bad = r;                                                                                       \
    bad.key = 6;                                                                                   \
    bad.field = v;                                                                                 \
    assert_int_equal(fraud_row_put(h.shard, h.bytes, 1, &KEY, &bad), ERR_SYNTAX)
    BAD(key, 0);
    BAD(seq, 1);
    BAD(open, 1);
    BAD(next_prefix, PREFIXES);
    BAD(next_bait, BAITS);
    BAD(seen_us, -1);
    BAD(heat_us, INT64_MAX);
    BAD(bait_us[BAITS - 1], INT64_MIN);
    BAD(heat, 4000u * 16 + 1);
    BAD(signs, 1u << SIGN_COUNT);
    BAD(act, FRAUD_LEVELS);
    BAD(level_told, 41);
#undef BAD
    assert_int_equal(fraud_all_put(h.shard[0], &all), OK);
    worse = all;
    worse.began_us = -1;
    assert_int_equal(fraud_all_put(h.shard[0], &worse), ERR_SYNTAX);
    worse = all;
    worse.prefix[3].prefix = 4;
    assert_int_equal(fraud_all_put(h.shard[0], &worse), ERR_SYNTAX);
    worse = all;
    worse.trunks[0] = (struct trunk_row){.key = 64, .fast = 65537};
    assert_int_equal(fraud_all_put(h.shard[0], &worse), ERR_SYNTAX);
    for (uint64_t i = 100, full = 0; !full; i++) {
        bad = r;
        bad.key = i;
        full = fraud_row_put(h.shard, h.bytes, 1, &KEY, &bad) == ERR_FULL;
        assert_true(i < 100 + 2 * ROWS);
    }
    house_free(&h);
}

static void a_shard_is_one_of_its_size(void **st)
{
    (void)st;
    static struct house h;
    house_make(&h, 1);
    assert_int_equal(fraud_shard_valid(h.shard[0], h.bytes), OK);
    assert_int_equal(fraud_shard_valid(h.shard[0], h.bytes - 8), ERR_SYNTAX);
    assert_int_equal(fraud_shard_valid(h.shard[0], fraud_shard_bytes(ROWS * 2)), ERR_SYNTAX);
    h.shard[0]->layout++;
    assert_int_equal(fraud_shard_valid(h.shard[0], h.bytes), ERR_SYNTAX);
    const struct fraud_shard *v[1] = {h.shard[0]};
    assert_int_equal(fraud_shards(h.f[0], h.shard[0], v, h.bytes, 1, 0), ERR_RANGE);
    house_free(&h);
}

/* An engine died while it wrote: half a row counts, nonsense goes, calls are over. */
static void it_is_adopted(void **st)
{
    (void)st;
    static struct house h;
    struct fraud_event e = {.at = {INT64_C(1700000000000000)},
                            .identity = 1,
                            .what = FRAUD_ANSWERED,
                            .kind = CLASS_NATIONAL,
                            .number = "+4930123456"};
    struct fraud_verdict v;
    house_make(&h, 1);
    for (e.identity = 1; e.identity <= 3; e.identity++)
        fraud_step(h.f[0], &e, &v);
    struct row *row[4];
    for (uint64_t i = 1; i <= 3; i++) {
        uint32_t at = fraud_find(h.shard[0], ROWS, fraud_hash(h.f[0], i), i);
        assert_int_not_equal(at, ROW_NONE);
        row[i] = &fraud_rows_at(h.shard[0], ROWS)[at];
        assert_int_equal(row[i]->open, 1);
    }
    row[1]->seq |= 1;
    row[2]->next_bait = 200;
    assert_int_equal(fraud_shard_adopt(h.shard[0]), 1);
    assert_int_equal(row[1]->seq & 1, 0);
    assert_int_equal(row[1]->open + row[3]->open, 0);
    assert_int_equal(fraud_find(h.shard[0], ROWS, fraud_hash(h.f[0], 2), 2), ROW_NONE);
    house_free(&h);
}

/* Another engine is in strange hands: whatever it writes into its shard, we judge on. */
static void nothing_of_others_is_believed(void **st)
{
    (void)st;
    static struct house h;
    struct rng rng;
    uint8_t seed[32] = {1};
    house_make(&h, 2);
    rng_init(&rng, seed);
    struct fraud_event e = {.at = {INT64_C(1700000000000000)},
                            .kind = CLASS_INTERNATIONAL,
                            .country = 0x4143,
                            .number = "+24740001"};
    for (unsigned i = 0; i < 20000; i++) {
        struct fraud_verdict v;
        char text[1024];
        struct out o = out_of(text, sizeof text);
        e.identity = 1 + any(&rng) % 64;
        uint8_t home = fraud_home(h.f[0], e.identity);
        fraud_step(h.f[home], &e, &v);
        uint8_t *mem = (uint8_t *)h.shard[1];
        for (unsigned k = 0; k < 64; k++)
            mem[16 + any(&rng) % (h.bytes - 16)] = (uint8_t)any(&rng);
        if (home != 1)
            continue;
        e.what = (uint8_t)(any(&rng) % 6);
        fraud_step(h.f[0], &e, &v);
        assert_true(v.elsewhere && v.act < FRAUD_LEVELS && !(v.signs >> SIGN_COUNT));
        fraud_explain_json(h.f[0], e.identity, e.at, &o);
        assert_false(o.full);
        (void)fraud_shard_adopt(h.shard[1]); /* and whoever takes it over can work with it */
        e.what = FRAUD_ATTEMPT;
        fraud_step(h.f[1], &e, &v);
    }
    house_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_engine_and_four_say_the_same),
        cmocka_unit_test(it_is_kept),
        cmocka_unit_test(what_is_no_row_is_refused),
        cmocka_unit_test(a_shard_is_one_of_its_size),
        cmocka_unit_test(it_is_adopted),
        cmocka_unit_test(nothing_of_others_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
