/* Identity: what parses with a whole signature is written, and that parses to the same. */
#include "identity/passport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[3 * PASSPORT_TEXT], input[3 * PASSPORT_TEXT];
    struct identity_field f, g;
    uint8_t sig[PASSPORT_SIG], sig2[PASSPORT_SIG];
    struct str s = str_of((const char *)data, size);
    int64_t t;
    if (sip_date_parse(s, &t) == OK)
        CHECK(t >= 0);
    if (es256_raw(s, sig) == OK)
        CHECK(size <= 72);
    if (identity_parse(s, &f) != OK)
        return 0;
    CHECK(f.info.n && f.info.n <= PASSPORT_X5U_MAX && f.compact == (f.header.n == 0));
    if (identity_signature(&f, sig) != OK)
        return 0;
    struct out o = out_of(text, sizeof text), in = out_of(input, sizeof input);
    out_put(&in, f.header);
    out_ch(&in, '.');
    out_put(&in, f.claims);
    identity_put(&o, out_str(&in), sig, f.info, f.ppt);
    CHECK(!o.full);
    if (str_find(f.ppt, '"') < f.ppt.n || str_find(f.ppt, ';') < f.ppt.n)
        return 0;
    CHECK(identity_parse(out_str(&o), &g) == OK && identity_signature(&g, sig2) == OK);
    CHECK(str_eq(f.info, g.info) && str_eq(f.ppt, g.ppt) && memcmp(sig, sig2, sizeof sig) == 0);
    return 0;
}
