/* Service-Routes by themselves: which are kept, for how long, and for whom they count. */
#include "call/upstream_int.h"
#include "call/upstream_test.h"

#define CAP  32u
#define ROW  "<sip:edge.test;lr>"
#define HEAD "Service-Route: "

static struct service_board *board[TEST_ENGINES];

/* Of so many engines this one is the first; each has its board. */
static void boards(struct fixture *x, uint8_t engines)
{
    struct core *c = x->g.core[0];
    for (unsigned i = 0; i < engines; i++) {
        board[i] = calloc(1, service_bytes(CAP));
        assert_non_null(board[i]);
        c->cfg.service[i] = board[i];
    }
    c->cfg.engines = engines;
    c->cfg.service_own = board[0];
    c->cfg.service_cap = CAP;
}

static int gone(void **state)
{
    for (unsigned i = 0; i < TEST_ENGINES; i++) {
        free(board[i]);
        board[i] = NULL;
    }
    return teardown(state);
}

static struct reg reg_of(struct fixture *x, const char *aor)
{
    struct reg r = {.to = test_addr(PBX), .until = {x->g.now.wall.us + INT64_C(60000000)}};
    r.aor_n = (uint8_t)strlen(aor);
    memcpy(r.aor, aor, strlen(aor));
    r.hash = reg_hash(x->g.core[0], 0, reg_aor(&r));
    return r;
}

static void heard(struct fixture *x, struct reg *r, const char *lines)
{
    static struct sip_msg m;
    struct sip_error bad;
    static char text[4096];
    (void)snprintf(
        text, sizeof text,
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " TEST_INSIDE ";branch=z9hG4bKtest\r\n"
        "From: <sip:alice@198.51.100.10>;tag=1\r\nTo: <sip:alice@198.51.100.10>;tag=2\r\n"
        "Call-ID: 1\r\nCSeq: 1 REGISTER\r\n%sContent-Length: 0\r\n\r\n",
        lines);
    if (sip_parse(str_c(text), false, &m, &bad) != OK)
        fail_msg("not SIP: %s", lines);
    reg_route_keep(x->g.core[0], r, &m);
    collect(x);
}

static struct str route(struct fixture *x, const char *user)
{
    static char text[SERVICE_ROUTE_MAX];
    return upstream_route(x->g.core[0], 0, str_c(user), text);
}

static unsigned counted(const struct fixture *x, enum reason r)
{
    return (unsigned)x->g.counters[0].n[r];
}

static const struct {
    const char *lines;
    const char *route; /* NULL: refused; "": there is none */
} KEEP[] = {
    {HEAD ROW "\r\n", ROW},
    {HEAD "<sip:edge.test:5070;lr>\r\n", "<sip:edge.test:5070;lr>"},
    {HEAD "<sips:edge.test;lr>\r\n", "<sips:edge.test;lr>"},
    {HEAD "<sip:u@edge.test;lr;x=1>\r\n", "<sip:u@edge.test;lr;x=1>"},
    {HEAD "<sip:a.test;lr>, <sip:b.test;lr>\r\n", "<sip:a.test;lr>,<sip:b.test;lr>"},
    {HEAD "<sip:a.test;lr>\r\n" HEAD "<sip:b.test;lr>\r\n", "<sip:a.test;lr>,<sip:b.test;lr>"},
    {HEAD "\"Edge\" <sip:edge.test;lr>;x=y\r\n", ROW}, /* nothing but the URI */
    {"", ""},
    {"Route: <sip:evil.test;lr>\r\nRecord-Route: <sip:evil.test;lr>\r\n", ""},
    {HEAD "<sip:edge.test>\r\n", NULL}, /* strict */
    {HEAD "<sip:lr@edge.test>\r\n", NULL},
    {HEAD "<sip:edge.test>;lr\r\n", NULL},
    {HEAD "<tel:+15550100;lr>\r\n", NULL},
    {HEAD "<http://edge.test;lr>\r\n", NULL},
    {HEAD "<sip:;lr>\r\n", NULL},
    {HEAD "edge.test\r\n", NULL},
    {HEAD "<sip:edge.test;lr\r\n", NULL},
    {HEAD ROW ", <sip:strict.test>\r\n", NULL}, /* all or none */
    {HEAD "<sip:strict.test>, " ROW "\r\n", NULL},
};

static void kept_routes(void **state)
{
    struct fixture *x = *state;
    boards(x, 1);
    front(x);
    unsigned refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(KEEP); i++) {
        struct reg r = reg_of(x, "alice@example.com");
        const char *want = KEEP[i].route ? KEEP[i].route : "";
        heard(x, &r, HEAD "<sip:old.test;lr>\r\n"); /* the newest word counts, whatever it is */
        assert_str(route(x, "alice@example.com"), "<sip:old.test;lr>");
        assert_true(r.routed);
        heard(x, &r, KEEP[i].lines);
        if (!str_eq(route(x, "alice@example.com"), str_c(want)))
            fail_msg("%s", KEEP[i].lines);
        refused += !KEEP[i].route;
        assert_int_equal(r.routed, *want != '\0');
        assert_int_equal(r.route_why, KEEP[i].route ? REASON_NONE : REASON_upstream_service_route);
        assert_int_equal(fact_of(x) != NULL, !KEEP[i].route);
        assert_int_equal(counted(x, REASON_upstream_service_route), refused);
    }
}

/* SERVICE_ROUTE_MAX bytes of what we would say, and one more. */
static void longest(void **state)
{
    struct fixture *x = *state;
    boards(x, 1);
    front(x);
    for (unsigned more = 0; more < 2; more++) {
        struct reg r = reg_of(x, "alice@example.com");
        char line[512], host[256];
        memset(host, 'x', sizeof host);
        host[SERVICE_ROUTE_MAX - STR("<sip:a.test;lr>,<sip:@b.test;lr>").n + more] = '\0';
        (void)snprintf(line, sizeof line, HEAD "<sip:a.test;lr>, <sip:%s@b.test;lr>\r\n", host);
        heard(x, &r, line);
        assert_int_equal(r.routed, !more);
        assert_int_equal(route(x, "alice@example.com").n, more ? 0 : SERVICE_ROUTE_MAX);
    }
}

/* Told once as long as it stays so; counted each time; told again after it was well. */
static void said_once(void **state)
{
    struct fixture *x = *state;
    struct reg r = reg_of(x, "alice@example.com");
    boards(x, 1);
    front(x);
    heard(x, &r, HEAD "<sip:strict.test>\r\n");
    const struct fact *f = fact_of(x);
    assert_non_null(f);
    assert_int_equal(f->reason, REASON_upstream_service_route);
    heard(x, &r, HEAD "<sip:strict.test>\r\n");
    assert_null(fact_of(x));
    assert_int_equal(counted(x, REASON_upstream_service_route), 2);
    heard(x, &r, "");
    assert_null(fact_of(x));
    heard(x, &r, HEAD "<sip:strict.test>\r\n");
    assert_non_null(fact_of(x));
    assert_int_equal(counted(x, REASON_upstream_service_route), 3);
}

/* A board without room says so; what was there before is not left in force. */
static void no_room(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct reg r = reg_of(x, "alice@example.com");
    boards(x, 1);
    front(x);
    unsigned n = 0;
    enum err e = OK;
    for (; e == OK && n < 1000; n++) /* in its chain */
        e = service_put(board[0], CAP, r.hash + (UINT64_C(1) << 40) * (n + 1), STR(ROW), r.until,
                        c->now.wall);
    assert_err(e, ERR_FULL);
    heard(x, &r, HEAD ROW "\r\n");
    assert_false(r.routed);
    assert_int_equal(r.route_why, REASON_capacity_upstream);
    assert_int_equal(counted(x, REASON_capacity_upstream), 1);
    assert_non_null(fact_of(x));
    assert_int_equal(route(x, "alice@example.com").n, 0);
}

/* For whom: the user's own, where the peer fronts; else our account's, where it has one. */
static void whose(void **state)
{
    static const struct {
        bool fronts, account, of_alice, of_account;
        const char *user, *want;
    } rows[] = {
        {1, 0, 1, 0, "alice@example.com", "<sip:u.test;lr>"},
        {1, 0, 1, 0, "bob@example.com", ""},
        {1, 0, 1, 0, "", ""},
        {0, 0, 1, 1, "alice@example.com", ""},
        {0, 1, 1, 1, "alice@example.com", "<sip:a.test;lr>"},
        {0, 1, 0, 1, "", "<sip:a.test;lr>"},
        {1, 1, 1, 1, "alice@example.com", "<sip:u.test;lr>"},
        {1, 1, 1, 1, "bob@example.com", "<sip:a.test;lr>"},
        {1, 1, 0, 1, "alice@example.com", "<sip:a.test;lr>"},
        {1, 1, 1, 0, "alice@example.com", "<sip:u.test;lr>"},
        {1, 0, 0, 1, "alice@example.com", ""},
        {1, 0, 0, 1, "", ""},
    };
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    boards(x, 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reg u = reg_of(x, "alice@example.com"), a = reg_of(x, "");
        x->g.policy.peers[0].fronts = rows[i].fronts ? 1u << ZONE_PHONES : 0;
        x->g.policy.peers[0].register_s = rows[i].account ? 600 : 0;
        heard(x, &u, rows[i].of_alice ? HEAD "<sip:u.test;lr>\r\n" : "");
        heard(x, &a, rows[i].of_account ? HEAD "<sip:a.test;lr>\r\n" : "");
        if (!str_eq(route(x, rows[i].user), str_c(rows[i].want)))
            fail_msg("row %zu: " STR_FMT, i, STR_ARG(route(x, rows[i].user)));
    }
    /* A name longer than any that is registered. */
    char name[LOCATION_AOR_MAX + 2];
    memset(name, 'x', sizeof name);
    name[LOCATION_AOR_MAX + 1] = '\0';
    x->g.policy.peers[0].fronts = 1;
    assert_int_equal(route(x, name).n, 0);
    /* As long as the registration, and no longer; and not after it was taken away. */
    struct reg u = reg_of(x, "alice@example.com");
    heard(x, &u, HEAD ROW "\r\n");
    c->now.wall.us = u.until.us - 1;
    assert_str(route(x, "alice@example.com"), ROW);
    c->now.wall.us = u.until.us;
    assert_str(route(x, "alice@example.com"), "");
    c->now.wall.us = u.until.us - 1;
    reg_route_del(c, &u);
    assert_false(u.routed);
    assert_str(route(x, "alice@example.com"), "");
}

/* Each engine's board is looked at for those it keeps; one that is not there has nothing. */
static void owners(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    unsigned of[4] = {0};
    boards(x, 4);
    x->g.policy.peers[0].fronts = 1;
    for (unsigned i = 0; i < 100; i++) {
        char aor[32];
        (void)snprintf(aor, sizeof aor, "u%u@example.com", i);
        uint8_t at = reg_owner(c, 0, str_c(aor));
        assert_true(at < 4);
        assert_int_equal(at, siphash(&c->cfg.hash_key, str_c(aor)) % 4); /* as his phones */
        assert_int_equal(reg_owner(c, 1, str_c(aor)), at);
        of[at]++;
        struct reg r = reg_of(x, aor);
        assert_int_equal(route(x, aor).n, 0);
        assert_ok(service_put(board[at], CAP, r.hash, STR(ROW), r.until, c->now.wall));
        assert_str(route(x, aor), ROW);
        c->cfg.service[at] = NULL;
        assert_int_equal(route(x, aor).n, 0);
        c->cfg.service[at] = board[at];
        service_del(board[at], CAP, r.hash);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_true(of[i] > 5);
    assert_int_equal(reg_owner(c, 0, STR_NONE), reg_hash(c, 0, STR_NONE) % 4);
}

/* Without boards nothing is kept, and nothing is wrong. */
static void unused(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct reg r = reg_of(x, "alice@example.com");
    c->cfg.service_own = NULL;
    c->cfg.service[0] = NULL;
    x->g.policy.peers[0].fronts = 1;
    heard(x, &r, HEAD ROW "\r\n");
    assert_false(r.routed);
    assert_int_equal(r.route_why, REASON_NONE);
    assert_int_equal(route(x, "alice@example.com").n, 0);
    r.routed = true;
    reg_route_del(c, &r);
    assert_false(r.routed);
    reg_count(c);
    assert_true(upstream_left(c));
}

static void the_last_one(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    boards(x, 3);
    board[0]->regs = 9;
    reg_count(c); /* of this engine, which has none */
    assert_int_equal(board[0]->regs, 0);
    assert_true(upstream_left(c));
    for (unsigned i = 0; i < 3; i++) {
        board[i]->regs = 1;
        assert_false(upstream_left(c));
        board[i]->regs = 0;
    }
    board[2]->regs = 1;
    c->cfg.engines = 2; /* not one of ours */
    assert_true(upstream_left(c));
    c->cfg.engines = 3;
    c->cfg.service[2] = NULL;
    assert_true(upstream_left(c));
    c->cfg.engines = 1; /* our own count, whatever the board says */
    alice_fronted(x, "");
    assert_int_equal(board[0]->regs, 1);
    board[0]->regs = 0;
    assert_false(upstream_left(c));
    reg_count(c);
    assert_int_equal(board[0]->regs, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, gone)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(kept_routes), T(longest), T(said_once), T(no_room),
        T(whose),       T(owners),  T(unused),    T(the_last_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
