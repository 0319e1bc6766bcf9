#include "guard/ban.h"
#include "base/seq.h"
#include "guard/feed.h"

#define STEPS                                                                                      \
    64u /* links of a chain; with a keyed hash a full board has some 10 in its longest             \
         */
#define RETRIES 16

/* What is looked for: the part of a slot that names it. */
struct name {
    uint8_t scope, family, bits;
    uint8_t ip[16];
    uint64_t key;
};

size_t ban_bytes(uint32_t cap)
{
    return sizeof(struct ban_board) + (size_t)cap * (sizeof(struct ban_slot) + sizeof(uint32_t));
}

static uint32_t *head_at(struct ban_board *b, uint32_t cap, uint64_t hash)
{
    return (uint32_t *)(void *)&b->slot[cap] + (hash & (cap - 1));
}

static uint32_t head_of(const struct ban_board *b, uint32_t cap, uint64_t hash)
{
    const uint32_t *h = (const uint32_t *)(const void *)&b->slot[cap] + (hash & (cap - 1));
    return __atomic_load_n(h, __ATOMIC_ACQUIRE);
}

/* As few words as the name needs: most messages are looked up by one. */
static uint64_t name_hash(const struct ban_board *b, const struct name *n)
{
    uint64_t w[4] = {(uint64_t)n->scope | (uint64_t)n->family << 8 | (uint64_t)n->bits << 16};
    unsigned used = 1;
    if (n->family == ADDR_V4)
        w[0] |= (uint64_t)n->ip[0] << 32 | (uint64_t)n->ip[1] << 40 | (uint64_t)n->ip[2] << 48 |
                (uint64_t)n->ip[3] << 56;
    if (n->scope != BAN_SOURCE)
        w[used++] = n->key;
    if (n->family == ADDR_V6) {
        memcpy(&w[used], n->ip, sizeof n->ip);
        used += 2;
    }
    return siphash(&b->key, str_of((const char *)w, used * sizeof w[0]));
}

static bool name_is(const struct name *n, const struct ban_slot *s)
{
    return s->scope == n->scope && s->family == n->family && s->bits == n->bits &&
           s->key == n->key && memcmp(s->ip, n->ip, sizeof s->ip) == 0;
}

static bool by_net(unsigned scope)
{
    return scope == BAN_SOURCE || scope == BAN_PAIR;
}

static bool by_key(unsigned scope)
{
    return scope != BAN_SOURCE;
}

static void ip_head(uint8_t *ret, const uint8_t *ip, unsigned bits)
{
    memset(ret, 0, 16);
    memcpy(ret, ip, bits / 8);
    if (bits % 8)
        ret[bits / 8] = (uint8_t)(ip[bits / 8] & (0xff00u >> bits % 8));
}

static bool net_valid(const struct prefix *p)
{
    uint8_t head[16];
    unsigned most = p->a.family == ADDR_V4 ? 32 : p->a.family == ADDR_V6 ? 128 : 0;
    if (!most || p->bits > most || p->bits == 0 || p->a.port || p->a.pad)
        return false;
    ip_head(head, p->a.ip, p->bits);
    return memcmp(head, p->a.ip, sizeof head) == 0;
}

static bool text_valid(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] > 0x7e)
            return false;
    return true;
}

enum err ban_valid(const struct ban *b, size_t bytes)
{
    if (bytes != sizeof *b)
        return ERR_SYNTAX;
    bool enums = b->scope >= BAN_SOURCE && b->scope <= BAN_NUMBER && b->treat >= TREAT_WEIGH &&
                 b->treat < TREAT_COUNT && b->by <= BY_ADMIN && b->detector < DET_COUNT &&
                 b->reason < REASON_COUNT && b->feed < GUARD_FEEDS && b->dry <= 1 &&
                 b->forgeable <= 1;
    if (!enums || b->who_n > BAN_WHO || b->why_n > BAN_WHY || b->since.us < 0 || b->until.us < 0)
        return ERR_RANGE;
    if (b->treat == TREAT_WEIGH && b->scope != BAN_SOURCE)
        return ERR_RANGE;
    if ((by_net(b->scope) && !net_valid(&b->net)) || (by_key(b->scope) && b->key == 0))
        return ERR_RANGE;
    return text_valid(b->who, b->who_n) && text_valid(b->why, b->why_n) ? OK : ERR_RANGE;
}

static struct name name_of(const struct ban *x)
{
    struct name n = {.scope = x->scope, .key = by_key(x->scope) ? x->key : 0};
    if (!by_net(x->scope))
        return n;
    n.family = x->net.a.family;
    n.bits = x->net.bits;
    memcpy(n.ip, x->net.a.ip, n.family == ADDR_V4 ? 4 : sizeof n.ip);
    return n;
}

bool ban_same(const struct ban *a, const struct ban *b)
{
    struct name x = name_of(a), y = name_of(b);
    return x.scope == y.scope && x.family == y.family && x.bits == y.bits && x.key == y.key &&
           memcmp(x.ip, y.ip, sizeof x.ip) == 0;
}

/* -- writer -- */

void ban_init(struct ban_board *b, uint32_t cap)
{
    memset(b, 0, ban_bytes(cap));
    b->cap = cap;
}

/* Counts a name in (up) or out, and keeps what readers go by: set before the slot is there, taken
 * back after it went. */
static void count(struct ban_board *b, const struct name *n, bool up)
{
    uint32_t *all = &b->of_scope[n->scope], bit = 1u << n->scope;
    *all = up ? *all + 1 : *all - 1;
    __atomic_store_n(&b->parties, *all ? b->parties | bit : b->parties & ~bit, __ATOMIC_RELEASE);
    if (!by_net(n->scope))
        return;
    bool pair = n->scope == BAN_PAIR, v4 = n->family == ADDR_V4;
    struct ban_lengths *l = pair ? &b->pairs : &b->sources;
    uint32_t *of = v4 ? &b->length4[pair][n->bits] : &b->length6[pair][n->bits];
    uint64_t *word = v4 ? &l->v4 : &l->v6[n->bits / 64], one = UINT64_C(1) << n->bits % 64;
    *of = up ? *of + 1 : *of - 1;
    __atomic_store_n(word, *of ? *word | one : *word & ~one, __ATOMIC_RELEASE);
}

/* The 1-based slot of that name, 0 if there is none; *ret_link: what leads to it, or ends the
 * chain.
 */
static uint32_t find(struct ban_board *b, uint32_t cap, const struct name *n, uint32_t **ret_link,
                     unsigned *ret_steps)
{
    uint32_t *link = head_at(b, cap, name_hash(b, n));
    *ret_steps = 0;
    while (*link && *link <= cap && (*ret_steps)++ < STEPS) {
        struct ban_slot *s = &b->slot[*link - 1];
        if (name_is(n, s))
            break;
        link = &s->next;
    }
    *ret_link = link;
    return *ret_steps > STEPS || *link > cap ? 0 : *link;
}

static uint32_t slot_take(struct ban_board *b, uint32_t cap)
{
    uint32_t i = b->free_head;
    if (i && i <= cap)
        b->free_head = b->slot[i - 1].next;
    else
        i = b->fresh < cap ? ++b->fresh : 0;
    return i;
}

/* seq and next apart, which readers follow while it is written. */
static void slot_write(struct ban_slot *s, const struct name *n, const struct ban *x)
{
    s->scope = n->scope;
    s->family = n->family;
    s->bits = n->bits;
    s->key = n->key;
    memcpy(s->ip, n->ip, sizeof s->ip);
    s->treat = x->treat;
    s->weight = x->weight;
    s->reason = x->reason;
    s->detector = x->detector;
    s->forgeable = x->forgeable;
    s->dry = x->dry;
    s->until_us = x->until.us;
}

enum err ban_put(struct ban_board *b, uint32_t cap, const struct ban *x, uint32_t *ret_slot)
{
    uint32_t *link;
    unsigned steps;
    struct name n = name_of(x);
    if (n.scope < BAN_SOURCE || n.scope > BAN_NUMBER || (by_net(n.scope) && !net_valid(&x->net)))
        return ERR_RANGE;
    uint32_t i = find(b, cap, &n, &link, &steps);
    bool fresh = i == 0;
    if (fresh && steps >= STEPS)
        return ERR_FULL;
    if (fresh && (i = slot_take(b, cap)) == 0)
        return ERR_FULL;
    struct ban_slot *s = &b->slot[i - 1];
    if (fresh)
        count(b, &n, true);
    seq_write_begin(&s->seq);
    slot_write(s, &n, x);
    if (fresh)
        s->next = 0;
    seq_write_end(&s->seq);
    if (fresh) {
        __atomic_store_n(link, i, __ATOMIC_RELEASE); /* at the chain's end */
        b->used++;
    }
    *ret_slot = i - 1;
    return OK;
}

bool ban_find(const struct ban_board *b, uint32_t cap, const struct ban *x, uint32_t *ret_slot)
{
    struct name n = name_of(x);
    uint32_t i = head_of(b, cap, name_hash(b, &n));
    for (unsigned steps = 0; i && i <= cap && steps < STEPS; steps++, i = b->slot[i - 1].next) {
        if (!name_is(&n, &b->slot[i - 1]))
            continue;
        *ret_slot = i - 1;
        return true;
    }
    return false;
}

bool ban_del(struct ban_board *b, uint32_t cap, const struct ban *x)
{
    uint32_t *link;
    unsigned steps;
    struct name n = name_of(x);
    uint32_t i = find(b, cap, &n, &link, &steps);
    if (!i)
        return false;
    struct ban_slot *s = &b->slot[i - 1];
    __atomic_store_n(link, s->next, __ATOMIC_RELEASE);
    /* Who stands on the slot may be led astray from here on, and sees by this that he was. */
    __atomic_store_n(&b->changes, b->changes + 1, __ATOMIC_RELEASE);
    seq_write_begin(&s->seq);
    s->scope = 0;
    s->next = b->free_head;
    seq_write_end(&s->seq);
    b->free_head = i;
    b->used--;
    count(b, &n, false);
    return true;
}

/* -- readers -- */

/* A slot in which the writer is just now (or died) names nobody; what lies behind it does. */
static bool walk(const struct ban_board *b, uint32_t cap, const struct name *n, uint64_t hash,
                 struct ban_slot *ret_s, uint32_t *ret_slot)
{
    uint32_t i = head_of(b, cap, hash);
    for (unsigned steps = 0; i && i <= cap && steps < STEPS; steps++) {
        const struct ban_slot *at = &b->slot[i - 1];
        if (seq_read(&at->seq, ret_s, at, sizeof *ret_s) && name_is(n, ret_s)) {
            *ret_slot = i - 1;
            return true;
        }
        i = __atomic_load_n(&at->next, __ATOMIC_ACQUIRE);
    }
    return false;
}

static bool look(const struct ban_board *b, uint32_t cap, const struct name *n,
                 struct ban_slot *ret_s, uint32_t *ret_slot)
{
    uint64_t hash = name_hash(b, n);
    for (int i = 0; i < RETRIES; i++) {
        uint32_t before = __atomic_load_n(&b->changes, __ATOMIC_ACQUIRE);
        if (walk(b, cap, n, hash, ret_s, ret_slot))
            return true;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&b->changes, __ATOMIC_RELAXED) == before)
            return false;
    }
    return false;
}

/* Takes what stands under that name if it is in force and harder than *best. */
static bool harder(const struct ban_board *b, uint32_t cap, const struct name *n, struct wall now,
                   struct ban_view *best)
{
    struct ban_slot s;
    uint32_t slot;
    if (!look(b, cap, n, &s, &slot) || s.dry || (s.until_us && s.until_us <= now.us))
        return false;
    if (s.treat < TREAT_WEIGH || s.treat >= TREAT_COUNT || s.reason >= REASON_COUNT ||
        s.detector >= DET_COUNT || (best->scope && s.treat <= best->treat))
        return false;
    *best = (struct ban_view){slot, n->scope, s.treat, s.weight, s.detector, s.reason};
    return true;
}

static bool nets(const struct ban_board *b, uint32_t cap, struct name n, const struct addr *source,
                 struct wall now, struct ban_view *best)
{
    struct addr a = *source;
    const struct ban_lengths *l = n.scope == BAN_PAIR ? &b->pairs : &b->sources;
    bool found = false;
    addr_fold(&a);
    if (a.family != ADDR_V4 && a.family != ADDR_V6)
        return false;
    unsigned most = a.family == ADDR_V4 ? 32 : 128;
    n.family = a.family;
    for (unsigned w = 0; w <= most / 64; w++) {
        uint64_t bits = __atomic_load_n(most == 32 ? &l->v4 : &l->v6[w], __ATOMIC_ACQUIRE);
        for (; bits; bits &= bits - 1) {
            unsigned length = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (length > most)
                break;
            n.bits = (uint8_t)length;
            ip_head(n.ip, a.ip, length);
            found = harder(b, cap, &n, now, best) || found;
        }
    }
    return found;
}

bool ban_of_source(const struct ban_board *b, uint32_t cap, const struct addr *source,
                   struct wall now, struct ban_view *ret_v)
{
    struct ban_view v = {0};
    if (!b || !cap || !nets(b, cap, (struct name){.scope = BAN_SOURCE}, source, now, &v))
        return false;
    *ret_v = v;
    return true;
}

bool ban_of_party(const struct ban_board *b, uint32_t cap, const struct addr *source, uint64_t aor,
                  uint64_t device, uint64_t number, struct wall now, struct ban_view *ret_v)
{
    struct ban_view v = {0};
    if (!b || !cap)
        return false;
    uint32_t parties = __atomic_load_n(&b->parties, __ATOMIC_ACQUIRE);
    const uint64_t keys[] = {
        [BAN_PAIR] = aor, [BAN_AOR] = aor, [BAN_DEVICE] = device, [BAN_NUMBER] = number};
    bool found = false;
    for (unsigned scope = BAN_PAIR; scope <= BAN_NUMBER; scope++) {
        if (!keys[scope] || !(parties >> scope & 1))
            continue;
        struct name n = {.scope = (uint8_t)scope, .key = keys[scope]};
        found =
            (scope == BAN_PAIR ? nets(b, cap, n, source, now, &v) : harder(b, cap, &n, now, &v)) ||
            found;
    }
    if (found)
        *ret_v = v;
    return found;
}

/* -- policy -- */

bool ban_exempt(const struct guard_policy *p, const struct prefix *net)
{
    for (unsigned i = 0; i < MIN(p->n_exempt, GUARD_EXEMPT); i++)
        if (feed_overlap(&p->exempt[i], net))
            return true;
    return false;
}

uint32_t ban_seconds(const struct guard_policy *p, uint32_t times, bool forgeable)
{
    uint64_t s = p->ban_s, most = MAX(p->ban_max_s, p->ban_s);
    if (forgeable)
        return MAX(p->spoof_s, 1u);
    for (uint32_t i = 1; i < times && s < most; i++)
        s *= 2;
    return MAX((uint32_t)MIN(s, most), 1u);
}
