/* Time-based one-time codes (RFC 6238) over liboath. */
#ifndef CRYPTO_OTP_H
#define CRYPTO_OTP_H
#include "base/instant.h"
#include "base/out.h"

#define OTP_STEP_S     30u
#define OTP_WINDOW     1 /* steps before and after now that count, too */
#define OTP_DIGITS_MIN 6u
#define OTP_DIGITS_MAX 8u
#define OTP_SEED_MIN   16u
#define OTP_SEED_MAX   64u
enum otp_alg { OTP_SHA1, OTP_SHA256, OTP_ALGS };
struct otp_seed {
    uint8_t alg, digits, n; /* n: bytes of seed */
    uint8_t seed[OTP_SEED_MAX];
};
MUST_CHECK enum err otp_init(void); /* once, before the sandbox closes */
/* The code of a step (seconds since 1970 / OTP_STEP_S), terminated. ERR_RANGE, ERR_SYSTEM. */
MUST_CHECK enum err otp_code(const struct otp_seed *s, uint64_t step, char ret[OTP_DIGITS_MAX + 1]);
/* The step within the window at now whose code that is, and which is above used; 0: none. The time
 * it takes does not depend on code or seed. */
uint64_t otp_check(const struct otp_seed *s, struct str code, struct wall now, uint64_t used);
/* otpauth://totp/ISSUER:NAME?secret=...: what phones' programs read. Percent-encodes. */
void otp_uri(const struct otp_seed *s, struct str issuer, struct str name, struct out *o);
void otp_base32(const uint8_t *p, size_t n, struct out *o); /* RFC 4648 without padding */
#endif
