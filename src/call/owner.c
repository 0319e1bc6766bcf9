/* Whose message is it? What bears a token of ours is of the engine that minted it; all else of the
 * engine that somebody is at home in, or the one that the Call-ID says. */
#include "call/exchange.h"

static bool owner_by_token(const struct core *c, struct str text, enum token_kind kind,
                           uint8_t *ret_engine)
{
    struct token t;
    if (token_open(&c->cfg.token_keys, text, kind, &t) != OK || t.engine >= c->cfg.engines)
        return false;
    *ret_engine = t.engine;
    return true;
}

/* What people cost, were allowed and did lies in one engine, that of their user, or of the phone
 * that does not say whose it is. Calls of a peer, which is many people, are spread. */
static bool of_a_phone(const struct core *c, const struct sip_msg *m, const struct flow *f)
{
    const struct policy *p = c->policy;
    if (m->method != SIP_INVITE && m->method != SIP_CANCEL)
        return false;
    uint8_t z = policy_zone_of(p, f->listener, &f->peer);
    return z != POLICY_NONE && p->zones[z].registration &&
           policy_peer_of(p, z, &f->peer) == POLICY_NONE;
}

static uint8_t home_of(const struct core *c, const struct sip_msg *m, const struct flow *f)
{
    const struct sipkey *k = &c->cfg.hash_key;
    uint8_t n = c->cfg.engines;
    bool registers = m->method == SIP_REGISTER, phone = of_a_phone(c, m, f);
    char mem[LOCATION_AOR_MAX];
    size_t len = 0;
    if (!registers && !phone)
        return (uint8_t)(siphash(k, sip_text(m, m->call_id)) % n);
    struct str uri = sip_text(m, registers ? m->to_uri : m->from_uri);
    if (!aor_of_uri(c->policy, uri, mem, sizeof mem, &len))
        return (uint8_t)(addr_hash(k, &f->peer) % n);
    struct str aor = str_of(mem, len);
    if (registers)
        return (uint8_t)(siphash(k, aor) % n);
    return ledger_home(ledger_key_of(&c->cfg.ledger_key, LEDGER_IDENTITY, aor), n);
}

uint8_t owner_of(const struct core *c, const struct sip_msg *m, const struct flow *f)
{
    uint8_t e = c->cfg.engine;
    if (c->cfg.engines == 1)
        return e;
    if (!m->is_request) {
        struct str branch = sip_text(m, m->via_branch);
        if (branch.n == BRANCH_CHARS)
            (void)owner_by_token(c, str_skip(branch, strlen(BRANCH_COOKIE)), TOKEN_BRANCH, &e);
        return e;
    }
    if (m->to_tag.len && sub_owner(c, m, &e))
        return e;
    if (m->to_tag.len && owner_by_token(c, sip_text(m, m->to_tag), TOKEN_TAG, &e))
        return e;
    struct replaces r;
    if (m->method == SIP_INVITE && sip_has(m, HDR_REPLACES) &&
        replaces_parse(sip_get(m, HDR_REPLACES), &r) == OK &&
        owner_by_token(c, r.to_tag, TOKEN_TAG, &e))
        return e; /* where the call is that it steps into */
    return home_of(c, m, f);
}
