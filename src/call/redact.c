#include "call/redact.h"
#include "base/out.h"

static bool secret_header(struct str line)
{
    static const char *const NAMES[] = {"authorization", "proxy-authorization",
                                        "authentication-info", "proxy-authentication-info"};
    struct str name;
    str_cut(line, ':', &name);
    name = str_trim(name);
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
        if (str_ieq(name, str_c(NAMES[i])))
            return true;
    return false;
}

/* How much of a line of SDP may stay; the rest is a key. */
static size_t sdp_open(struct str line)
{
    if (str_istarts(line, STR("k=")))
        return 2;
    if (str_istarts(line, STR("a=key-mgmt:")))
        return strlen("a=key-mgmt:");
    if (!str_istarts(line, STR("a=crypto:")))
        return line.n;
    size_t space = str_find(line, ' '); /* tag, suite: then the keys */
    size_t next = space < line.n ? str_find(str_skip(line, space + 1), ' ') : 0;
    return space < line.n ? MIN(space + 1 + next, line.n) : strlen("a=crypto:");
}

static struct str line_of(struct str s)
{
    size_t n = 0; /* a bare CR ends a line as well: nothing may hide behind it */
    while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r')
        n++;
    if (n + 1 < s.n && s.p[n] == '\r' && s.p[n + 1] == '\n')
        n++;
    return str_of(s.p, n < s.n ? n + 1 : s.n);
}

static bool blank(struct str line)
{
    return str_trim(line).n == 0;
}

/* One line of the head. hiding: the line before was a secret, and this may go on with it. */
static bool head_line(struct out *o, struct str line, bool hiding)
{
    bool folded = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
    if (folded && hiding)
        return true;
    if (!secret_header(line)) {
        out_put(o, line);
        return false;
    }
    struct str name;
    str_cut(line, ':', &name);
    out_put(o, name);
    OUT_LIT(o, ": [redacted]\r\n");
    return true;
}

static void body_line(struct out *o, struct str line)
{
    size_t open = sdp_open(line);
    out_put(o, str_of(line.p, open));
    if (open < line.n)
        OUT_LIT(o, " [redacted]\r\n");
}

size_t redact(struct str message, char *ret, size_t cap)
{
    char line_room[2048];
    size_t n = 0;
    bool body = false, hiding = false, sdp = false;
    while (message.n && n < cap) {
        struct out o = out_of(line_room, sizeof line_room);
        struct str line = line_of(message);
        message = str_skip(message, line.n);
        struct str part = str_of(line.p, MIN(line.n, sizeof line_room - 64));
        if (!body) {
            hiding = head_line(&o, part, hiding);
            body = blank(line);
            sdp = body && str_istarts(message, STR("v="));
        } else if (sdp) {
            body_line(&o, part);
        } else {
            OUT_LIT(&o, "[body of ");
            out_u64(&o, line.n + message.n);
            OUT_LIT(&o, " bytes]");
            message.n = 0;
        }
        size_t room = MIN(o.n, cap - n);
        memcpy(ret + n, line_room, room);
        n += room;
    }
    return n;
}
