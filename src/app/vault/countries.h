/* The countries that users were let call: by their own one-time code, or by an administrator.
 * Single thread. */
#ifndef APP_VAULT_COUNTRIES_H
#define APP_VAULT_COUNTRIES_H
#include "app/vault/byuser.h"
#include "base/out.h"
#include "call/directory.h"

#define COUNTRY_AOR_MAX BY_USER_AOR
#define COUNTRY_BY_MAX  64u
#define COUNTRY_TEXT    3u /* with its end */
#define COUNTRIES_MAX   1000000u
struct country {
    char aor[COUNTRY_AOR_MAX + 1];
    char by[COUNTRY_BY_MAX + 1]; /* who said so */
    uint16_t code;               /* identity/rights.h: rights_abroad */
    struct wall when;
};
struct countries {
    struct by_user rows; /* struct country */
    bool changed;        /* since it was saved */
};
void countries_init(struct countries *c, const struct sipkey *key);
void countries_done(struct countries *c);
/* The next country of that user; *it = 0 at start; NULL at the end. */
const struct country *countries_next(const struct countries *c, struct str aor, uint32_t *it);
const struct country *countries_find(const struct countries *c, struct str aor, uint16_t code);
/* ERR_EXISTS: it was allowed already, and stays as it was. ERR_LIMIT: the user has
 * DIRECTORY_COUNTRIES; ERR_FULL; ERR_SYNTAX: no such country. by: cut and cleaned. */
MUST_CHECK enum err countries_allow(struct countries *c, struct str aor, uint16_t code,
                                    struct str by, struct wall now);
bool countries_forget(struct countries *c, struct str aor,
                      uint16_t code); /* false: was not there */
void countries_forget_user(struct countries *c, struct str aor);
size_t countries_bytes(const struct countries *c);
MUST_CHECK enum err countries_print(const struct countries *c, struct out *o);
/* Into an empty table. ERR_SYNTAX: *reterr_line and *reterr_why tell; the table must be dropped. */
MUST_CHECK enum err countries_parse(struct countries *c, struct str file, uint32_t *reterr_line,
                                    const char **reterr_why);
/* Two letters of a country with numbers, or XX for those of none (satellite). 0: neither. */
uint16_t country_code(struct str two);
void country_text(uint16_t code, char ret[COUNTRY_TEXT]);
#endif
