/* second_factor: how a one-time code is given, and how long it counts. */
#include "app/config/yaml.h"

#define SERVICE_DEFAULT "*77"
#define REMEMBER_S      28800u
#define REMEMBER_MAX_S  604800u
#define SERVICE_CHARS   16u

/* Digits, * and #, as a phone can dial them; "off". */
static void rd_service(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    bool off = str_eq(s, STR("off")), good = s.n > 0 && s.n <= SERVICE_CHARS;
    for (size_t i = 0; good && i < s.n; i++)
        good = ascii_digit(s.p[i]) || s.p[i] == '*' || s.p[i] == '#';
    if (!good && !off)
        problem(l, pos_of(n), "digits, * and #, like \"*77\"; or off",
                "%s: \"" STR_FMT "\" is no number that a phone can dial", f->key,
                STR_ARG(str_head(s, 40)));
    else
        (void)text_add(l, pos_of(n), off ? STR("") : s, dst);
    l->service_given = true;
}

void read_second_factor(struct load *l, struct fy_node *n)
{
    static const struct field FACTOR[] = {
        {"service_number", rd_service, offsetof(struct policy, service_number), false, 0, 0, NULL},
        {"remember", rd_seconds, offsetof(struct policy, step_up_s), false, 0, REMEMBER_MAX_S,
         NULL},
    };
    l->p->step_up_s = REMEMBER_S;
    (void)map_read(l, n, "second_factor", FACTOR, ARRAY_LEN(FACTOR), l->p);
    l->factor_given = true;
}

void factor_default(struct load *l)
{
    if (!l->factor_given)
        l->p->step_up_s = REMEMBER_S;
    if (!l->service_given)
        (void)text_add(l, (struct pos){0, 0}, STR(SERVICE_DEFAULT), &l->p->service_number);
}
