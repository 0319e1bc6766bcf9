#include "app/fetch/consult.h"
#include "io/clock.h"
#include <stdio.h>
#include <stdlib.h>

_Static_assert(CONSULT_BODY_MAX == CONSULT_QUESTION_MAX, "what the core writes can be sent");

#define NOTE_EVERY DUR_S(10)
#define WAIT_MAX   5000u /* milliseconds, whatever the engine says */

struct question {
    struct msg_consult m;
    struct instant due;
    size_t n;
    char body[CONSULT_BODY_MAX];
};
struct job {
    struct consult *x;
    struct web *web;
    bool used;
    struct question q;
};
struct consult {
    struct consult_cfg cfg;
    const struct policy *policy;
    struct str ca;
    struct instant noted; /* no more than one line of trouble in a while */
    unsigned unsaid;
    uint32_t first, n; /* of those that wait */
    struct question waiting[CONSULT_WAITING];
    struct job job[CONSULT_JOBS];
};

struct consult *consult_new(const struct consult_cfg *cfg)
{
    struct consult *x = calloc(1, sizeof *x);
    bool ok = x != NULL;
    for (unsigned i = 0; ok && i < CONSULT_JOBS; i++) {
        x->job[i].x = x;
        x->job[i].web = web_new(cfg->base, cfg->resolve, cfg->ctx);
        ok = x->job[i].web != NULL;
    }
    if (ok) {
        x->cfg = *cfg;
        x->noted.us = INT64_MIN / 2;
    }
    return ok ? x : NULL; /* the program ends without */
}

void consult_policy(struct consult *x, const struct policy *p, struct str ca)
{
    x->policy = p;
    x->ca = ca;
}

static void note(struct consult *x, uint8_t severity, const char *why)
{
    char text[WEB_WHY + CONSULT_WHY_MAX + 64];
    struct instant now = clock_now().mono;
    if (instant_before(now, instant_add(x->noted, NOTE_EVERY))) {
        x->unsaid++;
        return;
    }
    int n = snprintf(text, sizeof text, "consult: %s", why);
    if (x->unsaid && n > 0 && (size_t)n < sizeof text)
        (void)snprintf(text + n, sizeof text - (size_t)n, " (and %u more like it)", x->unsaid);
    x->cfg.note(x->cfg.ctx, severity, text);
    x->noted = now;
    x->unsaid = 0;
}

static void tell(struct consult *x, const struct msg_consult *q, enum reason why)
{
    struct msg_consult m = *q;
    m.reason = (uint16_t)why;
    x->cfg.done(x->cfg.ctx, &m);
}

static void failed(struct consult *x, const struct msg_consult *q, const char *why)
{
    note(x, SEV_WARN, why);
    tell(x, q, REASON_consult_failed);
}

static void came(void *ctx, const struct web_answer *a)
{
    struct job *j = ctx;
    struct consult_answer said;
    char text[WEB_WHY];
    j->used = false;
    if (!a->status) {
        failed(j->x, &j->q.m, a->why);
    } else if (consult_answer_read(a->status, a->body, &said) != OK) {
        (void)snprintf(text, sizeof text, "%u and %zu bytes are no answer", a->status, a->body.n);
        failed(j->x, &j->q.m, text);
    } else {
        if (!said.allow && said.why[0])
            note(j->x, SEV_NOTICE, said.why);
        tell(j->x, &j->q.m, said.allow ? REASON_NONE : REASON_fraud_asked);
    }
}

/* Nowhere else than where the policy says: redirects are not followed, and this is asked before
 * the first address is. */
static bool may(void *ctx, struct str url, const char **ret_why)
{
    const struct consult *x = ctx;
    *ret_why = "not the url of consult";
    return str_eq(url, policy_text(x->policy, x->policy->consult.url));
}

static void begin(struct job *j, const struct question *q, struct instant now)
{
    struct consult *x = j->x;
    struct str url = policy_text(x->policy, x->policy->consult.url);
    int64_t left_ms = instant_sub(q->due, now).us / 1000;
    struct web_ask ask = {.inside = x->policy->consult.inside,
                          .ca_pem = x->ca,
                          .most = CONSULT_ANSWER_MAX,
                          .limit_ms = (uint32_t)MAX(left_ms, (int64_t)1),
                          .may = may,
                          .may_ctx = x};
    j->q = *q;
    ask.post = str_of(j->q.body, j->q.n);
    memcpy(ask.url, url.p, MIN(url.n, (size_t)FEED_URL_MAX));
    j->used = web_get(j->web, &ask, came, j) == OK;
    if (!j->used)
        failed(x, &q->m, "out of memory");
}

static struct job *job_free(struct consult *x)
{
    for (unsigned i = 0; i < CONSULT_JOBS; i++)
        if (!x->job[i].used && !web_busy(x->job[i].web))
            return &x->job[i];
    return NULL;
}

void consult_ask(struct consult *x, const struct msg_consult *m, struct str body, struct now now)
{
    if (!x->policy || !x->policy->consult.url.len || !body.n || body.n > CONSULT_BODY_MAX) {
        failed(x, m, "nobody is to be asked");
        return;
    }
    if (x->n == CONSULT_WAITING) {
        failed(x, m, "too many questions are under way");
        return;
    }
    struct question *q = &x->waiting[(x->first + x->n) % CONSULT_WAITING];
    q->m = *m;
    q->due = instant_add(now.mono, DUR_MS(MIN(m->wait_ms, WAIT_MAX)));
    q->n = body.n;
    memcpy(q->body, body.p, body.n);
    x->n++;
    consult_turn(x, now);
}

void consult_turn(struct consult *x, struct now now)
{
    for (unsigned i = 0; i < CONSULT_JOBS; i++)
        web_turn(x->job[i].web, now.mono);
    while (x->n) {
        struct question *q = &x->waiting[x->first];
        bool late = !instant_before(now.mono, q->due);
        struct job *j = late ? NULL : job_free(x);
        if (!late && !j)
            return;
        if (late)
            failed(x, &q->m, "its turn did not come in time");
        else if (!x->policy->consult.url.len)
            failed(x, &q->m, "nobody is to be asked");
        else
            begin(j, q, now.mono);
        x->first = (x->first + 1) % CONSULT_WAITING;
        x->n--;
    }
    for (unsigned i = 0; i < CONSULT_JOBS; i++)
        web_turn(x->job[i].web, now.mono); /* dials */
}

struct instant consult_next(const struct consult *x)
{
    struct instant first = x->n ? x->waiting[x->first].due : INSTANT_NEVER;
    for (unsigned i = 0; i < CONSULT_JOBS; i++)
        if (x->job[i].used && instant_before(x->job[i].q.due, first))
            first = x->job[i].q.due;
    return first;
}
