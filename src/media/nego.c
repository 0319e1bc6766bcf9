/* Offer and answer (RFC 3264) of a leg: what comes in is judged and remembered, what goes out is
 * written; the answer puts both into force. */
#include "media/state.h"

static enum reason parse(struct str text, struct sdp *ret_sdp)
{
    enum err e = sdp_parse(text, ret_sdp);
    return e == OK ? REASON_NONE : e == ERR_LIMIT ? REASON_sdp_limit : REASON_sdp_syntax;
}

static void drop_pending(struct media *m, struct media_leg *l)
{
    for (unsigned i = 0; i < MEDIA_STREAMS; i++) {
        struct stream *s = leg_stream(m, l, i);
        if (s == NULL)
            continue;
        s->next = s->said;
        s->offered = false;
        if (!s->on)
            stream_free(m, l, i);
    }
    l->n_media = l->n_media_agreed;
    l->pending = false;
    l->role = ROLE_NONE;
}

void media_rollback(struct media *m, struct media_leg *l)
{
    if (l->pending)
        drop_pending(m, l);
}

static void agreed(struct media_leg *l)
{
    l->pending = false;
    l->n_media_agreed = l->n_media;
}

/* --- an offer comes in --- */

static enum reason take_offered(struct media *m, struct media_leg *l, const struct sdp *sdp,
                                struct str text, unsigned i)
{
    const struct sdp_media *ml = &sdp->media[i];
    struct remote r;
    struct crypto_choice c = {0};
    enum reason why =
        i < MEDIA_STREAMS ? mline_read(sdp, text, ml, &l->policy, &r) : REASON_media_not_acceptable;
    if (why == REASON_NONE)
        why = line_allowed(&l->policy, r.kind);
    if (why == REASON_NONE)
        why = mline_security(sdp, text, ml, &l->policy, &r);
    uint32_t keep = FORMATS_ALL;
    if (why == REASON_NONE && r.kind != LINE_T38)
        keep = line_formats(m, sdp, text, ml, l->codecs, 0, NULL);
    if (keep == 0)
        why = REASON_media_codec;
    if (why == REASON_NONE && r.secure)
        why = mline_crypto_choose(sdp, text, ml, &l->policy, &c);
    struct stream *s;
    if (why == REASON_NONE)
        why = stream_open(m, l, i, &s);
    if (why != REASON_NONE)
        return why;
    s->next = r;
    line_payload_types(text, ml, keep, s->pts);
    if (!r.secure)
        return REASON_NONE;
    why = stream_keys(m, s);
    if (why == REASON_NONE) {
        s->keys->next_suite = (uint8_t)c.suite;
        s->keys->next_tag = c.tag;
        s->keys->next_life = c.life;
        memcpy(s->keys->next_key, c.key, SRTP_KEY_MAX);
    }
    mem_wipe(&c, sizeof c);
    return why;
}

/* A refusal of the whole offer, whatever its other m-lines say. */
static bool fatal(enum reason why)
{
    return why == REASON_media_key_exposed || why == REASON_capacity_ports ||
           why == REASON_capacity_memory || why == REASON_sdp_syntax;
}

/* Names that say what is wrong with one line; an offer of nothing else is media_not_acceptable. */
static bool of_line(enum reason why)
{
    return why == REASON_media_kind || why == REASON_media_transport || why == REASON_media_codec;
}

/* A line is refused where others may pass: its reason would be lost in the answer's port 0. */
static void count_refused(struct media *m, enum reason why, const struct sdp_media *ml)
{
    if (ml->port != 0 && why != REASON_NONE)
        counters_hit(m->cfg.counters, why);
}

enum reason media_offer_in(struct media *m, struct media_leg *from, struct str text)
{
    struct sdp sdp;
    enum reason why = parse(text, &sdp), first = REASON_NONE;
    if (why != REASON_NONE)
        return why;
    media_rollback(m, from);
    /* RFC 3264 section 8: a later offer never has fewer m-lines. */
    if (sdp.n_media < from->n_media)
        return REASON_media_not_acceptable;
    for (unsigned i = 0; i < MEDIA_STREAMS; i++) {
        struct stream *s = leg_stream(m, from, i);
        if (s != NULL)
            s->next = (struct remote){0};
    }
    uint8_t mask = 0;
    from->pending = true;
    for (unsigned i = 0; i < sdp.n_media; i++) {
        why = take_offered(m, from, &sdp, text, i);
        if (why == REASON_NONE)
            mask |= (uint8_t)(1u << i);
        else if (first == REASON_NONE && sdp.media[i].port != 0)
            first = of_line(why) ? REASON_media_not_acceptable : why;
        if (fatal(why))
            break;
        if (of_line(why) || mask != 0)
            count_refused(m, why, &sdp.media[i]);
    }
    /* All m-lines switched off is a valid wish inside a call. */
    bool quiet = first == REASON_NONE && from->n_media > 0;
    if (fatal(why) || (mask == 0 && !quiet)) {
        drop_pending(m, from);
        return fatal(why) ? why : first != REASON_NONE ? first : REASON_media_not_acceptable;
    }
    from->role = ROLE_ANSWERER;
    from->n_media = sdp.n_media;
    offer_note(m, from, text, mask);
    return REASON_NONE;
}

/* --- an offer goes out --- */

/* Whether a line that the offerer may send is one for this leg, too; its formats go to b->keep. */
static enum reason judge_offered(struct media *m, const struct media_leg *l, struct body *b,
                                 unsigned i, struct remote *ret_r)
{
    const struct sdp_media *ml = &b->sdp->media[i];
    struct media_policy any = {.local_ip = sdp_media_conn(b->sdp, ml)->a};
    enum reason why = mline_read(b->sdp, b->text, ml, &any, ret_r);
    if (why == REASON_NONE)
        why = line_allowed(&l->policy, ret_r->kind);
    if (why != REASON_NONE)
        return why;
    b->keep[i] = ret_r->kind == LINE_T38
                     ? FORMATS_ALL
                     : line_formats(m, b->sdp, b->text, ml, l->codecs, l->far_codecs, NULL);
    return b->keep[i] == 0 ? REASON_media_codec : REASON_NONE;
}

static enum reason make_offered(struct media *m, struct media_leg *l, struct body *b, unsigned i,
                                bool *ret_on)
{
    struct remote r;
    *ret_on = false;
    if (i >= MEDIA_STREAMS || (b->mask >> i & 1) == 0)
        return REASON_NONE;
    enum reason why = judge_offered(m, l, b, i, &r);
    if (why != REASON_NONE) {
        count_refused(m, why, &b->sdp->media[i]);
        return REASON_NONE;
    }
    struct stream *s;
    bool secure = r.kind != LINE_T38 && leg_offers_srtp(&l->policy);
    why = stream_open(m, l, i, &s);
    if (why == REASON_NONE && secure)
        why = stream_keys(m, s);
    if (why != REASON_NONE)
        return why;
    s->offered = true;
    s->offered_secure = secure;
    s->offered_kind = r.kind;
    s->offered_ptime_ms = r.ptime_ms;
    line_payload_types(b->text, &b->sdp->media[i], b->keep[i], s->pts);
    *ret_on = true;
    return REASON_NONE;
}

static bool wants_something(const struct sdp *sdp)
{
    for (unsigned i = 0; i < sdp->n_media; i++)
        if (sdp->media[i].port != 0)
            return true;
    return false;
}

/* All lines of an offer to one leg; the mask of those that are on goes to b. */
static enum reason make_all_offered(struct media *m, struct media_leg *to, struct body *b)
{
    uint8_t mask = 0;
    enum reason why = REASON_NONE;
    for (unsigned i = 0; i < MEDIA_STREAMS; i++) {
        struct stream *s = leg_stream(m, to, i);
        if (s != NULL)
            s->offered = false;
    }
    for (unsigned i = 0; why == REASON_NONE && i < b->sdp->n_media; i++) {
        bool on = false;
        why = make_offered(m, to, b, i, &on);
        mask |= (uint8_t)(on ? 1u << i : 0);
    }
    b->mask = mask;
    if (why == REASON_NONE && mask == 0 && (to->n_media == 0 || wants_something(b->sdp)))
        why = REASON_media_not_acceptable;
    return why;
}

/* from: whose zone judges, too; NULL: nobody else's. mask: the lines that it let pass. */
static enum reason offer_to(struct media *m, struct media_leg *to, const struct media_leg *from,
                            uint8_t mask, struct str text, struct out *o)
{
    struct sdp sdp;
    enum reason why = parse(text, &sdp);
    if (why != REASON_NONE)
        return why;
    if (!leg_offers_srtp(&to->policy) && !to->policy.plain_allowed)
        return REASON_media_plaintext;
    media_rollback(m, to);
    if (sdp.n_media < to->n_media)
        return REASON_media_not_acceptable;
    struct body b = {.sdp = &sdp, .text = text, .mask = mask};
    codecs_drop(m, to->far_codecs);
    to->far_codecs = from != NULL ? codecs_share(m, from->codecs) : 0;
    to->pending = true;
    why = make_all_offered(m, to, &b);
    if (why == REASON_NONE && body_write(m, to, &b, o) != OK)
        why = REASON_sdp_limit;
    if (why != REASON_NONE) {
        drop_pending(m, to);
        return why;
    }
    to->role = ROLE_OFFERER;
    to->n_media = sdp.n_media;
    return REASON_NONE;
}

enum reason media_offer_out(struct media *m, struct media_leg *to, struct str other_sdp,
                            struct instant now, struct out *o)
{
    const struct media_leg *from = offer_find(m, to, other_sdp);
    m->now = now;
    return offer_to(m, to, from, from != NULL ? from->offer_mask : 0xff, other_sdp, o);
}

/* Lines of kinds that a leg's zone does not let pass are off. */
static uint8_t mask_by_kind(const struct media_leg *l, const struct sdp *sdp, struct str text)
{
    uint8_t mask = 0;
    for (unsigned i = 0; i < MEDIA_STREAMS && i < sdp->n_media; i++) {
        enum reason why;
        enum line_kind kind = line_kind(text, &sdp->media[i], &why);
        if (kind != LINE_NONE && line_allowed(&l->policy, (uint8_t)kind) == REASON_NONE)
            mask |= (uint8_t)(1u << i);
    }
    return mask;
}

enum reason media_offer_for(struct media *m, struct media_leg *to, const struct media_leg *from,
                            struct str other_sdp, struct instant now, struct out *o)
{
    struct sdp sdp;
    enum reason why = parse(other_sdp, &sdp);
    m->now = now;
    return why != REASON_NONE
               ? why
               : offer_to(m, to, from, mask_by_kind(from, &sdp, other_sdp), other_sdp, o);
}

/* --- an answer comes in --- */

struct answered {
    struct remote r;
    struct crypto_choice c;
};

static enum reason judge_answer(struct media *m, struct media_leg *l, const struct sdp *sdp,
                                struct str text, unsigned i, struct answered *ret_a)
{
    const struct sdp_media *ml = &sdp->media[i];
    const struct stream *s = leg_stream(m, l, i);
    *ret_a = (struct answered){0};
    if (ml->port == 0)
        return REASON_NONE;
    if (s == NULL || !s->offered)
        return REASON_media_answer_bad;
    enum reason why = mline_read(sdp, text, ml, &l->policy, &ret_a->r);
    if (why != REASON_NONE)
        return why == REASON_sdp_syntax ? why : REASON_media_answer_bad;
    if (ret_a->r.secure != s->offered_secure || ret_a->r.kind != s->offered_kind)
        return REASON_media_answer_bad;
    if (ret_a->r.kind != LINE_T38 &&
        !line_answer_formats(m, sdp, text, ml, l->codecs, l->far_codecs, s->pts))
        return REASON_media_answer_bad;
    if (!ret_a->r.secure)
        return REASON_NONE;
    why = mline_crypto_answer(sdp, text, ml, &l->policy, &ret_a->c);
    if (why != REASON_NONE)
        return why;
    /* A peer that answers with our own key would have both directions under one keystream. */
    uint8_t own[SRTP_KEY_MAX];
    suite_own_key(s->keys->seed, ret_a->c.suite, own);
    bool echo = mem_equal_ct(own, ret_a->c.key, srtp_key_bytes(ret_a->c.suite));
    mem_wipe(own, sizeof own);
    return echo ? REASON_media_answer_bad : REASON_NONE;
}

static enum reason apply_answer(struct media *m, struct media_leg *l, const struct sdp *sdp,
                                struct str text, unsigned i, const struct answered *a)
{
    struct stream *s = leg_stream(m, l, i);
    if (s == NULL)
        return REASON_NONE;
    if (!a->r.on) {
        stream_free(m, l, i);
        return REASON_NONE;
    }
    if (a->r.secure) {
        s->keys->next_suite = (uint8_t)a->c.suite;
        s->keys->next_life = a->c.life;
        memcpy(s->keys->next_key, a->c.key, SRTP_KEY_MAX);
    }
    s->next = a->r;
    stream_describe(s, sdp, text, &sdp->media[i], FORMATS_ALL);
    stream_meter(s, a->r.kind, s->offered_ptime_ms, a->r.ptime_ms);
    return stream_commit(m, s, &a->r);
}

enum reason media_answer_in(struct media *m, struct media_leg *from, struct str text)
{
    struct sdp sdp;
    enum reason why = parse(text, &sdp);
    if (why != REASON_NONE)
        return why;
    /* Without a pending offer it repeats or, from another branch of a fork, replaces the last
     * answer. */
    if (from->role != ROLE_OFFERER || sdp.n_media != from->n_media)
        return REASON_media_answer_bad;
    struct answered a[MEDIA_STREAMS];
    for (unsigned i = 0; why == REASON_NONE && i < sdp.n_media; i++) {
        struct answered beyond;
        why = judge_answer(m, from, &sdp, text, i, i < MEDIA_STREAMS ? &a[i] : &beyond);
    }
    for (unsigned i = 0; why == REASON_NONE && i < MEDIA_STREAMS && i < sdp.n_media; i++)
        why = apply_answer(m, from, &sdp, text, i, &a[i]);
    mem_wipe(a, sizeof a);
    if (why == REASON_NONE)
        agreed(from);
    legs_link(m, from);
    return why;
}

/* --- an answer goes out --- */

/* New keys from the peer mean a new device or a rekey; it then gets a new key from us too, so that
 * neither side carries a roll-over counter that the other cannot know. */
static void refresh_own_key(struct media *m, struct secure *k)
{
    bool fresh = k->rx != NULL && !mem_equal_ct(k->rx_key, k->next_key, SRTP_KEY_MAX);
    if (!fresh)
        return;
    rng_bytes(m->cfg.rng, k->seed, SUITE_SEED_BYTES);
    k->tx_suite = SUITE_NONE;
}

static void choose_answered(struct media *m, const struct media_leg *l, struct body *b)
{
    for (unsigned i = 0; i < MEDIA_STREAMS && i < b->sdp->n_media; i++) {
        struct stream *s = leg_stream(m, l, i);
        const struct sdp_media *ml = &b->sdp->media[i];
        enum reason why;
        if (s == NULL || !s->next.on || ml->port == 0 ||
            line_kind(b->text, ml, &why) != s->next.kind)
            continue;
        b->keep[i] = s->next.kind == LINE_T38
                         ? FORMATS_ALL
                         : line_formats(m, b->sdp, b->text, ml, l->codecs, 0, s->pts);
        if (b->keep[i] == 0)
            continue;
        b->mask |= (uint8_t)(1u << i);
        if (s->next.secure)
            refresh_own_key(m, s->keys);
    }
}

enum reason media_answer_out(struct media *m, struct media_leg *to, struct str other_sdp,
                             struct instant now, struct out *o)
{
    struct sdp sdp;
    m->now = now;
    enum reason why = parse(other_sdp, &sdp);
    if (why != REASON_NONE)
        return why;
    if (to->role != ROLE_ANSWERER || sdp.n_media != to->n_media)
        return REASON_media_answer_bad;
    struct body b = {.sdp = &sdp, .text = other_sdp, .answer = true};
    choose_answered(m, to, &b);
    if (body_write(m, to, &b, o) != OK)
        return REASON_sdp_limit;
    for (unsigned i = 0; why == REASON_NONE && i < MEDIA_STREAMS; i++) {
        struct stream *s = leg_stream(m, to, i);
        if (s == NULL)
            continue;
        if ((b.mask >> i & 1) == 0) {
            stream_free(m, to, i);
            continue;
        }
        stream_describe(s, &sdp, other_sdp, &sdp.media[i], b.keep[i]);
        stream_meter(s, s->next.kind, s->next.ptime_ms,
                     sdp_ptime_ms(&sdp, other_sdp, &sdp.media[i]));
        why = stream_commit(m, s, &s->next);
    }
    if (why == REASON_NONE)
        agreed(to);
    legs_link(m, to);
    return why;
}
