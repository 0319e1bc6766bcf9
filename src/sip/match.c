/* Which server transaction a request belongs to: RFC 3261 17.2.3.
 *
 * The key holds the method (ACK looks for INVITE), the CSeq number, sent-by and the branch. The
 * RFC's rule is without the number; with it, a phone that reuses its branch for the request with
 * credentials is served instead of being answered 401 for ever, and ACK and CANCEL carry the
 * INVITE's anyway. A branch without the cookie comes from an RFC 2543 peer: Call-ID and From tag
 * join the key. Found by hash, told apart by bytes. */
#include "sip/machine.h"

static bool has_cookie(struct str branch)
{
    return str_istarts(branch, STR(BRANCH_COOKIE));
}

static void put_u32(struct out *o, uint32_t v)
{
    char b[4];
    memcpy(b, &v, sizeof b);
    out_put(o, str_of(b, sizeof b));
}

static void put_lower(struct out *o, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        out_ch(o, ascii_lower(s.p[i]));
}

static void put_counted(struct out *o, struct str s)
{
    put_u32(o, (uint32_t)s.n);
    out_put(o, s);
}

struct str match_key(struct trans_table *t, const struct sip_msg *m, enum sip_method as)
{
    struct out o = out_of(t->work, sizeof t->work);
    struct str branch = sip_text(m, m->via_branch), host = sip_text(m, m->via_host);
    bool cookie = has_cookie(branch);
    out_ch(&o, (char)as);
    out_ch(&o, (char)(cookie ? 1 : 0));
    put_u32(&o, m->cseq);
    out_ch(&o, (char)(m->via_port >> 8));
    out_ch(&o, (char)(m->via_port & 0xff));
    if (as == SIP_OTHER)
        put_counted(&o, sip_text(m, m->method_text));
    if (!cookie) {
        put_counted(&o, sip_text(m, m->call_id));
        put_counted(&o, sip_text(m, m->from_tag));
    }
    put_lower(&o, host);
    out_ch(&o, 0);
    out_put(&o, cookie ? str_skip(branch, strlen(BRANCH_COOKIE)) : branch);
    CHECK(!o.full); /* every part lies in the message, once, and its framing is shorter than what
                       stands between them there */
    return out_str(&o);
}

static bool key_equal(const struct trans_table *t, const struct trans *x, struct str key)
{
    if (x->key_len != key.n)
        return false;
    size_t n = MIN(key.n, (size_t)KEY_INLINE);
    return memcmp(x->server.key, key.p, n) == 0 &&
           (n == key.n || copy_equal(&t->copies, x->server.key_rest, str_skip(key, n)));
}

/* The index maps to pool indices; layout of a pool as base/pool.h tells it. */
static struct trans *by_index(const struct trans_table *t, uint32_t index)
{
    uint8_t *e = t->pool.mem + (size_t)(index - 1) * (16u + t->pool.elem_bytes) + 16;
    DCHECK(pool_handle(&t->pool, e).index == index);
    return (struct trans *)(void *)e;
}

static uint32_t index_of(const struct trans_table *t, const struct trans *x)
{
    return pool_handle(&t->pool, x).index;
}

struct trans *match_find(struct trans_table *t, struct str key)
{
    uint64_t hash = siphash(&t->cfg.hash_key, key);
    uint32_t it = 0, index;
    while ((index = map_find(&t->keys, hash, &it)) != 0) {
        struct trans *x = by_index(t, index);
        if (key_equal(t, x, key))
            return x;
    }
    return NULL;
}

/* RFC 3261 8.2.2.2: From tag, Call-ID and CSeq. The bytes are not kept, they would double the
 * record; instead 128 bits of a keyed hash are compared, which no peer can make collide. */
static void merge_key(struct trans_table *t, const struct sip_msg *m, uint64_t ret_pair[2])
{
    struct out o = out_of(t->work, sizeof t->work);
    put_u32(&o, m->cseq);
    out_ch(&o, (char)m->method);
    put_counted(&o, sip_text(m, m->from_tag));
    out_put(&o, sip_text(m, m->call_id));
    uint8_t h[16];
    siphash128(&t->cfg.hash_key, out_str(&o), h);
    memcpy(ret_pair, h, sizeof h);
}

static bool merge_applies(const struct sip_msg *m)
{
    return m->to_tag.len == 0 && m->method != SIP_ACK && m->method != SIP_CANCEL;
}

bool match_merged(struct trans_table *t, const struct sip_msg *m)
{
    if (!merge_applies(m))
        return false;
    uint64_t pair[2];
    merge_key(t, m, pair);
    uint32_t it = 0, index;
    while ((index = map_find(&t->merges, pair[0], &it)) != 0)
        if (by_index(t, index)->server.merge_check == pair[1])
            return true;
    return false;
}

static enum err enter_key(struct trans_table *t, struct trans *x, struct str key)
{
    size_t n = MIN(key.n, (size_t)KEY_INLINE);
    memcpy(x->server.key, key.p, n);
    if (key.n > n && copy_keep(&t->copies, str_skip(key, n), &x->server.key_rest) != OK) {
        counters_hit(t->cfg.counters, REASON_capacity_memory);
        return ERR_FULL;
    }
    x->key_len = (uint16_t)key.n;
    return map_put(&t->keys, siphash(&t->cfg.hash_key, key), index_of(t, x));
}

enum err match_enter(struct trans_table *t, struct trans *x, const struct sip_msg *m)
{
    enum err e = enter_key(t, x, match_key(t, m, m->method));
    if (e != OK || !merge_applies(m))
        return e;
    uint64_t pair[2];
    merge_key(t, m, pair);
    x->server.merge_hash = pair[0];
    x->server.merge_check = pair[1];
    e = map_put(&t->merges, pair[0], index_of(t, x));
    if (e == OK)
        x->flags |= FLAG_MERGE_KEY;
    return e;
}

static struct str key_read(struct trans_table *t, const struct trans *x)
{
    if (x->key_len <= KEY_INLINE)
        return str_of(x->server.key, x->key_len);
    size_t rest = x->key_len - KEY_INLINE;
    struct str tail = copy_read(&t->copies, x->server.key_rest, rest, t->scratch);
    memcpy(t->work, x->server.key, KEY_INLINE);
    memcpy(t->work + KEY_INLINE, tail.p, rest);
    return str_of(t->work, x->key_len);
}

void match_leave(struct trans_table *t, struct trans *x)
{
    if (x->key_len) {
        uint64_t hash = siphash(&t->cfg.hash_key, key_read(t, x));
        (void)EXPECT(map_del(&t->keys, hash, index_of(t, x)));
        copy_release(&t->copies, &x->server.key_rest);
        x->key_len = 0;
    }
    if (x->flags & FLAG_MERGE_KEY)
        (void)EXPECT(map_del(&t->merges, x->server.merge_hash, index_of(t, x)));
    x->flags &= (uint8_t)~FLAG_MERGE_KEY;
}
