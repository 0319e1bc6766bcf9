#include "identity/rights.h"

bool rights_open(const struct rights_site *s, struct wall now)
{
    (void)now;
    return !s->n_week;
}

enum err rights_role_valid(const struct rights_role *r)
{
    return r->n_countries == RIGHTS_ALL || r->n_countries <= RIGHTS_COUNTRIES ? OK : ERR_RANGE;
}

enum err rights_site_valid(const struct rights_site *s)
{
    return s->n_week <= RIGHTS_WEEK && s->n_holidays <= RIGHTS_HOLIDAYS &&
                   s->n_shifts <= RIGHTS_ZONE_SHIFTS
               ? OK
               : ERR_RANGE;
}
