/* Requests in the dialogs of a subscription: whose they are and what they change in it; whole lives
 * of subscriptions are in subscription_test.c. */
#include "call/subscription_test.h"

static struct sub *the_sub(struct fixture *x)
{
    uint32_t it = 0;
    struct sub *s = pool_next(&x->g.core[0]->exchanges->subs, &it);
    assert_non_null(s);
    return s;
}

static const struct sip_msg *read(const struct say *s)
{
    static struct sip_msg m;
    static char text[8192];
    struct sip_error bad;
    (void)snprintf(text, sizeof text, "%s", said(s));
    assert_ok(sip_parse(str_c(text), false, &m, &bad));
    return &m;
}

static struct say with_tag(struct say s, struct str tag)
{
    static char to[256];
    (void)snprintf(to, sizeof to, "<sip:x@example.com>;tag=" STR_FMT, STR_ARG(tag));
    s.to = to;
    return s;
}

static enum sub_found found(struct fixture *x, struct say s)
{
    struct sub *at = NULL;
    uint8_t side = 9;
    enum sub_found f = sub_find(x->g.core[0], read(&s), &at, &side);
    assert_int_equal(at != NULL, f == SUB_HERE); /* else nothing is written */
    if (f == SUB_HERE)
        assert_int_equal(side, strcmp(s.method, "NOTIFY") == 0 ? NOTIFIER : SUBSCRIBER);
    else
        assert_int_equal(side, 9);
    return f;
}

/* Our tag, their tag, the Call-ID and the side: all of them, or it is gone. */
static void whose(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct sides d;
    up(x, &d);
    struct sub *s = the_sub(x);
    const struct say a = alice_again(&d, 600, 10), n = pbx_says(&d, "active", 5, "");
    assert_int_equal(found(x, a), SUB_HERE);
    assert_int_equal(found(x, n), SUB_HERE);
    static const char *const none[] = {"INVITE", "OPTIONS", "MESSAGE", "PUBLISH", "BYE"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct say o = a;
        uint8_t engine;
        o.method = none[i];
        assert_int_equal(found(x, o), SUB_NONE);
        assert_false(sub_owner(c, read(&o), &engine));
    }
    assert_int_equal(found(x, to_mail), SUB_NONE); /* outside of dialogs */
    assert_int_equal(found(x, with_tag(a, STR("p1"))), SUB_NONE);
    /* Each side's tag opens that side only. */
    struct say o = with_tag(a, s->side[NOTIFIER].d.local_tag);
    assert_int_equal(found(x, o), SUB_GONE);
    o = with_tag(n, s->side[SUBSCRIBER].d.local_tag);
    assert_int_equal(found(x, o), SUB_GONE);
    o = a;
    o.id = "another";
    assert_int_equal(found(x, o), SUB_GONE);
    o = a;
    o.from = "<sip:alice@example.com>;tag=a2";
    assert_int_equal(found(x, o), SUB_GONE);
    o.from = "<sip:alice@example.com>";
    assert_int_equal(found(x, o), SUB_GONE);
    s->over = true;
    assert_int_equal(found(x, a), SUB_GONE);
    s->over = false;
    none_left(x);
    o = a;
    assert_int_equal(found(x, o), SUB_GONE);
}

/* Tokens of other engines: theirs to answer, if there are so many. */
static void engines(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct sides d;
    up(x, &d);
    struct token t;
    assert_ok(
        token_open(&c->cfg.token_keys, the_sub(x)->side[SUBSCRIBER].d.local_tag, TOKEN_SUB, &t));
    c->cfg.engines = 2;
    for (uint8_t e = 0; e < 4; e++) {
        char tag[TOKEN_CHARS];
        uint8_t engine = 99;
        t.engine = e;
        token_mint(&c->cfg.token_keys, t, tag);
        struct say o = with_tag(alice_again(&d, 600, 10), str_of(tag, sizeof tag));
        assert_int_equal(sub_owner(c, read(&o), &engine), e < 2);
        assert_int_equal(engine, e < 2 ? e : 99);
        assert_int_equal(found(x, o), e == c->cfg.engine ? SUB_HERE : SUB_GONE);
    }
    c->cfg.engines = 1;
    none_left(x);
}

/* Only the notifier's first NOTIFY may bring a tag, and only while there is none. */
static void first_word(void **state)
{
    struct fixture *x = *state;
    struct sides d;
    ask(x, &d, to_mail);
    struct sub *s = the_sub(x);
    struct say n = pbx_says(&d, "active", 1, "");
    assert_int_equal(found(x, n), SUB_HERE);
    n.method = "SUBSCRIBE";
    assert_int_equal(found(x, n), SUB_GONE);
    /* Nothing can be refreshed that nobody has accepted. */
    struct say a = with_tag(to_mail, s->side[SUBSCRIBER].d.local_tag);
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    a.cseq = 10;
    message(x, &fa, said(&a));
    assert_non_null(sent(x, ALICE, "SIP/2.0 491 "));
    assert_null(sent(x, PBX, "SUBSCRIBE "));
    assert_int_equal(s->state, SUB_ASKED);
    none_left(x);
}

static void sources(void **state)
{
    static const struct handle one = {1, 1}, two = {2, 1};
    struct fixture *x = *state;
    const struct core *c = x->g.core[0];
    struct sub s = {.core = x->g.core[0]};
    struct sub_side *a = &s.side[SUBSCRIBER], *b = &s.side[NOTIFIER];
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    a->flow = f; /* a phone over UDP: address and port, transport, listener */
    assert_true(sub_is_source(c, &s, SUBSCRIBER, &f));
    f = flow_of("203.0.113.5:5061", LISTEN_OUT_UDP);
    assert_false(sub_is_source(c, &s, SUBSCRIBER, &f));
    f = flow_of("203.0.113.6:5060", LISTEN_OUT_UDP);
    assert_false(sub_is_source(c, &s, SUBSCRIBER, &f));
    f = flow_of(ALICE, LISTEN_OUT_TLS);
    assert_false(sub_is_source(c, &s, SUBSCRIBER, &f));
    f = flow_of(ALICE, LISTEN_OUT_UDP);
    f.proto = PROTO_TCP;
    assert_false(sub_is_source(c, &s, SUBSCRIBER, &f));
    /* Over a connection: that one, of that engine, whatever the address. */
    a->flow = f = (struct flow){.proto = PROTO_TLS, .conn = one, .peer = test_addr(ALICE)};
    assert_true(sub_is_source(c, &s, SUBSCRIBER, &f));
    f.conn = two;
    assert_false(sub_is_source(c, &s, SUBSCRIBER, &f));
    f.conn = one;
    f.engine = 1;
    assert_false(sub_is_source(c, &s, SUBSCRIBER, &f));
    /* A peer by its addresses, any port; while the policy knows it. */
    b->flow = flow_of(PBX, LISTEN_IN_UDP);
    b->name = STR("pbx");
    b->zone = ZONE_PBX;
    static const struct {
        const char *from;
        uint8_t listener, peer, zone;
        bool want;
    } rows[] = {
        {PBX, LISTEN_IN_UDP, 0, ZONE_PBX, true},
        {PBX2, LISTEN_IN_UDP, 0, ZONE_PBX, true},
        {"198.51.100.66:5060", LISTEN_IN_UDP, 0, ZONE_PBX, false},
        {PBX, LISTEN_OUT_UDP, 0, ZONE_PBX, false},
        {PBX, LISTEN_IN_UDP, 1, ZONE_PBX, false},
        {PBX, LISTEN_IN_UDP, POLICY_NONE, ZONE_PBX, false},
        {"198.51.100.66:5060", LISTEN_IN_UDP, POLICY_NONE, ZONE_PBX, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        f = flow_of(rows[i].from, rows[i].listener);
        b->peer = rows[i].peer;
        b->zone = rows[i].zone;
        assert_int_equal(sub_is_source(c, &s, NOTIFIER, &f), rows[i].want);
    }
}

/* The policy in force: zones and peers that are there, and serve it. */
static void allowed_now(void **state)
{
    static const struct {
        uint8_t zone[2], peer[2]; /* of subscriber and notifier */
        uint8_t phones, inside;   /* services of the zones */
        bool want;
    } rows[] = {
        {{ZONE_PHONES, ZONE_PBX}, {POLICY_NONE, 0}, ALL_SERVICES, ALL_SERVICES, true},
        {{ZONE_PHONES, ZONE_PBX}, {POLICY_NONE, 0}, SERVICE_MWI, 0, true}, /* the asker's zone */
        {{ZONE_PHONES, ZONE_PBX},
         {POLICY_NONE, 0},
         ALL_SERVICES & ~SERVICE_MWI,
         ALL_SERVICES,
         false},
        {{POLICY_NONE, ZONE_PBX}, {POLICY_NONE, 0}, ALL_SERVICES, ALL_SERVICES, false},
        {{ZONE_PHONES, POLICY_NONE}, {POLICY_NONE, 0}, ALL_SERVICES, ALL_SERVICES, false},
    };
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sides d;
        char id[16];
        struct say first = to_mail;
        (void)snprintf(id, sizeof id, "zones%zu", i);
        first.id = id;
        ask(x, &d, first);
        accept_with(x, &d, "Expires: 300\r\n");
        struct sub *s = the_sub(x);
        for (unsigned k = 0; k < 2; k++) {
            s->side[k].zone = rows[i].zone[k];
            s->side[k].peer = rows[i].peer[k];
        }
        x->g.policy.zones[ZONE_PHONES].services = rows[i].phones;
        x->g.policy.zones[ZONE_PBX].services = rows[i].inside;
        struct say a = alice_again(&d, 600, 10);
        a.id = id;
        message(x, &fa, said(&a));
        assert_int_equal(sent(x, ALICE, "SIP/2.0 403 ") != NULL, !rows[i].want);
        const char *q = sent(x, PBX, "SUBSCRIBE ");
        assert_non_null(q); /* on, or its end */
        assert_int_equal(str_eq(field(q, "Expires"), STR("0")), !rows[i].want);
        assert_int_equal(sent(x, ALICE, "NOTIFY ") != NULL, !rows[i].want);
        x->g.policy.zones[ZONE_PHONES].services = ALL_SERVICES;
        x->g.policy.zones[ZONE_PBX].services = ALL_SERVICES;
        if (rows[i].want)
            message(x, &fp, answered(q, "200 OK", "p1", "Expires: 600\r\n"));
        assert_int_equal(core_usage(x->g.core[0]).exchanges, rows[i].want);
        none_left(x);
    }
}

/* A new policy is looked at once; a peer brings its zone with it, and one that is gone is gone. */
static void renumbered(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    static struct policy p;
    struct sides d;
    up(x, &d);
    struct sub *s = the_sub(x);
    const struct say n = pbx_says(&d, "active", 5, "");
    s->side[NOTIFIER].peer = 7; /* as it was told under the policy in force */
    assert_int_equal(found(x, n), SUB_HERE);
    assert_int_equal(s->side[NOTIFIER].peer, 7);
    p = x->g.policy;
    p.peers[1] = p.peers[0];
    p.peers[0].name = test_text(&p, "new");
    p.peers[1].zone = ZONE_PHONES;
    p.n_peers = 2;
    core_policy(c, &p, x->g.now);
    s->side[SUBSCRIBER].zone = 9;
    assert_int_equal(found(x, n), SUB_HERE);
    assert_int_equal(s->side[NOTIFIER].peer, 1);
    assert_int_equal(s->side[NOTIFIER].zone, ZONE_PHONES);
    assert_int_equal(s->side[SUBSCRIBER].peer, POLICY_NONE);
    assert_int_equal(s->side[SUBSCRIBER].zone, ZONE_PHONES); /* by listener and address */
    s->side[NOTIFIER].peer = 7;
    assert_int_equal(found(x, n), SUB_HERE); /* not again */
    assert_int_equal(s->side[NOTIFIER].peer, 7);
    p.n_peers = 1;
    core_policy(c, &p, x->g.now);
    assert_int_equal(found(x, n), SUB_HERE);
    assert_int_equal(s->side[NOTIFIER].peer, POLICY_NONE);
    core_policy(c, &x->g.policy, x->g.now);
    assert_int_equal(found(x, n), SUB_HERE);
    assert_int_equal(s->side[NOTIFIER].peer, 0);
    none_left(x);
}

/* The right tags are no proof: another peer, and another user who proves himself. */
static void others(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    struct flow other = flow_of("198.51.100.66:5060", LISTEN_IN_UDP),
                at = flow_of("203.0.113.5:6000", LISTEN_OUT_UDP);
    struct sides d;
    p->peers[1] = p->peers[0];
    p->peers[1].name = test_text(p, "other");
    p->peers[1].n_targets = 1;
    p->peers[1].targets[0] = test_addr("198.51.100.66:5060");
    p->n_peers = 2;
    core_policy(x->g.core[0], p, x->g.now);
    collect(x);
    up(x, &d);
    struct sub *s = the_sub(x);
    struct say n = pbx_says(&d, "terminated", 2, "");
    message(x, &other, said(&n));
    assert_non_null(sent(x, "198.51.100.66:5060", "SIP/2.0 403 "));
    assert_null(sent(x, ALICE, "NOTIFY "));
    /* bob, with alice's dialog. */
    struct say a = alice_again(&d, 600, 10);
    a.from = "<sip:bob@example.com>;tag=a1";
    message(x, &at, said(&a));
    char more[2048], who[1024];
    const char *r = sent(x, "203.0.113.5:6000", "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(who, sizeof who, "%s", credentials(r, a.uri));
    char *name = strstr(who, "username=\"alice\"");
    assert_non_null(name);
    memcpy(name, "username=\"bob\"  ", 16);
    (void)snprintf(more, sizeof more, "%s%s", a.more, who);
    a.more = more;
    a.cseq = 11;
    message(x, &at, said(&a));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, "203.0.113.5:6000", "SIP/2.0 403 "));
    assert_null(sent(x, PBX, "SUBSCRIBE "));
    struct addr home = test_addr(ALICE);
    assert_true(addr_eq(&s->side[SUBSCRIBER].flow.peer, &home));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 1);
    none_left(x);
}

/* A phone that proves itself from elsewhere lives there, in the zone that it came through. */
static void moves(void **state)
{
    struct fixture *x = *state;
    struct flow at = flow_of("203.0.113.5:6000", LISTEN_OUT_UDP);
    struct sides d;
    char more[2048];
    up(x, &d);
    struct sub *s = the_sub(x);
    struct sub_side *a = &s->side[SUBSCRIBER];
    struct say again = alice_again(&d, 600, 10);
    message(x, &at, said(&again));
    const char *r = sent(x, "203.0.113.5:6000", "SIP/2.0 401 ");
    assert_non_null(r);
    assert_false(addr_eq(&a->flow.peer, &at.peer)); /* not before it has */
    (void)snprintf(more, sizeof more, "%s%s", again.more, credentials(r, again.uri));
    again.more = more;
    again.cseq = 11;
    a->zone = POLICY_NONE;
    message(x, &at, said(&again));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, PBX, "SUBSCRIBE "));
    assert_true(addr_eq(&a->flow.peer, &at.peer));
    assert_int_equal(a->zone, ZONE_PHONES);
    none_left(x);
}

static void bound_over(struct fixture *x, struct flow f)
{
    struct str aor = STR("alice@example.com"), contact = STR("sip:alice@203.0.113.5:5060");
    struct binding b = {.flow = f, .q = 500, .aor_len = (uint8_t)aor.n};
    b.contact_len = (uint8_t)contact.n;
    memcpy(b.aor, aor.p, aor.n);
    memcpy(b.contact, contact.p, contact.n);
    b.aor_hash = location_hash(&x->g.cfg[0].hash_key, aor);
    b.expires.us = x->g.now.wall.us + 3600 * INT64_C(1000000);
    assert_ok(location_put(x->g.shards[0], &b));
}

/* A phone whose connection is gone is where it registered last, unless it has proved itself in the
 * dialog since. */
static void follows(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), tls = flow_of(ALICE, LISTEN_OUT_TLS), next, here;
    struct sides d;
    char more[2048];
    up(x, &d);
    struct sub_side *a = &the_sub(x)->side[SUBSCRIBER];
    tls.proto = PROTO_TLS;
    tls.conn = (struct handle){1, 1};
    a->flow = next = here = tls;
    next.conn = (struct handle){2, 1};
    next.peer = test_addr("203.0.113.5:7000");
    here.conn = (struct handle){3, 1};
    here.peer = test_addr("203.0.113.5:8000");
    bound_over(x, next);
    struct say n = pbx_says(&d, "active", 2, "");
    message(x, &fp, said(&n));
    assert_non_null(sent(x, "203.0.113.5:7000", "NOTIFY "));
    a->flow = tls; /* and now a binding that is older than its own proof */
    struct say again = alice_again(&d, 600, 10);
    message(x, &here, said(&again));
    const char *r = sent(x, "203.0.113.5:8000", "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(more, sizeof more, "%s%s", again.more, credentials(r, again.uri));
    again.more = more;
    again.cseq = 11;
    message(x, &here, said(&again));
    vault(x, REASON_NONE);
    n = pbx_says(&d, "active", 3, "");
    message(x, &fp, said(&n));
    assert_non_null(sent(x, "203.0.113.5:8000", "NOTIFY "));
    none_left(x);
}

/* A peer that watched a phone is gone from the policy: its subscription ends. */
static void watcher_gone(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fb = flow_of(BOB, LISTEN_OUT_UDP);
    static struct policy none;
    char q[4096];
    struct say s = {.method = "SUBSCRIBE",
                    .uri = "sip:bob@" TEST_INSIDE,
                    .from = "<sip:200@198.51.100.10>;tag=p1",
                    .to = "<sip:bob@" TEST_INSIDE ">",
                    .id = "w1",
                    .more = "Contact: <sip:200@198.51.100.10>\r\nEvent: dialog\r\n",
                    .cseq = 1};
    message(x, &fp, said(&s));
    keep(q, sizeof q, sent(x, BOB, "SUBSCRIBE "));
    message(x, &fb, answered(q, "200 OK", "b1", "Contact: <sip:bob@203.0.113.6>\r\n"));
    char to[256], id[64];
    keep(to, sizeof to, field(q, "From").p);
    keep(id, sizeof id, field(q, "Call-ID").p);
    struct say n = {.method = "NOTIFY",
                    .uri = "sip:x@" TEST_OUTSIDE,
                    .from = "<sip:bob@example.com>;tag=b1",
                    .to = to,
                    .id = id,
                    .more = "Contact: <sip:bob@203.0.113.6>\r\nEvent: dialog\r\n"
                            "Subscription-State: active;expires=60\r\n",
                    .cseq = 1};
    message(x, &fb, said(&n));
    const char *r = sent(x, PBX, "NOTIFY ");
    assert_non_null(r);
    message(x, &fp, answered(r, "200 OK", "", ""));
    none = x->g.policy;
    none.n_peers = 0;
    core_policy(x->g.core[0], &none, x->g.now);
    n.cseq = 2;
    message(x, &fb, said(&n));
    assert_non_null(sent(x, BOB, "SIP/2.0 403 "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    none_left(x);
}

/* Routes of the first NOTIFY stay; each Contact moves what is sent there next. */
static void routes_and_targets(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    char more[512], n[4096];
    ask(x, &d, to_mail);
    struct say s = pbx_says(&d, "active;expires=600", 1, MWI_BODY);
    (void)snprintf(more, sizeof more, "Record-Route: <sip:198.51.100.9;lr>\r\n%s", s.more);
    s.more = more;
    message(x, &fp, said(&s));
    keep(n, sizeof n, sent(x, ALICE, "NOTIFY "));
    take_notify(x, n);
    assert_int_equal(the_sub(x)->side[NOTIFIER].d.n_routes, 1);
    accept_with(x, &d, "Expires: 600\r\n");
    struct say a = alice_again(&d, 600, 10);
    message(x, &fa, said(&a));
    const char *q = sent(x, PBX, "SUBSCRIBE sip:vm@198.51.100.10:5060 ");
    assert_non_null(q);
    assert_str(field(q, "Route"), "<sip:198.51.100.9;lr>");
    message(x, &fp, answered(q, "200 OK", "p1", "Expires: 600\r\n"));
    s = pbx_says(&d, "active", 2, MWI_BODY);
    s.more = "Contact: <sip:new@198.51.100.10>\r\nEvent: message-summary\r\n"
             "Subscription-State: active\r\n";
    message(x, &fp, said(&s));
    keep(n, sizeof n, sent(x, ALICE, "NOTIFY "));
    take_notify(x, n);
    a = alice_again(&d, 600, 11);
    a.more = "Contact: <sip:second@203.0.113.5:5060>\r\nEvent: message-summary;id=7\r\n"
             "Expires: 600\r\n";
    message(x, &fa, said(&a));
    q = sent(x, PBX, "SUBSCRIBE sip:new@198.51.100.10 ");
    assert_non_null(q);
    message(x, &fp, answered(q, "200 OK", "p1", "Expires: 600\r\n"));
    s = pbx_says(&d, "active", 3, MWI_BODY);
    message(x, &fp, said(&s));
    assert_non_null(sent(x, ALICE, "NOTIFY sip:second@203.0.113.5:5060 "));
    none_left(x);
}

static int64_t left_s(struct fixture *x)
{
    return (the_sub(x)->timer.due.us - x->g.now.mono.us) / 1000000;
}

/* How long it lives by the notifier's word; the end that was asked for is not put off by it. */
static void lives(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    const int64_t slack = SUB_SLACK_MS / 1000;
    struct sides d;
    char n[4096];
    for (unsigned before = 0; before < 2; before++) { /* its answer, or its first word */
        struct say first = to_mail;
        first.id = before ? "lives1" : "lives2";
        ask(x, &d, first);
        if (!before)
            accept_with(x, &d, "Expires: 300\r\n");
        notify(x, &d, "active", 1, n, sizeof n); /* as long as any may */
        take_notify(x, n);
        assert_in_range(left_s(x), SUB_MAX_S + slack - 1, SUB_MAX_S + slack);
        assert_int_equal(the_sub(x)->state, SUB_ACTIVE);
        if (before)
            accept_with(x, &d, "Expires: 300\r\n");
        notify(x, &d, "pending;expires=200", 2, n, sizeof n);
        take_notify(x, n);
        assert_in_range(left_s(x), 200 + slack - 1, 200 + slack);
        pass_ms(x, 10000);
        notify(x, &d, "active", 3, n, sizeof n); /* says nothing of it */
        take_notify(x, n);
        assert_in_range(left_s(x), 190 + slack - 1, 190 + slack);
        struct say a = alice_again(&d, 0, 10);
        a.id = first.id;
        message(x, &fa, said(&a));
        message(x, &fp, answered(sent(x, PBX, "SUBSCRIBE "), "200 OK", "p1", "Expires: 0\r\n"));
        assert_int_equal(the_sub(x)->state, SUB_ENDING);
        int64_t end = left_s(x);
        notify(x, &d, "active;expires=3000", 4, n, sizeof n);
        take_notify(x, n);
        assert_int_equal(the_sub(x)->state, SUB_ENDING);
        assert_int_equal(left_s(x), end);
        notify(x, &d, "terminated", 5, n, sizeof n);
        take_notify(x, n);
        assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    }
    none_left(x);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_services, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(whose), T(engines), T(first_word),   T(sources), T(allowed_now),        T(renumbered),
        T(moves), T(follows), T(watcher_gone), T(others),  T(routes_and_targets), T(lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
