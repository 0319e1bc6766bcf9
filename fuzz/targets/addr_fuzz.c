/* What parses is written, and what was written parses to the same address and the same text. */
#include "base/addr.h"

static void same_again(const struct addr *a)
{
    char text[ADDR_TEXT_MAX], text2[ADDR_TEXT_MAX];
    struct addr b;
    struct out o = out_of(text, sizeof text), o2 = out_of(text2, sizeof text2);
    addr_put(&o, a);
    CHECK(!o.full && addr_parse(out_str(&o), &b) == OK && addr_eq(a, &b));
    addr_put(&o2, &b);
    CHECK(str_eq(out_str(&o), out_str(&o2)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);
    struct addr a, ip;
    struct prefix p;
    if (addr_parse(s, &a) == OK)
        same_again(&a);
    if (addr_parse_ip(s, &ip) == OK) {
        CHECK(ip.port == 0);
        same_again(&ip);
    }
    if (prefix_parse(s, &p) == OK) {
        CHECK(p.bits <= (p.a.family == ADDR_V4 ? 32 : 128));
        CHECK(prefix_has(&p, &p.a));
    }
    return 0;
}
