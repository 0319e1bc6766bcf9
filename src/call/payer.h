/* Who pays, by which caps and prices: shared by money.c, the fraud gate and the replay of call
 * records, so that what they look at is what the ledger will be asked. */
#ifndef CALL_PAYER_H
#define CALL_PAYER_H
#include "call/gates.h"

struct payer {
    struct str who;                 /* "alice@example.com", or a peer's name */
    const struct rights_site *site; /* never NULL */
    uint8_t role;                   /* policy's; POLICY_NONE of a peer */
    bool user, off_hours;
};
struct payer money_payer(const struct gate_env *e, struct str who, struct wall now);
/* NULL: only counted. */
const struct caps *money_caps(const struct policy *p, const struct payer *x, uint8_t kind,
                              uint8_t number_class, uint8_t peer);
/* Those of a country; NULL: only counted. */
const struct caps *money_country_caps(const struct policy *p, uint16_t country);
/* The longest of the prefixes with caps that the number ("+4930123456") begins with; NULL: none. */
const struct policy_place *money_place(const struct policy *p, struct str number);
/* What one call counts for. */
struct money_bill {
    const struct payer *by;
    uint64_t device;   /* that he calls from; 0: not known */
    struct str number; /* "+4930123456"; empty: no international number */
    uint16_t country;
    uint8_t kind;          /* enum number_class */
    uint8_t rate_prefix_n; /* digits of the prefix that its price is for */
    uint8_t peer;          /* POLICY_NONE: no trunk, or not known yet */
};
/* Its keys in the ledger, each with its caps as they are now; returns how many. capped: only of
 * those where there is a cap. */
uint8_t money_keys(const struct policy *p, const struct sipkey *k, const struct money_bill *b,
                   bool capped, struct ledger_key ret_v[LEDGER_KEYS]);
/* Somebody has to be paid for that: by a trunk always, by a PBX what is not its own. */
bool money_outside(const struct policy *p, uint8_t peer, uint8_t number_class);
struct rate money_rate(const struct gate_env *e, uint8_t peer, const struct number *to,
                       struct wall now);

/* fraud_unknown where the price is more than nothing and what was spent this month is not known. */
enum reason money_unknown(const struct policy *p, const struct rate *r, struct wall now);

/* Which cap of one key is reached already, if another call begins; first: the least that it would
 * cost. Fills used and cap of *ret. */
enum reason money_reached(const struct ledger_sum *s, const struct caps *c, int64_t first,
                          struct ledger_refusal *ret);

/* What the gate told of that request: only of one that it passed or refused by behaviour. price: by
 * the first peer of its route. */
struct fraud_event gate_fraud_event(const struct gate_env *e, const struct request *r,
                                    const struct payer *who, const struct rate *price);

/* A lock for fraud stands on the board of bans under a key of its own: whoever it is for may
 * register and call within, and no other ban hides it or takes its place. */
uint64_t money_lock_key(const struct sipkey *hash_key, struct str who);
bool money_locked(const struct gate_env *e, struct str who, struct wall now);
#endif
