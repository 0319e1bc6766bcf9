/* The vault's files. First byte: 'u' users, 'p' peers, 'd' devices, 'o' seeds, 'c' countries, as
 * they are; capitals put a right head and a right checksum round the lines, so that these are
 * reached. What is read is written and read again the same. */
#include "app/vault/countries.h"
#include "app/vault/devices.h"
#include "app/vault/otp.h"
#include "app/vault/peers.h"
#include "app/vault/sealed.h"
#include "app/vault/users.h"

#define ROOM (1u << 20)
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
static char wrapped[ROOM], one[ROOM], two[ROOM];

static struct str wrap(struct str lines, struct str kind)
{
    struct out o = out_of(wrapped, sizeof(wrapped));
    uint32_t count = 0;
    sealed_head(&o, kind);
    out_put(&o, lines);
    if (lines.n > 0 && lines.p[lines.n - 1] != '\n')
        out_ch(&o, '\n');
    for (size_t i = 0; i < o.n; i++)
        count += o.p[i] == '\n';
    return sealed_tail(&o, count - 1) == OK ? out_str(&o) : STR_NONE;
}

static void users(struct str file)
{
    static const struct sipkey key = {1, 2};
    struct users a, b;
    uint32_t line = 0;
    const char *why = NULL;
    struct out x = out_of(one, sizeof(one)), y = out_of(two, sizeof(two));
    users_init(&a, &key);
    users_init(&b, &key);
    if (users_parse(&a, file, &line, &why) != OK) {
        CHECK(line > 0 && why && *why);
    } else if (users_bytes(&a) <= ROOM) {
        CHECK(users_print(&a, &x) == OK && x.n <= users_bytes(&a));
        CHECK(users_parse(&b, out_str(&x), &line, &why) == OK);
        CHECK(users_print(&b, &y) == OK && str_eq(out_str(&x), out_str(&y)));
    }
    users_done(&a);
    users_done(&b);
}

static void peers(struct str file)
{
    static struct peers a, b;
    uint32_t line = 0;
    const char *why = NULL;
    struct out x = out_of(one, PEERS_FILE_MAX), y = out_of(two, PEERS_FILE_MAX);
    a.n = b.n = 0;
    if (peers_parse(&a, file, &line, &why) != OK) {
        CHECK(line > 0 && why && *why);
        return;
    }
    CHECK(peers_print(&a, &x) == OK);
    CHECK(peers_parse(&b, out_str(&x), &line, &why) == OK);
    CHECK(peers_print(&b, &y) == OK && str_eq(out_str(&x), out_str(&y)));
}

static void devices(struct str file)
{
    static const struct sipkey key = {1, 2};
    struct devices a, b;
    uint32_t line = 0;
    const char *why = NULL;
    struct out x = out_of(one, sizeof(one)), y = out_of(two, sizeof(two));
    devices_init(&a, &key);
    devices_init(&b, &key);
    if (devices_parse(&a, file, &line, &why) != OK) {
        CHECK(line > 0 && why && *why);
    } else if (devices_bytes(&a) <= ROOM) {
        CHECK(a.n_known <= a.rows.n);
        CHECK(devices_print(&a, &x) == OK && x.n <= devices_bytes(&a));
        CHECK(devices_parse(&b, out_str(&x), &line, &why) == OK);
        CHECK(devices_print(&b, &y) == OK && str_eq(out_str(&x), out_str(&y)));
    }
    devices_done(&a);
    devices_done(&b);
}

static void countries(struct str file)
{
    static const struct sipkey key = {1, 2};
    struct countries a, b;
    uint32_t line = 0;
    const char *why = NULL;
    struct out x = out_of(one, sizeof(one)), y = out_of(two, sizeof(two));
    countries_init(&a, &key);
    countries_init(&b, &key);
    if (countries_parse(&a, file, &line, &why) != OK) {
        CHECK(line > 0 && why && *why);
    } else if (countries_bytes(&a) <= ROOM) {
        CHECK(countries_print(&a, &x) == OK && x.n <= countries_bytes(&a));
        CHECK(countries_parse(&b, out_str(&x), &line, &why) == OK);
        CHECK(countries_print(&b, &y) == OK && str_eq(out_str(&x), out_str(&y)));
    }
    countries_done(&a);
    countries_done(&b);
}

static void seeds(struct str file)
{
    static const struct sipkey key = {1, 2};
    static const struct otp_seed dummy = {.alg = OTP_SHA1, .digits = 6, .n = 20};
    static struct otps a, b;
    uint32_t line = 0;
    const char *why = NULL;
    struct out x = out_of(one, sizeof(one)), y = out_of(two, sizeof(two));
    otps_init(&a, &key, &dummy);
    otps_init(&b, &key, &dummy);
    if (otps_parse(&a, file, &line, &why) != OK) {
        CHECK(line > 0 && why && *why);
    } else if (otps_bytes(&a) <= ROOM) {
        CHECK(otps_print(&a, &x) == OK && x.n <= otps_bytes(&a));
        CHECK(otps_parse(&b, out_str(&x), &line, &why) == OK);
        CHECK(otps_print(&b, &y) == OK && str_eq(out_str(&x), out_str(&y)));
    }
    otps_done(&a);
    otps_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str rest = str_of((const char *)data + 1, n - (n > 0));
    if (n == 0)
        return 0;
    if (data[0] == 'u')
        users(rest);
    else if (data[0] == 'U')
        users(wrap(rest, STR("users")));
    else if (data[0] == 'p')
        peers(rest);
    else if (data[0] == 'P')
        peers(wrap(rest, STR("peers")));
    else if (data[0] == 'd')
        devices(rest);
    else if (data[0] == 'D')
        devices(wrap(rest, STR("devices")));
    else if (data[0] == 'c')
        countries(rest);
    else if (data[0] == 'C')
        countries(wrap(rest, STR("countries")));
    else if (data[0] == 'o')
        seeds(rest);
    else if (data[0] == 'O')
        seeds(wrap(rest, STR("otp")));
    return 0;
}
