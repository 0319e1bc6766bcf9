/* What came of it, as one JSON document; `ringwall replay` prints it for people. */
#include "app/replay/state.h"

#define SHOWN_MAX 20000u /* rows of one list */

const char REPLAY_DEFAULT[] =
    "domains: [capture.invalid]\n"
    "state: /var/lib/ringwall\n"
    "engines: 1\n"
    "listeners:\n"
    "  - {name: udp, transport: udp, address: \"127.0.0.1:5060\"}\n"
    "  - {name: tcp, transport: tcp, address: \"127.0.0.1:5060\"}\n"
    "zones:\n"
    "  - {name: inside, listeners: [udp, tcp], sources: [10.0.0.0/8, 172.16.0.0/12, "
    "192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16, 127.0.0.0/8, \"::1/128\", \"fc00::/7\", "
    "\"fe80::/10\"], media: rtp, registration: yes, authenticate: yes, rate_per_source: 5000}\n"
    "  - {name: outside, listeners: [udp, tcp], sources: [0.0.0.0/0, \"::/0\"], media: rtp, "
    "registration: yes, authenticate: yes, rate_per_source: 200}\n"
    "waivers:\n"
    "  - {name: capture, zone: inside, allow: [plain-signalling, plain-media], owner: capture, "
    "reason: \"a capture shows what was not encrypted\", expires: 2199-12-31}\n"
    "  - {name: capture-outside, zone: outside, allow: [plain-signalling, plain-media], owner: "
    "capture, reason: \"a capture shows what was not encrypted\", expires: 2199-12-31}\n"
    "roles:\n"
    "  - {name: user, outbound: yes}\n"
    "routes:\n"
    "  - {name: all, pattern: \"*\", to: users}\n";

/* jansson refuses what is not UTF-8; such bytes become '?'. */
static json_t *text(struct str s)
{
    char buf[TEXT_MAX + 1];
    json_t *checked = json_stringn(s.p ? s.p : "", s.n);
    if (checked)
        return checked;
    size_t n = MIN(s.n, sizeof buf - 1);
    for (size_t i = 0; i < n; i++)
        buf[i] = (unsigned char)s.p[i] >= 0x20 && (unsigned char)s.p[i] < 0x7f ? s.p[i] : '?';
    return json_stringn(buf, n);
}

static void put(json_t *o, const char *key, json_t *v)
{
    (void)json_object_set_new(o, key, v);
}

static void put_n(json_t *o, const char *key, uint64_t v)
{
    put(o, key, json_integer((json_int_t)v));
}

static void put_s(json_t *o, const char *key, struct str s)
{
    put(o, key, text(s));
}

static void put_us(json_t *o, const char *key, int64_t us)
{
    put(o, key, us ? json_integer(us) : json_null());
}

static void put_addr(json_t *o, const char *key, const struct addr *a)
{
    char buf[ADDR_TEXT_MAX];
    struct out t = out_of(buf, sizeof buf);
    addr_put(&t, a);
    put_s(o, key, out_str(&t));
}

static json_t *sip(const struct replay *r)
{
    json_t *o = json_object(), *requests = json_object(), *responses = json_object();
    for (unsigned i = 0; i < SIP_METHOD_COUNT; i++) {
        char name[32];
        struct str s = i == SIP_OTHER ? STR("other") : sip_method_name((enum sip_method)i);
        (void)snprintf(name, sizeof name, "%.*s", (int)s.n, s.p);
        if (r->n.requests[i])
            put_n(requests, name, r->n.requests[i]);
    }
    for (unsigned i = 100; i < 700; i++) {
        char code[8];
        (void)snprintf(code, sizeof code, "%u", i);
        if (r->n.responses[i])
            put_n(responses, code, r->n.responses[i]);
    }
    put_n(o, "messages", r->n.sip);
    put(o, "requests", requests);
    put(o, "responses", responses);
    put_n(o, "malformed", r->n.malformed);
    put_n(o, "cut_by_capture", r->n.sip_cut);
    put_n(o, "repeated", r->n.again);
    put_n(o, "responses_without_request", r->n.stray);
    put_n(o, "registrations", r->n.registrations);
    return o;
}

static json_t *layers(const struct replay *r)
{
    static const char *const NAMES[FRAME_KINDS] = {"udp",    "tcp", "fragments", "ip_other",
                                                   "not_ip", "cut", "wrong"};
    json_t *o = json_object();
    for (unsigned i = 0; i < FRAME_KINDS; i++)
        put_n(o, NAMES[i], r->n.frames[i]);
    put_n(o, "datagrams_from_fragments", r->frags->whole);
    put_n(o, "fragments_overlapping", r->frags->overlapping);
    put_n(o, "fragments_incomplete", r->frags->late + r->frags->evicted + r->frags->wrong);
    put_n(o, "tcp_segments_again", r->tcp->again);
    put_n(o, "tcp_segments_reordered", r->tcp->reordered);
    put_n(o, "tcp_holes", r->tcp->holes);
    put_n(o, "tcp_directions_forgotten", r->tcp->evicted);
    put_n(o, "clock_set_back", r->n.backwards);
    return o;
}

static json_t *media(const struct replay *r)
{
    json_t *o = json_object();
    put_n(o, "rtp", r->n.rtp);
    put_n(o, "rtcp", r->n.rtcp);
    put_n(o, "stun", r->n.stun);
    put_n(o, "zrtp", r->n.zrtp);
    put_n(o, "dtls", r->n.dtls);
    put_n(o, "other", r->n.other_udp);
    return o;
}

static json_t *calls(struct replay *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->n_calls && i < SHOWN_MAX; i++) {
        const struct call *k = &r->calls[i];
        json_t *o = json_object();
        put_s(o, "call_id", k->text);
        put_s(o, "from", k->from);
        put_s(o, "to", k->to);
        put_us(o, "start_us", k->start_us);
        put_us(o, "ring_us", k->ring_us);
        put_us(o, "answer_us", k->answer_us);
        put_us(o, "end_us", k->end_us);
        put_n(o, "code", k->code);
        put_s(o, "ended_by",
              k->ended_by == 'a'   ? STR("caller")
              : k->ended_by == 'b' ? STR("callee")
                                   : STR(""));
        put_n(o, "packets_from_caller", k->packets[0]);
        put_n(o, "packets_from_callee", k->packets[1]);
        put(o, "srtp", json_boolean(k->srtp));
        put(o, "keys_exposed", json_boolean(k->exposed));
        put(o, "one_way", json_boolean(k->one_way));
        (void)json_array_append_new(list, o);
    }
    return list;
}

/* "PCMA/8000, telephone-event/8000": of the payload types that came. */
static void codec_names(const struct replay *r, const struct stream *t, char *buf, size_t cap)
{
    struct out o = out_of(buf, cap - 1);
    const struct announced *a = t->announced ? &r->announced[t->announced - 1] : NULL;
    for (uint8_t pt = 0; pt < 128; pt++) {
        struct str name = STR_NONE;
        uint32_t hz;
        if (!(t->pts[pt >> 6] >> (pt & 63) & 1))
            continue;
        for (unsigned i = 0; a && i < a->n; i++)
            if (a->codecs[i].pt == pt)
                name = str_c(a->codecs[i].name);
        if (o.n)
            OUT_LIT(&o, ", ");
        if (name.n || sdp_static_type(pt, &hz, &name) == OK)
            out_put(&o, name);
        else
            out_fmt(&o, "type %u", pt);
    }
    buf[o.n] = 0;
}

/* What nobody announced counts when it looks like a stream, and not like a chance. */
static bool is_stream(const struct stream *t)
{
    return t->in.packets && (t->call || t->run + 1 >= STREAM_MIN || t->strange);
}

static json_t *streams(const struct replay *r, uint64_t *ret_chance)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->n_streams; i++) {
        const struct stream *t = &r->streams[i];
        struct media_stats s;
        char names[256], ssrc[12];
        if (!is_stream(t)) {
            *ret_chance += t->in.packets;
            continue;
        }
        if (json_array_size(list) >= SHOWN_MAX)
            break;
        reception_read(&t->in, &s);
        codec_names(r, t, names, sizeof names);
        (void)snprintf(ssrc, sizeof ssrc, "0x%08x", t->ssrc);
        json_t *o = json_object();
        put_addr(o, "source", &t->src);
        put_addr(o, "destination", &t->dst);
        put_s(o, "ssrc", str_c(ssrc));
        put_s(o, "codec", str_c(names));
        put_n(o, "packets", s.packets);
        put_n(o, "lost", s.lost);
        put_n(o, "late", t->late);
        put_n(o, "repeated", t->twice);
        put_n(o, "jitter_us", s.jitter_us);
        put_n(o, "max_jitter_us", s.max_jitter_us);
        put_n(o, "max_gap_us", (uint64_t)t->max_gap_us);
        put_n(o, "seconds", (uint64_t)((s.last_us - s.first_us) / 1000000));
        put(o, "srtp", json_boolean(t->srtp));
        put(o, "foreign", json_boolean(t->strange));
        put_s(o, "call_id", t->call ? r->calls[t->call - 1].text : STR(""));
        put_n(o, "dropped_by_ban", t->dropped[0]);
        (void)json_array_append_new(list, o);
    }
    return list;
}

/* -- judgements -- */

static const char *by_name(uint8_t by)
{
    static const char *const NAMES[] = {"detector", "rule", "feed", "admin"};
    return by < ARRAY_LEN(NAMES) ? NAMES[by] : "message";
}

static const char *kind_name(uint8_t kind)
{
    static const char *const NAMES[] = {"none", "pass", "challenge", "refuse", "drop", "step-up"};
    return kind < ARRAY_LEN(NAMES) ? NAMES[kind] : "own";
}

static json_t *alerts(const struct judge *j)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < j->n_alerts; i++) {
        const struct alert *a = &j->alerts[i];
        json_t *o = json_object();
        put_s(o, "by", str_c(by_name(a->by)));
        if (a->by == BY_RULE)
            put_n(o, "sid", a->sid);
        put_s(o, "name",
              a->by == BY_DETECTOR ? str_c(detector_name((enum detector)a->detector))
              : a->by == BY_RULE   ? STR("rule")
                                   : reason_info((enum reason)a->reason)->name);
        put_s(o, "text", a->text);
        put_addr(o, "source", &a->source);
        put_s(o, "who", a->who);
        put_n(o, "n", a->n);
        put_n(o, "score", a->score);
        put_n(o, "level", a->level);
        put_n(o, "severity", a->severity);
        put_s(o, "treat", str_c(treat_name((enum treat)a->treat)));
        put(o, "dry_run", json_boolean(a->dry));
        put_us(o, "first_us", a->first_us);
        put_us(o, "last_us", a->last_us);
        (void)json_array_append_new(list, o);
    }
    return list;
}

static const char *scope_name(uint8_t scope)
{
    static const char *const NAMES[] = {"none", "source", "pair", "aor", "device", "number"};
    return scope < ARRAY_LEN(NAMES) ? NAMES[scope] : "none";
}

static void put_target(json_t *o, const struct ban *b)
{
    char buf[ADDR_TEXT_MAX + 8];
    struct out t = out_of(buf, sizeof buf - 1);
    if (b->scope == BAN_SOURCE || b->scope == BAN_PAIR) {
        addr_put_ip(&t, &b->net.a);
        out_fmt(&t, "/%u", b->net.bits);
    }
    put_s(o, "source", out_str(&t));
    put_s(o, "who", str_of(b->who, MIN(b->who_n, BAN_WHO)));
}

static json_t *bans(struct judge *j)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < j->n_bans; i++) {
        struct banned *x = &j->bans[i];
        if (j->slot_owner[x->slot] == i + 1) {
            x->hits += j->ban_hits[x->slot] - x->hits_before;
            x->hits_before = j->ban_hits[x->slot];
        }
        json_t *o = json_object();
        put_s(o, "scope", str_c(scope_name(x->b.scope)));
        put_target(o, &x->b);
        put_s(o, "treat", str_c(treat_name((enum treat)x->b.treat)));
        put_s(o, "by", str_c(by_name(x->b.by)));
        put_s(o, "detector", str_c(detector_name((enum detector)x->b.detector)));
        put_s(o, "reason", x->b.reason ? reason_info((enum reason)x->b.reason)->name : STR(""));
        put_s(o, "why", str_of(x->b.why, MIN(x->b.why_n, BAN_WHY)));
        put_n(o, "score", x->b.score);
        put_n(o, "times", x->b.times);
        put(o, "forgeable", json_boolean(x->b.forgeable));
        put_us(o, "since_us", x->b.since.us);
        put_us(o, "until_us", x->b.until.us);
        put_us(o, "after_us", x->after_us < 0 ? 0 : x->after_us);
        put_n(o, "messages_before", x->messages);
        put_n(o, "would_have_dropped", x->hits);
        (void)json_array_append_new(list, o);
    }
    return list;
}

static json_t *reasons(const struct judge *j)
{
    json_t *list = json_array();
    for (unsigned i = 1; i < REASON_COUNT; i++) {
        if (!j->reasons[i])
            continue;
        const struct reason_info *info = reason_info((enum reason)i);
        json_t *o = json_object();
        put_s(o, "reason", info->name);
        put_n(o, "n", j->reasons[i]);
        put_s(o, "severity", str_c(severity_name(info->severity)));
        put_s(o, "text", info->text);
        (void)json_array_append_new(list, o);
    }
    return list;
}

static json_t *judgement(struct judge *j)
{
    json_t *o = json_object();
    put_s(o, "configuration", str_c(j->by->name));
    put(o, "assumed", json_boolean(j->by->assumed));
    put(o, "dry_run", json_boolean(j->policy->guard.dry_run));
    put_n(o, "rules", j->by->rules ? rules_count(j->by->rules) : 0);
    put_n(o, "passed", j->kinds[VERDICT_PASS]);
    put_n(o, "challenged", j->kinds[VERDICT_CHALLENGE]);
    put_n(o, "refused", j->kinds[VERDICT_REFUSE]);
    put_n(o, "dropped", j->kinds[VERDICT_DROP]);
    put_n(o, "rtp_dropped_by_bans", j->rtp_dropped);
    put_n(o, "own_messages", j->own);
    put(o, "reasons", reasons(j));
    put(o, "alerts", alerts(j));
    put(o, "bans", bans(j));
    return o;
}

/* -- what differs -- */

static json_t *outcome(struct outcome o)
{
    json_t *v = json_object();
    put_s(v, "verdict", str_c(kind_name(o.kind)));
    put_s(v, "reason", o.reason ? reason_info((enum reason)o.reason)->name : STR(""));
    return v;
}

static json_t *verdict_diffs(const struct replay *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->n_diffs; i++) {
        const struct diff *d = &r->diffs[i];
        json_t *o = json_object();
        put_addr(o, "source", &d->source);
        put_s(o, "method", sip_method_name((enum sip_method)d->method));
        put_n(o, "n", d->n);
        put(o, "first", outcome(d->a));
        put(o, "second", outcome(d->b));
        (void)json_array_append_new(list, o);
    }
    return list;
}

/* Whom a source was when it was banned is no difference. */
static bool same(const json_t *a, const json_t *b, const char *const *keys)
{
    bool eq = true;
    const char *scope = json_string_value(json_object_get(a, "scope"));
    if (scope && strcmp(scope, "source") == 0)
        keys++;
    for (; *keys && eq; keys++) {
        const json_t *x = json_object_get(a, *keys), *y = json_object_get(b, *keys);
        eq = x && y ? json_equal(x, y) : x == y;
    }
    return eq;
}

/* Of two lists, what stands in one only. */
static void only(json_t *to, const char *side, const json_t *a, const json_t *b,
                 const char *const *keys)
{
    json_t *x, *y;
    size_t i, k;
    json_array_foreach(a, i, x)
    {
        bool found = false;
        json_array_foreach(b, k, y)
        {
            found = found || same(x, y, keys);
        }
        if (found)
            continue;
        json_t *o = json_deep_copy(x);
        put_s(o, "only", str_c(side));
        (void)json_array_append_new(to, o);
    }
}

static json_t *differences(const struct replay *r, const json_t *judgements)
{
    static const char *const BAN_KEYS[] = {"who", "scope", "source", "treat", NULL};
    static const char *const ALERT_KEYS[] = {"by", "sid", "name", "source", NULL};
    const json_t *a = json_array_get(judgements, 0), *b = json_array_get(judgements, 1);
    json_t *o = json_object(), *bans_list = json_array(), *alert_list = json_array();
    put(o, "verdicts", verdict_diffs(r));
    put_n(o, "verdicts_lost", r->diffs_lost);
    only(bans_list, "first", json_object_get(a, "bans"), json_object_get(b, "bans"), BAN_KEYS);
    only(bans_list, "second", json_object_get(b, "bans"), json_object_get(a, "bans"), BAN_KEYS);
    only(alert_list, "first", json_object_get(a, "alerts"), json_object_get(b, "alerts"),
         ALERT_KEYS);
    only(alert_list, "second", json_object_get(b, "alerts"), json_object_get(a, "alerts"),
         ALERT_KEYS);
    put(o, "bans", bans_list);
    put(o, "alerts", alert_list);
    return o;
}

static json_t *limits(const struct replay *r)
{
    const struct counts *n = &r->n;
    json_t *o = json_object();
    const struct {
        const char *name;
        uint64_t lost;
    } ROWS[] = {{"calls", n->calls_lost},
                {"rtp_packets_of_streams", n->streams_lost},
                {"sources", n->sources_lost},
                {"media_addresses", n->announced_lost},
                {"texts", n->text_lost},
                {"alerts", r->judges[0].alerts_lost + r->judges[1].alerts_lost},
                {"bans", r->judges[0].bans_lost + r->judges[1].bans_lost}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (ROWS[i].lost)
            put_n(o, ROWS[i].name, ROWS[i].lost);
    return o;
}

json_t *replay_report(struct replay *r)
{
    json_t *o = json_object(), *judgements = json_array();
    uint64_t chance = r->n.chance;
    put_s(o, "file", str_c(r->o.file));
    put_s(o, "error", str_c(r->error));
    put_n(o, "link_type", r->link);
    put_n(o, "packets", r->n.packets);
    put_n(o, "bytes", r->n.bytes);
    put_us(o, "first_us", r->first_us);
    put_us(o, "last_us", r->last_us);
    put(o, "cpu_s", json_real(r->cpu_s));
    put_n(o, "packets_per_s", r->cpu_s > 0 ? (uint64_t)((double)r->n.packets / r->cpu_s) : 0);
    put(o, "layers", layers(r));
    put(o, "sip", sip(r));
    json_t *m = media(r);
    put(o, "calls", calls(r));
    put_n(o, "calls_total", r->n_calls);
    put(o, "streams", streams(r, &chance));
    put_n(m, "rtp_not_of_a_stream", chance);
    put(o, "media", m);
    for (unsigned i = 0; i < r->o.n; i++)
        (void)json_array_append_new(judgements, judgement(&r->judges[i]));
    if (r->o.n == 2)
        put(o, "differences", differences(r, judgements));
    put(o, "judgements", judgements);
    put(o, "beyond_limits", limits(r));
    return o;
}
