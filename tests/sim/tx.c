/* Transactions of the simulated agents: repetition over a lossy network, RFC 3261 section 17 in
 * short. */
#include "sim.h"

static void tick(struct sim *s, void *who, int64_t arg)
{
    struct tx *t = who;
    (void)arg;
    if (t->done)
        return;
    if (s->g.now.mono.us >= t->give_up) {
        t->done = true;
        if (!t->server)
            ua_timeout(s, t);
        else if (t->to_2xx)
            ua_ack_missing(s, t);
        return;
    }
    sim_to_gateway(s, t->ua, str_of(t->bytes, t->n));
    t->interval_ms = t->invite && !t->server ? 2 * t->interval_ms : MIN(2 * t->interval_ms, 4000);
    sim_at(s, t->interval_ms, tick, t, 0);
}

static struct tx *tx_new(struct sim *s, struct ua *u, struct dlg *d, const char *method)
{
    struct tx *t = calloc(1, sizeof *t);
    t->next = s->txs;
    s->txs = t;
    t->ua = u;
    t->d = d;
    (void)snprintf(t->method, sizeof t->method, "%s", method);
    t->invite = strcmp(method, "INVITE") == 0;
    return t;
}

struct tx *tx_client(struct sim *s, struct ua *u, struct dlg *d, const char *method)
{
    struct tx *t = tx_new(s, u, d, method);
    (void)snprintf(t->branch, sizeof t->branch, "z9hG4bK%s%u", u->pbx ? "pbx-" : "fone-",
                   s->branch++);
    t->cseq = ++d->cseq;
    return t;
}

struct tx *tx_server(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m)
{
    char method[12];
    (void)snprintf(method, sizeof method, STR_FMT, STR_ARG(sip_text(m, m->method_text)));
    struct tx *t = tx_new(s, u, d, method);
    t->server = true;
    t->cseq = m->cseq;
    (void)snprintf(t->branch, sizeof t->branch, STR_FMT, STR_ARG(sip_text(m, m->via_branch)));
    if (t->invite) {
        t->req = malloc(m->bytes.n);
        t->req_n = m->bytes.n;
        memcpy(t->req, m->bytes.p, m->bytes.n);
    }
    return t;
}

struct tx *tx_find(struct sim *s, struct ua *u, const struct sip_msg *m, const char *method,
                   bool server)
{
    for (struct tx *t = s->txs; t; t = t->next)
        if (t->ua == u && t->server == server && strcmp(t->method, method) == 0 &&
            str_eq(str_c(t->branch), sip_text(m, m->via_branch)))
            return t;
    return NULL;
}

static void keep(struct tx *t, struct str bytes)
{
    free(t->bytes);
    t->bytes = malloc(bytes.n);
    memcpy(t->bytes, bytes.p, bytes.n);
    t->n = bytes.n;
}

void tx_send(struct sim *s, struct tx *t, struct str bytes)
{
    keep(t, bytes);
    t->interval_ms = 500;
    t->give_up = s->g.now.mono.us + 32000000;
    sim_to_gateway(s, t->ua, bytes);
    sim_at(s, 500, tick, t, 0);
}

/* INVITE: a final response is repeated until its ACK. */
void tx_respond(struct sim *s, struct tx *t, unsigned code, struct str bytes)
{
    bool first = t->code < 200;
    keep(t, bytes);
    t->code = code;
    sim_to_gateway(s, t->ua, bytes);
    if (t->invite && code >= 200 && first) {
        t->to_2xx = code < 300;
        t->interval_ms = 500;
        t->give_up = s->g.now.mono.us + 32000000;
        sim_at(s, 500, tick, t, 0);
    }
}
