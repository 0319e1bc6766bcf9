/* Any bytes as call records in CSV: bounded, in order of time, and every text that is taken lies in
 * what was read. */
#include "app/fraud/records.h"
#include "base/cc.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct str s, const char *p, size_t n)
{
    return !s.n || (s.p >= p && s.p + s.n <= p + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct records r;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    if (records_read(text, size, &r, NULL) == OK) {
        CHECK(r.n + r.bad <= size && (r.bad == 0) == (r.bad_why == NULL));
        CHECK(r.bad_column <= 64 && (!r.bad || r.bad_line >= 2));
        for (size_t i = 0; i < r.n; i++) {
            const struct record *x = &r.v[i];
            CHECK(i == 0 || r.v[i - 1].start_us <= x->start_us);
            CHECK(x->line >= 2 && x->label <= 2 && x->code < 700 && x->price_micro >= 0);
            CHECK(within(x->user, text, size) && within(x->to, text, size));
            CHECK(within(x->to_e164, text, size) && within(x->trunk, text, size));
        }
        records_free(&r);
    }
    free(text);
    return 0;
}
