/* The options in parentheses: which there are, and those about the rule as a whole. */
#include "app/rules/build.h"

#define TEXT_MAX 512u /* bytes of msg */

static void opt_msg(struct parse *p, struct str v)
{
    char text[TEXT_MAX];
    struct out o = out_of(text, sizeof text);
    struct str s;
    if (!rule_unquote(p, v, &s))
        return;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        out_ch(&o, s.p[i] >= 0x20 && s.p[i] < 0x7f ? s.p[i] : '?');
    }
    if (o.full)
        rule_problem(p, rule_place(p, v), NULL, "longer than %u bytes", TEXT_MAX);
    else
        (void)rule_keep_text(p->b, out_str(&o), &p->r.msg);
}

static void opt_sid(struct parse *p, struct str v)
{
    int64_t n;
    if (rule_number(p, v, 1, INT32_MAX, &n))
        p->r.sid = (uint32_t)n;
}
static void opt_rev(struct parse *p, struct str v)
{
    int64_t n;
    if (rule_number(p, v, 0, INT32_MAX, &n))
        p->r.rev = (uint32_t)n;
}
static void opt_gid(struct parse *p, struct str v)
{
    int64_t n;
    if (rule_number(p, v, 1, INT32_MAX, &n))
        p->r.gid = (uint32_t)n;
}
static void opt_priority(struct parse *p, struct str v)
{
    int64_t n;
    if (rule_number(p, v, 1, 255, &n)) {
        p->r.severity = (uint8_t)MIN(n, 4);
        p->severity_said = true;
    }
}

static void opt_classtype(struct parse *p, struct str v)
{
    int severity = rule_class_severity(v);
    if (!severity) {
        rule_problem(p, rule_place(p, v),
                     "a class of Suricata's usual classification; or say priority",
                     "classtype \"" STR_FMT "\" is not known", (int)MIN(v.n, 60u), v.p);
        return;
    }
    p->severity_of_class = (uint8_t)severity;
    (void)rule_keep_text(p->b, v, &p->r.classtype);
}

static void opt_reference(struct parse *p, struct str v)
{
    struct str kind, rest = str_cut(v, ',', &kind);
    if (kind.n == 0 || str_trim(rest).n == 0)
        rule_problem(p, rule_place(p, v), "as in reference:cve,2021-44228",
                     "a reference is TYPE,VALUE");
}

/* "key value, key value"; ours is ringwall_weight, others are read over. */
static void opt_metadata(struct parse *p, struct str v)
{
    while (v.n) {
        struct str one, key;
        int64_t n;
        v = str_cut(v, ',', &one);
        struct str value = str_trim(str_cut(str_trim(one), ' ', &key));
        if (key.n == 0)
            rule_problem(p, rule_place(p, one), "as in metadata:key value, key value",
                         "an entry of the metadata is empty");
        else if (str_eq(key, STR("ringwall_weight")) && rule_number(p, value, 1, 255, &n))
            p->r.weight = (uint8_t)n;
    }
}

static void opt_flow(struct parse *p, struct str v)
{
    static const struct {
        const char *name;
        uint8_t bit, against;
    } words[] = {
        {"to_server", RF_TO_SERVER, RF_TO_CLIENT}, {"from_client", RF_TO_SERVER, RF_TO_CLIENT},
        {"to_client", RF_TO_CLIENT, RF_TO_SERVER}, {"from_server", RF_TO_CLIENT, RF_TO_SERVER},
        {"established", RF_EST, RF_NOT_EST},       {"not_established", RF_NOT_EST, RF_EST},
        {"stateless", 0, RF_EST | RF_NOT_EST}};
    while (v.n) {
        struct str w;
        size_t i = 0;
        v = str_cut(v, ',', &w);
        w = str_trim(w);
        while (i < ARRAY_LEN(words) && !str_eq(w, str_c(words[i].name)))
            i++;
        if (i == ARRAY_LEN(words))
            rule_problem(p, rule_place(p, w),
                         "to_server from_client to_client from_server established not_established "
                         "stateless",
                         "flow \"" STR_FMT "\" is not served", (int)MIN(w.n, 40u), w.p);
        else if (p->r.flow & words[i].against)
            rule_problem(p, rule_place(p, w), NULL, "flow says both one thing and its opposite");
        else
            p->r.flow |= words[i].bit;
    }
}

static bool track_of(struct parse *p, struct str w, uint8_t *ret)
{
    static const char *const names[TRACKS] = {[TRACK_SRC] = "by_src",
                                              [TRACK_DST] = "by_dst",
                                              [TRACK_BOTH] = "by_both",
                                              [TRACK_RULE] = "by_rule",
                                              [TRACK_FLOW] = "by_flow"};
    for (uint8_t i = 0; i < TRACKS; i++) {
        if (str_eq(w, str_c(names[i]))) {
            *ret = i;
            return true;
        }
    }
    rule_problem(p, rule_place(p, w), "by_src, by_dst, by_both, by_rule or by_flow",
                 "track \"" STR_FMT "\" is not served", (int)MIN(w.n, 40u), w.p);
    return false;
}

static bool limit_type(struct parse *p, struct str w, uint8_t *ret)
{
    *ret = str_eq(w, STR("limit"))       ? LIMIT_LIMIT
           : str_eq(w, STR("threshold")) ? LIMIT_THRESHOLD
           : str_eq(w, STR("both"))      ? LIMIT_BOTH
                                         : LIMIT_NONE;
    if (*ret == LIMIT_NONE)
        rule_problem(p, rule_place(p, w), "limit, threshold or both",
                     "type \"" STR_FMT "\" is not served", (int)MIN(w.n, 40u), w.p);
    return *ret != LIMIT_NONE;
}

static void limit(struct parse *p, struct str v, struct rules_limit *l, bool filter)
{
    unsigned seen = 0, want = filter ? 14 : 15;
    size_t at = rule_place(p, v);
    *l = (struct rules_limit){.type = LIMIT_FILTER};
    while (v.n) {
        struct str one, key;
        int64_t n = 0;
        unsigned bit = 0;
        v = str_cut(v, ',', &one);
        one = str_trim(one);
        struct str value = str_trim(str_cut(one, ' ', &key));
        bool good = true;
        if (str_eq(key, STR("type")) && !filter)
            bit = 1, good = limit_type(p, value, &l->type);
        else if (str_eq(key, STR("track")))
            bit = 2, good = track_of(p, value, &l->track);
        else if (str_eq(key, STR("count")))
            bit = 4, good = rule_number(p, value, 1, INT32_MAX, &n), l->count = (uint32_t)n;
        else if (str_eq(key, STR("seconds")))
            bit = 8, good = rule_number(p, value, 1, 86400 * 30, &n), l->seconds = (uint32_t)n;
        if (!good)
            seen |= bit;
        else if (!bit || (seen & bit))
            rule_problem(p, rule_place(p, one), NULL, "\"" STR_FMT "\" does not belong here",
                         (int)MIN(one.n, 40u), one.p);
        seen |= bit;
    }
    if (seen != want)
        rule_problem(p, at,
                     filter ? "track by_src, count 5, seconds 60"
                            : "type limit, track by_src, count 1, seconds 60",
                     "%s, count and seconds must all be said", filter ? "track" : "type, track");
}
static void opt_threshold(struct parse *p, struct str v)
{
    limit(p, v, &p->r.limit[1], false);
}
static void opt_detection_filter(struct parse *p, struct str v)
{
    limit(p, v, &p->r.limit[0], true);
}

static int bit_of(struct parse *p, struct str name, bool set, size_t at)
{
    struct rules_build *b = p->b;
    uint32_t i = 0;
    while (i < b->n_bits && !str_eq(str_c(b->bits[i].name), name))
        i++;
    if (name.n == 0 || name.n >= sizeof b->bits[0].name || str_find(name, '|') < name.n) {
        rule_problem(p, at, "one name a keyword, without |", "a flowbit's name has 1 to %zu bytes",
                     sizeof b->bits[0].name - 1);
        return -1;
    }
    if (i == RULES_BITS) {
        rule_problem(p, at, NULL, "there are more than %u flowbits", RULES_BITS);
        return -1;
    }
    if (i == b->n_bits) {
        (void)snprintf(b->bits[i].name, sizeof b->bits[i].name, STR_FMT, STR_ARG(name));
        b->n_bits++;
    }
    b->bits[i].set += set;
    b->bits[i].asked += !set;
    return (int)i;
}

static void opt_flowbits(struct parse *p, struct str v)
{
    struct str verb, name = str_trim(str_cut(v, ',', &verb));
    verb = str_trim(verb);
    const struct {
        const char *name;
        uint64_t *mask;
        bool set;
    } verbs[] = {{"set", &p->r.bits_set, true},
                 {"unset", &p->r.bits_unset, true},
                 {"toggle", &p->r.bits_toggle, true},
                 {"isset", &p->r.bits_isset, false},
                 {"isnotset", &p->r.bits_isnotset, false}};
    if (str_eq(verb, STR("noalert")) && name.n == 0) {
        p->r.noalert = true;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (!str_eq(verb, str_c(verbs[i].name)))
            continue;
        int bit = bit_of(p, name, verbs[i].set, rule_place(p, v));
        if (bit >= 0)
            *verbs[i].mask |= UINT64_C(1) << bit;
        return;
    }
    rule_problem(p, rule_place(p, v), "set, unset, toggle, isset, isnotset or noalert",
                 "flowbits \"" STR_FMT "\" is not served", (int)MIN(verb.n, 40u), verb.p);
}

static void opt_noalert(struct parse *p, struct str v)
{
    (void)v;
    p->r.noalert = true;
}

enum { NO = 0, YES = 1, MAYBE = 2, ONCE = 4 };
static const struct {
    const char *name;
    option_fn *fn;
    unsigned how; /* has it a value; may it come once only */
} options[] = {{"msg", opt_msg, YES | ONCE},
               {"sid", opt_sid, YES | ONCE},
               {"rev", opt_rev, YES | ONCE},
               {"gid", opt_gid, YES | ONCE},
               {"classtype", opt_classtype, YES | ONCE},
               {"priority", opt_priority, YES | ONCE},
               {"reference", opt_reference, YES},
               {"metadata", opt_metadata, YES},
               {"flow", opt_flow, YES | ONCE},
               {"threshold", opt_threshold, YES | ONCE},
               {"detection_filter", opt_detection_filter, YES | ONCE},
               {"flowbits", opt_flowbits, YES},
               {"noalert", opt_noalert, NO},
               {"dsize", opt_dsize, YES | ONCE},
               {"content", opt_content, YES},
               {"nocase", opt_nocase, NO},
               {"offset", opt_offset, YES},
               {"depth", opt_depth, YES},
               {"distance", opt_distance, YES},
               {"within", opt_within, YES},
               {"startswith", opt_startswith, NO},
               {"endswith", opt_endswith, NO},
               {"fast_pattern", opt_fast_pattern, MAYBE},
               {"rawbytes", opt_rawbytes, NO},
               {"isdataat", opt_isdataat, YES},
               {"bsize", opt_bsize, YES},
               {"pcre", opt_pcre, YES}};

static int buffer_of(struct str name)
{
    for (int i = 0; i < BUF_COUNT; i++)
        if (str_eq(name, str_c(rules_buffer_name((enum rules_buffer)i))) ||
            str_eq(name, str_c(rules_buffer_legacy((enum rules_buffer)i))))
            return i;
    return -1;
}

/* How many letters are to be changed, added or left out; at most 3 are counted. */
static unsigned distance_of(struct str a, struct str b)
{
    unsigned row[40], best = 3;
    if (a.n >= ARRAY_LEN(row) || b.n >= ARRAY_LEN(row) || a.n == 0)
        return best;
    for (unsigned k = 0; k <= b.n; k++)
        row[k] = k;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned k = 1; k <= b.n; k++) {
            unsigned change = diagonal + (a.p[i - 1] != b.p[k - 1]);
            diagonal = row[k];
            row[k] = MIN(change, MIN(row[k], row[k - 1]) + 1);
        }
    }
    return MIN(best, row[b.n]);
}

static const char *nearest(struct str name)
{
    const char *found = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < ARRAY_LEN(options) + BUF_COUNT; i++) {
        const char *s = i < ARRAY_LEN(options)
                            ? options[i].name
                            : rules_buffer_name((enum rules_buffer)(i - ARRAY_LEN(options)));
        unsigned d = distance_of(name, str_c(s));
        if (d < best) {
            best = d;
            found = s;
        }
    }
    return found;
}

static const char *const elsewhere[] = {"http", "dns",  "tls",  "ssl",    "ja3",        "ja4",
                                        "smb",  "ssh",  "ftp",  "smtp",   "mqtt",       "krb5",
                                        "snmp", "rfb",  "file", "urilen", "uricontent", "dce",
                                        "nfs",  "quic", "dnp3", "modbus", "enip",       "ike"};
static const char *const known[] = {"byte_test",
                                    "byte_jump",
                                    "byte_extract",
                                    "byte_math",
                                    "base64_decode",
                                    "base64_data",
                                    "lua",
                                    "luaxform",
                                    "dataset",
                                    "datarep",
                                    "xbits",
                                    "hostbits",
                                    "flowint",
                                    "iprep",
                                    "geoip",
                                    "tag",
                                    "target",
                                    "bypass",
                                    "prefilter",
                                    "absent",
                                    "entropy",
                                    "ttl",
                                    "ip_proto",
                                    "ipopts",
                                    "id",
                                    "sameip",
                                    "fragbits",
                                    "fragoffset",
                                    "tos",
                                    "seq",
                                    "ack",
                                    "window",
                                    "tcp.flags",
                                    "flags",
                                    "tcp.hdr",
                                    "udp.hdr",
                                    "itype",
                                    "icode",
                                    "rpc",
                                    "replace",
                                    "stream_size",
                                    "app-layer-event",
                                    "app-layer-protocol",
                                    "decode-event",
                                    "stream-event",
                                    "requires",
                                    "config",
                                    "frame",
                                    "to_lowercase",
                                    "to_uppercase",
                                    "to_md5",
                                    "to_sha1",
                                    "to_sha256",
                                    "dotprefix",
                                    "strip_whitespace",
                                    "compress_whitespace",
                                    "url_decode",
                                    "xor",
                                    "pcrexform",
                                    "from_base64",
                                    "flow.age",
                                    "flow.pkts",
                                    "flow.bytes",
                                    "ip.src",
                                    "ip.dst",
                                    "logto",
                                    "activates",
                                    "activated_by",
                                    "resp",
                                    "react",
                                    "session",
                                    "nfq_set_mark"};

static void unknown(struct parse *p, struct str name, size_t at)
{
    const char *near = nearest(name);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(name, str_c(known[i]))) {
            rule_problem(p, at, "leave the rule out, or say it by content, pcre, isdataat or bsize",
                         "keyword \"" STR_FMT "\" of Suricata is not served here", STR_ARG(name));
            return;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        struct str e = str_c(elsewhere[i]);
        if (str_starts(name, e) && (name.n == e.n || name.p[e.n] == '.' || name.p[e.n] == '_')) {
            rule_problem(p, at, "rules here are about SIP, SDP and RTP",
                         "keyword \"" STR_FMT "\" is of another protocol", (int)MIN(name.n, 40u),
                         name.p);
            return;
        }
    }
    char hint[80];
    (void)snprintf(hint, sizeof hint, "did you mean %s?", near ? near : "");
    rule_problem(p, at, near ? hint : "docs/rules.md lists what is served",
                 "keyword \"" STR_FMT "\" is not known", (int)MIN(name.n, 40u), name.p);
}

static void option(struct parse *p, struct str name, size_t at, bool has_value, struct str v)
{
    int buffer = buffer_of(name);
    size_t i = 0;
    p->key_at = at;
    if (buffer >= 0) {
        if (has_value)
            rule_problem(p, at, "a sticky buffer is a word alone: sip.uri; content:\"x\";",
                         "%s has no value", rules_buffer_name((enum rules_buffer)buffer));
        rule_buffer_begin(p, (enum rules_buffer)buffer);
        return;
    }
    while (i < ARRAY_LEN(options) && !str_eq(name, str_c(options[i].name)))
        i++;
    if (i == ARRAY_LEN(options)) {
        unknown(p, name, at);
        return;
    }
    uint64_t bit = UINT64_C(1) << i;
    if ((options[i].how & ONCE) && (p->seen & bit))
        rule_problem(p, at, NULL, "%s is said twice", options[i].name);
    else if ((options[i].how & 3) == YES && v.n == 0)
        rule_problem(p, at, NULL, "%s needs a value", options[i].name);
    else if ((options[i].how & 3) == NO && has_value)
        rule_problem(p, at, NULL, "%s has no value", options[i].name);
    else
        options[i].fn(p, v);
    p->seen |= bit;
}

/* To the semicolon that ends the value; one inside quotes must be escaped, as Suricata wants it. */
static size_t value_end(const struct parse *p, size_t at, bool *ret_closed)
{
    bool quoted = false;
    for (; at < p->n; at++) {
        char c = p->t[at];
        if (c == '\\' && at + 1 < p->n)
            at++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ';')
            break;
    }
    *ret_closed = !quoted;
    return MIN(at, p->n);
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || ascii_digit(c) || c == '_' ||
           c == '.' || c == '-';
}

/* false: the rest makes no sense any more. */
static bool one_option(struct parse *p)
{
    size_t at = p->at;
    while (p->at < p->n && word_char(p->t[p->at]))
        p->at++;
    struct str name = rule_part(p, at, p->at), v = STR_NONE;
    bool has_value, closed = true;
    rule_space(p);
    if (name.n == 0) {
        rule_problem(p, p->at, NULL, "a keyword is expected");
        return false;
    }
    has_value = p->at < p->n && p->t[p->at] == ':';
    if (has_value) {
        size_t end = value_end(p, ++p->at, &closed);
        v = rule_part(p, p->at, end);
        p->at = end;
    }
    if (!closed || p->at >= p->n || p->t[p->at] != ';') {
        rule_problem(p, closed ? p->at : rule_place(p, v),
                     closed ? NULL : "inside quotes write \\; and \\\"",
                     closed ? "the semicolon behind %.*s is missing"
                            : "the value of %.*s ends inside quotes",
                     (int)MIN(name.n, 40u), name.p);
        return false;
    }
    p->at++;
    option(p, name, at, has_value, v);
    return true;
}

void rule_options_parse(struct parse *p)
{
    for (;;) {
        rule_space(p);
        if (p->at >= p->n) {
            rule_problem(p, p->at, NULL, "the rule is not closed by )");
            return;
        }
        if (p->t[p->at] == ')')
            break;
        if (!one_option(p)) {
            p->cut = true;
            return;
        }
    }
    p->at++;
    rule_space(p);
    if (p->at < p->n)
        rule_problem(p, p->at, "a rule a line; a comment begins a line with #",
                     "something stands behind the rule");
}
