/* sites and roles: how people of a place dial, when it is open, and what a role may do. */
#include "app/config/values.h"
#include "app/config/yaml.h"
#include "app/config/zone.h"

#define AT(type, member) offsetof(struct type, member)
#define BIT(c)           (1u << (unsigned)(c))
#define SHOW(s)          (int)MIN((s).n, 40u), (s).p

/* --- sites --- */

void rd_country(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    uint16_t c = country_parse(s);
    if (!c)
        problem(l, pos_of(n), "two letters of ISO 3166: DE, AT, US",
                "%s: \"%.*s\" is no country with telephone numbers", f->key, SHOW(s));
    else
        *(uint16_t *)dst = c;
}

static void rd_digits(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    bool good = s.n >= f->min && s.n <= f->max;
    for (size_t i = 0; i < s.n; i++)
        good = good && ascii_digit(s.p[i]);
    if (good)
        (void)text_add(l, pos_of(n), s, dst);
    else
        problem(l, pos_of(n), "digits in quotes", "%s: \"%.*s\": up to %u digits are wanted",
                f->key, SHOW(s), f->max);
}

static bool clock_of(struct str s, unsigned *ret_m)
{
    uint32_t h, m;
    struct str left, right = str_cut(s, ':', &left);
    if (left.n != 2 || right.n != 2 || str_u32(left, 24, &h) != OK || str_u32(right, 59, &m) != OK)
        return false;
    *ret_m = h * 60 + m;
    return *ret_m <= 1440;
}

static bool days_of(struct str s, unsigned *ret_from, unsigned *ret_to)
{
    static const struct str day[] = {STR("mon"), STR("tue"), STR("wed"), STR("thu"),
                                     STR("fri"), STR("sat"), STR("sun")};
    struct str left, right = str_cut(s, '-', &left);
    bool range = left.n < s.n;
    *ret_from = *ret_to = 7;
    for (unsigned i = 0; i < 7; i++) {
        *ret_from = str_eq(left, day[i]) ? i : *ret_from;
        *ret_to = str_eq(range ? right : left, day[i]) ? i : *ret_to;
    }
    return *ret_from < 7 && *ret_to < 7 && *ret_from <= *ret_to;
}

/* "mon-fri 08:00-18:00" */
static bool hours_of(struct load *l, const struct field *f, struct fy_node *e,
                     struct rights_site *s)
{
    struct str text, days, from;
    unsigned first, last, open, shut;
    if (!scalar(l, f->key, e, &text))
        return true;
    struct str to = str_cut(str_cut(text, ' ', &days), '-', &from);
    if (!days_of(days, &first, &last) || !clock_of(from, &open) || !clock_of(to, &shut) ||
        open >= shut) {
        problem(l, pos_of(e), "\"mon-fri 08:00-18:00\" or \"sat 09:00-24:00\"",
                "%s: \"%.*s\" are no hours", f->key, SHOW(text));
        return true;
    }
    for (unsigned d = first; d <= last; d++) {
        if (s->n_week == RIGHTS_WEEK)
            return false;
        s->week[s->n_week].from = (uint16_t)(d * 1440 + open);
        s->week[s->n_week++].to = (uint16_t)(d * 1440 + shut);
    }
    return true;
}

static void rd_hours(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));)
        if (!hours_of(l, f, e, dst)) {
            problem(l, pos_of(e), NULL, "%s: more than %u spans in a week", f->key, RIGHTS_WEEK);
            return;
        }
}

static void rd_holidays(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct rights_site *s = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && s->n_holidays < RIGHTS_HOLIDAYS;) {
        struct wall end = {0};
        rd_date(l, f, e, &end);
        if (end.us)
            s->holidays[s->n_holidays++] = (int32_t)(end.us / 86400000000 - 1);
    }
}

static void rd_zone(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    enum err e = zone_shifts(s, l->o->now, dst);
    if (e != OK)
        problem(l, pos_of(n), "a name of the time zone database: Europe/Berlin, America/New_York",
                e == ERR_LIMIT ? "%s: \"%.*s\" changes its clocks too often"
                               : "%s: \"%.*s\" is no time zone known here",
                f->key, SHOW(s));
}

enum { S_NAME, S_COUNTRY, S_AREA, S_INTL, S_NATL, S_OUTSIDE, S_ZONE, S_HOURS, S_HOLIDAYS };
static const struct field SITE[] = {
    [S_NAME] = {"name", rd_name, AT(rights_site, name), true, 1, 20, NULL},
    [S_COUNTRY] = {"country", rd_country, AT(rights_site, country), true, 0, 0, NULL},
    [S_AREA] = {"area", rd_digits, AT(rights_site, area), false, 0, 6, NULL},
    [S_INTL] = {"international", rd_digits, AT(rights_site, international), false, 1, 6, NULL},
    [S_NATL] = {"national", rd_digits, AT(rights_site, national), false, 0, 4, NULL},
    [S_OUTSIDE] = {"outside", rd_digits, AT(rights_site, outside), false, 0, 4, NULL},
    [S_ZONE] = {"timezone", rd_zone, 0, false, 0, 0, NULL},
    [S_HOURS] = {"hours", rd_hours, 0, false, 0, RIGHTS_WEEK, NULL},
    [S_HOLIDAYS] = {"holidays", rd_holidays, 0, false, 0, RIGHTS_HOLIDAYS, NULL},
};
static const struct ref_kind REF_SITE = {"site", offsetof(struct policy, sites),
                                         sizeof(struct rights_site),
                                         offsetof(struct policy, n_sites)};

static void site_end(struct load *l, void *entry, uint32_t seen, struct pos at)
{
    struct rights_site *s = entry;
    struct dial_plan p;
    if ((seen & (BIT(S_HOURS) | BIT(S_HOLIDAYS))) && !(seen & BIT(S_ZONE)))
        problem(l, at, "timezone: Europe/Berlin",
                "site: hours and holidays need a \"timezone\" of the place");
    if (!number_plan_default(s->country, &p))
        return;
    if (!(seen & BIT(S_INTL)))
        (void)text_add(l, at, p.international, &s->international);
    if (!(seen & BIT(S_NATL)))
        (void)text_add(l, at, p.national, &s->national);
}

void read_sites(struct load *l, struct fy_node *n)
{
    struct pos at[RIGHTS_SITES];
    struct list d = {"site", SITE, ARRAY_LEN(SITE), &REF_SITE, RIGHTS_SITES, at, NULL, site_end};
    list_read(l, n, "sites", &d);
}

/* --- roles --- */

static void rd_classes(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint16_t bits = 0;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        struct str s;
        enum number_class c;
        if (!scalar(l, f->key, e, &s))
            continue;
        if (number_class_parse(s, &c))
            bits |= (uint16_t)BIT(c);
        else
            problem(l, pos_of(e),
                    "internal, emergency, local, national, mobile, toll-free, international, "
                    "shared-cost, premium, satellite, unknown",
                    "%s: \"%.*s\" is no class of numbers", f->key, SHOW(s));
    }
    *(uint16_t *)dst = bits;
}

static void rd_step_up(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct rights_role *r = dst;
    void *it = NULL;
    r->step_up = 0;
    r->step_up_country = false;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        struct str s;
        enum number_class c;
        if (!scalar(l, f->key, e, &s))
            continue;
        if (str_eq(s, STR("new-country")))
            r->step_up_country = true;
        else if (str_eq(s, STR("none")) && fy_node_is_scalar(n))
            continue;
        else if (number_class_parse(s, &c))
            r->step_up |= (uint16_t)BIT(c);
        else
            problem(l, pos_of(e), "classes of numbers, new-country, or none",
                    "%s: \"%.*s\" is nothing that a code could be asked for", f->key, SHOW(s));
    }
}

static void rd_countries(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct rights_role *r = dst;
    struct str s;
    void *it = NULL;
    if (fy_node_is_scalar(n) && scalar(l, f->key, n, &s) && str_eq(s, STR("all"))) {
        r->n_countries = RIGHTS_ALL;
        return;
    }
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && r->n_countries < RIGHTS_COUNTRIES;) {
        uint16_t c = 0;
        rd_country(l, f, e, &c);
        if (c)
            r->countries[r->n_countries++] = c;
    }
}

static void rd_features(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct word WORD[] = {{"transfer-out", FEATURE_TRANSFER_OUT},
                                       {"forward-out", FEATURE_FORWARD_OUT},
                                       {"record", FEATURE_RECORD},
                                       {"anonymous", FEATURE_ANONYMOUS},
                                       {"conference", FEATURE_CONFERENCE},
                                       {"voicemail-outcall", FEATURE_VOICEMAIL_OUTCALL},
                                       {NULL, 0}};
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        int v = word_find(l, f->key, e, WORD);
        if (v > 0)
            *(uint32_t *)dst |= (uint32_t)v;
    }
}

enum {
    R_NAME,
    R_OUTBOUND,
    R_DIAL,
    R_COUNTRIES,
    R_STEP_UP,
    R_OFF_HOURS,
    R_FEATURES,
    R_FACTOR,
    R_PASSWORD,
    R_CAPS,
    R_OFF_CAPS,
    R_WHOLE,
    R_DEVICE,
    R_CALLER
};
static const struct word CALLER[] = {{"own", false}, {"strict", true}, {NULL, 0}};
static const struct field ROLE[] = {
    [R_NAME] = {"name", rd_name, AT(policy_role, name), true, 1, 20, NULL},
    [R_OUTBOUND] = {"outbound", rd_bool, AT(policy_role, outbound), false, 0, 0, NULL},
    [R_DIAL] = {"dial", rd_classes, AT(policy_role, rights.classes), false, 0, CLASS_COUNT, NULL},
    [R_COUNTRIES] = {"countries", rd_countries, AT(policy_role, rights), false, 0, RIGHTS_COUNTRIES,
                     NULL},
    [R_STEP_UP] = {"step_up", rd_step_up, AT(policy_role, rights), false, 0, CLASS_COUNT, NULL},
    [R_OFF_HOURS] = {"off_hours", rd_classes, AT(policy_role, rights.off_classes), false, 0,
                     CLASS_COUNT, NULL},
    [R_FEATURES] = {"features", rd_features, AT(policy_role, rights.features), false, 0, 6, NULL},
    [R_FACTOR] = {"second_factor", rd_bool, AT(policy_role, rights.second_factor), false, 0, 0,
                  NULL},
    [R_PASSWORD] = {"password_days", rd_u32, AT(policy_role, rights.password_days), false, 0, 3650,
                    NULL},
    [R_CAPS] = {"caps", rd_caps, AT(policy_role, caps), false, 0, 0, NULL},
    [R_OFF_CAPS] = {"off_caps", rd_caps, AT(policy_role, off_caps), false, 0, 0, NULL},
    [R_WHOLE] = {"whole", rd_caps, AT(policy_role, whole), false, 0, 0, NULL},
    [R_DEVICE] = {"device", rd_caps, AT(policy_role, device), false, 0, 0, NULL},
    [R_CALLER] = {"caller", rd_word, AT(policy_role, strict_caller), false, 0, 0, CALLER},
};

static void role_begin(void *entry)
{
    struct policy_role *r = entry;
    rights_role_default(&r->rights);
    caps_default(&r->caps, &r->off_caps);
}

static void role_end(struct load *l, void *entry, uint32_t seen, struct pos at)
{
    struct policy_role *r = entry;
    uint16_t open = r->rights.classes | r->rights.step_up;
    if (!(seen & BIT(R_OFF_HOURS)))
        r->rights.off_classes = open;
    if ((seen & BIT(R_CAPS)) && !(seen & BIT(R_OFF_CAPS)))
        r->off_caps = r->caps;
    if ((open & BIT(CLASS_INTERNATIONAL)) && !(seen & BIT(R_COUNTRIES)))
        problem(l, at, "countries: [AT, CH], or countries: all",
                "role: international calls need \"countries\"");
    if (!(open & BIT(CLASS_INTERNATIONAL)) && (seen & BIT(R_COUNTRIES)))
        problem(l, at, "put international into dial: or step_up:",
                "countries: the role may not call abroad at all");
    if (r->rights.off_classes & ~(open | BIT(CLASS_EMERGENCY)))
        problem(l, at, "put them into dial:, too",
                "off_hours: has classes that are closed within hours");
    if (!r->outbound && (seen & (BIT(R_DIAL) | BIT(R_STEP_UP))))
        problem(l, at, "outbound: yes", "role: \"dial\" has no effect without outbound");
}

void read_roles(struct load *l, struct fy_node *n)
{
    struct list d = {"role",       ROLE,       ARRAY_LEN(ROLE), &REF_ROLE,
                     POLICY_ROLES, l->role_at, role_begin,      role_end};
    list_read(l, n, "roles", &d);
}

void role_user_first(struct load *l)
{
    struct policy *p = l->p;
    unsigned i = 0;
    while (i < p->n_roles && !str_eq(policy_text(p, p->roles[i].name), STR("user")))
        i++;
    if (i == p->n_roles) {
        if (p->n_roles == POLICY_ROLES) {
            problem(l, l->role_at[0], "call one of them \"user\"",
                    "roles: at most %u besides \"user\"", POLICY_ROLES - 1);
            return;
        }
        struct policy_role user = {0};
        role_begin(&user);
        (void)text_add(l, (struct pos){0, 0}, STR("user"), &user.name);
        p->roles[p->n_roles++] = user;
    }
    struct policy_role r = p->roles[i];
    p->roles[i] = p->roles[0];
    p->roles[0] = r;
}
