/* One-time codes by telephone: a call that Ringwall answers itself, to approve a device or to let a
 * risky call out. Two beeps ask, a low tone says no, a rising one yes. Digits are kept from the
 * first to the last, which asks the vault, and are wiped there. */
#include "call/core_int.h"
#include "call/gate.h"
#include "identity/device.h"
#include "media/voice.h"
#include "wire/sdp/sdp.h"

#define CODE_DIGITS 6u
#define TRIES       3u
#define ASK_S       30
#define BYE_MS      900 /* the last tone is heard before the end */
#define NO_PT       0xff
#define PUBLISH_S   10 /* the vault has told of a country by then */

enum step_state {
    STEP_ASKS,
    STEP_WAITS, /* for the vault */
    STEP_CALLS, /* the call goes on to whom it dialled */
    STEP_ENDS,
};
struct step {
    struct arena arena; /* holds this struct too */
    struct request r;
    uint8_t state, tries, n;
    bool service;
    enum reason why; /* ENDS */
    uint32_t policies;
    char digits[CODE_DIGITS];
};

static const struct voice_note ask_tones[] = {{0, 200}, {880, 150}, {0, 100}, {880, 150}};
static const struct voice_note no_tones[] = {
    {220, 500}, {0, 200}, {880, 150}, {0, 100}, {880, 150}};
static const struct voice_note end_tones[] = {{220, 800}};
static const struct voice_note yes_tones[] = {{660, 120}, {880, 120}, {1100, 200}};
static const struct voice_note ring_tones[] = {{660, 120},  {880, 120}, {1100, 200}, {0, 300},
                                               {425, 1000}, {0, 4000},  {425, 1000}, {0, 4000}};
#define SAY(k, notes) media_voice_say((k)->a->media, notes, ARRAY_LEN(notes))

/* --- the description: one codec that tones can be made in --- */

static uint8_t payload_of(struct str line, struct str *ret_rest)
{
    struct str number;
    uint32_t pt;
    *ret_rest = str_cut(line, ' ', &number);
    return str_u32(number, 127, &pt) == OK ? (uint8_t)pt : NO_PT;
}

/* The payload type of telephone-event among the lines of one m-line. */
static uint8_t event_type(struct str lines)
{
    struct str line, rest;
    while (lines.n) {
        lines = str_cut(lines, '\n', &line);
        line = str_trim(line);
        if (str_starts(line, STR("m=")))
            break;
        if (!str_starts(line, STR("a=rtpmap:")))
            continue;
        uint8_t pt = payload_of(str_skip(line, 9), &rest);
        if (pt != NO_PT && str_ieq(str_head(rest, 20), STR("telephone-event/8000")))
            return pt;
    }
    return NO_PT;
}

/* An audio line of which G.711 and events stay. false: there is no G.711. */
static bool audio_put(struct str line, uint8_t event, struct out *o, uint8_t *ret_g711)
{
    struct str word, rest = line;
    *ret_g711 = NO_PT;
    for (unsigned i = 0; i < 3; i++) {
        rest = str_cut(rest, ' ', &word);
        out_put(o, word);
        out_ch(o, ' ');
    }
    while (rest.n && *ret_g711 == NO_PT) {
        uint8_t pt = payload_of(str_trim(rest), &rest);
        if (pt == 0 || pt == 8)
            *ret_g711 = pt;
    }
    out_u64(o, *ret_g711);
    if (event != NO_PT) {
        out_ch(o, ' ');
        out_u64(o, event);
    }
    OUT_LIT(o, "\r\n");
    return *ret_g711 != NO_PT;
}

static void line_off(struct str line, struct out *o)
{
    struct str kind, port, rest = str_cut(str_cut(line, ' ', &kind), ' ', &port);
    out_put(o, kind);
    OUT_LIT(o, " 0 ");
    out_put(o, str_trim(rest));
    OUT_LIT(o, "\r\n");
}

static bool of_format(struct str line, uint8_t g711, uint8_t event)
{
    struct str rest;
    bool map = str_starts(line, STR("a=rtpmap:")), fmtp = str_starts(line, STR("a=fmtp:"));
    if (!map && !fmtp)
        return true;
    uint8_t pt = payload_of(str_skip(line, map ? 9 : 7), &rest);
    return pt == g711 || pt == event;
}

static bool audio_offered(struct str line)
{
    struct str port, rest = str_cut(str_skip(line, 8), ' ', &port);
    return str_starts(line, STR("m=audio ")) && rest.n && !str_eq(port, STR("0"));
}

bool stepup_reduce(struct str sdp, struct out *o, uint8_t *ret_event)
{
    struct str line, rest = sdp;
    uint8_t g711 = NO_PT;
    enum { HEAD, AUDIO, OTHER } where = HEAD;
    *ret_event = NO_PT;
    while (rest.n) {
        rest = str_cut(rest, '\n', &line);
        line = str_trim(line);
        bool media = str_starts(line, STR("m="));
        if (media && g711 == NO_PT && audio_offered(line)) {
            where = AUDIO;
            *ret_event = event_type(rest);
            if (!audio_put(line, *ret_event, o, &g711))
                return false;
        } else if (media) {
            where = OTHER;
            line_off(line, o);
        } else if (line.n &&
                   (where == HEAD || (where == AUDIO && of_format(line, g711, *ret_event)))) {
            out_put(o, line);
            OUT_LIT(o, "\r\n");
        }
    }
    return g711 != NO_PT && !o->full;
}

/* The INVITE as if it had offered that alone: whoever is called afterwards has the same choice. */
static enum reason reduce(struct core *c, struct held *h, uint8_t *ret_event)
{
    enum reason why = REASON_NONE;
    struct str sdp = sdp_of(h->m, &why), body = sip_text(h->m, h->m->body);
    struct out o = out_of(c->sdp, sizeof c->sdp);
    if (!sdp.n || sdp.p != body.p || sdp.n != body.n)
        return why != REASON_NONE ? why : REASON_media_not_acceptable;
    if (!stepup_reduce(sdp, &o, ret_event) || o.n > sdp.n)
        return REASON_media_not_acceptable;
    char *bytes = arena_take(&h->arena, h->m->body.off + o.n);
    if (!bytes)
        return REASON_capacity_memory;
    memcpy(bytes, h->m->bytes.p, h->m->body.off);
    memcpy(bytes + h->m->body.off, o.p, o.n);
    h->m->body.len = (uint16_t)o.n;
    h->m->bytes = str_of(bytes, h->m->body.off + o.n);
    return REASON_NONE;
}

/* --- what was proved lately --- */

static uint64_t like(const struct core *c, const struct request *r)
{
    char text[REQUEST_USER_MAX + 16];
    struct out o = out_of(text, sizeof text);
    out_put(&o, str_of(r->user, r->user_n));
    out_ch(&o, ' ');
    out_u64(&o, r->number_to.country);
    out_ch(&o, ' ');
    out_u64(&o, r->number_to.kind);
    return siphash(&c->cfg.hash_key, out_str(&o)) | 1;
}

static struct stepped *slot_of(struct core *c, uint64_t key)
{
    return &c->stepped[(key >> 1) % STEPPED_MAX];
}

static bool proved_lately(struct core *c, const struct request *r)
{
    uint64_t key = like(c, r);
    const struct stepped *s = slot_of(c, key);
    int64_t until = r->first_country ? MIN(s->until_us, s->at_us + PUBLISH_S * INT64_C(1000000))
                                     : s->until_us; /* it may have been forgotten since */
    return s->key == key && s->device == r->device_id && c->now.mono.us < until;
}

static void remember(struct core *c, const struct request *r)
{
    uint64_t key = like(c, r);
    *slot_of(c, key) = (struct stepped){key, r->device_id, c->now.mono.us,
                                        c->now.mono.us + c->policy->step_up_s * INT64_C(1000000)};
}

/* The gates once more, from the identity that was proved: the code is now given. */
static struct verdict again(struct core *c, struct request *r)
{
    const struct answer yes = {.kind = ASK_VERIFY, .reason = REASON_NONE};
    c->env.calls_used = c->calls.used;
    c->env.trans_used = trans_used(c->trans);
    r->stepped_up = true;
    r->now = c->now;
    struct verdict v = gates_resume(&c->env, r, &yes);
    if (v.kind == VERDICT_STEP_UP || v.kind == VERDICT_WAIT)
        v = (struct verdict){VERDICT_REFUSE, v.gate, REASON_right_denied, 403};
    return v;
}

/* --- the call --- */

static void wait_until(struct call *k, int64_t ms)
{
    k->limit = instant_add(k->core->now.mono, DUR_MS(ms));
    timer_arm(&k->core->wheel, &k->timer, k->limit);
}

static void finish(struct call *k, enum reason why)
{
    struct step *s = k->step;
    s->state = STEP_ENDS;
    s->why = why;
    wait_until(k, BYE_MS);
}

static enum reason answer(struct call *k, struct incoming *in, uint8_t event)
{
    struct core *c = k->core;
    struct leg *a = k->a;
    enum reason why = call_begin(k, in);
    struct out o = out_of(c->sdp2, sizeof c->sdp2);
    if (why == REASON_NONE)
        why = media_answer_out(c->media, a->media, sdp_of(a->held->m, &why), c->now.mono, &o);
    if (why != REASON_NONE)
        return why;
    a->held->answer = arena_str(&a->held->arena, out_str(&o));
    if (!a->held->answer.p)
        return REASON_capacity_memory;
    media_voice_on(c->media, a->media, handle_pack(leg_handle(a)), event);
    leg_answer(a, a->held->answer);
    wait_until(k, ASK_S * 1000);
    SAY(k, ask_tones);
    return REASON_NONE;
}

static enum reason open_call(struct core *c, struct incoming *in, bool service, bool waited)
{
    uint8_t event;
    enum reason why = reduce(c, in->held, &event);
    if (why != REASON_NONE)
        return why;
    if (event == NO_PT)
        return REASON_media_not_acceptable; /* no way to say a code */
    in->m = in->r->m = in->held->m;
    struct call *k = call_open(c, in);
    if (!k)
        return REASON_capacity_calls;
    if (!waited)
        reply(c, in->m, &in->r->flow, in->t, 100, STR_NONE);
    trans_set_user(c->trans, in->t, USER(USER_LEG, leg_handle(k->a)));
    struct arena mem;
    arena_init_blocks(&mem, &c->large, LARGE_BLOCK);
    struct step *s = arena_take_zero(&mem, sizeof *s);
    if (!s) {
        call_end(k, REASON_capacity_memory, 503, 'g');
        return REASON_NONE;
    }
    s->arena = mem;
    s->r = *in->r;
    s->service = service;
    s->policies = c->policies;
    k->step = s;
    why = answer(k, in, event);
    if (why != REASON_NONE) {
        core_count(c, why);
        call_end(k, why, reason_info(why)->code, 'g');
    }
    return REASON_NONE;
}

void stepup_begin(struct core *c, struct incoming *in)
{
    bool waited = in->held != NULL, service = in->r->next == GATE_IDENTITY;
    if (service)
        stepup_device(c, in->r);
    if (!service && proved_lately(c, in->r)) {
        struct verdict v = again(c, in->r);
        verdict_apply(c, in, &v);
        return;
    }
    if (!handle_is(in->t))
        in->t = trans_server(c->trans, in->m, &in->r->flow, 0, c->now.mono);
    enum err e = handle_is(in->t) ? incoming_hold(c, in) : ERR_FULL;
    enum reason why = e == OK          ? REASON_NONE
                      : e == ERR_LIMIT ? REASON_sip_too_large
                                       : REASON_capacity_memory;
    if (why == REASON_NONE)
        why = open_call(c, in, service, waited);
    if (why != REASON_NONE)
        reply_reason(c, in, why);
}

void stepup_acked(struct leg *a)
{
    timer_stop(&a->call->core->wheel, &a->resend);
    a->state = LEG_UP;
    a->held->again_code = 299; /* it stays for whom the call is let out to */
}

/* --- digits --- */

static void ask(struct call *k)
{
    struct step *s = k->step;
    struct core *c = k->core;
    struct ask *q = &c->ask;
    char id[DEVICE_TEXT];
    memset(q, 0, offsetof(struct ask, text));
    q->kind = ASK_OTP;
    q->key = s->service ? 0 : s->r.first_country;
    device_text(s->r.device_id, id);
    bool fits = ask_add(q, k->user, &q->user) &&
                ask_add(q, str_of(s->digits, s->n), &q->response) &&
                ask_add(q, s->service ? str_c(id) : STR_NONE, &q->nonce);
    s->state = STEP_WAITS;
    enum reason why =
        fits ? pending_ask(c, q, FOR_CODE, leg_handle(k->a)) : REASON_auth_unavailable;
    mem_wipe(s->digits, sizeof s->digits);
    mem_wipe(q->text, q->n);
    s->n = 0;
    if (why == REASON_NONE)
        return;
    SAY(k, end_tones);
    finish(k, why);
}

static void press(struct call *k, char digit)
{
    struct step *s = k->step;
    if (!s || s->state != STEP_ASKS || digit == '#')
        return;
    if (digit == '*') {
        mem_wipe(s->digits, sizeof s->digits);
        s->n = 0;
        return;
    }
    s->digits[s->n++] = digit;
    if (s->n == CODE_DIGITS)
        ask(k);
}

void stepup_digits(struct core *c)
{
    struct media_digit d[MEDIA_DIGITS];
    size_t n = media_digits(c->media, d, MEDIA_DIGITS);
    for (size_t i = 0; i < n; i++) {
        struct leg *a = pool_get(&c->legs, handle_unpack(d[i].who));
        if (a && a == a->call->a)
            press(a->call, d[i].digit);
    }
    if (n)
        mem_wipe(d, sizeof d);
}

/* --- what the vault says --- */

static void let_out(struct call *k)
{
    struct core *c = k->core;
    struct step *s = k->step;
    uint32_t ring_s = c->policy->limits.ring_s;
    remember(c, &s->r);
    s->r.m = k->a->held->m;
    struct verdict v = {VERDICT_REFUSE, GATE_RIGHT, REASON_right_denied, 403};
    if (s->policies == c->policies)
        v = again(c, &s->r);
    enum reason why = v.kind == VERDICT_PASS ? REASON_NONE : v.reason;
    if (why == REASON_NONE) {
        s->state = STEP_CALLS;
        k->trace = s->r.trace;
        k->called = s->r.number_to;
        wait_until(k, (int64_t)(ring_s ? ring_s : 180) * 1000);
        SAY(k, ring_tones);
        why = fork_start(k, &s->r);
    }
    if (why == REASON_NONE)
        return;
    core_count(c, why);
    SAY(k, end_tones);
    finish(k, why);
}

static void wrong(struct call *k, enum reason why)
{
    struct step *s = k->step;
    core_count(k->core, why);
    if (why == REASON_auth_otp && ++s->tries < TRIES) {
        s->state = STEP_ASKS;
        SAY(k, no_tones);
        return;
    }
    if (why != REASON_auth_unavailable)
        shield_stray(k->core, k->a->held->m, &k->a->flow, REASON_auth_otp);
    SAY(k, end_tones);
    finish(k, why);
}

void stepup_answer(struct core *c, struct handle leg, const struct answer *a)
{
    struct leg *l = pool_get(&c->legs, leg);
    struct step *s = l && l == l->call->a ? l->call->step : NULL;
    if (!s || s->state != STEP_WAITS)
        return;
    if (a->reason != REASON_NONE) {
        wrong(l->call, (enum reason)a->reason);
    } else if (s->service) {
        SAY(l->call, yes_tones);
        finish(l->call, REASON_NONE);
    } else {
        let_out(l->call);
    }
}

/* B has answered, and A hears it. */
void stepup_joined(struct call *k)
{
    struct leg *a = k->a;
    media_voice_off(a->media);
    timer_stop(&k->core->wheel, &a->resend);
    held_free(&a->held);
    a->state = LEG_UP;
    k->state = CALL_UP;
    (void)stepup_end(k);
}

bool stepup_timer(struct call *k)
{
    struct step *s = k->step;
    if (!s || s->state == STEP_CALLS)
        return false;
    enum reason why = s->state == STEP_ENDS ? s->why : REASON_auth_otp_time;
    if (s->state != STEP_ENDS)
        core_count(k->core, why);
    call_end(k, why, why == REASON_NONE ? 200 : reason_info(why)->code, 'g');
    return true;
}

bool stepup_end(struct call *k)
{
    struct step *s = k->step;
    if (!s)
        return false;
    struct arena mem = s->arena; /* it lies in itself */
    mem_wipe(s->digits, sizeof s->digits);
    k->step = NULL;
    arena_reset(&mem);
    return true;
}

/* --- devices --- */

void stepup_device(struct core *c, const struct request *r)
{
    char id[DEVICE_TEXT];
    struct ask *q = &c->ask;
    struct str aor = str_of(r->user, r->user_n);
    uint64_t key = r->device_id ^ siphash(&c->cfg.hash_key, aor),
             *told = &c->devices_told[key % DEVICES_TOLD];
    if (!r->device_id || r->device_state || !r->device_by || *told == key)
        return;
    memset(q, 0, offsetof(struct ask, text));
    q->kind = ASK_DEVICE;
    q->alg = r->device_by;
    device_text(r->device_id, id);
    if (!ask_add(q, aor, &q->user) || !ask_add(q, str_c(id), &q->nonce) ||
        !ask_add(q, str_head(sip_get(r->m, HDR_USER_AGENT), 64), &q->realm))
        return;
    *told = key;
    core_ask(c, q);
}

static bool revoked(const struct core *c, struct str aor, uint64_t id)
{
    struct str user, host = str_cut(aor, '@', &user);
    const struct directory_user *u = directory_find(c->env.directory, user, host);
    return u && id && directory_device(c->env.directory, u, id) == DEVICE_REVOKED;
}

static bool leg_revoked(const struct core *c, const struct leg *l)
{
    const struct call *k = l->call;
    if (l->side == 'a')
        return revoked(c, k->user, k->device_id);
    return l->aor.n && revoked(c, l->aor, device_of_flow(&c->env, l->aor, &l->flow, c->now.wall));
}

void stepup_directory(struct core *c)
{
    struct leg *l;
    uint32_t it = 0;
    if (!c->env.directory || !c->env.directory->n_devices)
        return;
    while ((l = pool_next(&c->legs, &it))) {
        struct call *k = l->call;
        if (!k || k->emergency || !leg_revoked(c, l))
            continue;
        core_count(c, REASON_right_revoked);
        call_end(k, REASON_right_revoked, k->answer_us ? 200 : 403, 'g');
    }
}
