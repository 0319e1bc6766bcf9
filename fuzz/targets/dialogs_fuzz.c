/* Whole dialogs through one core: the input is a program for phones, PBXs and a vault that keep
 * their own dialogs (tags, CSeq, routes, challenges), so that nearly every input gets deep into
 * calls; at chosen places a message is broken before it is sent. The clock is the input's, too.
 * Whatever comes: what goes out parses, every fact and question is valid, each call that started
 * ends once, and when the clock has run out nothing is left.
 *
 * One operation: a byte (low bits: which), then what it needs; a missing byte counts as 0. */
#include "call/core_test.h"
#include "wire/sip/build.h"

#define FUZZ_MEM  (512u << 20)
#define STEPS     96u
#define DIALOGS   16u
#define REQUESTS  32u
#define QUESTIONS 16u
#define OWN       16u
#define TEXT_MAX  6144u
#define ALL_ENDED INT64_C(4500) /* s: longer than any call, subscription and what lingers */

enum { ALICE, BOB, BOB_TLS, PBX_1, PBX_2, STRANGER, PARTIES };
struct party {
    const char *name, *host;
    uint8_t proto, listener;
};
static const struct party PARTY[PARTIES] = {
    {"alice", "203.0.113.5:5060", PROTO_UDP, LISTEN_OUT_UDP},
    {"bob", "203.0.113.6:5060", PROTO_UDP, LISTEN_OUT_UDP},
    {"bob", "203.0.113.16:5070", PROTO_TLS, LISTEN_OUT_TLS},
    {"200", "198.51.100.10:5060", PROTO_UDP, LISTEN_IN_UDP},
    {"201", "198.51.100.11:5060", PROTO_UDP, LISTEN_IN_UDP},
    {"mallory", "203.0.113.99:5060", PROTO_UDP, LISTEN_OUT_UDP},
};

struct talk { /* as its agent sees it */
    unsigned party;
    uint32_t cseq, invite_cseq, rseq;
    bool caller;
    char id[128], ltag[48], rtag[64], target[256], uri[128], branch[64], local[128], remote[128];
};
struct asked { /* a request of the core to an agent */
    unsigned party;
    size_t n;
    char text[TEXT_MAX];
};
struct own { /* a request of an agent, to be sent again or cancelled */
    unsigned party, dialog;
    size_t n;
    char text[TEXT_MAX];
};
struct fuzz {
    const uint8_t *p;
    size_t n;
    struct core *c;
    struct now now;
    struct talk d[DIALOGS];
    struct asked req[REQUESTS];
    struct own own[OWN];
    struct {
        uint32_t id;
        uint8_t kind;
    } ask[QUESTIONS];
    struct handle refs[QUESTIONS];
    char nonce[PARTIES][128], algorithm[PARTIES][16];
    unsigned n_d, n_req, n_own, n_ask, n_ref, serial;
    uint8_t breakage, break_at; /* for the next message */
    uint64_t starts, ends, open_sum;
};
static struct fuzz fuzz;
static struct policy policy[2];
static struct directory *dir[2];
static struct counters counters;
static struct intents intents;
static struct intent intent_v[8192];
static struct location_shard *shard;
static uint8_t *mem, *arena_mem;

static uint8_t take(struct fuzz *z)
{
    if (z->n == 0)
        return 0;
    z->n--;
    return *z->p++;
}

/* --- the gateway --- */

static void second_policy(struct policy *p)
{
    p->generation = 2;
    p->limits.call_max_s = 60;
    p->limits.ring_s = 10;
    p->limits.session_expires_s = 1800;
    p->n_routes = 1; /* numbers only */
    p->peers[0].n_targets = 1;
    p->zones[ZONE_PHONES].services = 0;
    CHECK(policy_valid(p, sizeof *p) == OK);
}

static void make(void)
{
    static const char *const users[] = {"alice@example.com", "bob@example.com"};
    mem = aligned_alloc(64, FUZZ_MEM);
    arena_mem = malloc(8u << 20);
    shard = calloc(1, location_bytes(32));
    for (uint32_t i = 0; i < 2; i++) {
        test_policy(&policy[i], 1);
        policy[i].limits = (struct policy_limits){.calls = 16,
                                                  .bindings = 32,
                                                  .transactions = 512,
                                                  .contacts_per_user = 4,
                                                  .subscriptions = 16,
                                                  .register_min_s = 60,
                                                  .register_max_s = 3600,
                                                  .register_default_s = 600,
                                                  .ring_s = 30,
                                                  .call_max_s = 600,
                                                  .media_timeout_s = 60,
                                                  .message_bytes = 65535,
                                                  .session_expires_s = 90};
        policy[i].zones[ZONE_PHONES].services = policy[i].zones[ZONE_PBX].services = 63;
        policy[i].zones[ZONE_PBX].redirect = true;
        policy[i].zones[ZONE_PHONES].kinds = policy[i].zones[ZONE_PBX].kinds = 31;
        dir[i] = calloc(1, directory_bytes(2, 256));
        directory_begin(dir[i], 2, 256);
        for (size_t u = 0; u < 2 - i; u++) /* bob is gone from the second */
            CHECK(directory_add(dir[i], str_c(users[u]), STR("user"), (struct wall){0}) == OK);
    }
    second_policy(&policy[1]);
}

static void start_core(struct fuzz *z)
{
    if (!mem)
        make();
    z->now = (struct now){{1000000000}, {1700000000000000}};
    struct core_cfg cfg = {.engines = 1,
                           .policy = &policy[0],
                           .directory = dir[0],
                           .shards = {{shard, 32}},
                           .own = shard,
                           .token_keys = {{1, 2}, {3, 4}},
                           .hash_key = {5, 6},
                           .nonce_key = {7, 8},
                           .calls_cap = 16,
                           .trans_cap = 512,
                           .pending_cap = 32,
                           .ports_cap_pairs = 64,
                           .blocks_bytes = 4u << 20,
                           .counters = &counters,
                           .intents = &intents};
    memset(shard, 0, location_bytes(32));
    CHECK(location_attach(shard, 32) == OK && core_bytes(&cfg) <= FUZZ_MEM);
    memset(mem, 0, core_bytes(&cfg));
    intents_init(&intents, intent_v, 8192, arena_mem, 8u << 20);
    z->c = core_init(mem, &cfg, z->now);
    CHECK(z->c);
    for (uint16_t p = 20000; p < 20128; p = (uint16_t)(p + 2))
        CHECK(ports_add(core_ports(z->c), p) == OK);
}

/* --- what the core sends --- */

static void keep(char *to, size_t cap, struct str s)
{
    size_t n = MIN(s.n, cap - 1);
    memcpy(to, s.p, n);
    to[n] = 0;
}
#define KEEP(to, s) keep((to), sizeof(to), (s))

static struct talk *dialog_new(struct fuzz *z, unsigned party)
{
    struct talk *d = &z->d[z->n_d++ % DIALOGS];
    memset(d, 0, sizeof *d);
    d->party = party;
    d->cseq = 1;
    (void)snprintf(d->ltag, sizeof d->ltag, "lt%u", z->serial++);
    return d;
}

static struct talk *dialog_of(struct fuzz *z, unsigned party, struct str id)
{
    for (unsigned i = 0; i < DIALOGS; i++)
        if (z->d[i].party == party && str_eq(str_c(z->d[i].id), id))
            return &z->d[i];
    return NULL;
}

static struct str contact_uri(const struct sip_msg *m)
{
    struct str v = sip_get(m, HDR_CONTACT);
    size_t a = str_find(v, '<'), b = str_find(v, '>');
    return a < b && b < v.n ? str_of(v.p + a + 1, b - a - 1) : STR_NONE;
}

static void request_seen(struct fuzz *z, unsigned party, const struct sip_msg *m)
{
    struct asked *r = &z->req[z->n_req++ % REQUESTS];
    r->party = party;
    r->n = MIN(m->bytes.n, sizeof r->text);
    memcpy(r->text, m->bytes.p, r->n);
    if (m->method != SIP_INVITE && m->method != SIP_SUBSCRIBE)
        return;
    struct talk *d = dialog_of(z, party, sip_text(m, m->call_id));
    if (!d)
        d = dialog_new(z, party);
    KEEP(d->id, sip_text(m, m->call_id));
    KEEP(d->rtag, sip_text(m, m->from_tag));
    KEEP(d->local, sip_get(m, HDR_TO));
    KEEP(d->remote, sip_get(m, HDR_FROM));
    KEEP(d->target, contact_uri(m));
}

static void response_seen(struct fuzz *z, unsigned party, const struct sip_msg *m)
{
    struct sip_auth a;
    enum sip_hdr h =
        sip_has(m, HDR_WWW_AUTHENTICATE) ? HDR_WWW_AUTHENTICATE : HDR_PROXY_AUTHENTICATE;
    if (sip_has(m, h) && sip_auth_parse(sip_get(m, h), &a) == OK) {
        KEEP(z->nonce[party], a.nonce);
        KEEP(z->algorithm[party], a.algorithm);
    }
    struct talk *d = dialog_of(z, party, sip_text(m, m->call_id));
    if (!d || m->code == 100)
        return;
    if (m->to_tag.len && m->code < 300)
        KEEP(d->rtag, sip_text(m, m->to_tag));
    struct str to = contact_uri(m);
    if (to.n && m->code < 300)
        KEEP(d->target, to);
    uint32_t rseq;
    if (sip_has(m, HDR_RSEQ) && str_u32(sip_get(m, HDR_RSEQ), UINT32_MAX, &rseq) == OK)
        d->rseq = rseq;
}

static void sent(struct fuzz *z, const struct intent *x)
{
    static struct sip_msg m;
    struct sip_error e;
    if (x->bytes.n <= 4) /* a keep-alive */
        return;
    if (sip_parse(x->bytes, x->flow.proto != PROTO_UDP, &m, &e) != OK) {
        /* The refusal of a broken request echoes its broken fields; nothing else may be broken. */
        if (str_starts(x->bytes, STR("SIP/2.0 4")) || str_starts(x->bytes, STR("SIP/2.0 5")))
            return;
        (void)fprintf(stderr, "sent, and does not parse (%s):\n" STR_FMT "\n",
                      reason_info(e.reason)->name.p, STR_ARG(x->bytes));
        CHECK(false);
    }
    z->refs[z->n_ref++ % QUESTIONS] = x->ref;
    for (unsigned i = 0; i < PARTIES; i++) {
        struct addr a = test_addr(PARTY[i].host);
        if (!addr_eq(&a, &x->flow.peer))
            continue;
        if (m.is_request)
            request_seen(z, i, &m);
        else
            response_seen(z, i, &m);
    }
}

static void fact_seen(struct fuzz *z, struct str b)
{
    struct fact f;
    CHECK(fact_valid(b.p, b.n) == OK);
    memcpy(&f, b.p, MIN(b.n, sizeof f));
    if (f.kind == FACT_CALL_START) {
        z->starts++;
        z->open_sum += f.u.start.session;
    } else if (f.kind == FACT_CALL_END && !f.u.end.refused) {
        z->ends++;
        z->open_sum -= f.u.end.session;
    }
    CHECK(z->ends <= z->starts);
}

static void settle(struct fuzz *z)
{
    for (size_t i = 0; i < intents.n; i++) {
        const struct intent *x = &intents.v[i];
        if (x->kind == INTENT_SEND) {
            sent(z, x);
        } else if (x->kind == INTENT_FACT) {
            fact_seen(z, x->bytes);
        } else if (x->kind == INTENT_ASK) {
            struct ask q;
            memcpy(&q, x->bytes.p, MIN(x->bytes.n, sizeof q));
            CHECK(ask_valid(&q, x->bytes.n) == OK);
            z->ask[z->n_ask % QUESTIONS].id = q.id;
            z->ask[z->n_ask++ % QUESTIONS].kind = q.kind;
        }
    }
    CHECK(intents.lost == 0);
    intents_reset(&intents);
}

/* --- what the agents send --- */

static const char *const STRANGE[] = {
    "Max-Forwards: 0\r\n",
    "Require: 100rel\r\n",
    "Require: nothing-known\r\n",
    "Supported: 100rel, timer, replaces, norefersub\r\n",
    "Session-Expires: 90;refresher=uac\r\nSupported: timer\r\n",
    "Session-Expires: 20\r\nMin-SE: 30\r\nSupported: timer\r\n",
    "Privacy: id;critical\r\n",
    "P-Asserted-Identity: <sip:100@198.51.100.10>\r\n",
    "P-Preferred-Identity: \"x\" <tel:+15550100>\r\n",
    "Diversion: <sip:1@example.com>;reason=user-busy\r\n",
    "History-Info: <sip:2@example.com>;index=1\r\n",
    "Reason: Q.850;cause=16;text=\"bye\", SIP;cause=200\r\n",
    "Content-Length: 5\r\n",
    "Content-Type: application/sdp\r\n",
    "Record-Route: <sip:198.51.100.77;lr>,\r\n <sip:203.0.113.77;lr>\r\n",
    "Route: <sip:192.0.2.1;lr>, <sip:example.com;lr>\r\n",
    "Expires: 4294967295\r\n",
    "Subject:\r\n folded\r\n\tagain\r\n",
    "Via: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKx\r\n",
    "CSeq: 4294967295 BYE\r\n",
    "X: \xff\xfe\r\n",
};
enum {
    BREAK_NONE,
    BREAK_FLIP,
    BREAK_CUT,
    BREAK_DROP,
    BREAK_DOUBLE,
    BREAK_STRANGE,
    BREAK_GROW,
    BREAKS
};

static size_t line_start(struct str s, unsigned nth)
{
    size_t at = 0;
    for (unsigned i = 0; i < nth && at < s.n; i++)
        at += MIN(str_find(str_skip(s, at), '\n') + 1, s.n - at);
    return at < s.n ? at : 0;
}

/* The message with one thing wrong in it. */
static struct str broken(struct fuzz *z, struct str s, char *buf, size_t cap)
{
    struct out o = out_of(buf, cap);
    size_t at = line_start(s, 1u + z->break_at % 16u);
    size_t end = at + MIN(str_find(str_skip(s, at), '\n') + 1, s.n - at);
    switch (z->breakage % BREAKS) {
    case BREAK_FLIP:
        at = (size_t)z->break_at * 7 % MAX(s.n, (size_t)1);
        out_put(&o, str_head(s, at));
        if (at < s.n)
            out_ch(&o, (char)(s.p[at] ^ (1 << z->breakage % 8)));
        at++;
        break;
    case BREAK_CUT:
        out_put(&o, str_head(s, s.n * z->break_at / 256));
        return out_str(&o);
    case BREAK_DROP:
        out_put(&o, str_head(s, at));
        at = end;
        break;
    case BREAK_DOUBLE:
        out_put(&o, str_head(s, end));
        break;
    case BREAK_STRANGE:
        out_put(&o, str_head(s, at));
        out_put(&o, str_c(STRANGE[z->breakage / BREAKS % ARRAY_LEN(STRANGE)]));
        break;
    case BREAK_GROW: /* a field of its own, long */
        out_put(&o, str_head(s, at));
        OUT_LIT(&o, "X-Long: ");
        for (unsigned i = 0; i < z->break_at * 32u; i++)
            out_ch(&o, 'a');
        OUT_LIT(&o, "\r\n");
        break;
    default:
        return s;
    }
    out_put(&o, str_skip(s, MIN(at, s.n)));
    return o.full ? s : out_str(&o);
}

static struct flow flow_of(unsigned party)
{
    struct flow f = {.proto = PARTY[party].proto,
                     .listener = PARTY[party].listener,
                     .peer = test_addr(PARTY[party].host)};
    if (f.proto != PROTO_UDP)
        f.conn = (struct handle){party + 1, 1};
    return f;
}

static void to_core(struct fuzz *z, unsigned party, struct str s)
{
    static char buf[32768];
    struct flow f = flow_of(party);
    if (z->breakage % BREAKS)
        s = broken(z, s, buf, sizeof buf);
    z->breakage = BREAK_NONE;
    core_message(z->c, &f, s, false, z->now);
    settle(z);
}

static void via(struct out *o, unsigned party, const char *branch)
{
    static const char *const names[] = {"UDP", "TCP", "TLS"};
    out_fmt(o, "Via: SIP/2.0/%s %s;branch=%s;rport\r\n", names[PARTY[party].proto],
            PARTY[party].host, branch);
}

/* Bodies: none, offers of several kinds, what is no SDP. */
static void body(struct fuzz *z, struct out *o, unsigned party, uint8_t kind)
{
    static char text[2048];
    struct out b = out_of(text, sizeof text);
    static const char *const media[] = {
        "m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        "m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n",
        "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 "
        "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n",
        "m=audio 4000 RTP/AVP 8\r\nm=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n",
        "m=image 4004 udptl t38\r\n",
        "m=audio 0 RTP/AVP 8\r\n",
        "c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 8 9 18\r\na=inactive\r\n",
        "m=audio 4000 UDP/TLS/RTP/SAVPF "
        "111\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
        "a=fingerprint:sha-256 00\r\na=setup:actpass\r\n",
    };
    if (kind % 16 == 0) {
        sip_end(o, STR_NONE, STR_NONE);
        return;
    }
    if (kind % 16 == 15) {
        sip_end(o, STR("application/sdp"), STR("v=0\r\nnonsense"));
        return;
    }
    char ip[32];
    keep(ip, sizeof ip,
         str_head(str_c(PARTY[party].host), str_find(str_c(PARTY[party].host), ':')));
    out_fmt(&b, "v=0\r\no=- 7 %u IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n", z->serial++, ip,
            ip);
    out_put(&b, str_c(kind % 16 < 8 ? media[0] : media[kind % 8]));
    sip_end(o, STR("application/sdp"), out_str(&b));
}

/* What the vault thinks of it is the input's to say: the response need not be right. */
static void credentials(struct fuzz *z, struct out *o, unsigned party, const char *uri)
{
    out_fmt(o,
            "Authorization: Digest username=\"%s\", realm=\"example.com\", nonce=\"%s\", "
            "uri=\"%s\", algorithm=%s, qop=auth, nc=%08x, cnonce=\"c\", response=\"%064d\"\r\n",
            PARTY[party].name, z->nonce[party], uri,
            z->algorithm[party][0] ? z->algorithm[party] : "SHA-256", 1 + z->serial % 4, 0);
}

struct said {
    const char *method, *extra;
    uint8_t body, flags;
};
enum { SAY_AUTH = 1, SAY_SAME_CSEQ = 2, SAY_NO_TAG = 4, SAY_STRANGE = 8 };

static void say(struct fuzz *z, struct talk *d, const struct said *what)
{
    struct own *own = &z->own[z->n_own++ % OWN];
    struct out o = out_of(own->text, sizeof own->text);
    bool in = d->rtag[0] && !(what->flags & SAY_NO_TAG);
    const char *uri = in && d->target[0] ? d->target : d->uri[0] ? d->uri : "sip:example.com";
    char branch[64];
    bool again = str_eq(str_c(what->method), STR("CANCEL"));
    bool ack = str_eq(str_c(what->method), STR("ACK"));
    (void)snprintf(branch, sizeof branch, "z9hG4bKf%u", z->serial++);
    if (again || (ack && what->flags & SAY_SAME_CSEQ))
        KEEP(branch, str_c(d->branch));
    if (again || ack)
        d->invite_cseq = d->invite_cseq ? d->invite_cseq : 1;
    else if (!(what->flags & SAY_SAME_CSEQ))
        d->cseq++;
    uint32_t cseq = again || ack ? d->invite_cseq : d->cseq;
    if (str_eq(str_c(what->method), STR("INVITE"))) {
        KEEP(d->branch, str_c(branch));
        d->invite_cseq = d->cseq;
    }
    out_fmt(&o, "%s %s SIP/2.0\r\n", what->method, again && d->uri[0] ? d->uri : uri);
    via(&o, d->party, branch);
    out_fmt(&o, "Max-Forwards: 70\r\nFrom: %s", d->local);
    if (!strstr(d->local, ";tag="))
        out_fmt(&o, ";tag=%s", d->ltag);
    out_fmt(&o, "\r\nTo: %s", d->remote);
    if (in && !again && !strstr(d->remote, ";tag="))
        out_fmt(&o, ";tag=%s", d->rtag);
    out_fmt(&o, "\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", d->id, cseq, what->method);
    if (!str_starts(str_c(what->extra), STR("Contact:")))
        out_fmt(&o, "Contact: <sip:%s@%s>\r\n", PARTY[d->party].name, PARTY[d->party].host);
    if (str_eq(str_c(what->method), STR("PRACK")))
        out_fmt(&o, "RAck: %u %u INVITE\r\n", d->rseq, d->invite_cseq);
    if (what->flags & SAY_AUTH)
        credentials(z, &o, d->party, uri);
    if (what->flags & SAY_STRANGE)
        out_put(&o, str_c(STRANGE[take(z) % ARRAY_LEN(STRANGE)]));
    out_put(&o, str_c(what->extra));
    body(z, &o, d->party, what->body);
    if (o.full)
        return;
    own->n = o.n;
    own->party = d->party;
    to_core(z, d->party, out_str(&o));
}

static struct talk *dialog_any(struct fuzz *z)
{
    unsigned back = 1 + take(z) % DIALOGS;
    return z->n_d ? &z->d[(z->n_d - MIN(back, MIN(z->n_d, DIALOGS))) % DIALOGS] : NULL;
}

static struct talk *dialog_begin(struct fuzz *z, unsigned party, const char *uri)
{
    struct talk *d = dialog_new(z, party);
    d->caller = true;
    (void)snprintf(d->id, sizeof d->id, "id%u", z->serial++);
    KEEP(d->uri, str_c(uri));
    bool phone = PARTY[party].listener != LISTEN_IN_UDP;
    (void)snprintf(d->local, sizeof d->local, "<sip:%s@%s>", PARTY[party].name,
                   phone ? "example.com" : PARTY[party].host);
    (void)snprintf(d->remote, sizeof d->remote, "<%s>", uri);
    return d;
}

static const char *const TARGETS[] = {"sip:alice@example.com",
                                      "sip:bob@example.com",
                                      "sip:200@example.com",
                                      "sip:+15550100@example.com;user=phone",
                                      "sip:112@example.com",
                                      "urn:service:sos",
                                      "tel:+15550101",
                                      "sip:nobody@example.com",
                                      "sip:alice@elsewhere.invalid",
                                      "sips:bob@example.com",
                                      "sip:alice@192.0.2.200",
                                      "sip:example.com"};

static void op_register(struct fuzz *z)
{
    static const char *const contacts[] = {";expires=600", ";expires=0", ";expires=10",
                                           ";q=0.5;reg-id=1;+sip.instance=\"<urn:uuid:1>\""};
    uint8_t b = take(z), k = take(z);
    unsigned party = b % PARTIES;
    struct talk *d = dialog_begin(z, party, "sip:example.com");
    (void)snprintf(d->remote, sizeof d->remote, "%s", d->local);
    char extra[1024];
    (void)snprintf(extra, sizeof extra, "Contact: <sip:%s@%s>%s\r\n%s", PARTY[party].name,
                   PARTY[party].host, contacts[k % 4], k & 16 ? "Expires: 120\r\n" : "");
    struct said s = {"REGISTER", k & 32 ? "Contact: *\r\nExpires: 0\r\n" : extra, 0,
                     (uint8_t)(b & 64 ? SAY_AUTH : 0)};
    say(z, d, &s);
    if (!(b & 128) || !z->nonce[party][0])
        return;
    s.flags |= SAY_AUTH; /* the whole exchange at once, so that inputs find registered phones */
    say(z, d, &s);
    for (unsigned i = 0; i < 1 && z->n_ask; i++) {
        struct answer a = {.id = z->ask[(z->n_ask - 1) % QUESTIONS].id, .kind = ASK_VERIFY};
        core_answer(z->c, &a, z->now);
        settle(z);
    }
}

static void op_begin(struct fuzz *z)
{
    static const char *const methods[] = {"INVITE",  "INVITE",  "INVITE",    "INVITE",
                                          "OPTIONS", "MESSAGE", "SUBSCRIBE", "PUBLISH",
                                          "REFER",   "NOTIFY",  "INFO",      "UPDATE"};
    static const char *const extras[] = {
        "",
        "Event: message-summary\r\nExpires: 300\r\n",
        "Event: dialog\r\nExpires: 3600\r\n",
        "Event: presence\r\n",
        "Refer-To: <sip:bob@example.com>\r\n",
        "Supported: 100rel, timer, replaces\r\n",
        "Require: 100rel\r\n",
        "Event: refer\r\nSubscription-State: active;expires=60\r\n"};
    uint8_t b = take(z), t = take(z), k = take(z), f = take(z);
    struct talk *d = dialog_begin(z, b % PARTIES, TARGETS[t % ARRAY_LEN(TARGETS)]);
    char extra[1024];
    keep(extra, sizeof extra, str_c(extras[k % 8]));
    const struct talk *other = k & 64 ? dialog_any(z) : NULL;
    if (other && other != d)
        (void)snprintf(extra, sizeof extra, "Replaces: %s;to-tag=%s;from-tag=%s%s\r\n", other->id,
                       other->rtag, other->ltag, k & 128 ? ";early-only" : "");
    struct said s = {methods[(b >> 3) % 12], extra, f & 15u, (uint8_t)(f >> 4)};
    say(z, d, &s);
    if (!(t & 128) || !z->nonce[d->party][0])
        return;
    s.flags |= SAY_AUTH;
    say(z, d, &s);
    struct answer a = {.id = z->ask[(z->n_ask + QUESTIONS - 1) % QUESTIONS].id, .kind = ASK_VERIFY};
    core_answer(z->c, &a, z->now);
    settle(z);
}

static void op_in_dialog(struct fuzz *z)
{
    static const char *const methods[] = {
        "ACK",    "BYE",     "INVITE",  "UPDATE",    "PRACK", "INFO", "REFER",   "NOTIFY",
        "CANCEL", "OPTIONS", "MESSAGE", "SUBSCRIBE", "ACK",   "ACK",  "PUBLISH", "X-ODD"};
    static const char *const extras[] = {
        "",
        "Refer-To: <sip:bob@example.com>\r\n",
        "Refer-To: <sip:200@example.com?Replaces=x>\r\n",
        ("Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
         "Content-Type: message/sipfrag\r\n"),
        "Event: dialog\r\nExpires: 0\r\n",
        "Session-Expires: 90;refresher=uas\r\nSupported: timer\r\n",
        "Refer-Sub: false\r\nRefer-To: <tel:+15550102>\r\n",
        "Supported: 100rel\r\n"};
    struct talk *d = dialog_any(z);
    uint8_t b = take(z), f = take(z);
    if (!d || !d->id[0])
        return;
    char extra[1024];
    keep(extra, sizeof extra, str_c(extras[(b >> 4) % 8]));
    const struct talk *other = f & 128 ? dialog_any(z) : NULL;
    if (other)
        (void)snprintf(extra, sizeof extra,
                       "Refer-To: <%s?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\r\n",
                       other->target[0] ? other->target : "sip:bob@example.com", other->id,
                       other->rtag, other->ltag);
    struct said s = {methods[b % 16], extra, f & 15u, (uint8_t)(f >> 4 & 7u)};
    say(z, d, &s);
}

static void op_respond(struct fuzz *z)
{
    static const uint16_t codes[] = {200, 180, 183, 100, 200, 486, 404, 302, 401, 407, 422,
                                     481, 487, 488, 491, 503, 600, 603, 202, 408, 420, 181,
                                     300, 299, 699, 501, 301, 500, 180, 183, 200, 101};
    static struct sip_msg m;
    struct sip_error e;
    static char buf[TEXT_MAX];
    struct out o = out_of(buf, sizeof buf);
    uint8_t back = take(z), k = take(z), b = take(z);
    if (!z->n_req)
        return;
    const struct asked *r = &z->req[(z->n_req - 1 - back % MIN(z->n_req, REQUESTS)) % REQUESTS];
    if (sip_parse(str_of(r->text, r->n), true, &m, &e) != OK)
        return;
    unsigned code = codes[k % 32];
    struct talk *d = dialog_of(z, r->party, sip_text(&m, m.call_id));
    char tag[64];
    (void)snprintf(tag, sizeof tag, "%s%s", d ? d->ltag : "nt",
                   k & 64   ? "x" /* another branch behind it */
                   : k & 32 ? "y"
                            : "");
    if (d && code < 300)
        KEEP(d->ltag, str_c(tag));
    sip_reply(&o, &m, code, STR_NONE, code > 100 ? str_c(tag) : STR_NONE, NULL);
    if (code / 100 != 3)
        out_fmt(&o, "Contact: <sip:%s@%s>\r\n", PARTY[r->party].name, PARTY[r->party].host);
    else
        out_fmt(&o, "Contact: <%s>;q=0.7, <sip:201@example.com>\r\n",
                TARGETS[b % ARRAY_LEN(TARGETS)]);
    if (code == 401 || code == 407)
        out_fmt(&o, "%s: Digest realm=\"pbx\", nonce=\"n%u\", algorithm=%s, qop=\"auth\"\r\n",
                code == 401 ? "WWW-Authenticate" : "Proxy-Authenticate", z->serial++,
                b & 1 ? "MD5" : "SHA-256");
    if (code < 200 && b & 16)
        out_fmt(&o, "Require: 100rel\r\nRSeq: %u\r\n", 1 + (d ? ++d->rseq : 1));
    if (code / 100 == 2 && b & 32)
        OUT_LIT(&o, "Session-Expires: 90;refresher=uac\r\nRequire: timer\r\n");
    if (code == 422)
        OUT_LIT(&o, "Min-SE: 120\r\n");
    if (code == 503)
        OUT_LIT(&o, "Retry-After: 5\r\n");
    if (b & 64)
        out_put(&o, str_c(STRANGE[take(z) % ARRAY_LEN(STRANGE)]));
    body(z, &o, r->party, b & 15u);
    if (!o.full)
        to_core(z, r->party, out_str(&o));
}

static void op_vault(struct fuzz *z)
{
    static const uint16_t why[] = {
        REASON_NONE,        REASON_NONE,         REASON_NONE,           REASON_auth_failed,
        REASON_auth_replay, REASON_auth_limited, REASON_auth_algorithm, REASON_auth_unavailable};
    uint8_t b = take(z);
    unsigned i = (z->n_ask + QUESTIONS - 1 - (b >> 4) % QUESTIONS) % QUESTIONS;
    struct answer a = {.id = z->ask[i].id,
                       .kind = z->ask[i].kind ? z->ask[i].kind : ASK_VERIFY,
                       .reason = why[b % 8],
                       .n = z->ask[i].kind == ASK_RESPOND ? 64 : 0};
    if (b & 8)
        a.id ^= 1u << (b >> 4);
    memset(a.bytes, 'a', 64);
    core_answer(z->c, &a, z->now);
    settle(z);
}

static void op_pause(struct fuzz *z)
{
    static const int64_t ms[] = {1, 20, 500, 1100, 4000, 11000, 33000, 70000, 100, 200000, 620000};
    int64_t left = ms[take(z) % ARRAY_LEN(ms)] * 1000, least = MAX(left / 200, (int64_t)1000);
    while (left > 0) {
        int64_t step = core_next(z->c).us - z->now.mono.us;
        step = MIN(MAX(step, least), left);
        z->now.mono.us += step;
        z->now.wall.us += step;
        left -= step;
        core_tick(z->c, z->now);
        settle(z);
    }
}

static void op_fault(struct fuzz *z)
{
    uint8_t b = take(z);
    struct flow f = flow_of(BOB_TLS);
    struct handle ref = z->refs[(z->n_ref + QUESTIONS - 1 - (b >> 4)) % QUESTIONS];
    static struct binding x;
    switch (b % 8) {
    case 0:
        core_flow_closed(z->c, &f, z->now);
        break;
    case 1:
        core_flow_lost(z->c, ref, z->now);
        break;
    case 2:
        core_send_failed(z->c, ref, z->now);
        break;
    case 3:
        core_policy(z->c, &policy[b >> 4 & 1], z->now);
        break;
    case 4:
        core_directory(z->c, dir[b >> 4 & 1]);
        break;
    case 5:
        core_drain(z->c, b & 16);
        break;
    case 6:
        x = (struct binding){.expires = {z->now.wall.us + 60000000}, .flow = flow_of(BOB)};
        x.aor_len = (uint8_t)sizeof "bob@example.com" - 1;
        memcpy(x.aor, "bob@example.com", x.aor_len);
        x.contact_len = (uint8_t)sizeof "sip:bob@203.0.113.6" - 1;
        memcpy(x.contact, "sip:bob@203.0.113.6", x.contact_len);
        core_restore(z->c, &x, 1, z->now);
        break;
    default: { /* an RTP packet from somewhere */
        static uint8_t rtp[PKT_MAX];
        memcpy(rtp, (uint8_t[]){0x80, 8, 0, b}, 4);
        struct pkt k = {.data = rtp, .len = 172, .port = (uint16_t)(20000 + 2 * (b >> 4))};
        k.peer = test_addr("203.0.113.5:4000");
        core_rtp(z->c, &k, 1, z->now);
        break;
    }
    }
    settle(z);
}

static void op_again(struct fuzz *z)
{
    uint8_t b = take(z);
    if (!z->n_own)
        return;
    const struct own *o = &z->own[(z->n_own - 1 - b % MIN(z->n_own, OWN)) % OWN];
    static char copy[TEXT_MAX];
    memcpy(copy, o->text, o->n);
    to_core(z, b & 128 ? b % PARTIES : o->party, str_of(copy, o->n));
}

static void step(struct fuzz *z)
{
    uint8_t op = take(z);
    if (op & 128) {
        z->breakage = take(z);
        z->break_at = take(z);
    }
    switch (op % 16) {
    case 0:
        op_register(z);
        return;
    case 1:
    case 2:
    case 3:
        op_begin(z);
        return;
    case 4:
    case 5:
    case 6:
    case 7:
        op_respond(z);
        return;
    case 8:
    case 9:
    case 10:
        op_in_dialog(z);
        return;
    case 11:
        op_vault(z);
        return;
    case 12:
    case 13:
        op_pause(z);
        return;
    case 14:
        op_fault(z);
        return;
    default:
        op_again(z);
        return;
    }
}

static bool idle(const struct fuzz *z)
{
    struct core_usage u = core_usage(z->c);
    return !u.calls && !u.legs && !u.transactions && !u.pending && !u.exchanges && !u.blocks_used &&
           !u.media.legs && !u.media.ports_taken && !u.media.srtp_contexts;
}

/* Nobody says anything any more: all of it must end by itself. */
static bool run_out(struct fuzz *z)
{
    for (int64_t left = ALL_ENDED; left > 0 && !idle(z); left--) {
        z->now.mono.us += 1000000;
        z->now.wall.us += 1000000;
        core_tick(z->c, z->now);
        settle(z);
    }
    return idle(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct fuzz *z = &fuzz;
    memset(z, 0, sizeof *z);
    z->p = p;
    z->n = n;
    start_core(z);
    for (unsigned i = 0; i < STEPS && z->n; i++)
        step(z);
    CHECK(run_out(z));
    CHECK(z->starts == z->ends && z->open_sum == 0);
    return 0;
}
