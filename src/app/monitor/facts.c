/* What the monitor tells the store. */
#include "call/facts.h"
#include "app/monitor/notify.h"
#include "app/monitor/state.h"

static struct fact_waiting *at(struct monitor *m, uint32_t i)
{
    return &m->facts[(m->first_fact + i) % FACTS_WAITING];
}

bool facts_wait(const struct monitor *m)
{
    return m->sent_facts < m->n_facts && m->program[STORE_SLOT].state == PROGRAM_RUNNING;
}

/* They are kept when they are sent: a store that starts again is told them again, and leaves out by
 * their number what it had committed. One that does not take them now is not waited for. */
void facts_send(struct monitor *m)
{
    struct program *store = &m->program[STORE_SLOT];
    for (; facts_wait(m); m->sent_facts++) {
        const struct fact_waiting *f = at(m, m->sent_facts);
        if (channel_send(&store->ch, MSG_FACT, str_of((const char *)f->bytes, f->n), -1) != OK)
            return;
    }
}

void facts_again(struct monitor *m)
{
    m->sent_facts = 0;
    facts_send(m);
}

void fact_tell(struct monitor *m, struct fact *f)
{
    size_t n = fact_size((enum fact_kind)f->kind);
    if (n == 0 || n > sizeof m->facts[0].bytes) /* none that the monitor tells is longer */
        return;
    if (m->n_facts == FACTS_WAITING && m->sent_facts) {
        m->first_fact = (m->first_fact + 1) % FACTS_WAITING;
        m->n_facts--;
        m->sent_facts--;
    }
    if (m->n_facts == FACTS_WAITING) { /* the log has the lines */
        m->lost_facts++;
        return;
    }
    f->bytes = (uint16_t)n;
    f->engine = UINT8_MAX;
    f->seq = ++m->fact_seq;
    f->wall_us = m->loop.now.wall.us;
    struct fact_waiting *w = at(m, m->n_facts++);
    w->n = n;
    memcpy(w->bytes, f, n);
    facts_send(m);
    notify_fact(m, f);
}

void monitor_fact(struct monitor *m, const struct program *p, int32_t pid, int32_t status,
                  const char *what)
{
    struct fact f;
    char label[24] = "monitor";
    memset(&f, 0, sizeof f);
    if (p)
        program_label(p, label);
    f.kind = FACT_PROCESS;
    TEXT_SET(f.u.process.program, str_c(label));
    TEXT_SET(f.u.process.what, str_c(what));
    f.u.process.pid = pid;
    f.u.process.status = status;
    fact_tell(m, &f);
}
