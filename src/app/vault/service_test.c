/* The real program, locked in, with this test as its monitor and as its engine. */
#include "base/test.h"

#include "app/vault/core.h"
#include "app/vault/disk.h"
#include "app/vault/setup.h"
#include "call/directory.h"
#include "crypto/hash.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/rand.h"
#include "io/spawn.h"
#include "ipc/child.h"
#include "ipc/control.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING 16384u
#define WAIT 10000 /* ms */

struct bench {
    char state[64], folder[96];
    struct channel ch;
    struct spawned proc;
    struct msg m;
    struct sipkey nonce;
    struct rng rng;
    int wake_vault, wake_engine;
    struct ring ask, answer;
    void *ask_mem, *answer_mem;
};
static struct bench b;

static void send_msg(enum msg_type t, const void *p, size_t n, int fd)
{
    assert_ok(channel_send(&b.ch, t, str_of(p, n), fd));
}

static void attach(enum attach_kind kind, uint8_t a, uint8_t of, uint32_t ring, uint64_t bytes,
                   int fd)
{
    struct msg_attach x = {(uint8_t)kind, a, of, 0, ring, bytes};
    send_msg(MSG_ATTACH, &x, sizeof(x), fd);
}

/* The next message of that type; notes on the way are shown, any other is a failure. */
static void expect(enum msg_type t)
{
    for (;;) {
        struct pollfd p = {b.ch.fd, POLLIN, 0};
        assert_int_equal(poll(&p, 1, WAIT), 1);
        assert_ok(channel_recv(&b.ch, &b.m, true));
        if (b.m.type == t)
            return;
        assert_int_equal(b.m.type, MSG_NOTE);
        print_message("note: " STR_FMT "\n", STR_ARG(msg_text(&b.m, sizeof(struct msg_note))));
    }
}

static void give_ring(enum attach_kind kind, void **mem, struct ring *ring, bool producer)
{
    int fd = -1;
    mem_unmap(*mem, ring_bytes(RING));
    assert_ok(memfd_new("ring", ring_bytes(RING), &fd));
    assert_ok(mem_map(fd, ring_bytes(RING), true, false, mem));
    assert_ok(ring_attach(ring, *mem, RING, producer));
    attach(kind, 0, 0, RING, ring_bytes(RING), fd);
    (void)close(fd);
}

static void give_keys(const char *name)
{
    char names[IPC_KEY_NAME] = {0};
    int fd = -1;
    (void)snprintf(names, sizeof(names), "%s", name);
    assert_ok(memfd_sealed("keys", names, sizeof(names), &fd));
    attach(ATTACH_KEYS, 0, 0, 0, sizeof(names), fd);
    (void)close(fd);
}

static void start(const char *key)
{
    int up = -1, down = -1, stats = -1;
    const char *argv[] = {getenv("RINGWALL_VAULT"), "--service", b.folder, NULL};
    const char *env[] = {"ASAN_OPTIONS=detect_leaks=0", NULL};
    struct msg_setup s = {.role = ROLE_VAULT, .engines = 1, .nonce = b.nonce};
    assert_ok(channel_pair(&up, &down));
    channel_init(&b.ch, up, ROLE_VAULT, true);
    assert_ok(spawn(argv, env, down, &b.proc));
    (void)close(down);
    expect(MSG_LOCKED);
    assert_int_equal(b.m.u.locked.report.seccomp, 1);
    send_msg(MSG_SETUP, &s, sizeof(s), -1);
    assert_ok(memfd_new("stats", sizeof(struct stats), &stats));
    attach(ATTACH_STATS, 0, 0, 0, sizeof(struct stats), stats);
    (void)close(stats);
    b.wake_vault = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    b.wake_engine = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    attach(ATTACH_WAKE, ROLE_VAULT, 0, 0, 0, b.wake_vault);
    attach(ATTACH_WAKE, ROLE_ENGINE, 0, 0, 0, b.wake_engine);
    give_ring(ATTACH_RING_ASK, &b.ask_mem, &b.ask, true);
    give_ring(ATTACH_RING_ANSWER, &b.answer_mem, &b.answer, false);
    give_keys(key);
    send_msg(MSG_SETUP_DONE, NULL, 0, -1);
}

static int end_of(void)
{
    int status = 12345;
    struct pollfd p = {b.proc.pidfd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, WAIT), 1);
    assert_ok(spawn_reap(&b.proc, &status));
    return status;
}

static int set_up(void **state)
{
    (void)state;
    uint8_t seed[32];
    b = (struct bench){.state = "/tmp/ringwall-service-XXXXXX"};
    if (!getenv("RINGWALL_VAULT"))
        return 0;
    assert_non_null(mkdtemp(b.state));
    assert_int_equal(chmod(b.state, 0755), 0);
    (void)snprintf(b.folder, sizeof(b.folder), "%s/vault", b.state);
    assert_ok(rand_bytes(seed, sizeof(seed)));
    rng_init(&b.rng, seed);
    rng_bytes(&b.rng, &b.nonce, sizeof(b.nonce));
    struct setup s = {.state = b.state, .domain = "example.com", .now = clock_now().wall};
    assert_ok(setup_folders(&s));
    assert_ok(setup_certs(&s));
    struct disk d;
    struct users u;
    struct user *x = NULL, *old = NULL;
    users_init(&u, &b.nonce);
    assert_ok(user_new(STR("alice@example.com"), &x));
    assert_ok(user_password(x, STR("wonderland-77")));
    assert_ok(users_put(&u, x, &old));
    assert_ok(disk_open(&d, b.folder));
    assert_ok(disk_users_save(&d, &u));
    disk_close(&d);
    users_done(&u);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {
        "vault/keys/ca.pem", "vault/keys/server.pem", "vault/users", "vault/lock", "ca.pem",
        "server.pem",        "vault/ca.pem"};
    char path[160];
    if (!getenv("RINGWALL_VAULT"))
        return 0;
    mem_unmap(b.ask_mem, ring_bytes(RING));
    mem_unmap(b.answer_mem, ring_bytes(RING));
    (void)close(b.ch.fd);
    (void)close(b.wake_vault);
    (void)close(b.wake_engine);
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", b.state, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/keys", b.folder);
    (void)rmdir(path);
    (void)rmdir(b.folder);
    return rmdir(b.state);
}

static void ring_the_bell(void)
{
    uint64_t one = 1;
    if (ring_want_wake(&b.ask))
        assert_int_equal(write(b.wake_vault, &one, sizeof(one)), sizeof(one));
}

static struct answer answer_of(const struct ask *q)
{
    struct answer a = {0};
    size_t n = 0;
    assert_ok(ring_put(&b.ask, q, ask_size(q)));
    ring_the_bell();
    enum err e = ERR_AGAIN;
    for (unsigned i = 0; i < WAIT && e == ERR_AGAIN; i++) {
        e = ring_get(&b.answer, &a, sizeof(a), &n);
        if (e == ERR_AGAIN)
            (void)poll(NULL, 0, 1);
    }
    assert_ok(e);
    assert_ok(answer_valid(&a, n));
    assert_int_equal(a.id, q->id);
    return a;
}

static struct ask verify(const char *user, const char *password)
{
    static uint32_t id;
    struct ask q = {.id = ++id, .kind = ASK_VERIFY, .alg = DIGEST_SHA256};
    char ha1[DIGEST_HEX_MAX] = "", ha2[DIGEST_HEX_MAX] = "", nonce[NONCE_CHARS] = "";
    char response[DIGEST_HEX_MAX] = "";
    struct str realm = STR("example.com"), nc = STR("00000001"), cn = STR("cn"), qop = STR("auth");
    struct str h1 = str_of(ha1, 64), h2 = str_of(ha2, 64), no = str_of(nonce, NONCE_CHARS);
    nonce_mint(&b.nonce, clock_now().wall, &b.rng, nonce);
    assert_ok(digest_ha1(DIGEST_SHA256, str_c(user), realm, str_c(password), ha1));
    assert_ok(digest_ha2(DIGEST_SHA256, STR("INVITE"), STR("sip:x"), false, STR_NONE, ha2));
    assert_ok(digest_response(DIGEST_SHA256, h1, no, nc, cn, qop, h2, response));
    assert_true(ask_add(&q, str_c(user), &q.user) && ask_add(&q, realm, &q.realm) &&
                ask_add(&q, no, &q.nonce) && ask_add(&q, nc, &q.nc) && ask_add(&q, cn, &q.cnonce) &&
                ask_add(&q, qop, &q.qop) && ask_add(&q, h2, &q.ha2) &&
                ask_add(&q, str_of(response, 64), &q.response));
    return q;
}

static enum reason try_password(const char *user, const char *password)
{
    struct ask q = verify(user, password);
    return (enum reason)answer_of(&q).reason;
}

static void expect_directory(const char *user, bool there)
{
    void *p = NULL;
    expect(MSG_DIRECTORY);
    size_t n = (size_t)b.m.u.blob.bytes;
    assert_ok(mem_map(b.m.fds[0], n, false, true, &p));
    assert_ok(directory_valid(p, n));
    assert_int_equal(directory_find(p, str_c(user), STR("example.com")) != NULL, there);
    mem_unmap(p, n);
    msg_close(&b.m);
}

static void expect_reply(const char *request, uint32_t code)
{
    struct msg_query q = {.id = 99};
    assert_ok(
        channel_send2(&b.ch, MSG_QUERY, str_of((const char *)&q, sizeof(q)), str_c(request), -1));
    expect(MSG_REPLY);
    assert_int_equal(b.m.u.reply.id, 99);
    assert_int_equal(b.m.u.reply.code, code);
}

static void test_life(void **state)
{
    (void)state;
    if (!getenv("RINGWALL_VAULT"))
        skip();
    start("server");
    expect_directory("alice", true);
    expect(MSG_RUNNING);

    assert_int_equal(try_password("alice", "wonderland-77"), REASON_NONE);
    assert_int_equal(try_password("alice", "wonderland-78"), REASON_auth_failed);
    assert_int_equal(try_password("carol", "christmas-12"), REASON_auth_failed);

    /* A user made while it runs: known to the engines and on disk. */
    expect_reply("{\"cmd\":\"user-add\",\"user\":\"carol@example.com\",\"password\":"
                 "\"christmas-12\"}",
                 CONTROL_OK);
    expect_directory("carol", true);
    assert_int_equal(try_password("carol", "christmas-12"), REASON_NONE);
    expect_reply("{\"cmd\":\"user-del\",\"user\":\"alice@example.com\"}", CONTROL_OK);
    expect_directory("alice", false);
    assert_int_equal(try_password("alice", "wonderland-77"), REASON_auth_failed);
    expect_reply("{\"cmd\":\"nonsense\"}", CONTROL_BAD_REQUEST);

    /* The folder is its own while it lives. */
    struct disk d;
    assert_err(disk_open(&d, b.folder), ERR_EXISTS);

    send_msg(MSG_STOP, NULL, 0, -1);
    assert_int_equal(end_of(), 0);
}

static void test_sign(void **state)
{
    (void)state;
    if (!getenv("RINGWALL_VAULT"))
        skip();
    struct ask q = {.id = 3, .kind = ASK_SIGN};
    struct str digest = STR("0123456789abcdef0123456789abcdef");
    char pem[4096], path[160];
    size_t n = 0;
    struct key *k = NULL;
    start("server");
    expect_directory("alice", true);
    expect(MSG_RUNNING);
    assert_true(ask_add(&q, digest, &q.ha2));
    struct answer a = answer_of(&q);
    assert_int_equal(a.reason, REASON_NONE);
    (void)snprintf(path, sizeof(path), "%s/keys/server.pem", b.folder);
    assert_ok(file_read(path, pem, sizeof(pem), &n));
    assert_ok(key_load(str_of(pem, n), &k));
    assert_ok(key_verify(k, digest, str_of((const char *)a.bytes, a.n)));
    key_free(k);
    q.key = 1;
    assert_int_equal(answer_of(&q).reason, REASON_auth_unavailable);

    /* A reload that names a key which is not there: told, and no signature any more. */
    give_keys("absent");
    expect(MSG_NOTE);
    q.key = 0;
    assert_int_equal(answer_of(&q).reason, REASON_auth_unavailable);
    give_keys("server");
    q.id = 4;
    for (unsigned i = 0; i < WAIT && answer_of(&q).reason != REASON_NONE; i++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(answer_of(&q).reason, REASON_NONE);
    send_msg(MSG_STOP, NULL, 0, -1);
    assert_int_equal(end_of(), 0);
}

/* An engine that has been taken over: rubbish is told once, right questions still get answers, a
 * broken ring is left alone until there is a new one. */
static void test_hostile_engine(void **state)
{
    (void)state;
    if (!getenv("RINGWALL_VAULT"))
        skip();
    char junk[600];
    start("server");
    expect_directory("alice", true);
    expect(MSG_RUNNING);
    for (unsigned i = 0; i < 20; i++) {
        rng_bytes(&b.rng, junk, sizeof(junk));
        assert_ok(ring_put(&b.ask, junk, 1 + i * 29));
    }
    ring_the_bell();
    expect(MSG_NOTE);
    assert_int_equal(try_password("alice", "wonderland-77"), REASON_NONE);
    struct ring_shared *sh = b.ask_mem;
    __atomic_store_n(&sh->head, 0x7ffffff1u, __ATOMIC_RELEASE);
    uint64_t one = 1;
    assert_int_equal(write(b.wake_vault, &one, sizeof(one)), sizeof(one));
    expect(MSG_NOTE);
    give_ring(ATTACH_RING_ASK, &b.ask_mem, &b.ask, true);
    give_ring(ATTACH_RING_ANSWER, &b.answer_mem, &b.answer, false);
    assert_int_equal(try_password("alice", "wonderland-77"), REASON_NONE);
    (void)close(b.ch.fd); /* without a monitor there is no vault */
    b.ch.fd = -1;
    assert_int_equal(end_of(), 1);
}

static void refuses_to_begin(const char *key, const char *words)
{
    start(key);
    expect(MSG_NOTE);
    struct str s = msg_text(&b.m, sizeof(struct msg_note));
    assert_true(str_search(s, str_c(words)) < s.n);
    assert_int_equal(end_of(), 1);
}

static void test_key_missing(void **state)
{
    (void)state;
    if (!getenv("RINGWALL_VAULT"))
        skip();
    refuses_to_begin("absent", "keys/absent.pem");
}

static void test_users_damaged(void **state)
{
    (void)state;
    if (!getenv("RINGWALL_VAULT"))
        skip();
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/users", b.folder);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0 && write(fd, "x\n", 2) == 2);
    (void)close(fd);
    refuses_to_begin("server", "checksum is wrong");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(test_life), T(test_sign), T(test_hostile_engine),
                                       T(test_key_missing), T(test_users_damaged)};
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
