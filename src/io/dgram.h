/* Batches of datagrams. Receiving fills slots of the caller's memory; sending queues views of the
 * caller's bytes and hands them to the kernel in one call. */
#ifndef IO_DGRAM_H
#define IO_DGRAM_H
#include "io/sock.h"
#include <sys/uio.h>

#define DGRAM_BATCH 64u
struct dgram {
    uint8_t *p;
    size_t n;
    struct addr from;
    bool cut; /* it was longer than a slot */
};
struct dgram_rx {
    uint32_t n_slots;
    size_t slot_bytes;
    struct dgram d[DGRAM_BATCH]; /* valid until the next dgram_recv */
    struct mmsghdr hdr[DGRAM_BATCH];
    struct iovec iov[DGRAM_BATCH];
    union sock_addr name[DGRAM_BATCH];
};
/* mem: n_slots * slot_bytes, kept; n_slots <= DGRAM_BATCH. */
void dgram_rx_init(struct dgram_rx *rx, void *mem, uint32_t n_slots, size_t slot_bytes);
/* Up to max datagrams (and n_slots); returns how many, 0 when none wait. ICMP errors that the
 * kernel reports first are skipped. */
uint32_t dgram_recv(struct dgram_rx *rx, int fd, uint32_t max);
/* One datagram without the batch: bytes, or -1 when none waits. *ret_cut as above. */
ptrdiff_t dgram_recv_one(int fd, void *ret, size_t cap, struct addr *ret_from, bool *ret_cut);

struct dgram_tx {
    uint32_t n;
    struct mmsghdr hdr[DGRAM_BATCH];
    struct iovec iov[DGRAM_BATCH];
    union sock_addr name[DGRAM_BATCH];
};
void dgram_tx_init(struct dgram_tx *tx);
/* borrows bytes until dgram_flush. false: full, flush first. */
bool dgram_queue(struct dgram_tx *tx, const struct addr *to, struct str bytes);
/* Sends what is queued; datagrams that the kernel refuses are skipped. Returns how many were
 * refused; the queue is empty then. */
uint32_t dgram_flush(struct dgram_tx *tx, int fd);
MUST_CHECK enum err dgram_send_one(int fd, const struct addr *to, struct str bytes);
/* The same from one of this machine's addresses (ip of from; ADDR_NONE: the kernel's choice), on a
 * socket that is bound to none. ERR_RANGE: families differ. */
MUST_CHECK enum err dgram_send_from(int fd, const struct addr *from, const struct addr *to,
                                    struct str bytes);
#endif
