#include "wire/pcap/tcp.h"

#define HEAD_BYTES ((sizeof(struct tcp_table) + 63) & ~(size_t)63)

size_t tcp_bytes(void)
{
    return HEAD_BYTES + map_bytes(TCP_FLOWS) + (size_t)TCP_FLOWS * TCP_WINDOW;
}

struct tcp_table *tcp_init(void *mem, const struct sipkey *key)
{
    struct tcp_table *t = mem;
    t->key = *key;
    map_init(&t->index, (uint8_t *)mem + HEAD_BYTES, TCP_FLOWS);
    uint8_t *data = (uint8_t *)mem + HEAD_BYTES + map_bytes(TCP_FLOWS);
    for (size_t i = 0; i < TCP_FLOWS; i++)
        t->flow[i].data = data + i * TCP_WINDOW;
    return t;
}

/* "SIP/2.0 " or a known method and a space; other methods end in " SIP/2.0" of their line. */
bool sip_looks(struct str s)
{
    struct str line = str_head(s, 512), word;
    if (str_istarts(line, STR("SIP/")))
        return true;
    if (line.n < 4 || !((line.p[0] | 32) >= 'a' && (line.p[0] | 32) <= 'z'))
        return false;
    line = str_head(line, str_find(line, '\n'));
    str_cut(line, ' ', &word);
    if (word.n == line.n || word.n > 64)
        return false;
    return sip_method_id(word) != SIP_OTHER || str_search(line, STR(" SIP/")) < line.n;
}

static uint64_t flow_hash(const struct tcp_table *t, const struct frame *f)
{
    return addr_hash(&t->key, &f->src) * 3 ^ addr_hash(&t->key, &f->dst);
}

static struct tcp_flow *find(struct tcp_table *t, const struct frame *f, uint64_t hash)
{
    uint32_t it = 0, v;
    while ((v = map_find(&t->index, hash, &it)) != 0) {
        struct tcp_flow *w = &t->flow[v - 1];
        if (addr_eq(&w->src, &f->src) && addr_eq(&w->dst, &f->dst))
            return w;
    }
    return NULL;
}

static void restart(struct tcp_flow *w, uint32_t seq)
{
    w->base = seq;
    w->n = w->taken = w->n_ranges = 0;
    w->torn = false;
    w->carries = TCP_UNKNOWN;
    w->scan = (struct sip_frame_scan){0};
}

/* Directions that carried SIP since the hand last came by are passed over, so that connections
 * without end do not push them out; but not without end, as the cost of a packet is bounded. */
#define SECOND_CHANCES 32u
static struct tcp_flow *flow_new(struct tcp_table *t, const struct frame *f, uint64_t hash)
{
    struct tcp_flow *w = &t->flow[t->hand];
    for (unsigned i = 0; i < SECOND_CHANCES && w->used && w->touched; i++) {
        w->touched = false;
        t->hand = (t->hand + 1) % TCP_FLOWS;
        w = &t->flow[t->hand];
    }
    t->hand = (t->hand + 1) % TCP_FLOWS;
    if (w->used) {
        t->evicted++;
        (void)map_del(&t->index, w->hash, (uint32_t)(w - t->flow) + 1);
    }
    w->used = map_put(&t->index, hash, (uint32_t)(w - t->flow) + 1) == OK;
    w->hash = hash;
    w->src = f->src;
    w->dst = f->dst;
    restart(w, f->tcp_seq);
    return w->used ? w : NULL;
}

static void drop_front(struct tcp_flow *w, uint32_t k)
{
    uint32_t last = w->n_ranges ? w->ranges[w->n_ranges - 1].to : w->n;
    memmove(w->data, w->data + k, last - k);
    w->base += k;
    w->taken = 0;
    w->n -= MIN(k, w->n);
    for (unsigned i = 0; i < w->n_ranges; i++) {
        w->ranges[i].from -= k;
        w->ranges[i].to -= k;
    }
}

/* Ranges that now touch what is in order become part of it. */
static void absorb(struct tcp_flow *w)
{
    unsigned i = 0;
    while (i < w->n_ranges && w->ranges[i].from <= w->n) {
        w->n = MAX(w->n, w->ranges[i].to);
        i++;
    }
    w->n_ranges = (uint8_t)(w->n_ranges - i);
    memmove(w->ranges, w->ranges + i, w->n_ranges * sizeof w->ranges[0]);
}

/* What is missing will not come: go on behind it, at the next start line. */
static void skip_hole(struct tcp_table *t, struct tcp_flow *w)
{
    t->holes++;
    if (w->n_ranges == 0)
        return;
    uint32_t from = w->ranges[0].from;
    w->n = from; /* the hole's bytes go with the rest of the message that it tore */
    drop_front(w, from);
    w->n = 0;
    absorb(w);
    w->torn = true;
    w->scan = (struct sip_frame_scan){0};
}

/* false: no room among the ranges. */
static bool insert(struct tcp_flow *w, uint32_t from, uint32_t to)
{
    unsigned i = 0, k;
    while (i < w->n_ranges && w->ranges[i].to < from)
        i++;
    for (k = i; k < w->n_ranges && w->ranges[k].from <= to; k++) {
        from = MIN(from, w->ranges[k].from);
        to = MAX(to, w->ranges[k].to);
    }
    if (i == k && w->n_ranges == TCP_RANGES)
        return false;
    unsigned tail = w->n_ranges - k;
    memmove(&w->ranges[i + 1], &w->ranges[k], tail * sizeof w->ranges[0]);
    w->ranges[i] = (struct tcp_range){from, to};
    w->n_ranges = (uint8_t)(i + 1 + tail);
    return true;
}

#define BEHIND_MAX (1 << 20)
/* Puts a segment in its place; bytes that are here already stay as they are. */
static void place(struct tcp_table *t, struct tcp_flow *w, const struct frame *f, uint32_t seq,
                  struct instant now)
{
    const uint8_t *p = f->data;
    uint32_t len = f->len;
    int32_t off = (int32_t)(seq - w->base);
    if (off < -BEHIND_MAX) { /* another connection of the same ports, whose SYN is not here */
        restart(w, seq);
        off = 0;
    }
    if (off < 0) {
        uint32_t old = MIN((uint32_t) - (int64_t)off, len);
        p += old, len -= old, off = 0;
    }
    if ((uint32_t)off < w->n) {
        uint32_t old = MIN(w->n - (uint32_t)off, len);
        p += old, len -= old, off += (int32_t)old;
    }
    if (len == 0) {
        t->again++;
        return;
    }
    uint32_t from = (uint32_t)off;
    if (from > TCP_WINDOW || len > TCP_WINDOW - from) {
        /* Nobody takes what is here, or the capture lost much: begin anew at this segment. */
        t->holes++;
        uint8_t was = w->carries;
        restart(w, seq + (uint32_t)(p - f->data));
        w->carries = was;
        w->torn = true;
        from = 0;
        if (len > TCP_WINDOW)
            return;
    }
    if (from > w->n) {
        t->reordered++;
        if (w->n_ranges == 0)
            w->hole_us = now.us;
        if (!insert(w, from, from + len)) {
            skip_hole(t, w);
            place(t, w, f, seq, now);
            return;
        }
    }
    memcpy(w->data + from, p, len);
    if (from == w->n) {
        w->n += len;
        absorb(w);
    }
}

/* Bytes in order decide once what the direction carries. */
static void judge(struct tcp_flow *w)
{
    uint32_t i = 0;
    while (i < w->n && (w->data[i] == '\r' || w->data[i] == '\n'))
        i++;
    if (w->carries != TCP_UNKNOWN || w->n - i < 16)
        return;
    struct str s = str_of((const char *)w->data + i, w->n - i);
    w->carries = sip_looks(s) ? TCP_SIP : TCP_OTHER;
}

struct tcp_flow *tcp_push(struct tcp_table *t, const struct frame *f, struct instant now)
{
    bool syn = (f->tcp_flags & TCP_SYN) != 0;
    if (f->len == 0 && !syn)
        return NULL;
    uint64_t hash = flow_hash(t, f);
    struct tcp_flow *w = find(t, f, hash);
    uint32_t seq = f->tcp_seq + (syn ? 1 : 0);
    if (!w) {
        w = flow_new(t, f, hash);
        if (!w)
            return NULL;
        w->base = seq;
    } else if (syn && seq != w->base) {
        restart(w, seq);
    }
    if (f->len == 0)
        return NULL;
    if (w->taken)
        drop_front(w, w->taken);
    if (w->carries == TCP_OTHER) { /* a start line in the middle shows that the beginning misled */
        if (!sip_looks(str_of((const char *)f->data, f->len)))
            return NULL;
        restart(w, seq);
    }
    place(t, w, f, seq, now);
    if (w->n_ranges && now.us - w->hole_us > TCP_HOLE_US) {
        skip_hole(t, w);
        w->hole_us = now.us;
    }
    judge(w);
    w->touched = w->carries == TCP_SIP;
    return w->touched ? w : NULL;
}

/* Behind a hole: passes by all before the next start line at the beginning of a line. */
static bool mend(struct tcp_flow *w)
{
    struct str rest = str_of((const char *)w->data + w->taken, w->n - w->taken);
    while (rest.n && !sip_looks(rest))
        rest = str_skip(rest, str_find(rest, '\n') + 1);
    w->taken = w->n - (uint32_t)rest.n;
    w->torn = rest.n == 0;
    return !w->torn;
}

bool tcp_next(struct tcp_flow *w, struct str *ret_msg, enum reason *ret_why)
{
    *ret_why = REASON_NONE;
    while (w->taken < w->n) {
        if (w->torn && !mend(w))
            return false;
        struct str rest = str_of((const char *)w->data + w->taken, w->n - w->taken);
        struct sip_frame f = sip_frame_next(&w->scan, rest, SIP_MSG_MAX);
        if (f.kind == FRAME_MORE)
            return false;
        w->scan = (struct sip_frame_scan){0};
        if (f.kind == FRAME_BAD) {
            *ret_msg = rest;
            *ret_why = f.reason;
            w->torn = true;
            w->taken = w->n;
            return true;
        }
        w->taken += f.bytes;
        if (f.kind != FRAME_MESSAGE)
            continue;
        *ret_msg = str_head(rest, f.bytes);
        return true;
    }
    return false;
}
