/* The ban board under any order of bans and releases, against a plain list that says what stands;
 * and, from the first byte with its high bit on, under any bytes written over it: readers come back
 * and tell nothing outside of its bounds. */
#include "base/cc.h"
#include "guard/ban.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAP   32u
#define NAMES 64u
static struct ban_board *board;
static struct ban_model {
    bool there;
    struct ban b;
} model[NAMES];
static const struct wall NOW = {1000};

/* The i-th name: sources in nested prefixes, pairs, AORs, devices, numbers. */
static struct ban name(unsigned i)
{
    static const uint8_t BITS4[] = {8, 16, 24, 25, 31, 32}, BITS6[] = {16, 48, 64, 65, 127, 128};
    struct ban b = {.by = BY_ADMIN, .times = 1, .treat = TREAT_BAN};
    unsigned k = i % 6;
    b.scope = (uint8_t)(i < 24 ? BAN_SOURCE : i < 40 ? BAN_PAIR : BAN_AOR + i % 3);
    if (b.scope != BAN_SOURCE)
        b.key = b.scope == BAN_PAIR ? 1 + i / 8 : 1 + i;
    if (b.scope > BAN_PAIR)
        return b;
    bool six = i / 6 % 2;
    b.net.a.family = six ? ADDR_V6 : ADDR_V4;
    b.net.bits = six ? BITS6[k] : BITS4[k];
    for (unsigned bit = 0; bit < b.net.bits; bit++)
        if (bit % 7 == 0 || bit % (3 + i / 12) == 0)
            b.net.a.ip[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    return b;
}

static bool in_force(const struct ban_model *m)
{
    return m->there && !m->b.dry && (!m->b.until.us || m->b.until.us > NOW.us);
}

/* What a reader must be told: the hardest that fits, from the list alone. */
static int expected(const struct ban *who, bool party)
{
    int best = -1;
    for (unsigned i = 0; i < NAMES; i++) {
        const struct ban *b = &model[i].b;
        if (!in_force(&model[i]) || (b->scope == BAN_SOURCE) == party)
            continue;
        bool fits = b->scope <= BAN_PAIR ? prefix_has(&b->net, &who->net.a) : true;
        if (b->scope > BAN_SOURCE)
            fits = fits && b->key == who->key;
        if (fits && b->treat > best)
            best = b->treat;
    }
    return best;
}

static void look(const struct ban *who)
{
    struct ban_view v;
    uint32_t slot;
    int best = expected(who, false);
    bool found = ban_of_source(board, CAP, &who->net.a, NOW, &v);
    CHECK(found == (best >= 0) && (!found || (v.treat == best && v.slot < CAP)));
    best = expected(who, true);
    found = ban_of_party(board, CAP, &who->net.a, who->key, who->key, who->key, NOW, &v);
    CHECK(found == (best >= 0) && (!found || (v.treat == best && v.slot < CAP)));
    for (unsigned i = 0; i < NAMES; i += 7) {
        struct ban b = name(i);
        CHECK(ban_find(board, CAP, &b, &slot) == model[i].there);
    }
}

static void act(uint8_t what, uint8_t arg, unsigned *n)
{
    unsigned i = arg % NAMES;
    struct ban b = name(i);
    uint32_t slot;
    b.treat = (uint8_t)(b.scope == BAN_SOURCE
                            ? TREAT_WEIGH + what / 4 % (TREAT_COUNT - TREAT_WEIGH)
                            : TREAT_CHALLENGE + what / 4 % (TREAT_COUNT - TREAT_CHALLENGE));
    b.until.us = what & 32 ? 0 : NOW.us - 1 + (what & 1 ? 2 : 0);
    b.dry = what >> 6 & 1;
    if (what % 3 == 0) {
        CHECK(ban_del(board, CAP, &b) == model[i].there);
        *n -= model[i].there;
        model[i].there = false;
        return;
    }
    CHECK(ban_valid(&b, sizeof b) == OK);
    enum err e = ban_put(board, CAP, &b, &slot);
    CHECK(e == (model[i].there || *n < CAP ? OK : ERR_FULL));
    if (e != OK)
        return;
    *n += !model[i].there;
    model[i] = (struct ban_model){true, b};
}

static void asked(const uint8_t *data, size_t size)
{
    struct ban b;
    if (size < sizeof b)
        return;
    memcpy(&b, data, sizeof b);
    if (ban_valid(&b, sizeof b) == OK) {
        uint32_t slot;
        enum err e = ban_put(board, CAP, &b, &slot);
        CHECK(e == OK || e == ERR_FULL);
        CHECK(ban_same(&b, &b));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned n = 0;
    size_t i = 0;
    if (!board)
        board = aligned_alloc(16, (ban_bytes(CAP) + 15) & ~(size_t)15);
    CHECK(board);
    ban_init(board, CAP);
    memset(model, 0, sizeof model);
    board->key = (struct sipkey){size, 2};
    for (; i + 2 <= size && i < 512 && data[i] < 0x80; i += 2) {
        act(data[i], data[i + 1], &n);
        CHECK(board->used == n);
        struct ban who = name(data[i + 1] * 7u % NAMES);
        look(&who);
    }
    if (i >= size)
        return 0;
    asked(data + i + 1, size - i - 1);
    size_t bytes = ban_bytes(CAP);
    for (size_t k = 0; k < bytes && size - i > 0; k++)
        ((uint8_t *)board)[k] ^= data[i + k % (size - i)];
    for (unsigned k = 0; k < NAMES; k++) {
        struct ban_view v;
        struct ban who = name(k);
        if (ban_of_source(board, CAP, &who.net.a, NOW, &v))
            CHECK(v.slot < CAP && v.treat < TREAT_COUNT && v.detector < DET_COUNT &&
                  v.reason < REASON_COUNT);
        if (ban_of_party(board, CAP, &who.net.a, who.key, who.key, who.key, NOW, &v))
            CHECK(v.slot < CAP && v.treat < TREAT_COUNT);
    }
    return 0;
}
