/* A body of parts: the part that is found lies inside the body, and finding it twice gives it
 * again. The message before it is ours; the input is the body. */
#include "base/out.h"
#include "wire/sip/hdr.h"

static struct sip_msg m;
static char text[SIP_MSG_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str wanted[] = {
        {"application/sdp", 15}, {"text/plain", 10}, {"multipart/mixed", 15}};
    struct sip_error why;
    struct out o = out_of(text, sizeof text);
    OUT_LIT(&o, "MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a>;tag=1\r\nt: <sip:b>\r\n"
                "i: a\r\nCSeq: 1 MESSAGE\r\nc: multipart/alternative;boundary=b\r\n\r\n");
    out_put(&o, str_of((const char *)data, size));
    if (o.full)
        return 0;
    CHECK(sip_parse(out_str(&o), false, &m, &why) == OK);
    struct str body = sip_text(&m, m.body);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        struct str part = STR_NONE, again = STR_NONE;
        if (sip_body_find(&m, wanted[i], &part) != OK)
            continue;
        CHECK(part.p > body.p && part.p + part.n < body.p + body.n);
        CHECK(sip_body_find(&m, wanted[i], &again) == OK && again.p == part.p);
    }
    return 0;
}
