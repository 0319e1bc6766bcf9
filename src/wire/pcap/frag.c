#include "wire/pcap/frag.h"

static void begin(struct frag_slot *s, const struct frame *f, struct instant now)
{
    s->used = true;
    s->proto = f->proto;
    s->id = f->frag_id;
    s->have = s->total = 0;
    s->src = f->src;
    s->dst = f->dst;
    s->first_us = now.us;
    memset(s->seen, 0, sizeof s->seen);
}

static struct frag_slot *slot_of(struct frags *fs, const struct frame *f, struct instant now)
{
    struct frag_slot *best = &fs->slot[0];
    for (unsigned i = 0; i < FRAG_SLOTS; i++) {
        struct frag_slot *s = &fs->slot[i];
        if (s->used && now.us - s->first_us > FRAG_WAIT_US) {
            s->used = false;
            fs->late++;
        }
        if (s->used && s->id == f->frag_id && s->proto == f->proto &&
            addr_eq_ip(&s->src, &f->src) && addr_eq_ip(&s->dst, &f->dst))
            return s;
        if (best->used && (!s->used || s->first_us < best->first_us))
            best = s;
    }
    fs->evicted += best->used;
    begin(best, f, now);
    return best;
}

/* false: it overlaps what is here. */
static bool mark(struct frag_slot *s, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++)
        if (s->seen[i >> 3] & (1u << (i & 7)))
            return false;
    for (uint32_t i = first; i < first + n; i++)
        s->seen[i >> 3] |= (uint8_t)(1u << (i & 7));
    return true;
}

static bool twice(const struct frag_slot *s, const struct frame *f)
{
    uint32_t first = f->frag_off / 8, n = (f->len + 7) / 8;
    for (uint32_t i = first; i < first + n; i++)
        if (!(s->seen[i >> 3] & (1u << (i & 7))))
            return false;
    return memcmp(s->data + f->frag_off, f->data, f->len) == 0;
}

bool frag_push(struct frags *fs, struct frame *f, struct instant now)
{
    uint32_t end = f->frag_off + f->len;
    if (f->len == 0 || end > UINT16_MAX || (f->frag_more && f->len % 8)) {
        fs->wrong++;
        return false;
    }
    struct frag_slot *s = slot_of(fs, f, now);
    if (twice(s, f)) /* a capture on two interfaces shows a packet twice */
        return false;
    bool past = s->total && end > s->total, second = !f->frag_more && s->total && end != s->total;
    if (past || second || !mark(s, f->frag_off / 8, (f->len + 7) / 8)) {
        s->used = false;
        fs->overlapping++;
        return false;
    }
    memcpy(s->data + f->frag_off, f->data, f->len);
    s->have += f->len;
    if (!f->frag_more)
        s->total = end;
    if (s->total && s->have > s->total) { /* pieces behind what is now known to be the end */
        s->used = false;
        fs->overlapping++;
        return false;
    }
    if (!s->total || s->have < s->total)
        return false;
    s->used = false;
    fs->whole++;
    f->src = s->src;
    f->dst = s->dst;
    f->cut = false;
    frame_transport(f, s->data, s->total);
    return true;
}
