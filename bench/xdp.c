/* What the shield's program costs a packet: ns, by how many sources are banned. Each run has
 * another source (xdp.bpf.c). As root. Prints rows of JSON. */
#include "io/xdp.h"
#include "base/str.h"
#include "xdp_bench_object.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define RUNS 1000000u

static struct bpf_object *object;
static int map_of(const char *name)
{
    return bpf_object__find_map_fd_by_name(object, name);
}
static int prog_of(const char *name)
{
    return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}
static uint32_t source_of(uint32_t i)
{
    return __builtin_bswap32(i * 2654435761u);
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    (void)level, (void)fmt, (void)ap;
    return 0;
}

#define LINES (1u << 20)
#define SEED  42u

/* The bans first..last, of both families. */
static void ban(uint32_t first, uint32_t last)
{
    static struct xdp_line *t;
    if (!t)
        t = mmap(NULL, LINES * sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED, map_of("bans"), 0);
    for (uint32_t i = first; i < last; i++) {
        uint64_t v6 = (uint64_t)source_of(i) << 32 | 0xb80d0120u;
        if (xdp_table_put(t, LINES, SEED, xdp_key4(source_of(i)), 0, 0) != OK ||
            xdp_table_put(t, LINES, SEED, v6, 0, 0) != OK) {
            fprintf(stderr, "xdp: the table is full\n");
            exit(1);
        }
    }
}

static size_t frame4(uint8_t *b, uint16_t port, struct str payload)
{
    static const uint8_t head[42] = {[12] = 8, [14] = 0x45, [22] = 64, [23] = 17, [30] = 192,
                                     [31] = 0, [32] = 2,    [33] = 1,  [34] = 19, [35] = 196};
    memcpy(b, head, sizeof head);
    size_t udp = 8 + payload.n, ip = 20 + udp;
    b[16] = (uint8_t)(ip >> 8), b[17] = (uint8_t)ip;
    b[36] = (uint8_t)(port >> 8), b[37] = (uint8_t)port;
    b[38] = (uint8_t)(udp >> 8), b[39] = (uint8_t)udp;
    memcpy(b + 42, payload.p, payload.n);
    return 42 + payload.n;
}

static size_t frame6(uint8_t *b, uint16_t port, struct str payload)
{
    size_t udp = 8 + payload.n;
    memset(b, 0, 62);
    b[12] = 0x86, b[13] = 0xdd, b[14] = 0x60;
    b[18] = (uint8_t)(udp >> 8), b[19] = (uint8_t)udp, b[20] = 17, b[21] = 64;
    b[22] = b[38] = 0x20, b[23] = b[39] = 1, b[24] = b[40] = 0x0d, b[25] = b[41] = 0xb8, b[53] = 1;
    b[56] = (uint8_t)(port >> 8), b[57] = (uint8_t)port;
    b[58] = (uint8_t)(udp >> 8), b[59] = (uint8_t)udp;
    memcpy(b + 62, payload.p, payload.n);
    return 62 + payload.n;
}

static uint32_t run(const char *prog, const uint8_t *frame, size_t n, uint32_t *ret_verdict)
{
    uint32_t best = UINT32_MAX;
    for (int k = 0; k < 3; k++) {
        LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = (uint32_t)n,
                    .repeat = RUNS);
        if (bpf_prog_test_run_opts(prog_of(prog), &o) != 0) {
            perror("xdp: run");
            exit(1);
        }
        best = MIN(best, o.duration);
        *ret_verdict = o.retval;
    }
    return best;
}

struct row {
    const char *name;
    bool v6, banned; /* from the banned sources, else from others */
    uint16_t port;
    struct str payload;
    uint32_t verdict;
};

static void measure(const struct row *r, uint32_t banned, uint32_t sources)
{
    uint8_t frame[512];
    size_t n = (r->v6 ? frame6 : frame4)(frame, r->port, r->payload);
    uint32_t zero = 0, knobs[3] = {r->banned ? banned : sources, r->banned ? 0 : 2000000, 0};
    if (bpf_map_update_elem(map_of("knobs"), &zero, knobs, 0) != 0)
        exit(1);
    uint32_t verdict, base = run("empty", frame, n, &verdict),
                      ns = run("measured", frame, n, &verdict);
    if (verdict != r->verdict) {
        fprintf(stderr, "xdp: %s: verdict %u, want %u\n", r->name, verdict, r->verdict);
        exit(1);
    }
    printf("{\"name\":\"%s\",\"banned\":%u,\"ns\":%u,\"with_source\":%u}\n", r->name, banned,
           ns > base ? ns - base : 0, ns);
}

int main(void)
{
    static const struct str sound = {
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9\r\n\r\n", 71};
    static const struct str junk = {
        "................................................................", 64};
    static const struct str rtp = {
        "\x80\0\0\1\0\0\0\2\0\0\0\3 sound sound sound sound sound sound sound", 64};
    static const struct row rows[] = {
        {"drop: banned, IPv4", false, true, 5060, sound, 1},
        {"drop: banned, IPv6", true, true, 5060, sound, 1},
        {"drop: not SIP", false, false, 5060, junk, 1},
        {"drop: media, no session", false, false, 20010, rtp, 1},
        {"pass: SIP", false, false, 5060, sound, 2},
        {"pass: SIP, IPv6", true, false, 5060, sound, 2},
        {"pass: media", false, false, 20012, rtp, 2},
        {"pass: not ours", false, true, 53, sound, 2},
    };
    static const uint32_t counts[] = {1, 10000, 1000000};
    libbpf_set_print(quiet);
    object = bpf_object__open_mem(xdp_bench_object, sizeof xdp_bench_object, NULL);
    if (!object || bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "bans"), LINES) ||
        bpf_object__load(object) != 0) {
        perror("xdp: the kernel does not take the program");
        return 1;
    }
    struct xdp_cfg c = {.layout = XDP_LAYOUT,
                        .flags = XDP_ANY_LOCAL,
                        .seed = 42,
                        .bans_seed = SEED,
                        .lines = LINES,
                        .rate_gap = 1,
                        .rate_slack = 1ull << 40,
                        .sip_min = XDP_HEAD,
                        .sip_max = 32768,
                        .media_min = 20000,
                        .media_max = 29999,
                        .emergency = {0x323131, 0x313139}};
    static uint8_t sip[65536], media[65536];
    uint32_t zero = 0;
    sip[5060] = XDP_UDP | XDP_TCP;
    media[20012] = XDP_OPEN;
    if (bpf_map_update_elem(map_of("cfg"), &zero, &c, 0) ||
        bpf_map_update_elem(map_of("sip"), &zero, sip, 0) ||
        bpf_map_update_elem(map_of("media"), &zero, media, 0))
        return 1;
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        ban(k ? counts[k - 1] : 0, counts[k]);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            measure(&rows[i], counts[k], 1000000);
    }
    bpf_object__close(object);
    return 0;
}
