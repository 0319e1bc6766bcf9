#include "identity/ask.h"

bool ask_add(struct ask *a, struct str s, struct span *ret_sp)
{
    if (a->n > ASK_TEXT_MAX || s.n > ASK_TEXT_MAX - (size_t)a->n) {
        *ret_sp = SPAN_NONE;
        return false;
    }
    if (s.n > 0)
        memcpy(a->text + a->n, s.p, s.n);
    *ret_sp = (struct span){a->n, (uint16_t)s.n};
    a->n = (uint16_t)(a->n + s.n);
    return true;
}

static bool inside(struct span sp, uint16_t n)
{
    return (uint32_t)sp.off + sp.len <= n;
}

enum err ask_valid(const struct ask *a, size_t bytes)
{
    if (bytes < offsetof(struct ask, text))
        return ERR_SYNTAX;
    if (a->n > ASK_TEXT_MAX || bytes != ask_size(a))
        return ERR_SYNTAX;
    const struct span spans[] = {a->user,   a->realm, a->nonce, a->nc,
                                 a->cnonce, a->qop,   a->ha2,   a->response};
    for (unsigned i = 0; i < ARRAY_LEN(spans); i++)
        if (!inside(spans[i], a->n))
            return ERR_SYNTAX;
    switch (a->kind) {
    case ASK_VERIFY:
    case ASK_RESPOND:
        return a->alg < DIGEST_ALG_COUNT ? OK : ERR_UNSUPPORTED;
    case ASK_SIGN:
        /* SHA-256 and SHA-384 digests; the TLS profile offers no other hash for our keys. */
        return a->sign == 0 && (a->ha2.len == 32 || a->ha2.len == 48) ? OK : ERR_UNSUPPORTED;
    case ASK_OTP:
        return a->user.len && a->response.len && (!a->nonce.len || a->nonce.len == 16) ? OK
                                                                                       : ERR_SYNTAX;
    case ASK_DEVICE:
        return a->user.len && a->nonce.len == 16 && a->alg ? OK : ERR_SYNTAX;
    case ASK_STIR:
        return a->ha2.len == 32 ? OK : ERR_UNSUPPORTED;
    case ASK_CERT:
    case ASK_CONSULT:
        return a->user.len ? OK : ERR_SYNTAX;
    default:
        return ERR_SYNTAX;
    }
}

enum err answer_valid(const struct answer *a, size_t bytes)
{
    if (bytes < offsetof(struct answer, bytes))
        return ERR_SYNTAX;
    if (a->n > ANSWER_BYTES_MAX || bytes != answer_size(a))
        return ERR_SYNTAX;
    if (a->kind == 0 || a->kind >= ASK_KIND_COUNT || a->reason >= REASON_COUNT)
        return ERR_SYNTAX;
    return OK;
}
