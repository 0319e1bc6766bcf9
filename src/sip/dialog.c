/* RFC 3261 section 12. Texts are copied anew only where they changed, so that refreshes of a long
 * call do not fill its arena. */
#include "sip/dialog.h"

static enum err set(struct str *field, struct arena *a, struct str value)
{
    if (field->p && str_eq(*field, value))
        return OK;
    struct str copy = arena_str(a, value);
    if (!copy.p)
        return ERR_FULL;
    *field = copy;
    return OK;
}

/* No byte that could end a line: what is kept here is written into our own messages. */
static bool one_line(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return true;
}

/* From or To as `"display" <uri>`; parameters, and a display name with folds in it, fall away. */
static enum err set_party(struct str *field, struct arena *a, struct str header)
{
    struct sip_nameaddr n;
    enum err e = sip_nameaddr_parse(header, &n);
    if (e != OK || n.star || !one_line(n.uri))
        return ERR_SYNTAX;
    bool display = n.display.n > 0 && one_line(n.display);
    size_t cap = n.uri.n + 2 + (display ? n.display.n + 3 : 0);
    char *p = arena_take(a, cap);
    if (!p)
        return ERR_FULL;
    struct out o = out_of(p, cap);
    if (display) {
        out_ch(&o, '"');
        out_put(&o, n.display);
        OUT_LIT(&o, "\" ");
    }
    out_ch(&o, '<');
    out_put(&o, n.uri);
    out_ch(&o, '>');
    *field = out_str(&o);
    return OK;
}

/* A URI that may stand in a Request-URI or Route: RFC 3261 19.1.1 table 1 allows no headers there.
 */
static bool target_like(struct str uri)
{
    struct sip_uri u;
    return one_line(uri) && sip_uri_parse(uri, &u) == OK &&
           (u.scheme == URI_SIP || u.scheme == URI_SIPS) && u.headers.n == 0;
}

static enum err contact(const struct sip_msg *m, struct str *ret_uri)
{
    struct sip_list it = {0};
    struct str element;
    struct sip_nameaddr n;
    if (!sip_list_next(m, HDR_CONTACT, &it, &element))
        return ERR_NOT_FOUND;
    if (sip_nameaddr_parse(element, &n) != OK || n.star || !target_like(n.uri))
        return ERR_SYNTAX;
    *ret_uri = n.uri;
    return OK;
}

static enum err set_route(struct str *field, struct arena *a, struct str uri)
{
    if (field->n == uri.n + 2 && str_eq(str_of(field->p + 1, uri.n), uri))
        return OK;
    char *p = arena_take(a, uri.n + 2);
    if (!p)
        return ERR_FULL;
    struct out o = out_of(p, uri.n + 2);
    out_ch(&o, '<');
    out_put(&o, uri);
    out_ch(&o, '>');
    *field = out_str(&o);
    return OK;
}

/* The route set: Record-Route in its order (UAS) or backwards (UAC), RFC 3261 12.1.1 and 12.1.2. */
static enum err set_routes(struct dialog *d, struct arena *a, const struct sip_msg *m,
                           bool backwards)
{
    struct str uris[DIALOG_ROUTES_MAX], element;
    struct sip_list it = {0};
    unsigned n = 0;
    while (sip_list_next(m, HDR_RECORD_ROUTE, &it, &element)) {
        struct sip_nameaddr r;
        if (n == DIALOG_ROUTES_MAX)
            return ERR_LIMIT;
        if (sip_nameaddr_parse(element, &r) != OK || r.star || !target_like(r.uri))
            return ERR_SYNTAX;
        uris[n++] = r.uri;
    }
    for (unsigned i = 0; i < n; i++) {
        enum err e = set_route(&d->routes[i], a, uris[backwards ? n - 1 - i : i]);
        if (e != OK)
            return e;
    }
    d->n_routes = (uint8_t)n;
    return OK;
}

static enum err uas_fill(struct dialog *d, struct arena *a, const struct sip_msg *invite,
                         struct str local_tag)
{
    struct str target = STR_NONE;
    enum err e = contact(invite, &target);
    if (e != OK)
        return ERR_SYNTAX;
    if ((e = set(&d->remote_target, a, target)) != OK)
        return e;
    if ((e = set(&d->call_id, a, sip_text(invite, invite->call_id))) != OK)
        return e;
    if ((e = set(&d->local_tag, a, local_tag)) != OK)
        return e;
    if ((e = set(&d->remote_tag, a, sip_text(invite, invite->from_tag))) != OK)
        return e;
    if ((e = set_party(&d->local_uri, a, sip_get(invite, HDR_TO))) != OK)
        return e;
    if ((e = set_party(&d->remote_uri, a, sip_get(invite, HDR_FROM))) != OK)
        return e;
    return set_routes(d, a, invite, false);
}

enum err dialog_uas(struct dialog *d, struct arena *a, const struct sip_msg *invite,
                    struct str local_tag)
{
    *d = (struct dialog){.remote_cseq = invite->cseq, .have_remote_cseq = true};
    return uas_fill(d, a, invite, local_tag);
}

enum err dialog_uac(struct dialog *d, struct arena *a, struct str call_id, struct str local_tag,
                    struct str local_uri, struct str remote_uri, struct str target)
{
    *d = (struct dialog){.uac = true};
    enum err e = set(&d->call_id, a, call_id);
    if (e == OK)
        e = set(&d->local_tag, a, local_tag);
    if (e == OK)
        e = set(&d->local_uri, a, local_uri);
    if (e == OK)
        e = set(&d->remote_uri, a, remote_uri);
    if (e == OK)
        e = set(&d->remote_target, a, target);
    return e;
}

enum err dialog_response(struct dialog *d, struct arena *a, const struct sip_msg *m)
{
    struct str tag = sip_text(m, m->to_tag), target;
    if (m->code < 101 || m->code > 299 || (m->code < 200 && tag.n == 0))
        return OK;
    if (d->confirmed && !str_eq(tag, d->remote_tag))
        return ERR_STATE;
    enum err e = contact(m, &target);
    if (e == ERR_SYNTAX || (e == ERR_NOT_FOUND && m->code >= 200 && !d->confirmed))
        return ERR_SYNTAX;
    if (e == OK)
        e = set(&d->remote_target, a, target);
    else
        e = OK;
    if (e == OK)
        e = set(&d->remote_tag, a, tag);
    if (e == OK && !d->confirmed)
        e = set_routes(d, a, m, true);
    if (e == OK && m->code >= 200)
        d->confirmed = true;
    return e;
}

enum err dialog_target(struct dialog *d, struct arena *a, const struct sip_msg *m)
{
    struct str target;
    enum err e = contact(m, &target);
    if (e == ERR_NOT_FOUND)
        return OK;
    return e == OK ? set(&d->remote_target, a, target) : e;
}

enum reason dialog_cseq(struct dialog *d, const struct sip_msg *m)
{
    if (m->method == SIP_ACK || m->method == SIP_CANCEL)
        return REASON_NONE;
    if (d->have_remote_cseq && m->cseq < d->remote_cseq)
        return REASON_sip_cseq_order;
    d->have_remote_cseq = true;
    d->remote_cseq = m->cseq;
    return REASON_NONE;
}

static struct str unbracket(struct str route)
{
    return str_of(route.p + 1, route.n - 2);
}

static bool loose(struct str uri)
{
    struct sip_uri u;
    struct str value;
    return sip_uri_parse(uri, &u) == OK && sip_param(u.params, STR("lr"), &value);
}

static void put_routes(const struct dialog *d, struct out *o, bool strict)
{
    for (unsigned i = strict ? 1 : 0; i < d->n_routes; i++)
        sip_put(o, HDR_ROUTE, d->routes[i]);
    if (!strict)
        return;
    sip_begin(o, HDR_ROUTE);
    out_ch(o, '<');
    sip_piece(o, d->remote_target);
    out_ch(o, '>');
    sip_eol(o);
}

static void put_party(struct out *o, enum sip_hdr h, struct str uri, struct str tag)
{
    sip_begin(o, h);
    sip_piece(o, uri);
    if (tag.n) {
        OUT_LIT(o, ";tag=");
        sip_piece(o, tag);
    }
    sip_eol(o);
}

void dialog_request(struct dialog *d, struct out *o, struct str method, uint32_t cseq,
                    struct str proto, struct str sent_by, struct str branch)
{
    bool strict = d->n_routes > 0 && !loose(unbracket(d->routes[0]));
    if (cseq == 0)
        cseq = ++d->local_cseq;
    sip_request_line(o, method, strict ? unbracket(d->routes[0]) : d->remote_target);
    sip_begin(o, HDR_VIA);
    OUT_LIT(o, "SIP/2.0/");
    out_put(o, proto);
    out_ch(o, ' ');
    out_put(o, sent_by);
    OUT_LIT(o, ";rport;branch=");
    out_put(o, branch);
    sip_eol(o);
    sip_put_u32(o, HDR_MAX_FORWARDS, 70);
    put_routes(d, o, strict);
    put_party(o, HDR_FROM, d->local_uri, d->local_tag);
    put_party(o, HDR_TO, d->remote_uri, d->remote_tag);
    sip_put(o, HDR_CALL_ID, d->call_id);
    sip_put_cseq(o, cseq, method);
}

struct str dialog_next_hop(const struct dialog *d)
{
    return d->n_routes > 0 ? unbracket(d->routes[0]) : d->remote_target;
}
