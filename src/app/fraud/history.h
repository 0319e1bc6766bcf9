/* `ringwall fraud replay`: rights by class, prices, caps, ledger and behaviour over call records,
 * with the records' own clock. What records cannot show is assumed, and told: a lock lasts a day if
 * the configuration has it last until released; one-time codes are never given. */
#ifndef APP_FRAUD_HISTORY_H
#define APP_FRAUD_HISTORY_H
#include "app/fraud/records.h"
#include "call/policy.h"
#include "guard/rates.h"
#include <jansson.h>

struct history_opts {
    const struct policy *policy; /* keeps while it runs */
    const struct rates *rates;   /* NULL: by class, or as the records say */
    FILE *progress;              /* NULL: none */
};
/* gives; NULL: no memory */
json_t *history_judge(const struct records *r, const struct history_opts *o);
#endif
