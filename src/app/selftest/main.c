#include "app/selftest/selftest.h"
#include "base/siphash.h"
#include "crypto/hash.h"
#include "identity/digest.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/rand.h"
#include "ipc/control.h"
#include "wire/sdp/sdes.h"
#include "wire/sip/build.h"
#include "wire/sip/hdr.h"
#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <unistd.h>

static const char usage[] =
    "usage: ringwall selftest [--state DIR] [--config FILE] [--json] [--verbose]\n"
    "Proves a running gateway with one call: a caller over TLS and SRTP, and a callee that plays "
    "the plain PBX of the\n"
    "configuration (its address must be of this machine and free). Audio goes both ways and is "
    "told by its frequency.\n"
    "A user is made for the test and removed afterwards.\n"
    "exit: 0 all stages passed, 1 a stage failed, 2 usage, 3 the gateway is not running\n";

/* One line a stage. */
static bool stage(struct st *s, bool ok, const char *name, const char *fmt, ...) PRINTF(4, 5);
static bool stage(struct st *s, bool ok, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->stages++;
    s->failed += !ok;
    if (s->json) {
        char line[1024];
        struct out o = out_of(line, sizeof line);
        out_ch(&o, '{');
        out_json_kstr(&o, STR("stage"), str_c(name));
        out_json_kbool(&o, STR("ok"), ok);
        out_json_kstr(&o, STR("text"), str_c(text));
        out_ch(&o, '}');
        printf(STR_FMT "\n", STR_ARG(out_str(&o)));
    } else {
        printf("%s  %-28s %s\n", ok ? "ok    " : "FAILED", name, text);
    }
    (void)fflush(stdout);
    return ok;
}

static bool ask(struct st *s, const char *request, json_t **ret_doc, uint32_t *ret_code)
{
    char path[CONFIG_PATH + 32], *text;
    size_t n;
    (void)snprintf(path, sizeof path, "%s/run/control.sock", s->state);
    if (control_ask(path, str_c(request), ret_code, &text, &n) != OK)
        return false;
    *ret_doc = json_loadb(text, n, 0, NULL);
    free(text);
    return *ret_doc != NULL;
}

static bool make_user(struct st *s)
{
    char req[256];
    uint32_t code;
    json_t *doc;
    (void)snprintf(s->user, sizeof s->user, "selftest-%08x", (unsigned)rng_u64(&s->rng));
    (void)snprintf(req, sizeof req, "{\"cmd\":\"user-add\",\"user\":\"%s@%s\",\"role\":\"user\"}",
                   s->user, s->domain);
    if (!ask(s, req, &doc, &code))
        return stage(s, false, "gateway",
                     "no gateway answers at %s/run/control.sock; start it with `ringwall run`",
                     s->state);
    const char *p = json_string_value(json_object_get(doc, "password")),
               *e = json_string_value(json_object_get(doc, "error"));
    if (p)
        (void)snprintf(s->password, sizeof s->password, "%s", p);
    bool ok = stage(s, p != NULL, "test user", p ? "%s, with a random password" : "%s",
                    p   ? s->user
                    : e ? e
                        : "refused");
    json_decref(doc);
    return ok;
}

static void remove_user(struct st *s)
{
    char req[256];
    uint32_t code;
    json_t *doc;
    (void)snprintf(req, sizeof req, "{\"cmd\":\"user-del\",\"user\":\"%s@%s\"}", s->user,
                   s->domain);
    if (!s->password[0])
        return;
    bool ok = ask(s, req, &doc, &code);
    if (ok)
        json_decref(doc);
    ok = ok && code == CONTROL_OK;
    (void)stage(s, ok, "test user removed", "%s",
                ok ? s->user : "could not be removed: use `ringwall user del`");
}

/* A number that a rule for secured phones sends to a plain peer on this machine. */
struct plan {
    char number[64];
    uint8_t listener, peer;
};
static bool number_for(struct str pattern, char *ret, size_t cap)
{
    struct out o = out_of(ret, cap - 1);
    for (size_t i = 0; i < pattern.n; i++) {
        bool last = i + 1 == pattern.n;
        char c = pattern.p[i];
        out_ch(&o, c == 'X' || c == '.' ? '1' : c == 'N' ? '2' : c == '*' && last ? '1' : c);
    }
    ret[o.n] = 0;
    return !o.full && o.n;
}

static bool find_plan(const struct policy *p, struct plan *ret)
{
    struct addr loop = {.family = ADDR_V4, .ip = {127, 0, 0, 1}};
    for (uint8_t l = 0; l < p->n_listeners; l++) {
        struct addr from = addr_any(&p->listeners[l].bind) ? loop : p->listeners[l].bind;
        uint8_t z = policy_zone_of(p, l, &from);
        if (p->listeners[l].proto != PROTO_TLS || z == POLICY_NONE || !p->zones[z].authenticate ||
            p->zones[z].client_cert == 2)
            continue;
        for (unsigned i = 0; i < p->n_routes; i++) {
            const struct policy_route *r = &p->routes[i];
            if (r->to != ROUTE_PEERS || !r->n_peers || p->peers[r->peers[0]].proto != PROTO_UDP ||
                !p->peers[r->peers[0]].n_targets ||
                !number_for(policy_text(p, r->pattern), ret->number, sizeof ret->number))
                continue;
            const struct policy_caller by = {z, POLICY_NONE, 0, false, clock_now().wall};
            if (policy_route(p, &by, str_c(ret->number)) != r)
                continue;
            ret->listener = l;
            ret->peer = r->peers[0];
            return true;
        }
    }
    return false;
}

struct dialog_ids {
    char call_id[40], from_tag[20], to[320], target[256], uri[256];
    uint32_t cseq;
    const char *method;
};

static void head(struct st *s, struct out *o, struct dialog_ids *d, const char *method,
                 struct str uri)
{
    char branch[32];
    (void)snprintf(branch, sizeof branch, "z9hG4bK%016llx", (unsigned long long)rng_u64(&s->rng));
    sip_request_line(o, str_c(method), uri);
    OUT_LIT(o, "Via: SIP/2.0/TLS ");
    addr_put(o, &s->tls_local);
    OUT_LIT(o, ";rport;branch=");
    out_put(o, str_c(branch));
    OUT_LIT(o, "\r\nMax-Forwards: 70\r\n");
    out_fmt(o, "From: <sip:%s@%s>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", s->user,
            s->domain, d->from_tag, d->to, d->call_id, d->cseq, method);
    out_fmt(o, "Contact: <sip:%s@", s->user);
    addr_put(o, &s->tls_local);
    OUT_LIT(o, ";transport=tls>\r\n");
}

static void offer(struct st *s, struct out *o, const uint8_t *key, size_t key_n)
{
    struct addr local = {0};
    if (sock_local(s->a.fd, &local) != OK)
        return;
    OUT_LIT(o, "v=0\r\no=- 1 1 IN IP4 ");
    addr_put_ip(o, &local);
    OUT_LIT(o, "\r\ns=-\r\nc=IN IP4 ");
    addr_put_ip(o, &local);
    OUT_LIT(o, "\r\nt=0 0\r\nm=audio ");
    out_u64(o, local.port);
    OUT_LIT(o, " RTP/SAVP 8\r\na=rtpmap:8 PCMA/8000\r\n");
    sdes_put(o, 1, str_c(srtp_suite_name(SUITE_GCM_128)), key, key_n);
}

static bool authorization(struct st *s, struct out *o, const char *method, struct str uri)
{
    struct sip_auth ch;
    enum digest_alg alg;
    char ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX], resp[DIGEST_HEX_MAX];
    if (sip_auth_parse(sip_get(&s->msg, HDR_WWW_AUTHENTICATE), &ch) != OK ||
        digest_alg_parse(ch.algorithm, &alg) != OK ||
        digest_ha1(alg, str_c(s->user), ch.realm, str_c(s->password), ha1) != OK ||
        digest_ha2(alg, str_c(method), uri, false, STR_NONE, ha2) != OK)
        return false;
    size_t n = digest_hex_chars(alg);
    if (digest_response(alg, str_of(ha1, n), ch.nonce, STR("00000001"), STR("selftest"),
                        STR("auth"), str_of(ha2, n), resp) != OK)
        return false;
    out_fmt(o,
            "Authorization: Digest username=\"%s\", realm=\"" STR_FMT "\", nonce=\"" STR_FMT
            "\", uri=\"" STR_FMT "\", response=\"%.*s\", algorithm=" STR_FMT
            ", cnonce=\"selftest\", qop=auth, nc=00000001\r\n",
            s->user, STR_ARG(ch.realm), STR_ARG(ch.nonce), STR_ARG(uri), (int)n, resp,
            STR_ARG(digest_alg_name(alg)));
    mem_wipe(ha1, sizeof ha1);
    return true;
}

/* Waits for a final response of the newest request; 0 = none. */
static unsigned final(struct st *s, uint32_t cseq)
{
    for (unsigned i = 0; i < 20; i++) {
        if (!serve(s, 5000))
            return 0;
        if (!s->msg.is_request && s->msg.cseq == cseq && s->msg.code >= 200)
            return s->msg.code;
    }
    return 0;
}

static bool send_request(struct st *s, struct out *o, struct str body)
{
    sip_end(o, body.n ? STR("application/sdp") : STR_NONE, body);
    return out_err(o) == OK && caller_send(s, out_str(o)) == OK;
}

static unsigned invite(struct st *s, struct dialog_ids *d, struct str sdp, bool with_auth)
{
    char buf[ST_MSG];
    struct out o = out_of(buf, sizeof buf);
    struct str uri = str_c(d->uri);
    d->cseq++;
    head(s, &o, d, "INVITE", uri);
    if (with_auth && !authorization(s, &o, "INVITE", uri))
        return 0;
    return send_request(s, &o, sdp) ? final(s, d->cseq) : 0;
}

/* The ACK of a refusal belongs to its transaction: same branch. The server takes one with another
 * branch as stray and only repeats its answer until it tires, which is harmless here, so it is sent
 * the simple way. */
static void ack(struct st *s, struct dialog_ids *d, struct str uri)
{
    char buf[ST_MSG];
    struct out o = out_of(buf, sizeof buf);
    head(s, &o, d, "ACK", uri);
    if (!send_request(s, &o, STR_NONE))
        s->failed++;
}

static bool take_answer(struct st *s, struct dialog_ids *d, const uint8_t *key)
{
    struct sip_nameaddr c;
    static struct sdp sdp;
    struct sdes crypto;
    uint8_t theirs[SRTP_KEY_MAX];
    size_t n;
    struct str to = sip_get(&s->msg, HDR_TO), body = sip_text(&s->msg, s->msg.body);
    if (sip_nameaddr_parse(sip_get(&s->msg, HDR_CONTACT), &c) != OK ||
        sdp_parse(body, &sdp) != OK || !sdp.n_media)
        return false;
    (void)snprintf(d->to, sizeof d->to, STR_FMT, STR_ARG(to));
    (void)snprintf(d->target, sizeof d->target, STR_FMT, STR_ARG(c.uri));
    const struct sdp_attr *a = sdp_attr_find(&sdp, body, &sdp.media[0].sec, STR("crypto"));
    if (!a || sdes_parse(sdp_attr_value(body, a), &crypto) != OK ||
        !str_eq(crypto.suite, str_c(srtp_suite_name(SUITE_GCM_128))) ||
        base64_decode(crypto.key, theirs, sizeof theirs, &n) != OK ||
        n != srtp_key_bytes(SUITE_GCM_128))
        return false;
    s->a.peer = sdp_media_conn(&sdp, &sdp.media[0])->a;
    s->a.peer.port = sdp.media[0].port;
    s->a.tx = srtp_new(SUITE_GCM_128, key);
    s->a.rx = srtp_new(SUITE_GCM_128, theirs);
    return s->a.tx && s->a.rx;
}

static bool pbx_saw_nothing(struct st *s, const struct dialog_ids *d)
{
    char ip[ADDR_TEXT_MAX + 8];
    struct out o = out_of(ip, sizeof ip);
    addr_put(&o, &s->tls_local);
    struct str got = str_of(s->pbx_text, s->pbx_n);
    return str_search(got, out_str(&o)) == got.n && str_search(got, str_c(d->call_id)) == got.n &&
           str_search(got, str_c(d->from_tag)) == got.n &&
           str_search(got, STR("a=crypto")) == got.n && str_search(got, STR("TLS")) == got.n;
}

static void talk(struct st *s)
{
    s->next_frame_us = clock_now().mono.us;
    for (int64_t end = s->next_frame_us + 2000000; clock_now().mono.us < end;)
        (void)serve(s, 100);
    s->next_frame_us = 0;
    (void)serve(s, 60);
    unsigned ab = audio_share(&s->b, ST_TONE_A), ba = audio_share(&s->a, ST_TONE_B);
    (void)stage(s, ab > 80 && s->b.got + 5 >= s->a.sent, "audio phone to PBX",
                "%u of %u packets, %u Hz makes up %u %% of what was heard", s->b.got, s->a.sent,
                ST_TONE_A, ab);
    (void)stage(s, ba > 80 && s->a.got + 5 >= s->b.sent && !s->a.bad, "audio PBX to phone",
                "%u of %u packets, %u Hz makes up %u %%, all tags verified", s->a.got, s->b.sent,
                ST_TONE_B, ba);
}

static bool cdr_written(struct st *s, const struct dialog_ids *d)
{
    char req[256];
    (void)snprintf(req, sizeof req, "{\"cmd\":\"cdr\",\"call_id\":\"%s\"}", d->call_id);
    for (unsigned i = 0; i < 30; i++) {
        uint32_t code;
        json_t *doc;
        if (ask(s, req, &doc, &code)) {
            size_t n = json_array_size(json_object_get(doc, "sessions"));
            json_decref(doc);
            if (n == 1)
                return true;
        }
        (void)usleep(100000);
    }
    return false;
}

static void call(struct st *s, const struct plan *plan)
{
    struct dialog_ids d = {0};
    char body[1024];
    uint8_t key[SRTP_KEY_MAX];
    struct out o = out_of(body, sizeof body);
    rng_bytes(&s->rng, key, sizeof key);
    (void)snprintf(d.call_id, sizeof d.call_id, "%016llx@selftest.invalid",
                   (unsigned long long)rng_u64(&s->rng));
    (void)snprintf(d.from_tag, sizeof d.from_tag, "%08x", (unsigned)rng_u64(&s->rng));
    (void)snprintf(d.uri, sizeof d.uri, "sip:%s@%s", plan->number, s->domain);
    (void)snprintf(d.to, sizeof d.to, "<%s>", d.uri);
    offer(s, &o, key, srtp_key_bytes(SUITE_GCM_128));
    unsigned code = invite(s, &d, out_str(&o), false);
    if (!stage(s, code == 401, "call without password", "%u: %s", code,
               code == 401 ? "challenged" : "should have been challenged"))
        return;
    code = invite(s, &d, out_str(&o), true);
    if (!stage(s, code == 200, "call with password", "%s dialled, answer %u", plan->number, code))
        return;
    bool keys = take_answer(s, &d, key);
    ack(s, &d, str_c(d.target));
    (void)serve(s, 200);
    if (!stage(s, keys, "SRTP agreed", "%s",
               keys ? srtp_suite_name(SUITE_GCM_128) : "the answer holds no key that fits"))
        return;
    (void)stage(s, s->pbx_n && s->pbx_acked && pbx_saw_nothing(s, &d), "what the PBX saw",
                "plain SIP and RTP; no address, Call-ID, tag or key of the phone");
    talk(s);
    char buf[ST_MSG];
    o = out_of(buf, sizeof buf);
    d.cseq++;
    head(s, &o, &d, "BYE", str_c(d.target));
    code = send_request(s, &o, STR_NONE) ? final(s, d.cseq) : 0;
    (void)serve(s, 300);
    (void)stage(s, code == 200 && s->pbx_byed, "hang up", "answer %u, the PBX was told", code);
    bool cdr = cdr_written(s, &d);
    (void)stage(s, cdr, "call record",
                cdr ? "written; see `ringwall cdr --call-id %s`" : "none was written for %s",
                d.call_id);
    mem_wipe(key, sizeof key);
}

static bool prepare(struct st *s, struct plan *plan)
{
    const struct policy *p = &s->cfg.policy;
    char path[CONFIG_PATH + 32];
    static char ca[65536];
    size_t n;
    if (!find_plan(p, plan))
        return stage(s, false, "plan",
                     "no rule sends a number from an authenticated TLS zone to a plain UDP peer "
                     "with an address; "
                     "there is nothing to prove a call with");
    const struct policy_peer *peer = &p->peers[plan->peer];
    char at[ADDR_TEXT_MAX];
    struct out o = out_of(at, sizeof at);
    addr_put(&o, &peer->targets[0]);
    if (pbx_open(s, &peer->targets[0]) != OK)
        return stage(s, false, "PBX's place",
                     STR_FMT " cannot be taken: this test plays the PBX, so its address must be of "
                             "this machine and free (stop the PBX, or test later)",
                     STR_ARG(out_str(&o)));
    (void)stage(s, true, "PBX's place", STR_FMT ", plain UDP and RTP by waiver",
                STR_ARG(out_str(&o)));
    (void)snprintf(path, sizeof path, "%s/ca.pem", s->state);
    if (file_read(path, ca, sizeof ca, &n) != OK)
        return stage(s, false, "local authority", "%s cannot be read", path);
    struct addr to = p->listeners[plan->listener].bind, local = {0};
    if (addr_any(&to))
        to = (struct addr){
            .family = to.family, .port = to.port, .ip = {to.family == ADDR_V4 ? 127 : 0, 0, 0, 1}};
    if (to.family == ADDR_V6 && to.ip[0] == 0)
        to.ip[15] = 1, to.ip[3] = 0;
    enum err r = caller_connect(s, &to, str_of(ca, n));
    if (!stage(s, r == OK, "TLS",
               r == OK ? "%s, %s, certificate verified for %s" : "failed: %s %s(%s)",
               r == OK  ? tls_version(s->tls)
               : s->tls ? tls_error(s->tls)
                        : "",
               r == OK ? tls_cipher(s->tls) : err_name(r), s->domain))
        return false;
    local = s->tls_local;
    local.port = 0;
    return audio_open(&s->a, &local, ST_TONE_A, &s->rng) == OK ||
           stage(s, false, "media", "no UDP port for the caller");
}

static int run(struct st *s, const char *config)
{
    static struct config_errors errors;
    uint8_t seed[32];
    struct plan plan;
    struct config_opts opts = {.now = clock_now().wall, .state = s->state};
    if (rand_bytes(seed, sizeof seed) != OK || crypto_init() != OK)
        return 1;
    rng_init(&s->rng, seed);
    if (config_load(config, &opts, &s->cfg, &errors) != OK) {
        (void)stage(s, false, "configuration", "%s cannot be used; see `ringwall check %s`", config,
                    config);
        return 1;
    }
    const struct policy *p = &s->cfg.policy;
    (void)snprintf(s->domain, sizeof s->domain, STR_FMT, STR_ARG(policy_text(p, p->domains[0])));
    uint32_t code;
    json_t *doc;
    if (!ask(s, "{\"cmd\":\"status\"}", &doc, &code)) {
        (void)fprintf(
            stderr,
            "ringwall selftest: the gateway is not running (no answer at %s/run/control.sock)\n",
            s->state);
        return 3;
    }
    json_decref(doc);
    if (make_user(s) && prepare(s, &plan))
        call(s, &plan);
    remove_user(s);
    caller_close(s);
    audio_close(&s->a);
    audio_close(&s->b);
    if (!s->json)
        printf("%s: %u stages, %u failed\n", s->failed ? "NOT PROVED" : "proved", s->stages,
               s->failed);
    return s->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct st s = {
        .tls_fd = -1, .pbx_fd = -1, .a = {.fd = -1}, .b = {.fd = -1}, .state = "/var/lib/ringwall"};
    static const struct option opts[] = {{"state", 1, NULL, 's'}, {"config", 1, NULL, 'c'},
                                         {"json", 0, NULL, 'j'},  {"verbose", 0, NULL, 'v'},
                                         {"help", 0, NULL, 'h'},  {0}};
    const char *config = NULL;
    char path[CONFIG_PATH + 32];
    for (int c; (c = getopt_long(argc, argv, "s:c:jvh", opts, NULL)) != -1;) {
        if (c == 's')
            s.state = optarg;
        else if (c == 'c')
            config = optarg;
        else if (c == 'j')
            s.json = true;
        else if (c == 'v')
            s.verbose = true;
        else {
            (void)fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    (void)snprintf(path, sizeof path, "%s/ringwall.yaml", s.state);
    return run(&s, config ? config : path);
}
