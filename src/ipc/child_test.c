/* A child against a monitor that errs or lies: what is attached is checked before it is used.
 * child_start itself is tested with the real programs (tests/sec). */
#include "base/test.h"
#include "io/file.h"
#include "ipc/child.h"
#include "ipc/control.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

struct bench {
    struct child *c;
    struct channel up;
    int fd[2], pipe[2];
};

static struct bench open_bench(enum role role, uint8_t engine)
{
    struct bench b = {.c = calloc(1, sizeof *b.c)};
    assert_non_null(b.c);
    assert_ok(channel_pair(&b.fd[0], &b.fd[1]));
    assert_int_equal(fcntl(b.fd[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(pipe2(b.pipe, O_NONBLOCK), 0);
    channel_init(&b.up, b.fd[0], role, true);
    channel_init(&b.c->ch, b.fd[1], role, false);
    b.up.phase = b.c->ch.phase = PHASE_RUNNING;
    b.c->setup = (struct msg_setup){.role = (uint8_t)role, .engine = engine, .engines = 3};
    b.c->wake = b.pipe[0];
    for (size_t r = 0; r < ROLE_COUNT; r++)
        for (size_t i = 0; i < IPC_ENGINES_MAX; i++)
            b.c->wake_of[r][i] = -1;
    for (size_t i = 0; i < CHILD_LISTENERS; i++)
        b.c->listener[i] = -1;
    return b;
}

static void close_map(struct child_map *m)
{
    mem_unmap(m->p, m->n);
}

static void close_bench(struct bench *b)
{
    struct child *c = b->c;
    for (size_t i = 0; i < IPC_ENGINES_MAX; i++) {
        struct child_ring *all[] = {&c->ask[i],     &c->answer[i], &c->fact[i],
                                    &c->restore[i], &c->to[i],     &c->from[i]};
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            mem_unmap(all[k]->mem, all[k]->n);
        close_map(&c->location[i]);
        for (size_t r = 0; r < ROLE_COUNT; r++)
            if (c->wake_of[r][i] >= 0)
                (void)close(c->wake_of[r][i]);
    }
    close_map(&c->policy);
    close_map(&c->directory);
    for (size_t i = 0; i < CHILD_LISTENERS; i++)
        if (c->listener[i] >= 0)
            (void)close(c->listener[i]);
    (void)close(b->fd[0]);
    (void)close(b->fd[1]);
    (void)close(b->pipe[0]);
    (void)close(b->pipe[1]);
    free(c);
}

static enum err attach(struct bench *b, struct msg_attach a, int fd)
{
    enum child_event ev = CHILD_STOP;
    assert_ok(channel_send(&b->up, MSG_ATTACH, str_of((const char *)&a, sizeof a), fd));
    enum err e = child_next(b->c, &ev);
    if (e == OK)
        assert_int_equal(ev, CHILD_ATTACHED);
    return e;
}

static int ring_fd(uint32_t size)
{
    int fd = -1;
    assert_ok(memfd_new("ringwall-ring", ring_bytes(size), &fd));
    return fd;
}

static struct msg_attach ring_msg(enum attach_kind k, uint8_t a, uint8_t b, uint32_t size)
{
    return (struct msg_attach){(uint8_t)k, a, b, 0, size, ring_bytes(size)};
}

static void rings_pass_records(void **state)
{
    (void)state;
    struct bench e = open_bench(ROLE_ENGINE, 1), v = open_bench(ROLE_VAULT, 0);
    int fd = ring_fd(8192);
    char buf[16];
    size_t n = 0;
    assert_ok(attach(&e, ring_msg(ATTACH_RING_ASK, 1, 0, 8192), fd));
    assert_ok(attach(&v, ring_msg(ATTACH_RING_ASK, 1, 0, 8192), fd));
    int w = dup(v.pipe[1]);
    assert_ok(attach(&e, (struct msg_attach){.kind = ATTACH_WAKE, .a = ROLE_VAULT}, w));
    (void)close(w);
    assert_true(child_sleep(v.c));
    assert_ok(child_put(&e.c->ask[1], "question", 8));
    child_flush(e.c);
    struct pollfd p = {v.pipe[0], POLLIN, 0};
    assert_int_equal(poll(&p, 1, 0), 1); /* a sleeper is woken */
    child_awake(v.c);
    assert_int_equal(poll(&p, 1, 0), 0); /* and drained */
    assert_ok(child_get(&v.c->ask[1], buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "question");
    assert_err(child_get(&v.c->ask[1], buf, sizeof buf, &n), ERR_AGAIN);
    assert_ok(child_put(&e.c->ask[1], "again", 5));
    child_flush(e.c);
    assert_int_equal(poll(&p, 1, 0), 0); /* one who is awake is not */
    assert_false(child_sleep(v.c));      /* records wait */
    child_awake(v.c);
    /* replaced: what was in the old one is gone, the new one works */
    int fresh = ring_fd(8192);
    assert_ok(attach(&e, ring_msg(ATTACH_RING_ASK, 1, 0, 8192), fresh));
    assert_ok(attach(&v, ring_msg(ATTACH_RING_ASK, 1, 0, 8192), fresh));
    assert_err(child_get(&v.c->ask[1], buf, sizeof buf, &n), ERR_AGAIN);
    assert_ok(child_put(&e.c->ask[1], "new", 3));
    assert_ok(child_get(&v.c->ask[1], buf, sizeof buf, &n));
    assert_str(str_of(buf, n), "new");
    assert_err(child_put(&v.c->ask[1], "x", 1), ERR_STATE);  /* not the writer */
    assert_err(child_put(&e.c->fact[1], "x", 1), ERR_STATE); /* not given */
    assert_err(child_get(&e.c->answer[1], buf, sizeof buf, &n), ERR_AGAIN);
    (void)close(fd);
    (void)close(fresh);
    close_bench(&e);
    close_bench(&v);
}

/* Wake-ups without a record (somebody's nonsense) are drained too, if not at once. */
static void stray_wakes(void **state)
{
    (void)state;
    struct bench v = open_bench(ROLE_VAULT, 0);
    struct pollfd p = {v.pipe[0], POLLIN, 0};
    for (int i = 0; i < 3000; i++)
        (void)!write(v.pipe[1], "", 1);
    for (int i = 0; i < 64; i++) {
        assert_true(child_sleep(v.c));
        child_awake(v.c);
    }
    assert_int_equal(poll(&p, 1, 0), 0);
    close_bench(&v);
}

static void broken_ring(void **state)
{
    (void)state;
    struct bench s = open_bench(ROLE_STORE, 0);
    int fd = ring_fd(4096);
    char buf[64];
    size_t n = 0;
    assert_ok(attach(&s, ring_msg(ATTACH_RING_FACT, 2, 0, 4096), fd));
    struct ring_shared *sh = s.c->fact[2].mem;
    uint32_t was = sh->head;
    sh->head = 3; /* while the store starts again: it does, and goes on behind that */
    assert_ok(attach(&s, ring_msg(ATTACH_RING_FACT, 2, 0, 4096), fd));
    assert_true(s.c->fact[2].ring.dead);
    sh = s.c->fact[2].mem;
    sh->head = was;
    (void)ring_skip(&s.c->fact[2].ring);
    sh->head = 8;
    sh->data[3] = 0xff; /* a length beyond everything */
    assert_err(child_get(&s.c->fact[2], buf, sizeof buf, &n), ERR_STATE);
    assert_err(child_get(&s.c->fact[2], buf, sizeof buf, &n), ERR_AGAIN);
    assert_true(child_sleep(s.c)); /* a dead ring keeps nobody awake */
    (void)close(fd);
    close_bench(&s);
}

static void lies(void **state)
{
    (void)state;
    int ring = ring_fd(4096), sealed = -1, open_mem = -1;
    assert_ok(memfd_sealed("t", "0123456789abcdef", 16, &sealed));
    assert_ok(memfd_new("t", 4096, &open_mem));
    const struct {
        enum role role;
        struct msg_attach a;
        int fd;
        enum err want;
    } row[] = {
        {ROLE_ENGINE, {ATTACH_POLICY, 0, 0, 0, 0, 16}, sealed, OK},
        {ROLE_ENGINE, {ATTACH_POLICY, 0, 0, 0, 0, 17}, sealed, ERR_AUTH}, /* longer than it is */
        {ROLE_ENGINE,
         {ATTACH_POLICY, 0, 0, 0, 0, 4096},
         open_mem,
         ERR_AUTH}, /* could change under us */
        {ROLE_ENGINE, {ATTACH_POLICY, 0, 0, 0, 0, 0}, sealed, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_POLICY, 0, 0, 0, 0, UINT64_MAX}, sealed, ERR_RANGE},
        {ROLE_STORE, {ATTACH_DIRECTORY, 0, 0, 0, 0, 16}, sealed, ERR_STATE}, /* not the store's */
        {ROLE_ENGINE, {ATTACH_KEYS, 0, 0, 0, 0, 64}, sealed, ERR_STATE},     /* not the engine's */
        {ROLE_VAULT, {ATTACH_KEYS, 0, 0, 0, 0, 16}, sealed, ERR_STATE},      /* not whole names */
        {ROLE_VAULT, {ATTACH_LISTENER, 0, 0, 0, 0, 0}, ring, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_LISTENER, CHILD_LISTENERS, 0, 0, 0, 0}, ring, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_LISTENER, CHILD_LISTENERS - 1, 0, 0, 0, 0}, ring, OK},
        {ROLE_ENGINE, {ATTACH_CHAIN, CHILD_CHAINS, 0, 0, 0, 16}, sealed, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_WAKE, ROLE_COUNT, 0, 0, 0, 0}, ring, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_WAKE, 0, IPC_ENGINES_MAX, 0, 0, 0}, ring, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_LOCATION, IPC_ENGINES_MAX, 0, 0, 0, 4096}, open_mem, ERR_RANGE},
        {ROLE_ENGINE,
         {ATTACH_RING_ASK, 0, 0, 0, 4096, ring_bytes(4096)},
         ring,
         ERR_RANGE}, /* another engine's */
        {ROLE_ENGINE, {ATTACH_RING_ASK, 1, 0, 0, 4096, ring_bytes(4096)}, ring, OK},
        {ROLE_ENGINE, {ATTACH_RING_ASK, 1, 0, 0, 4096, ring_bytes(4096) + 1}, ring, ERR_RANGE},
        {ROLE_ENGINE,
         {ATTACH_RING_ASK, 1, 0, 0, 8192, ring_bytes(8192)},
         ring,
         ERR_AUTH}, /* shorter than told */
        {ROLE_ENGINE, {ATTACH_RING_ASK, 1, 0, 0, 4097, ring_bytes(4097)}, ring, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_RING_ASK, 1, 0, 0, 2048, ring_bytes(2048)}, ring, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_RING_ASK, 1, 0, 0, 0, ring_bytes(0)}, ring, ERR_RANGE},
        {ROLE_VAULT,
         {ATTACH_RING_FACT, 1, 0, 0, 4096, ring_bytes(4096)},
         ring,
         ERR_RANGE}, /* the store's */
        {ROLE_STORE,
         {ATTACH_RING_ANSWER, 1, 0, 0, 4096, ring_bytes(4096)},
         ring,
         ERR_RANGE}, /* the vault's */
        {ROLE_STORE, {ATTACH_RING_PEER, 1, 0, 0, 4096, ring_bytes(4096)}, ring, ERR_RANGE},
        {ROLE_ENGINE,
         {ATTACH_RING_PEER, 1, 1, 0, 4096, ring_bytes(4096)},
         ring,
         ERR_RANGE}, /* with itself */
        {ROLE_ENGINE,
         {ATTACH_RING_PEER, 0, 2, 0, 4096, ring_bytes(4096)},
         ring,
         ERR_RANGE}, /* of two others */
        {ROLE_ENGINE, {ATTACH_RING_PEER, 0, 1, 0, 4096, ring_bytes(4096)}, ring, OK},
        {ROLE_FETCH, {ATTACH_TARGETS, 0, 0, 0, 0, 4096}, open_mem, OK},
        {ROLE_FETCH, {ATTACH_TARGETS, 0, 0, 0, 0, 0}, open_mem, ERR_RANGE},
        {ROLE_FETCH, {ATTACH_TARGETS, 0, 0, 0, 0, UINT64_MAX}, open_mem, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_TARGETS, 0, 0, 0, 0, 4096}, open_mem, OK},
        {ROLE_STORE, {ATTACH_TARGETS, 0, 0, 0, 0, 4096}, open_mem, ERR_STATE},
        {ROLE_FETCH, {ATTACH_RESOLVER, 1, 0, 0, 0, 16}, sealed, OK},
        {ROLE_FETCH, {ATTACH_RESOLVER, 3, 0, 0, 0, 16}, sealed, OK},
        {ROLE_FETCH, {ATTACH_RESOLVER, 4, 0, 0, 0, 16}, sealed, OK},
        {ROLE_FETCH, {ATTACH_RESOLVER, 5, 0, 0, 0, 16}, sealed, ERR_STATE},
        {ROLE_FETCH, {ATTACH_RESOLVER, 0, 0, 0, 0, 4096}, open_mem, ERR_AUTH},
        {ROLE_ENGINE, {ATTACH_RESOLVER, 0, 0, 0, 0, 16}, sealed, ERR_STATE},
        {ROLE_FETCH, {ATTACH_DIRECTORY, 0, 0, 0, 0, 16}, sealed, ERR_STATE},
        {ROLE_FETCH, {ATTACH_CA, 0, 0, 0, 0, 16}, sealed, ERR_STATE},
        {ROLE_FETCH, {ATTACH_LISTENER, 0, 0, 0, 0, 0}, ring, ERR_RANGE},
        {ROLE_FETCH, {ATTACH_RING_ASK, 0, 0, 0, 4096, ring_bytes(4096)}, ring, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_LEDGER, 0, 0, 0, 0, 4096}, open_mem, OK},
        {ROLE_ENGINE, {ATTACH_LEDGER, 1, 0, 0, 0, 4096}, open_mem, OK},
        {ROLE_ENGINE, {ATTACH_LEDGER, 1, 0, 0, 0, 4096}, sealed, ERR_AUTH},
        {ROLE_STORE, {ATTACH_LEDGER, 0, 0, 0, 0, 4096}, open_mem, ERR_STATE},
        {ROLE_ENGINE, {ATTACH_FRAUD, 0, 0, 0, 0, 4096}, open_mem, OK},
        {ROLE_ENGINE, {ATTACH_FRAUD, 1, 0, 0, 0, 4096}, open_mem, OK},
        {ROLE_ENGINE, {ATTACH_FRAUD, 1, 0, 0, 0, 4096}, sealed, ERR_AUTH},
        {ROLE_STORE, {ATTACH_FRAUD, 0, 0, 0, 0, 4096}, open_mem, ERR_STATE},
        {ROLE_ENGINE, {ATTACH_RATES, 0, 0, 0, 0, 16}, sealed, OK},
        {ROLE_ENGINE, {ATTACH_RATES, 0, 0, 0, 0, 4096}, open_mem, ERR_AUTH},
        {ROLE_VAULT, {ATTACH_RATES, 0, 0, 0, 0, 16}, sealed, ERR_STATE},
        {ROLE_ENGINE, {0, 0, 0, 0, 0, 0}, ring, ERR_RANGE},
        {ROLE_ENGINE, {ATTACH_KIND_COUNT, 0, 0, 0, 0, 0}, ring, ERR_RANGE},
        {ROLE_ENGINE, {255, 255, 255, 255, UINT32_MAX, UINT64_MAX}, ring, ERR_RANGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct bench b = open_bench(row[i].role, 1);
        enum err got = attach(&b, row[i].a, row[i].fd);
        if (got != row[i].want)
            fail_msg("row %zu: got %s, want %s", i, err_name(got), err_name(row[i].want));
        close_bench(&b);
    }
    (void)close(ring);
    (void)close(sealed);
    (void)close(open_mem);
}

static void boards(void **state)
{
    (void)state;
    struct bench e = open_bench(ROLE_ENGINE, 1);
    int own = -1, ro = -1;
    assert_ok(memfd_new("t", 4096, &own));
    assert_ok(memfd_readonly(own, &ro));
    assert_err(attach(&e, (struct msg_attach){.kind = ATTACH_LOCATION, .a = 1, .bytes = 4096}, ro),
               ERR_SYSTEM); /* its own, but not writable */
    assert_ok(attach(&e, (struct msg_attach){.kind = ATTACH_LOCATION, .a = 1, .bytes = 4096}, own));
    assert_ok(attach(&e, (struct msg_attach){.kind = ATTACH_LOCATION, .a = 0, .bytes = 4096}, ro));
    *(uint8_t *)e.c->location_own = 9;
    assert_int_equal(*(const uint8_t *)e.c->location[0].p, 9);
    assert_err(attach(&e, (struct msg_attach){.kind = ATTACH_LOCATION, .a = 1, .bytes = 4096}, own),
               ERR_STATE); /* never replaced */
    (void)close(own);
    (void)close(ro);
    close_bench(&e);
}

static void replies(void **state)
{
    (void)state;
    static char text[REPLY_TEXT_MAX + 2];
    static struct msg m;
    struct bench b = open_bench(ROLE_STORE, 0);
    memset(text, 'x', REPLY_TEXT_MAX + 1);
    assert_ok(child_reply(b.c, 7, CONTROL_OK, str_of(text, REPLY_TEXT_MAX)));
    assert_ok(channel_recv(&b.up, &m, true));
    assert_int_equal(m.n_fds, 0);
    assert_int_equal(msg_text(&m, sizeof(struct msg_reply)).n, REPLY_TEXT_MAX);
    assert_ok(child_reply(b.c, 8, CONTROL_FAILED, str_of(text, REPLY_TEXT_MAX + 1)));
    assert_ok(channel_recv(&b.up, &m, true));
    assert_int_equal(m.n_fds, 1);
    assert_int_equal(m.u.reply.id, 8);
    assert_int_equal(m.u.reply.code, CONTROL_FAILED);
    assert_int_equal(m.u.reply.blob_bytes, REPLY_TEXT_MAX + 1);
    assert_int_equal(lseek(m.fds[0], 0, SEEK_END), REPLY_TEXT_MAX + 1);
    msg_close(&m);
    child_note(b.c, 2, "%s", text); /* cut, not refused */
    assert_ok(channel_recv(&b.up, &m, true));
    assert_int_equal(m.type, MSG_NOTE);
    assert_int_equal(msg_text(&m, sizeof(struct msg_note)).n, NOTE_TEXT_MAX - 1);
    close_bench(&b);
}

static void events(void **state)
{
    (void)state;
    static struct msg m;
    struct bench b = open_bench(ROLE_ENGINE, 0);
    struct msg_ping ping = {77};
    struct msg_query q = {5, 0};
    struct msg_connected c = {3, 0};
    enum child_event ev;
    assert_err(child_next(b.c, &ev), ERR_AGAIN);
    assert_ok(channel_send(&b.up, MSG_PING, str_of((const char *)&ping, sizeof ping), -1));
    assert_ok(channel_send2(&b.up, MSG_QUERY, str_of((const char *)&q, sizeof q), STR("{}"), -1));
    assert_ok(child_next(b.c, &ev)); /* pings are answered inside */
    assert_int_equal(ev, CHILD_QUERY);
    assert_ok(channel_recv(&b.up, &m, true));
    assert_int_equal(m.type, MSG_PONG);
    assert_int_equal(m.u.ping.id, 77);
    assert_ok(channel_send(&b.up, MSG_CONNECTED, str_of((const char *)&c, sizeof c), b.pipe[0]));
    assert_ok(child_next(b.c, &ev));
    assert_int_equal(ev, CHILD_CONNECTED);
    int fd = b.c->msg.fds[0];
    assert_true(fcntl(fd, F_GETFD) >= 0);
    assert_err(child_next(b.c, &ev), ERR_AGAIN);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* not taken: closed */
    assert_ok(channel_send(&b.up, MSG_CONNECTED, str_of((const char *)&c, sizeof c),
                           -1)); /* no error and no socket */
    assert_err(child_next(b.c, &ev), ERR_SYNTAX);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rings_pass_records),
                                       cmocka_unit_test(stray_wakes),
                                       cmocka_unit_test(broken_ring),
                                       cmocka_unit_test(lies),
                                       cmocka_unit_test(boards),
                                       cmocka_unit_test(replies),
                                       cmocka_unit_test(events)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
