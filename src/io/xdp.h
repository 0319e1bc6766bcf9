/* The kernel's half of the shield by XDP: loads bpf/shield.bpf.c, attaches it to interfaces, and
 * writes its maps. Pinned in a folder of the BPF file system it goes on dropping while its owner is
 * away; an owner that comes back takes pins of its own layout over and replaces the program without
 * a gap. For the monitor (CAP_BPF, CAP_NET_ADMIN); one thread; no call waits for anything but the
 * kernel. */
#ifndef IO_XDP_H
#define IO_XDP_H
#include "base/addr.h"
#include "base/instant.h"
#include "io/xdp_map.h"

#define XDP_INTERFACES 16u
#define XDP_NAME       16u
#define XDP_BANS       262144u

struct xdp;
struct xdp_opts {
    const char *pins; /* folder, made if absent below a BPF file system; NULL: nothing is pinned */
    uint32_t bans;    /* room for so many of /32 and /64; 0: 262144. 64 bytes each */
};
/* Whether this program holds the one for the kernel (built with clang). */
bool xdp_built(void);
/* Loads, unattached; nothing drops yet unless pins of an earlier start are there. ret_why: in
 * words, when it fails. ERR_UNSUPPORTED: built without; ERR_SYSTEM. xdp_close gives it back. */
MUST_CHECK enum err xdp_open(const struct xdp_opts *o, struct xdp **ret_x, struct out *ret_why);
bool xdp_taken_over(const struct xdp *x); /* maps of an earlier start: bans, counters */
bool xdp_pinned(const struct xdp *x);     /* else it ends with its owner */
/* remove: takes everything out of the kernel; else what is pinned stays. */
void xdp_close(struct xdp *x, bool remove);
/* Takes away what any start left in that folder. False: nothing was there. */
bool xdp_remove_pins(const char *pins);

/* To an interface by its name: native, else generic; or takes the pin of it over. */
MUST_CHECK enum err xdp_attach(struct xdp *x, const char *interface, bool *ret_native,
                               struct out *ret_why);
void xdp_detach(struct xdp *x, const char *interface);
/* Pins of interfaces that were not attached by this owner. */
void xdp_detach_others(struct xdp *x);
/* Does the kernel say that this program hangs on that interface? */
bool xdp_attached(const struct xdp *x, const char *interface);

/* -- configuration; each replaces what was there, cfg takes effect at once -- */
MUST_CHECK enum err xdp_set(struct xdp *x, const struct xdp_cfg *c); /* flags EXEMPT, NETS: ours */
MUST_CHECK enum err xdp_set_sip(struct xdp *x, const uint8_t by_port[65536]); /* enum xdp_port */
MUST_CHECK enum err xdp_set_local(struct xdp *x, const struct addr *a, size_t n);
MUST_CHECK enum err xdp_set_exempt(struct xdp *x, const struct prefix *p, size_t n);
int xdp_media_fd(const struct xdp *x); /* map of 65536 bytes (xdp_map.h), to be mapped; ours */
void xdp_media_clear(struct xdp *x);

/* -- bans -- */
/* left: how long it holds; 0 or less: until released. ERR_FULL. */
MUST_CHECK enum err xdp_ban(struct xdp *x, const struct prefix *p, struct dur left,
                            struct instant now);
void xdp_release(struct xdp *x, const struct prefix *p);
uint64_t xdp_hits(const struct xdp *x, const struct prefix *p);
/* Looks at up to n of what earlier starts banned and this one did not ban again, and releases it.
 * True: all has been looked at. */
bool xdp_sweep(struct xdp *x, uint32_t n);

/* The table itself, for who has it mapped (xdp_map.h): a ban by its key; ERR_FULL. until in seconds
 * of CLOCK_MONOTONIC, 0: until released. */
MUST_CHECK enum err xdp_table_put(struct xdp_line *t, uint32_t lines, uint64_t seed, uint64_t key,
                                  uint32_t until, uint32_t turn);
/* NULL: not there. */
struct xdp_cell *xdp_table_find(struct xdp_line *t, uint32_t lines, uint64_t seed, uint64_t key);
void xdp_table_free(struct xdp_line *t, struct xdp_cell *c);

void xdp_counts(const struct xdp *x, uint64_t ret[XDP_COUNTS]);
void xdp_counts_set(struct xdp *x, const uint64_t v[XDP_COUNTS]);
/* Runs the program on a frame, times times; the last verdict. */
MUST_CHECK enum err xdp_run(const struct xdp *x, const void *frame, size_t n, uint32_t times,
                            bool *ret_drop, uint32_t *ret_ns);
#endif
