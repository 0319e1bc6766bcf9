/* What peers' certificates prove, and whether they still do. */
#include "app/engine/engine.h"
#include <stdlib.h>

#define CONN_SANS 64u
/* Without memory its certificate proves nothing. */
void certs_proof(struct conn *c)
{
    struct str name;
    struct proof *p = calloc(1, sizeof *p);
    if (!p || !tls_peer_fingerprint(c->tls, p->fingerprint)) {
        free(p);
        return;
    }
    bool domain = tls_peer_domain_only(c->tls);
    for (unsigned i = 0; !domain && i < CONN_SANS && tls_peer_name(c->tls, i, &name); i++)
        proof_add(p, name);
    bool sip = false;
    for (unsigned i = 0; i < CONN_SANS && tls_peer_name(c->tls, i, &name); i++)
        sip = sip || str_istarts(name, STR("sip:"));
    for (unsigned i = 0; i < CONN_SANS && tls_peer_name(c->tls, i, &name); i++)
        if (!sip || !str_starts(name, STR("dns:")))
            proof_add_domain(p, name);
    c->proof = p;
}

enum reason certs_reason(const struct conn *c)
{
    switch (tls_why(c->tls)) {
    case TLS_WHY_EXPIRED:
        return REASON_tls_cert_expired;
    case TLS_WHY_REVOKED:
        return REASON_tls_cert_revoked;
    case TLS_WHY_OTHER:
    default:
        return REASON_tls_peer_cert;
    }
}

/* Authorities or revocations have changed: who would not be let in now, is not kept. */
void certs_judge(struct engine *e)
{
    uint32_t it = 0;
    for (struct conn *c; (c = pool_next(&e->conns, &it)) != NULL;) {
        if (c->state != CONN_UP || !c->tls || !c->verified)
            continue;
        struct tls_ctx *now = c->incoming ? e->server[c->flow.listener] : e->client;
        if (now && tls_still(c->tls, now) == ERR_AUTH)
            conn_end(c, certs_reason(c));
    }
}
