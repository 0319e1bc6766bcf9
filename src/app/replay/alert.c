/* What a configuration's shield says and asks for: alerts, bans, signatures of packets. */
#include "app/replay/state.h"

static void alert(struct replay *r, struct judge *j, const struct alert *a, const struct trans *t)
{
    struct addr s = a->source;
    s.port = 0;
    if (r->o.eve && j == &r->judges[0])
        eve_alert(r, a, t);
    for (uint32_t i = 0; i < j->n_alerts; i++) {
        struct alert *x = &j->alerts[i];
        if (x->by == a->by && x->detector == a->detector && x->sid == a->sid &&
            x->reason == a->reason && x->treat == a->treat && addr_eq(&x->source, &s)) {
            x->n++;
            x->last_us = r->now.wall.us;
            x->score = MAX(x->score, a->score);
            x->level = MAX(x->level, a->level);
            return;
        }
    }
    if (j->n_alerts == ALERTS) {
        j->alerts_lost++;
        return;
    }
    struct alert *x = &j->alerts[j->n_alerts++];
    *x = *a;
    x->source = s;
    x->n = 1;
    x->first_us = x->last_us = r->now.wall.us;
    x->who = replay_text(r, a->who);
    x->text = replay_text(r, a->text);
}

void judge_plain(struct replay *r, unsigned i, const struct addr *source, enum reason why,
                 struct str who, const struct trans *t)
{
    struct alert a = {.by = UINT8_MAX,
                      .severity = reason_info(why)->severity == SEV_ALERT ? 2 : 3,
                      .reason = (uint16_t)why,
                      .source = *source,
                      .who = who,
                      .text = reason_info(why)->text};
    alert(r, &r->judges[i], &a, t);
}

static bool same_target(const struct ban *a, const struct ban *b)
{
    return a->scope == b->scope && a->key == b->key && a->net.bits == b->net.bits &&
           addr_eq_ip(&a->net.a, &b->net.a);
}

static void hits_take(struct judge *j, struct banned *x)
{
    x->hits += j->ban_hits[x->slot] - x->hits_before;
    x->hits_before = j->ban_hits[x->slot];
}

static void since_first(struct replay *r, struct banned *x, const struct addr *source)
{
    const struct source *s = source_of(r, source);
    x->messages = s ? s->messages : 0;
    x->after_us = s ? r->now.wall.us - s->first_us : -1;
}

/* Somebody who is banned already does it again: longer and harder, but not a time more. */
static void extend(struct replay *r, struct judge *j, struct banned *x, const struct ban *asked,
                   const struct addr *source)
{
    const struct guard_policy *p = &j->policy->guard;
    struct ban b = *asked;
    uint32_t slot;
    if (b.forgeable && !x->b.forgeable)
        return;
    b.id = x->b.id;
    b.since = x->b.since;
    b.times = x->b.times;
    b.treat = MAX(b.treat, x->b.treat);
    b.until.us = r->now.wall.us + (int64_t)ban_seconds(p, b.times, b.forgeable) * 1000000;
    b.until.us = MAX(b.until.us, x->b.until.us);
    if (ban_put(j->board, BOARD_CAP, &b, &slot) != OK)
        return;
    if (b.treat != x->b.treat)
        since_first(r, x, source);
    x->b = b;
}

static void ban_new(struct replay *r, struct judge *j, struct ban *b, const struct addr *source)
{
    uint32_t slot;
    if (j->n_bans == BANS || ban_put(j->board, BOARD_CAP, b, &slot) != OK || slot >= BOARD_CAP) {
        j->bans_lost++;
        return;
    }
    if (j->slot_owner[slot])
        hits_take(j, &j->bans[j->slot_owner[slot] - 1]);
    struct banned *x = &j->bans[j->n_bans++];
    j->slot_owner[slot] = j->n_bans;
    *x = (struct banned){.b = *b, .slot = slot, .hits_before = j->ban_hits[slot]};
    since_first(r, x, source);
}

/* As the monitor does it: exemptions, escalation, then the board. */
static void ban(struct replay *r, struct judge *j, const struct ban *asked,
                const struct addr *source)
{
    struct ban b = *asked;
    const struct guard_policy *p = &j->policy->guard;
    if (b.dry || ((b.scope == BAN_SOURCE || b.scope == BAN_PAIR) && ban_exempt(p, &b.net)))
        return;
    b.times = 1;
    for (uint32_t i = j->n_bans; i-- > 0;) {
        struct banned *old = &j->bans[i];
        if (!same_target(&old->b, &b))
            continue;
        if (old->b.until.us > r->now.wall.us) {
            extend(r, j, old, &b, source);
            return;
        }
        if (!old->b.forgeable && !b.forgeable &&
            r->now.wall.us - old->b.until.us < (int64_t)p->escalate_s * 1000000)
            b.times = old->b.times + 1;
        break;
    }
    b.id = ++j->next_ban;
    b.since = r->now.wall;
    b.until.us = b.since.us + (int64_t)ban_seconds(p, b.times, b.forgeable) * 1000000;
    ban_new(r, j, &b, source);
}

void judge_observe(struct replay *r, unsigned i, const struct obs *o, const struct trans *t)
{
    static struct guard_out out; /* large, and used by one thread */
    struct judge *j = &r->judges[i];
    guard_observe(j->guard, o, false, r->now, &out);
    unsigned n = out.n_events;
    struct guard_event events[GUARD_EVENTS];
    memcpy(events, out.events, n * sizeof events[0]);
    for (unsigned k = 0; k < n; k++) {
        const struct guard_event *e = &events[k];
        struct alert a = {.by = BY_DETECTOR,
                          .detector = e->detector,
                          .treat = e->treat,
                          .severity = e->treat >= TREAT_REFUSE ? 1
                                      : e->treat > TREAT_LOG   ? 2
                                                               : 3,
                          .dry = e->dry,
                          .score = e->score,
                          .level = e->level,
                          .reason = o->reason,
                          .source = o->source,
                          .who = str_of(o->who, o->who_n),
                          .text = str_c(detector_text((enum detector)e->detector))};
        alert(r, j, &a, t);
        if (e->ban.scope && !e->dry)
            ban(r, j, &e->ban, &o->source);
    }
}

void judge_rule(struct replay *r, unsigned i, const struct rules_hit *h, const struct obs *o,
                const struct trans *t)
{
    struct judge *j = &r->judges[i];
    struct alert a = {.by = BY_RULE,
                      .severity = h->severity,
                      .action = h->action,
                      .sid = h->sid,
                      .gid = h->gid,
                      .rev = h->rev,
                      .dry = j->policy->guard.dry_run,
                      .source = o->source,
                      .who = str_of(o->who, o->who_n),
                      .text = h->msg};
    alert(r, j, &a, t);
    struct obs x = *o;
    x.kind = OBS_RULE;
    x.value = h->sid;
    x.weight = h->weight;
    judge_observe(r, i, &x, t);
}

/* A rule for packets, told once a minute and stream as an engine does. */
static bool told_lately(struct replay *r, struct judge *j, const struct stream *t, uint32_t sid)
{
    uint64_t key = (uint64_t)(t - r->streams) << 32 ^ sid ^
                   (uint64_t)(r->now.mono.us / 60000000) << 52 ^ UINT64_C(1) << 63;
    uint64_t *x = &j->rtp_told[(key ^ key >> 29) % RTP_TOLD];
    bool was = *x == key;
    *x = key;
    return was;
}

void judge_packet(struct replay *r, unsigned i, const struct frame *f, const struct stream *t)
{
    struct judge *j = &r->judges[i];
    struct rules_hit hits[GATE_HITS];
    struct rules_input in = {.bytes = str_of((const char *)f->data, f->len),
                             .source = f->src,
                             .dest = f->dst,
                             .proto = PROTO_UDP,
                             .to_server = true,
                             .established = true,
                             .flow = addr_hash(&r->key, &f->src) ^ f->dst.port};
    size_t n = rules_run(j->env.rules, j->env.rules_state, j->env.scanner, &in, r->now, hits,
                         ARRAY_LEN(hits));
    for (size_t k = 0; k < n; k++) {
        struct obs o = {.kind = OBS_RULE,
                        .proto = PROTO_UDP,
                        .zone = POLICY_NONE,
                        .n = 1,
                        .listener = UINT32_MAX,
                        .source = f->src};
        if (hits[k].action != RULE_PASS && !hits[k].quiet && !told_lately(r, j, t, hits[k].sid))
            judge_rule(r, i, &hits[k], &o, NULL);
    }
}
