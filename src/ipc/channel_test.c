#include "base/test.h"
#include "ipc/channel.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct msg msg; /* large */
struct ends {
    struct channel up, down; /* monitor's, child's */
    int fd[2];
};

static struct ends open_ends(enum role r, enum phase p)
{
    struct ends e;
    assert_ok(channel_pair(&e.fd[0], &e.fd[1]));
    channel_init(&e.up, e.fd[0], r, true);
    channel_init(&e.down, e.fd[1], r, false);
    e.up.phase = e.down.phase = p;
    return e;
}
static void close_ends(struct ends *e)
{
    (void)close(e->fd[0]);
    (void)close(e->fd[1]);
}
static struct str zeros(size_t n)
{
    static char z[IPC_BODY_MAX + 1];
    assert_true(n <= sizeof z);
    return str_of(z, n);
}

static void life(void **state)
{
    (void)state;
    struct ends e = open_ends(ROLE_VAULT, PHASE_LOCKING);
    struct msg_locked l = {.pid = 5, .report = {.seccomp = 1}};
    assert_err(channel_recv(&e.up, &msg, true), ERR_AGAIN);
    assert_err(channel_send(&e.up, MSG_SETUP, zeros(sizeof(struct msg_setup)), -1),
               ERR_STATE); /* nothing before it is locked in */
    assert_err(channel_send(&e.down, MSG_RUNNING, STR_NONE, -1), ERR_STATE);
    assert_ok(channel_send(&e.down, MSG_LOCKED, str_of((const char *)&l, sizeof l), -1));
    assert_err(channel_send(&e.down, MSG_LOCKED, str_of((const char *)&l, sizeof l), -1),
               ERR_STATE); /* once */
    assert_ok(channel_recv(&e.up, &msg, true));
    assert_int_equal(msg.type, MSG_LOCKED);
    assert_int_equal(msg.u.locked.pid, 5);
    assert_ok(channel_send(&e.up, MSG_SETUP, zeros(sizeof(struct msg_setup)), -1));
    assert_ok(channel_recv(&e.down, &msg, true));
    assert_int_equal(msg.type, MSG_SETUP);
    assert_err(channel_send(&e.up, MSG_QUERY, zeros(sizeof(struct msg_query)), -1),
               ERR_STATE); /* not before it runs */
    assert_ok(channel_send(&e.down, MSG_RUNNING, STR_NONE, -1));
    assert_ok(channel_recv(&e.up, &msg, true));
    assert_ok(channel_send2(&e.up, MSG_QUERY, zeros(sizeof(struct msg_query)),
                            STR("{\"cmd\":\"user-list\"}"), -1));
    assert_ok(channel_recv(&e.down, &msg, true));
    assert_str(msg_text(&msg, sizeof(struct msg_query)), "{\"cmd\":\"user-list\"}");
    (void)close(e.fd[1]);
    assert_err(channel_recv(&e.up, &msg, true), ERR_CLOSED);
    assert_err(channel_send(&e.up, MSG_STOP, STR_NONE, -1), ERR_CLOSED);
    (void)close(e.fd[0]);
}

static void descriptors(void **state)
{
    (void)state;
    struct ends e = open_ends(ROLE_ENGINE, PHASE_SETUP);
    struct msg_attach a = {.kind = ATTACH_WAKE};
    struct str body = str_of((const char *)&a, sizeof a);
    assert_err(channel_send(&e.up, MSG_ATTACH, body, -1), ERR_LIMIT); /* one is part of it */
    assert_err(channel_send(&e.up, MSG_SETUP_DONE, STR_NONE, e.fd[0]), ERR_LIMIT);
    assert_ok(channel_send(&e.up, MSG_ATTACH, body, e.fd[0]));
    assert_ok(channel_recv(&e.down, &msg, true));
    assert_int_equal(msg.n_fds, 1);
    int fd = msg.fds[0];
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    msg_close(&msg);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close_ends(&e);
}

/* Raw bytes of a hostile child, descriptors and all: refused, and nothing stays open. */
static void send_raw(int to, const void *p, size_t n, int fd, size_t n_fds)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(16 * sizeof(int))];
    } c = {.bytes = {0}};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds) {
        m.msg_control = c.bytes;
        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *cm = &c.align;
        *cm = (struct cmsghdr){.cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
                               .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS};
        for (size_t i = 0; i < n_fds; i++)
            memcpy(CMSG_DATA(cm) + i * sizeof fd, &fd, sizeof fd);
    }
    assert_int_equal(sendmsg(to, &m, MSG_NOSIGNAL), (ssize_t)n);
}

static int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void hostile(void **state)
{
    (void)state;
    static struct {
        struct msg_head h;
        uint8_t body[IPC_BODY_MAX + 4];
    } d;
    static const struct {
        uint16_t type, version;
        uint32_t told, real;
        size_t fds;
        enum phase phase;
        enum err want;
    } row[] = {
        {MSG_NOTE, IPC_VERSION, 4, 4, 0, PHASE_RUNNING, OK},
        {MSG_NOTE, IPC_VERSION, 4 + NOTE_TEXT_MAX, 4 + NOTE_TEXT_MAX, 0, PHASE_RUNNING, OK},
        {MSG_NOTE, IPC_VERSION, 5 + NOTE_TEXT_MAX, 5 + NOTE_TEXT_MAX, 0, PHASE_RUNNING, ERR_LIMIT},
        {MSG_NOTE, IPC_VERSION, 3, 3, 0, PHASE_RUNNING, ERR_LIMIT},
        {MSG_NOTE, IPC_VERSION + 1, 4, 4, 0, PHASE_RUNNING, ERR_SYNTAX},
        {MSG_NOTE, IPC_VERSION, 5, 4, 0, PHASE_RUNNING, ERR_SYNTAX},
        {MSG_NOTE, IPC_VERSION, UINT32_MAX, 4, 0, PHASE_RUNNING, ERR_SYNTAX},
        {MSG_NOTE, IPC_VERSION, 4, 4, 0, PHASE_LOCKING, ERR_STATE},
        {MSG_NOTE, IPC_VERSION, 4, 4, 1, PHASE_RUNNING,
         ERR_LIMIT}, /* a descriptor that does not belong there */
        {MSG_NOTE, IPC_VERSION, 4, 4, 9, PHASE_RUNNING, ERR_LIMIT}, /* more than can be taken */
        {MSG_NONE, IPC_VERSION, 0, 0, 0, PHASE_RUNNING, ERR_SYNTAX},
        {MSG_COUNT, IPC_VERSION, 0, 0, 0, PHASE_RUNNING, ERR_SYNTAX},
        {0xffff, IPC_VERSION, 0, 0, 0, PHASE_RUNNING, ERR_SYNTAX},
        {MSG_STOP, IPC_VERSION, 0, 0, 0, PHASE_RUNNING, ERR_STATE}, /* the monitor's word */
        {MSG_LOCKED, IPC_VERSION, sizeof(struct msg_locked), sizeof(struct msg_locked), 0,
         PHASE_RUNNING, ERR_STATE},
        {MSG_CONNECT, IPC_VERSION, sizeof(struct msg_connect), sizeof(struct msg_connect), 0,
         PHASE_SETUP, ERR_STATE},
        {MSG_DIRECTORY, IPC_VERSION, 8, 8, 1, PHASE_RUNNING, ERR_STATE}, /* the vault's word */
        {MSG_REPLY, IPC_VERSION, 16, 16, 1, PHASE_RUNNING, OK},
        {MSG_REPLY, IPC_VERSION, 16, 16, 2, PHASE_RUNNING, ERR_LIMIT},
        {MSG_REPLY, IPC_VERSION, IPC_BODY_MAX + 4, IPC_BODY_MAX + 4, 0, PHASE_RUNNING, ERR_LIMIT},
    };
    int before = open_files();
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct ends e = open_ends(ROLE_ENGINE, row[i].phase);
        d.h = (struct msg_head){row[i].type, row[i].version, row[i].told};
        send_raw(e.fd[1], &d, sizeof d.h + row[i].real, e.fd[1], row[i].fds);
        enum err got = channel_recv(&e.up, &msg, true);
        if (got != row[i].want)
            fail_msg("row %zu: got %s, want %s", i, err_name(got), err_name(row[i].want));
        if (got == OK)
            msg_close(&msg);
        close_ends(&e);
        assert_int_equal(open_files(), before);
    }
    /* fetch says few words: it opens nothing, publishes nothing, answers no operator */
    static const enum msg_type not_fetch[] = {MSG_CONNECT, MSG_DIRECTORY, MSG_REPLY, MSG_DRAINED};
    for (size_t i = 0; i < ARRAY_LEN(not_fetch); i++) {
        struct ends f = open_ends(ROLE_FETCH, PHASE_RUNNING);
        assert_err(channel_send(&f.down, not_fetch[i], zeros(16), -1), ERR_STATE);
        d.h = (struct msg_head){(uint16_t)not_fetch[i], IPC_VERSION, 16};
        send_raw(f.fd[1], &d, sizeof d.h + 16, -1, 0);
        assert_err(channel_recv(&f.up, &msg, true), ERR_STATE);
        close_ends(&f);
    }
    struct ends e = open_ends(ROLE_ENGINE, PHASE_RUNNING);
    send_raw(e.fd[1], &d, 3, -1, 0); /* shorter than a head */
    assert_err(channel_recv(&e.up, &msg, true), ERR_LIMIT);
    close_ends(&e);
}

static void never_waits(void **state)
{
    (void)state;
    struct ends e = open_ends(ROLE_STORE, PHASE_RUNNING);
    enum err r = OK;
    for (int i = 0; i < 100000 && r == OK; i++)
        r = channel_send(&e.up, MSG_FACT, zeros(4096), -1);
    assert_err(r, ERR_AGAIN);
    assert_ok(channel_recv(&e.down, &msg, true)); /* whole messages only */
    assert_int_equal(msg.n, 4096);
    close_ends(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(life), cmocka_unit_test(descriptors),
                                       cmocka_unit_test(hostile), cmocka_unit_test(never_waits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
