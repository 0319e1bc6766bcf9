/* Identity: peers by their address (and certificate where the zone demands one), everybody else by
 * digest (RFC 3261 22, 7616, 8760), decided by the vault. An unknown user costs the same question.
 */
#include "call/gate.h"

static struct verdict again(struct request *r, enum reason why)
{
    r->stale = why == REASON_auth_stale;
    return gate_challenge(why);
}

/* The credentials for our realm, if any. */
static bool credentials(const struct gate_env *e, const struct sip_msg *m, struct sip_auth *ret_a,
                        enum reason *ret_why)
{
    static const enum sip_hdr where[] = {HDR_AUTHORIZATION, HDR_PROXY_AUTHORIZATION};
    struct str realm = policy_text(e->policy, e->policy->domains[0]);
    *ret_why = REASON_auth_required;
    for (size_t i = 0; i < ARRAY_LEN(where); i++) {
        uint16_t it = 0;
        struct str v;
        while (sip_next(m, where[i], &it, &v)) {
            if (sip_auth_parse(v, ret_a) != OK) {
                *ret_why = REASON_auth_syntax;
                return false;
            }
            if (str_ieq(ret_a->scheme, STR("Digest")) && str_eq(ret_a->realm, realm))
                return true;
        }
    }
    return false;
}

/* The digest's uri must name a resource of this gateway. Phones and load tools do not all repeat
 * the Request-URI (some name only the server), and the digest protects neither Request-URI nor body
 * of a SIP request anyway: replay is what the nonce count stops. */
static bool our_uri(const struct gate_env *e, struct str digest_uri, struct str request_uri)
{
    struct sip_uri u;
    return str_eq(digest_uri, request_uri) ||
           (sip_uri_parse(digest_uri, &u) == OK && (u.scheme == URI_SIP || u.scheme == URI_SIPS) &&
            policy_domain(e->policy, u.host));
}

/* "alice" or "alice@example.com" as user name: ret_user is alice. Credentials of web clients put
 * the second of their end in front ("1767225600:alice"): the vault makes their password. */
static bool user_part(const struct gate_env *e, struct str name, struct str *ret_user)
{
    int64_t end;
    struct str whose;
    if (e->policy->tokens.hmac && token_hmac_name(name, &end, &whose))
        name = whose;
    struct str host = str_cut(name, '@', ret_user);
    return ret_user->n && (!host.n || policy_domain(e->policy, host));
}

bool gate_anonymous(struct str uri)
{
    struct sip_uri u;
    return sip_uri_parse(uri, &u) == OK && u.scheme <= URI_SIPS &&
           (str_ieq(u.host, STR("anonymous.invalid")) || str_ieq(u.user, STR("anonymous")));
}

struct str gate_claimed(const struct sip_msg *m)
{
    struct sip_list it = {0};
    struct sip_nameaddr na;
    struct str one, uri = sip_text(m, m->method == SIP_REGISTER ? m->to_uri : m->from_uri);
    if (m->method == SIP_REGISTER || !gate_anonymous(uri))
        return uri;
    if (sip_list_next(m, HDR_P_PREFERRED_IDENTITY, &it, &one) && sip_nameaddr_parse(one, &na) == OK)
        return na.uri;
    return STR_NONE;
}

/* Who the request says it is from must be who proved itself; one that says nothing is who it
 * proved to be. */
static bool claims(const struct gate_env *e, const struct request *r, struct str user)
{
    char aor[LOCATION_AOR_MAX];
    size_t n;
    struct str uri = gate_claimed(r->m), have;
    if (!uri.n)
        return true;
    if (!aor_of_uri(e->policy, uri, aor, sizeof aor, &n))
        return false;
    str_cut(str_of(aor, n), '@', &have);
    return str_eq(have, user);
}

bool gate_cert_fits(const struct gate_env *e, const struct request *r, struct str user)
{
    struct str realm = policy_text(e->policy, e->policy->domains[0]);
    bool both = e->policy->zones[r->zone].authenticate == AUTH_BOTH;
    if (!r->proof || r->proof->n == 0)
        return !both;
    return proof_names(r->proof, user, realm);
}

static struct verdict ask_vault(const struct request *r, const struct sip_auth *a, struct str user,
                                enum digest_alg alg, struct ask *q)
{
    char ha2[DIGEST_HEX_MAX];
    bool auth_int = str_ieq(a->qop, STR("auth-int"));
    if (digest_ha2(alg, sip_text(r->m, r->m->method_text), a->uri, auth_int,
                   sip_text(r->m, r->m->body), ha2) != OK)
        return gate_refuse(REASON_auth_unavailable);
    q->kind = ASK_VERIFY;
    q->alg = (uint8_t)alg;
    q->n = 0;
    if (!ask_add(q, user, &q->user) || !ask_add(q, a->realm, &q->realm) ||
        !ask_add(q, a->nonce, &q->nonce) || !ask_add(q, a->nc, &q->nc) ||
        !ask_add(q, a->cnonce, &q->cnonce) || !ask_add(q, a->qop, &q->qop) ||
        !ask_add(q, str_of(ha2, digest_hex_chars(alg)), &q->ha2) ||
        !ask_add(q, a->response, &q->response))
        return gate_refuse(REASON_auth_syntax);
    return (struct verdict){.kind = VERDICT_WAIT};
}

static bool web_name(const struct gate_env *e, struct str name)
{
    int64_t end;
    struct str user;
    return e->policy->tokens.hmac && token_hmac_name(name, &end, &user);
}

/* Those of web clients have an end, not too far off. */
static enum reason web_client(const struct gate_env *e, const struct request *r, struct str name)
{
    int64_t end = 0, now = r->now.wall.us / 1000000;
    struct str user;
    if (!e->policy->tokens.hmac || !token_hmac_name(name, &end, &user))
        return REASON_NONE;
    if (now >= end)
        return REASON_auth_token_expired;
    return end - now > (int64_t)e->policy->tokens.hmac_life_s + TOKEN_SKEW_S ? REASON_auth_failed
                                                                             : REASON_NONE;
}

static struct verdict by_digest(const struct gate_env *e, struct request *r, struct ask *q)
{
    struct sip_auth a;
    enum reason why;
    enum digest_alg alg;
    struct str user;
    if (!credentials(e, r->m, &a, &why))
        return why == REASON_auth_required ? again(r, why) : gate_refuse(why);
    if (digest_alg_parse(a.algorithm, &alg) != OK || (alg == DIGEST_MD5) != gate_offers_md5(e, r))
        return again(r, REASON_auth_algorithm);
    if (!str_ieq(a.qop, STR("auth")) && !str_ieq(a.qop, STR("auth-int")))
        return gate_refuse(REASON_auth_syntax);
    if (a.nc.n != 8 || !a.cnonce.n || a.response.n != digest_hex_chars(alg) ||
        !user_part(e, a.username, &user) || user.n > 64)
        return gate_refuse(REASON_auth_syntax);
    if (!our_uri(e, a.uri, sip_text(r->m, r->m->uri)))
        return gate_refuse(REASON_auth_syntax);
    if (!gate_cert_fits(e, r, user))
        return gate_refuse(REASON_auth_cert);
    enum reason dead = web_client(e, r, a.username);
    if (dead != REASON_NONE)
        return dead == REASON_auth_token_expired ? gate_challenge(dead) : gate_refuse(dead);
    uint64_t by_uri = r->aor_hash;
    gate_names(e, r, user);
    if (r->aor_hash != by_uri) { /* the ban of a user holds whatever From says */
        struct verdict banned = gate_ban_party(e, r);
        if (banned.kind != VERDICT_PASS)
            return banned;
    }
    enum err fresh = nonce_check(&e->nonce_key, a.nonce, r->now.wall, &r->nonce_id);
    if (fresh == OK && nonce_mark(a.nonce) == gate_mark(e, &r->flow.peer))
        r->proven = true;
    if (fresh != OK)
        return again(r, fresh == ERR_REPLAY ? REASON_auth_stale : REASON_auth_nonce_forged);
    return ask_vault(r, &a, web_name(e, a.username) ? a.username : user, alg, q);
}

/* Who the request says it is from, if the certificate of its connection names him; one that says
 * nothing is the first whom the certificate names. */
static struct verdict by_cert(const struct gate_env *e, struct request *r)
{
    struct str uri = gate_claimed(r->m), user, first, name;
    struct str realm = policy_text(e->policy, e->policy->domains[0]);
    char aor[LOCATION_AOR_MAX];
    size_t n = 0;
    if (!r->proof || r->proof->n == 0)
        return gate_refuse(REASON_auth_cert);
    str_cut(proof_text(r->proof), ' ', &first);
    str_cut(first, '@', &name);
    if (uri.n > 0 && !aor_of_uri(e->policy, uri, aor, sizeof aor, &n))
        return gate_refuse(REASON_auth_identity_mismatch);
    str_cut(uri.n > 0 ? str_of(aor, n) : first, '@', &user);
    if (!proof_names(r->proof, user, realm))
        return gate_refuse(REASON_auth_cert);
    uint64_t by_uri = r->aor_hash;
    gate_names(e, r, user);
    struct verdict banned = r->aor_hash != by_uri ? gate_ban_party(e, r) : gate_pass();
    if (banned.kind != VERDICT_PASS)
        return banned;
    if (r->locked && !r->emergency)
        return gate_refuse(REASON_shield_party);
    return gate_accept_user(e, r, user, true);
}

/* A call for help fails for no lock, limit or silence of the vault: who tried to prove himself and
 * could not calls as nobody. Who has not tried is asked first, so that those who can be are called
 * back under their name. What steps into a call that is up, or belongs to one, is no such call. */
static bool passes_as_nobody(const struct request *r)
{
    return r->emergency && !r->in_dialog && r->peer == POLICY_NONE && !gate_joins(r);
}

/* Whatever was wrong, the answer is the same: that of the call. The shield hears of it. */
static struct verdict as_nobody(struct request *r, struct verdict v)
{
    if (v.kind == VERDICT_PASS || v.kind == VERDICT_WAIT || v.kind == VERDICT_CHALLENGE ||
        !passes_as_nobody(r))
        return v;
    r->unproven = (uint16_t)v.reason;
    r->stale = false;
    return (struct verdict){.kind = VERDICT_PASS, .reason = v.reason};
}

/* Where certificates are demanded, one of the same authority that is somebody else's (a phone's,
 * another trunk's) does not make its owner this peer. */
static bool peer_cert_fits(const struct gate_env *e, const struct request *r)
{
    const struct policy *p = e->policy;
    if (p->zones[r->zone].client_cert != 2 || r->peer == POLICY_NONE ||
        !p->peers[r->peer].tls_name.len)
        return true;
    return r->proof && proof_domain(r->proof, policy_text(p, p->peers[r->peer].tls_name));
}

struct verdict gate_identity(const struct gate_env *e, struct request *r, struct ask *ask)
{
    enum sip_method m = r->m->method;
    struct verdict banned = gate_ban_party(e, r);
    if (banned.kind != VERDICT_PASS)
        return banned;
    if (!e->policy->zones[r->zone].authenticate) {
        /* within a dialog also an address that the peer's name had when the call began */
        if (r->peer == POLICY_NONE && !(r->in_dialog && r->dialog_authenticated))
            return gate_refuse(REASON_zone_unknown_source);
        if (!peer_cert_fits(e, r))
            return gate_refuse(REASON_auth_cert);
        r->ident = IDENT_PEER;
        return m == SIP_INVITE && !r->in_dialog && !r->emergency ? gate_stir(e, r, ask)
                                                                 : gate_pass();
    }
    if (m == SIP_ACK || m == SIP_CANCEL || (r->in_dialog && r->dialog_authenticated))
        return gate_pass();
    struct verdict v;
    if (e->policy->zones[r->zone].authenticate == AUTH_CERT)
        v = by_cert(e, r);
    else if (!gate_bearer(e, r, ask, &v))
        v = by_digest(e, r, ask);
    return as_nobody(r, v);
}

/* Nothing but calls for help until it was changed. The days of grace are the policy's. */
static bool password_old(const struct gate_env *e, const struct request *r,
                         const struct directory_user *u)
{
    int64_t grace = (int64_t)e->policy->password_grace_days * 86400 * 1000000;
    return (u->flags & DIRECTORY_MUST_CHANGE) ||
           (u->password_until.us > 0 && r->now.wall.us >= u->password_until.us + grace);
}

struct verdict gate_accept_user(const struct gate_env *e, struct request *r, struct str user,
                                bool other_proof)
{
    struct str realm = policy_text(e->policy, e->policy->domains[0]);
    if (!claims(e, r, user))
        return gate_refuse(REASON_auth_identity_mismatch);
    const struct directory_user *u = directory_find(e->directory, user, realm);
    if (!u || user.n + 1 + realm.n > sizeof r->user)
        return gate_refuse(REASON_auth_failed);
    struct out o = out_of(r->user, sizeof r->user);
    out_put(&o, user);
    out_ch(&o, '@');
    out_put(&o, realm);
    r->user_n = (uint16_t)o.n;
    r->ident = IDENT_USER;
    for (uint8_t i = 0; i < e->policy->n_roles; i++)
        if (str_eq(policy_text(e->policy, e->policy->roles[i].name), str_c(u->role_name)))
            r->role = i;
    r->known = u;
    if (!other_proof && !r->emergency && password_old(e, r, u))
        return gate_refuse(REASON_right_password_old);
    return gate_device(e, r);
}

static struct verdict accept_user(const struct gate_env *e, struct request *r)
{
    struct sip_auth a;
    enum reason why;
    struct str user;
    if (!credentials(e, r->m, &a, &why) || !user_part(e, a.username, &user))
        return gate_refuse(REASON_auth_syntax);
    return gate_accept_user(e, r, user, web_name(e, a.username));
}

static struct verdict answered(const struct gate_env *e, struct request *r, const struct answer *a)
{
    if (a->kind == ASK_CERT)
        return gate_stir_answer(e, r, a);
    if (r->locked && !r->emergency)
        return gate_refuse(REASON_shield_party);
    if (a->reason == REASON_NONE)
        return accept_user(e, r);
    if (a->reason == REASON_auth_replay || a->reason == REASON_auth_algorithm ||
        a->reason == REASON_auth_stale)
        return again(r, (enum reason)a->reason);
    if (a->reason == REASON_auth_unavailable)
        return gate_refuse(REASON_auth_unavailable);
    return gate_refuse(a->reason == REASON_auth_limited ? REASON_auth_limited : REASON_auth_failed);
}

struct verdict gate_identity_answer(const struct gate_env *e, struct request *r,
                                    const struct answer *a)
{
    return as_nobody(r, answered(e, r, a));
}
