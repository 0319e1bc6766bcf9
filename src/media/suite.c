#include "media/suite.h"

static const struct {
    const char *name;
    uint8_t key_bytes;
} suites[SUITE_COUNT] = {
    [SUITE_NONE] = {"none", 0},
    [SUITE_AES_CM_128_80] = {"AES_CM_128_HMAC_SHA1_80", 30},
    [SUITE_AES_CM_128_32] = {"AES_CM_128_HMAC_SHA1_32", 30},
    [SUITE_AES_256_CM_80] = {"AES_256_CM_HMAC_SHA1_80", 46},
    [SUITE_AES_256_CM_32] = {"AES_256_CM_HMAC_SHA1_32", 46},
    [SUITE_GCM_128] = {"AEAD_AES_128_GCM", 28},
    [SUITE_GCM_256] = {"AEAD_AES_256_GCM", 44},
};

const char *srtp_suite_name(enum srtp_suite s)
{
    return suites[s < SUITE_COUNT ? s : SUITE_NONE].name;
}

size_t srtp_key_bytes(enum srtp_suite s)
{
    return s < SUITE_COUNT ? suites[s].key_bytes : 0;
}

enum srtp_suite suite_by_name(struct str name)
{
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++)
        if (str_ieq(name, str_c(suites[s].name)))
            return s;
    return SUITE_NONE;
}

enum srtp_suite suite_preferred(const struct media_policy *p, unsigned i)
{
    static const uint8_t standard[] = {SUITE_GCM_256,       SUITE_GCM_128,
                                       SUITE_AES_256_CM_80, SUITE_AES_CM_128_80,
                                       SUITE_AES_256_CM_32, SUITE_AES_CM_128_32};
    if (p->suites[0] == SUITE_NONE)
        return i < ARRAY_LEN(standard) ? standard[i] : SUITE_NONE;
    for (unsigned k = 0; k <= i; k++)
        if (k >= SUITE_COUNT || p->suites[k] == SUITE_NONE || p->suites[k] >= SUITE_COUNT)
            return SUITE_NONE;
    return p->suites[i];
}

void suite_own_key(const uint8_t seed[SUITE_SEED_BYTES], enum srtp_suite s,
                   uint8_t ret_key[SRTP_KEY_MAX])
{
    static const uint8_t nonce[12] = "sdes key";
    uint8_t block[64];
    chacha20_block(seed, (uint32_t)s, nonce, block);
    memcpy(ret_key, block, SRTP_KEY_MAX);
    mem_wipe(block, sizeof block);
}

enum err suite_take(const struct sdes *c, enum srtp_suite *ret_s, uint8_t ret_key[SRTP_KEY_MAX])
{
    enum srtp_suite s = suite_by_name(c->suite);
    if (s == SUITE_NONE || c->mki || c->several_keys || c->odd_params)
        return ERR_UNSUPPORTED;
    uint8_t key[SRTP_KEY_MAX + 2];
    size_t n = 0;
    enum err e = base64_decode(c->key, key, sizeof key, &n);
    if (e == OK && n == suites[s].key_bytes) {
        memset(ret_key, 0, SRTP_KEY_MAX);
        memcpy(ret_key, key, n);
        *ret_s = s;
    } else {
        e = ERR_SYNTAX;
    }
    mem_wipe(key, sizeof key);
    return e;
}
