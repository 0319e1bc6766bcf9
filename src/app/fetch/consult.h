/* Questions about calls, asked of a third party by POST of JSON: so many at once, so many that
 * wait, none longer than its engine does. What is no answer (call/consult_answer.h) counts as
 * consult_failed, and the engine's policy decides. Single thread. */
#ifndef APP_FETCH_CONSULT_H
#define APP_FETCH_CONSULT_H
#include "app/fetch/web.h"
#include "call/consult_answer.h"
#include "call/policy.h"
#include "ipc/channel.h"

#define CONSULT_JOBS    16u
#define CONSULT_WAITING 64u

struct consult;
/* An answer for the monitor. */
typedef void consult_done_fn(void *ctx, const struct msg_consult *m);
typedef void consult_note_fn(void *ctx, uint8_t severity, const char *text);
struct consult_cfg {
    struct event_base *base;
    web_resolve_fn *resolve;
    consult_done_fn *done;
    consult_note_fn *note;
    void *ctx; /* of all three */
};
struct consult *consult_new(const struct consult_cfg *cfg); /* NULL: no memory */
/* Keeps p and the authorities (PEM) until the next call. */
void consult_policy(struct consult *x, const struct policy *p, struct str ca);
void consult_ask(struct consult *x, const struct msg_consult *q, struct str body, struct now now);
void consult_turn(struct consult *x, struct now now);
struct instant consult_next(const struct consult *x);
#endif
