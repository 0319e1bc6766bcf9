/* Who exists and what they may do; no secrets. A flat, pointer-free, immutable snapshot that the
 * vault makes from its users and that the engines read: open addressing by FNV hash of the
 * lower-cased AOR (built from local data, so the hash needs no key). */
#ifndef CALL_DIRECTORY_H
#define CALL_DIRECTORY_H
#include "base/instant.h"
#include "base/str.h"

#define DIRECTORY_MAGIC   0x52574452u
#define DIRECTORY_AOR_MAX 128u
enum directory_flag {
    DIRECTORY_SECOND_FACTOR = 1, /* the vault holds a seed of one-time codes */
    DIRECTORY_MUST_CHANGE = 2,   /* the password has expired: emergency calls only */
};
enum directory_state { DEVICE_APPROVED = 1, DEVICE_REVOKED };
struct directory_device {
    uint64_t id; /* identity/device.h */
    uint8_t state, pad[7];
};
#define DIRECTORY_DEVICES   16u /* of one user */
#define DIRECTORY_NUMBERS   16u
#define DIRECTORY_COUNTRIES 64u /* of one user */
struct directory_user {
    uint32_t aor_off; /* "user@domain" in text */
    uint16_t aor_len;
    uint8_t
        role; /* index among the policy's roles by name at build time is not known to the vault: */
    char role_name[21];         /* so the name travels; terminated */
    struct wall md5_until;      /* live MD5 waiver; 0 = none */
    struct wall password_until; /* 0: does not expire */
    char site_name[21];         /* empty: the first site */
    uint8_t flags;              /* enum directory_flag */
    uint8_t n_devices, n_numbers;
    uint32_t devices_at;  /* index of its first device */
    uint32_t numbers_off; /* its numbers in text, E.164 with '+', the first is what callees see;
                             each ends with a space */
    uint16_t numbers_len;
    uint8_t n_countries;
    uint32_t countries_at; /* index of its first country */
};
struct directory {
    uint32_t magic, version;
    uint64_t bytes;            /* of the whole blob */
    uint32_t n_users, n_slots; /* n_slots a power of two >= 2 * n_users */
    uint64_t users_off, slots_off /* uint32_t user index + 1 */, text_off, text_n, text_cap;
    uint32_t n_md5; /* users with an MD5 waiver */
    uint32_t users_cap, n_devices, devices_cap;
    uint64_t devices_off, numbers_off; /* numbers: open addressing by FNV hash, as slots */
    uint32_t n_numbers, number_slots;
    uint64_t countries_off; /* uint16_t, 'A' << 8 | 'T' */
    uint32_t n_countries, countries_cap;
};
struct directory_number { /* a slot */
    uint32_t user, off;   /* user: index + 1; 0: free. off: in text */
    uint32_t len;
};
size_t directory_bytes(uint32_t n_users, size_t text_bytes);
/* Builds into mem (zeroed, directory_bytes): directory_begin, directory_add for each, done. */
void directory_begin(struct directory *d, uint32_t n_users, size_t text_bytes);
MUST_CHECK enum err directory_add(struct directory *d, struct str aor, struct str role,
                                  struct wall md5_until);
/* Magic, version, layout and every index and length in it. O(n). */
MUST_CHECK enum err directory_valid(const struct directory *d, size_t bytes);
/* directory_add with all that is known of a user; ERR_LIMIT too when it has too many devices,
 * numbers or countries; ERR_EXISTS also when a number is somebody else's. */
struct directory_entry {
    struct str aor, role, site, numbers; /* numbers: separated by spaces */
    struct wall md5_until, password_until;
    uint8_t flags, n_devices, n_countries;
    const struct directory_device *devices;
    const uint16_t *countries; /* that the user was let call */
};
MUST_CHECK enum err directory_put(struct directory *d, const struct directory_entry *e);
/* Room for so many users, with so many of each in all. */
struct directory_room {
    uint32_t users, devices, numbers, countries;
    size_t text; /* bytes of AORs and numbers, one more for each number */
};
size_t directory_bytes_of(const struct directory_room *r);
void directory_begin_of(struct directory *d, const struct directory_room *r);
struct str directory_aor(const struct directory *d, const struct directory_user *u);
/* 0: the device is not known, else enum directory_state. */
uint8_t directory_device(const struct directory *d, const struct directory_user *u, uint64_t id);
/* Was that user let call that country (identity/rights.h: rights_abroad)? u NULL: no. */
bool directory_country(const struct directory *d, const struct directory_user *u, uint16_t country);
/* Whose number that is ("+4930123"); NULL: nobody's. O(1). */
const struct directory_user *directory_number(const struct directory *d, struct str e164);
/* Its nth number; empty: there is none. */
struct str directory_number_of(const struct directory *d, const struct directory_user *u,
                               unsigned n);
/* user and host without case of the host; user exact. NULL if unknown. d may be NULL. */
const struct directory_user *directory_find(const struct directory *d, struct str user,
                                            struct str host);
#endif
