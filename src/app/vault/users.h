/* Who may register and call, and the digests of their passwords: a table in the vault's memory and
 * its file. No password is ever in it. Single thread. */
#ifndef APP_VAULT_USERS_H
#define APP_VAULT_USERS_H
#include "base/map.h"
#include "base/out.h"
#include "base/siphash.h"
#include "identity/digest.h"

#define USER_AOR_MAX    128u /* "name@domain" */
#define USER_ROLE_MAX   20u
#define USER_OWNER_MAX  64u
#define USER_REASON_MAX 128u
#define USER_HA1_BYTES  32u
#define USERS_MAX       1000000u
#define USER_SITE_MAX   20u
#define USER_NUMBERS    16u

struct user_md5 { /* waiver; until 0 = none */
    struct wall until;
    char owner[USER_OWNER_MAX + 1], reason[USER_REASON_MAX + 1];
};
struct user {
    char aor[USER_AOR_MAX + 1]; /* domain in lower case; terminated */
    char role[USER_ROLE_MAX + 1];
    uint8_t name_n; /* characters before the @ */
    struct wall created;
    uint8_t ha1[DIGEST_ALG_COUNT][USER_HA1_BYTES]; /* MD5: only with a waiver, else zero */
    struct user_md5 *md5;                          /* NULL without a waiver */
    char site[USER_SITE_MAX + 1];                  /* empty: the first site */
    uint8_t n_numbers;
    uint64_t *numbers;   /* E.164 without the +; the first is what callees see */
    struct wall changed; /* the password */
    bool must_change;    /* an administrator says so: emergency calls only, until it is changed */
    bool second_factor;  /* wished for this user, whatever the role says */
    /* failed tries: a bucket of tokens, in thousandths */
    int32_t tokens_milli;
    struct instant filled;
};
struct owned { /* a number; who NULL: never used, or given up */
    uint64_t number;
    struct user *who;
};
struct users {
    struct user **v;
    uint32_t n, cap;
    struct map map;
    void *map_mem;
    struct sipkey key;
    size_t aor_bytes;    /* of all AORs, for the directory */
    struct owned *owned; /* whose a number is: open addressing, cap_owned a power of two */
    uint32_t n_owned, n_used, cap_owned;
};
void users_init(struct users *u, const struct sipkey *key);
void users_done(struct users *u); /* wipes */
/* realm in any case of letters, name exact. NULL if unknown. */
struct user *users_find(const struct users *u, struct str name, struct str realm);
/* takes x (made by user_new); what it replaces comes back in *ret_old, else NULL there. ERR_EXISTS:
 * one of its numbers is somebody else's (then x is still the caller's, as after every error). */
MUST_CHECK enum err users_put(struct users *u, struct user *x, struct user **ret_old);
struct user *users_take(struct users *u, struct str name, struct str realm); /* gives: user_free */

/* "name@domain" of letters, digits and . _ - + ~ * # before the @, a host name after it. Gives:
 * user_free. ERR_SYNTAX, ERR_LIMIT, ERR_FULL (memory). */
MUST_CHECK enum err user_new(struct str aor, struct user **ret_x);
struct user *user_copy(const struct user *x); /* NULL without memory */
void user_free(struct user *x);               /* wipes; NULL is fine */
static inline struct str user_name(const struct user *x)
{
    return str_of(x->aor, x->name_n);
}
static inline struct str user_domain(const struct user *x)
{
    return str_c(x->aor + x->name_n + 1);
}
/* Digests of the password; MD5 too if the user has a waiver. */
MUST_CHECK enum err user_password(struct user *x, struct str password);
MUST_CHECK enum err user_role(struct user *x, struct str role); /* letters, digits, - and _ */
/* until 0: drops waiver and MD5 digest. A new waiver wants user_password after it. */
MUST_CHECK enum err user_md5_waive(struct user *x, struct wall until, struct str owner,
                                   struct str reason);
bool user_md5_live(const struct user *x, struct wall now);

MUST_CHECK enum err user_site(struct user *x, struct str site); /* as a role; or empty */
/* "+4930123456": + and 3 to 15 digits, the first not 0. ERR_SYNTAX, ERR_LIMIT, ERR_EXISTS (twice),
 * ERR_FULL (memory). Before users_put only: afterwards on a copy. */
MUST_CHECK enum err user_number(struct user *x, struct str e164);
MUST_CHECK enum err user_numbers(struct user *x, struct str list); /* all of them, by spaces */
void user_numbers_put(const struct user *x, struct out *o);        /* "+49301 +49302" */
#define USER_NUMBERS_TEXT (USER_NUMBERS * 17u)
const struct user *users_number(const struct users *u, struct str e164); /* NULL: nobody's */
/* users_put and users_take call them (numbers.c). */
MUST_CHECK enum err numbers_own(struct users *u, struct user *x, const struct user *old);
void numbers_drop(struct users *u, const struct user *x);

/* The file. users_bytes: room that users_print needs. */
size_t users_bytes(const struct users *u);
MUST_CHECK enum err users_print(const struct users *u, struct out *o);
/* Into an empty table. ERR_SYNTAX: *reterr_line and *reterr_why tell; the table must be dropped. */
MUST_CHECK enum err users_parse(struct users *u, struct str file, uint32_t *reterr_line,
                                const char **reterr_why);
#endif
