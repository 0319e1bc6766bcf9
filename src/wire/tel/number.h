/* Telephone numbers: what a site's users dial becomes an international number (E.164), and what
 * kind of number that is, by metadata that the build makes from a public source (its version is
 * number_source). Unknown is never taken for cheap. Pure, allocates nothing. */
#ifndef WIRE_TEL_NUMBER_H
#define WIRE_TEL_NUMBER_H
#include "base/err.h"
#include "base/str.h"

enum number_class {
    CLASS_UNKNOWN,   /* no such number is known: treated as the dearest */
    CLASS_INTERNAL,  /* a user or extension here */
    CLASS_EMERGENCY, /* by number or URN */
    CLASS_LOCAL,     /* of the site's country and area */
    CLASS_NATIONAL,
    CLASS_MOBILE,        /* of the site's country */
    CLASS_TOLL_FREE,     /* the callee pays */
    CLASS_INTERNATIONAL, /* another country, land line or mobile: rights name countries */
    CLASS_SHARED_COST,
    CLASS_PREMIUM,   /* premium rate anywhere, pagers and personal numbers too */
    CLASS_SATELLITE, /* 870, 878, 881, 882, 883, 888 and what else is no country; 979 is premium */
    CLASS_COUNT
};
struct str number_class_name(enum number_class c); /* "local", "toll-free"... */
bool number_class_parse(struct str s, enum number_class *ret_c);

/* How people of a site dial. Texts are the caller's; digits only; empty: not used. */
struct dial_plan {
    uint16_t country;         /* ISO 3166, two letters: 'D' << 8 | 'E' */
    struct str area;          /* national code of the place, without trunk prefix: "30" */
    struct str international; /* "00", "011"; '+' is always understood */
    struct str national;      /* trunk prefix "0", "1" */
    struct str outside;       /* "9" for a line; empty: none */
};
#define NUMBER_MAX 20u
struct number {
    uint8_t n;
    char e164[NUMBER_MAX]; /* "+4930123456"; empty for CLASS_INTERNAL, CLASS_EMERGENCY, short
                              numbers and what no plan makes a number */
    uint16_t country;      /* 0: none (satellite, global) */
    uint8_t kind;          /* enum number_class, seen from the plan's country */
};
/* dialled: user part as dialled, unescaped; visual separators are skipped. Classes by itself all
 * but INTERNAL, which only a directory can know. ERR_SYNTAX: no digits, other
 * characters, or more than 18 digits of the number itself (24 with prefixes). Bounded by
 * the length of a number. */
MUST_CHECK enum err number_of(const struct dial_plan *p, struct str dialled, struct number *ret_n);
/* The class of an international number seen from that country. */
enum number_class number_classify(uint16_t from_country, struct str e164, uint16_t *ret_country);
uint16_t country_parse(struct str two_letters); /* 0: none known */
/* How people of a country dial; area and outside stay empty. false: no such country. */
bool number_plan_default(uint16_t country, struct dial_plan *ret_p);
/* Is that dialled for help there? 112 and 911 are everywhere, with country 0 too. */
bool number_emergency(uint16_t country, struct str digits);
struct str number_source(void); /* "libphonenumber 8.12.57" as the build read it */
#endif
