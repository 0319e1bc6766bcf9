/* Certificates of those who sign calls: brought by HTTPS from hosts of the policy's list, judged
 * (crypto/sti.h), and written on the board that engines read. Everything is bounded: size, time,
 * redirects, how many at once; private addresses only under a waiver. Single thread. */
#ifndef APP_FETCH_X5U_H
#define APP_FETCH_X5U_H
#include "app/fetch/web.h"
#include "call/certs.h"
#include "call/policy.h"
#include "ipc/channel.h"

#define X5U_BYTES     (64u << 10)
#define X5U_LIMIT_MS  3000u
#define X5U_REDIRECTS 2u
#define X5U_JOBS      8u
#define X5U_WAITING   64u   /* questions for one URL that is under way */
#define X5U_GOOD_S    86400 /* longest that a good one is believed */
#define X5U_LEAST_S   60    /* whatever its server says */
#define X5U_BAD_S     30    /* then a failure is tried again */
#define X5U_USUAL_S   3600  /* without a word of its server */

struct x5u;
/* An answer for the monitor. */
typedef void x5u_done_fn(void *ctx, const struct msg_cert *m);
typedef void x5u_note_fn(void *ctx, uint8_t severity, const char *text);
struct x5u_cfg {
    struct event_base *base;
    web_resolve_fn *resolve;
    x5u_done_fn *done;
    x5u_note_fn *note;
    void *ctx; /* of all three */
    struct cert_board *board;
};
struct x5u *x5u_new(const struct x5u_cfg *cfg); /* keeps what cfg names; NULL: no memory */
/* Keeps p and both texts (PEM) until the next call. What other authorities had vouched for is
 * forgotten. */
void x5u_policy(struct x5u *x, const struct policy *p, struct str roots, struct str ca);
void x5u_ask(struct x5u *x, const struct msg_cert *q, struct str url, struct now now);
void x5u_turn(struct x5u *x, struct now now);
struct instant x5u_next(const struct x5u *x);
/* How long an answer may be kept by its Cache-Control, in seconds. */
int64_t x5u_keep_s(struct str cache_control);
#endif
