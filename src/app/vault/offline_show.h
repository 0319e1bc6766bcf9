/* What the offline commands read, and replies printed as `ringwall user` prints them. */
#ifndef APP_VAULT_OFFLINE_SHOW_H
#define APP_VAULT_OFFLINE_SHOW_H
#include "app/vault/disk.h"
#include "base/rng.h"
#include "crypto/password.h"
#include <jansson.h>

/* One line of standard input. */
bool offline_password(char ret[PASSWORD_MAX + 2], struct str *ret_s);
bool offline_date(const char *text, int64_t *ret_s); /* "2027-06-30": the last second of the day */
/* offline_forget.c: of users who are not there any more, nothing is kept for the next of that name.
 */
MUST_CHECK enum err offline_forget(struct disk *d, struct rng *rng);
void offline_people(const json_t *j);
#endif
