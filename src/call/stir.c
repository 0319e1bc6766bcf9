/* Calls that leave are signed by the vault (RFC 8224, 8588) before their INVITE goes out. Who is
 * known to own the number that is shown is attested A, who is known at all B, the rest C
 * (ATIS-1000074 5.2.3). While the vault is asked the leg keeps what it is to sign, and then the
 * whole value: one has no ';', the other has. */
#include "call/core_int.h"
#include "call/gate.h"
#include "crypto/hash.h"
#include "identity/passport.h"

#define UUID_CHARS 36u

static bool number_here(const struct leg *b, struct str user, struct number *ret_n)
{
    const struct policy *p = b->call->core->policy;
    struct dial_plan plan = policy_plan(p, policy_site(p, policy_text(p, p->peers[b->peer].site)));
    struct number n;
    if (number_of(&plan, user, &n) != OK || n.n < 2)
        return false;
    *ret_n = n;
    return true;
}

static bool number_in(const struct leg *b, struct str nameaddr, struct number *ret_n)
{
    struct sip_nameaddr na;
    char text[DIALLED_MAX];
    size_t n;
    return sip_nameaddr_parse(nameaddr, &na) == OK && !gate_anonymous(na.uri) &&
           dialled_of_uri(na.uri, text, sizeof text, &n) && number_here(b, str_of(text, n), ret_n);
}

/* What the peer is shown as the caller. */
static bool caller(const struct leg *b, struct number *ret_n)
{
    char who[512];
    struct out o = out_of(who, sizeof who);
    if (hide_asserted(b, b->call->a->held->m, &o) && number_in(b, out_str(&o), ret_n))
        return true;
    return number_in(b, b->d.local_uri, ret_n);
}

static char attested(const struct leg *b, const struct number *shown)
{
    const struct call *k = b->call;
    const struct directory *d = k->core->env.directory;
    struct str user, host = str_cut(k->user, '@', &user);
    if (k->a->ident != IDENT_USER)
        return 'C';
    const struct directory_user *u = directory_find(d, user, host),
                                *owner = directory_number(d, str_of(shown->e164, shown->n));
    return u && u == owner ? 'A' : 'B';
}

/* The same for all calls of a kind of source, and telling nobody which it is (RFC 8588 5.2.2): a
 * UUID of version 8. */
static bool origid(const struct leg *b, char ret[UUID_CHARS])
{
    const struct policy *p = b->call->core->policy;
    const struct leg *a = b->call->a;
    bool peer = a->peer != POLICY_NONE;
    struct str parts[] = {STR("ringwall stir origid"), policy_text(p, p->stir.x5u),
                          peer ? STR("peer") : STR("users"),
                          peer ? policy_text(p, p->peers[a->peer].name) : STR_NONE};
    uint8_t h[HASH_MAX];
    char hex[32];
    if (hash_parts(HASH_SHA256, parts, ARRAY_LEN(parts), h) != OK)
        return false;
    h[6] = (uint8_t)((h[6] & 0x0f) | 0x80);
    h[8] = (uint8_t)((h[8] & 0x3f) | 0x80);
    hex_encode(h, 16, hex);
    for (size_t i = 0, w = 0; i < sizeof hex; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            ret[w++] = '-';
        ret[w++] = hex[i];
    }
    return true;
}

/* What is to be signed, into o. false: who calls or is called has no number. */
static bool compose(const struct leg *b, struct out *o)
{
    const struct core *c = b->call->core;
    struct number from, to = b->call->called;
    char id[UUID_CHARS];
    if (!caller(b, &from) || (to.n < 2 && !number_here(b, b->call->dialled, &to)) || !origid(b, id))
        return false;
    struct passport p = {.x5u = policy_text(c->policy, c->policy->stir.x5u),
                         .ppt = STR("shaken"),
                         .orig_tn = str_of(from.e164 + 1, from.n - 1u),
                         .n_tn = 1,
                         .dest_tn = {str_of(to.e164 + 1, to.n - 1u)},
                         .iat = c->now.wall.us / 1000000,
                         .attest = attested(b, &from),
                         .origid = str_of(id, sizeof id)};
    passport_put(o, &p);
    return !o->full;
}

bool stir_due(const struct leg *b)
{
    const struct policy *p = b->call->core->policy;
    char text[PASSPORT_TEXT];
    struct out o = out_of(text, sizeof text);
    if (b->peer == POLICY_NONE || !p->peers[b->peer].sign || !p->stir.sign || b->call->emergency ||
        b->identity.n)
        return false;
    if (compose(b, &o) || p->stir.refuse_unsigned)
        return true;
    core_count(b->call->core, REASON_stir_signing);
    return false;
}

enum reason stir_ask(struct leg *b)
{
    struct core *c = b->call->core;
    struct ask *q = &c->ask;
    char text[PASSPORT_TEXT];
    uint8_t digest[HASH_MAX];
    struct out o = out_of(text, sizeof text);
    if (!compose(b, &o))
        return REASON_stir_unsigned;
    struct str input = out_str(&o);
    b->identity = arena_str(&b->call->text, input);
    if (!b->identity.p || hash_parts(HASH_SHA256, &input, 1, digest) != OK)
        return REASON_capacity_memory;
    memset(q, 0, offsetof(struct ask, text));
    q->kind = ASK_STIR;
    q->key = (uint16_t)(c->policy->stir.key | (c->policy->generation & 0xff) << 8);
    return ask_add(q, str_of((const char *)digest, 32), &q->ha2)
               ? pending_ask(c, q, FOR_STIR, leg_handle(b))
               : REASON_capacity_memory;
}

void stir_answer(struct core *c, struct handle leg, const struct answer *a)
{
    struct leg *b = pool_get(&c->legs, leg);
    char text[PASSPORT_TEXT + PASSPORT_X5U_MAX + 256], mem[PASSPORT_BYTES];
    uint8_t sig[PASSPORT_SIG];
    struct passport p;
    struct str header, input;
    struct out o = out_of(text, sizeof text);
    if (!b)
        return; /* the caller has gone */
    input = b->identity;
    b->identity = STR_NONE;
    struct str claims = str_cut(input, '.', &header);
    /* The URL is the token's own: the policy may be another one by now. */
    if (a->reason == REASON_NONE && es256_raw(str_of((const char *)a->bytes, a->n), sig) == OK &&
        passport_parse(header, claims, mem, &p) == OK) {
        identity_put(&o, input, sig, p.x5u, STR("shaken"));
        b->identity = o.full ? STR_NONE : arena_str(&b->call->text, out_str(&o));
    }
    if (!b->identity.n)
        core_count(c, REASON_stir_signing);
    if (!b->identity.n && c->policy->stir.refuse_unsigned)
        fork_failed(b, REASON_stir_unsigned);
    else
        fork_retry(b, STR_NONE);
}

void stir_put(const struct leg *b, struct out *o)
{
    if (str_find(b->identity, ';') < b->identity.n)
        sip_put(o, HDR_IDENTITY, b->identity);
}
