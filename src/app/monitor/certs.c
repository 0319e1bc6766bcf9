/* Certificates of those who sign calls: fetch brings and judges them, engines ask for them through
 * us, so that neither has a way to the other. */
#include "call/certs.h"
#include "app/monitor/lists.h"
#include "io/file.h"
#include <errno.h>
#include <string.h>

#define CERTS_PER_S 100
#define TEXT_MAX    (2u << 20)

static const char *const AUTHORITIES[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
};

static void answer(struct monitor *m, uint8_t engine, uint32_t id, uint16_t why)
{
    struct program *to = engine < m->n_engines ? &m->program[ENGINE_SLOT(engine)] : NULL;
    struct msg_cert r = {.id = id, .engine = engine, .reason = why};
    if (to && to->state == PROGRAM_RUNNING)
        (void)program_send(m, to, MSG_CERT_GOT, str_of((const char *)&r, sizeof r), STR_NONE, -1);
}

void certs_asked(struct monitor *m, struct program *p)
{
    struct program *fetch = &m->program[FETCH_SLOT];
    struct msg_cert q = {.id = m->msg.u.cert.id, .engine = p->engine};
    struct str url = msg_text(&m->msg, sizeof q);
    if (!m->conf->policy.stir.verify || fetch->state != PROGRAM_RUNNING ||
        !tokens_take(&p->certs, m->loop.now.mono, CERTS_PER_S) ||
        program_send(m, fetch, MSG_CERT_GET, str_of((const char *)&q, sizeof q), url, -1) != OK)
        answer(m, p->engine, q.id, REASON_stir_bad_info);
}

void certs_done(struct monitor *m, struct program *p)
{
    const struct msg_cert *r = &m->msg.u.cert;
    if (r->engine >= m->n_engines || r->reason >= REASON_COUNT) {
        program_kill(m, p, "what it says of a certificate is not sound");
        return;
    }
    answer(m, r->engine, r->id, r->reason);
}

/* NULL or empty: the first of the system's. */
static enum err give(struct monitor *m, struct program *p, uint8_t what, const char *path)
{
    static char text[TEXT_MAX];
    size_t n = 0;
    enum err e = *path ? file_read(path, text, sizeof text, &n) : ERR_NOT_FOUND;
    for (size_t i = 0; !*path && i < ARRAY_LEN(AUTHORITIES) && e == ERR_NOT_FOUND; i++)
        e = file_read(AUTHORITIES[i], text, sizeof text, &n);
    if (e != OK && *path)
        monitor_log(m, SEV_WARN, "%s: %s", path, e == ERR_LIMIT ? "too large" : strerror(errno));
    struct shared s = {-1, e == OK ? n : 0};
    if (e != OK || n == 0) { /* then none is believed */
        text[0] = '\n';
        s.n = 1;
    }
    e = memfd_sealed("ringwall-authorities", text, (size_t)s.n, &s.fd);
    struct msg_attach a = {.kind = ATTACH_RESOLVER, .a = what, .bytes = s.n};
    if (e == OK)
        e = program_send(m, p, MSG_ATTACH, str_of((const char *)&a, sizeof a), STR_NONE, s.fd);
    shared_close(&s);
    return e;
}

enum err certs_give(struct monitor *m, struct program *p)
{
    enum err e = OK;
    if (m->conf->policy.consult.url.len)
        e = give(m, p, 4, m->conf->consult_ca);
    if (!m->conf->policy.stir.verify || e != OK)
        return e;
    e = give(m, p, 2, m->conf->stir_trusted);
    return e == OK ? give(m, p, 3, m->conf->stir_ca) : e;
}

void certs_policy_changed(struct monitor *m)
{
    struct program *p = &m->program[FETCH_SLOT];
    if ((p->state == PROGRAM_SETUP || p->state == PROGRAM_RUNNING) && certs_give(m, p) != OK)
        return; /* it has been killed, and is given them when it starts again */
}
