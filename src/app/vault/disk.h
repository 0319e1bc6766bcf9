/* The vault's folder: users, peers, keys/NAME.pem, lock. Everything in it is 0600 and belongs to
 * whom the folder belongs to. A replaced file is the old or the new one, never half of each. */
#ifndef APP_VAULT_DISK_H
#define APP_VAULT_DISK_H
#include "app/vault/countries.h"
#include "app/vault/devices.h"
#include "app/vault/otp.h"
#include "app/vault/peers.h"
#include "app/vault/users.h"
#include "crypto/key.h"

#define DISK_WHY_MAX 800u
struct disk {
    const char *folder;     /* "." inside the sandbox */
    int lock;               /* -1: not held */
    char why[DISK_WHY_MAX]; /* after an error: what, where, and what to do */
};
/* Takes the lock. ERR_EXISTS: another vault (the running gateway) has it. */
MUST_CHECK enum err disk_open(struct disk *d, const char *folder);
void disk_close(struct disk *d);
/* No file: empty, OK. A file that is not right is refused and left as it is. */
MUST_CHECK enum err disk_users_load(struct disk *d, struct users *u);
MUST_CHECK enum err disk_users_save(struct disk *d, const struct users *u);
MUST_CHECK enum err disk_peers_load(struct disk *d, struct peers *p);
MUST_CHECK enum err disk_peers_save(struct disk *d, const struct peers *p);
/* Keys of webhooks, passwords of mail servers: file "secrets". */
MUST_CHECK enum err disk_secrets_load(struct disk *d, struct peers *p);
MUST_CHECK enum err disk_secrets_save(struct disk *d, const struct peers *p);
MUST_CHECK enum err disk_otps_load(struct disk *d, struct otps *o);
MUST_CHECK enum err disk_otps_save(struct disk *d, const struct otps *o);
MUST_CHECK enum err disk_devices_load(struct disk *d, struct devices *v);
MUST_CHECK enum err disk_devices_save(struct disk *d, const struct devices *v);
MUST_CHECK enum err disk_countries_load(struct disk *d, struct countries *c);
MUST_CHECK enum err disk_countries_save(struct disk *d, const struct countries *c);
/* name: letters, digits, - _ and inner dots. */
/* Another file of the folder, whole. *ret_p: the caller's to free, NULL where there is no file. */
MUST_CHECK enum err disk_text_load(struct disk *d, const char *name, char **ret_p, size_t *ret_n);
MUST_CHECK enum err disk_text_save(struct disk *d, const char *name, struct str text);
MUST_CHECK enum err disk_key_load(struct disk *d, struct str name, struct key **ret_k);
/* ERR_EXISTS: never overwrites a key. */
MUST_CHECK enum err disk_key_save(struct disk *d, struct str name, const struct key *k);
#endif
