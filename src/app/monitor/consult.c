/* Questions about calls for a third party that speaks HTTP: fetch asks it, engines ask through us,
 * so that neither has a way to the other. */
#include "app/monitor/lists.h"

#define CONSULTS_PER_S 200 /* of an engine */

static void answer(struct monitor *m, uint8_t engine, uint32_t id, uint16_t reason)
{
    struct program *to = engine < m->n_engines ? &m->program[ENGINE_SLOT(engine)] : NULL;
    struct msg_consult r = {.id = id, .engine = engine, .reason = reason};
    if (to && to->state == PROGRAM_RUNNING)
        (void)program_send(m, to, MSG_CONSULT_GOT, str_of((const char *)&r, sizeof r), STR_NONE,
                           -1);
}

void consult_asked(struct monitor *m, struct program *p)
{
    struct program *fetch = &m->program[FETCH_SLOT];
    struct msg_consult q = {
        .id = m->msg.u.consult.id, .wait_ms = m->msg.u.consult.wait_ms, .engine = p->engine};
    struct str body = msg_text(&m->msg, sizeof q);
    if (!m->conf->policy.consult.url.len || fetch->state != PROGRAM_RUNNING ||
        !tokens_take(&p->consults, m->loop.now.mono, CONSULTS_PER_S) ||
        program_send(m, fetch, MSG_CONSULT_GET, str_of((const char *)&q, sizeof q), body, -1) != OK)
        answer(m, p->engine, q.id, REASON_consult_failed);
}

void consult_done(struct monitor *m, struct program *p)
{
    const struct msg_consult *r = &m->msg.u.consult;
    bool known = r->reason == REASON_NONE || r->reason == REASON_fraud_asked ||
                 r->reason == REASON_consult_failed;
    if (r->engine >= m->n_engines || !known) {
        program_kill(m, p, "what it says of a call is not sound");
        return;
    }
    answer(m, r->engine, r->id, r->reason);
}
