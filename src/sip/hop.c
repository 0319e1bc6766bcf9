#include "sip/machine.h"
#include "wire/sip/build.h"
#include "wire/sip/hdr.h"

static struct str line_take(struct str *rest)
{
    size_t n = str_search(*rest, STR("\r\n"));
    struct str line = str_head(*rest, n);
    *rest = str_skip(*rest, n + 2);
    return line;
}

static void put_first_line(struct out *o, struct str line, struct str method)
{
    if (method.n)
        out_put(o, method);
    out_put(o, method.n ? str_skip(line, str_find(line, ' ')) : line);
    OUT_LIT(o, "\r\n");
}

static bool has_tag(struct str to)
{
    struct sip_nameaddr a;
    struct str tag;
    return sip_nameaddr_parse(to, &a) == OK && sip_param(a.params, STR("tag"), &tag);
}

static void put_to(struct out *o, struct str line, struct str value, struct str to_tag)
{
    out_put(o, line);
    if (to_tag.n && !has_tag(value)) {
        OUT_LIT(o, ";tag=");
        sip_piece(o, to_tag);
    }
    OUT_LIT(o, "\r\n");
}

static void put_line(struct out *o, struct str line, struct str method, struct str to_tag,
                     bool *via_done)
{
    struct str name, value = str_trim(str_cut(line, ':', &name));
    enum sip_hdr id = sip_hdr_id(str_trim(name));
    if (id == HDR_TO && method.n) {
        put_to(o, line, value, to_tag);
        return;
    }
    if (id == HDR_CSEQ && method.n) {
        out_put(o, name);
        OUT_LIT(o, ": ");
        out_put(o, str_head(value, str_find(value, ' ')));
        out_ch(o, ' ');
        out_put(o, method);
        OUT_LIT(o, "\r\n");
        return;
    }
    bool wanted = id == HDR_MAX_FORWARDS || id == HDR_ROUTE || id == HDR_FROM || id == HDR_TO ||
                  id == HDR_CALL_ID || id == HDR_CSEQ || (id == HDR_VIA && !*via_done);
    *via_done |= id == HDR_VIA;
    if (!wanted)
        return;
    out_put(o, line);
    OUT_LIT(o, "\r\n");
}

/* The request is one of ours, so its lines are unfolded and its names well spelled. */
void hop_request(struct out *o, struct str request, struct str method, struct str to_tag,
                 struct str reason)
{
    struct str rest = request, line = line_take(&rest);
    bool via_done = false;
    put_first_line(o, line, method);
    for (line = line_take(&rest); line.n; line = line_take(&rest))
        put_line(o, line, method, to_tag, &via_done);
    if (reason.n)
        sip_put(o, HDR_REASON, reason);
    if (method.n)
        OUT_LIT(o, "Content-Length: 0\r\n");
    OUT_LIT(o, "\r\n");
}
