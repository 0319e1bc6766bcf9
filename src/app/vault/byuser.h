/* Rows that belong to users (devices, countries), kept densely and found by their user. A row is
 * any struct that begins with its user's AOR, `char aor[BY_USER_AOR + 1]`. Single thread; pointers
 * to rows keep until the next by_user_add or by_user_drop. */
#ifndef APP_VAULT_BYUSER_H
#define APP_VAULT_BYUSER_H
#include "base/map.h"
#include "base/siphash.h"

#define BY_USER_AOR 128u
struct by_user {
    uint8_t *v;
    size_t size; /* of a row */
    uint32_t n, cap, max;
    struct map map;
    void *map_mem;
    struct sipkey key;
};
void by_user_init(struct by_user *t, size_t size, uint32_t max, const struct sipkey *key);
void by_user_done(struct by_user *t);
void *by_user_at(const struct by_user *t, uint32_t i); /* i < n */
/* The next row of that user; *it = 0 at start; NULL at the end. O(1) each. */
void *by_user_next(const struct by_user *t, struct str aor, uint32_t *it);
/* A new row, zeroed but for its AOR. ERR_LIMIT: an AOR of 1 to BY_USER_AOR bytes is wanted;
 * ERR_FULL: max, or no memory. */
MUST_CHECK enum err by_user_add(struct by_user *t, struct str aor, void **ret_row);
void by_user_drop(struct by_user *t, const void *row); /* another one moves to its place */
/* Puts printable ASCII of s into to, which has room for max + 1 bytes; the rest is left out. */
void by_user_text(char *to, size_t max, struct str s);
#endif
