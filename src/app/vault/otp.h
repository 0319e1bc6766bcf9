/* Seeds of one-time codes, by user, and their file. They never leave the vault but once, when they
 * are made. Single thread. */
#ifndef APP_VAULT_OTP_H
#define APP_VAULT_OTP_H
#include "base/map.h"
#include "base/siphash.h"
#include "crypto/otp.h"

#define OTP_AOR_MAX  128u
#define OTP_TRIES    5   /* of a user, */
#define OTP_REFILL_S 120 /* and one more after each of these: 5 in 10 minutes */
#define OTP_SHARED   1024u
struct otp_tries {
    int64_t tokens_milli;
    struct instant filled;
};
struct otp_user {
    char aor[OTP_AOR_MAX + 1];
    struct otp_seed seed;
    uint64_t used; /* the last step whose code was taken */
    struct wall enrolled;
    struct otp_tries tries;
};
struct otps {
    struct otp_user *v;
    uint32_t n, cap;
    struct map map;
    void *map_mem;
    struct sipkey key;
    struct otp_seed dummy; /* of those who have none */
    struct otp_tries shared[OTP_SHARED];
    bool changed; /* a step was used: the file should say so */
};
void otps_init(struct otps *o, const struct sipkey *key, const struct otp_seed *dummy);
void otps_done(struct otps *o); /* wipes */
struct otp_user *otps_find(const struct otps *o, struct str aor);
/* Adds or replaces. ERR_FULL, ERR_LIMIT (the name), ERR_RANGE (the seed). */
MUST_CHECK enum err otps_put(struct otps *o, struct str aor, const struct otp_seed *s,
                             struct wall enrolled, uint64_t used);
bool otps_del(struct otps *o, struct str aor);
enum otp_verdict { OTP_RIGHT, OTP_WRONG, OTP_LIMITED };
/* The same work and the same answers for those who have no seed. */
enum otp_verdict otps_check(struct otps *o, struct str aor, struct str code, struct now now);
size_t otps_bytes(const struct otps *o);
MUST_CHECK enum err otps_print(const struct otps *o, struct out *out);
MUST_CHECK enum err otps_parse(struct otps *o, struct str file, uint32_t *reterr_line,
                               const char **reterr_why);
#endif
