/* What a leg's peer can do, in as few words as an offer in its name needs: the m-lines of its last
 * description with their formats; no address, port, key or direction. Kept for transfers, where it
 * is offered to whom the peer is to be joined with. */
#include "call/core_int.h"

#define WORDS_PIECE 448u /* of a small block */
#define WORDS_MAX   (4 * WORDS_PIECE)

struct words {
    struct words *next;
    uint16_t n, cap;
    char p[];
};

static bool served(const struct leg *l)
{
    const struct policy *p = l->call->core->policy;
    return l->zone != POLICY_NONE && (p->zones[l->zone].services & SERVICE_TRANSFER);
}

static bool wanted(const struct leg *l)
{
    const struct call *k = l->call;
    if (served(l) || handle_is(k->origin) || (k->a->flags & LEG_STANDIN))
        return true;
    return l->side == 'b' ? served(k->a) : k->b && served(k->b);
}

/* m=audio 4000 RTP/SAVP 8 0: port and profile are those of an offer that is made anew. */
static void put_mline(struct out *o, struct str line)
{
    struct str kind, port, proto, formats;
    formats = str_cut(str_cut(str_cut(line, ' ', &kind), ' ', &port), ' ', &proto);
    out_put(o, kind);
    out_put(o, str_eq(port, STR("0")) ? STR(" 0 ") : STR(" 9 "));
    if (str_ends(proto, STR("RTP/SAVPF")))
        OUT_LIT(o, "RTP/AVPF");
    else if (str_ends(proto, STR("RTP/SAVP")))
        OUT_LIT(o, "RTP/AVP");
    else
        out_put(o, proto);
    out_ch(o, ' ');
    out_put(o, formats);
    OUT_LIT(o, "\r\n");
}

static bool says_something(struct str line)
{
    static const struct str known[] = {{"a=rtpmap:", 9}, {"a=fmtp:", 7},      {"a=rtcp-fb:", 10},
                                       {"a=ptime:", 8},  {"a=maxptime:", 11}, {"a=T38", 5}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_starts(line, known[i]))
            return true;
    return false;
}

/* a=rtpmap of a payload type that RFC 3551 names. */
static bool needless(struct str line)
{
    struct str pt;
    uint32_t n;
    if (!str_starts(line, STR("a=rtpmap:")))
        return false;
    str_cut(str_skip(line, 9), ' ', &pt);
    return str_u32(pt, 127, &n) == OK && n < 35;
}

static void shorten(struct str sdp, struct out *o)
{
    bool media = false;
    while (sdp.n) {
        struct str line;
        sdp = str_cut(sdp, '\n', &line);
        line = str_trim(line);
        if (str_starts(line, STR("m="))) {
            put_mline(o, line);
            media = true;
        } else if (media && says_something(line) && !needless(line)) {
            out_put(o, line);
            OUT_LIT(o, "\r\n");
        }
    }
}

static struct words *piece(struct arena *a, size_t n)
{
    size_t head = offsetof(struct words, p),
           cap = MIN(((n + head + 15) & ~(size_t)15) - head, (size_t)WORDS_PIECE);
    struct words *w = arena_take(a, head + cap);
    if (w) {
        w->next = NULL;
        w->n = 0;
        w->cap = (uint16_t)cap;
    }
    return w;
}

static enum err store(struct words **at, struct arena *a, struct str text)
{
    for (struct words *w = *at; w; w = w->next)
        w->n = 0;
    while (text.n) {
        if (!*at && !(*at = piece(a, text.n)))
            return ERR_FULL;
        struct words *w = *at;
        w->n = (uint16_t)MIN(text.n, (size_t)w->cap);
        memcpy(w->p, text.p, w->n);
        text = str_skip(text, w->n);
        at = &w->next;
    }
    return OK;
}

void words_keep(struct leg *l, struct str sdp)
{
    char buf[WORDS_MAX];
    struct out o = out_of(buf, sizeof buf);
    if (!sdp.n || (!l->words && !wanted(l)))
        return;
    shorten(sdp, &o);
    /* Longer than we keep, or no room: none is better than half of it. */
    if (o.full || store(&l->words, &l->call->text, out_str(&o)) != OK)
        for (struct words *w = l->words; w; w = w->next)
            w->n = 0;
}

static bool gather(const struct words *w, struct out *o)
{
    size_t before = o->n;
    for (; w; w = w->next)
        out_put(o, str_of(w->p, w->n));
    return o->n > before && !o->full;
}

enum err words_copy(const struct leg *l, struct call *to, struct words **ret_w)
{
    char buf[WORDS_MAX];
    struct out o = out_of(buf, sizeof buf);
    struct words *w = NULL;
    if (gather(l->words, &o) && store(&w, &to->text, out_str(&o)) != OK)
        return ERR_FULL;
    *ret_w = w;
    return OK;
}

bool words_put(const struct leg *l, const struct leg *asked, struct out *o)
{
    char buf[WORDS_MAX];
    struct out had = out_of(buf, sizeof buf);
    unsigned n = 0;
    OUT_LIT(o, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n");
    size_t start = o->n;
    if (!gather(l->words, o))
        return false;
    for (size_t i = start; i + 1 < o->n; i++)
        n += o->p[i] == 'm' && o->p[i + 1] == '=' && o->p[i - 1] == '\n';
    if (!asked || !gather(asked->words, &had))
        return !o->full;
    /* RFC 3264 section 8: its m-lines stay, those without a counterpart are switched off. */
    struct str rest = out_str(&had), line;
    while (rest.n) {
        rest = str_cut(rest, '\n', &line);
        if (!str_starts(line, STR("m=")) || (n && n--))
            continue;
        struct str kind, port, after = str_cut(str_cut(str_trim(line), ' ', &kind), ' ', &port);
        out_put(o, kind);
        OUT_LIT(o, " 0 ");
        out_put(o, after);
        OUT_LIT(o, "\r\n");
    }
    return !o->full;
}
