/* RFC 4028: section 7 (UAC), 9 (UAS), 10 (who refreshes and when a session has ended). */
#include "sip/stimer.h"

static uint32_t own_min(const struct stimer *s)
{
    return MAX(s->min_se_s, STIMER_MIN_S);
}

static bool supports(const struct sip_msg *m)
{
    return sip_list_has(m, HDR_SUPPORTED, STR("timer")) ||
           sip_list_has(m, HDR_REQUIRE, STR("timer"));
}

static uint32_t min_se(const struct sip_msg *m)
{
    uint32_t v;
    return sip_has(m, HDR_MIN_SE) && sip_seconds_parse(sip_get(m, HDR_MIN_SE), UINT32_MAX, &v) == OK
               ? v
               : 0;
}

static bool session_expires(const struct sip_msg *m, struct sip_session_expires *ret_e)
{
    return sip_has(m, HDR_SESSION_EXPIRES) &&
           sip_session_expires_parse(sip_get(m, HDR_SESSION_EXPIRES), ret_e) == OK;
}

/* A day: no peer's wish may outlive what a gateway still calls a call that is watched. */
#define INTERVAL_MAX_S 86400u

enum reason stimer_request_in(struct stimer *s, const struct sip_msg *m)
{
    struct sip_session_expires e;
    uint32_t peer_min = MIN(min_se(m), INTERVAL_MAX_S);
    s->peer_supports = supports(m);
    if (!session_expires(m, &e)) {
        if (s->interval_s)
            s->interval_s = MAX(s->interval_s, peer_min);
        s->we_refresh = s->interval_s != 0;
        return REASON_NONE;
    }
    /* Without support the 422 would not be understood: a proxy asked, and we refresh. */
    if (e.seconds < own_min(s) && s->peer_supports)
        return REASON_sip_session_interval;
    uint32_t wish = s->interval_s ? s->interval_s : INTERVAL_MAX_S;
    /* We may lower the interval, never below the request's Min-SE, and never raise it. */
    s->interval_s = MAX(MIN(e.seconds, MAX(wish, peer_min)), STIMER_MIN_S);
    s->min_se_s = MAX(own_min(s), peer_min);
    s->we_refresh = !s->peer_supports || e.refresher == 's';
    return REASON_NONE;
}

void stimer_response_put(const struct stimer *s, struct out *o)
{
    if (!s->interval_s)
        return;
    if (s->peer_supports)
        sip_put(o, HDR_REQUIRE, STR("timer"));
    sip_begin(o, HDR_SESSION_EXPIRES);
    out_u64(o, s->interval_s);
    out_put(o, s->we_refresh ? STR(";refresher=uas") : STR(";refresher=uac"));
    sip_eol(o);
}

void stimer_request_put(const struct stimer *s, struct out *o)
{
    if (!s->interval_s)
        return;
    sip_begin(o, HDR_SESSION_EXPIRES);
    out_u64(o, s->interval_s);
    /* In the first request neither is set: the UAS chooses. Later the roles are kept. */
    if (s->we_refresh)
        OUT_LIT(o, ";refresher=uac");
    else if (s->peer_supports)
        OUT_LIT(o, ";refresher=uas");
    sip_eol(o);
    sip_put_u32(o, HDR_MIN_SE, own_min(s));
}

void stimer_response_in(struct stimer *s, const struct sip_msg *m)
{
    struct sip_session_expires e;
    if (m->code == 422) {
        s->min_se_s = MAX(own_min(s), MIN(min_se(m), INTERVAL_MAX_S));
        s->interval_s = s->interval_s ? MAX(s->interval_s, s->min_se_s) : 0;
        return;
    }
    if (m->code < 200 || m->code > 299)
        return;
    s->peer_supports = supports(m);
    if (!session_expires(m, &e)) {
        /* The peer does not know timers: our refreshes still find out whether it lives. */
        s->we_refresh = s->interval_s != 0;
        return;
    }
    uint32_t asked = s->interval_s ? s->interval_s : INTERVAL_MAX_S;
    s->interval_s = MAX(MIN(e.seconds, asked), STIMER_MIN_S);
    s->we_refresh = e.refresher != 's';
    s->peer_supports |= !s->we_refresh;
}

struct instant stimer_due(const struct stimer *s, struct instant last_refresh)
{
    if (!s->interval_s)
        return INSTANT_NEVER;
    uint32_t after =
        s->we_refresh ? s->interval_s / 2 : s->interval_s - MIN(32u, s->interval_s / 3);
    return instant_add(last_refresh, DUR_S(after));
}
