/* What a role may do: which calls, when, and what else. Deny by default; emergency always.
 * Lives in the policy snapshot: flat, no pointers. Pure. */
#ifndef IDENTITY_RIGHTS_H
#define IDENTITY_RIGHTS_H
#include "base/instant.h"
#include "base/reasons.h"
#include "base/str.h"
#include "wire/tel/number.h"

#define RIGHTS_COUNTRIES   48u
#define RIGHTS_SITES       16u
#define RIGHTS_WEEK        14u /* spans of open hours */
#define RIGHTS_HOLIDAYS    64u
#define RIGHTS_ZONE_SHIFTS 24u
enum feature {
    FEATURE_TRANSFER_OUT = 1, /* REFER to somebody outside */
    FEATURE_FORWARD_OUT = 2,  /* 3xx or forwarding to somebody outside */
    FEATURE_RECORD = 4,
    FEATURE_ANONYMOUS = 8, /* hide the number from those called outside */
    FEATURE_CONFERENCE = 16,
    FEATURE_VOICEMAIL_OUTCALL = 32,
};
struct rights_role {
    uint16_t classes;     /* bit per enum number_class */
    uint16_t off_classes; /* those that stay open outside of the site's hours */
    uint16_t step_up;     /* those that need a one-time code first, and are open with it */
    bool step_up_country; /* the first call to a country does, too */
    bool second_factor;   /* new devices are quarantined */
    uint8_t n_countries;  /* of CLASS_INTERNATIONAL; all: RIGHTS_ALL */
    uint16_t countries[RIGHTS_COUNTRIES];
    uint32_t features;      /* enum feature */
    uint32_t password_days; /* 0: does not expire */
};
#define RIGHTS_ALL        0xffu
#define RIGHTS_NO_COUNTRY ((uint16_t)('X' << 8 | 'X')) /* satellite and other global ranges */
struct rights_site {
    struct span name;
    struct span area, international, national, outside; /* of the plan, in the policy's text */
    uint16_t country;
    uint8_t n_week; /* 0: always open, but for holidays */
    struct {        /* minutes since Monday 0:00 local time; from < to */
        uint16_t from, to;
    } week[RIGHTS_WEEK];
    uint8_t n_holidays;
    int32_t holidays[RIGHTS_HOLIDAYS]; /* days since 1970, local */
    uint8_t n_shifts;
    struct { /* local time is wall + offset from then on; sorted */
        int64_t from_us;
        int32_t offset_s;
    } shifts[RIGHTS_ZONE_SHIFTS];
};
bool rights_open(const struct rights_site *s, struct wall now); /* within hours, no holiday */
/* REASON_NONE, right_class, right_country, right_hours; right_step_up where a code would do. A dear
 * number (premium, shared cost) of another country needs the right to call that, too. s may be
 * NULL: always open. */
enum reason rights_call(const struct rights_role *r, const struct rights_site *s,
                        const struct number *to, struct wall now);
/* The country other than the site's that a call to that number costs money in: of any class, with
 * RIGHTS_NO_COUNTRY for numbers that are of none. 0: it stays at home, inside, is a call for help
 * or the callee pays. s NULL or without a country: every country is another. */
uint16_t rights_abroad(const struct rights_site *s, const struct number *to);
/* Every count inside its bounds; spans are the policy's to judge. */
MUST_CHECK enum err rights_role_valid(const struct rights_role *r);
MUST_CHECK enum err rights_site_valid(const struct rights_site *s);
/* What an untouched install gives: internal, emergency, local, national, toll-free and mobile open,
 * everything else closed. */
void rights_role_default(struct rights_role *r);
#endif
