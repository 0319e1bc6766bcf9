#include "call/event.h"

static const struct {
    struct str name, type, subtype;
    uint8_t service;
} packages[] = {
    [EVENT_MWI] = {{"message-summary", 15},
                   {"application", 11},
                   {"simple-message-summary", 22},
                   SERVICE_MWI},
    [EVENT_DIALOG] = {{"dialog", 6}, {"application", 11}, {"dialog-info+xml", 15}, SERVICE_DIALOG},
    [EVENT_PRESENCE] = {{"presence", 8}, {"application", 11}, {"pidf+xml", 8}, SERVICE_PRESENCE},
};

static bool token_like(struct str s, size_t max)
{
    for (size_t i = 0; i < s.n; i++)
        if (!lex_in(&LEX_TOKEN, s.p[i]))
            return false;
    return s.n && s.n <= max;
}

enum event_package event_of(const struct sip_msg *m, struct str *ret_id)
{
    struct str value = sip_get(m, HDR_EVENT), name, pname, pvalue;
    *ret_id = STR_NONE;
    if (!value.n)
        return EVENT_ABSENT;
    struct str params = str_cut(value, ';', &name);
    while (sip_param_next(&params, &pname, &pvalue))
        if (str_ieq(pname, STR("id")) && token_like(pvalue, EVENT_ID_MAX))
            *ret_id = pvalue;
    for (size_t i = EVENT_MWI; i < ARRAY_LEN(packages); i++)
        if (str_ieq(str_trim(name), packages[i].name))
            return (enum event_package)i;
    return EVENT_UNKNOWN;
}

struct str event_package_name(enum event_package p)
{
    return packages[p].name;
}

struct str event_type(enum event_package p)
{
    static const struct str types[] = {[EVENT_MWI] = {"application/simple-message-summary", 34},
                                       [EVENT_DIALOG] = {"application/dialog-info+xml", 27},
                                       [EVENT_PRESENCE] = {"application/pidf+xml", 20}};
    return types[p];
}

uint8_t event_service(enum sip_method m, enum event_package p)
{
    if (m == SIP_MESSAGE)
        return SERVICE_MESSAGE;
    if (m == SIP_PUBLISH)
        return SERVICE_PUBLISH;
    return packages[p].service;
}

enum reason event_right(const struct policy *p, uint8_t zone, const struct sip_msg *m)
{
    struct str id;
    enum event_package package = EVENT_ABSENT;
    if (m->method != SIP_MESSAGE) {
        package = event_of(m, &id);
        if (package == EVENT_ABSENT)
            return REASON_sip_header_missing;
        if (package == EVENT_UNKNOWN)
            return REASON_sip_event_unknown;
    }
    uint8_t need = event_service(m->method, package);
    return zone < p->n_zones && (p->zones[zone].services & need) ? REASON_NONE
                                                                 : REASON_right_service;
}

enum reason event_text_type(struct str content_type, struct out *o)
{
    struct sip_media_type t;
    struct str charset;
    if (sip_media_type_parse(content_type, &t) != OK)
        return REASON_sip_body_type;
    if (str_ieq(t.type, STR("application")) && str_ieq(t.subtype, STR("im-iscomposing+xml"))) {
        OUT_LIT(o, "application/im-iscomposing+xml");
        return REASON_NONE;
    }
    if (!str_ieq(t.type, STR("text")) || !str_ieq(t.subtype, STR("plain")))
        return REASON_sip_body_type;
    OUT_LIT(o, "text/plain");
    if (sip_param(t.params, STR("charset"), &charset) && token_like(charset, 32)) {
        OUT_LIT(o, ";charset=");
        out_put(o, charset);
    }
    return REASON_NONE;
}

/* --- bodies --- */

static bool digit_at(struct str s, size_t i)
{
    return i < s.n && ascii_digit(s.p[i]);
}

static char at(struct str s, size_t i)
{
    return i < s.n ? s.p[i] : 0;
}

/* Length of a dotted address at i, 0 if there is none. */
static size_t quad_at(struct str s, size_t i)
{
    size_t from = i;
    if (i && digit_at(s, i - 1))
        return 0;
    for (unsigned part = 0; part < 4; part++) {
        size_t n = 0;
        if (part && at(s, i++) != '.')
            return 0;
        while (digit_at(s, i + n))
            n++;
        if (!n || n > 3)
            return 0;
        i += n;
    }
    return i - from;
}

bool event_address_like(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (quad_at(s, i))
            return true;
    return false;
}

static bool starts_at(struct str s, size_t i, struct str what)
{
    return str_istarts(str_skip(s, i), what);
}

static bool host_char(char c)
{
    return lex_in(&LEX_ALNUM, c) || (c && strchr(".-:[]_%", c));
}

static bool ends_uri(char c)
{
    return !c || (uint8_t)c <= ' ' || strchr("\"'<>", c);
}

/* Length of the scheme with its colon if a URI that names a user begins at i. */
static size_t scheme_at(struct str s, size_t i)
{
    static const struct str schemes[] = {{"sip:", 4}, {"sips:", 5}, {"pres:", 5}, {"im:", 3}};
    if (i && (lex_in(&LEX_ALNUM, s.p[i - 1]) || s.p[i - 1] == '+' || s.p[i - 1] == '-'))
        return 0;
    for (size_t k = 0; k < ARRAY_LEN(schemes); k++)
        if (starts_at(s, i, schemes[k]))
            return schemes[k].n;
    return 0;
}

/* user of "user:password@host" without what else could be an address. */
static void uri_put(struct out *o, struct str scheme, struct str rest, struct str host)
{
    size_t end = str_rfind(rest, '@');
    out_put(o, scheme);
    if (end < rest.n && end > 0) {
        struct str user = str_head(rest, end);
        str_cut(user, ';', &user);
        str_cut(user, ':', &user);
        /* An entity that is cut would be none. */
        bool odd = !user.n || event_address_like(user) || str_find(rest, '&') < end;
        for (size_t i = 0; i < user.n && !odd; i++)
            odd = user.p[i] == '@' || user.p[i] == '[';
        out_put(o, odd ? STR("anonymous") : user);
        out_ch(o, '@');
    }
    out_put(o, host);
}

struct scrub {
    struct str s;
    size_t i;
    const struct event_side *side;
    struct out *o;
    char quote; /* that is open inside of a tag */
    bool xml, tag, bad;
};

/* One piece of text: addresses in it are replaced. */
static void text_step(struct scrub *x)
{
    struct str s = x->s;
    size_t n = scheme_at(s, x->i), end;
    if (n) {
        for (end = x->i + n; !ends_uri(at(s, end));)
            end++;
        uri_put(x->o, str_of(s.p + x->i, n), str_of(s.p + x->i + n, end - x->i - n), x->side->host);
        x->i = end;
    } else if (s.p[x->i] == '@') {
        out_ch(x->o, '@');
        out_put(x->o, x->side->host);
        for (x->i++; host_char(at(s, x->i)) || at(s, x->i) == '@';)
            x->i++;
    } else if (starts_at(s, x->i, STR("://")) && !starts_at(s, x->i, STR("://www.w3.org/"))) {
        OUT_LIT(x->o, "://");
        out_put(x->o, x->side->host);
        for (x->i += 3; !ends_uri(at(s, x->i)) && at(s, x->i) != '/';)
            x->i++;
    } else if ((n = quad_at(s, x->i))) {
        OUT_LIT(x->o, "0.0.0.0");
        x->i += n;
    } else {
        out_ch(x->o, s.p[x->i++]);
    }
}

/* Moves behind the next `what`; what never comes is bad. A space stays, so that nothing is joined
 * that was apart when it was looked at. */
static void skip_behind(struct scrub *x, struct str what)
{
    if (x->o->n)
        out_ch(x->o, ' ');
    struct str rest = str_skip(x->s, x->i);
    size_t n = str_search(rest, what);
    x->bad |= n == rest.n;
    x->i += MIN(n + what.n, rest.n);
}

/* An attribute that names dialogs of the other side. true: it was handled. */
static bool attribute(struct scrub *x)
{
    static const struct str names[] = {{"id", 2},          {"call-id", 7},  {"local-tag", 9},
                                       {"remote-tag", 10}, {"from-tag", 8}, {"to-tag", 6}};
    struct str s = x->s;
    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        size_t i = x->i + names[k].n;
        if (!starts_at(s, x->i, names[k]))
            continue;
        while (at(s, i) && strchr(" \t\r\n", at(s, i)))
            i++;
        if (at(s, i) != '=')
            continue;
        do
            i++;
        while (at(s, i) && strchr(" \t\r\n", at(s, i)));
        char q = at(s, i);
        struct str value = str_skip(s, i + 1);
        size_t n = str_find(value, q);
        if ((q != '"' && q != '\'') || n == value.n) {
            x->bad = true;
            return true;
        }
        x->i = i + 1 + n + 1;
        if (k)
            return true;
        uint64_t h = siphash(x->side->hash, str_head(value, n));
        OUT_LIT(x->o, "id=\"r");
        out_hex(x->o, (const uint8_t *)&h, sizeof h);
        out_ch(x->o, '"');
        return true;
    }
    return false;
}

static bool entity_ok(struct str s)
{
    static const struct str known[] = {
        {"&amp;", 5}, {"&lt;", 4}, {"&gt;", 4}, {"&quot;", 6}, {"&apos;", 6}};
    for (size_t k = 0; k < ARRAY_LEN(known); k++)
        if (str_starts(s, known[k]))
            return true;
    return false;
}

/* Declarations could name what the scan does not see; without them and without entities a document
 * says what it shows. */
static bool plain(struct str s, bool xml)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
            return false;
        if (xml && c == '&' && !entity_ok(str_skip(s, i)))
            return false;
        if (xml && c == '<' && at(s, i + 1) == '!' && !starts_at(s, i, STR("<!--")))
            return false;
    }
    return true;
}

static void xml_step(struct scrub *x)
{
    char c = x->s.p[x->i];
    if (x->tag) {
        bool fresh = x->i && strchr(" \t\r\n\"'", x->s.p[x->i - 1]);
        if (!x->quote && fresh && attribute(x))
            return;
        if (x->quote ? c == x->quote : c == '"' || c == '\'')
            x->quote = x->quote ? 0 : c;
        else if (!x->quote && c == '>')
            x->tag = false;
        else if (c == '<')
            x->bad = true;
        text_step(x);
        return;
    }
    if (starts_at(x->s, x->i, STR("<!--"))) {
        skip_behind(x, STR("-->"));
        return;
    }
    if (starts_at(x->s, x->i, STR("<?"))) {
        bool first = !x->o->n;
        skip_behind(x, STR("?>"));
        if (first)
            OUT_LIT(x->o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
        return;
    }
    x->tag = c == '<';
    text_step(x);
}

static enum reason scrub(struct str body, bool xml, const struct event_side *side, struct out *o)
{
    struct scrub x = {.s = body, .side = side, .o = o, .xml = xml};
    while (x.i < body.n && !x.bad && !o->full) {
        if (xml)
            xml_step(&x);
        else
            text_step(&x);
    }
    if (o->full)
        return REASON_sip_too_large;
    return x.bad || x.tag ? REASON_sip_body_syntax : REASON_NONE;
}

/* RFC 3842 5.2: the counts and the account. What may follow them about single messages (Message-ID,
 * From, To of who left them) is left out. */
static enum reason summary(struct str body, const struct event_side *side, struct out *o)
{
    enum reason why = REASON_NONE;
    while (body.n && why == REASON_NONE) {
        struct str line, name;
        body = str_cut(body, '\n', &line);
        line = str_trim(line);
        if (!line.n)
            break;
        struct str value = str_trim(str_cut(line, ':', &name));
        name = str_trim(name);
        if (!str_ieq(name, STR("Messages-Waiting")) && !str_ieq(name, STR("Message-Account")) &&
            !(str_ieq(str_skip(name, MAX(name.n, 8) - 8), STR("-Message")) && token_like(name, 32)))
            continue;
        out_put(o, name);
        OUT_LIT(o, ": ");
        why = scrub(value, false, side, o);
        OUT_LIT(o, "\r\n");
    }
    return why;
}

enum reason event_body(enum event_package p, struct str content_type, struct str body,
                       const struct event_side *side, struct out *o)
{
    struct sip_media_type t;
    bool xml = p != EVENT_MWI;
    if (!body.n)
        return REASON_NONE;
    if (sip_media_type_parse(content_type, &t) != OK || !str_ieq(t.type, packages[p].type) ||
        !str_ieq(t.subtype, packages[p].subtype))
        return REASON_sip_body_type;
    if (!plain(body, xml))
        return REASON_sip_body_syntax;
    enum reason why = xml ? scrub(body, true, side, o) : summary(body, side, o);
    return why == REASON_NONE && o->full ? REASON_sip_too_large : why;
}

enum reason event_state(struct str value, struct out *o, bool *ret_terminated,
                        uint32_t *ret_expires)
{
    static const struct str states[] = {{"active", 6}, {"pending", 7}, {"terminated", 10}};
    static const struct str reasons[] = {{"deactivated", 11}, {"probation", 9}, {"rejected", 8},
                                         {"timeout", 7},      {"giveup", 6},    {"noresource", 10},
                                         {"invariant", 9}};
    struct str state, name, v, params = str_cut(value, ';', &state);
    size_t which = 0;
    uint32_t n;
    if (!value.n)
        return REASON_sip_header_missing;
    while (which < ARRAY_LEN(states) && !str_ieq(str_trim(state), states[which]))
        which++;
    if (which == ARRAY_LEN(states))
        return REASON_sip_header_syntax;
    out_put(o, states[which]);
    *ret_terminated = which == 2;
    *ret_expires = UINT32_MAX;
    bool had[3] = {false};
    while (sip_param_next(&params, &name, &v)) {
        unsigned k = str_ieq(name, STR("expires")) ? 0 : str_ieq(name, STR("retry-after")) ? 1 : 2;
        if (had[k])
            continue;
        if (k < 2 && str_u32(v, UINT32_MAX - 1, &n) == OK) {
            out_put(o, k ? STR(";retry-after=") : STR(";expires="));
            out_u64(o, n);
            had[k] = true;
            if (!k)
                *ret_expires = n;
        }
        for (size_t i = 0; str_ieq(name, STR("reason")) && i < ARRAY_LEN(reasons); i++)
            if (str_ieq(v, reasons[i])) {
                OUT_LIT(o, ";reason=");
                out_put(o, reasons[i]);
                had[2] = true;
            }
    }
    return o->full ? REASON_sip_header_limit : REASON_NONE;
}
