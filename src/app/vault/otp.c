#include "app/vault/otp.h"
#include "app/vault/sealed.h"

void otps_init(struct otps *o, const struct sipkey *key, const struct otp_seed *dummy)
{
    *o = (struct otps){.key = *key, .dummy = *dummy};
    for (unsigned i = 0; i < OTP_SHARED; i++)
        o->shared[i].tokens_milli = OTP_TRIES * 1000;
}

void otps_done(struct otps *o)
{
    if (o->v)
        mem_wipe(o->v, o->cap * sizeof *o->v);
    free(o->v);
    free(o->map_mem);
    mem_wipe(o, sizeof *o);
}

struct otp_user *otps_find(const struct otps *o, struct str aor)
{
    uint32_t it = 0, i;
    if (!o->map_mem)
        return NULL;
    while ((i = map_find(&o->map, siphash(&o->key, aor), &it)) != 0)
        if (str_eq(str_c(o->v[i - 1].aor), aor))
            return &o->v[i - 1];
    return NULL;
}

static uint64_t hash_of(const struct otps *o, uint32_t i)
{
    return siphash(&o->key, str_c(o->v[i].aor));
}

static enum err grow(struct otps *o)
{
    uint32_t cap = o->cap ? o->cap * 2 : 64;
    struct otp_user *v = calloc(cap, sizeof *v);
    void *mem = malloc(map_bytes(cap));
    if (!v || !mem) {
        free(v);
        free(mem);
        return ERR_FULL;
    }
    if (o->v) {
        memcpy(v, o->v, o->n * sizeof *v);
        mem_wipe(o->v, o->cap * sizeof *v);
    }
    free(o->v);
    free(o->map_mem);
    o->v = v;
    o->cap = cap;
    o->map_mem = mem;
    map_init(&o->map, mem, cap);
    for (uint32_t i = 0; i < o->n; i++)
        if (map_put(&o->map, hash_of(o, i), i + 1) != OK)
            return ERR_FULL;
    return OK;
}

enum err otps_put(struct otps *o, struct str aor, const struct otp_seed *s, struct wall enrolled,
                  uint64_t used)
{
    if (!aor.n || aor.n > OTP_AOR_MAX)
        return ERR_LIMIT;
    if (s->n < OTP_SEED_MIN || s->n > OTP_SEED_MAX || s->digits < OTP_DIGITS_MIN ||
        s->digits > OTP_DIGITS_MAX || s->alg >= OTP_ALGS)
        return ERR_RANGE;
    struct otp_user *x = otps_find(o, aor);
    if (!x) {
        if (o->n == o->cap && grow(o) != OK)
            return ERR_FULL;
        if (map_put(&o->map, siphash(&o->key, aor), o->n + 1) != OK)
            return ERR_FULL;
        x = &o->v[o->n++];
        memset(x, 0, sizeof *x);
        memcpy(x->aor, aor.p, aor.n);
        x->tries.tokens_milli = OTP_TRIES * 1000;
    }
    x->seed = *s;
    x->enrolled = enrolled;
    x->used = used;
    return OK;
}

bool otps_del(struct otps *o, struct str aor)
{
    struct otp_user *x = otps_find(o, aor);
    if (!x)
        return false;
    uint32_t i = (uint32_t)(x - o->v), last = o->n - 1;
    (void)map_del(&o->map, hash_of(o, i), i + 1);
    if (i != last) {
        (void)map_del(&o->map, hash_of(o, last), last + 1);
        o->v[i] = o->v[last];
        if (map_put(&o->map, hash_of(o, i), i + 1) != OK)
            return false; /* cannot be: two have just gone */
    }
    mem_wipe(&o->v[last], sizeof o->v[0]);
    o->n--;
    return true;
}

static void refill(struct otp_tries *t, struct instant now)
{
    int64_t add = (now.us - t->filled.us) / (OTP_REFILL_S * INT64_C(1000));
    if (add <= 0)
        return;
    t->filled.us += add * OTP_REFILL_S * 1000;
    t->tokens_milli = MIN(t->tokens_milli + add, (int64_t)OTP_TRIES * 1000);
}

enum otp_verdict otps_check(struct otps *o, struct str aor, struct str code, struct now now)
{
    struct otp_user *x = otps_find(o, aor);
    struct otp_tries *t = x ? &x->tries : &o->shared[siphash(&o->key, aor) % OTP_SHARED];
    uint64_t step = otp_check(x ? &x->seed : &o->dummy, code, now.wall, x ? x->used : 0);
    refill(t, now.mono);
    if (t->tokens_milli < 1000)
        return OTP_LIMITED;
    if (!x || !step) {
        t->tokens_milli -= 1000;
        return OTP_WRONG;
    }
    x->used = step;
    o->changed = true;
    return OTP_RIGHT;
}

/* --- the file --- */

size_t otps_bytes(const struct otps *o)
{
    return SEALED_EXTRA + (size_t)o->n * (OTP_AOR_MAX + 2 * OTP_SEED_MAX + 64);
}

enum err otps_print(const struct otps *o, struct out *out)
{
    sealed_head(out, STR("otp"));
    for (uint32_t i = 0; i < o->n; i++) {
        const struct otp_user *x = &o->v[i];
        out_put(out, str_c(x->aor));
        out_ch(out, '\t');
        out_u64(out, x->seed.alg);
        out_ch(out, '\t');
        out_u64(out, x->seed.digits);
        out_ch(out, '\t');
        out_hex(out, x->seed.seed, x->seed.n);
        out_ch(out, '\t');
        out_u64(out, (uint64_t)x->enrolled.us);
        out_ch(out, '\t');
        out_u64(out, x->used);
        out_ch(out, '\n');
    }
    return sealed_tail(out, o->n);
}

static enum err read_one(struct otps *o, const struct str f[6])
{
    struct otp_seed s = {0};
    uint32_t alg, digits;
    uint64_t at, used;
    if (f[3].n % 2 || f[3].n > 2 * sizeof s.seed || str_u32(f[1], OTP_ALGS - 1, &alg) != OK ||
        str_u32(f[2], OTP_DIGITS_MAX, &digits) != OK || str_u64(f[4], INT64_MAX, &at) != OK ||
        str_u64(f[5], INT64_MAX, &used) != OK || otps_find(o, f[0]) ||
        hex_decode(f[3], s.seed, f[3].n / 2) != OK)
        return ERR_SYNTAX;
    s.alg = (uint8_t)alg;
    s.digits = (uint8_t)digits;
    s.n = (uint8_t)(f[3].n / 2);
    enum err e = otps_put(o, f[0], &s, (struct wall){(int64_t)at}, used);
    mem_wipe(&s, sizeof s);
    return e;
}

enum err otps_parse(struct otps *o, struct str file, uint32_t *reterr_line, const char **reterr_why)
{
    struct sealed s;
    struct str f[6];
    enum err e = sealed_open(&s, file, STR("otp"));
    while (e == OK && (e = sealed_next(&s, f, 6)) == OK) {
        e = read_one(o, f);
        if (e != OK)
            s.why = "the line of a seed is malformed";
    }
    if (e == ERR_NOT_FOUND)
        return OK;
    *reterr_line = s.line;
    *reterr_why = s.why;
    return ERR_SYNTAX;
}
