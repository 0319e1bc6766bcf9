#include "base/test.h"

#include "app/vault/admin.h"
#include "app/vault/import.h"
#include "app/vault/setup.h"
#include "crypto/cert.h"
#include "crypto/hash.h"
#include "crypto/password.h"
#include "io/file.h"
#include <sys/stat.h>
#include <unistd.h>

static const struct sipkey KEY = {1, 2};
static const struct wall NOW = {INT64_C(1700000000000000)};

/* A vault's folder in a fresh state folder. */
struct desk {
    char state[64], folder[96];
    struct setup setup;
    struct disk disk;
    struct users users;
    struct peers peers;
    struct rng rng;
    struct admin a;
    struct admin_reply r;
};
static struct desk d;

static void open_again(void)
{
    users_init(&d.users, &KEY);
    assert_ok(disk_open(&d.disk, d.folder));
    assert_ok(disk_users_load(&d.disk, &d.users));
    assert_ok(disk_peers_load(&d.disk, &d.peers));
    d.a.disk = &d.disk;
    d.a.users_changed = false;
}

static int set_up(void **state)
{
    (void)state;
    const uint8_t seed[32] = {9};
    d = (struct desk){.state = "/tmp/ringwall-vault-XXXXXX"};
    assert_non_null(mkdtemp(d.state));
    (void)snprintf(d.folder, sizeof(d.folder), "%s/vault", d.state);
    d.setup = (struct setup){.state = d.state, .domain = "example.com", .now = NOW};
    assert_ok(setup_folders(&d.setup));
    rng_init(&d.rng, seed);
    d.a = (struct admin){
        .users = &d.users, .peers = &d.peers, .rng = &d.rng, .now = NOW, .domain = "example.com"};
    open_again();
    return 0;
}

static void close_all(void)
{
    users_done(&d.users);
    disk_close(&d.disk);
    admin_reply_done(&d.r);
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {
        "vault/users", "vault/peers", "vault/lock",   "vault/keys/ca.pem", "vault/keys/server.pem",
        "server.pem",  "ca.pem",      "vault/ca.pem", "vault/ca.crl",      "vault/certs"};
    char path[160];
    close_all();
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", d.state, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/keys", d.folder);
    (void)rmdir(path);
    (void)rmdir(d.folder);
    assert_int_equal(rmdir(d.state), 0); /* nothing else was left there */
    return 0;
}

static struct str ask(const char *request, enum control_code code)
{
    admin_reply_done(&d.r);
    admin_do(&d.a, str_c(request), &d.r);
    struct str text = str_of(d.r.text, d.r.n);
    if (d.r.code != code)
        print_error("%s\n-> " STR_FMT "\n", request, STR_ARG(text));
    assert_int_equal(d.r.code, code);
    assert_true(text.n > 1 && text.p[0] == '{' && text.p[text.n - 1] == '}');
    return text;
}

static bool has(struct str s, const char *part)
{
    return str_search(s, str_c(part)) < s.n;
}

static void test_users(void **state)
{
    (void)state;
    struct str s = ask("{\"cmd\":\"user-add\",\"user\":\"alice\"}", CONTROL_OK);
    assert_true(has(s, "\"user\":\"alice@example.com\"") && has(s, "\"role\":\"user\""));
    size_t at = str_search(s, STR("\"password\":\""));
    assert_true(at < s.n);
    char password[PASSWORD_CHARS + 1] = {0};
    memcpy(password, s.p + at + 12, PASSWORD_CHARS);
    assert_true(d.a.users_changed);
    (void)ask("{\"cmd\":\"user-add\",\"user\":\"alice@EXAMPLE.com\"}", CONTROL_REFUSED);
    s = ask("{\"cmd\":\"user-add\",\"user\":\"bob@example.net\",\"role\":\"admin\","
            "\"password\":\"builders-99\"}",
            CONTROL_OK);
    assert_false(has(s, "builders"));

    close_all(); /* what the file holds is what there was */
    open_again();
    const struct user *x = users_find(&d.users, STR("alice"), STR("example.com"));
    assert_non_null(x);
    struct user *same = NULL;
    assert_ok(user_new(STR("alice@example.com"), &same));
    assert_ok(user_password(same, str_c(password)));
    assert_memory_equal(x->ha1, same->ha1, sizeof(x->ha1));
    user_free(same);

    s = ask("{\"cmd\":\"user-list\"}", CONTROL_OK);
    assert_true(has(s, "alice@example.com") && has(s, "bob@example.net") && has(s, "\"total\":2"));
    s = ask("{\"cmd\":\"user-list\",\"match\":\"bob\"}", CONTROL_OK);
    assert_true(!has(s, "alice") && has(s, "\"role\":\"admin\""));
    (void)ask("{\"cmd\":\"user-role\",\"user\":\"alice\",\"role\":\"desk\"}", CONTROL_OK);
    (void)ask("{\"cmd\":\"user-role\",\"user\":\"alice\"}", CONTROL_BAD_REQUEST);
    (void)ask("{\"cmd\":\"user-role\",\"user\":\"alice\",\"role\":\"a b\"}", CONTROL_REFUSED);
    s = ask("{\"cmd\":\"user-passwd\",\"user\":\"alice\"}", CONTROL_OK);
    assert_true(has(s, "\"password\":\"") && has(s, "\"role\":\"desk\""));
    (void)ask("{\"cmd\":\"user-passwd\",\"user\":\"carol\"}", CONTROL_NOT_FOUND);
    (void)ask("{\"cmd\":\"user-del\",\"user\":\"bob@example.net\"}", CONTROL_OK);
    (void)ask("{\"cmd\":\"user-del\",\"user\":\"bob@example.net\"}", CONTROL_NOT_FOUND);
    close_all();
    open_again();
    assert_int_equal(d.users.n, 1);
}

static void test_md5(void **state)
{
    (void)state;
    static const char ALICE[] = "{\"cmd\":\"user-add\",\"user\":\"alice\",\"password\":"
                                "\"wonderland-77\"}";
    (void)ask(ALICE, CONTROL_OK);
    static const char *const bad[] = {
        "{\"until\":1600000000,\"owner\":\"ops\",\"reason\":\"r\"}", /* past */
        "{\"until\":1800000000,\"owner\":\"\",\"reason\":\"r\"}",
        "{\"until\":1800000000,\"owner\":\"ops\"}",
        "{\"until\":\"soon\",\"owner\":\"ops\",\"reason\":\"r\"}",
        "{\"until\":1800000000,\"owner\":\"ops\",\"reason\":\"r\",\"x\":1}",
        "{\"until\":99999999999999999,\"owner\":\"ops\",\"reason\":\"r\"}",
        "{}",
    };
    char text[512];
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        (void)snprintf(text, sizeof(text),
                       "{\"cmd\":\"user-md5\",\"user\":\"alice\",\"password\":\"wonderland-77\","
                       "\"md5\":%s}",
                       bad[i]);
        (void)ask(text, CONTROL_REFUSED);
    }
    struct str s = ask("{\"cmd\":\"user-md5\",\"user\":\"alice\",\"password\":\"wonderland-77\","
                       "\"md5\":{\"until\":1800000000,\"owner\":\"ops\",\"reason\":\"old\"}}",
                       CONTROL_OK);
    assert_false(has(s, "password"));
    s = ask("{\"cmd\":\"user-list\"}", CONTROL_OK);
    assert_true(has(s, "\"md5\":{\"until\":1800000000,\"owner\":\"ops\",\"reason\":\"old\","
                       "\"live\":true}"));
    const struct user *x = users_find(&d.users, STR("alice"), STR("example.com"));
    static const uint8_t zero[USER_HA1_BYTES];
    assert_memory_not_equal(x->ha1[DIGEST_MD5], zero, 16);
    (void)ask("{\"cmd\":\"user-md5\",\"user\":\"alice\",\"md5\":null}", CONTROL_OK);
    x = users_find(&d.users, STR("alice"), STR("example.com"));
    assert_null(x->md5);
    assert_memory_equal(x->ha1[DIGEST_MD5], zero, 16);
    (void)ask("{\"cmd\":\"user-md5\",\"user\":\"alice\"}", CONTROL_BAD_REQUEST);
}

static void test_bad_requests(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum control_code code;
    } rows[] = {
        {"", CONTROL_BAD_REQUEST},
        {"[]", CONTROL_BAD_REQUEST},
        {"{", CONTROL_BAD_REQUEST},
        {"{}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":5}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":\"format-disk\"}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":\"user-del\",\"cmd\":\"user-add\",\"user\":\"a\"}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":\"user-add\"}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":\"user-add\",\"user\":5}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":\"user-add\",\"user\":\"\"}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":\"user-add\",\"user\":\"alice\",\"colour\":\"red\"}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":\"user-add\",\"user\":\"al ice\"}", CONTROL_REFUSED},
        {"{\"cmd\":\"user-add\",\"user\":\"alice\",\"password\":\"short\"}", CONTROL_REFUSED},
        {"{\"cmd\":\"user-add\",\"user\":\"alice\",\"password\":\"\"}", CONTROL_REFUSED},
        {"{\"cmd\":\"user-add\",\"user\":\"alice\",\"role\":\"\"}", CONTROL_REFUSED},
        {"{\"cmd\":\"user-add\",\"user\":\"alice\",\"md5\":true}", CONTROL_BAD_REQUEST},
        {"{\"cmd\":\"peer-del\",\"peer\":\"x\"}", CONTROL_NOT_FOUND},
        {"{\"cmd\":\"peer-secret\",\"peer\":\"x\"}", CONTROL_REFUSED},
        {"{\"cmd\":\"peer-secret\",\"password\":\"x\"}", CONTROL_REFUSED},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(has(ask(rows[i].text, rows[i].code), "\"error\":\""));
    assert_int_equal(d.users.n, 0);
    assert_false(d.a.users_changed);
    char big[800];
    (void)snprintf(big, sizeof(big), "{\"cmd\":\"user-del\",\"user\":\"%0600d\"}", 7);
    (void)ask(big, CONTROL_BAD_REQUEST);
    d.a.domain[0] = '\0';
    (void)ask("{\"cmd\":\"user-add\",\"user\":\"alice\"}", CONTROL_BAD_REQUEST);
}

static void test_peers(void **state)
{
    (void)state;
    (void)ask("{\"cmd\":\"peer-secret\",\"peer\":\"trunk\",\"password\":\"p\xc3\xa4ss\\tword\"}",
              CONTROL_OK);
    (void)ask("{\"cmd\":\"peer-secret\",\"peer\":\"pbx\",\"password\":\"second\"}", CONTROL_OK);
    close_all();
    open_again();
    const struct peer *p = peers_find(&d.peers, STR("trunk"));
    assert_non_null(p);
    assert_true(secret_is(&p->password, STR("p\xc3\xa4ss\tword")));
    struct str s = ask("{\"cmd\":\"peer-list\"}", CONTROL_OK);
    assert_str(s, "{\"peers\":[\"trunk\",\"pbx\"]}");
    (void)ask("{\"cmd\":\"peer-secret\",\"peer\":\"pbx\",\"password\":\"third\"}", CONTROL_OK);
    (void)ask("{\"cmd\":\"peer-del\",\"peer\":\"trunk\"}", CONTROL_OK);
    close_all();
    open_again();
    assert_int_equal(d.peers.n, 1);
    assert_true(secret_is(&peers_find(&d.peers, STR("pbx"))->password, STR("third")));
}

/* What cannot be saved is not done: the folder is taken away under it. */
static void test_unsaved_is_undone(void **state)
{
    (void)state;
    (void)ask("{\"cmd\":\"user-add\",\"user\":\"alice\",\"password\":\"wonderland-77\"}",
              CONTROL_OK);
    (void)ask("{\"cmd\":\"peer-secret\",\"peer\":\"pbx\",\"password\":\"first\"}", CONTROL_OK);
    uint8_t before[USER_HA1_BYTES];
    memcpy(before, users_find(&d.users, STR("alice"), STR("example.com"))->ha1[0], sizeof(before));
    d.a.users_changed = false;
    d.disk.folder = "/proc/nowhere";
    static const char *const rows[] = {
        "{\"cmd\":\"user-add\",\"user\":\"bob\"}",
        "{\"cmd\":\"user-passwd\",\"user\":\"alice\"}",
        "{\"cmd\":\"user-del\",\"user\":\"alice\"}",
        "{\"cmd\":\"user-role\",\"user\":\"alice\",\"role\":\"admin\"}",
        "{\"cmd\":\"peer-secret\",\"peer\":\"pbx\",\"password\":\"second\"}",
        "{\"cmd\":\"peer-secret\",\"peer\":\"new\",\"password\":\"second\"}",
        "{\"cmd\":\"peer-del\",\"peer\":\"pbx\"}"};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct str s = ask(rows[i], CONTROL_FAILED);
        assert_true(has(s, "nothing was changed") && !has(s, "\"password\""));
    }
    const struct user *x = users_find(&d.users, STR("alice"), STR("example.com"));
    assert_int_equal(d.users.n, 1);
    assert_memory_equal(x->ha1[0], before, sizeof(before));
    assert_str(str_c(x->role), "user");
    assert_int_equal(d.peers.n, 1);
    assert_true(secret_is(&d.peers.v[0].password, STR("first")));
    assert_false(d.a.users_changed);
}

static void test_damaged_file(void **state)
{
    (void)state;
    char path[160], text[4096], now[4096];
    size_t n = 0, m = 0;
    struct users other;
    (void)ask("{\"cmd\":\"user-add\",\"user\":\"alice\"}", CONTROL_OK);
    (void)snprintf(path, sizeof(path), "%s/users", d.folder);
    assert_ok(file_read(path, text, sizeof(text), &n));
    text[n / 2] ^= 1;
    assert_ok(file_write(path, text, n, 0600));
    users_init(&other, &KEY);
    assert_err(disk_users_load(&d.disk, &other), ERR_SYNTAX);
    assert_true(has(str_c(d.disk.why), "/users, line ") && has(str_c(d.disk.why), "left as it is"));
    users_done(&other);
    assert_ok(file_read(path, now, sizeof(now), &m));
    assert_int_equal(n, m);
    assert_memory_equal(now, text, n);
}

static void test_modes_and_lock(void **state)
{
    (void)state;
    struct stat st;
    struct disk second;
    char path[160];
    (void)ask("{\"cmd\":\"user-add\",\"user\":\"alice\"}", CONTROL_OK);
    (void)snprintf(path, sizeof(path), "%s/users", d.folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(d.folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_err(disk_open(&second, d.folder), ERR_EXISTS);
    assert_true(has(str_c(second.why), "running"));
    assert_err(setup_certs(&d.setup), ERR_EXISTS);
    disk_close(&d.disk);
    assert_ok(disk_open(&second, d.folder));
    disk_close(&second);
    assert_err(disk_open(&second, "/proc/nowhere"), ERR_SYSTEM);
}

static void test_setup(void **state)
{
    (void)state;
    char path[160], pem[8192], again[8192];
    size_t n = 0, m = 0;
    struct cert_facts f;
    struct key *k = NULL;
    struct stat st;
    disk_close(&d.disk);
    d.setup.names[0] = STR("sip.example.com");
    d.setup.names[1] = STR("192.0.2.9");
    d.setup.n_names = 2;
    assert_ok(setup_certs(&d.setup));
    assert_true(d.setup.made_ca && d.setup.made_server);
    (void)snprintf(path, sizeof(path), "%s/server.pem", d.state);
    assert_ok(file_read(path, pem, sizeof(pem), &n));
    assert_ok(cert_read(str_of(pem, n), &f));
    assert_true(has(str_c(f.sans), "sip:example.com") && has(str_c(f.sans), "dns:sip.example.com"));
    assert_ok(disk_open(&d.disk, d.folder));
    assert_ok(disk_key_load(&d.disk, STR("server"), &k));
    assert_ok(cert_fits(str_of(pem, n), k));
    assert_err(disk_key_save(&d.disk, STR("server"), k), ERR_EXISTS);
    disk_close(&d.disk);
    key_free(k);
    (void)snprintf(path, sizeof(path), "%s/keys/server.pem", d.folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    /* Again: nothing is touched. Renewed: a new certificate for the same key. */
    d.setup.made_ca = d.setup.made_server = false;
    assert_ok(setup_certs(&d.setup));
    assert_false(d.setup.made_ca || d.setup.made_server);
    (void)snprintf(path, sizeof(path), "%s/server.pem", d.state);
    assert_ok(file_read(path, again, sizeof(again), &m));
    assert_str_eq(str_of(pem, n), str_of(again, m));
    d.setup.renew = true;
    assert_ok(setup_certs(&d.setup));
    assert_false(d.setup.made_ca);
    assert_true(d.setup.made_server);

    /* The authority's key is gone: said, nothing made up. */
    (void)snprintf(path, sizeof(path), "%s/keys/ca.pem", d.folder);
    assert_int_equal(unlink(path), 0);
    assert_err(setup_certs(&d.setup), ERR_STATE);
    assert_true(has(str_c(d.setup.why), "its certificate is there"));
}

static void test_keys(void **state)
{
    (void)state;
    struct key *k = NULL;
    static const char *const bad[] = {"", ".", "../x", "a/b", ".hidden", "a b"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(disk_key_load(&d.disk, str_c(bad[i]), &k), ERR_SYNTAX);
    assert_err(disk_key_load(&d.disk, STR("absent"), &k), ERR_NOT_FOUND);
    assert_true(has(str_c(d.disk.why), "keys/absent.pem"));
}

static void import_rows(const char *text, struct import_job *j, enum err want)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    rewind(f);
    *j = (struct import_job){
        .users = &d.users, .domain = "example.com", .now = NOW, .any_password = j->any_password};
    assert_err(import_csv(j, f), want);
    (void)fclose(f);
}

static void test_import(void **state)
{
    (void)state;
    struct import_job j = {.any_password = false};
    import_rows("# people\n\nalice,wonderland-77\r\nbob@example.net,a,comma,inside\n", &j, OK);
    assert_int_equal(j.added, 2);
    assert_non_null(users_find(&d.users, STR("bob"), STR("example.net")));
    struct user *same = NULL;
    assert_ok(user_new(STR("bob@example.net"), &same));
    assert_ok(user_password(same, STR("a,comma,inside")));
    assert_memory_equal(users_find(&d.users, STR("bob"), STR("example.net"))->ha1, same->ha1,
                        sizeof(same->ha1));
    user_free(same);
    import_rows("alice,wonderland-78\ncarol,christmas-12", &j, OK);
    assert_int_equal(j.added, 1);
    assert_int_equal(j.replaced, 1);
    static const struct {
        const char *text;
        enum err e;
    } bad[] = {{"x\n", ERR_SYNTAX},
               {"x,\n", ERR_SYNTAX},
               {"x,short\n", ERR_RANGE},
               {"a b,wonderland-77\n", ERR_SYNTAX},
               {",wonderland-77\n", ERR_SYNTAX},
               {"a@b@c,wonderland-77\n", ERR_SYNTAX}};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        import_rows(bad[i].text, &j, bad[i].e);
        assert_int_equal(j.line, 1);
        assert_true(strlen(j.why) > 0);
    }
    j.any_password = true;
    import_rows("dave,x\n", &j, OK);
    char big[IMPORT_LINE_MAX + 10];
    memset(big, 'x', sizeof(big));
    big[1] = ',';
    big[sizeof(big) - 1] = '\0';
    import_rows(big, &j, ERR_LIMIT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_users),
        T(test_md5),
        T(test_bad_requests),
        T(test_peers),
        T(test_unsaved_is_undone),
        T(test_damaged_file),
        T(test_modes_and_lock),
        T(test_setup),
        T(test_keys),
        T(test_import),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
