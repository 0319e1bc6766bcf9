/* RTP, RTCP and SRTP of anybody: bounds, names hidden, and no packet believed without its key. */
#include "media/srtp.h"
#include "wire/rtp/rtcp.h"
#include "wire/rtp/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t p[PKT_MAX];
    static const struct sipkey hide = {1, 2};
    static const uint8_t key[SRTP_KEY_MAX] = "no packet here knows this key of ours";
    struct rtp r;
    if (n > sizeof p)
        return 0;
    memcpy(p, data, n);
    if (rtp_parse(p, n, &r) == OK) {
        CHECK(r.header_bytes >= RTP_HEADER_BYTES && r.header_bytes <= n && r.pt < 128);
        (void)rtp_padding_ok(p, n, &r);
    }
    if (rtcp_check(p, n) == OK) {
        CHECK(rtcp_header_ok(p, n));
        rtcp_hide(p, n, &hide);
        CHECK(rtcp_check(p, n) == OK);
    }
    if (n == 0 || data[0] % 8)
        return 0;
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        struct srtp *c = srtp_new(s, key);
        CHECK(c != NULL);
        size_t len = n;
        memcpy(p, data, n);
        CHECK(srtp_unprotect(c, p, &len) != OK);
        len = n;
        memcpy(p, data, n);
        CHECK(srtcp_unprotect(c, p, &len) != OK);
        srtp_free(c);
    }
    return 0;
}
