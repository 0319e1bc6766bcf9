/* A user who went while the gateway does not run takes seed, devices and countries along. */
#include "app/vault/factor.h"
#include "app/vault/offline_show.h"

enum err offline_forget(struct disk *d, struct rng *rng)
{
    struct sipkey key;
    uint8_t seed[32];
    struct vault *v = NULL;
    rng_bytes(rng, &key, sizeof key);
    rng_bytes(rng, seed, sizeof seed);
    enum err e = vault_new(&key, seed, &v);
    if (e != OK)
        return e;
    e = disk_users_load(d, &v->users);
    if (e == OK)
        e = disk_otps_load(d, &v->otps);
    if (e == OK)
        e = disk_devices_load(d, &v->devices);
    if (e == OK)
        e = disk_countries_load(d, &v->countries);
    if (e == OK)
        factor_sweep(v);
    if (e == OK && v->otps.changed)
        e = disk_otps_save(d, &v->otps);
    if (e == OK && v->devices.changed)
        e = disk_devices_save(d, &v->devices);
    if (e == OK && v->countries.changed)
        e = disk_countries_save(d, &v->countries);
    vault_free(v);
    return e;
}
