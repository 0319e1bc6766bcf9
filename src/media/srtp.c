#include "media/srtp.h"
#include "crypto/cipher.h"
#include "crypto/mac.h"
#include "wire/rtp/rtcp.h"
#include "wire/rtp/rtp.h"

#define SALT_CM  SRTP_SALT_BYTES
#define SALT_GCM 12u
#define AUTH_KEY SRTP_AUTH_BYTES
#define RTCP_TAG                                                                                   \
    10u /* 80 bits for every counter mode suite, also the _32 ones (RFC 4568 section 6.2.2) */
#define RTP_INDEX_MAX    ((UINT64_C(1) << 48) - 1)
#define RTCP_INDEX_MAX   0x7fffffffu
#define RTCP_E           0x80000000u
#define WINDOW_BITS      128u
#define RTCP_WINDOW_BITS 64u

__extension__ typedef unsigned __int128 window;

struct source {
    window seen; /* bit i: index - i was seen */
    uint64_t rtcp_seen;
    uint64_t index; /* highest packet index (ROC || SEQ) */
    uint32_t rtcp_index;
    uint32_t ssrc;
    bool rtp_on, rtcp_on;
};
struct srtp {
    uint8_t suite, tag_bytes;
    bool gcm;
    uint8_t n_sources, last; /* last: index of the source of the last packet */
    uint8_t salt[SALT_CM], rtcp_salt[SALT_CM];
    struct aes_ctr *ctr, *rtcp_ctr;
    struct aes_gcm *aead, *rtcp_aead;
    struct hmac_sha1 mac, rtcp_mac;
    struct source sources[SRTP_SSRCS];
};

/* Key derivation, RFC 3711 section 4.3: AES-CM under the master key, counter = (salt XOR label) *
 * 2^16. A 96-bit salt stands in the high bits (RFC 7714 section 11). */
static enum err derive(struct aes_ctr *prf, const uint8_t salt[SALT_CM], uint8_t label,
                       uint8_t *ret, size_t n)
{
    uint8_t iv[16] = {0};
    memcpy(iv, salt, SALT_CM);
    iv[7] ^= label;
    memset(ret, 0, n);
    return aes_ctr_xor(prf, iv, ret, n);
}

enum { LABEL_KEY, LABEL_AUTH, LABEL_SALT, LABEL_RTCP = 3 };

static enum err derive_all(struct aes_ctr *prf, const uint8_t master_salt[SALT_CM], uint8_t first,
                           size_t key_bytes, struct srtp_session *ret_k)
{
    enum err e = derive(prf, master_salt, (uint8_t)(first + LABEL_KEY), ret_k->key, key_bytes);
    if (e == OK)
        e = derive(prf, master_salt, (uint8_t)(first + LABEL_AUTH), ret_k->auth, AUTH_KEY);
    if (e == OK)
        e = derive(prf, master_salt, (uint8_t)(first + LABEL_SALT), ret_k->salt, SALT_CM);
    return e;
}

static bool key_size(enum srtp_suite s, size_t *ret_key_bytes, uint8_t *ret_tag_bytes)
{
    bool wide = s == SUITE_AES_256_CM_80 || s == SUITE_AES_256_CM_32 || s == SUITE_GCM_256;
    bool brief = s == SUITE_AES_CM_128_32 || s == SUITE_AES_256_CM_32;
    bool gcm = s == SUITE_GCM_128 || s == SUITE_GCM_256;
    *ret_key_bytes = wide ? 32 : 16;
    *ret_tag_bytes = gcm ? GCM_TAG : brief ? 4 : 10;
    return gcm;
}

/* Which way a GCM context goes is told to the library with each IV, so one serves both. */
static bool install(struct srtp *s, const struct srtp_session *rtp, const struct srtp_session *rtcp,
                    size_t key_bytes)
{
    memcpy(s->salt, rtp->salt, SALT_CM);
    memcpy(s->rtcp_salt, rtcp->salt, SALT_CM);
    if (s->gcm) {
        s->aead = aes_gcm_new(rtp->key, key_bytes, true);
        s->rtcp_aead = aes_gcm_new(rtcp->key, key_bytes, true);
        return s->aead != NULL && s->rtcp_aead != NULL;
    }
    hmac_sha1_key(&s->mac, rtp->auth, AUTH_KEY);
    hmac_sha1_key(&s->rtcp_mac, rtcp->auth, AUTH_KEY);
    s->ctr = aes_ctr_new(rtp->key, key_bytes);
    s->rtcp_ctr = aes_ctr_new(rtcp->key, key_bytes);
    return s->ctr != NULL && s->rtcp_ctr != NULL;
}

enum err srtp_derive(enum srtp_suite suite, const uint8_t *key, struct srtp_session *ret_rtp,
                     struct srtp_session *ret_rtcp)
{
    size_t key_bytes;
    uint8_t tag_bytes, salt[SALT_CM] = {0};
    bool gcm = key_size(suite, &key_bytes, &tag_bytes);
    memcpy(salt, key + key_bytes, gcm ? SALT_GCM : SALT_CM);
    struct aes_ctr *prf = aes_ctr_new(key, key_bytes);
    enum err e = prf == NULL ? ERR_SYSTEM : derive_all(prf, salt, 0, key_bytes, ret_rtp);
    if (e == OK)
        e = derive_all(prf, salt, LABEL_RTCP, key_bytes, ret_rtcp);
    aes_ctr_free(prf);
    mem_wipe(salt, sizeof salt);
    return e;
}

struct srtp *srtp_new_session(enum srtp_suite suite, const struct srtp_session *rtp,
                              const struct srtp_session *rtcp)
{
    struct srtp *s = crypto_zalloc(sizeof *s);
    if (s == NULL)
        return NULL;
    size_t key_bytes;
    s->suite = (uint8_t)suite;
    s->gcm = key_size(suite, &key_bytes, &s->tag_bytes);
    if (!install(s, rtp, rtcp, key_bytes)) {
        srtp_free(s);
        return NULL;
    }
    return s;
}

struct srtp *srtp_new(enum srtp_suite suite, const uint8_t *key)
{
    struct srtp_session rtp, rtcp;
    struct srtp *s = NULL;
    if (suite == SUITE_NONE || suite >= SUITE_COUNT)
        return NULL;
    if (srtp_derive(suite, key, &rtp, &rtcp) == OK)
        s = srtp_new_session(suite, &rtp, &rtcp);
    mem_wipe(&rtp, sizeof rtp);
    mem_wipe(&rtcp, sizeof rtcp);
    return s;
}

void srtp_free(struct srtp *s)
{
    if (s == NULL)
        return;
    aes_ctr_free(s->ctr);
    aes_ctr_free(s->rtcp_ctr);
    aes_gcm_free(s->aead);
    aes_gcm_free(s->rtcp_aead);
    crypto_free(s, sizeof *s);
}

/* --- sources: found before the tag is checked, kept and moved on only after --- */

static struct source *source_find(struct srtp *s, uint32_t ssrc)
{
    if (s->last < s->n_sources && s->sources[s->last].ssrc == ssrc)
        return &s->sources[s->last];
    for (uint8_t i = 0; i < s->n_sources; i++)
        if (s->sources[i].ssrc == ssrc) {
            s->last = i;
            return &s->sources[i];
        }
    return NULL;
}

static struct source *source_add(struct srtp *s, uint32_t ssrc)
{
    s->last = s->n_sources++;
    s->sources[s->last] = (struct source){.ssrc = ssrc};
    return &s->sources[s->last];
}

/* RFC 3711 section 3.3.1 and appendix A: the index nearest to the highest seen. Before the first
 * wrap a high number cannot belong to the time before it, so it counts as ahead. */
static uint64_t index_guess(const struct source *src, uint16_t seq)
{
    if (src == NULL || !src->rtp_on)
        return seq;
    uint64_t roc = src->index >> 16;
    uint16_t top = (uint16_t)src->index;
    if (top < 0x8000 && seq > top && seq - top > 0x8000)
        return roc == 0 ? seq : ((roc - 1) << 16 | seq);
    if (top >= 0x8000 && seq < top - 0x8000)
        return (roc + 1) << 16 | seq;
    return roc << 16 | seq;
}

static enum err rtp_fresh(const struct srtp *s, const struct source *src, uint64_t index)
{
    if (src == NULL)
        return s->n_sources == SRTP_SSRCS ? ERR_FULL : OK;
    if (index > RTP_INDEX_MAX)
        return ERR_LIMIT;
    if (!src->rtp_on || index > src->index)
        return OK;
    uint64_t back = src->index - index;
    return back >= WINDOW_BITS || (src->seen >> back & 1) != 0 ? ERR_REPLAY : OK;
}

static void rtp_commit(struct srtp *s, struct source *src, uint32_t ssrc, uint64_t index)
{
    if (src == NULL)
        src = source_add(s, ssrc);
    if (src->rtp_on && index <= src->index) {
        src->seen |= (window)1 << (src->index - index);
        return;
    }
    uint64_t step = src->rtp_on ? index - src->index : WINDOW_BITS;
    src->seen = step >= WINDOW_BITS ? 1 : src->seen << step | 1;
    src->index = index;
    src->rtp_on = true;
}

/* --- RTP --- */

/* IV = salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16 (RFC 3711 section 4.1.1). */
static void iv_cm(const uint8_t salt[SALT_CM], uint32_t ssrc, uint64_t index, uint8_t iv[16])
{
    uint8_t x[8];
    memcpy(iv, salt, SALT_CM);
    iv[14] = iv[15] = 0;
    be32_put(x, ssrc);
    for (unsigned i = 0; i < 4; i++)
        iv[4 + i] ^= x[i];
    be64_put(x, index);
    for (unsigned i = 0; i < 6; i++)
        iv[8 + i] ^= x[2 + i];
}

/* IV = (0 0 || SSRC || ROC || SEQ) XOR salt (RFC 7714 section 8.1); for RTCP (0 0 || SSRC || 0 0 ||
 * index) (section 9.1), which is the same layout with a 31-bit index. */
static void iv_gcm(const uint8_t salt[SALT_CM], uint32_t ssrc, uint64_t index, uint8_t iv[GCM_IV])
{
    uint8_t x[8];
    memcpy(iv, salt, GCM_IV);
    be32_put(x, ssrc);
    for (unsigned i = 0; i < 4; i++)
        iv[2 + i] ^= x[i];
    be64_put(x, index);
    for (unsigned i = 0; i < 6; i++)
        iv[6 + i] ^= x[2 + i];
}

static void rtp_tag(const struct srtp *s, const uint8_t *p, size_t n, uint64_t index,
                    uint8_t tag[HMAC_SHA1_BYTES])
{
    uint8_t roc[4];
    be32_put(roc, (uint32_t)(index >> 16));
    hmac_sha1_tag(&s->mac, p, n, roc, sizeof roc, tag);
}

enum err srtp_protect(struct srtp *s, uint8_t *p, size_t *len, size_t cap)
{
    struct rtp r;
    size_t n = *len;
    if (rtp_parse(p, n, &r) != OK)
        return ERR_SYNTAX;
    if (n + s->tag_bytes > cap)
        return ERR_RANGE;
    struct source *src = source_find(s, r.ssrc);
    uint64_t index = index_guess(src, r.seq);
    enum err e = rtp_fresh(s, src, index);
    if (e != OK)
        return e;
    /* The index is used up even if the library fails half-way: never one keystream twice. */
    rtp_commit(s, src, r.ssrc, index);
    uint8_t iv[16];
    if (s->gcm) {
        iv_gcm(s->salt, r.ssrc, index, iv);
        struct gcm_in in = {.iv = iv, .aad = p, .aad_n = r.header_bytes};
        e = aes_gcm_seal(s->aead, &in, p + r.header_bytes, n - r.header_bytes, p + n);
    } else {
        iv_cm(s->salt, r.ssrc, index, iv);
        e = aes_ctr_xor(s->ctr, iv, p + r.header_bytes, n - r.header_bytes);
        uint8_t tag[HMAC_SHA1_BYTES];
        rtp_tag(s, p, n, index, tag);
        memcpy(p + n, tag, s->tag_bytes);
    }
    if (e == OK)
        *len = n + s->tag_bytes;
    return e;
}

static enum err rtp_open(struct srtp *s, uint8_t *p, size_t n, const struct rtp *r, uint64_t index)
{
    uint8_t iv[16];
    if (s->gcm) {
        iv_gcm(s->salt, r->ssrc, index, iv);
        struct gcm_in in = {.iv = iv, .aad = p, .aad_n = r->header_bytes};
        return aes_gcm_open(s->aead, &in, p + r->header_bytes, n - r->header_bytes, p + n);
    }
    uint8_t tag[HMAC_SHA1_BYTES];
    rtp_tag(s, p, n, index, tag);
    if (!mem_equal_ct(tag, p + n, s->tag_bytes))
        return ERR_AUTH;
    iv_cm(s->salt, r->ssrc, index, iv);
    return aes_ctr_xor(s->ctr, iv, p + r->header_bytes, n - r->header_bytes);
}

enum err srtp_unprotect(struct srtp *s, uint8_t *p, size_t *len)
{
    struct rtp r;
    if (*len < s->tag_bytes || rtp_parse(p, *len - s->tag_bytes, &r) != OK)
        return ERR_SYNTAX;
    size_t n = *len - s->tag_bytes;
    struct source *src = source_find(s, r.ssrc);
    uint64_t index = index_guess(src, r.seq);
    enum err e = rtp_fresh(s, src, index);
    if (e == OK)
        e = rtp_open(s, p, n, &r, index);
    if (e != OK)
        return e;
    rtp_commit(s, src, r.ssrc, index);
    *len = n;
    return OK;
}

/* --- RTCP: E || index behind the packet, before the tag (counter mode) or after it (GCM) --- */

static enum err rtcp_fresh(const struct srtp *s, const struct source *src, uint32_t index)
{
    if (src == NULL)
        return s->n_sources == SRTP_SSRCS ? ERR_FULL : OK;
    if (!src->rtcp_on || index > src->rtcp_index)
        return OK;
    uint32_t back = src->rtcp_index - index;
    return back >= RTCP_WINDOW_BITS || (src->rtcp_seen >> back & 1) != 0 ? ERR_REPLAY : OK;
}

static void rtcp_commit(struct srtp *s, struct source *src, uint32_t ssrc, uint32_t index)
{
    if (src == NULL)
        src = source_add(s, ssrc);
    if (src->rtcp_on && index <= src->rtcp_index) {
        src->rtcp_seen |= UINT64_C(1) << (src->rtcp_index - index);
        return;
    }
    uint32_t step = src->rtcp_on ? index - src->rtcp_index : RTCP_WINDOW_BITS;
    src->rtcp_seen = step >= RTCP_WINDOW_BITS ? 1 : src->rtcp_seen << step | 1;
    src->rtcp_index = index;
    src->rtcp_on = true;
}

static enum err rtcp_seal(struct srtp *s, uint8_t *p, size_t n, uint32_t index)
{
    uint8_t iv[16];
    uint32_t ssrc = be32(p + 4);
    if (s->gcm) {
        uint8_t word[4];
        be32_put(word, RTCP_E | index);
        be32_put(p + n + GCM_TAG, RTCP_E | index);
        iv_gcm(s->rtcp_salt, ssrc, index, iv);
        struct gcm_in in = {
            .iv = iv, .aad = p, .aad_n = RTCP_HEADER_BYTES, .aad2 = word, .aad2_n = 4};
        return aes_gcm_seal(s->rtcp_aead, &in, p + RTCP_HEADER_BYTES, n - RTCP_HEADER_BYTES, p + n);
    }
    uint8_t tag[HMAC_SHA1_BYTES];
    iv_cm(s->rtcp_salt, ssrc, index, iv);
    enum err e = aes_ctr_xor(s->rtcp_ctr, iv, p + RTCP_HEADER_BYTES, n - RTCP_HEADER_BYTES);
    be32_put(p + n, RTCP_E | index);
    hmac_sha1_tag(&s->rtcp_mac, p, n + 4, NULL, 0, tag);
    memcpy(p + n + 4, tag, RTCP_TAG);
    return e;
}

static size_t rtcp_trailer(const struct srtp *s)
{
    return 4u + (s->gcm ? GCM_TAG : RTCP_TAG);
}

enum err srtcp_protect(struct srtp *s, uint8_t *p, size_t *len, size_t cap)
{
    size_t n = *len;
    if (!rtcp_header_ok(p, n))
        return ERR_SYNTAX;
    if (n + rtcp_trailer(s) > cap)
        return ERR_RANGE;
    uint32_t ssrc = be32(p + 4);
    struct source *src = source_find(s, ssrc);
    if (src == NULL && s->n_sources == SRTP_SSRCS)
        return ERR_FULL;
    uint32_t index = src != NULL && src->rtcp_on ? src->rtcp_index + 1 : 0;
    if (index > RTCP_INDEX_MAX)
        return ERR_LIMIT;
    rtcp_commit(s, src, ssrc, index);
    enum err e = rtcp_seal(s, p, n, index);
    if (e == OK)
        *len = n + rtcp_trailer(s);
    return e;
}

static enum err rtcp_open(struct srtp *s, uint8_t *p, size_t n, const uint8_t *word, uint32_t index)
{
    uint8_t iv[16];
    uint32_t ssrc = be32(p + 4);
    if (s->gcm) {
        iv_gcm(s->rtcp_salt, ssrc, index, iv);
        struct gcm_in in = {
            .iv = iv, .aad = p, .aad_n = RTCP_HEADER_BYTES, .aad2 = word, .aad2_n = 4};
        return aes_gcm_open(s->rtcp_aead, &in, p + RTCP_HEADER_BYTES, n - RTCP_HEADER_BYTES, p + n);
    }
    uint8_t tag[HMAC_SHA1_BYTES];
    hmac_sha1_tag(&s->rtcp_mac, p, n + 4, NULL, 0, tag);
    if (!mem_equal_ct(tag, p + n + 4, RTCP_TAG))
        return ERR_AUTH;
    iv_cm(s->rtcp_salt, ssrc, index, iv);
    return aes_ctr_xor(s->rtcp_ctr, iv, p + RTCP_HEADER_BYTES, n - RTCP_HEADER_BYTES);
}

enum err srtcp_unprotect(struct srtp *s, uint8_t *p, size_t *len)
{
    if (*len < RTCP_HEADER_BYTES + rtcp_trailer(s))
        return ERR_SYNTAX;
    size_t n = *len - rtcp_trailer(s);
    const uint8_t *word = p + n + (s->gcm ? GCM_TAG : 0);
    uint32_t e_index = be32(word), index = e_index & RTCP_INDEX_MAX;
    /* Unencrypted SRTCP is a session parameter that is never agreed to. */
    if (!rtcp_header_ok(p, n) || (e_index & RTCP_E) == 0)
        return ERR_SYNTAX;
    uint32_t ssrc = be32(p + 4);
    struct source *src = source_find(s, ssrc);
    enum err e = rtcp_fresh(s, src, index);
    if (e == OK)
        e = rtcp_open(s, p, n, word, index);
    if (e != OK)
        return e;
    rtcp_commit(s, src, ssrc, index);
    *len = n;
    return OK;
}

void srtp_seek(struct srtp *s, uint32_t ssrc, uint64_t rtp_index, uint32_t rtcp_index)
{
    struct source *src = source_find(s, ssrc);
    if (src == NULL)
        src = source_add(s, ssrc);
    src->index = rtp_index;
    src->seen = 1;
    src->rtcp_index = rtcp_index;
    src->rtcp_seen = 1;
    src->rtp_on = src->rtcp_on = true;
}
