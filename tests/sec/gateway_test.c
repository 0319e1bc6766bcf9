/* The real programs under the real monitor: what each process holds, what happens when one dies,
 * what the engine's memory never has. */
#include "base/test.h"
#include "crypto/openssl.h"
#include "gateway.h"
#include "identity/digest.h"
#include "io/file.h"
#include "io/sock.h"
#include "ipc/channel.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct gateway gw;
static const char *programs;
static const char *const names[] = {"vault", "store", "engine 0", "engine 1"};
static char password[128];

/* -- helpers -- */

static void ask_ok(const char *json, char *ret, size_t cap)
{
    uint32_t code = 99;
    char *text = gateway_ask(&gw, json, &code);
    if (!text || code != 0)
        fail_msg("%s gave code %u %s", json, (unsigned)code, text ? text : "(nothing)");
    (void)snprintf(ret, cap, "%s", text);
    free(text);
}

static bool gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* A TLS connection from a phone. */
struct phone {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static bool phone_open(struct phone *p)
{
    char ca[128];
    union sock_addr to;
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", gw.dir);
    p->ctx = SSL_CTX_new(TLS_client_method());
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {5, 0};
    (void)setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    socklen_t n = sock_from_addr(&gw.tls, &to);
    if (!p->ctx || SSL_CTX_load_verify_locations(p->ctx, ca, NULL) != 1 ||
        connect(p->fd, &to.sa, n) != 0)
        return false;
    SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
    p->ssl = SSL_new(p->ctx);
    return p->ssl && SSL_set_fd(p->ssl, p->fd) == 1 && SSL_connect(p->ssl) == 1;
}

static void phone_close(struct phone *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    (void)close(p->fd);
}

static void phone_register(struct phone *p, const char *authorization, char *ret, size_t cap)
{
    static unsigned cseq;
    cseq++;
    char req[2048];
    int n = snprintf(req, sizeof req,
                     "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS "
                     "127.0.0.1:5061;branch=z9hG4bKtest%u\r\n"
                     "Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=t1\r\nTo: "
                     "<sip:alice@example.com>\r\n"
                     "Call-ID: sec-test@127.0.0.1\r\nCSeq: %u REGISTER\r\nContact: "
                     "<sip:alice@127.0.0.1:5061;transport=tls>\r\n"
                     "Expires: 600\r\n%sContent-Length: 0\r\n\r\n",
                     cseq, cseq, authorization);
    assert_true(n > 0 && SSL_write(p->ssl, req, n) == n);
    size_t got = 0;
    do {
        int more = SSL_read(p->ssl, ret + got, (int)(cap - 1 - got));
        if (more <= 0)
            fail_msg("no answer to REGISTER %u", cseq);
        got += (size_t)more;
        ret[got] = 0;
    } while (!strstr(ret, "\r\n\r\n"));
}

static void nonce_of(const char *answer, char *ret, size_t cap)
{
    const char *at = strstr(answer, "nonce=\"");
    assert_non_null(at);
    struct str s = str_c(at + 7);
    (void)snprintf(ret, cap, "%.*s", (int)str_find(s, '"'), s.p);
}

static void phone_login(struct phone *p)
{
    char answer[4096], nonce[128], auth[1024], ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX],
        resp[DIGEST_HEX_MAX];
    phone_register(p, "", answer, sizeof answer);
    assert_true(str_starts(str_c(answer), STR("SIP/2.0 401 ")));
    nonce_of(answer, nonce, sizeof nonce);
    assert_ok(digest_ha1(DIGEST_SHA256, STR("alice"), STR("example.com"), str_c(password), ha1));
    assert_ok(
        digest_ha2(DIGEST_SHA256, STR("REGISTER"), STR("sip:example.com"), false, STR_NONE, ha2));
    assert_ok(digest_response(DIGEST_SHA256, str_of(ha1, 64), str_c(nonce), STR("00000001"),
                              STR("abcdef"), STR("auth"), str_of(ha2, 64), resp));
    (void)snprintf(
        auth, sizeof auth,
        "Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"%s\", "
        "uri=\"sip:example.com\", "
        "response=\"%.64s\", algorithm=SHA-256, cnonce=\"abcdef\", qop=auth, nc=00000001\r\n",
        nonce, resp);
    phone_register(p, auth, answer, sizeof answer);
    if (!str_starts(str_c(answer), STR("SIP/2.0 200 ")))
        fail_msg("registration refused: %.200s", answer);
}

/* -- what each process holds -- */

static void status_says_locked_in(void **state)
{
    (void)state;
    char text[16384], landlock[32];
    long abi = syscall(444, NULL, 0, 1);
    ask_ok("{\"cmd\":\"status\"}", text, sizeof text);
    (void)snprintf(landlock, sizeof landlock, "\"landlock\":%ld,", abi > 0 ? abi : 0);
    const char *at = text;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        at = strstr(at, "\"sandbox\":{");
        assert_non_null(at);
        struct str one = str_head(str_c(at), str_find(str_c(at), '}'));
        assert_true(str_search(one, STR("\"seccomp\":true")) < one.n);
        assert_true(str_search(one, str_c(landlock)) < one.n);
        at++;
    }
    assert_non_null(strstr(
        text,
        "\"name\":\"test\",\"zone\":\"pbx\",\"owner\":\"bob@example.com\"")); /* living waivers are
                                                                                 told */
}

static void kernel_says_locked_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[64], text[4096];
        size_t n = 0;
        (void)snprintf(path, sizeof path, "/proc/%d/status", (int)gateway_pid(&gw, names[i]));
        assert_ok(file_read(path, text, sizeof text - 1, &n));
        text[n] = 0;
        assert_non_null(strstr(text, "NoNewPrivs:\t1"));
        assert_non_null(strstr(text, "Seccomp:\t2"));
        assert_non_null(strstr(text, "CapEff:\t0000000000000000"));
        assert_non_null(strstr(text, "CapPrm:\t0000000000000000"));
        assert_non_null(strstr(text, "Threads:\t1\n"));
    }
}

static bool harmless(const char *target, const char *program)
{
    static const char *const always[] = {"socket:[", "/memfd:ringwall-", "anon_inode:", "/dev/null",
                                         "pipe:[",   "/dev/pts/",        "/dev/tty"};
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        if (str_starts(str_c(target), str_c(always[i])))
            return true;
    char own[128];
    (void)snprintf(own, sizeof own, "%s/%s", gw.dir, program);
    return str_starts(str_c(target), str_c(own)); /* an engine's name is no folder */
}

static void open_descriptors(void **state)
{
    (void)state;
    char ours[256];
    ssize_t n = readlink("/proc/self/fd/2", ours,
                         sizeof ours - 1); /* standard error is handed down, wherever it goes */
    ours[n > 0 ? n : 0] = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char dir[64], path[128], target[256];
        (void)snprintf(dir, sizeof dir, "/proc/%d/fd", (int)gateway_pid(&gw, names[i]));
        DIR *d = opendir(dir);
        if (!d)
            skip(); /* not root: a process that cannot be dumped hides this */
        for (struct dirent *f = readdir(d); f; f = readdir(d)) {
            (void)snprintf(path, sizeof path, "%s/%.32s", dir, f->d_name);
            n = readlink(path, target, sizeof target - 1);
            if (n <= 0)
                continue;
            target[n] = 0;
            bool standard = strlen(f->d_name) == 1 && (*f->d_name == '1' || *f->d_name == '2');
            if (!harmless(target, names[i]) && !standard)
                fail_msg("%s holds %s", names[i], target);
        }
        (void)closedir(d);
    }
}

/* -- the engine's memory -- */

static bool memory_has(pid_t pid, const uint8_t *what, size_t n, uint64_t *looked)
{
    static uint8_t buf[1 << 20];
    char path[64], line[512];
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    bool found = false;
    while (maps && mem >= 0 && !found && fgets(line, sizeof line, maps)) {
        unsigned long long from = 0, to = 0;
        char perm[8] = "";
        if (sscanf(line, "%llx-%llx %7s", &from, &to, perm) != 3 || perm[0] != 'r' ||
            to - from > (1ull << 33))
            continue; /* larger: a sanitizer's shadow, which holds no bytes of ours */
        for (uint64_t at = from; at < to && !found;) {
            ssize_t got = pread(mem, buf, (size_t)MIN(to - at, (uint64_t)sizeof buf), (off_t)at);
            if (got <= (ssize_t)n)
                break;
            *looked += (uint64_t)got;
            found = memmem(buf, (size_t)got, what, n) != NULL;
            at += (uint64_t)got == to - at ? (uint64_t)got : (uint64_t)got - n;
        }
    }
    if (maps)
        (void)fclose(maps);
    if (mem >= 0)
        (void)close(mem);
    return found;
}

static bool has(const char *program, const void *what, size_t n)
{
    uint64_t looked = 0;
    bool found = memory_has(gateway_pid(&gw, program), what, n, &looked);
    assert_true(looked > 100000);
    return found;
}

/* The private key's number as libcrypto keeps it (little endian words), and as files do. */
static size_t key_number(uint8_t little[64], uint8_t big[64])
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/vault/keys/server.pem", gw.dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    EVP_PKEY *k = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    BIGNUM *d = NULL;
    assert_non_null(k);
    assert_int_equal(EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
    int n = BN_num_bytes(d);
    assert_true(n >= 24 && n <= 64);
    assert_int_equal(BN_bn2bin(d, big), n);
    assert_int_equal(BN_bn2lebinpad(d, little, n), n);
    BN_clear_free(d);
    EVP_PKEY_free(k);
    return (size_t)n;
}

static void engine_holds_no_secret(void **state)
{
    (void)state;
    uint8_t little[64], big[64], raw[32];
    char ha1[DIGEST_HEX_MAX];
    uint64_t looked = 0;
    (void)memory_has(gateway_pid(&gw, "vault"), (const uint8_t *)"\x01\x02\x03\x04 nowhere", 12,
                     &looked);
    if (looked < 100000)
        skip(); /* not root: the kernel does not let us look into what cannot be dumped */
    struct phone p;
    if (!phone_open(&p))
        fail_msg("no TLS with the gateway");
    phone_login(&p); /* the engine has had every chance to see something */
    size_t n = key_number(little, big);
    assert_ok(digest_ha1(DIGEST_SHA256, STR("alice"), STR("example.com"), str_c(password), ha1));
    assert_ok(hex_decode(str_of(ha1, 64), raw, 32));
    assert_true(has("vault", little, n) ||
                has("vault", big, n)); /* the search finds what is there */
    for (size_t i = 2; i < ARRAY_LEN(names); i++) {
        assert_false(has(names[i], little, n));
        assert_false(has(names[i], big, n));
        assert_false(has(names[i], ha1, 64));
        assert_false(has(names[i], raw, 32));
        assert_false(has(names[i], password, strlen(password)));
    }
    phone_close(&p);
}

/* -- deaths -- */

static void engine_comes_back(void **state)
{
    (void)state;
    pid_t one = gateway_pid(&gw, "engine 0"), other = gateway_pid(&gw, "engine 1");
    assert_int_equal(kill(one, SIGKILL), 0);
    struct addr taken;
    int fd = -1;
    assert_err(sock_udp(&gw.udp, false, &fd), ERR_EXISTS); /* its sockets never went away */
    assert_err(sock_listen(&gw.tls, false, 1, &fd), ERR_EXISTS);
    int ms = gateway_wait_new(&gw, "engine 0", one, 5000);
    print_message("engine 0 was back after %d ms\n", ms);
    assert_in_range(ms, 0, 1000);
    assert_int_equal(gateway_pid(&gw, "engine 1"), other);
    (void)taken;
    for (int i = 0; i < 8; i++) { /* either engine */
        struct phone p;
        if (!phone_open(&p))
            fail_msg("no TLS after the restart");
        phone_close(&p);
    }
}

static void others_come_back(void **state)
{
    (void)state;
    char text[16384];
    pid_t engine = gateway_pid(&gw, "engine 0");
    for (size_t i = 0; i < 2; i++) {
        pid_t old = gateway_pid(&gw, names[i]);
        assert_int_equal(kill(old, SIGKILL), 0);
        assert_in_range(gateway_wait_new(&gw, names[i], old, 5000), 0, 2000);
    }
    assert_int_equal(gateway_pid(&gw, "engine 0"), engine);
    ask_ok("{\"cmd\":\"user-list\"}", text, sizeof text);
    assert_non_null(strstr(text, "alice@example.com"));
    ask_ok("{\"cmd\":\"events\"}", text, sizeof text);
    assert_non_null(strstr(text, "crashed")); /* a death is on record */
    struct phone p;                           /* the new vault signs for the old engines */
    if (!phone_open(&p))
        fail_msg("no TLS after the vault's restart");
    phone_close(&p);
}

static void bindings_outlive_engines(void **state)
{
    (void)state;
    char text[16384];
    struct phone p;
    if (!phone_open(&p))
        fail_msg("no TLS with the gateway");
    phone_login(&p);
    for (size_t i = 2; i < ARRAY_LEN(names); i++) {
        pid_t old = gateway_pid(&gw, names[i]);
        assert_int_equal(kill(old, SIGKILL), 0);
        assert_in_range(gateway_wait_new(&gw, names[i], old, 5000), 0, 2000);
    }
    phone_close(&p);
    ask_ok("{\"cmd\":\"bindings\"}", text, sizeof text);
    assert_non_null(strstr(text, "alice"));
}

/* -- the operator -- */

static void reload(void **state)
{
    (void)state;
    uint32_t code = 0;
    char text[16384];
    ask_ok("{\"cmd\":\"reload\"}", text, sizeof text);
    assert_string_equal(text, "{\"generation\":2}");
    assert_true(gateway_config(&gw, "nonsense: 1\n"));
    char *refused = gateway_ask(&gw, "{\"cmd\":\"reload\"}", &code);
    assert_int_equal(code, 3);
    assert_non_null(strstr(refused, "nonsense"));
    free(refused);
    struct gateway other = gw;
    other.udp.port = (uint16_t)(gw.udp.port + 1);
    assert_true(gateway_config(&other, ""));
    refused = gateway_ask(&gw, "{\"cmd\":\"reload\"}", &code);
    assert_int_equal(code, 3);
    assert_non_null(strstr(refused, "listeners"));
    free(refused);
    ask_ok("{\"cmd\":\"status\"}", text, sizeof text);
    assert_non_null(strstr(text, "\"generation\":2,")); /* the good one stays in force */
    assert_true(gateway_config(&gw, ""));
    ask_ok("{\"cmd\":\"reload\"}", text, sizeof text);
    assert_string_equal(text, "{\"generation\":3}");
}

static void only_one_gateway(void **state)
{
    (void)state;
    struct gateway second = gw;
    assert_false(gateway_start(&second));
    assert_int_equal(gateway_stop(&second, 0), 1);
    assert_true(gateway_pid(&gw, "vault") > 0); /* the first does not notice */
}

static void bad_requests(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}", "{\"cmd\":\"nothing\"}", "not json",
                                      "{\"cmd\":\"calls\",\"engine\":7}", "{\"cmd\":\"user-del\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint32_t code = 0;
        char *text = gateway_ask(&gw, bad[i], &code);
        assert_non_null(text);
        if (code == 0 || !strstr(text, "\"error\":"))
            fail_msg("%s gave %u %s", bad[i], (unsigned)code, text);
        free(text);
    }
    assert_true(gateway_pid(&gw, "vault") > 0);
}

static void stops_in_order(void **state)
{
    (void)state;
    pid_t pid[ARRAY_LEN(names)];
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        pid[i] = gateway_pid(&gw, names[i]);
    assert_int_equal(gateway_stop(&gw, SIGTERM), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_true(gone(pid[i]));
    assert_int_equal(access(gw.control, F_OK), -1);
}

/* Nobody lives on when the monitor is killed, and the next start finds everything in order. */
static void killed_monitor(void **state)
{
    (void)state;
    pid_t pid[ARRAY_LEN(names)];
    assert_true(gateway_start(&gw));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        pid[i] = gateway_pid(&gw, names[i]);
    assert_int_equal(gateway_stop(&gw, SIGKILL), -SIGKILL);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (int tries = 0; tries < 300 && !gone(pid[i]); tries++)
            (void)poll(NULL, 0, 10);
        if (!gone(pid[i]))
            fail_msg("%s lives on", names[i]);
    }
    assert_true(gateway_start(&gw));
    assert_int_equal(gateway_stop(&gw, SIGTERM), 0);
}

/* What is wrong at the start is said in words, and nothing is left running. g: a folder of its own;
 * ret: what was said. */
static int start_refused(struct gateway *g, char *ret, size_t cap)
{
    char path[128];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/said", g->dir);
    int keep = dup(2), to = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(keep >= 0 && to >= 0 && dup2(to, 2) == 2);
    bool started = gateway_start(g);
    int status = gateway_stop(g, started ? SIGTERM : 0);
    assert_int_equal(dup2(keep, 2), 2);
    (void)close(keep);
    (void)close(to);
    assert_false(started);
    assert_ok(file_read(path, ret, cap - 1, &n));
    ret[n] = 0;
    return status;
}

static void refuses_to_start(void **state)
{
    (void)state;
    static char said[65536];
    char path[256];
    struct gateway g;
    int fd = -1;
    assert_true(gateway_make(&g, programs));
    assert_true(gateway_config(&g, "zone: 1\n"));
    assert_int_equal(start_refused(&g, said, sizeof said), 2);
    assert_non_null(strstr(said, "unknown key \"zone\""));
    assert_true(gateway_config(&g, ""));
    assert_ok(sock_udp(&g.udp, false, &fd));
    assert_int_equal(start_refused(&g, said, sizeof said), 1);
    assert_non_null(strstr(said, "listener udp"));
    assert_non_null(strstr(said, "another program uses"));
    (void)close(fd);
    g.programs = g.dir;
    assert_int_equal(start_refused(&g, said, sizeof said), 1);
    assert_non_null(strstr(said, "ringwall-engine is not found in"));
    g.programs = programs;
    (void)snprintf(path, sizeof path, "%s/vault/keys/server.pem", g.dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(start_refused(&g, said, sizeof said), 1);
    assert_non_null(strstr(said, "server.pem"));
    assert_non_null(strstr(said, "cannot be brought up"));
    (void)snprintf(path, sizeof path, "%s/server.pem", g.dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(start_refused(&g, said, sizeof said), 2);
    assert_non_null(strstr(said, path));
    gateway_remove(&g);
}

static int prepare(void **state)
{
    (void)state;
    char text[1024];
    if (!gateway_make(&gw, programs) || !gateway_start(&gw))
        return -1;
    ask_ok("{\"cmd\":\"user-passwd\",\"user\":\"alice@example.com\"}", text, sizeof text);
    const char *at = strstr(text, "\"password\":\"");
    struct str s = str_c(at ? at + 12 : "");
    (void)snprintf(password, sizeof password, "%.*s", (int)str_find(s, '"'), s.p);
    return *password ? 0 : -1;
}

static int clean(void **state)
{
    (void)state;
    (void)gateway_stop(&gw, SIGTERM);
    gateway_remove(&gw);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_says_locked_in),    cmocka_unit_test(kernel_says_locked_in),
        cmocka_unit_test(open_descriptors),         cmocka_unit_test(engine_holds_no_secret),
        cmocka_unit_test(engine_comes_back),        cmocka_unit_test(others_come_back),
        cmocka_unit_test(bindings_outlive_engines), cmocka_unit_test(reload),
        cmocka_unit_test(only_one_gateway),         cmocka_unit_test(bad_requests),
        cmocka_unit_test(stops_in_order),           cmocka_unit_test(killed_monitor),
        cmocka_unit_test(refuses_to_start),
    };
    if (argc != 2) {
        print_error("usage: test_sec_gateway FOLDER-OF-PROGRAMS\n");
        return 2;
    }
    programs = argv[1];
    return cmocka_run_group_tests(tests, prepare, clean);
}
