/* The vault's judgement: may this response pass, what answers that challenge, a signature. Trusts
 * no engine: every question is checked, limited and answered alike for known and unknown users, so
 * that a captured engine can neither grind passwords nor learn who exists. No I/O; single thread.
 */
#ifndef APP_VAULT_CORE_H
#define APP_VAULT_CORE_H
#include "app/vault/countries.h"
#include "app/vault/devices.h"
#include "app/vault/otp.h"
#include "app/vault/peers.h"
#include "app/vault/users.h"
#include "crypto/key.h"
#include "identity/ask.h"

#define VAULT_ENGINES       32u
#define VAULT_KEYS          16u
#define VAULT_FAIL_BURST    10    /* failed tries of one user at once */
#define VAULT_FAIL_REFILL_S 6     /* and one more after each of these */
#define VAULT_ASK_RATE      40000 /* questions a second and engine; as many at once */
#define VAULT_SIGN_RATE     20000 /* signatures a second and engine */
#define VAULT_UNKNOWN_SLOTS 4096u /* buckets that unknown names share by keyed hash */
#define VAULT_NONCES        65536u

struct bucket {
    int64_t tokens_milli;
    struct instant filled;
};
struct vault {
    struct users users;
    struct peers peers;
    struct peers secrets; /* of webhooks and mail servers */
    struct otps otps;
    struct devices devices;
    struct countries countries;
    bool told;                    /* what the directory holds of these has changed */
    bool countries_full;          /* a right code's country was not kept: the user has too many */
    struct country opened;        /* by a right code, and not yet told; code 0: none */
    struct key *keys[VAULT_KEYS]; /* NULL: not given */
    /* Of the configuration before: handshakes that began with its certificates end with its keys.
     * generation: low byte of the configuration's that keys belongs to. */
    struct key *keys_before[VAULT_KEYS];
    uint8_t generation, generation_before;
    /* Numbers of the keys that sign calls (ASK_STIR), and nothing else: no TLS handshake passes for
     * a token, nor the other way. VAULT_KEYS: none. */
    uint8_t call_key, call_key_before;
    struct sipkey nonce_key, hash_key;
    struct nc_table *nonces;
    struct bucket asks[VAULT_ENGINES], signs[VAULT_ENGINES];
    struct bucket unknown[VAULT_UNKNOWN_SLOTS];
    uint8_t dummy_ha1[DIGEST_ALG_COUNT][USER_HA1_BYTES]; /* random */
    uint64_t verified, failed, limited, signed_, responded, hashes;
};
/* Gives: vault_free. nonce_key is shared with the engines; seed makes everything else. */
MUST_CHECK enum err vault_new(const struct sipkey *nonce_key, const uint8_t seed[32],
                              struct vault **ret_v);
void vault_free(struct vault *v); /* wipes */
/* Takes keys (VAULT_KEYS of them; takes ownership) as those of a new configuration. */
void vault_keys(struct vault *v, struct key *const keys[], uint8_t generation);
/* Is that the generation of a question to sign (high byte of ask.key)? false: the asker knows a
 * configuration that we have not heard of. */
bool vault_knows(const struct vault *v, const struct ask *q);
/* The name of peer number index in the policy; STR_NONE if there is none. */
typedef struct str vault_peer_fn(void *arg, uint16_t index);
struct vault_env {
    uint8_t engine; /* < VAULT_ENGINES */
    struct now now;
    vault_peer_fn *peer;
    void *arg;
};
/* A registration came from a device (ASK_DEVICE): it stands in the table afterwards. */
void vault_device(struct vault *v, const struct vault_env *env, const struct ask *q);
/* q passed ask_valid. Always fills *ret_a. About 2 us; SIGN 30 us. */
void vault_answer(struct vault *v, const struct vault_env *env, const struct ask *q,
                  struct answer *ret_a);
#endif
