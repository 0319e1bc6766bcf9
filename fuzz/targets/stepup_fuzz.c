/* Offers of phones cut down to what Ringwall can speak: what comes out is no longer, offers G.711
 * and stays as it is when cut again. */
#include "call/core_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char once[16384], twice[16384];
    struct out a = out_of(once, sizeof once), b = out_of(twice, sizeof twice);
    uint8_t event, again;
    if (n > 4096 || !stepup_reduce(str_of((const char *)data, n), &a, &event))
        return 0;
    CHECK(event == 0xff || event < 128);
    CHECK(str_search(out_str(&a), STR("m=audio ")) < a.n);
    CHECK(stepup_reduce(out_str(&a), &b, &again));
    CHECK(again == event && a.n == b.n && memcmp(once, twice, a.n) == 0);
    return 0;
}
