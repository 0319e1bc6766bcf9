#include "identity/rights.h"
#include "base/cc.h"

#define DAY_S  86400
#define WEEK_M 10080
#define BIT(c) (1u << (unsigned)(c))

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t local_seconds(const struct rights_site *s, struct wall now)
{
    int64_t offset = 0;
    for (unsigned i = 0; i < s->n_shifts && s->shifts[i].from_us <= now.us; i++)
        offset = s->shifts[i].offset_s;
    return floor_div(now.us, 1000000) + offset;
}

bool rights_open(const struct rights_site *s, struct wall now)
{
    int64_t local = local_seconds(s, now), day = floor_div(local, DAY_S);
    for (unsigned i = 0; i < s->n_holidays; i++)
        if (s->holidays[i] == day)
            return false;
    if (!s->n_week)
        return true;
    int64_t weekday = (day + 3) % 7; /* 1970-01-01 was a Thursday; Monday is 0 */
    if (weekday < 0)
        weekday += 7;
    int64_t minute = weekday * 1440 + (local - day * DAY_S) / 60;
    for (unsigned i = 0; i < s->n_week; i++)
        if (s->week[i].from <= minute && minute < s->week[i].to)
            return true;
    return false;
}

static bool country_allowed(const struct rights_role *r, uint16_t country)
{
    if (r->n_countries == RIGHTS_ALL)
        return true;
    for (unsigned i = 0; i < r->n_countries; i++)
        if (r->countries[i] == country)
            return true;
    return false;
}

/* A dear number of another country is abroad, too. */
static bool abroad(const struct rights_site *s, const struct number *to)
{
    bool dear = to->kind == CLASS_PREMIUM || to->kind == CLASS_SHARED_COST;
    return to->kind == CLASS_INTERNATIONAL ||
           (dear && to->country && s && s->country && to->country != s->country);
}

enum reason rights_call(const struct rights_role *r, const struct rights_site *s,
                        const struct number *to, struct wall now)
{
    if (to->kind == CLASS_EMERGENCY)
        return REASON_NONE;
    uint32_t kind = to->kind < CLASS_COUNT ? BIT(to->kind) : BIT(CLASS_UNKNOWN);
    uint32_t need = kind | (abroad(s, to) ? BIT(CLASS_INTERNATIONAL) : 0u);
    uint32_t may = (uint32_t)r->classes | r->step_up;
    if ((may & need) != need)
        return REASON_right_class;
    if (abroad(s, to) && !country_allowed(r, to->country))
        return REASON_right_country;
    if (s && (r->off_classes & need) != need && !rights_open(s, now))
        return REASON_right_hours;
    return r->step_up & need ? REASON_right_step_up : REASON_NONE;
}

uint16_t rights_abroad(const struct rights_site *s, const struct number *to)
{
    static const uint32_t kinds = BIT(CLASS_INTERNATIONAL) | BIT(CLASS_SHARED_COST) |
                                  BIT(CLASS_PREMIUM) | BIT(CLASS_SATELLITE) | BIT(CLASS_UNKNOWN);
    if (to->kind >= CLASS_COUNT || !(kinds >> to->kind & 1))
        return 0;
    if (!to->country)
        return to->n ? RIGHTS_NO_COUNTRY : 0;
    return s && s->country == to->country ? 0 : to->country;
}

enum err rights_role_valid(const struct rights_role *r)
{
    bool good = (r->n_countries == RIGHTS_ALL || r->n_countries <= RIGHTS_COUNTRIES) &&
                ((r->classes | r->off_classes | r->step_up) >> CLASS_COUNT) == 0;
    return good ? OK : ERR_RANGE;
}

enum err rights_site_valid(const struct rights_site *s)
{
    if (s->n_week > RIGHTS_WEEK || s->n_holidays > RIGHTS_HOLIDAYS ||
        s->n_shifts > RIGHTS_ZONE_SHIFTS)
        return ERR_RANGE;
    for (unsigned i = 0; i < s->n_week; i++)
        if (s->week[i].from >= s->week[i].to || s->week[i].to > WEEK_M)
            return ERR_RANGE;
    for (unsigned i = 0; i < s->n_shifts; i++)
        if (s->shifts[i].offset_s < -DAY_S || s->shifts[i].offset_s > DAY_S ||
            (i && s->shifts[i].from_us <= s->shifts[i - 1].from_us))
            return ERR_RANGE;
    return OK;
}

void rights_role_default(struct rights_role *r)
{
    uint16_t open = BIT(CLASS_INTERNAL) | BIT(CLASS_EMERGENCY) | BIT(CLASS_LOCAL) |
                    BIT(CLASS_NATIONAL) | BIT(CLASS_TOLL_FREE) | BIT(CLASS_MOBILE);
    memset(r, 0, sizeof *r); /* and what lies between: policies are compared as bytes */
    r->classes = r->off_classes = open;
    r->step_up_country = true;
}
