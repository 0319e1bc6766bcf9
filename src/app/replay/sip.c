/* SIP messages: what each is part of (a request with its answer, a call), and what that means. */
#include "app/replay/state.h"
#include "wire/sip/hdr.h"

static void copy(char *ret, size_t cap, struct str s)
{
    size_t n = MIN(s.n, cap - 1);
    for (size_t i = 0; i < n; i++)
        ret[i] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i];
    ret[n] = 0;
}

static void id_of(const struct replay *r, struct str s, uint64_t ret[2])
{
    uint8_t b[16];
    siphash128(&r->key, s, b);
    memcpy(ret, b, sizeof b);
}

/* -- requests and their answers -- */

static void trans_id(const struct replay *r, const struct sip_msg *m, uint64_t ret[2])
{
    uint64_t call[2], branch[2];
    id_of(r, sip_text(m, m->call_id), call);
    id_of(r, sip_text(m, m->via_branch), branch);
    ret[0] = call[0] ^ ((uint64_t)m->cseq << 8 | m->method);
    ret[1] = call[1] ^ branch[0];
    uint64_t mixed[2];
    id_of(r, str_of((const char *)ret, 16), mixed);
    memcpy(ret, mixed, sizeof mixed);
}

static struct trans *trans_find(struct replay *r, const uint64_t id[2])
{
    uint32_t it = 0, v;
    while ((v = map_find(&r->trans_map, id[0], &it)) != 0)
        if (r->trans[v - 1].id[1] == id[1])
            return &r->trans[v - 1];
    return NULL;
}

static void answered(struct replay *r, struct trans *t, uint16_t code, bool stale)
{
    if (!t->pending)
        return;
    for (unsigned i = 0; i < r->o.n; i++)
        if (t->pending & (1u << i))
            judge_answered(r, i, t, code, stale);
    t->pending = 0;
    if (r->o.n == 2)
        judge_diff(r, &t->src, t->method, t->j[0].out, t->j[1].out);
}

static void forget(struct replay *r)
{
    struct trans *t = &r->trans[r->head % TRANS];
    if (r->cursor == r->head) {
        answered(r, t, 0, false);
        r->cursor++;
    }
    (void)map_del(&r->trans_map, t->id[0], (uint32_t)(t - r->trans) + 1);
    r->head++;
}

void trans_turn(struct replay *r, bool end)
{
    while (r->cursor != r->tail) {
        struct trans *t = &r->trans[r->cursor % TRANS];
        if (!end && r->now.mono.us - t->at_us < ANSWER_US)
            break;
        answered(r, t, 0, false);
        r->cursor++;
    }
    while (r->head != r->tail && r->now.mono.us - r->trans[r->head % TRANS].at_us > TRANS_US)
        forget(r);
}

static struct trans *trans_new(struct replay *r, const uint64_t id[2])
{
    if (r->tail - r->head == TRANS)
        forget(r);
    struct trans *t = &r->trans[r->tail % TRANS];
    memset(t, 0, sizeof *t);
    t->id[0] = id[0];
    t->id[1] = id[1];
    t->at_us = r->now.mono.us;
    if (map_put(&r->trans_map, id[0], (uint32_t)(t - r->trans) + 1) != OK)
        return NULL;
    r->tail++;
    return t;
}

/* Nonces that were seen on their way to an address: who sends one back from there is real. */
static uint64_t nonce_key(const struct replay *r, struct str nonce, const struct addr *a)
{
    struct addr s = guard_source(a);
    return siphash(&r->key, nonce) ^ addr_hash(&r->key, &s);
}

/* What sip_auth_parse understands in two kinds of fields, one after the other. */
struct auths {
    const struct sip_msg *m;
    enum sip_hdr where[2];
    unsigned i;
    uint16_t it;
};

static bool auths_next(struct auths *w, struct sip_auth *ret_a)
{
    struct str v;
    for (; w->i < ARRAY_LEN(w->where); w->i++, w->it = 0)
        while (sip_next(w->m, w->where[w->i], &w->it, &v))
            if (sip_auth_parse(v, ret_a) == OK)
                return true;
    return false;
}

static bool credentials(struct replay *r, const struct sip_msg *m, const struct addr *source,
                        bool *ret_proven)
{
    struct auths w = {.m = m, .where = {HDR_AUTHORIZATION, HDR_PROXY_AUTHORIZATION}};
    struct sip_auth a;
    bool has = false;
    while (auths_next(&w, &a)) {
        uint64_t k = nonce_key(r, a.nonce, source);
        has = has || a.response.n > 0; /* an empty one is how some phones begin */
        *ret_proven = *ret_proven || (a.nonce.n && r->nonces[k % NONCES] == k);
    }
    return has;
}

static bool challenge(struct replay *r, const struct sip_msg *m, const struct addr *to)
{
    struct auths w = {.m = m, .where = {HDR_WWW_AUTHENTICATE, HDR_PROXY_AUTHENTICATE}};
    struct sip_auth a;
    bool stale = false;
    while (auths_next(&w, &a)) {
        uint64_t k = nonce_key(r, a.nonce, to);
        r->nonces[k % NONCES] = k;
        stale = stale || str_ieq(a.stale, STR("true"));
    }
    return stale;
}

/* -- calls -- */

static struct call *call_find(struct replay *r, struct str call_id, uint64_t ret_id[2])
{
    uint32_t it = 0, v;
    id_of(r, call_id, ret_id);
    while ((v = map_find(&r->call_map, ret_id[0], &it)) != 0)
        if (r->calls[v - 1].id[1] == ret_id[1])
            return &r->calls[v - 1];
    return NULL;
}

static uint64_t tag_of(const struct replay *r, const struct sip_msg *m)
{
    return siphash(&r->key, sip_text(m, m->from_tag));
}

static void party_add(struct call *k, const struct addr *a)
{
    for (unsigned i = 0; i < k->n_parties; i++)
        if (addr_eq_ip(&k->parties[i], a))
            return;
    if (k->n_parties < PARTIES)
        k->parties[k->n_parties++] = *a;
}

static bool party_has(const struct call *k, const struct addr *a)
{
    for (unsigned i = 0; i < k->n_parties; i++)
        if (addr_eq_ip(&k->parties[i], a))
            return true;
    return k->n_parties == PARTIES; /* more than are kept: who knows */
}

static struct call *call_new(struct replay *r, const struct seen *s, const uint64_t id[2])
{
    const struct sip_msg *m = &r->m;
    if (r->n_calls == CALLS || map_put(&r->call_map, id[0], r->n_calls + 1) != OK) {
        r->n.calls_lost++;
        return NULL;
    }
    struct call *k = &r->calls[r->n_calls++];
    k->id[0] = id[0];
    k->id[1] = id[1];
    k->text = replay_text(r, sip_text(m, m->call_id));
    k->from = replay_text(r, sip_text(m, m->from_uri));
    k->to = replay_text(r, sip_text(m, m->to_uri));
    k->from_tag = tag_of(r, m);
    k->start_us = r->now.wall.us;
    k->proto = s->proto;
    return k;
}

static void call_packets(const struct replay *r, struct call *k)
{
    k->packets[0] = k->packets[1] = 0;
    for (uint32_t i = k->streams; i; i = r->streams[i - 1].next)
        k->packets[r->streams[i - 1].side & 1] += r->streams[i - 1].in.packets;
}

void call_over(struct replay *r, struct call *k)
{
    call_packets(r, k);
    int64_t end = k->end_us ? k->end_us : k->last_us;
    k->one_way = k->answer_us && end - k->answer_us >= ONE_WAY_US && k->sdp[0] && k->sdp[1] &&
                 !k->still[0] && !k->still[1] && !k->packets[0] != !k->packets[1];
    if (k->told || !k->end_us)
        return;
    k->told = true;
    for (unsigned i = 0; i < r->o.n; i++) {
        if (!k->j[i].judged)
            continue;
        int64_t from = k->answer_us ? k->answer_us : k->ring_us ? k->ring_us : k->start_us;
        struct obs o = {.kind = OBS_CALL,
                        .method = SIP_INVITE,
                        .proto = k->proto,
                        .zone = k->j[i].zone,
                        .flags = (uint16_t)(k->j[i].flags | (k->answer_us ? OBS_ANSWERED : 0)),
                        .code = k->code,
                        .n = 1,
                        .value = (uint32_t)MIN(k->packets[0] + k->packets[1], UINT32_MAX),
                        .seconds = (uint32_t)((end - from) / 1000000),
                        .listener = UINT32_MAX,
                        .source = k->parties[0],
                        .aor = k->j[i].aor,
                        .number = k->j[i].number};
        struct str who = str_skip(k->from, str_find(k->from, ':') + 1);
        o.who_n = (uint8_t)MIN(who.n, (size_t)OBS_WHO);
        memcpy(o.who, who.n ? who.p : "", o.who_n);
        judge_observe(r, i, &o, NULL);
    }
}

static void sdp_in(struct replay *r, struct call *k, uint8_t side, const struct seen *s)
{
    struct str sdp;
    if (sip_body_find(&r->m, STR("application/sdp"), &sdp) == OK)
        media_announce(r, k, side, sdp, s);
}

static void call_request(struct replay *r, struct call *k, const struct seen *s, bool whole)
{
    const struct sip_msg *m = &r->m;
    uint8_t side = tag_of(r, m) != k->from_tag;
    k->last_us = r->now.wall.us;
    if (m->method == SIP_INVITE && !m->to_tag.len && !k->answer_us) {
        party_add(k, &s->src);
        party_add(k, &s->dst);
        k->end_us = 0; /* again, with credentials */
    }
    if (m->method == SIP_BYE && !k->end_us) {
        k->end_us = r->now.wall.us;
        k->ended_by = side ? 'b' : 'a';
        call_over(r, k);
    }
    if (whole)
        sdp_in(r, k, side, s);
}

static void call_response(struct replay *r, struct call *k, const struct seen *s, bool whole)
{
    const struct sip_msg *m = &r->m;
    uint8_t side = tag_of(r, m) == k->from_tag; /* the other side than who asked */
    k->last_us = r->now.wall.us;
    if (whole)
        sdp_in(r, k, side, s);
    if (m->method != SIP_INVITE || k->answer_us || side == 0)
        return;
    if (m->code > 100 && m->code < 200 && !k->ring_us)
        k->ring_us = r->now.wall.us;
    if (m->code < 200)
        return;
    k->code = m->code;
    if (m->code < 300) {
        k->answer_us = r->now.wall.us;
    } else if (m->code != 401 && m->code != 407) {
        k->end_us = r->now.wall.us;
        call_over(r, k);
    }
}

/* -- messages -- */

static void doors(struct replay *r, const struct seen *s, struct outcome out[REPLAY_JUDGES])
{
    for (unsigned i = 0; i < r->o.n; i++)
        (void)judge_door(r, &r->judges[i], s, &out[i]);
}

static void malformed(struct replay *r, const struct seen *s, enum reason why,
                      struct outcome out[REPLAY_JUDGES])
{
    if (why == REASON_sip_empty)
        return;
    r->n.malformed++;
    for (unsigned i = 0; i < r->o.n; i++)
        if (out[i].kind == VERDICT_NONE)
            judge_malformed(r, &r->judges[i], s, why, &out[i]);
    if (r->o.n == 2)
        judge_diff(r, &s->src, (uint8_t)(r->m.is_request ? r->m.method : SIP_OTHER), out[0],
                   out[1]);
}

void sip_stream_bad(struct replay *r, const struct seen *s, enum reason why)
{
    struct outcome out[REPLAY_JUDGES] = {{0}};
    r->m.is_request = false;
    doors(r, s, out);
    malformed(r, s, why, out);
}

static void request_known(struct replay *r, const struct seen *s, struct call *k,
                          struct outcome out[REPLAY_JUDGES])
{
    const struct sip_msg *m = &r->m;
    uint64_t id[2];
    trans_id(r, m, id);
    if (m->method == SIP_ACK)
        return;
    if (trans_find(r, id)) {
        r->n.again++;
        return;
    }
    struct trans *t = trans_new(r, id);
    if (!t)
        return;
    t->src = s->src;
    t->dst = s->dst;
    t->proto = s->proto;
    t->method = (uint8_t)m->method;
    t->call = k ? (uint32_t)(k - r->calls) + 1 : 0;
    t->in_dialog = m->to_tag.len > 0;
    t->proven = s->stream;
    t->credentials = credentials(r, m, &s->src, &t->proven);
    t->binds = m->method == SIP_REGISTER && !str_eq(sip_get(m, HDR_EXPIRES), STR("0")) &&
               sip_has(m, HDR_CONTACT) && !str_eq(sip_get(m, HDR_CONTACT), STR("*"));
    copy(t->text, sizeof t->text, sip_text(m, m->call_id));
    copy(t->uri, sizeof t->uri, sip_text(m, m->uri));
    copy(t->agent, sizeof t->agent, sip_get(m, HDR_USER_AGENT));
    for (unsigned i = 0; i < r->o.n; i++) {
        t->j[i].out = out[i];
        if (out[i].kind == VERDICT_NONE)
            judge_request(r, i, s, t, k && party_has(k, &s->src) ? k : NULL);
        if (k && m->method == SIP_INVITE && !k->j[i].judged && t->j[i].o.kind) {
            k->j[i].judged = true;
            k->j[i].aor = t->j[i].o.aor;
            k->j[i].number = t->j[i].o.number;
            k->j[i].zone = t->j[i].o.zone;
        }
    }
    if (!t->pending && r->o.n == 2)
        judge_diff(r, &s->src, t->method, t->j[0].out, t->j[1].out);
}

static void request(struct replay *r, const struct seen *s, struct outcome out[REPLAY_JUDGES])
{
    const struct sip_msg *m = &r->m;
    uint64_t id[2];
    struct call *k = call_find(r, sip_text(m, m->call_id), id);
    if (!k && m->method == SIP_INVITE)
        k = call_new(r, s, id);
    /* Who takes part is known before this message adds to it. */
    if (k && m->method == SIP_INVITE && !m->to_tag.len && !k->answer_us)
        party_add(k, &s->src);
    request_known(r, s, k, out);
    if (k)
        call_request(r, k, s, true);
}

static void response(struct replay *r, const struct seen *s, struct outcome out[REPLAY_JUDGES])
{
    const struct sip_msg *m = &r->m;
    uint64_t id[2];
    trans_id(r, m, id);
    bool stale = m->code == 401 || m->code == 407 ? challenge(r, m, &s->dst) : false;
    struct trans *t = trans_find(r, id);
    r->n.stray += t == NULL;
    for (unsigned i = 0; i < r->o.n; i++)
        if (out[i].kind == VERDICT_NONE)
            judge_response(r, i, s, t);
    if (t && m->code > 100 && !t->done) {
        t->done = m->code >= 200;
        answered(r, t, m->code, stale);
    }
    struct call *k = call_find(r, sip_text(m, m->call_id), id);
    if (k)
        call_response(r, k, s, true);
}

/* What we refuse may be a call all the same to those who took it. */
static void call_malformed(struct replay *r, const struct seen *s)
{
    const struct sip_msg *m = &r->m;
    uint64_t id[2];
    if (!m->call_id.len || !m->from_uri.len || !sip_has(m, HDR_CSEQ))
        return;
    struct call *k = call_find(r, sip_text(m, m->call_id), id);
    if (!k && m->is_request && m->method == SIP_INVITE)
        k = call_new(r, s, id);
    if (k && m->is_request)
        call_request(r, k, s, false);
    else if (k)
        call_response(r, k, s, false);
}

void sip_seen(struct replay *r, const struct seen *s)
{
    struct sip_error why;
    struct outcome out[REPLAY_JUDGES] = {{0}};
    doors(r, s, out);
    enum err e = sip_parse(s->bytes, s->stream, &r->m, &why);
    const struct sip_msg *m = &r->m;
    if (why.reason == REASON_sip_empty)
        return;
    r->n.sip++;
    if (m->is_request)
        r->n.requests[m->method]++;
    else if (m->code >= 100 && m->code < 700)
        r->n.responses[m->code]++;
    if (e != OK && s->cut) {
        r->n.sip_cut++;
        return;
    }
    if (e != OK) {
        malformed(r, s, why.reason, out);
        call_malformed(r, s);
        return;
    }
    if (m->is_request)
        request(r, s, out);
    else
        response(r, s, out);
}
