#include "app/vault/core.h"
#include "app/vault/web.h"
#include "base/rng.h"
#include "identity/token.h"

enum err vault_new(const struct sipkey *nonce_key, const uint8_t seed[32], struct vault **ret_v)
{
    struct rng rng;
    struct vault *v = calloc(1, sizeof(*v));
    void *mem = malloc(nc_bytes(VAULT_NONCES));
    if (!v || !mem) {
        free(v);
        free(mem);
        return ERR_FULL;
    }
    rng_init(&rng, seed);
    rng_bytes(&rng, &v->hash_key, sizeof(v->hash_key));
    rng_bytes(&rng, v->dummy_ha1, sizeof(v->dummy_ha1));
    v->nonce_key = *nonce_key;
    v->call_key = v->call_key_before = VAULT_KEYS;
    v->nonces = nc_init(mem, VAULT_NONCES);
    struct otp_seed dummy = {.alg = OTP_SHA1, .digits = OTP_DIGITS_MIN, .n = 20};
    rng_bytes(&rng, dummy.seed, dummy.n);
    users_init(&v->users, &v->hash_key);
    otps_init(&v->otps, &v->hash_key, &dummy);
    devices_init(&v->devices, &v->hash_key);
    countries_init(&v->countries, &v->hash_key);
    mem_wipe(&rng, sizeof(rng));
    mem_wipe(&dummy, sizeof(dummy));
    for (unsigned i = 0; i < VAULT_ENGINES; i++)
        v->asks[i].tokens_milli = v->signs[i].tokens_milli = INT64_MAX;
    for (unsigned i = 0; i < VAULT_UNKNOWN_SLOTS; i++)
        v->unknown[i].tokens_milli = INT64_MAX;
    *ret_v = v;
    return OK;
}

void vault_free(struct vault *v)
{
    if (!v)
        return;
    users_done(&v->users);
    otps_done(&v->otps);
    devices_done(&v->devices);
    countries_done(&v->countries);
    for (unsigned i = 0; i < VAULT_KEYS; i++)
        key_free(v->keys[i]), key_free(v->keys_before[i]);
    free(v->nonces);
    mem_wipe(v, sizeof(*v));
    free(v);
}

/* Fills up for the time gone by; milli_per_s tokens/1000 a second, at most burst. */
static void refill(int64_t *tokens, struct instant *filled, struct instant now, int64_t milli_per_s,
                   int64_t burst)
{
    int64_t cap = burst * 1000, gone = now.us - filled->us;
    if (gone <= 0 && *tokens <= cap)
        return;
    /* Whole thousandths only are booked, so that fast callers lose nothing by rounding. */
    int64_t add = gone > 3600 * INT64_C(1000000) ? cap : gone * milli_per_s / 1000000;
    if (*tokens >= cap - add) {
        *tokens = cap;
        *filled = now;
    } else if (add > 0) {
        *tokens += add;
        filled->us += add * 1000000 / milli_per_s;
    }
}

static bool bucket_take(struct bucket *b, struct instant now, int64_t per_s)
{
    refill(&b->tokens_milli, &b->filled, now, per_s * 1000, per_s);
    if (b->tokens_milli < 1000)
        return false;
    b->tokens_milli -= 1000;
    return true;
}

/* Failed tries left of a name: a known user's own bucket, else one that unknown names share. */
struct tries {
    int64_t tokens;
    struct instant filled;
    struct user *user;
    struct bucket *shared;
};

static struct tries tries_of(struct vault *v, struct user *x, struct str name, struct instant now)
{
    struct tries t = {.user = x};
    t.shared = &v->unknown[siphash(&v->hash_key, name) % VAULT_UNKNOWN_SLOTS];
    t.tokens = x ? x->tokens_milli : t.shared->tokens_milli;
    t.filled = x ? x->filled : t.shared->filled;
    refill(&t.tokens, &t.filled, now, 1000 / VAULT_FAIL_REFILL_S, VAULT_FAIL_BURST);
    return t;
}

static void tries_keep(const struct tries *t)
{
    if (t->user) {
        t->user->tokens_milli = (int32_t)t->tokens;
        t->user->filled = t->filled;
    } else {
        t->shared->tokens_milli = t->tokens;
        t->shared->filled = t->filled;
    }
}

static bool parse_nc(struct str s, uint32_t *ret)
{
    uint8_t raw[4];
    if (s.n != 8 || hex_decode(s, raw, 4) != OK)
        return false;
    *ret = (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 | raw[3];
    return true;
}

struct fields {
    struct str user, realm, nonce, nc, cnonce, qop, ha2, response;
};

static struct fields fields_of(const struct ask *q)
{
    struct str t = str_of(q->text, q->n);
    return (struct fields){span_str(t, q->user), span_str(t, q->realm),   span_str(t, q->nonce),
                           span_str(t, q->nc),   span_str(t, q->cnonce),  span_str(t, q->qop),
                           span_str(t, q->ha2),  span_str(t, q->response)};
}

/* One response computed and compared, whoever it is for. */
static bool matches(struct vault *v, enum digest_alg alg, const uint8_t ha1[USER_HA1_BYTES],
                    const struct fields *f)
{
    char ha1_hex[DIGEST_HEX_MAX], want[DIGEST_HEX_MAX];
    size_t n = digest_hex_chars(alg);
    hex_encode(ha1, n / 2, ha1_hex);
    v->hashes++;
    enum err e =
        digest_response(alg, str_of(ha1_hex, n), f->nonce, f->nc, f->cnonce, f->qop, f->ha2, want);
    bool same = e == OK && f->response.n == n && mem_equal_ct(want, f->response.p, n);
    mem_wipe(ha1_hex, sizeof(ha1_hex));
    mem_wipe(want, sizeof(want));
    return same;
}

/* By a web client's credentials, SHA-256 first. */
static bool web_matches(struct vault *v, const struct peer *secret, enum digest_alg alg,
                        const struct fields *f)
{
    static const enum hash_alg hashes[] = {HASH_SHA256, HASH_SHA1};
    char password[WEB_PASSWORD], hex[DIGEST_HEX_MAX];
    uint8_t ha1[USER_HA1_BYTES];
    struct str s;
    bool right = false;
    for (unsigned i = 0; i < ARRAY_LEN(hashes) && !right; i++)
        right =
            web_password(secret, hashes[i], f->user, password, &s) == OK &&
            digest_ha1(alg, f->user, f->realm, s, hex) == OK &&
            hex_decode(str_of(hex, digest_hex_chars(alg)), ha1, digest_hex_chars(alg) / 2) == OK &&
            matches(v, alg, ha1, f);
    mem_wipe(password, sizeof(password));
    mem_wipe(hex, sizeof(hex));
    mem_wipe(ha1, sizeof(ha1));
    return right;
}

static enum reason judge(struct vault *v, const struct ask *q, struct now now)
{
    struct fields f = fields_of(q);
    enum digest_alg alg = (enum digest_alg)q->alg;
    uint64_t nonce_id = 0;
    uint32_t nc = 0;
    if (!(str_ieq(f.qop, STR("auth")) || str_ieq(f.qop, STR("auth-int"))) || !parse_nc(f.nc, &nc) ||
        f.cnonce.n == 0 || f.ha2.n != digest_hex_chars(alg))
        return REASON_auth_syntax;
    enum err fresh = nonce_check(&v->nonce_key, f.nonce, now.wall, &nonce_id);
    if (fresh != OK)
        return fresh == ERR_REPLAY ? REASON_auth_stale : REASON_auth_nonce_forged;

    int64_t end = 0;
    struct str who;
    const struct peer *web =
        token_hmac_name(f.user, &end, &who) ? peers_find(&v->peers, STR(WEB_SECRET)) : NULL;
    if (!web || str_cut(who, '@', &who).n > 0)
        web = NULL, who = f.user;
    struct user *x = users_find(&v->users, who, f.realm);
    struct tries t = tries_of(v, x, who, now.mono);
    bool offered = alg != DIGEST_MD5 || !x || user_md5_live(x, now.wall); /* unknown: see gates.c */
    bool limited = t.tokens < 1000;
    bool right = web ? web_matches(v, web, alg, &f) && now.wall.us / 1000000 < end
                     : matches(v, alg, x && offered ? x->ha1[alg] : v->dummy_ha1[alg], &f);
    enum reason why = !offered       ? REASON_auth_algorithm
                      : limited      ? REASON_auth_limited
                      : !x || !right ? REASON_auth_failed
                                     : REASON_NONE;
    if (why == REASON_auth_failed)
        t.tokens -= 1000;
    tries_keep(&t);
    if (why == REASON_NONE && nc_use(v->nonces, nonce_id, nc, now.wall) != OK)
        why = REASON_auth_replay;
    return why;
}

static void verify(struct vault *v, const struct vault_env *env, const struct ask *q,
                   struct answer *a)
{
    enum reason why = judge(v, q, env->now);
    v->verified += why == REASON_NONE;
    v->failed += why == REASON_auth_failed;
    v->limited += why == REASON_auth_limited;
    a->reason = (uint16_t)why;
}

/* The response to a peer's challenge, by that peer's own password and no other. */
static void respond(struct vault *v, const struct vault_env *env, const struct ask *q,
                    struct answer *a)
{
    struct fields f = fields_of(q);
    enum digest_alg alg = (enum digest_alg)q->alg;
    size_t n = digest_hex_chars(alg);
    char ha1[DIGEST_HEX_MAX];
    struct str name = env->peer ? env->peer(env->arg, q->key) : STR_NONE;
    const struct peer *p = name.n > 0 ? peers_find(&v->peers, name) : NULL;
    a->reason = REASON_auth_unavailable;
    if (!p || f.ha2.n != n)
        return;
    struct str password = str_of((const char *)p->password.b, p->password.n);
    v->hashes += 2;
    if (digest_ha1(alg, f.user, f.realm, password, ha1) == OK &&
        digest_response(alg, str_of(ha1, n), f.nonce, f.nc, f.cnonce, f.qop, f.ha2,
                        (char *)a->bytes) == OK) {
        a->n = (uint16_t)n;
        a->reason = REASON_NONE;
        v->responded++;
    }
    mem_wipe(ha1, sizeof(ha1));
}

void vault_keys(struct vault *v, struct key *const keys[], uint8_t generation)
{
    for (unsigned i = 0; i < VAULT_KEYS; i++) {
        key_free(v->keys_before[i]);
        v->keys_before[i] = v->keys[i];
        v->keys[i] = keys[i];
    }
    v->generation_before = v->generation;
    v->call_key_before = v->call_key;
    v->call_key = VAULT_KEYS; /* until it is named */
    v->generation = generation;
}

bool vault_knows(const struct vault *v, const struct ask *q)
{
    uint8_t generation = (uint8_t)(q->key >> 8);
    return (q->kind != ASK_SIGN && q->kind != ASK_STIR) || generation == v->generation ||
           generation == v->generation_before;
}

static void sign(struct vault *v, const struct vault_env *env, const struct ask *q,
                 struct answer *a)
{
    size_t n = 0;
    uint8_t number = (uint8_t)q->key, generation = (uint8_t)(q->key >> 8);
    bool before = generation != v->generation && generation == v->generation_before;
    struct key *k = number >= VAULT_KEYS ? NULL : before ? v->keys_before[number] : v->keys[number];
    a->reason = REASON_auth_unavailable;
    bool call = number == (before ? v->call_key_before : v->call_key);
    if (!k || call != (q->kind == ASK_STIR) ||
        !bucket_take(&v->signs[env->engine], env->now.mono, VAULT_SIGN_RATE))
        return;
    if (key_sign(k, span_str(str_of(q->text, q->n), q->ha2), a->bytes, &n) != OK)
        return;
    a->n = (uint16_t)n;
    a->reason = REASON_NONE;
    v->signed_++;
}

/* Of a call to a country that the user was not let call before: his code is the word for the next
 * ones, too. Where there is no room the call goes, and the next one asks again. */
static void country_opened(struct vault *v, struct str aor, uint16_t code, struct wall now)
{
    enum err e = code ? countries_allow(&v->countries, aor, code, STR("one-time code"), now) : OK;
    v->told |= code && e == OK;
    if (code && e == OK)
        v->opened = *countries_find(&v->countries, aor, code);
    v->countries_full |= e == ERR_LIMIT || e == ERR_FULL;
}

/* A right code approves the device that it was dialled from: nothing else an engine says does. */
static void one_time(struct vault *v, const struct vault_env *env, const struct ask *q,
                     struct answer *a)
{
    struct str text = str_of(q->text, q->n), aor = span_str(text, q->user);
    uint64_t id;
    enum otp_verdict right = otps_check(&v->otps, aor, span_str(text, q->response), env->now);
    a->reason = right == OTP_RIGHT     ? REASON_NONE
                : right == OTP_LIMITED ? REASON_auth_limited
                                       : REASON_auth_otp;
    if (right == OTP_RIGHT)
        country_opened(v, aor, q->key, env->now.wall);
    if (right != OTP_RIGHT || !q->nonce.len || !device_parse(span_str(text, q->nonce), &id))
        return;
    enum err e = devices_seen(&v->devices, aor, id, DEVICE_BY_PLACE, STR_NONE, env->now.wall);
    struct device *x = e == OK || e == ERR_EXISTS ? devices_find(&v->devices, aor, id) : NULL;
    if (!x || x->state == DEVICE_REVOKED ||
        devices_decide(&v->devices, x, DEVICE_APPROVED, STR("one-time code"), env->now.wall) != OK)
        a->reason = REASON_right_revoked;
    else
        v->told = true;
}

void vault_device(struct vault *v, const struct vault_env *env, const struct ask *q)
{
    struct str text = str_of(q->text, q->n), aor = span_str(text, q->user), name;
    struct str domain = str_cut(aor, '@', &name);
    uint64_t id;
    if (!bucket_take(&v->asks[env->engine], env->now.mono, VAULT_ASK_RATE) ||
        q->alg > DEVICE_BY_PLACE || !device_parse(span_str(text, q->nonce), &id) ||
        !users_find(&v->users, name, domain))
        return;
    (void)!devices_seen(&v->devices, aor, id, (enum device_by)q->alg, span_str(text, q->realm),
                        env->now.wall);
}

_Static_assert(KEY_SIGNATURE_MAX <= ANSWER_BYTES_MAX, "a signature fits an answer");

void vault_answer(struct vault *v, const struct vault_env *env, const struct ask *q,
                  struct answer *ret_a)
{
    CHECK(env->engine < VAULT_ENGINES);
    *ret_a = (struct answer){.id = q->id, .kind = q->kind, .reason = REASON_auth_unavailable};
    if (!bucket_take(&v->asks[env->engine], env->now.mono, VAULT_ASK_RATE))
        return;
    if (q->kind == ASK_VERIFY)
        verify(v, env, q, ret_a);
    else if (q->kind == ASK_RESPOND)
        respond(v, env, q, ret_a);
    else if (q->kind == ASK_SIGN || q->kind == ASK_STIR)
        sign(v, env, q, ret_a);
    else if (q->kind == ASK_OTP)
        one_time(v, env, q, ret_a);
}
