#include "call/certs.h"
#include "base/seq.h"

enum err certs_attach(struct cert_board *b, size_t bytes)
{
    if (bytes < sizeof *b)
        return ERR_RANGE;
    bool known = b->magic == CERTS_MAGIC && b->bytes == sizeof *b;
    for (uint32_t i = 0; i < ARRAY_LEN(b->slot); i++) {
        struct certs_slot *s = &b->slot[i];
        if (known && !(s->seq & 1))
            continue;
        s->seq |= 1; /* as a writer leaves it inside */
        s->row = (struct certs_row){0};
        seq_write_end(&s->seq);
    }
    b->magic = CERTS_MAGIC;
    b->bytes = sizeof *b;
    return OK;
}

/* Not keyed: who fills one bucket pushes out what lies there, and it is fetched again. */
static uint32_t bucket_of(struct str url)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < url.n; i++)
        h = (h ^ (uint8_t)url.p[i]) * UINT64_C(1099511628211);
    return (uint32_t)(h >> 32 ^ h) % CERTS_BUCKETS * CERTS_WAYS;
}

static struct str url_of(const struct certs_row *r)
{
    const char *end = memchr(r->url, 0, sizeof r->url);
    return str_of(r->url, end ? (size_t)(end - r->url) : 0);
}

void certs_put(struct cert_board *b, const struct certs_row *row)
{
    struct str url = url_of(row);
    uint32_t at = bucket_of(url), best = at;
    for (uint32_t i = at; i < at + CERTS_WAYS; i++) {
        const struct certs_row *r = &b->slot[i].row;
        if (str_eq(url_of(r), url)) {
            best = i;
            break;
        }
        if (r->until.us < b->slot[best].row.until.us)
            best = i;
    }
    seq_write_begin(&b->slot[best].seq);
    b->slot[best].row = *row;
    seq_write_end(&b->slot[best].seq);
}

void certs_forget(struct cert_board *b)
{
    for (uint32_t i = 0; i < ARRAY_LEN(b->slot); i++) {
        seq_write_begin(&b->slot[i].seq);
        b->slot[i].row = (struct certs_row){0};
        seq_write_end(&b->slot[i].seq);
    }
}

static bool sound(const struct certs_row *r)
{
    bool failed = r->why == REASON_stir_bad_info || r->why == REASON_stir_credential;
    return r->n_ranges <= CERTS_RANGES && memchr(r->spc, 0, sizeof r->spc) &&
           (failed || (r->why == REASON_NONE && r->key[0] == 4 && (r->has_spc || r->n_ranges)));
}

enum err certs_get(const struct cert_board *b, size_t bytes, struct str url, struct wall now,
                   struct certs_row *ret_row)
{
    if (!b || bytes < sizeof *b || !url.n || url.n > CERTS_URL_MAX)
        return ERR_NOT_FOUND;
    uint32_t at = bucket_of(url);
    for (uint32_t i = at; i < at + CERTS_WAYS; i++) {
        struct certs_row r;
        if (!seq_read(&b->slot[i].seq, &r, &b->slot[i].row, sizeof r) || !str_eq(url_of(&r), url))
            continue;
        if (r.until.us <= now.us || r.fetched.us > now.us + 60 * 1000000)
            return ERR_NOT_FOUND;
        if (!sound(&r))
            return ERR_SYNTAX;
        *ret_row = r;
        return OK;
    }
    return ERR_NOT_FOUND;
}

bool certs_covers(const struct certs_row *r, struct str tn)
{
    uint64_t v;
    if (r->has_spc)
        return true;
    if (tn.n > 18 || str_u64(tn, UINT64_MAX, &v) != OK)
        return false;
    for (unsigned i = 0; i < r->n_ranges; i++) {
        const struct certs_range *g = &r->range[i];
        if (tn.n == g->digits && v >= g->first && v - g->first < g->count)
            return true;
    }
    return false;
}
