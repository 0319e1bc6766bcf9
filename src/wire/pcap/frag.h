/* IP datagrams put together from their fragments (RFC 791 3.2, RFC 8200 4.5): a fixed number at a
 * time, the oldest gives way. Fragments that overlap, which no honest sender makes (RFC 5722), end
 * their datagram. Memory is the caller's and touched only as it is used. */
#ifndef WIRE_PCAP_FRAG_H
#define WIRE_PCAP_FRAG_H
#include "base/instant.h"
#include "wire/pcap/dissect.h"

#define FRAG_SLOTS   64u
#define FRAG_WAIT_US INT64_C(30000000)
struct frag_slot {
    bool used;
    uint8_t proto;
    uint32_t id, have, total; /* bytes; total 0: the last one is not here yet */
    struct addr src, dst;
    int64_t first_us;
    uint8_t seen[8192 / 8]; /* a bit for 8 bytes */
    uint8_t data[65536];
};
struct frags {
    uint64_t whole, overlapping, late, evicted, wrong; /* datagrams */
    struct frag_slot slot[FRAG_SLOTS];                 /* zeroed at the start */
};
/* f is a FRAME_FRAGMENT. true: its datagram is whole, and f has become what it carries (UDP, TCP
 * ...); data then lives in fs until the next call. */
bool frag_push(struct frags *fs, struct frame *f, struct instant now);
#endif
