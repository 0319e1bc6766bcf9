/* Bytes over a connected TCP socket: reading into the caller's memory, writing through a bounded
 * queue that has memory only while the peer is slow. */
#ifndef IO_STREAM_H
#define IO_STREAM_H
#include "io/sock.h"

struct stream {
    int fd;
    uint8_t *queue; /* NULL while empty */
    uint32_t q_off, q_n, q_cap, q_max;
};
/* q_max: most bytes that may wait to be sent. Takes fd. */
void stream_init(struct stream *s, int fd, uint32_t q_max);
void stream_close(struct stream *s);
/* Next connection of a listening socket. ERR_AGAIN: none; ERR_FULL: no descriptors are left;
 * others: try again later. */
MUST_CHECK enum err stream_accept(int listener, int *ret_fd, struct addr *ret_peer);
/* ERR_AGAIN: nothing now; ERR_CLOSED: the peer ended or reset it. ret_n >= 1. */
MUST_CHECK enum err stream_read(struct stream *s, void *ret, size_t cap, size_t *ret_n);
/* Sends now what goes, queues the rest: all or nothing as to the queue. ERR_FULL: would exceed
 * q_max (some bytes may have gone: close the connection). ERR_CLOSED. */
MUST_CHECK enum err stream_write(struct stream *s, struct str bytes);
MUST_CHECK enum err
stream_flush(struct stream *s); /* on EPOLLOUT: OK all gone, ERR_AGAIN more waits */
static inline bool stream_wants_out(const struct stream *s)
{
    return s->q_n != 0;
}
static inline uint32_t stream_waiting(const struct stream *s)
{
    return s->q_n;
}
#endif
