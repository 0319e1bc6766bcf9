/* Identity of callers from peers that are verified (RFC 8224, 8225, 8588): the token must say who
 * calls whom, be fresh, and be signed by the holder of a certificate that may speak for the number.
 * The certificate is read from a board; one that is not there is asked for, and the call waits. */
#include "call/certs.h"
#include "call/gate.h"
#include "crypto/es256.h"
#include "identity/passport.h"

#define SPOKEN_MAX 32u

/* A number as a message says it: international by the peer's site, and its digits as they stand
 * (many leave out the '+'). */
struct spoken {
    char text[SPOKEN_MAX];
    struct number number;
    size_t n;
};

static bool spoken_of(const struct gate_env *e, const struct request *r, struct str uri,
                      struct spoken *ret_s)
{
    const struct policy *p = e->policy;
    struct dial_plan plan = policy_plan(p, policy_site(p, policy_text(p, p->peers[r->peer].site)));
    struct spoken s = {.n = 0};
    if (gate_anonymous(uri) || !dialled_of_uri(uri, s.text, sizeof s.text, &s.n) ||
        number_of(&plan, str_of(s.text, s.n), &s.number) != OK)
        return false;
    *ret_s = s;
    return true;
}

/* The form of it that the token has; else the international one. */
static struct str spoken_as(const struct spoken *s, struct str tn)
{
    struct str raw = str_of(s->text, s->n), e164 = str_of(s->number.e164, s->number.n);
    raw = str_starts(raw, STR("+")) ? str_skip(raw, 1) : raw;
    return str_eq(raw, tn) || !e164.n ? raw : str_skip(e164, 1);
}

/* Everything that the callee may be shown as the caller has to be the one number: From unless it
 * is anonymous, and what a trusted peer asserts. */
static bool callers(const struct gate_env *e, const struct request *r, struct str tn,
                    struct spoken *ret_s)
{
    const struct sip_msg *m = r->m;
    struct str from = sip_text(m, m->from_uri), one;
    struct spoken s;
    bool any = false;
    struct sip_list it = {0};
    if (!gate_anonymous(from)) {
        if (!spoken_of(e, r, from, &s))
            return false;
        *ret_s = s;
        any = true;
    }
    while (e->policy->peers[r->peer].trust_identity &&
           sip_list_next(m, HDR_P_ASSERTED_IDENTITY, &it, &one)) {
        struct sip_nameaddr na;
        if (sip_nameaddr_parse(one, &na) != OK || !spoken_of(e, r, na.uri, &s))
            return false;
        if (any && !str_eq(spoken_as(&s, tn), spoken_as(ret_s, tn)))
            return false;
        *ret_s = s;
        any = true;
    }
    return any;
}

/* Whom the request goes to: its Request-URI, or To where that is no number. A token for one callee
 * is worth nothing at another. */
static bool callee(const struct gate_env *e, const struct request *r, struct spoken *ret_s)
{
    return spoken_of(e, r, sip_text(r->m, r->m->uri), ret_s) ||
           spoken_of(e, r, sip_text(r->m, r->m->to_uri), ret_s);
}

struct token {
    struct identity_field f;
    struct passport p;
    char mem[PASSPORT_BYTES];
};

/* The first token of a kind that says who calls; others (div, rph) say something else. */
static enum reason token_find(const struct request *r, struct token *t)
{
    struct sip_list it = {0};
    struct str v;
    enum reason why = REASON_stir_no_identity;
    while (sip_list_next(r->m, HDR_IDENTITY, &it, &v)) {
        if (identity_parse(v, &t->f) == OK && (!t->f.ppt.n || str_ieq(t->f.ppt, STR("shaken"))))
            return REASON_NONE;
        why = REASON_stir_invalid;
    }
    return why;
}

/* The claims: read, or for the compact form made of what the request says (RFC 8224 4.1). */
static enum reason claims(const struct gate_env *e, const struct request *r, struct token *t)
{
    struct spoken from, to;
    struct passport_want w = {
        .info = t->f.info, .now = r->now.wall, .fresh_s = e->policy->stir.fresh_s};
    if (!t->f.compact && passport_parse(t->f.header, t->f.claims, t->mem, &t->p) != OK)
        return REASON_stir_invalid;
    if (t->f.compact) {
        t->p = (struct passport){.x5u = t->f.info, .n_tn = 1};
        if (t->f.ppt.n || sip_date_parse(sip_get(r->m, HDR_DATE), &t->p.iat) != OK)
            return REASON_stir_invalid; /* what shaken says more cannot be made of the request */
    }
    struct str tn = t->p.n_tn ? t->p.dest_tn[0] : STR_NONE;
    if (!callers(e, r, t->p.orig_tn, &from) || !callee(e, r, &to))
        return REASON_stir_invalid;
    w.orig = spoken_as(&from, t->p.orig_tn);
    w.dest = spoken_as(&to, tn);
    for (uint8_t i = 1; i < t->p.n_tn && !str_eq(w.dest, tn); i++) {
        tn = t->p.dest_tn[i];
        w.dest = spoken_as(&to, tn);
    }
    if (t->f.compact) {
        size_t n = MIN(w.orig.n, (size_t)PASSPORT_TN_MAX),
               k = MIN(w.dest.n, (size_t)PASSPORT_TN_MAX);
        memcpy(t->mem, w.orig.p, n);
        memcpy(t->mem + n, w.dest.p, k);
        t->p.orig_tn = str_of(t->mem, n);
        t->p.dest_tn[0] = str_of(t->mem + n, k);
    }
    return passport_judge(&t->p, &w);
}

static enum reason signature(const struct token *t, const struct certs_row *row)
{
    char input[2 * PASSPORT_TEXT + 2];
    uint8_t sig[PASSPORT_SIG];
    struct out o = out_of(input, sizeof input);
    if (t->f.compact) {
        passport_put(&o, &t->p);
    } else {
        out_put(&o, t->f.header);
        out_ch(&o, '.');
        out_put(&o, t->f.claims);
    }
    if (o.full || identity_signature(&t->f, sig) != OK ||
        es256_verify(row->key, out_str(&o), sig) != OK)
        return REASON_stir_invalid;
    return certs_covers(row, t->p.orig_tn) ? REASON_NONE : REASON_stir_credential;
}

static struct verdict none(const struct gate_env *e, struct request *r)
{
    r->verstat = REASON_stir_no_identity;
    return e->policy->stir.refuse_none ? gate_refuse(REASON_stir_no_identity) : gate_pass();
}

static struct verdict failed(const struct gate_env *e, struct request *r, enum reason why)
{
    r->verstat = (uint16_t)why;
    return e->policy->stir.refuse_failed ? gate_refuse(why) : gate_pass();
}

/* missing: why there is no certificate after it was asked for. ask NULL: it cannot be asked for
 * again. */
static struct verdict judge(const struct gate_env *e, struct request *r, struct ask *ask,
                            enum reason missing)
{
    struct token t;
    struct certs_row row;
    const struct policy *p = e->policy;
    enum reason why = token_find(r, &t);
    r->attest = 0;
    if (why == REASON_stir_no_identity)
        return none(e, r);
    if (why == REASON_NONE)
        why = claims(e, r, &t);
    if (why == REASON_NONE && !stir_url_allowed(&p->stir, str_of(p->text, p->text_n), t.f.info))
        why = REASON_stir_bad_info;
    if (why != REASON_NONE)
        return failed(e, r, why);
    enum err have = certs_get(e->certs, sizeof *e->certs, t.f.info, r->now.wall, &row);
    if (have == OK && (int32_t)(row.generation - p->generation) < 0)
        have = ERR_NOT_FOUND; /* by rules that hold no more; fetch has not taken the new ones yet */
    if (have == ERR_NOT_FOUND && ask && e->certs) {
        memset(ask, 0, offsetof(struct ask, text));
        ask->kind = ASK_CERT;
        if (ask_add(ask, t.f.info, &ask->user))
            return (struct verdict){.kind = VERDICT_WAIT};
    }
    if (have != OK)
        return failed(e, r, missing);
    why = row.why != REASON_NONE ? (enum reason)row.why : signature(&t, &row);
    if (why != REASON_NONE)
        return failed(e, r, why);
    r->attest = (uint8_t)(t.p.ppt.n ? t.p.attest : 'A');
    r->verstat = REASON_NONE;
    return gate_pass();
}

struct verdict gate_stir(const struct gate_env *e, struct request *r, struct ask *ask)
{
    const struct policy *p = e->policy;
    if (r->peer == POLICY_NONE || !p->peers[r->peer].verify || !p->stir.verify)
        return gate_pass();
    return judge(e, r, ask, REASON_stir_bad_info);
}

struct verdict gate_stir_answer(const struct gate_env *e, struct request *r, const struct answer *a)
{
    bool known = a->reason == REASON_stir_credential;
    return judge(e, r, NULL, known ? REASON_stir_credential : REASON_stir_bad_info);
}
