/* `ringwall-vault --state DIR query`: one request of a line of standard input, as the control
 * socket takes it, while no gateway runs; the answer in the control socket's form. */
#include "app/vault/core.h"
#include "app/vault/factor.h"
#include "app/vault/offline.h"
#include "io/clock.h"
#include "io/rand.h"
#include <unistd.h>

static int failed(const char *why)
{
    (void)fprintf(stderr, "ringwall-vault: %s\n", why);
    return OFFLINE_FAILED;
}

static enum err load(struct disk *d, struct vault *v)
{
    enum err e = disk_users_load(d, &v->users);
    if (e == OK)
        e = disk_peers_load(d, &v->peers);
    if (e == OK)
        e = disk_secrets_load(d, &v->secrets);
    if (e == OK)
        e = disk_otps_load(d, &v->otps);
    if (e == OK)
        e = disk_devices_load(d, &v->devices);
    return e == OK ? disk_countries_load(d, &v->countries) : e;
}

static void answer(struct disk *d, struct vault *v, struct rng *rng, const char *domain,
                   struct str req)
{
    struct admin a = {.users = &v->users,
                      .peers = &v->peers,
                      .secrets = &v->secrets,
                      .disk = d,
                      .rng = rng,
                      .now = clock_now().wall};
    struct str first = v->users.n > 0 ? user_domain(v->users.v[0]) : STR_NONE;
    (void)snprintf(a.domain, sizeof(a.domain), STR_FMT, STR_ARG(domain ? str_c(domain) : first));
    struct factor f = {v, d, rng, a.now, str_c(a.domain)};
    struct admin_reply r = {.code = CONTROL_FORBIDDEN};
    if (str_eq(control_member(req, "cmd"), STR("notify-secret")))
        printf("%u 12\n{\"error\":\"\"}", CONTROL_FORBIDDEN);
    else if (factor_wants(req))
        factor_do(&f, req, &r);
    else
        admin_do(&a, req, &r);
    if (r.text)
        printf("%u %zu\n" STR_FMT, (unsigned)r.code, r.n, (int)r.n, r.text);
    admin_reply_done(&r);
    (void)fflush(stdout);
}

/* OFFLINE_OK: there is an answer, whatever it says. */
int query_main(const char *state, const char *domain)
{
    static char text[CONTROL_REQUEST_MAX], plain[CONTROL_REQUEST_MAX];
    char folder[512];
    uint8_t seed[64];
    struct sipkey key;
    struct rng rng;
    struct disk d;
    struct vault *v = NULL;
    size_t n = fread(text, 1, sizeof(text), stdin);
    struct out o = out_of(plain, sizeof(plain));
    int len = snprintf(folder, sizeof(folder), "%s/vault", state);
    if (len < 0 || (size_t)len >= sizeof(folder) || n == sizeof(text) ||
        !control_without(str_of(text, str_find(str_of(text, n), '\n')), "reason", &o))
        return failed("the request is not one short object");
    if (rand_bytes(seed, sizeof(seed)) != OK)
        return failed("no random numbers");
    rng_init(&rng, seed);
    rng_bytes(&rng, &key, sizeof(key));
    enum err e = disk_open(&d, folder);
    if (e != OK) {
        (void)failed(d.why);
        return e == ERR_EXISTS ? OFFLINE_RUNNING : OFFLINE_FAILED;
    }
    e = vault_new(&key, seed + 32, &v);
    if (e == OK)
        e = load(&d, v);
    if (e == OK)
        answer(&d, v, &rng, domain, out_str(&o));
    else
        (void)failed(d.why);
    vault_free(v);
    disk_close(&d);
    mem_wipe(text, sizeof(text)); /* may hold a secret */
    mem_wipe(plain, sizeof(plain));
    mem_wipe(seed, sizeof(seed));
    return e == OK ? OFFLINE_OK : OFFLINE_FAILED;
}
