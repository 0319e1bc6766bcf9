/* telephone-event payloads of anybody: every press at most one digit, and only digits. */
#include "wire/rtp/event.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rtp_ear ear = {0};
    struct rtp_event ev;
    size_t digits = 0, stamps = 0;
    uint32_t last = 0;
    if (n < 8)
        CHECK((rtp_event_parse(data, n, &ev) == OK) == (n == 4));
    for (size_t at = 0; at + 8 <= n; at += 8) {
        char d[2] = {0};
        uint32_t ts = (uint32_t)data[at + 4] << 24 | (uint32_t)data[at + 5] << 16 |
                      (uint32_t)data[at + 6] << 8 | data[at + 7];
        CHECK(rtp_event_parse(data + at, 4, &ev) == OK);
        stamps += at == 0 || ts != last;
        last = ts;
        unsigned got = rtp_ear_hear(&ear, ts, &ev, d);
        CHECK(got <= 2);
        for (unsigned i = 0; i < got; i++)
            CHECK(d[i] && strchr("0123456789*#ABCD", d[i]));
        digits += got;
        CHECK(digits <= stamps);
    }
    return 0;
}
