/* Who exists and what they may do; no secrets. A flat, pointer-free, immutable snapshot that the
 * vault makes from its users and that the engines read: open addressing by FNV hash of the
 * lower-cased AOR (built from local data, so the hash needs no key). */
#ifndef CALL_DIRECTORY_H
#define CALL_DIRECTORY_H
#include "base/instant.h"
#include "base/str.h"

#define DIRECTORY_MAGIC   0x52574452u
#define DIRECTORY_AOR_MAX 128u
struct directory_user {
    uint32_t aor_off; /* "user@domain" in text */
    uint16_t aor_len;
    uint8_t
        role; /* index among the policy's roles by name at build time is not known to the vault: */
    char role_name[21];    /* so the name travels; terminated */
    struct wall md5_until; /* live MD5 waiver; 0 = none */
};
struct directory {
    uint32_t magic, version;
    uint64_t bytes;            /* of the whole blob */
    uint32_t n_users, n_slots; /* n_slots a power of two >= 2 * n_users */
    uint64_t users_off, slots_off /* uint32_t user index + 1 */, text_off, text_n, text_cap;
    uint32_t n_md5, pad; /* users with an MD5 waiver */
};
size_t directory_bytes(uint32_t n_users, size_t text_bytes);
/* Builds into mem (zeroed, directory_bytes): directory_begin, directory_add for each, done. */
void directory_begin(struct directory *d, uint32_t n_users, size_t text_bytes);
MUST_CHECK enum err directory_add(struct directory *d, struct str aor, struct str role,
                                  struct wall md5_until);
MUST_CHECK enum err directory_valid(const struct directory *d, size_t bytes);
/* user and host without case of the host; user exact. NULL if unknown. d may be NULL. */
const struct directory_user *directory_find(const struct directory *d, struct str user,
                                            struct str host);
#endif
