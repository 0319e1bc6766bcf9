/* The administrator's requests about second factors, devices and countries; form and codes as
 * admin.h:
 *
 * {"cmd":"otp-enrol","user","replace"?:bool,"alg"?:"sha1|sha256"}
 *     -> {"user","uri","secret"}: told once, and never again
 * {"cmd":"otp-remove","user"} -> {"user"}
 * {"cmd":"otp-list"} -> {"otp":[{"user","enrolled","alg","digits"}]}
 * {"cmd":"device-list","user"?} -> {"devices":[{"user","device","by","name","state",
 *     "first_seen","decided"?,"approved_by"?}]}
 * {"cmd":"device-approve","user","device","by"?}   {"cmd":"device-revoke","user",
 * "device","by"?}   {"cmd":"device-rename","user","device","name"} -> {"user","device",...}
 * {"cmd":"country-list","user"?} -> {"countries":[{"user","country","when","by"}]}
 * {"cmd":"country-allow","user","country","by"?}   {"cmd":"country-forget","user","country"}
 *     -> {"user","country","before","after"}
 *
 * by is the monitor's word: who asked.
 */
#ifndef APP_VAULT_FACTOR_H
#define APP_VAULT_FACTOR_H
#include "app/vault/admin.h"
#include "app/vault/core.h"

struct factor {
    struct vault *v;
    struct disk *disk; /* NULL: nothing is saved */
    struct rng *rng;
    struct wall now;
    struct str domain; /* default domain, and the issuer that phones' programs show */
};
bool factor_wants(struct str request); /* is that one of these? */
void factor_do(struct factor *f, struct str request, struct admin_reply *ret_r);
/* Users have gone: nothing of theirs is kept for whoever gets the name next. */
void factor_sweep(struct vault *v);
#endif
