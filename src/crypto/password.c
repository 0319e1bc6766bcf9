#include "crypto/password.h"

/* Without 0 O o, 1 l I, 5 S, and without anything a phone's form might quote. */
static const char ALPHABET[] = "ABCDEFGHJKLMNPQRTUVWXYZabcdefghijkmnpqrstuvwxyz2346789";

void password_make(struct rng *rng, char ret[PASSWORD_CHARS])
{
    for (unsigned i = 0; i < PASSWORD_CHARS; i++)
        ret[i] = ALPHABET[rng_below(rng, sizeof(ALPHABET) - 1)];
}

enum err password_fit(struct str s)
{
    bool seen[256] = {false};
    unsigned different = 0;
    if (s.n > PASSWORD_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c < ' ' || c == 0x7f)
            return ERR_SYNTAX;
        different += !seen[c];
        seen[c] = true;
    }
    return s.n >= 8 && different >= 5 ? OK : ERR_RANGE;
}
