/* Rows of identities, points that fade, and what is done at which score. The signs themselves are
 * in fraud_signs.c. All numbers are whole: points are kept in sixteenths. */
#include "guard/fraud_int.h"

#define HALF_US      (12 * HOUR_US)
#define SLOW_HALF_US (10 * DAY_US)
#define HEAT_MAX     (4000u * 16)

static const struct {
    const char *name;
    uint16_t weight;
} SIGNS[SIGN_COUNT] = {
    [SIGN_LEVEL] = {"level", 30},
    [SIGN_HOUR] = {"hour", 14},
    [SIGN_DESTINATION] = {"destination", 16},
    [SIGN_FAN_OUT] = {"fan-out", 35},
    [SIGN_SHORT_CALLS] = {"short-calls", 25},
    [SIGN_CALL_BACK] = {"call-back", 75},
    [SIGN_PUMPING] = {"pumping", 40},
    [SIGN_SIM_BOX] = {"sim-box", 45},
    [SIGN_TWO_PLACES] = {"two-places", 30},
    [SIGN_FORWARD] = {"forward", 35},
    [SIGN_RANGE] = {"range", 40},
    [SIGN_SPEND] = {"spend", 35},
};
static const char *const ACTS[FRAUD_LEVELS] = {"log", "notify", "step-up", "refuse", "cut", "lock"};

struct str fraud_sign_name(enum fraud_sign s)
{
    return s < SIGN_COUNT ? str_c(SIGNS[s].name) : STR("unknown");
}

struct str fraud_act_name(enum fraud_act a)
{
    return (unsigned)a < FRAUD_LEVELS ? str_c(ACTS[a]) : STR("unknown");
}

uint16_t fraud_weight_default(enum fraud_sign s)
{
    return s < SIGN_COUNT ? SIGNS[s].weight : 0;
}

void fraud_policy_default(struct fraud_policy *p)
{
    static const uint16_t levels[FRAUD_LEVELS] = {20, 45, 55, 70, 85, 100};
    memset(p, 0, sizeof *p);
    memcpy(p->level, levels, sizeof levels);
}

enum err fraud_policy_valid(const struct fraud_policy *p)
{
    if (p->off_signs >> SIGN_COUNT || p->n_ranges > FRAUD_RANGES)
        return ERR_RANGE;
    return fraud_ranges_valid(p->ranges, p->n_ranges * sizeof p->ranges[0]);
}

size_t fraud_bytes(uint32_t identities)
{
    return sizeof(struct fraud) + 64 + (identities ? fraud_shard_bytes(identities) : 0);
}

struct fraud *fraud_init(void *mem, uint32_t identities, const struct fraud_policy *p,
                         const struct sipkey *k)
{
    struct fraud *f = mem;
    f->p = *p;
    f->k = *k;
    if (identities)
        fraud_shard_begin(fraud_own(f), fraud_shard_bytes(identities));
    return f;
}

void fraud_policy_set(struct fraud *f, const struct fraud_policy *p)
{
    f->p = *p;
}

/* Halves: whole ones by shifts, the rest as a straight line between two powers of two. */
static uint32_t faded(uint32_t v, int64_t us, int64_t half_us)
{
    int64_t n = us / half_us, rest = us % half_us;
    if (n > 31)
        return 0;
    v >>= n;
    return v - (uint32_t)((int64_t)(v / 2) * (rest / 1000) / (half_us / 1000));
}

void fraud_fade(struct row *r, int64_t now_us)
{
    int64_t us = now_us - r->heat_us;
    if (us < HOUR_US / 60) /* seldom, so that rounding takes nothing away */
        return;
    r->heat = faded(r->heat, us, HALF_US);
    r->slow = faded(r->slow, us, SLOW_HALF_US);
    r->heat_us = now_us;
}

static enum fraud_act act_at(const struct fraud_policy *p, uint32_t score, bool bait)
{
    enum fraud_act a = FRAUD_LOG;
    for (unsigned i = 0; i < FRAUD_LEVELS; i++)
        if (p->level[i] && score >= p->level[i])
            a = (enum fraud_act)i;
    /* Who is lured to call back has done no wrong: that call is refused, and no more. */
    return bait && a > FRAUD_REFUSE ? FRAUD_REFUSE : a;
}

/* What the event says of whose row that is, and the points that stay with it. */
static void judge(struct fraud *f, struct row *r, const struct fraud_event *e,
                  struct fraud_verdict *v)
{
    struct fraud_points x = {0};
    int64_t now = MAX(e->at.us, r->seen_us); /* a clock that goes back changes nothing */
    fraud_fade(r, now);
    r->seen_us = now;
    fraud_signs(f, r, e, now, &x);
    r->heat = MIN(r->heat + x.heat, HEAT_MAX);
    r->slow = MIN(r->slow + x.heat / 2, HEAT_MAX);
    uint32_t score = MAX(r->heat, r->slow) / 16 + x.once;
    v->score = (uint16_t)MIN(score, UINT16_MAX);
    v->signs = x.signs;
    /* A call that shows nothing itself goes, however odd another was: the lock is for the rest. */
    if (x.signs)
        v->act = (uint8_t)act_at(&f->p, score, x.signs >> SIGN_CALL_BACK & 1);
    if (v->act == FRAUD_LOCK) {
        v->again = r->lock_us && now - r->lock_us < HOUR_US / 60;
        r->lock_us = now;
        /* The rest makes that a second time after a release needs less, but something. */
        r->heat = MIN(r->heat, f->p.level[FRAUD_LOCK] * 16u * 2 / 5);
        r->slow = MIN(r->slow, r->heat);
    }
    r->signs = (uint16_t)(x.signs ? x.signs : r->signs);
    r->score = v->score;
    r->act = v->act;
}

/* The row as its home has it, or an empty one. */
static struct row *copied(struct fraud *f, const struct fraud_event *e, uint64_t hash, uint8_t home)
{
    const struct fraud_shard *s = f->shard[home];
    uint32_t rows = fraud_own(f)->rows, i = fraud_find(s, rows, hash, e->identity);
    const struct row *r = i == ROW_NONE ? NULL : &fraud_rows_at(s, rows)[i];
    if (!r || !seq_read(&r->seq, &f->copy, r, sizeof *r) || f->copy.key != e->identity ||
        !fraud_row_sound(&f->copy)) {
        memset(&f->copy, 0, sizeof f->copy);
        f->copy.key = e->identity;
        f->copy.heat_us = f->copy.seen_us = e->at.us;
    }
    return &f->copy;
}

void fraud_step(struct fraud *f, const struct fraud_event *e, struct fraud_verdict *ret_v)
{
    memset(ret_v, 0, sizeof *ret_v);
    if (!e->identity || e->at.us <= 0)
        return;
    ret_v->dry = f->p.dry_run;
    ret_v->home = fraud_home(f, e->identity);
    uint64_t hash = fraud_hash(f, e->identity);
    if (f->n > 1 && ret_v->home != f->me) {
        ret_v->elsewhere = true;
        if (e->what == FRAUD_ATTEMPT)
            judge(f, copied(f, e, hash, ret_v->home), e, ret_v);
        return;
    }
    struct fraud_shard *s = fraud_own(f);
    uint32_t i = fraud_take(s, hash, e->identity, e->at.us);
    struct row *r = &fraud_rows_at(s, s->rows)[i];
    if (!s->all.began_us)
        __atomic_store_n(&s->all.began_us, MAX(e->at.us, r->seen_us), __ATOMIC_RELAXED);
    seq_write_begin(&r->seq);
    judge(f, r, e, ret_v);
    seq_write_end(&r->seq);
    for (unsigned k = 0; k < SIGN_COUNT; k++)
        f->counted[k] += ret_v->signs >> k & 1;
    f->acted[ret_v->act] += ret_v->act != FRAUD_LOG;
}

bool fraud_release(struct fraud *f, uint64_t identity)
{
    struct fraud_shard *s = fraud_own(f);
    uint32_t i = fraud_find(s, s->rows, fraud_hash(f, identity), identity);
    if (!identity || i == ROW_NONE)
        return false;
    struct row *r = &fraud_rows_at(s, s->rows)[i];
    seq_write_begin(&r->seq);
    r->heat = r->slow = 0;
    r->lock_us = 0;
    r->fan_n = r->forward = 0; /* nor do these calls count as the first of many */
    r->runs = r->runs_dear = 0;
    r->signs = r->score = r->act = 0;
    seq_write_end(&r->seq);
    return true;
}

static void usual_json(struct out *o, struct str key, const struct usual *u)
{
    out_json_key(o, key);
    out_ch(o, '{');
    out_json_ku64(o, STR("now"), u->now);
    out_json_ku64(o, STR("usual"), u->mean / 16);
    out_json_ku64(o, STR("most"), u->peak / 16);
    out_ch(o, '}');
}

static void signs_json(struct out *o, uint16_t signs)
{
    out_json_key(o, STR("signs"));
    out_ch(o, '[');
    for (unsigned i = 0, n = 0; i < SIGN_COUNT; i++) {
        if (!(signs >> i & 1))
            continue;
        if (n++)
            out_ch(o, ',');
        out_json_str(o, fraud_sign_name((enum fraud_sign)i));
    }
    out_ch(o, ']');
}

void fraud_explain_json(const struct fraud *f, uint64_t identity, struct wall now, struct out *o)
{
    const struct fraud_shard *own = fraud_own(f), *s = own;
    uint8_t home = fraud_home(f, identity);
    struct row copy;
    if (f->n > 1 && home != f->me)
        s = f->shard[home];
    uint32_t i = fraud_find(s, own->rows, fraud_hash(f, identity), identity);
    const struct row *r = i == ROW_NONE ? NULL : &fraud_rows_at(s, own->rows)[i];
    bool known = r && seq_read(&r->seq, &copy, r, sizeof copy) && copy.key == identity &&
                 fraud_row_sound(&copy);
    out_ch(o, '{');
    out_json_kbool(o, STR("known"), known);
    if (known) {
        r = &copy;
        fraud_fade(&copy, MAX(now.us, r->heat_us));
        uint32_t countries = 0;
        out_json_ku64(o, STR("score"), MAX(copy.heat, copy.slow) / 16);
        out_json_kstr(o, STR("last_act"), fraud_act_name((enum fraud_act)r->act));
        signs_json(o, r->signs);
        out_json_ku64(o, STR("days"), r->days);
        for (unsigned c = 0; c < COUNTRIES; c++)
            countries += r->countries[c].country != 0;
        out_json_ku64(o, STR("countries"), countries);
        usual_json(o, STR("calls_an_hour"), &r->calls);
        usual_json(o, STR("calls_abroad_an_hour"), &r->dear);
        usual_json(o, STR("money_an_hour_milli"), &r->spend_h);
        usual_json(o, STR("money_a_day_milli"), &r->spend_d);
    }
    out_ch(o, '}');
}

void fraud_counts_json(const struct fraud *f, struct out *o)
{
    OUT_LIT(o, "{\"signs\":{");
    for (unsigned i = 0; i < SIGN_COUNT; i++)
        out_json_ku64(o, fraud_sign_name((enum fraud_sign)i), f->counted[i]);
    OUT_LIT(o, "},\"acts\":{");
    for (unsigned i = FRAUD_NOTIFY; i < FRAUD_LEVELS; i++)
        out_json_ku64(o, fraud_act_name((enum fraud_act)i), f->acted[i]);
    OUT_LIT(o, "}}");
}
