#include "call/gate.h"

static gate_fn *const gates[GATE_COUNT] = {
    [GATE_SOURCE] = gate_source,       [GATE_RATE] = gate_rate,
    [GATE_SANITY] = gate_sanity,       [GATE_SIGNATURE] = gate_signature,
    [GATE_EMERGENCY] = gate_emergency, [GATE_IDENTITY] = gate_identity,
    [GATE_RIGHT] = gate_right,         [GATE_FRAUD] = gate_fraud,
    [GATE_CAPACITY] = gate_capacity,   [GATE_ROUTE] = gate_route,
};

void request_init(struct request *r, const struct sip_msg *m, const struct flow *f, struct now now)
{
    memset(r, 0, sizeof *r);
    r->m = m;
    r->flow = *f;
    r->now = now;
    r->zone = r->peer = r->role = POLICY_NONE;
}

/* Writes the verdict of gate g into the trace and says whether the run goes on. */
static bool note(struct request *r, enum gate_id g, struct verdict *v)
{
    v->gate = g;
    r->next = (uint8_t)g;
    if (v->kind == VERDICT_WAIT)
        return false;
    r->trace.gate[g].verdict = v->kind;
    r->trace.gate[g].reason = (uint16_t)v->reason;
    return v->kind == VERDICT_PASS;
}

static struct verdict run_from(const struct gate_env *e, struct request *r, unsigned first,
                               struct ask *ask)
{
    struct verdict v = gate_pass();
    for (unsigned g = first; g < GATE_COUNT; g++) {
        v = gates[g](e, r, ask);
        if (!note(r, (enum gate_id)g, &v))
            return v;
    }
    return v;
}

struct verdict gates_run(const struct gate_env *e, struct request *r, struct ask *ret_ask)
{
    return run_from(e, r, 0, ret_ask);
}

struct verdict gates_resume(const struct gate_env *e, struct request *r, const struct answer *a)
{
    struct verdict v = gate_identity_answer(e, r, a);
    if (!note(r, GATE_IDENTITY, &v))
        return v;
    return run_from(e, r, GATE_IDENTITY + 1, NULL);
}

/* Phones that know only MD5 stumble over any other challenge, so a user with a live MD5 waiver is
 * offered MD5 alone and everybody else never. A name that does not exist is treated as one with a
 * waiver as often as those that exist, always the same way, so the answer tells nothing. */
bool gate_offers_md5(const struct gate_env *e, const struct request *r)
{
    const struct directory *d = e->directory;
    struct str uri = gate_claimed(r->m);
    struct sip_uri u;
    if (!d || !d->n_md5 || sip_uri_parse(uri, &u) != OK)
        return false;
    const struct directory_user *known =
        directory_find(d, u.user, policy_text(e->policy, e->policy->domains[0]));
    if (known)
        return known->md5_until.us > r->now.wall.us;
    return (siphash(&e->nonce_key, u.user) >> 32) * d->n_users < (uint64_t)d->n_md5 << 32;
}

void gates_challenge_put(const struct gate_env *e, const struct request *r, struct out *o)
{
    char nonce[NONCE_CHARS];
    nonce_mint_for(&e->nonce_key, r->now.wall, e->rng, gate_mark(e, &r->flow.peer), nonce);
    bool md5 = gate_offers_md5(e, r);
    for (unsigned a = 0; a < DIGEST_ALG_COUNT; a++) {
        if ((a == DIGEST_MD5) != md5)
            continue;
        OUT_LIT(o, "WWW-Authenticate: Digest realm=\"");
        out_put(o, policy_text(e->policy, e->policy->domains[0]));
        OUT_LIT(o, "\", nonce=\"");
        out_put(o, str_of(nonce, sizeof nonce));
        OUT_LIT(o, "\", algorithm=");
        out_put(o, digest_alg_name((enum digest_alg)a));
        OUT_LIT(o, ", qop=\"auth\"");
        if (r->stale)
            OUT_LIT(o, ", stale=true");
        OUT_LIT(o, "\r\n");
    }
    gate_bearer_put(e, r, o);
}

static void unsupported_put(const struct request *r, struct out *o)
{
    struct sip_list it = {0};
    struct str tag;
    while (sip_list_next(r->m, HDR_REQUIRE, &it, &tag))
        if (!gate_extension_known(tag)) {
            OUT_LIT(o, "Unsupported: ");
            out_put(o, tag);
            OUT_LIT(o, "\r\n");
        }
}

void gates_answer_put(const struct gate_env *e, const struct request *r, const struct verdict *v,
                      struct out *o)
{
    if (v->kind == VERDICT_CHALLENGE)
        gates_challenge_put(e, r, o);
    else if (v->reason == REASON_sip_extension_required)
        unsupported_put(r, o);
    else if (v->code == 503)
        OUT_LIT(o, "Retry-After: 5\r\n");
}
