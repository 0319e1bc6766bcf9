/* TNAuthorizationList in DER: what is read lies within its bounds. */
#include "crypto/sti.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sti_facts f = {0};
    if (sti_numbers(str_of((const char *)data, size), &f) != OK)
        return 0;
    CHECK(f.has_spc || f.n_ranges);
    CHECK(f.n_ranges <= STI_RANGES && (!f.has_spc || f.spc[0]) && !f.spc[STI_SPC]);
    for (unsigned i = 0; i < f.n_ranges; i++)
        CHECK(f.range[i].count && f.range[i].digits && f.range[i].digits <= 15);
    return 0;
}
