/* Whatever is dialled by whatever plan: a number stays in its bounds, is digits behind a '+', keeps
 * its class when it is dialled again in that form, and nothing dear becomes cheap by more digits.
 */
#include "wire/tel/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dial_plan plans[] = {
        {0, STR(""), STR(""), STR(""), STR("")},
        {'D' << 8 | 'E', STR("30"), STR("00"), STR("0"), STR("")},
        {'U' << 8 | 'S', STR("212"), STR("011"), STR("1"), STR("9")},
        {'R' << 8 | 'U', STR("495"), STR("810"), STR("8"), STR("")},
    };
    struct number n, again, longer;
    if (size == 0)
        return 0;
    const struct dial_plan *p = &plans[data[0] % ARRAY_LEN(plans)];
    struct str s = str_of((const char *)data + 1, size - 1);
    if (number_of(p, s, &n) != OK)
        return 0;
    CHECK(n.n < NUMBER_MAX && n.kind < CLASS_COUNT && n.kind != CLASS_INTERNAL);
    CHECK(n.n == 0 || n.e164[0] == '+');
    for (size_t i = 1; i < n.n; i++)
        CHECK(ascii_digit(n.e164[i]));
    if (n.n < 2)
        return 0;
    CHECK(number_of(p, str_of(n.e164, n.n), &again) == OK);
    CHECK(again.n == n.n && memcmp(again.e164, n.e164, n.n) == 0 && again.country == n.country);
    CHECK(again.kind == n.kind);
    if (n.n < 18) {
        n.e164[n.n++] = '7';
        CHECK(number_of(p, str_of(n.e164, n.n), &longer) == OK);
        CHECK(n.kind != CLASS_SATELLITE || longer.kind == CLASS_SATELLITE);
        CHECK(n.kind != CLASS_PREMIUM || longer.kind != CLASS_UNKNOWN);
    }
    return 0;
}
