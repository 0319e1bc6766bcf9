/* Reads the file and hands each packet to where it belongs. */
#include "app/replay/state.h"
#include "io/rand.h"
#include <pcap/pcap.h>
#include <time.h>
#include <unistd.h>

#define BEHIND_US INT64_C(60000000) /* a clock that was set back, not packets out of order */
#define EPOCH_US  INT64_C(1000000000)
#define EVERY     65536u

const char *replay_error(const struct replay *r)
{
    return r->error;
}

static bool table(void *at, size_t n, size_t bytes)
{
    void *p = calloc(n, bytes);
    memcpy(at, &p, sizeof p);
    return p != NULL;
}

static bool index_new(struct map *m, uint32_t cap)
{
    void *mem = calloc(1, map_bytes(cap));
    if (mem)
        map_init(m, mem, cap);
    return mem != NULL;
}

static bool memory(struct replay *r)
{
    void *tcp = calloc(1, tcp_bytes());
    if (tcp)
        r->tcp = tcp_init(tcp, &r->key);
    r->text_mem = malloc(TEXT_BYTES);
    if (r->text_mem)
        arena_init_fixed(&r->text, r->text_mem, TEXT_BYTES);
    return tcp && r->text_mem && table(&r->frags, 1, sizeof *r->frags) &&
           table(&r->calls, CALLS, sizeof *r->calls) &&
           table(&r->streams, STREAMS, sizeof *r->streams) &&
           table(&r->announced, ANNOUNCED, sizeof *r->announced) &&
           table(&r->sources, SOURCES, sizeof *r->sources) &&
           table(&r->trans, TRANS, sizeof *r->trans) &&
           table(&r->nonces, NONCES, sizeof *r->nonces) &&
           table(&r->devices, NONCES, sizeof *r->devices) &&
           table(&r->diffs, DIFFS, sizeof *r->diffs) && index_new(&r->call_map, CALLS) &&
           index_new(&r->stream_map, STREAMS) && index_new(&r->announced_map, ANNOUNCED) &&
           index_new(&r->source_map, SOURCES) && index_new(&r->trans_map, TRANS);
}

struct replay *replay_new(const struct replay_opts *o)
{
    struct replay *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->o = *o;
    bool ok = rand_bytes(&r->key, sizeof r->key) == OK && memory(r);
    for (unsigned i = 0; ok && i < o->n; i++)
        ok = judge_init(r, i);
    if (ok)
        return r;
    replay_free(r);
    return NULL;
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < REPLAY_JUDGES; i++) {
        struct judge *j = &r->judges[i];
        free(j->guard);
        free(j->board);
        free(j->ban_hits);
        free(j->slot_owner);
        free(j->alerts);
        free(j->bans);
        free(j->rng);
        free(j->env.rate);
        free(j->env.rules_state);
    }
    void *all[] = {r->frags,
                   r->tcp,
                   r->text_mem,
                   r->calls,
                   r->streams,
                   r->sources,
                   r->announced,
                   r->trans,
                   r->nonces,
                   r->devices,
                   r->diffs,
                   r->call_map.slots,
                   r->stream_map.slots,
                   r->announced_map.slots,
                   r->source_map.slots,
                   r->trans_map.slots};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]);
    free(r);
}

struct str replay_text(struct replay *r, struct str s)
{
    size_t n = MIN(s.n, (size_t)TEXT_MAX);
    char *p = n ? arena_take(&r->text, n) : NULL;
    if (!p) {
        r->n.text_lost += n > 0;
        return STR("");
    }
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i];
    return str_of(p, n);
}

struct source *source_of(struct replay *r, const struct addr *a)
{
    struct addr s = guard_source(a);
    uint64_t hash = addr_hash(&r->key, &s);
    uint32_t it = 0, v;
    while ((v = map_find(&r->source_map, hash, &it)) != 0)
        if (addr_eq(&r->sources[v - 1].a, &s))
            return &r->sources[v - 1];
    if (r->n_sources == SOURCES || map_put(&r->source_map, hash, r->n_sources + 1) != OK) {
        r->n.sources_lost++;
        return NULL;
    }
    struct source *x = &r->sources[r->n_sources++];
    x->a = s;
    x->first_us = r->now.wall.us;
    return x;
}

static void message(struct replay *r, const struct frame *f, struct str bytes, bool stream)
{
    struct seen s = {.bytes = bytes,
                     .proto = stream ? PROTO_TCP : PROTO_UDP,
                     .stream = stream,
                     .cut = f->cut,
                     .src = f->src,
                     .dst = f->dst,
                     .source = source_of(r, &f->src)};
    if (s.source)
        s.source->messages++;
    sip_seen(r, &s);
}

static bool sip_port(const struct replay *r, uint16_t port)
{
    if (port == 5060 || port == 5061)
        return true;
    for (unsigned i = 0; i < r->o.n; i++) {
        const struct policy *p = r->o.by[i].policy;
        for (unsigned k = 0; k < p->n_listeners; k++)
            if (p->listeners[k].bind.port == port || p->listeners[k].advertise.port == port)
                return true;
    }
    return false;
}

static void datagram(struct replay *r, const struct frame *f)
{
    const uint8_t *p = f->data;
    size_t n = f->len;
    struct str s = str_of((const char *)p, n);
    if (LIKELY(n >= RTP_HEADER_BYTES && p[0] >> 6 == 2)) {
        media_packet(r, f);
    } else if (sip_looks(s)) {
        message(r, f, s, false);
    } else if (n >= 20 && p[0] < 4 && be32(p + 4) == 0x2112a442) {
        r->n.stun++;
    } else if (n >= 12 && be32(p + 4) == 0x5a525450) {
        r->n.zrtp++;
    } else if (n >= 13 && p[0] >= 20 && p[0] <= 25 && p[1] == 0xfe) {
        r->n.dtls++;
    } else if (n && sip_port(r, f->dst.port)) {
        message(r, f, s, false);
    } else {
        r->n.other_udp++;
    }
}

static void segment(struct replay *r, const struct frame *f)
{
    struct tcp_flow *w = tcp_push(r->tcp, f, r->now.mono);
    struct str msg;
    enum reason why;
    struct frame whole = *f;
    whole.cut = false; /* bytes that are missing are a hole of the stream */
    while (w && tcp_next(w, &msg, &why)) {
        if (why == REASON_NONE) {
            message(r, &whole, msg, true);
            continue;
        }
        struct seen s = {.bytes = msg,
                         .proto = PROTO_TCP,
                         .stream = true,
                         .src = f->src,
                         .dst = f->dst,
                         .source = source_of(r, &f->src)};
        sip_stream_bad(r, &s, why);
    }
}

static void packet(struct replay *r, struct frame *f)
{
    r->n.frames[f->kind]++;
    if (f->kind == FRAME_FRAGMENT && !frag_push(r->frags, f, r->now.mono))
        return;
    if (LIKELY(f->kind == FRAME_UDP))
        datagram(r, f);
    else if (f->kind == FRAME_TCP)
        segment(r, f);
}

/* The capture's clock, which never runs backwards for those who count by it. */
static void clock_set(struct replay *r, int64_t us)
{
    if (r->n.packets == 0) {
        r->first_us = us;
        r->clock_us = us - EPOCH_US;
    } else if (us < r->last_us) {
        r->n.backwards++;
        if (r->last_us - us <= BEHIND_US) {
            return;
        }
        r->clock_us -= r->last_us - us;
    }
    r->last_us = us;
    r->now.wall.us = us;
    r->now.mono.us = us - r->clock_us;
}

static void progress(const struct replay *r, FILE *f, int64_t size)
{
    int64_t at = f ? (int64_t)ftello(f) : 0;
    if (size > 0)
        (void)fprintf(stderr, "\r%3lld %%  %llu packets", (long long)(at * 100 / size),
                      (unsigned long long)r->n.packets);
    else
        (void)fprintf(stderr, "\r%llu packets", (unsigned long long)r->n.packets);
    (void)fflush(stderr);
}

static int64_t size_of(FILE *f)
{
    int64_t at = f ? (int64_t)ftello(f) : -1, n;
    if (at < 0 || fseeko(f, 0, SEEK_END) != 0)
        return 0;
    n = (int64_t)ftello(f);
    (void)fseeko(f, (off_t)at, SEEK_SET);
    return n;
}

static double cpu(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int packets(struct replay *r, pcap_t *file)
{
    struct pcap_pkthdr *h;
    const uint8_t *p;
    int got;
    FILE *f = pcap_file(file);
    int64_t size = r->o.progress ? size_of(f) : 0;
    while ((got = pcap_next_ex(file, &h, &p)) == 1) {
        struct frame frame;
        clock_set(r, (int64_t)h->ts.tv_sec * 1000000 + h->ts.tv_usec);
        r->n.packets++;
        r->n.bytes += h->len;
        frame_dissect(r->link, p, h->caplen, &frame);
        packet(r, &frame);
        if (r->cursor != r->tail || r->head != r->tail)
            trans_turn(r, false);
        if (UNLIKELY(r->o.progress && r->n.packets % EVERY == 0))
            progress(r, f, size);
    }
    if (r->o.progress && r->n.packets >= EVERY)
        (void)fprintf(stderr, "\r%40s\r", "");
    return got;
}

static void finish(struct replay *r)
{
    trans_turn(r, true);
    for (uint32_t i = 0; i < r->n_streams; i++)
        if (r->streams[i].run + 1 >= STREAM_MIN) /* announced only later */
            media_bind(r, &r->streams[i]);
    for (uint32_t i = 0; i < r->n_calls; i++)
        call_over(r, &r->calls[i]);
}

enum replay_end replay_run(struct replay *r)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    double began = cpu();
    pcap_t *file =
        pcap_open_offline_with_tstamp_precision(r->o.file, PCAP_TSTAMP_PRECISION_MICRO, why);
    if (!file) {
        (void)snprintf(r->error, sizeof r->error, "%s", why);
        return REPLAY_UNREADABLE;
    }
    r->link = (uint32_t)pcap_datalink(file);
    if (!link_known(r->link)) {
        const char *name = pcap_datalink_val_to_name((int)r->link);
        (void)snprintf(r->error, sizeof r->error, "link type %u (%s) is not read", r->link,
                       name ? name : "unknown");
        pcap_close(file);
        return REPLAY_UNREADABLE;
    }
    int got = packets(r, file);
    if (got != PCAP_ERROR_BREAK)
        (void)snprintf(r->error, sizeof r->error, "after %llu packets: %s",
                       (unsigned long long)r->n.packets, pcap_geterr(file));
    pcap_close(file);
    finish(r);
    r->cpu_s = cpu() - began;
    return got == PCAP_ERROR_BREAK ? REPLAY_WHOLE : REPLAY_DAMAGED;
}
