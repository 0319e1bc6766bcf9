/* The caller: one TLS connection, and the loop that serves both ends. */
#include "app/selftest/selftest.h"
#include "io/clock.h"
#include <errno.h>
#include <poll.h>
#include <unistd.h>

static enum err pump(struct st *s)
{
    for (;;) {
        struct str out = tls_take(s->tls);
        if (!out.n)
            return OK;
        ssize_t n = send(s->tls_fd, out.p, out.n, MSG_NOSIGNAL);
        if (n > 0) {
            tls_sent(s->tls, (size_t)n);
            continue;
        }
        if (n < 0 && sock_err(errno) != ERR_AGAIN)
            return ERR_CLOSED;
        struct pollfd p = {.fd = s->tls_fd, .events = POLLOUT};
        if (poll(&p, 1, 3000) != 1)
            return ERR_AGAIN;
    }
}

/* Reads what is there; OK also when nothing is. */
static enum err pull(struct st *s)
{
    uint8_t buf[ST_MSG];
    ssize_t n = recv(s->tls_fd, buf, sizeof buf, 0);
    if (n < 0)
        return sock_err(errno) == ERR_AGAIN ? OK : ERR_CLOSED;
    if (n == 0)
        return ERR_CLOSED;
    enum err r = tls_feed(s->tls, str_of((const char *)buf, (size_t)n));
    enum err p = pump(s);
    if (r != OK || p != OK)
        return r != OK ? r : p;
    size_t got;
    while ((got = tls_read(s->tls, s->in + s->in_n, sizeof s->in - s->in_n)))
        s->in_n += got;
    return OK;
}

static int64_t now_us(void)
{
    return clock_now().mono.us;
}

enum err caller_connect(struct st *s, const struct addr *to, struct str ca)
{
    struct tls_cfg cfg = {.ca_pem = ca, .verify = TLS_VERIFY_REQUIRED};
    struct addr from = *to; /* the gateway's own address: local, and what find_plan judged */
    from.port = 0;
    enum err r = tls_ctx_new(&cfg, &s->ctx);
    if (r == OK)
        r = tls_new(s->ctx, str_c(s->domain), &s->tls);
    if (r == OK)
        r = sock_connect(&from, to, &s->tls_fd);
    struct pollfd p = {.fd = s->tls_fd, .events = POLLOUT};
    if (r == OK && (poll(&p, 1, 3000) != 1 || sock_error(s->tls_fd)))
        r = ERR_CLOSED;
    if (r == OK)
        r = sock_local(s->tls_fd, &s->tls_local);
    if (r == OK)
        r = tls_feed(s->tls, STR_NONE);
    for (int64_t end = now_us() + 5000000; r == OK && !tls_up(s->tls);) {
        p.events = POLLIN;
        r = pump(s);
        if (r == OK && (now_us() > end || poll(&p, 1, 3000) != 1))
            r = ERR_AGAIN;
        if (r == OK)
            r = pull(s);
    }
    return r;
}

enum err caller_send(struct st *s, struct str bytes)
{
    enum err r = tls_write(s->tls, bytes);
    return r != OK ? r : pump(s);
}

void caller_close(struct st *s)
{
    if (s->tls) {
        tls_close(s->tls);
        if (s->tls_fd >= 0 && pump(s) != OK)
            s->verbose |= false;
        tls_free(s->tls);
    }
    if (s->ctx)
        tls_ctx_free(s->ctx);
    if (s->tls_fd >= 0)
        (void)close(s->tls_fd);
}

static bool next_message(struct st *s)
{
    for (;;) {
        struct sip_frame f = sip_frame_next(&s->scan, str_of((const char *)s->in, s->in_n), ST_MSG);
        if (f.kind == FRAME_MORE || f.kind == FRAME_BAD)
            return false;
        memcpy(s->msg_text, s->in, f.bytes);
        memmove(s->in, s->in + f.bytes, s->in_n - f.bytes);
        s->in_n -= f.bytes;
        memset(&s->scan, 0, sizeof s->scan);
        struct sip_error why;
        if (f.kind == FRAME_MESSAGE &&
            sip_parse(str_of(s->msg_text, f.bytes), true, &s->msg, &why) == OK)
            return true;
    }
}

bool serve(struct st *s, int ms)
{
    for (int64_t end = now_us() + (int64_t)ms * 1000;;) {
        if (next_message(s))
            return true;
        int64_t now = now_us(), left = end - now;
        if (left <= 0)
            return false;
        if (s->next_frame_us && now >= s->next_frame_us) {
            audio_send(&s->a);
            audio_send(&s->b);
            s->next_frame_us += ST_FRAME_MS * 1000;
        }
        if (s->next_frame_us)
            left = MIN(left, s->next_frame_us - now);
        struct pollfd p[4] = {{.fd = s->tls_fd, .events = POLLIN},
                              {.fd = s->pbx_fd, .events = POLLIN},
                              {.fd = s->a.fd, .events = POLLIN},
                              {.fd = s->b.fd, .events = POLLIN}};
        int n = poll(p, 4, left > 0 ? (int)((left + 999) / 1000) : 0);
        if (n <= 0)
            continue;
        if (p[0].revents && pull(s) != OK)
            return false;
        if (p[1].revents)
            pbx_event(s);
        if (p[2].revents)
            audio_receive(&s->a);
        if (p[3].revents)
            audio_receive(&s->b);
    }
}
