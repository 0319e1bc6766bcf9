/* A simulated organisation: who works there, whom they call, and frauds against it. Everything
 * follows from a seed. The judge is the real guard/fraud.h and guard/ledger.h. */
#ifndef TESTS_FRAUD_ORG_H
#define TESTS_FRAUD_ORG_H
#include "guard/fraud.h"
#include "guard/ledger.h"
#include "wire/tel/number.h"

#define PEOPLE   200u
#define YEAR     365u
#define CONTACTS 24u
#define CALLS    65536u /* of a day, or of an incident */

#define CC(a, b) ((uint16_t)((a) << 8 | (b)))

struct number_of_org {
    char e164[20];
    uint16_t country;
    uint8_t kind;
    uint32_t minute_micro;
};
struct call_of_org { /* in order of time */
    int64_t at_us;
    uint32_t user, seconds; /* 0: not answered */
    struct number_of_org to;
    uint16_t source;
    uint8_t what; /* FRAUD_ATTEMPT: a call; else that event alone */
    bool fraud, off_hours;
};
enum work { OFFICE, SALES, SUPPORT, NIGHT, CHIEF };
struct person {
    uint8_t site, work;
    uint16_t hired, leave[3], abroad_from; /* days */
    uint16_t abroad;
    uint32_t rate; /* calls a day in tenths */
    uint16_t markets[4];
    struct number_of_org contacts[CONTACTS];
};
struct rnd {
    uint64_t s;
};
struct org {
    struct rnd r;
    struct person p[PEOPLE];
    bool holiday[YEAR];
    uint16_t conference; /* first day of that week */
    int64_t began_us;
};
uint32_t rnd_below(struct rnd *r, uint32_t n);
bool rnd_share(struct rnd *r, uint32_t percent);
uint32_t rnd_exp(struct rnd *r, uint32_t mean);

void org_make(struct org *g, uint64_t seed);
/* Calls of that day of one person. Appends; the caller sorts. */
size_t org_day(const struct org *g, uint64_t seed, uint32_t day, uint32_t who,
               struct call_of_org *v, size_t n);
struct number_of_org number_in(struct rnd *r, uint16_t country, uint16_t home, bool mobile);

enum crime { STOLEN, IRSF_SLOW, IRSF_FAST, WANGIRI, PUMPING, SIM_BOX, INSIDER, CRIMES };
const char *crime_name(enum crime c);
/* The calls of an incident against who, from that day on; days: how long. */
size_t crime_calls(const struct org *g, struct rnd *r, enum crime c, unsigned intensity,
                   uint32_t day, uint32_t who, struct call_of_org *v, uint32_t *ret_days);
#endif
