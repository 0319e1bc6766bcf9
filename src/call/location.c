#include "call/location.h"
#include "base/seq.h"
#include "call/policy.h"

struct slot {
    uint32_t seq, next; /* next: 1-based slot in the chain or the free list */
    struct binding b;
};

static uint32_t buckets_for(uint32_t cap)
{
    uint32_t n = 16;
    while (n < cap)
        n *= 2;
    return n;
}
/* Bytes before the first slot, kept 8-aligned by the power of two. */
static size_t slots_at(uint32_t cap)
{
    return (size_t)buckets_for(cap) * sizeof(uint32_t);
}
size_t location_bytes(uint32_t cap)
{
    return sizeof(struct location_shard) + slots_at(cap) + (size_t)cap * sizeof(struct slot);
}
static uint32_t *bucket(struct location_shard *s, uint64_t hash)
{
    return &((uint32_t *)(void *)s->data)[hash & (s->buckets - 1)];
}
static struct slot *slot_at(struct location_shard *s, uint32_t one_based)
{
    CHECK(one_based && one_based <= s->cap);
    return &((struct slot *)(void *)(s->data + slots_at(s->cap)))[one_based - 1];
}
/* Readers: by their own cap alone. */
static const struct slot *view_slot(struct location_view v, uint32_t one_based)
{
    CHECK(one_based && one_based <= v.cap);
    return &((const struct slot *)(const void *)(v.s->data + slots_at(v.cap)))[one_based - 1];
}

uint64_t location_hash(const struct sipkey *k, struct str aor)
{
    uint64_t h = siphash(k, aor);
    return h ? h : 1;
}

/* No URI and no Path has blanks or control characters; a line break would end our Request-Line. */
static bool text_ok(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)p[i] <= ' ' || p[i] == 0x7f)
            return false;
    return true;
}

bool location_sound(const struct binding *b)
{
    size_t n = (size_t)b->contact_len + b->path_len;
    return b->aor_hash && b->aor_len && b->aor_len <= LOCATION_AOR_MAX && b->contact_len &&
           n <= LOCATION_CONTACT_MAX && b->q <= 1000 && b->flow.proto <= PROTO_TLS &&
           b->flow.listener < POLICY_LISTENERS &&
           (b->flow.peer.family == ADDR_NONE || b->flow.peer.family == ADDR_V4 ||
            b->flow.peer.family == ADDR_V6) &&
           text_ok(b->contact, n);
}

/* Links are only believed as far as they are written: after a crash everything is linked anew from
 * the slots that are whole. */
enum err location_attach(struct location_shard *s, uint32_t cap)
{
    if (cap == 0 || cap > LOCATION_CAP_MAX)
        return ERR_RANGE;
    if (s->cap != cap || s->buckets != buckets_for(cap)) { /* new, or the dead one went wild */
        s->used = s->free_head = s->fresh = s->version = 0;
        s->buckets = buckets_for(cap);
        s->cap = cap;
    }
    memset(s->data, 0, slots_at(cap));
    s->free_head = 0;
    s->used = 0;
    if (s->fresh > cap)
        s->fresh = cap;
    for (uint32_t i = 1; i <= s->fresh; i++) {
        struct slot *sl = slot_at(s, i);
        bool torn = sl->seq & 1;
        if (torn || !location_sound(&sl->b)) {
            sl->seq += torn;
            sl->b.aor_hash = 0;
            sl->next = s->free_head;
            s->free_head = i;
            continue;
        }
        uint32_t *head = bucket(s, sl->b.aor_hash);
        sl->next = *head;
        *head = i;
        s->used++;
    }
    __atomic_store_n(&s->epoch, s->epoch + 1, __ATOMIC_RELEASE);
    return OK;
}

static bool binding_is(const struct binding *b, uint64_t hash, struct str aor)
{
    return b->aor_hash == hash && str_eq(str_of(b->aor, b->aor_len), aor);
}

bool location_next(struct location_view v, uint64_t hash, struct str aor, struct wall now,
                   uint32_t *it, struct binding *ret_b)
{
    if (!v.s || !v.cap || *it > v.cap)
        return false;
    struct binding copy;
    uint32_t at;
    if (*it == 0)
        at = __atomic_load_n(
            &((const uint32_t *)(const void *)v.s->data)[hash & (buckets_for(v.cap) - 1)],
            __ATOMIC_ACQUIRE);
    else
        at = __atomic_load_n(&view_slot(v, *it)->next, __ATOMIC_ACQUIRE);
    for (uint32_t steps = 0; at && at <= v.cap && steps < 256; steps++) {
        const struct slot *sl = view_slot(v, at);
        uint32_t next = __atomic_load_n(&sl->next, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&sl->b.aor_hash, __ATOMIC_RELAXED) == hash &&
            seq_read(&sl->seq, &copy, &sl->b, sizeof copy) && location_sound(&copy) &&
            binding_is(&copy, hash, aor) && copy.expires.us > now.us) {
            *it = at;
            *ret_b = copy;
            return true;
        }
        at = next;
    }
    return false;
}

uint32_t location_epoch(struct location_view v)
{
    return v.s ? __atomic_load_n(&v.s->epoch, __ATOMIC_ACQUIRE) : 0;
}

uint32_t location_version(struct location_view v)
{
    return v.s ? __atomic_load_n(&v.s->version, __ATOMIC_ACQUIRE) : 0;
}

uint32_t location_fresh(struct location_view v)
{
    uint32_t fresh = v.s ? __atomic_load_n(&v.s->fresh, __ATOMIC_ACQUIRE) : 0;
    return MIN(fresh, v.cap);
}

bool location_same(const struct binding *a, const struct binding *b)
{
    if (a->instance || b->instance)
        return a->instance == b->instance;
    if (!str_eq(str_of(a->contact, a->contact_len), str_of(b->contact, b->contact_len)))
        return false;
    return !(a->flags & b->flags & BINDING_NAT) || a->call_id_hash == b->call_id_hash ||
           addr_eq_ip(&a->flow.peer, &b->flow.peer);
}

static bool same_key(const struct binding *have, const struct binding *b)
{
    return binding_is(have, b->aor_hash, str_of(b->aor, b->aor_len)) && location_same(have, b);
}

/* The link that points at the binding with b's key, or NULL. */
static uint32_t *find_link(struct location_shard *s, const struct binding *b)
{
    for (uint32_t *link = bucket(s, b->aor_hash); *link; link = &slot_at(s, *link)->next)
        if (same_key(&slot_at(s, *link)->b, b))
            return link;
    return NULL;
}

static void write_slot(struct location_shard *s, struct slot *sl, const struct binding *b)
{
    seq_write_begin(&sl->seq);
    sl->b = *b;
    sl->b.version = ++s->version;
    seq_write_end(&sl->seq);
}

static void touch(struct location_shard *s)
{
    __atomic_store_n(&s->epoch, s->epoch + 1, __ATOMIC_RELEASE);
}

enum err location_put(struct location_shard *s, const struct binding *b)
{
    if (!location_sound(b))
        return ERR_RANGE;
    uint32_t *link = find_link(s, b);
    if (link) {
        write_slot(s, slot_at(s, *link), b);
        return OK;
    }
    uint32_t i = s->free_head;
    if (i)
        s->free_head = slot_at(s, i)->next;
    else if (s->fresh < s->cap)
        __atomic_store_n(&s->fresh, i = s->fresh + 1, __ATOMIC_RELEASE);
    else
        return ERR_FULL;
    struct slot *sl = slot_at(s, i);
    write_slot(s, sl, b);
    uint32_t *head = bucket(s, b->aor_hash);
    __atomic_store_n(&sl->next, *head, __ATOMIC_RELEASE);
    __atomic_store_n(head, i, __ATOMIC_RELEASE);
    s->used++;
    touch(s);
    return OK;
}

static void unlink_slot(struct location_shard *s, uint32_t *link)
{
    uint32_t i = *link;
    struct slot *sl = slot_at(s, i);
    __atomic_store_n(link, sl->next, __ATOMIC_RELEASE);
    seq_write_begin(&sl->seq);
    sl->b.aor_hash = 0;
    sl->b.version = ++s->version;
    seq_write_end(&sl->seq);
    touch(s); /* first: a walk that stands on this slot is about to leave its chain */
    __atomic_store_n(&sl->next, s->free_head, __ATOMIC_RELEASE);
    s->free_head = i;
    s->used--;
}

bool location_del(struct location_shard *s, const struct binding *b)
{
    uint32_t *link = find_link(s, b);
    if (link)
        unlink_slot(s, link);
    return link != NULL;
}

bool location_sweep(struct location_shard *s, struct wall now, uint32_t *cursor, uint32_t *budget,
                    struct binding *ret_b)
{
    for (; *budget && s->fresh; --*budget) {
        *cursor = *cursor >= s->fresh ? 1 : *cursor + 1;
        struct slot *sl = slot_at(s, *cursor);
        if (!sl->b.aor_hash || sl->b.expires.us > now.us)
            continue;
        uint32_t *link = bucket(s, sl->b.aor_hash);
        while (*link && *link != *cursor)
            link = &slot_at(s, *link)->next;
        if (!EXPECT(*link != 0))
            continue;
        *ret_b = sl->b;
        unlink_slot(s, link);
        --*budget;
        return true;
    }
    return false;
}

bool location_slot(struct location_view v, uint32_t slot, struct binding *ret_b)
{
    /* A look at a slot never used yet would make the kernel give it a page. */
    if (slot >= location_fresh(v))
        return false;
    struct binding copy;
    const struct slot *sl = view_slot(v, slot + 1);
    if (!__atomic_load_n(&sl->b.aor_hash, __ATOMIC_RELAXED) ||
        !seq_read(&sl->seq, &copy, &sl->b, sizeof copy) || !location_sound(&copy))
        return false;
    *ret_b = copy;
    return true;
}
