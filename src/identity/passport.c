#include "identity/passport.h"
#include "base/lex.h"

/* --- JSON, as much as a token needs: what is not looked for is skipped, bounded --- */

#define DEPTH 5u
struct json {
    char *p, *end;
    bool bad;
};

static void blanks(struct json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
        j->p++;
}

static bool take(struct json *j, char c)
{
    blanks(j);
    if (j->p >= j->end || *j->p != c)
        return false;
    j->p++;
    return true;
}

static void need(struct json *j, char c)
{
    j->bad |= !take(j, c);
}

/* One escape at j->p (behind the backslash). Beyond ASCII nothing of a token is written so. */
static char escape(struct json *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = j->p < j->end ? *j->p++ : '?';
    for (size_t i = 0; i < sizeof from - 1; i++)
        if (c == from[i])
            return to[i];
    uint8_t v[2] = {0};
    if (c != 'u' || j->end - j->p < 4 || hex_decode(str_of(j->p, 4), v, 2) != OK || v[0] ||
        v[1] >= 0x80 || !v[1]) {
        j->bad = true;
        return '?';
    }
    j->p += 4;
    return (char)v[1];
}

static struct str string(struct json *j)
{
    need(j, '"');
    char *at = j->p, *w = j->p;
    while (!j->bad && j->p < j->end && *j->p != '"') {
        char c = *j->p++;
        j->bad |= (uint8_t)c < ' ';
        *w++ = c == '\\' ? escape(j) : c;
    }
    if (j->bad || j->p >= j->end) {
        j->bad = true;
        return STR_NONE;
    }
    j->p++;
    return str_of(at, (size_t)(w - at));
}

static void word(struct json *j)
{
    char *at = j->p;
    while (j->p < j->end &&
           (lex_in(&LEX_ALNUM, *j->p) || *j->p == '-' || *j->p == '+' || *j->p == '.'))
        j->p++;
    struct str s = str_of(at, (size_t)(j->p - at));
    bool known = str_eq(s, STR("true")) || str_eq(s, STR("false")) || str_eq(s, STR("null"));
    j->bad |= !s.n || (!known && !ascii_digit(s.p[0]) && s.p[0] != '-');
}

/* Over one value, without recursion: brackets that are open are kept as bits. */
static void skip(struct json *j)
{
    uint32_t objects = 0, depth = 0;
    do {
        blanks(j);
        if (j->p < j->end && (*j->p == '{' || *j->p == '[')) {
            bool object = *j->p++ == '{';
            objects = objects << 1 | object;
            j->bad |= ++depth > DEPTH;
            if (take(j, object ? '}' : ']')) {
                objects >>= 1;
                depth--;
            } else {
                if (object) {
                    (void)string(j);
                    need(j, ':');
                }
                continue;
            }
        } else if (j->p < j->end && *j->p == '"') {
            (void)string(j);
        } else {
            word(j);
        }
        while (depth && !j->bad && take(j, objects & 1 ? '}' : ']')) {
            objects >>= 1;
            depth--;
        }
        if (depth && !j->bad) {
            need(j, ',');
            if (objects & 1) {
                (void)string(j);
                need(j, ':');
            }
        }
    } while (depth && !j->bad);
}

/* Members of an object, one a call: false at its end. first: true at the start. */
static bool member(struct json *j, bool *first, struct str *ret_key)
{
    if (*first)
        need(j, '{');
    if (j->bad || take(j, '}'))
        return false;
    if (!*first)
        need(j, ',');
    *first = false;
    *ret_key = string(j);
    need(j, ':');
    return !j->bad;
}

/* A key that is there twice says two things. */
static bool once(struct json *j, uint32_t *seen, uint32_t bit)
{
    j->bad |= (*seen & bit) != 0;
    *seen |= bit;
    return !j->bad;
}

/* --- header --- */

enum { H_ALG = 1, H_TYP = 2, H_PPT = 4, H_X5U = 8, H_CRIT = 16 };

static enum err read_header(struct json *j, struct passport *p)
{
    struct str key, alg = STR_NONE, typ = STR_NONE;
    uint32_t seen = 0;
    for (bool first = true; member(j, &first, &key);) {
        if (str_eq(key, STR("alg")) && once(j, &seen, H_ALG))
            alg = string(j);
        else if (str_eq(key, STR("typ")) && once(j, &seen, H_TYP))
            typ = string(j);
        else if (str_eq(key, STR("ppt")) && once(j, &seen, H_PPT))
            p->ppt = string(j);
        else if (str_eq(key, STR("x5u")) && once(j, &seen, H_X5U))
            p->x5u = string(j);
        else {
            seen |= str_eq(key, STR("crit")) ? H_CRIT : 0;
            skip(j);
        }
    }
    blanks(j);
    if (j->bad || j->p != j->end || (seen & 11) != 11 || p->x5u.n > PASSPORT_X5U_MAX || !p->x5u.n)
        return ERR_SYNTAX;
    bool ppt = !(seen & H_PPT) || str_eq(p->ppt, STR("shaken"));
    if (!str_eq(alg, STR("ES256")) || !str_eq(typ, STR("passport")) || !ppt || (seen & H_CRIT))
        return ERR_UNSUPPORTED;
    return OK;
}

/* --- claims --- */

static bool tn_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_digit(s.p[i]) && s.p[i] != '*' && s.p[i] != '#')
            return false;
    return s.n > 0 && s.n <= PASSPORT_TN_MAX;
}

static void read_list(struct json *j, struct str *v, uint8_t *n, bool tn)
{
    need(j, '[');
    do {
        struct str s = string(j);
        if (*n >= PASSPORT_DESTS || (tn && !tn_ok(s)) || !s.n)
            j->bad = true;
        else
            v[(*n)++] = s;
    } while (!j->bad && take(j, ','));
    need(j, ']');
}

static void read_dest(struct json *j, struct passport *p)
{
    struct str key;
    uint32_t seen = 0;
    for (bool first = true; member(j, &first, &key);) {
        bool tn = str_eq(key, STR("tn")), uri = str_eq(key, STR("uri"));
        if (!tn && !uri)
            skip(j);
        else if (once(j, &seen, tn ? 1 : 2))
            read_list(j, tn ? p->dest_tn : p->dest_uri, tn ? &p->n_tn : &p->n_uri, tn);
    }
    j->bad |= !seen;
}

static void read_orig(struct json *j, struct passport *p)
{
    struct str key;
    uint32_t seen = 0;
    for (bool first = true; member(j, &first, &key);) {
        if (str_eq(key, STR("tn")) && once(j, &seen, 1))
            p->orig_tn = string(j);
        else if (str_eq(key, STR("uri")) && once(j, &seen, 2))
            p->orig_uri = string(j);
        else
            skip(j);
    }
    /* exactly one identity (RFC 8225 5.2.1) */
    j->bad |=
        seen == 3 || !seen || (seen == 1 && !tn_ok(p->orig_tn)) || (seen == 2 && !p->orig_uri.n);
}

static void read_iat(struct json *j, struct passport *p)
{
    uint64_t v = 0;
    blanks(j);
    char *at = j->p;
    while (j->p < j->end && ascii_digit(*j->p))
        j->p++;
    struct str s = str_of(at, (size_t)(j->p - at));
    j->bad |= str_u64(s, INT64_MAX / 1000000, &v) != OK || (s.n > 1 && s.p[0] == '0');
    p->iat = (int64_t)v;
}

static void read_attest(struct json *j, struct passport *p)
{
    struct str s = string(j);
    j->bad |= s.n != 1 || s.p[0] < 'A' || s.p[0] > 'C';
    p->attest = j->bad ? 0 : s.p[0];
}

enum { C_DEST = 1, C_IAT = 2, C_ORIG = 4, C_ATTEST = 8, C_ORIGID = 16 };

static enum err read_claims(struct json *j, struct passport *p)
{
    struct str key;
    uint32_t seen = 0, want = C_DEST | C_IAT | C_ORIG | (p->ppt.n ? C_ATTEST | C_ORIGID : 0u);
    for (bool first = true; member(j, &first, &key);) {
        if (str_eq(key, STR("dest")) && once(j, &seen, C_DEST))
            read_dest(j, p);
        else if (str_eq(key, STR("iat")) && once(j, &seen, C_IAT))
            read_iat(j, p);
        else if (str_eq(key, STR("orig")) && once(j, &seen, C_ORIG))
            read_orig(j, p);
        else if (p->ppt.n && str_eq(key, STR("attest")) && once(j, &seen, C_ATTEST))
            read_attest(j, p);
        else if (p->ppt.n && str_eq(key, STR("origid")) && once(j, &seen, C_ORIGID))
            p->origid = string(j);
        else
            skip(j);
    }
    blanks(j);
    bool bad = j->bad || j->p != j->end || (seen & want) != want;
    return bad || p->origid.n > PASSPORT_ORIGID || (p->ppt.n && !p->origid.n) ? ERR_SYNTAX : OK;
}

enum err passport_parse(struct str header, struct str claims, char *mem, struct passport *ret_p)
{
    struct passport p = {0};
    size_t nh = 0, nc = 0;
    enum err e = base64url_decode(header, (uint8_t *)mem, PASSPORT_BYTES, &nh);
    if (e == OK)
        e = base64url_decode(claims, (uint8_t *)mem + nh, PASSPORT_BYTES - nh, &nc);
    if (e != OK)
        return e;
    struct json h = {mem, mem + nh, false}, c = {mem + nh, mem + nh + nc, false};
    e = read_header(&h, &p);
    if (e == OK)
        e = read_claims(&c, &p);
    if (e == OK)
        *ret_p = p;
    return e;
}

/* --- writing --- */

void passport_header_put(struct out *o, const struct passport *p)
{
    OUT_LIT(o, "{\"alg\":\"ES256\"");
    if (p->ppt.n) {
        OUT_LIT(o, ",\"ppt\":");
        out_json_str(o, p->ppt);
    }
    OUT_LIT(o, ",\"typ\":\"passport\",\"x5u\":");
    out_json_str(o, p->x5u);
    out_ch(o, '}');
}

static void list_put(struct out *o, struct str name, const struct str *v, uint8_t n, bool more)
{
    if (!n)
        return;
    if (more)
        out_ch(o, ',');
    out_json_str(o, name);
    OUT_LIT(o, ":[");
    for (uint8_t i = 0; i < n; i++) {
        if (i)
            out_ch(o, ',');
        out_json_str(o, v[i]);
    }
    out_ch(o, ']');
}

void passport_claims_put(struct out *o, const struct passport *p)
{
    char attest[1] = {p->attest};
    out_ch(o, '{');
    if (p->ppt.n) {
        OUT_LIT(o, "\"attest\":");
        out_json_str(o, str_of(attest, 1));
        out_ch(o, ',');
    }
    OUT_LIT(o, "\"dest\":{");
    list_put(o, STR("tn"), p->dest_tn, p->n_tn, false);
    list_put(o, STR("uri"), p->dest_uri, p->n_uri, p->n_tn > 0);
    OUT_LIT(o, "},\"iat\":");
    out_i64(o, p->iat);
    OUT_LIT(o, ",\"orig\":{");
    out_put(o, p->orig_tn.n ? STR("\"tn\":") : STR("\"uri\":"));
    out_json_str(o, p->orig_tn.n ? p->orig_tn : p->orig_uri);
    out_ch(o, '}');
    if (p->ppt.n) {
        OUT_LIT(o, ",\"origid\":");
        out_json_str(o, p->origid);
    }
    out_ch(o, '}');
}

static void part_put(struct out *o, const struct passport *p,
                     void (*write)(struct out *, const struct passport *))
{
    char json[PASSPORT_BYTES], text[(PASSPORT_BYTES + 2) / 3 * 4];
    struct out j = out_of(json, sizeof json);
    write(&j, p);
    o->full |= j.full;
    out_put(o, str_of(text, base64url_encode((const uint8_t *)json, j.n, text)));
}

void passport_put(struct out *o, const struct passport *p)
{
    part_put(o, p, passport_header_put);
    out_ch(o, '.');
    part_put(o, p, passport_claims_put);
}

/* --- judging --- */

enum reason passport_judge(const struct passport *p, const struct passport_want *w)
{
    bool dest = false;
    int64_t now = w->now.us / 1000000, fresh = (int64_t)w->fresh_s;
    if (!str_eq(p->x5u, w->info))
        return REASON_stir_invalid;
    if (!w->orig.n || !str_eq(p->orig_tn, w->orig))
        return REASON_stir_invalid;
    for (uint8_t i = 0; i < p->n_tn; i++)
        dest |= w->dest.n && str_eq(p->dest_tn[i], w->dest);
    if (!dest)
        return REASON_stir_invalid;
    return p->iat > now + fresh || p->iat < now - fresh ? REASON_stir_stale : REASON_NONE;
}

/* --- the header field --- */

static bool b64_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!lex_in(&LEX_ALNUM, s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return true;
}

static struct str unquoted(struct str s)
{
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    return quoted ? str_of(s.p + 1, s.n - 2) : s;
}

/* name=value of a list of ';'; the URL in <> may hold a ';'. */
static bool param(struct str *rest, struct str *ret_name, struct str *ret_value)
{
    struct str one;
    *rest = str_trim(*rest);
    size_t eq = str_find(*rest, '=');
    *ret_name = str_trim(str_head(*rest, eq));
    struct str v = str_trim(str_skip(*rest, eq + 1));
    if (v.n && v.p[0] == '<') {
        size_t end = str_find(v, '>');
        if (end == v.n)
            return false;
        *ret_value = str_of(v.p, end + 1);
        *rest = str_trim(str_skip(v, end + 1));
        if (rest->n && rest->p[0] != ';')
            return false;
        *rest = str_skip(*rest, 1);
        return ret_name->n > 0;
    }
    *rest = str_cut(v, ';', &one);
    *ret_value = str_trim(one);
    return ret_name->n > 0 && eq > 0;
}

enum err identity_parse(struct str value, struct identity_field *ret_f)
{
    struct identity_field f = {0};
    struct str token, name, v, alg = STR_NONE, rest = str_cut(str_trim(value), ';', &token);
    token = str_trim(token);
    struct str tail = str_cut(token, '.', &f.header);
    f.signature = str_cut(tail, '.', &f.claims);
    if (!f.signature.n || f.header.n > PASSPORT_TEXT || f.claims.n > PASSPORT_TEXT ||
        !b64_ok(f.header) || !b64_ok(f.claims) || !b64_ok(f.signature) ||
        (f.header.n == 0) != (f.claims.n == 0))
        return ERR_SYNTAX;
    f.compact = f.header.n == 0;
    while (str_trim(rest).n) {
        if (!param(&rest, &name, &v))
            return ERR_SYNTAX;
        bool url = v.n > 2 && v.p[0] == '<';
        struct str *at = str_ieq(name, STR("info"))  ? &f.info
                         : str_ieq(name, STR("alg")) ? &alg
                         : str_ieq(name, STR("ppt")) ? &f.ppt
                                                     : NULL;
        if (at && (at->p || url != (at == &f.info)))
            return ERR_SYNTAX; /* twice, or not of its form */
        if (at)
            *at = url ? str_of(v.p + 1, v.n - 2) : unquoted(v);
    }
    if (!f.info.n || f.info.n > PASSPORT_X5U_MAX)
        return ERR_SYNTAX;
    if (alg.n && !str_ieq(alg, STR("ES256")))
        return ERR_UNSUPPORTED;
    *ret_f = f;
    return OK;
}

void identity_put(struct out *o, struct str signing_input, const uint8_t sig[PASSPORT_SIG],
                  struct str info, struct str ppt)
{
    char text[(PASSPORT_SIG + 2) / 3 * 4];
    out_put(o, signing_input);
    out_ch(o, '.');
    out_put(o, str_of(text, base64url_encode(sig, PASSPORT_SIG, text)));
    OUT_LIT(o, ";info=<");
    out_put(o, info);
    OUT_LIT(o, ">;alg=ES256");
    if (ppt.n) {
        OUT_LIT(o, ";ppt=\"");
        out_put(o, ppt);
        out_ch(o, '"');
    }
}

enum err identity_signature(const struct identity_field *f, uint8_t ret_sig[PASSPORT_SIG])
{
    uint8_t sig[PASSPORT_SIG];
    size_t n = 0;
    if (base64url_decode(f->signature, sig, sizeof sig, &n) != OK || n != sizeof sig)
        return ERR_SYNTAX;
    memcpy(ret_sig, sig, sizeof sig);
    return OK;
}

/* --- dates and DER --- */

static int64_t days_of(int64_t y, int64_t m, int64_t d) /* since 1970, Gregorian */
{
    y -= m <= 2;
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

enum err sip_date_parse(struct str s, int64_t *ret_s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint32_t d, y, hh, mm, ss, m = 0;
    s = str_trim(s);
    if (s.n != 29 || s.p[3] != ',' || s.p[4] != ' ' || s.p[7] != ' ' || s.p[11] != ' ' ||
        s.p[16] != ' ' || s.p[19] != ':' || s.p[22] != ':' || !str_eq(str_skip(s, 25), STR(" GMT")))
        return ERR_SYNTAX;
    while (m < 12 && !str_eq(str_of(months + 3 * m, 3), str_of(s.p + 8, 3)))
        m++;
    if (m == 12 || str_u32(str_of(s.p + 5, 2), 31, &d) != OK ||
        str_u32(str_of(s.p + 12, 4), 9999, &y) != OK ||
        str_u32(str_of(s.p + 17, 2), 23, &hh) != OK ||
        str_u32(str_of(s.p + 20, 2), 59, &mm) != OK ||
        str_u32(str_of(s.p + 23, 2), 60, &ss) != OK || !d || y < 1970)
        return ERR_SYNTAX;
    *ret_s = days_of(y, m + 1, d) * 86400 + hh * 3600 + mm * 60 + ss;
    return OK;
}

/* One INTEGER into 32 bytes, big endian; false: negative, too long, or not minimal. */
static bool der_integer(struct str *s, uint8_t ret[32])
{
    const uint8_t *p = (const uint8_t *)s->p;
    if (s->n < 3 || p[0] != 2 || p[1] < 1 || p[1] > 33 || s->n < 2u + p[1] || p[2] & 0x80)
        return false;
    size_t n = p[1];
    const uint8_t *v = p + 2;
    if (n > 1 && v[0] == 0 && !(v[1] & 0x80))
        return false;
    *s = str_skip(*s, 2 + n);
    if (v[0] == 0) {
        v++;
        n--;
    }
    if (n > 32)
        return false;
    memset(ret, 0, 32);
    memcpy(ret + 32 - n, v, n);
    return true;
}

enum err es256_raw(struct str der, uint8_t ret_sig[PASSPORT_SIG])
{
    uint8_t sig[PASSPORT_SIG];
    const uint8_t *p = (const uint8_t *)der.p;
    if (der.n < 8 || der.n > 72 || p[0] != 0x30 || p[1] != der.n - 2)
        return ERR_SYNTAX;
    struct str s = str_skip(der, 2);
    if (!der_integer(&s, sig) || !der_integer(&s, sig + 32) || s.n)
        return ERR_SYNTAX;
    memcpy(ret_sig, sig, sizeof sig);
    return OK;
}
