/* Devices of users, as they were seen, and what was said of them. Single thread. */
#ifndef APP_VAULT_DEVICES_H
#define APP_VAULT_DEVICES_H
#include "app/vault/byuser.h"
#include "base/out.h"
#include "call/directory.h"
#include "identity/device.h"

#define DEVICE_AOR_MAX  BY_USER_AOR
#define DEVICE_NAME_MAX 48u
#define DEVICE_BY_MAX   64u
#define DEVICES_NEW_MAX 8u /* of one user, not yet approved or revoked: the oldest goes */
#define DEVICES_MAX     1000000u
enum device_seen { DEVICE_NEW = 0 }; /* beside DEVICE_APPROVED and DEVICE_REVOKED */
struct device {
    char aor[DEVICE_AOR_MAX + 1];
    char name[DEVICE_NAME_MAX + 1];
    char approved_by[DEVICE_BY_MAX + 1];
    uint64_t id;
    uint8_t by, state; /* enum device_by; DEVICE_NEW or enum directory_state */
    struct wall first, decided;
};
struct devices {
    struct by_user rows; /* struct device */
    uint32_t n_known;    /* approved and revoked ones: those that the directory holds */
    bool changed;        /* since it was saved */
};
void devices_init(struct devices *d, const struct sipkey *key);
void devices_done(struct devices *d);
/* The next device of that user; *it = 0 at start; NULL at the end. */
struct device *devices_next(const struct devices *d, struct str aor, uint32_t *it);
struct device *devices_find(const struct devices *d, struct str aor, uint64_t id);
/* A registration came from it. OK: it is new; ERR_EXISTS: it was known. ERR_FULL, ERR_LIMIT. agent:
 * cut and cleaned, its first name. */
MUST_CHECK enum err devices_seen(struct devices *d, struct str aor, uint64_t id, enum device_by by,
                                 struct str agent, struct wall now);
/* Approves or revokes. ERR_LIMIT: the user has DIRECTORY_DEVICES such devices already. */
MUST_CHECK enum err devices_decide(struct devices *d, struct device *x, enum directory_state s,
                                   struct str who, struct wall now);
MUST_CHECK enum err device_rename(struct device *x, struct str name); /* printable; ERR_SYNTAX */
void devices_forget(struct devices *d, struct str aor);               /* all of a user */
size_t devices_bytes(const struct devices *d);
MUST_CHECK enum err devices_print(const struct devices *d, struct out *o);
MUST_CHECK enum err devices_parse(struct devices *d, struct str file, uint32_t *reterr_line,
                                  const char **reterr_why);
const char *device_state_name(uint8_t state);
const char *device_by_name(uint8_t by);
#endif
