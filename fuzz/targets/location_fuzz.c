/* Another engine's location shard as a captured one may write it: the input is laid over a shard
 * with real bindings, in patches (u16 place, u8 length, bytes; the links and the header too), and
 * everything that reads shards reads it between the patches. Then its owner's successor attaches
 * to it, and everything is to work again. */
#include "base/cur.h"
#include "call/gates.h"
#include <stdlib.h>

#define CAP 16u
static struct location_shard *shard;
static const struct sipkey KEY = {1, 2};

static struct binding make(unsigned i)
{
    struct binding b = {.expires = {1000}, .instance = i % 3, .q = (uint16_t)(i * 100)};
    static const char *const users[] = {"alice@e", "bob@e"};
    struct str aor = str_c(users[i % 2]);
    b.aor_hash = location_hash(&KEY, aor);
    b.aor_len = (uint8_t)aor.n;
    memcpy(b.aor, aor.p, aor.n);
    b.contact_len = 7;
    memcpy(b.contact, "sip:a@", 6);
    b.contact[6] = (char)('a' + i);
    b.flow.proto = PROTO_TLS;
    b.flow.conn.gen = i + 1;
    return b;
}

static void sound(const struct binding *b)
{
    CHECK(location_sound(b) && b->aor_len <= LOCATION_AOR_MAX &&
          b->contact_len + b->path_len <= LOCATION_CONTACT_MAX);
}

static void read_all(struct location_view v)
{
    struct binding b[LOCATION_FLOWS], one;
    struct str aor = STR("alice@e");
    struct wall now = {0};
    for (uint32_t i = 0; i <= CAP; i++)
        if (location_slot(v, i, &one)) {
            CHECK(i < CAP);
            sound(&one);
        }
    size_t n = location_all(&v, 1, &KEY, aor, now, b, ARRAY_LEN(b));
    CHECK(n <= ARRAY_LEN(b));
    for (size_t i = 0; i < n; i++) {
        sound(&b[i]);
        CHECK(str_eq(str_of(b[i].aor, b[i].aor_len), aor) && b[i].expires.us > 0);
        CHECK(i == 0 || b[i].q <= b[i - 1].q);
    }
    CHECK(location_lookup(&v, 1, &KEY, aor, now, b, ARRAY_LEN(b)) <= n || n == 0);
    struct flow f = make(0).flow;
    if (location_other(&v, 1, &KEY, aor, now, &f, STR("sip:a@a"), &one))
        sound(&one);
    location_follow(&v, 1, &KEY, aor, now, STR("sip:a@a"), 0, &f);
    CHECK(f.proto <= PROTO_TLS && f.listener < POLICY_LISTENERS);
    CHECK(location_fresh(v) <= CAP);
    (void)location_moment(&v, 1, &KEY, aor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t bytes = location_bytes(CAP);
    struct cur c = cur_of(data, size);
    if (!shard)
        shard = calloc(1, bytes);
    memset(shard, 0, bytes);
    CHECK(location_attach(shard, CAP) == OK);
    for (unsigned i = 0; i < 8; i++) {
        struct binding b = make(i);
        CHECK(location_put(shard, &b) == OK);
    }
    struct location_view v = {shard, CAP};
    read_all(v);
    for (int turns = 0; turns < 64 && cur_left(&c) > 3; turns++) {
        size_t at = cur_u16(&c) % bytes;
        size_t n = cur_u8(&c);
        n = MIN(MIN(n, cur_left(&c)), bytes - at);
        memcpy((uint8_t *)shard + at, data + c.at, n);
        cur_skip(&c, n);
        read_all(v);
    }
    CHECK(location_attach(shard, CAP) == OK && shard->used <= CAP);
    struct binding b = make(0), gone;
    enum err e = location_put(shard, &b);
    CHECK(e == OK || (e == ERR_FULL && shard->used == CAP));
    CHECK(location_del(shard, &b) || e != OK);
    read_all(v);
    uint32_t cursor = 0, budget = 4 * CAP;
    while (location_sweep(shard, (struct wall){INT64_MAX}, &cursor, &budget, &gone))
        sound(&gone);
    CHECK(shard->used == 0);
    return 0;
}
