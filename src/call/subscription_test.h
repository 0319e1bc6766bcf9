/* For tests only: subscriptions between alice's phone and the PBX that notifies her. */
#ifndef CALL_SUBSCRIPTION_TEST_H
#define CALL_SUBSCRIPTION_TEST_H
#include "call/exchange_test.h"

#define MWI_TYPE "application/simple-message-summary"
#define MWI_BODY "Messages-Waiting: yes\r\nMessage-Account: sip:alice@198.51.100.10\r\n"

static const struct say to_mail = {.method = "SUBSCRIBE",
                                   .uri = "sip:100@example.com",
                                   .from = "<sip:alice@example.com>;tag=a1",
                                   .to = "<sip:100@example.com>",
                                   .id = "s1@alice.invalid",
                                   .more = "Contact: <sip:alice@203.0.113.5:5060>\r\n"
                                           "Event: message-summary;id=7;x=203.0.113.5\r\n"
                                           "Expires: 600\r\nUser-Agent: secret\r\n",
                                   .cseq = 1};

struct sides {
    char ask[4096];  /* SUBSCRIBE that the PBX got */
    char ok[4096];   /* what alice was told */
    char from[256];  /* alice's To with our tag, for her requests */
    char other[256]; /* PBX's From, with its tag */
};

static inline const char *more_of(const char *event, unsigned expires)
{
    static char more[256];
    (void)snprintf(more, sizeof more,
                   "Contact: <sip:alice@203.0.113.5:5060>\r\nEvent: %s\r\nExpires: %u\r\n", event,
                   expires);
    return more;
}

static inline void accept_with(struct fixture *x, struct sides *d, const char *expires)
{
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char fields[128];
    (void)snprintf(fields, sizeof fields, "Contact: <sip:vm@198.51.100.10:5060>\r\n%s", expires);
    message(x, &fp, answered(d->ask, "200 OK", "p1", fields));
    keep(d->ok, sizeof d->ok, sent(x, ALICE, "SIP/2.0 200 "));
    keep(d->from, sizeof d->from, field(d->ok, "To").p);
}

static inline void ask(struct fixture *x, struct sides *d, struct say s)
{
    alice_says(x, s);
    keep(d->ask, sizeof d->ask, sent(x, PBX, "SUBSCRIBE "));
    (void)snprintf(d->other, sizeof d->other, "%s;tag=p1", field(d->ask, "To").p);
}

/* The notifier says something in its dialog. */
static inline struct say pbx_says(const struct sides *d, const char *state, int cseq,
                                  const char *body)
{
    static char more[256], uri[256], to[256], from[256], id[64];
    (void)snprintf(more, sizeof more,
                   "Contact: <sip:vm@198.51.100.10:5060>\r\nEvent: message-summary\r\n"
                   "Subscription-State: %s\r\n",
                   state);
    struct str c = field(d->ask, "Contact");
    (void)snprintf(uri, sizeof uri, "%.*s", (int)c.n - 2, c.p + 1);
    keep(to, sizeof to, field(d->ask, "From").p);
    keep(from, sizeof from, d->other);
    keep(id, sizeof id, field(d->ask, "Call-ID").p);
    return (struct say){.method = "NOTIFY",
                        .uri = uri,
                        .from = from,
                        .to = to,
                        .id = id,
                        .more = more,
                        .type = *body ? MWI_TYPE : NULL,
                        .body = body,
                        .cseq = cseq};
}

static inline struct say alice_again(const struct sides *d, unsigned expires, int cseq)
{
    static char to[256];
    struct say s = to_mail;
    keep(to, sizeof to, d->from);
    s.to = to;
    s.cseq = cseq;
    s.uri = "sip:x@" TEST_OUTSIDE;
    s.more = more_of("message-summary;id=7", expires);
    return s;
}

static inline void notify(struct fixture *x, const struct sides *d, const char *state, int cseq,
                          char *ret_at_alice, size_t cap)
{
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct say s = pbx_says(d, state, cseq, MWI_BODY);
    message(x, &fp, said(&s));
    assert_null(sent(x, PBX, "SIP/2.0"));
    keep(ret_at_alice, cap, sent(x, ALICE, "NOTIFY "));
}

static inline void take_notify(struct fixture *x, const char *at_alice)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    message(x, &fa, answered(at_alice, "200 OK", "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
}

static inline void up(struct fixture *x, struct sides *d)
{
    char n[4096];
    ask(x, d, to_mail);
    accept_with(x, d, "Expires: 300\r\n");
    notify(x, d, "active;expires=300", 1, n, sizeof n);
    take_notify(x, n);
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 1);
}
#endif
