#include "base/seq.h"
#include "call/fixture_test.h"
#include "call/targets.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct targets_board board;
static struct policy p;

static void named(uint8_t i, const char *host, uint16_t port)
{
    struct policy_peer *r = &p.peers[i];
    *r = (struct policy_peer){.zone = 2, .listener = 2, .proto = PROTO_UDP, .host_port = port};
    r->host = (struct span){(uint16_t)p.text_n, (uint16_t)strlen(host)};
    memcpy(p.text + p.text_n, host, r->host.len);
    p.text_n += r->host.len;
    p.n_peers = (uint8_t)MAX(p.n_peers, i + 1);
}

static struct targets_row row_of(uint8_t peer, const char *a, const char *b)
{
    struct targets_row r = {.state = TARGETS_GOOD, .until = {9}};
    assert_true(targets_ask(&p, peer, &r.ask));
    r.entry[r.n++].a = fixture_addr(a);
    if (b)
        r.entry[r.n++].a = fixture_addr(b);
    return r;
}

static int prepare(void **state)
{
    (void)state;
    memset(&board, 0, sizeof board);
    fixture_policy(&p);
    named(1, "pbx.example.net", 0);
    named(2, "pbx.example.net", 5070);
    assert_ok(targets_attach(&board, sizeof board));
    return 0;
}

static void found_by_question(void **state)
{
    struct targets_row r, one = row_of(1, "192.0.2.30:5060", NULL),
                          two = row_of(2, "192.0.2.31:5070", "192.0.2.32:5070");
    (void)state;
    assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_NOT_FOUND);
    uint32_t changes = board.changes;
    targets_put(&board, 5, &two); /* the slot says nothing */
    targets_put(&board, 0, &one);
    assert_int_equal(board.changes, changes + 2);
    assert_ok(targets_get(&board, sizeof board, &p, 1, &r));
    assert_int_equal(targets_find(&r, &one.entry[0].a), 0);
    assert_ok(targets_get(&board, sizeof board, &p, 2, &r));
    assert_int_equal(r.n, 2);
    assert_int_equal(targets_find(&r, &two.entry[1].a), 1);
    assert_int_equal(targets_find(&r, &one.entry[0].a), -1);
    /* peer 0 has no name; another question is not answered by this row */
    assert_err(targets_get(&board, sizeof board, &p, 0, &r), ERR_NOT_FOUND);
    p.peers[2].dnssec = true;
    assert_err(targets_get(&board, sizeof board, &p, 2, &r), ERR_NOT_FOUND);
    p.peers[2].dnssec = false;
    p.peers[2].proto = PROTO_TCP;
    assert_err(targets_get(&board, sizeof board, &p, 2, &r), ERR_NOT_FOUND);
}

static void hostile_rows(void **state)
{
    static const char *const bad[] = {"0.0.0.0:5060",         "224.0.0.1:5060",    "239.1.2.3:5060",
                                      "255.255.255.255:5060", "0.1.2.3:5060",      "127.0.0.1:5060",
                                      "192.0.2.30:0",         "[2001:db8::1]:5060"};
    struct targets_row r, good = row_of(1, "192.0.2.30:5060", NULL), w;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        w = good;
        w.entry[0].a = fixture_addr(bad[i]);
        targets_put(&board, 0, &w);
        assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_SYNTAX);
        w = good;
        w.past[w.n_past++].a = fixture_addr(bad[i]);
        targets_put(&board, 0, &w);
        assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_SYNTAX);
    }
    /* our own listener, by its address and by what it advertises */
    w = good;
    w.entry[0].a = p.listeners[2].bind;
    targets_put(&board, 0, &w);
    assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_SYNTAX);
    w.entry[0].a = p.listeners[2].bind;
    w.entry[0].a.port++;
    targets_put(&board, 0, &w);
    assert_ok(targets_get(&board, sizeof board, &p, 1, &r)); /* another port is another program */
#define BAD(what)                                                                                  \
    do {                                                                                           \
        w = good;                                                                                  \
        what;                                                                                      \
        targets_put(&board, 0, &w);                                                                \
        assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_SYNTAX);                      \
    } while (0)
    BAD(w.n = LOCATE_ENTRIES + 1);
    BAD(w.n_past = TARGETS_PAST + 1);
    BAD(w.state = TARGETS_FAILED + 1);
    BAD(w.why = REASON_COUNT);
    w = good;
    w.ask.host.n = 255;
    targets_put(&board, 0, &w);
    assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_NOT_FOUND);
    assert_err(targets_get(&board, sizeof board - 1, &p, 1, &r), ERR_SYNTAX);
    board.magic++;
    assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_SYNTAX);
}

static void loopback(void **state)
{
    (void)state;
    struct addr a = fixture_addr("127.0.0.9:5060");
    assert_false(targets_allowed(&p, 1, &a));
    p.listeners[2].bind = fixture_addr("127.0.0.1:5060");
    assert_true(targets_allowed(&p, 1, &a)); /* what is reached from here only */
    assert_false(targets_allowed(&p, 1, &p.listeners[2].bind));
}

static void dead_writer(void **state)
{
    struct targets_row r, one = row_of(1, "192.0.2.30:5060", NULL),
                          two = row_of(2, "192.0.2.31:5070", NULL);
    (void)state;
    targets_put(&board, 0, &one);
    targets_put(&board, 1, &two);
    seq_write_begin(&board.slot[0].seq);
    board.slot[0].row.n = 77;
    assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_NOT_FOUND);
    assert_ok(targets_attach(&board, sizeof board)); /* the next writer */
    assert_err(targets_get(&board, sizeof board, &p, 1, &r), ERR_NOT_FOUND);
    assert_ok(targets_get(&board, sizeof board, &p, 2, &r)); /* whole rows stay */
    assert_err(targets_attach(&board, sizeof board - 1), ERR_RANGE);
}

static void sources(void **state)
{
    static struct targets_row rows[POLICY_PEERS];
    (void)state;
    memset(rows, 0, sizeof rows);
    rows[1] = row_of(1, "192.0.2.30:5060", NULL);
    rows[2] = row_of(2, "192.0.2.30:5070", "192.0.2.32:5070");
    rows[2].past[rows[2].n_past++] = (struct targets_past){fixture_addr("192.0.2.40:5070"), {1000}};
    struct addr a = fixture_addr("192.0.2.30:5070"), b = fixture_addr("192.0.2.30:1"),
                c = fixture_addr("192.0.2.40:5070"), d = fixture_addr("192.0.2.10:5070");
    assert_int_equal(targets_peer_of(&p, rows, 2, &a), 2); /* address and port first */
    assert_int_equal(targets_peer_of(&p, rows, 2, &b), 1);
    assert_int_equal(targets_peer_of(&p, rows, 1, &a), POLICY_NONE);
    assert_int_equal(targets_peer_of(&p, rows, 2, &c), POLICY_NONE); /* it was the peer's */
    assert_int_equal(targets_peer_of(&p, rows, 2, &d), 0);           /* of the policy */
    assert_int_equal(targets_peer_of(&p, NULL, 2, &a), POLICY_NONE);
    assert_true(targets_was(&rows[2], &c, (struct wall){999}));
    assert_false(targets_was(&rows[2], &c, (struct wall){1000}));
    assert_true(targets_was(&rows[2], &b, (struct wall){5000}));
    assert_false(targets_was(&rows[2], &d, (struct wall){5}));
}

/* A writer in another process that never pauses: a reader sees whole rows or none. */
static void torn(void **state)
{
    (void)state;
    struct targets_board *b =
        mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(b != MAP_FAILED);
    assert_ok(targets_attach(b, sizeof *b));
    struct targets_row one = row_of(1, "192.0.2.30:5060", NULL), two = one;
    two.n = LOCATE_ENTRIES;
    for (unsigned i = 0; i < two.n; i++)
        two.entry[i].a = fixture_addr("192.0.2.77:7777");
    targets_put(b, 3, &one);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0;; i++) {
            targets_put(b, 3, i & 1 ? &one : &two);
            for (volatile unsigned k = 0; k < 3000; k++)
                ; /* as a real one, it is mostly elsewhere */
        }
    }
    unsigned seen[2] = {0}, missed = 0, bad = 0;
    for (unsigned i = 0; i < 200000 && !bad; i++) {
        struct targets_row r;
        enum err e = targets_get(b, sizeof *b, &p, 1, &r);
        if (e == ERR_NOT_FOUND) {
            missed++;
            continue;
        }
        bool is_two = r.n == LOCATE_ENTRIES;
        bad += e != OK || (!is_two && r.n != 1);
        for (unsigned k = 0; k < r.n && !bad; k++)
            bad += !addr_eq(&r.entry[k].a, &(is_two ? &two : &one)->entry[k].a);
        seen[is_two]++;
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    assert_int_equal(bad, 0);
    assert_true(seen[0] && seen[1] && missed < seen[0] + seen[1]);
    (void)munmap(b, sizeof *b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(found_by_question, prepare),
        cmocka_unit_test_setup(hostile_rows, prepare),
        cmocka_unit_test_setup(loopback, prepare),
        cmocka_unit_test_setup(dead_writer, prepare),
        cmocka_unit_test_setup(sources, prepare),
        cmocka_unit_test_setup(torn, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
