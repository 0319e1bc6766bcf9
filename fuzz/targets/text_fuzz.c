/* The codecs of str.h and the JSON writer: decode then encode is identity, JSON text is always
 * closed and free of raw control bytes. */
#include "base/out.h"

static void codecs(struct str s)
{
    static uint8_t bytes[4096];
    static char text[8192];
    size_t n;
    if (base64_decode(s, bytes, sizeof bytes, &n) == OK)
        CHECK(str_eq(str_of(text, base64_encode(bytes, n, text)), s));
    if (base64url_decode(s, bytes, sizeof bytes, &n) == OK)
        CHECK(str_eq(str_of(text, base64url_encode(bytes, n, text)), s));
    if (s.n / 2 <= sizeof bytes && hex_decode(s, bytes, s.n / 2) == OK) {
        hex_encode(bytes, s.n / 2, text);
        CHECK(str_ieq(str_of(text, s.n), s));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char json[16384];
    struct str s = str_of((const char *)data, size);
    uint64_t v;
    codecs(s);
    if (str_u64(s, UINT64_MAX, &v) == OK) {
        struct out o = out_of(json, sizeof json);
        out_u64(&o, v);
        CHECK(str_ends(s, out_str(&o))); /* s may have leading zeros */
    }
    struct out o = out_of(json, sizeof json);
    out_json_str(&o, s);
    if (!o.full) {
        CHECK(o.n >= 2 && json[0] == '"' && json[o.n - 1] == '"');
        for (size_t i = 0; i < o.n; i++)
            CHECK((uint8_t)json[i] >= 0x20 && json[i] != 0x7f);
    }
    return 0;
}
