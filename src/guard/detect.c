/* What every detector looks at, what it measures, and from where on it fires. */
#include "guard/guard_int.h"

#define M(method) (1u << SIP_##method)
#define STRANGER  (OBS_PEER | OBS_USER)
#define REQ       K(OBS_REQUEST)
#define BELOW     K(OBS_BELOW)
#define HOUR      3600u

/* The answer that any phone gets to the first request after it or we started anew. */
static bool challenged(const struct obs *o)
{
    return (o->reason == REASON_auth_required || o->reason == REASON_auth_stale ||
            o->reason == REASON_auth_nonce_forged) &&
           !(o->flags & OBS_MISSING);
}

bool obs_guess(const struct obs *o)
{
    switch (o->reason) {
    case REASON_auth_required:
    case REASON_auth_stale:
    case REASON_auth_nonce_forged:
    case REASON_auth_unavailable:
        return false;
    case REASON_auth_failed:
    case REASON_auth_algorithm:
    case REASON_auth_syntax:
    case REASON_auth_limited:
    case REASON_auth_replay:
        return true;
    default:
        return (o->flags & OBS_GUESS) != 0;
    }
}

static bool sweep(const struct obs *o)
{
    if (o->flags & OBS_MISSING || o->method == SIP_OPTIONS)
        return true;
    switch (o->reason) {
    case REASON_auth_required:
    case REASON_auth_stale:
    case REASON_auth_nonce_forged:
    case REASON_zone_unknown_source:
    case REASON_shield_access:
    case REASON_shield_silent:
    case REASON_right_no_route:
    case REASON_right_denied:
    case REASON_right_service:
    case REASON_route_user_unknown:
    case REASON_sip_method_unknown:
    case REASON_sip_method_not_allowed:
    case REASON_sip_uri_scheme:
    case REASON_reg_domain:
        return true;
    default:
        return false;
    }
}

/* Without the first requests of phones, of which a restart brings thousands. */
static bool sweep_odd(const struct obs *o)
{
    bool phone = o->method == SIP_REGISTER || o->method == SIP_SUBSCRIBE ||
                 o->method == SIP_PUBLISH || o->method == SIP_MESSAGE || o->method == SIP_INVITE;
    return sweep(o) && !(phone && challenged(o));
}

static bool strange_call(const struct obs *o)
{
    switch (o->reason) {
    case REASON_sip_no_dialog:
    case REASON_sip_no_transaction:
    case REASON_sip_token_forged:
    case REASON_replaces_unknown:
    case REASON_replaces_denied:
        return true;
    default:
        return false;
    }
}

static bool asks_credentials(const struct obs *o)
{
    return (o->code == 401 || o->code == 407) && o->reason != REASON_sip_response_stray;
}

static bool bad_sdp(const struct obs *o)
{
    return o->reason == REASON_sdp_syntax || o->reason == REASON_sdp_limit ||
           o->reason == REASON_sip_body_syntax || o->reason == REASON_media_answer_bad;
}

static bool bad_grammar(const struct obs *o)
{
    switch (o->reason) {
    case REASON_stream_framing:
    case REASON_stream_pings:
    case REASON_tls_handshake:
    case REASON_tls_renegotiation:
    case REASON_sip_response_stray:
    case REASON_auth_syntax:
        return true;
    default:
        return o->reason && o->reason <= REASON_sdp_limit && !bad_sdp(o);
    }
}

static bool over_limit(const struct obs *o)
{
    return o->reason == REASON_shield_rate || o->reason == REASON_rate_source ||
           o->reason == REASON_rate_connections || o->reason == REASON_capacity_connections_source;
}

static bool injected(const struct obs *o)
{
    return o->reason == REASON_rtp_source || o->reason == REASON_rtp_auth ||
           o->reason == REASON_rtp_ssrc_limit || o->reason == REASON_rtp_malformed;
}

static bool rtp_rate(const struct obs *o)
{
    return o->reason == REASON_rtp_rate;
}

static bool no_session(const struct obs *o)
{
    return o->reason == REASON_rtp_no_session;
}

/* The caller hung up; who is told that the called side is busy or gone has rung nobody. */
static bool gave_up_at_once(const struct obs *o)
{
    return o->seconds < 5 && o->code == 487;
}

/* It was let through, or failed for want of a phone, a way or room; what gates refuse rings nobody.
 */
static bool new_call(const struct obs *o)
{
    return o->reason == REASON_NONE ||
           (o->reason >= REASON_capacity_calls && o->reason <= REASON_capacity_subscriptions);
}

static bool over_user(const struct obs *o)
{
    return o->reason == REASON_shield_rate_user;
}

/* Thresholds lie well above what honest people do (the twins of detect_test.c, the benign rows of
 * docs/detection.md). known multiplies them for whoever is registered; 0: he is not judged by it.
 */
const struct guard_row guard_rows[] = {
    {.detector = DET_scan,
     .entity = ENTITY_SOURCE,
     .measure = M_SWEEP,
     .index = 0,
     .kinds = REQ,
     .methods = (uint16_t) ~(M(ACK) | M(BYE) | M(CANCEL) | M(PRACK)),
     .none = STRANGER | OBS_IN_DIALOG | OBS_GUESS,
     .fits = sweep,
     .threshold = 15,
     .window_s = 60,
     .weight = 60},
    {.detector = DET_scan_slow,
     .entity = ENTITY_SOURCE,
     .measure = M_TARGETS,
     .index = SET_SLOW,
     .kinds = REQ,
     .methods = (uint16_t) ~(M(ACK) | M(BYE) | M(CANCEL) | M(PRACK)),
     .none = STRANGER | OBS_IN_DIALOG | OBS_GUESS,
     .fits = sweep_odd,
     .threshold = 16,
     .window_s = 6 * HOUR,
     .weight = 100},
    {.detector = DET_scan_wide,
     .entity = ENTITY_ALL,
     .measure = M_SOURCES,
     .index = BIG_SCAN,
     .kinds = REQ,
     .methods = (uint16_t) ~(M(ACK) | M(BYE) | M(CANCEL) | M(PRACK)),
     .none = STRANGER | OBS_IN_DIALOG | OBS_GUESS,
     .fits = sweep_odd,
     .threshold = 50,
     .window_s = 300,
     .weight = 100},
    {.detector = DET_scan_wide,
     .second = true,
     .entity = ENTITY_ALL,
     .local = true,
     .measure = M_MUTE,
     .index = BIG_MUTE,
     .kinds = REQ,
     .none = STRANGER | OBS_IN_DIALOG | OBS_GUESS | OBS_PROVEN,
     .fits = challenged,
     .threshold = 50,
     .window_s = 60,
     .weight = 100},
    {.detector = DET_enumeration,
     .entity = ENTITY_SOURCE,
     .measure = M_NAMES,
     .known = 4,
     .index = SET_NAMES,
     .kinds = REQ,
     .need = OBS_MISSING,
     .none = OBS_PEER | OBS_IN_DIALOG,
     .threshold = 10,
     .window_s = 600,
     .weight = 100},
    {.detector = DET_enumeration_wide,
     .entity = ENTITY_ALL,
     .measure = M_SOURCES,
     .index = BIG_NAMES,
     .kinds = REQ,
     .need = OBS_MISSING,
     .none = STRANGER | OBS_IN_DIALOG,
     .threshold = 25,
     .window_s = 600,
     .weight = 100},
    {.detector = DET_guess_source,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .index = 1,
     .kinds = REQ,
     .none = STRANGER,
     .fits = obs_guess,
     .threshold = 8,
     .window_s = 120,
     .weight = 100},
    {.detector = DET_guess_user,
     .entity = ENTITY_AOR,
     .measure = M_OWN,
     .known = 1,
     .index = 0,
     .treat = TREAT_BAN,
     .kinds = REQ,
     .none = STRANGER,
     .fits = obs_guess,
     .threshold = 8,
     .window_s = 2 * HOUR},
    {.detector = DET_guess_many,
     .entity = ENTITY_SOURCE,
     .measure = M_AORS,
     .known = 1,
     .index = SET_MANY,
     .kinds = REQ,
     .none = STRANGER,
     .fits = obs_guess,
     .threshold = 6,
     .window_s = 24 * HOUR,
     .weight = 100},
    {.detector = DET_guess_wide,
     .entity = ENTITY_ALL,
     .measure = M_SOURCES,
     .index = BIG_GUESS,
     .kinds = REQ,
     .none = STRANGER,
     .fits = obs_guess,
     .threshold = 30,
     .window_s = 600,
     .weight = 100},
    {.detector = DET_flood_register,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .local = true,
     .known = 10,
     .index = 2,
     .kinds = REQ,
     .methods = M(REGISTER),
     .none = OBS_PEER,
     .threshold = 300,
     .window_s = 10,
     .weight = 60},
    {.detector = DET_flood_invite,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .local = true,
     .known = 10,
     .index = 3,
     .kinds = REQ,
     .methods = M(INVITE),
     .none = OBS_PEER,
     .threshold = 100,
     .window_s = 10,
     .weight = 60},
    {.detector = DET_flood_options,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .local = true,
     .known = 10,
     .index = 4,
     .kinds = REQ,
     .methods = M(OPTIONS),
     .none = OBS_PEER,
     .threshold = 100,
     .window_s = 10,
     .weight = 60},
    {.detector = DET_flood_other,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .local = true,
     .known = 10,
     .index = 5,
     .kinds = REQ,
     .methods = (uint16_t) ~(M(REGISTER) | M(INVITE) | M(OPTIONS)),
     .none = OBS_PEER,
     .threshold = 200,
     .window_s = 10,
     .weight = 60},
    {.detector = DET_flood_other,
     .second = true,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .local = true,
     .known = 10,
     .index = 6,
     .kinds = BELOW,
     .none = OBS_PEER,
     .fits = over_limit,
     .threshold = 500,
     .window_s = 10,
     .weight = 60},
    {.detector = DET_hijack,
     .entity = ENTITY_AOR,
     .measure = M_OWN,
     .known = 1,
     .treat = TREAT_CHALLENGE,
     .kinds = K(OBS_REGISTERED),
     .threshold = 1,
     .window_s = HOUR,
     .weight = 40},
    {.detector = DET_teardown,
     .entity = ENTITY_SOURCE,
     .measure = M_HOSTILE,
     .known = 10,
     .index = 7,
     .kinds = REQ,
     .none = OBS_PEER,
     .fits = strange_call,
     .threshold = 100,
     .window_s = 120,
     .weight = 60},
    {.detector = DET_teardown,
     .second = true,
     .entity = ENTITY_SOURCE,
     .measure = M_HOSTILE,
     .index = 16,
     .kinds = REQ,
     .none = OBS_PEER,
     .fits = strange_call,
     .threshold = 300,
     .window_s = 6 * HOUR,
     .weight = 80},
    {.detector = DET_digest_leak,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .known = 3,
     .index = 8,
     .kinds = K(OBS_RESPONSE),
     .none = OBS_PEER,
     .fits = asks_credentials,
     .threshold = 1,
     .window_s = HOUR,
     .weight = 40},
    {.detector = DET_sdp,
     .entity = ENTITY_SOURCE,
     .measure = M_HOSTILE,
     .known = 10,
     .index = 9,
     .kinds = REQ | K(OBS_RESPONSE),
     .none = OBS_PEER,
     .fits = bad_sdp,
     .threshold = 60,
     .window_s = 600,
     .weight = 60},
    {.detector = DET_wangiri,
     .entity = ENTITY_AOR,
     .measure = M_NUMBERS,
     .known = 1,
     .index = SET_SHORT,
     .kinds = K(OBS_CALL),
     .none = OBS_ANSWERED,
     .fits = gave_up_at_once,
     .threshold = 15,
     .window_s = HOUR,
     .weight = 80},
    {.detector = DET_robocall,
     .entity = ENTITY_AOR,
     .measure = M_NUMBERS,
     .known = 1,
     .index = SET_FANOUT,
     .kinds = K(OBS_CALL),
     .threshold = 40,
     .window_s = HOUR,
     .weight = 80},
    {.detector = DET_tdos,
     .entity = ENTITY_NUMBER,
     .measure = M_CALLERS,
     .known = 1,
     .index = SET_CALLERS,
     .kinds = REQ,
     .methods = M(INVITE),
     .none = OBS_IN_DIALOG | OBS_MISSING,
     .fits = new_call,
     .threshold = 40,
     .window_s = 60,
     .weight = 40},
    {.detector = DET_tdos,
     .second = true,
     .entity = ENTITY_NUMBER,
     .measure = M_COUNT,
     .known = 1,
     .index = 0,
     .kinds = REQ,
     .methods = M(INVITE),
     .none = OBS_IN_DIALOG | OBS_MISSING,
     .fits = new_call,
     .threshold = 120,
     .window_s = 60,
     .weight = 40},
    {.detector = DET_rtp_inject,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .known = 1,
     .index = 10,
     .kinds = BELOW,
     .none = OBS_PEER,
     .fits = injected,
     .threshold = 100,
     .window_s = 10,
     .weight = 60},
    {.detector = DET_rtp_inject,
     .second = true,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .known = 4,
     .index = 18,
     .kinds = BELOW,
     .none = OBS_PEER,
     .fits = injected,
     .threshold = 60,
     .window_s = 300,
     .weight = 60},
    {.detector = DET_rtp_flood,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .known = 1,
     .index = 11,
     .kinds = BELOW,
     .none = OBS_PEER,
     .fits = rtp_rate,
     .threshold = 500,
     .window_s = 10,
     .weight = 60},
    {.detector = DET_media_stray,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .known = 10,
     .index = 12,
     .kinds = BELOW,
     .none = OBS_PEER,
     .fits = no_session,
     .threshold = 500,
     .window_s = 10,
     .weight = 40},
    {.detector = DET_media_stray,
     .second = true,
     .entity = ENTITY_SOURCE,
     .measure = M_COUNT,
     .known = 10,
     .index = 19,
     .kinds = BELOW,
     .none = OBS_PEER,
     .fits = no_session,
     .threshold = 600,
     .window_s = 120,
     .weight = 60},
    {.detector = DET_malformed,
     .entity = ENTITY_SOURCE,
     .measure = M_HOSTILE,
     .known = 10,
     .index = 13,
     .kinds = REQ | BELOW | K(OBS_RESPONSE),
     .none = OBS_PEER,
     .fits = bad_grammar,
     .threshold = 200,
     .window_s = 600,
     .weight = 60},
    {.detector = DET_malformed,
     .second = true,
     .entity = ENTITY_SOURCE,
     .measure = M_HOSTILE,
     .index = 17,
     .kinds = REQ | BELOW | K(OBS_RESPONSE),
     .none = OBS_PEER,
     .fits = bad_grammar,
     .threshold = 400,
     .window_s = 6 * HOUR,
     .weight = 80},
    {.detector = DET_decoy,
     .entity = ENTITY_SOURCE,
     .measure = M_EACH,
     .known = 1,
     .pair = true,
     .kinds = REQ,
     .need = OBS_DECOY,
     .none = OBS_PEER,
     .threshold = 1,
     .window_s = 600,
     .weight = 100},
    {.detector = DET_rule,
     .entity = ENTITY_SOURCE,
     .measure = M_EACH,
     .known = 1,
     .pair = true,
     .kinds = K(OBS_RULE),
     .none = OBS_PEER,
     .threshold = 1,
     .window_s = 600},
    {.detector = DET_feed,
     .entity = ENTITY_SOURCE,
     .measure = M_ONCE,
     .known = 1,
     .index = 14,
     .kinds = K(OBS_FEED),
     .none = OBS_PEER,
     .threshold = 1,
     .window_s = 600},
    /* Of devices: below what an office bears, above what one phone or an adapter of eight lines
     * does by mistake. */
    {.detector = DET_device_names,
     .entity = ENTITY_DEVICE,
     .measure = M_NAMES,
     .known = 2,
     .index = SET_TRIED,
     .kinds = REQ,
     .need = OBS_MISSING,
     .none = OBS_PEER | OBS_IN_DIALOG,
     .threshold = 10,
     .window_s = 600,
     .weight = 100},
    {.detector = DET_device_guess,
     .entity = ENTITY_DEVICE,
     .measure = M_COUNT,
     .known = 1,
     .index = 0,
     .kinds = REQ,
     .none = STRANGER,
     .fits = obs_guess,
     .threshold = 16,
     .window_s = 120,
     .weight = 100},
    {.detector = DET_device_guess,
     .second = true,
     .entity = ENTITY_DEVICE,
     .measure = M_AORS,
     .known = 1,
     .index = SET_GUESSED,
     .kinds = REQ,
     .none = STRANGER,
     .fits = obs_guess,
     .threshold = 12,
     .window_s = 24 * HOUR,
     .weight = 100},
    {.detector = DET_device_flood,
     .entity = ENTITY_DEVICE,
     .measure = M_COUNT,
     .known = 1,
     .index = 1,
     .kinds = REQ,
     .none = OBS_PEER,
     .fits = over_user,
     .threshold = 300,
     .window_s = 60,
     .weight = 60},
    /* dtls_race has no row: media has no DTLS yet, so nothing can be observed. */
};
const unsigned guard_rows_n = ARRAY_LEN(guard_rows);
_Static_assert(ARRAY_LEN(guard_rows) <= GUARD_ROWS_MAX, "slot.firing has a bit for each");
_Static_assert(DET_COUNT <= 32, "explain.c tells each once, by a bit");
