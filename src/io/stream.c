#include "io/stream.h"
#include <errno.h>
#include <unistd.h>

#define QUEUE_FIRST 4096u

void stream_init(struct stream *s, int fd, uint32_t q_max)
{
    *s = (struct stream){.fd = fd, .q_max = q_max};
}

static void queue_free(struct stream *s)
{
    if (s->queue)
        mem_wipe(s->queue, s->q_cap);
    free(s->queue);
    s->queue = NULL;
    s->q_off = s->q_n = s->q_cap = 0;
}

void stream_close(struct stream *s)
{
    queue_free(s);
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

enum err stream_accept(int listener, int *ret_fd, struct addr *ret_peer)
{
    union sock_addr a;
    socklen_t n = sizeof a;
    int fd = accept4(listener, &a.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return errno == ECONNABORTED ? ERR_AGAIN : sock_err(errno);
    sock_to_addr(&a, ret_peer);
    *ret_fd = fd;
    return OK;
}

enum err stream_read(struct stream *s, void *ret, size_t cap, size_t *ret_n)
{
    ssize_t n = recv(s->fd, ret, cap, MSG_DONTWAIT);
    if (n == 0)
        return ERR_CLOSED;
    if (n < 0)
        return sock_err(errno);
    *ret_n = (size_t)n;
    return OK;
}

/* What the kernel takes now; a full kernel buffer is not an error. */
static enum err send_now(struct stream *s, struct str bytes, size_t *ret_n)
{
    size_t sent = 0;
    while (sent < bytes.n) {
        ssize_t n = send(s->fd, bytes.p + sent, bytes.n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return sock_err(errno) == ERR_SYSTEM ? ERR_SYSTEM : ERR_CLOSED;
    }
    *ret_n = sent;
    return OK;
}

static enum err queue_put(struct stream *s, struct str bytes)
{
    if (bytes.n > s->q_max || s->q_n > s->q_max - bytes.n)
        return ERR_FULL;
    uint32_t n = (uint32_t)bytes.n;
    if (s->q_off && s->q_off + s->q_n + n > s->q_cap) {
        memmove(s->queue, s->queue + s->q_off, s->q_n);
        s->q_off = 0;
    }
    if (s->q_n + n > s->q_cap) {
        uint64_t cap = MAX(s->q_cap, QUEUE_FIRST);
        while (cap < (uint64_t)s->q_n + n)
            cap *= 2;
        uint8_t *q = realloc(s->queue, (size_t)cap);
        if (!q)
            return ERR_FULL;
        s->queue = q;
        s->q_cap = (uint32_t)cap;
    }
    memcpy(s->queue + s->q_off + s->q_n, bytes.p, n);
    s->q_n += n;
    return OK;
}

enum err stream_write(struct stream *s, struct str bytes)
{
    size_t sent = 0;
    if (s->q_n == 0) {
        enum err e = send_now(s, bytes, &sent);
        if (e != OK)
            return e;
    }
    return sent == bytes.n ? OK : queue_put(s, str_skip(bytes, sent));
}

enum err stream_flush(struct stream *s)
{
    if (s->q_n == 0)
        return OK;
    size_t sent = 0;
    enum err e = send_now(s, str_of((const char *)s->queue + s->q_off, s->q_n), &sent);
    if (e != OK)
        return e;
    s->q_off += (uint32_t)sent;
    s->q_n -= (uint32_t)sent;
    if (s->q_n)
        return ERR_AGAIN;
    queue_free(s);
    return OK;
}
