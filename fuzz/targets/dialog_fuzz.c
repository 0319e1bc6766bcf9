/* Messages, separated by a zero byte, make and change the two dialogs of a call; after each the
 * requests that we would send in them must be messages that our own parser reads back with the
 * dialog's identifiers. The values of session timer, 100rel and offer/answer are driven along. */
#include "sip/dialog.h"
#include "sip/offer.h"
#include "sip/rel.h"
#include "sip/stimer.h"

struct sides {
    struct dialog uas, uac;
    bool have_uas, have_uac;
    struct stimer timer;
    struct rel_uas rel_uas;
    struct rel_uac rel_uac;
    struct offer offer;
};
static ALIGNED(16) char memory[1 << 18];
static char made[1 << 17];

static void request_is_readable(struct dialog *d)
{
    static struct sip_msg m;
    struct sip_error error;
    struct out o = out_of(made, sizeof made);
    dialog_request(d, &o, STR("BYE"), 0, STR("UDP"), STR("192.0.2.100:5060"), STR("z9hG4bKq"));
    sip_end(&o, STR_NONE, STR_NONE);
    CHECK(!o.full);
    if (o.n > SIP_MSG_MAX)
        return;
    enum err e = sip_parse(out_str(&o), true, &m, &error);
    CHECK(e == OK);
    CHECK(str_eq(sip_text(&m, m.call_id), d->call_id));
    CHECK(str_eq(sip_text(&m, m.from_tag), d->local_tag));
    CHECK(str_eq(sip_text(&m, m.to_tag), d->remote_tag));
    CHECK(m.cseq == d->local_cseq && m.method == SIP_BYE);
    struct str hop = dialog_next_hop(d);
    struct sip_uri u;
    CHECK(sip_uri_parse(hop, &u) == OK);
}

static void values(struct sides *s, const struct sip_msg *m)
{
    uint32_t rseq;
    bool fresh;
    struct instant now = {0};
    char buf[512];
    struct out o = out_of(buf, sizeof buf);
    if (m->is_request) {
        if (stimer_request_in(&s->timer, m) == REASON_NONE)
            CHECK(s->timer.interval_s == 0 || s->timer.interval_s >= STIMER_MIN_S);
        (void)rel_uas_prack(&s->rel_uas, m, &fresh);
        (void)offer_in(&s->offer, (enum offer_place)(m->cseq % OFFER_PLACES));
    } else {
        stimer_response_in(&s->timer, m);
        if (rel_uac_in(&s->rel_uac, m, &rseq) == REL_NEW)
            rel_rack_put(&o, rseq, m->cseq);
        (void)offer_out(&s->offer, (enum offer_place)(m->cseq % OFFER_PLACES));
    }
    stimer_response_put(&s->timer, &o);
    stimer_request_put(&s->timer, &o);
    CHECK(!o.full);
    CHECK(instant_before(now, stimer_due(&s->timer, now)));
    CHECK(s->offer.state < OFFER_STATES);
}

static void message(struct sides *s, struct arena *a, const struct sip_msg *m)
{
    enum err e;
    if (!m->is_request) {
        e = s->have_uac ? dialog_response(&s->uac, a, m) : ERR_STATE;
    } else if (!s->have_uas) {
        e = dialog_uas(&s->uas, a, m, STR("own-tag"));
        s->have_uas = e == OK;
    } else {
        e = dialog_target(&s->uas, a, m);
        (void)dialog_cseq(&s->uas, m);
    }
    (void)e;
    values(s, m);
    if (s->have_uas)
        request_is_readable(&s->uas);
    if (s->have_uac)
        request_is_readable(&s->uac);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sip_msg m;
    struct sip_error error;
    struct arena a;
    struct sides s = {.timer = {.interval_s = STIMER_DEFAULT_S}};
    arena_init_fixed(&a, memory, sizeof memory);
    s.have_uac =
        dialog_uac(&s.uac, &a, STR("own-call"), STR("own-tag"), STR("\"O\" <sip:own@example.net>"),
                   STR("<sip:bob@example.com>"), STR("sip:bob@example.com")) == OK;
    rel_uas_init(&s.rel_uas, 1, 1);
    struct str rest = str_of((const char *)data, size);
    for (unsigned n = 0; n < 8 && rest.n > 0; n++) {
        size_t len = MIN(str_find(rest, '\0'), (size_t)SIP_MSG_MAX);
        if (sip_parse(str_head(rest, len), false, &m, &error) == OK)
            message(&s, &a, &m);
        rest = str_skip(rest, len + 1);
    }
    return 0;
}
