/* The local authority: what it issues, renews, takes back and lists, by another authority's key or
 * a damaged index not at all. */
#include "base/test.h"

#include "app/vault/admin.h"
#include "app/vault/authority.h"
#include "app/vault/setup.h"
#include "crypto/cert.h"
#include "crypto/hash.h"
#include "io/file.h"
#include <unistd.h>

#define DAY INT64_C(86400000000)
static const struct sipkey KEY = {1, 2};
static const struct wall NOW = {INT64_C(1700000000000000)};

static struct {
    char state[64], folder[96];
    struct setup setup;
    struct disk disk;
    struct users users;
    struct peers peers, secrets;
    struct rng rng;
    struct admin a;
    struct admin_reply r;
    json_t *doc;
} d;

static json_t *ask(const char *request, enum control_code code)
{
    admin_reply_done(&d.r);
    json_decref(d.doc);
    admin_do(&d.a, str_c(request), &d.r);
    if (d.r.code != code)
        print_error("%s\n-> %.*s\n", request, (int)d.r.n, d.r.text);
    assert_int_equal(d.r.code, code);
    d.doc = json_loadb(d.r.text, d.r.n, 0, NULL);
    assert_non_null(d.doc);
    return d.doc;
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    assert_non_null(s);
    return s;
}

static bool says(const char *what)
{
    return strstr(text(d.doc, "error"), what) != NULL;
}

static void path_of(const char *name, char ret[160])
{
    (void)snprintf(ret, 160, "%s/%s", d.folder, name);
}

static int set_up(void **state)
{
    (void)state;
    const uint8_t seed[32] = {9};
    memset(&d, 0, sizeof d);
    (void)snprintf(d.state, sizeof d.state, "/tmp/ringwall-authority-XXXXXX");
    assert_non_null(mkdtemp(d.state));
    (void)snprintf(d.folder, sizeof(d.folder), "%s/vault", d.state);
    d.setup = (struct setup){.state = d.state, .domain = "example.com", .now = NOW};
    assert_ok(setup_folders(&d.setup));
    assert_ok(setup_certs(&d.setup));
    rng_init(&d.rng, seed);
    users_init(&d.users, &KEY);
    assert_ok(disk_open(&d.disk, d.folder));
    d.a = (struct admin){.users = &d.users,
                         .peers = &d.peers,
                         .secrets = &d.secrets,
                         .disk = &d.disk,
                         .rng = &d.rng,
                         .now = NOW,
                         .domain = "example.com"};
    (void)ask("{\"cmd\":\"user-add\",\"user\":\"alice\"}", CONTROL_OK);
    (void)ask("{\"cmd\":\"user-add\",\"user\":\"bob\"}", CONTROL_OK);
    d.a.users_changed = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {
        "users",     "lock",   "keys/ca.pem", "keys/server.pem", "../server.pem",
        "../ca.pem", "ca.pem", "ca.crl",      "certs",           "secrets"};
    char path[160];
    users_done(&d.users);
    disk_close(&d.disk);
    admin_reply_done(&d.r);
    json_decref(d.doc);
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        path_of(files[i], path);
        (void)unlink(path);
    }
    path_of("keys", path);
    (void)rmdir(path);
    (void)rmdir(d.folder);
    assert_int_equal(rmdir(d.state), 0); /* nothing else was left there */
    return 0;
}

static size_t file(const char *name, char *ret, size_t cap)
{
    char path[160];
    size_t n = 0;
    path_of(name, path);
    if (file_read(path, ret, cap - 1, &n) != OK)
        return 0;
    ret[n] = 0;
    return n;
}

/* Is the serial (hex) in the revocation list? */
static bool in_list(const char *serial)
{
    static char pem[65536], b64[65536];
    static uint8_t der[65536];
    uint8_t raw[32];
    size_t n = file("ca.crl", pem, sizeof pem), m = 0, bytes = 0, len = strlen(serial) / 2;
    char *at = n ? strchr(pem, '\n') : NULL;
    if (!at)
        return false;
    for (; *at && *at != '-'; at++)
        if (*at != '\n')
            b64[m++] = *at;
    assert_ok(base64_decode(str_of(b64, m), der, sizeof der, &bytes));
    assert_ok(hex_decode(str_c(serial), raw, len));
    return memmem(der, bytes, raw, len) != NULL;
}

static void issued(const char *request, char ret_serial[CERT_SERIAL_MAX + 1])
{
    const json_t *o = ask(request, CONTROL_OK);
    (void)snprintf(ret_serial, CERT_SERIAL_MAX + 1, "%s", text(o, "serial"));
}

static const char *state_of(const char *serial)
{
    const json_t *x;
    size_t i;
    json_array_foreach(json_object_get(ask("{\"cmd\":\"cert-list\"}", CONTROL_OK), "certs"), i,
                       x) if (strcmp(text(x, "serial"), serial) == 0) return text(x, "state");
    return "absent";
}

static void test_issue(void **state)
{
    (void)state;
    struct cert_facts f;
    static char ca[8192];
    const json_t *o = ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\",\"days\":30}", CONTROL_OK);
    struct str pem = str_c(text(o, "pem"));
    assert_ok(cert_read(pem, &f));
    assert_string_equal(f.serial, text(o, "serial"));
    assert_string_equal(f.sha256, text(o, "sha256"));
    assert_string_equal(f.sans, "sip:alice@example.com");
    assert_false(f.authority);
    assert_true(f.until.us == NOW.us + 30 * DAY && f.from.us <= NOW.us);
    assert_true(file("ca.pem", ca, sizeof ca) > 0);
    o = ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\",\"format\":\"p12\"}", CONTROL_OK);
    assert_true(strlen(text(o, "passphrase")) >= 16 && !json_object_get(o, "pem"));
    o = ask("{\"cmd\":\"cert-authority\"}", CONTROL_OK);
    assert_int_equal(json_integer_value(json_object_get(o, "live")), 2);
    assert_string_equal(text(o, "pem"), ca);
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"carol\"}", CONTROL_NOT_FOUND);
    (void)ask("{\"cmd\":\"cert-issue\"}", CONTROL_BAD_REQUEST);
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\",\"days\":0}", CONTROL_BAD_REQUEST);
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\",\"days\":3651}", CONTROL_BAD_REQUEST);
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\",\"format\":\"der\"}",
              CONTROL_BAD_REQUEST);
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\",\"overlap\":1}", CONTROL_BAD_REQUEST);
    (void)ask("{\"cmd\":\"cert-burn\"}", CONTROL_BAD_REQUEST);
    /* never longer than the authority itself */
    o = ask("{\"cmd\":\"cert-authority\"}", CONTROL_OK);
    json_int_t end = json_integer_value(json_object_get(o, "until"));
    d.a.now.us = end * 1000000 - DAY;
    o = ask("{\"cmd\":\"cert-issue\",\"user\":\"bob\",\"days\":30}", CONTROL_OK);
    assert_int_equal(json_integer_value(json_object_get(o, "until")), end);
    d.a.now.us = end * 1000000 + DAY;
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"bob\"}", CONTROL_REFUSED);
    assert_true(says("own certificate has ended"));
}

static void test_revoke_and_list(void **state)
{
    (void)state;
    char a[2][CERT_SERIAL_MAX + 1], b[CERT_SERIAL_MAX + 1], request[200];
    issued("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", a[0]);
    issued("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", a[1]);
    issued("{\"cmd\":\"cert-issue\",\"user\":\"bob\",\"days\":2}", b);
    assert_string_not_equal(a[0], a[1]);
    (void)snprintf(request, sizeof request, "{\"cmd\":\"cert-revoke\",\"serial\":\"%s\"}", a[0]);
    assert_false(d.a.users_changed);
    (void)ask(request, CONTROL_OK);
    assert_true(d.a.users_changed); /* the engines are told */
    assert_true(in_list(a[0]) && !in_list(a[1]) && !in_list(b));
    (void)ask(request, CONTROL_NOT_FOUND); /* once */
    assert_string_equal(state_of(a[0]), "revoked");
    assert_string_equal(state_of(a[1]), "live");
    const json_t *o = ask("{\"cmd\":\"cert-list\",\"match\":\"bob\"}", CONTROL_OK);
    assert_int_equal(json_array_size(json_object_get(o, "certs")), 1);
    o = ask("{\"cmd\":\"cert-revoke\",\"user\":\"alice\"}", CONTROL_OK);
    assert_int_equal(json_array_size(json_object_get(o, "revoked")), 1);
    assert_true(in_list(a[1]));
    (void)ask("{\"cmd\":\"cert-revoke\"}", CONTROL_BAD_REQUEST);
    (void)ask("{\"cmd\":\"cert-revoke\",\"user\":\"bob\",\"serial\":\"00\"}", CONTROL_BAD_REQUEST);
    d.a.now.us += 3 * DAY; /* what has ended needs no list */
    assert_string_equal(state_of(b), "expired");
    (void)ask("{\"cmd\":\"cert-revoke\",\"user\":\"bob\"}", CONTROL_NOT_FOUND);
}

static void test_renew(void **state)
{
    (void)state;
    char a[CERT_SERIAL_MAX + 1], b[CERT_SERIAL_MAX + 1], c[CERT_SERIAL_MAX + 1], request[200];
    struct wall next;
    bool told;
    issued("{\"cmd\":\"cert-renew\",\"user\":\"alice\"}", a); /* there was none: the first */
    assert_null(json_object_get(d.doc, "renews"));
    issued("{\"cmd\":\"cert-renew\",\"user\":\"alice\",\"overlap\":86400}", b);
    assert_string_equal(text(d.doc, "renews"), a);
    assert_int_equal(json_integer_value(json_object_get(d.doc, "ends")), (NOW.us + DAY) / 1000000);
    assert_true(d.a.certs_due.us == NOW.us + DAY && !d.a.users_changed);
    assert_string_equal(state_of(a), "renewed");
    assert_ok(authority_sweep(&d.disk, NOW, &next, &told));
    assert_true(!told && next.us == NOW.us + DAY);
    d.a.now.us += DAY - 1000000;
    assert_string_equal(state_of(a), "renewed");
    d.a.now.us += 1000000;
    assert_string_equal(state_of(a), "revoked");
    assert_false(in_list(a));
    assert_ok(authority_sweep(&d.disk, d.a.now, &next, &told));
    assert_true(told && next.us == 0 && in_list(a) && !in_list(b));
    /* by number, when there are several; the default is a week */
    issued("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", c);
    (void)ask("{\"cmd\":\"cert-renew\",\"user\":\"alice\"}", CONTROL_REFUSED);
    assert_true(says("2 valid certificates"));
    (void)snprintf(request, sizeof request, "{\"cmd\":\"cert-renew\",\"serial\":\"%s\"}", c);
    const json_t *o = ask(request, CONTROL_OK);
    assert_int_equal(json_integer_value(json_object_get(o, "ends")),
                     d.a.now.us / 1000000 + 7 * 86400);
    /* at once */
    (void)snprintf(request, sizeof request,
                   "{\"cmd\":\"cert-renew\",\"serial\":\"%s\",\"overlap\":0}", b);
    (void)ask(request, CONTROL_OK);
    assert_true(in_list(b) && d.a.users_changed);
    assert_string_equal(state_of(b), "revoked");
    (void)ask(request, CONTROL_NOT_FOUND);
    /* a shorter overlap counts, a longer one gives nothing back */
    (void)snprintf(request, sizeof request,
                   "{\"cmd\":\"cert-renew\",\"serial\":\"%s\",\"overlap\":864000}", c);
    o = ask(request, CONTROL_OK);
    assert_int_equal(json_integer_value(json_object_get(o, "ends")),
                     d.a.now.us / 1000000 + 7 * 86400);
    (void)ask("{\"cmd\":\"cert-renew\",\"user\":\"alice\",\"overlap\":-1}", CONTROL_BAD_REQUEST);
    (void)ask("{\"cmd\":\"cert-renew\",\"user\":\"alice\",\"overlap\":\"1\"}", CONTROL_BAD_REQUEST);
}

/* Another authority's key, or its certificate, in the place of ours. */
static void test_foreign(void **state)
{
    (void)state;
    char path[160], pem[8192];
    struct out o = out_of(pem, sizeof pem);
    struct key *k = NULL;
    issued("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", path);
    assert_ok(key_new(&k));
    assert_ok(key_pem(k, &o));
    path_of("keys/ca.pem", path);
    assert_ok(file_write(path, pem, o.n, 0600));
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", CONTROL_REFUSED);
    assert_true(says("no local authority"));
    (void)ask("{\"cmd\":\"cert-revoke\",\"user\":\"alice\"}", CONTROL_REFUSED);
    struct cert_spec spec = {
        .name = STR("Foreign"), .authority = true, .from = NOW, .until = {NOW.us + 90 * DAY}};
    o = out_of(pem, sizeof pem);
    assert_ok(cert_make(&spec, k, STR_NONE, k, &o));
    path_of("ca.pem", path);
    assert_ok(file_write(path, pem, o.n, 0600)); /* both: it is ours now */
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", CONTROL_OK);
    assert_int_equal(unlink(path), 0);
    (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", CONTROL_REFUSED);
    struct wall next;
    bool told;
    assert_ok(authority_sweep(&d.disk, NOW, &next, &told)); /* quietly */
    assert_true(!told && next.us == 0);
    key_free(k);
}

/* Every single byte of the index that is another: refused, and nothing is written over it. */
static void test_damaged_index(void **state)
{
    (void)state;
    char serial[CERT_SERIAL_MAX + 1], path[160];
    static char good[4096], now[4096];
    issued("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", serial);
    size_t n = file("certs", good, sizeof good);
    assert_true(n > 0);
    path_of("certs", path);
    for (size_t i = 0; i < n; i += 3) {
        memcpy(now, good, n);
        now[i] ^= 1;
        assert_ok(file_write(path, now, n, 0600));
        (void)ask("{\"cmd\":\"cert-issue\",\"user\":\"alice\"}", CONTROL_FAILED);
        assert_true(says("vault/certs, line"));
    }
    assert_ok(file_write(path, good, n / 2, 0600));
    (void)ask("{\"cmd\":\"cert-revoke\",\"user\":\"alice\"}", CONTROL_FAILED);
    struct wall next;
    bool told;
    assert_err(authority_sweep(&d.disk, NOW, &next, &told), ERR_SYSTEM);
    assert_int_equal(file("certs", now, sizeof now), n / 2);
    assert_int_equal(access(d.folder, F_OK), 0);
    assert_ok(file_write(path, good, n, 0600));
    assert_string_equal(state_of(serial), "live");
}

int main(void)
{
    assert_ok(crypto_init());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_issue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_revoke_and_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_renew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_index, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
