/* What xdp.c (loading, maps) and xdp_link.c (interfaces, pins' names) share. */
#ifndef IO_XDP_IN_H
#define IO_XDP_IN_H
#include "io/xdp.h"

enum map {
    M_CFG,
    M_SIP,
    M_MEDIA,
    M_LOCAL,
    M_BANS,
    M_NET4,
    M_NET6,
    M_EX4,
    M_EX6,
    M_RATES,
    M_COUNTS,
    MAPS
};
struct hook {
    char name[XDP_NAME];
    int link; /* -1: free */
    bool native;
};
struct xdp {
    struct bpf_object *object;
    int prog, map[MAPS];
    char pins[256]; /* "": none */
    bool taken_over;
    uint32_t nets4, nets6;
    struct xdp_line *table;
    size_t table_bytes;
    struct xdp_cfg cfg;
    struct hook hook[XDP_INTERFACES];
    unsigned sweeping; /* 0: the table, 1 and 2: the tries, 3: done */
    uint32_t sweep_line;
    bool sweep_began;
    uint8_t sweep_key[24];
};

/* Of a pin: what in its name is a dot becomes a plus. False: no pins, or too long. */
bool xdp_pin_path(const struct xdp *x, const char *what, const char *name, char ret[320]);
#endif
