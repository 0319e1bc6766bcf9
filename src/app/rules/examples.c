#include "app/rules/examples.h"
#include "guard/rules_blob.h"

#define FILE_MAX (8u << 20)
#define HITS     64u

static const char *directive(struct example *x, struct str line)
{
    struct str key, value = str_trim(str_cut(str_trim(str_skip(line, 2)), ' ', &key));
    static const char *const protos[] = {"udp", "tcp", "tls"};
    if (str_eq(key, STR("rtp")))
        x->rtp = true;
    else if (str_eq(key, STR("to_client")))
        x->to_client = true;
    else if (str_eq(key, STR("established")))
        x->established = true;
    else if (str_eq(key, STR("repeat")))
        return str_u32(value, 100000, &x->repeat) == OK && x->repeat ? NULL : "repeat is no number";
    else if (str_eq(key, STR("source")) || str_eq(key, STR("dest")))
        return addr_parse(value, key.n == 4 ? &x->dest : &x->source) == OK ? NULL
                                                                           : "an address is wrong";
    else if (str_eq(key, STR("transport"))) {
        for (uint8_t i = 0; i < ARRAY_LEN(protos); i++)
            if (str_eq(value, str_c(protos[i])))
                return x->proto = i, NULL;
        return "transport is udp, tcp or tls";
    } else
        return "a directive is not known";
    return NULL;
}

static bool put(struct example *x, char c)
{
    if (x->n == EXAMPLE_MAX)
        return false;
    x->bytes[x->n++] = c;
    return true;
}

static bool put_line(struct example *x, struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        bool byte = line.p[i] == '\\' && i + 3 < line.n && line.p[i + 1] == 'x' &&
                    hex_nibble(line.p[i + 2]) >= 0 && hex_nibble(line.p[i + 3]) >= 0;
        if (i + 2 == line.n && line.p[i] == '\\' && line.p[i + 1] == 'c')
            return true; /* the next line belongs to this one */
        int b = byte ? hex_nibble(line.p[i + 2]) * 16 + hex_nibble(line.p[i + 3]) : 0;
        char c = byte ? (char)b : line.p[i];
        i += byte ? 3 : 0;
        if (!put(x, c))
            return false;
    }
    return put(x, '\r') && put(x, '\n');
}

static bool put_hex(struct example *x, struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == ' ')
            continue;
        int high = hex_nibble(line.p[i]), low = i + 1 < line.n ? hex_nibble(line.p[++i]) : -1;
        if (high < 0 || low < 0 || !put(x, (char)(high * 16 + low)))
            return false;
    }
    return true;
}

const char *example_parse(struct str text, struct example *x)
{
    char *bytes = x->bytes;
    *x = (struct example){.path = x->path, .bytes = bytes, .repeat = 1};
    if (addr_parse(STR("203.0.113.9:5060"), &x->source) != OK ||
        addr_parse(STR("192.0.2.1:5060"), &x->dest) != OK)
        return "?";
    bool head = true;
    while (text.n) {
        struct str line = str_head(text, str_find(text, '\n'));
        text = str_skip(text, line.n + 1);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        bool told = head && str_starts(line, STR("#!"));
        const char *why = told ? directive(x, line) : NULL;
        if (why)
            return why;
        if (told || (head && line.n == 0))
            continue;
        head = false;
        if (!(x->rtp ? put_hex(x, line) : put_line(x, line)))
            return x->rtp ? "the packet is not hexadecimal" : "the message is too long";
    }
    /* a message without body ends in an empty line, whether it is written or not */
    if (!x->rtp && x->n && str_search(str_of(x->bytes, x->n), STR("\r\n\r\n")) == x->n)
        return put_line(x, STR("")) ? NULL : "the message is too long";
    return x->n ? NULL : "it is empty";
}

const char *example_read(struct example *x)
{
    static char text[EXAMPLE_MAX];
    FILE *f = fopen(x->path, "rbe");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f)
        (void)fclose(f);
    return f ? example_parse(str_of(text, n), x) : "cannot be read";
}

size_t example_run(const struct example *x, const struct rules *r, const struct rules_scan *s,
                   struct rules_state *state, struct rules_hit *hits, size_t cap)
{
    static struct sip_msg m;
    struct sip_error why;
    struct str bytes = str_of(x->bytes, x->n);
    size_t n = 0;
    if (!x->rtp && sip_parse(bytes, false, &m, &why) != OK)
        return SIZE_MAX;
    struct rules_input in = {.m = x->rtp ? NULL : &m,
                             .bytes = bytes,
                             .source = x->source,
                             .dest = x->dest,
                             .proto = x->proto,
                             .to_server = !x->to_client,
                             .established = x->established,
                             .flow = 1};
    for (uint32_t i = 0; i < x->repeat; i++)
        n = rules_run(r, state, rules_scan_get(s), &in, (struct now){{i * 1000}, {i * 1000}}, hits,
                      cap);
    return n;
}

/* -- blocks -- */

enum { SEEN_FIRE = 1, SEEN_PASS = 2 };
struct runner {
    const struct rules *r;
    struct rules_scan *scan;
    void *state;
    uint8_t *seen; /* a rule */
    struct out *o;
    struct examples_told *t;
    const char *path;
    struct example x;
};

static void fails(struct runner *w, uint32_t sid, bool fire, unsigned line, const char *why)
{
    w->t->failed++;
    out_fmt(w->o, "%s:%u: %u %s: %s\n", w->path, line, (unsigned)sid, fire ? "fire" : "pass", why);
}

static void block(struct runner *w, uint32_t sid, bool fire, struct str text, unsigned line)
{
    struct rules_hit hits[HITS];
    const char *why = NULL;
    size_t n = 0;
    w->t->examples++;
    for (uint32_t i = 0; i < rules_count(w->r); i++)
        if (rules_rule_at(w->r, i)->sid == sid)
            w->seen[i] |= fire ? SEEN_FIRE : SEEN_PASS;
    memset(w->state, 0, rules_state_bytes(w->r));
    struct rules_state *state = rules_state_init(w->state, w->r);
    while (text.n && !why && n != SIZE_MAX) {
        size_t end = str_search(text, STR("\n--\n"));
        why = example_parse(str_head(text, MIN(end + 1, text.n)), &w->x);
        if (!why)
            n = example_run(&w->x, w->r, w->scan, state, hits, HITS);
        text = str_skip(text, end + 4);
    }
    if (why) {
        fails(w, sid, fire, line, why);
        return;
    }
    bool fired = false;
    char other[64] = "";
    for (size_t i = 0; n != SIZE_MAX && i < n; i++) {
        fired = fired || hits[i].sid == sid;
        (void)snprintf(other, sizeof other, "rule %u fires", (unsigned)hits[i].sid);
    }
    if (n == SIZE_MAX)
        fails(w, sid, fire, line, "it is no message that is parsed");
    else if (fire && !fired)
        fails(w, sid, fire, line, "the rule does not fire");
    else if (!fire && n)
        fails(w, sid, fire, line, other);
}

static void blocks(struct runner *w, struct str all)
{
    unsigned line = 0, first = 0;
    uint32_t sid = 0;
    bool fire = false;
    const char *from = NULL;
    for (;;) {
        struct str s = str_head(all, str_find(all, '\n'));
        bool end = all.n == 0, head = str_starts(s, STR("== "));
        line++;
        if ((end || head) && from)
            block(w, sid, fire, str_of(from, (size_t)(all.p - from)), first);
        if (end)
            return;
        all = str_skip(all, s.n + 1);
        if (!head)
            continue;
        struct str number, kind = str_trim(str_cut(str_trim(str_skip(s, 3)), ' ', &number));
        fire = str_eq(kind, STR("fire"));
        from = all.p;
        first = line;
        if (str_u32(number, INT32_MAX, &sid) != OK || (!fire && !str_eq(kind, STR("pass")))) {
            fails(w, 0, fire, line, "a block begins with == SID fire or == SID pass");
            from = NULL;
        }
    }
}

static void file(struct runner *w, const char *rules_path)
{
    char path[1024];
    size_t n = strlen(rules_path);
    bool named = str_ends(str_c(rules_path), STR(".rules"));
    (void)snprintf(path, sizeof path, "%.*s.examples", (int)(named ? n - 6 : n), rules_path);
    FILE *f = fopen(path, "rbe");
    char *text = f ? malloc(FILE_MAX) : NULL;
    w->path = path;
    if (text)
        blocks(w, str_of(text, fread(text, 1, FILE_MAX, f)));
    free(text);
    if (f)
        (void)fclose(f);
}

void examples_test(const struct rules *r, const char *const *paths, unsigned n, struct out *o,
                   struct examples_told *ret_t)
{
    *ret_t = (struct examples_told){0};
    struct runner w = {.r = r,
                       .scan = rules_scan_new(r, false),
                       .state = malloc(rules_state_bytes(r)),
                       .seen = calloc(rules_count(r) + 1u, 1),
                       .o = o,
                       .t = ret_t};
    w.x.bytes = malloc(EXAMPLE_MAX);
    if (w.scan && w.state && w.seen && w.x.bytes)
        for (unsigned i = 0; i < n; i++)
            file(&w, paths[i]);
    else
        ret_t->failed++;
    for (uint32_t i = 0; w.seen && i < rules_count(r); i++) {
        if (w.seen[i] == (SEEN_FIRE | SEEN_PASS))
            continue;
        ret_t->missing++;
        out_fmt(o, "rule %u has no example on which it %s\n", (unsigned)rules_rule_at(r, i)->sid,
                w.seen[i] & SEEN_FIRE ? "does not fire" : "fires");
    }
    rules_scan_free(w.scan);
    free(w.state);
    free(w.seen);
    free(w.x.bytes);
}
