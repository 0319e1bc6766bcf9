/* Bearer tokens (RFC 8898), beside digest: who brings one that is right needs no password. */
#include "call/gate.h"
#include "identity/token.h"

/* The first bearer token of the request. */
static bool bearer(const struct sip_msg *m, struct str *ret_token)
{
    static const enum sip_hdr where[] = {HDR_AUTHORIZATION, HDR_PROXY_AUTHORIZATION};
    for (size_t i = 0; i < ARRAY_LEN(where); i++) {
        uint16_t it = 0;
        struct str v;
        while (sip_next(m, where[i], &it, &v)) {
            if (!str_istarts(v, STR("Bearer ")))
                continue;
            v = str_skip(v, 7);
            while (v.n > 0 && v.p[0] == ' ')
                v = str_skip(v, 1);
            while (v.n > 0 && v.p[v.n - 1] == ' ')
                v.n--;
            *ret_token = v;
            return true;
        }
    }
    return false;
}

bool gate_bearer(const struct gate_env *e, struct request *r, struct ask *ask,
                 struct verdict *ret_v)
{
    char mem[JWT_TOKEN_MAX];
    const struct policy *p = e->policy;
    struct str token, user, host;
    (void)ask;
    if (!p->tokens.bearer || !bearer(r->m, &token))
        return false;
    enum reason why =
        token_judge(&p->tokens, str_of(p->text, p->text_n), token, r->now.wall, mem, &user, &host);
    if (why == REASON_NONE && host.n > 0 && !policy_domain(p, host))
        why = REASON_auth_token;
    if (why != REASON_NONE) {
        *ret_v = gate_challenge(why);
        return true;
    }
    uint64_t by_uri = r->aor_hash;
    gate_names(e, r, user);
    struct verdict banned = r->aor_hash != by_uri ? gate_ban_party(e, r) : gate_pass();
    if (banned.kind != VERDICT_PASS)
        *ret_v = banned;
    else if (r->locked && !r->emergency)
        *ret_v = gate_refuse(REASON_shield_party);
    else if (!gate_cert_fits(e, r, user))
        *ret_v = gate_refuse(REASON_auth_cert);
    else
        *ret_v = gate_accept_user(e, r, user, true);
    return true;
}

void gate_bearer_put(const struct gate_env *e, const struct request *r, struct out *o)
{
    const struct policy *p = e->policy;
    struct str token;
    if (!p->tokens.bearer)
        return;
    OUT_LIT(o, "WWW-Authenticate: Bearer realm=\"");
    out_put(o, policy_text(p, p->domains[0]));
    if (p->tokens.authz_server.len) {
        OUT_LIT(o, "\", authz_server=\"");
        out_put(o, policy_text(p, p->tokens.authz_server));
    }
    if (p->tokens.scope.len) {
        OUT_LIT(o, "\", scope=\"");
        out_put(o, policy_text(p, p->tokens.scope));
    }
    if (bearer(r->m, &token))
        OUT_LIT(o, "\", error=\"invalid_token");
    OUT_LIT(o, "\"\r\n");
}
