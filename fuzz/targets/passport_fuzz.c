/* Header and claims of a token, separated by '.', as JSON. What parses is written canonically, and
 * that parses to the same text. */
#include "identity/passport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char mem[2][PASSPORT_BYTES], b64[2][PASSPORT_BYTES * 2], text[2][4 * PASSPORT_TEXT];
    struct passport p, q;
    struct str all = str_of((const char *)data, size), h, c = str_cut(all, '\n', &h);
    if (size > PASSPORT_BYTES)
        return 0;
    struct str hb = str_of(b64[0], base64url_encode((const uint8_t *)h.p, h.n, b64[0]));
    struct str cb = str_of(b64[1], base64url_encode((const uint8_t *)c.p, c.n, b64[1]));
    if (passport_parse(hb, cb, mem[0], &p) != OK)
        return 0;
    CHECK(p.x5u.n && (p.n_tn || p.n_uri) && (p.orig_tn.n == 0) != (p.orig_uri.n == 0));
    CHECK(p.ppt.n == 0 || (p.attest >= 'A' && p.attest <= 'C' && p.origid.n));
    struct out o = out_of(text[0], sizeof text[0]), o2 = out_of(text[1], sizeof text[1]);
    passport_put(&o, &p);
    if (o.full)
        return 0; /* escapes made it longer than a token may be */
    c = str_cut(out_str(&o), '.', &h);
    if (passport_parse(h, c, mem[1], &q) != OK)
        return 0; /* bytes that JSON text may hold and that we write as escapes beyond ASCII */
    passport_put(&o2, &q);
    CHECK(str_eq(out_str(&o), out_str(&o2)));
    return 0;
}
