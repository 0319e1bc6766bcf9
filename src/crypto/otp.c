#include "crypto/otp.h"
#include <liboath/oath.h>

enum err otp_init(void)
{
    return oath_init() == OATH_OK ? OK : ERR_SYSTEM;
}

enum err otp_code(const struct otp_seed *s, uint64_t step, char ret[OTP_DIGITS_MAX + 1])
{
    if (s->digits < OTP_DIGITS_MIN || s->digits > OTP_DIGITS_MAX || s->n < OTP_SEED_MIN ||
        s->n > OTP_SEED_MAX || s->alg >= OTP_ALGS || step > INT64_MAX / OTP_STEP_S)
        return ERR_RANGE;
    int how = s->alg == OTP_SHA256 ? OATH_TOTP_HMAC_SHA256 : 0;
    int e = oath_totp_generate2((const char *)s->seed, s->n, (time_t)(step * OTP_STEP_S),
                                OTP_STEP_S, 0, s->digits, how, ret);
    return e == OATH_OK ? OK : ERR_SYSTEM;
}

uint64_t otp_check(const struct otp_seed *s, struct str code, struct wall now, uint64_t used)
{
    uint64_t at = (uint64_t)(now.us / 1000000) / OTP_STEP_S, found = 0;
    char given[OTP_DIGITS_MAX + 1] = {0}, want[OTP_DIGITS_MAX + 1];
    if (now.us < (int64_t)OTP_STEP_S * 2000000 || code.n > OTP_DIGITS_MAX)
        return 0;
    memcpy(given, code.p, code.n);
    for (uint64_t step = at - OTP_WINDOW; step <= at + OTP_WINDOW; step++) {
        memset(want, 0, sizeof want);
        bool made = otp_code(s, step, want) == OK;
        bool same = mem_equal_ct(given, want, sizeof want) & (code.n == s->digits);
        if (made & same & (step > used))
            found = step;
    }
    mem_wipe(given, sizeof given);
    mem_wipe(want, sizeof want);
    return found;
}

void otp_base32(const uint8_t *p, size_t n, struct out *o)
{
    uint32_t have = 0, bits = 0;
    for (size_t i = 0; i < n; i++) {
        have = have << 8 | p[i];
        for (bits += 8; bits >= 5; bits -= 5)
            out_ch(o, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[have >> (bits - 5) & 31]);
        have &= (1u << bits) - 1;
    }
    if (bits)
        out_ch(o, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[have << (5 - bits) & 31]);
}

static void percent(struct out *o, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t b = (uint8_t)s.p[i];
        char c = ascii_lower(s.p[i]);
        if ((c >= 'a' && c <= 'z') || ascii_digit(c) || c == '-' || c == '.' || c == '_') {
            out_ch(o, s.p[i]);
            continue;
        }
        out_ch(o, '%');
        out_ch(o, "0123456789ABCDEF"[b >> 4]);
        out_ch(o, "0123456789ABCDEF"[b & 15]);
    }
}

void otp_uri(const struct otp_seed *s, struct str issuer, struct str name, struct out *o)
{
    OUT_LIT(o, "otpauth://totp/");
    percent(o, issuer);
    out_ch(o, ':');
    percent(o, name);
    OUT_LIT(o, "?secret=");
    otp_base32(s->seed, s->n, o);
    OUT_LIT(o, "&issuer=");
    percent(o, issuer);
    out_put(o, s->alg == OTP_SHA256 ? STR("&algorithm=SHA256") : STR("&algorithm=SHA1"));
    OUT_LIT(o, "&digits=");
    out_u64(o, s->digits);
    OUT_LIT(o, "&period=");
    out_u64(o, OTP_STEP_S);
}
