/* The shield's program behind a few instructions that give each run another source, so that a run
 * repeated by the kernel meets cold tables as a flood does. Which sources: source_of in xdp.c. */
#define SHIELD_BENCH
#include "../bpf/shield.bpf.c"

struct knobs {
    __u32 sources, first, step;
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct knobs);
} knobs SEC(".maps");

INLINE __u8 *next_source(struct xdp_md *ctx)
{
    __u8 *q = (__u8 *)(long)ctx->data;
    __u32 zero = 0;
    struct knobs *k = bpf_map_lookup_elem(&knobs, &zero);
    if (!k || q + 14 + 40 > (__u8 *)(long)ctx->data_end)
        return 0;
    __u32 i = k->first + (__u32)((__u64)(++k->step * 0x9e3779b1u) * k->sources >> 32);
    __u32 v = bpf_htonl(i * 2654435761u);
    if (q[12] == 0x08)
        __builtin_memcpy(q + 14 + 12, &v, 4);
    else
        __builtin_memcpy(q + 14 + 8 + 4, &v, 4);
    return q;
}

SEC("xdp")
int measured(struct xdp_md *ctx)
{
    return next_source(ctx) ? shield(ctx) : XDP_ABORTED;
}

SEC("xdp")
int empty(struct xdp_md *ctx)
{
    return next_source(ctx) ? XDP_DROP : XDP_ABORTED;
}
