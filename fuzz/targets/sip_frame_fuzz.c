/* A stream cut anywhere gives the same frames as the stream at once, and what is framed as a
 * message ends where the parser says that it ends. The first byte chooses the cuts. */
#include "wire/sip/frame.h"

#define FRAMES 64
static struct sip_frame whole[FRAMES], pieces[FRAMES];
static struct sip_msg m;

/* Gives `step` bytes more each time (0: all at once); the number of frames. */
static size_t frames(struct str s, size_t step, struct sip_frame *ret)
{
    struct sip_frame_scan scan = {0};
    size_t n = 0, at = 0, have = step ? MIN(step, s.n) : s.n;
    while (n < FRAMES) {
        struct sip_frame f = sip_frame_next(&scan, str_of(s.p + at, have - at), 4096);
        if (f.kind == FRAME_MORE && have == s.n)
            break;
        if (f.kind == FRAME_MORE) {
            have = MIN(have + step, s.n);
            continue;
        }
        CHECK(f.bytes <= have - at && (f.kind == FRAME_BAD) == (f.bytes == 0));
        CHECK((f.kind == FRAME_BAD) == (f.reason != REASON_NONE));
        ret[n++] = f;
        if (f.kind == FRAME_BAD)
            break;
        at += f.bytes;
        scan = (struct sip_frame_scan){0};
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sip_error why;
    if (size < 2)
        return 0;
    struct str s = str_of((const char *)data + 1, size - 1);
    size_t n = frames(s, 0, whole), k = frames(s, 1u + data[0], pieces), at = 0;
    CHECK(n == k);
    for (size_t i = 0; i < n; i++) {
        CHECK(whole[i].kind == pieces[i].kind && whole[i].bytes == pieces[i].bytes);
        CHECK(whole[i].reason == pieces[i].reason);
        if (whole[i].kind == FRAME_MESSAGE) {
            CHECK(whole[i].bytes <= 4096);
            enum err e = sip_parse(str_of(s.p + at, whole[i].bytes), true, &m, &why);
            CHECK(e != OK || m.body.off + m.body.len == (int)whole[i].bytes);
            CHECK(why.reason != REASON_sip_content_length);
        }
        at += whole[i].bytes;
    }
    return 0;
}
