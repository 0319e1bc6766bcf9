#include "wire/sip/frame.h"
#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

static struct sip_frame frame(enum sip_frame_kind kind, uint32_t bytes)
{
    return (struct sip_frame){kind, bytes, REASON_NONE};
}

static struct sip_frame bad(enum reason r)
{
    return (struct sip_frame){FRAME_BAD, 0, r};
}

/* Line ends between messages: two are a ping, one is noise or the answer to ours. A single CRLF
 * waits for the byte that tells which. */
static struct sip_frame line_ends(struct str b)
{
    static const char ping[] = "\r\n\r\n";
    size_t n = MIN(b.n, 4u);
    if (memcmp(b.p, ping, n) == 0)
        return n == 4 ? frame(FRAME_PING, 4) : frame(FRAME_MORE, 0);
    if (b.n >= 3 && b.p[0] == '\r' && b.p[1] == '\n' && b.p[2] != '\r')
        return frame(FRAME_CRLF, 2);
    return bad(REASON_stream_framing);
}

/* Behind the empty line, or 0 while it has not come. */
static uint32_t head_find(struct sip_frame_scan *scan, struct str b)
{
    const char *p = b.p + scan->seen, *end = b.p + b.n;
    while (end - p >= 4) {
        p = memchr(p, '\r', (size_t)(end - p) - 3);
        if (!p)
            break;
        if (memcmp(p, "\r\n\r\n", 4) == 0)
            return (uint32_t)(p - b.p) + 4;
        p++;
    }
    scan->seen = b.n > 3 ? (uint32_t)b.n - 3 : 0;
    return 0;
}

/* Content-Length of the whole head, by the same line reader that the parser uses: both must see the
 * same fields or a message could hide in another's body. */
static enum reason head_length(struct str head, uint32_t *ret_length)
{
    const char *end = head.p + head.n, *p = head.p;
    bool found = false;
    p = memchr(p, '\n', head.n);
    if (!p || p == head.p || p[-1] != '\r')
        return REASON_stream_framing;
    for (p++;;) {
        struct sip_line line;
        enum reason why = REASON_NONE;
        enum sip_line_kind kind = sip_line_next(p, end, &line, &why);
        if (kind == LINE_EMPTY)
            return found ? REASON_NONE : REASON_sip_header_missing;
        if (kind != LINE_FIELD)
            return kind == LINE_BAD ? why : REASON_stream_framing;
        if (line.id == HDR_CONTENT_LENGTH) {
            if (found)
                return REASON_sip_header_duplicate;
            if (!sip_content_length(line.value, ret_length))
                return REASON_sip_content_length;
            found = true;
        }
        p = line.next;
    }
}

struct sip_frame sip_frame_next(struct sip_frame_scan *scan, struct str buffer,
                                uint32_t max_message)
{
    if (buffer.n == 0)
        return frame(FRAME_MORE, 0);
    if (scan->head_bytes == 0) {
        if (scan->seen == 0 && (*buffer.p == '\r' || *buffer.p == '\n'))
            return line_ends(buffer);
        if (!is(*buffer.p, C_TOKEN))
            return bad(REASON_sip_not_sip);
        uint32_t head = head_find(scan, str_head(buffer, (size_t)max_message));
        if (head == 0)
            return buffer.n >= max_message ? bad(REASON_sip_too_large) : frame(FRAME_MORE, 0);
        enum reason why = head_length(str_head(buffer, head), &scan->content_length);
        if (why != REASON_NONE)
            return bad(why);
        scan->head_bytes = head;
    }
    if (scan->content_length > max_message - scan->head_bytes)
        return bad(REASON_sip_too_large);
    uint32_t all = scan->head_bytes + scan->content_length;
    return buffer.n >= all ? frame(FRAME_MESSAGE, all) : frame(FRAME_MORE, 0);
}
