/* For tests only: an authority, certificates, and one end of a connection. */
#ifndef CRYPTO_TLS_TEST_H
#define CRYPTO_TLS_TEST_H
#include "base/test.h"
#include "crypto/cert.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/tls.h"
#include <time.h>

#define DAY INT64_C(86400000000)

struct pem {
    char text[4096];
    struct out o;
};
struct pki {
    struct key *ca_key, *key, *alice_key;
    struct pem ca, server, alice;
};
static struct pki pki;

static inline struct wall now_wall(void)
{
    return (struct wall){(int64_t)time(NULL) * 1000000};
}

static inline struct str text(const struct pem *p)
{
    return out_str(&p->o);
}

static inline void make(struct pem *p, const char *san, struct key *key, int64_t from_days,
                        int64_t until_days)
{
    struct str s = str_c(san);
    struct wall now = now_wall();
    struct cert_spec spec = {.name = STR("example"),
                             .sans = &s,
                             .n_sans = san ? 1 : 0,
                             .from = {now.us + from_days * DAY},
                             .until = {now.us + until_days * DAY}};
    p->o = out_of(p->text, sizeof(p->text));
    assert_ok(cert_make(&spec, key, text(&pki.ca), pki.ca_key, &p->o));
}

static inline int set_up(void **state)
{
    (void)state;
    struct wall now = now_wall();
    struct cert_spec ca = {.name = STR("Test authority"),
                           .authority = true,
                           .from = {now.us - DAY},
                           .until = {now.us + 100 * DAY}};
    assert_ok(crypto_init());
    assert_ok(key_new(&pki.ca_key));
    assert_ok(key_new(&pki.key));
    assert_ok(key_new(&pki.alice_key));
    pki.ca.o = out_of(pki.ca.text, sizeof(pki.ca.text));
    assert_ok(cert_make(&ca, pki.ca_key, STR_NONE, pki.ca_key, &pki.ca.o));
    make(&pki.server, "uri:sip:example.com", pki.key, -1, 30);
    make(&pki.alice, "uri:sip:alice@example.com", pki.alice_key, -1, 30);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    key_free(pki.ca_key);
    key_free(pki.key);
    key_free(pki.alice_key);
    return 0;
}

/* One end of a connection with the vault it asks. */
struct end {
    struct tls_ctx *c;
    struct tls *t;
    struct key *key;
    enum { SIGN_RIGHT, SIGN_REFUSE, SIGN_LATER } how;
    unsigned signs;
    enum err e;
};

static inline void open_end(struct end *x, struct tls_cfg cfg, struct key *key, struct str name)
{
    *x = (struct end){.key = key};
    assert_ok(tls_ctx_new(&cfg, &x->c));
    assert_ok(tls_new(x->c, name, &x->t));
}

static inline void close_end(struct end *x)
{
    tls_free(x->t);
    tls_ctx_free(x->c);
}

static inline bool vault(struct end *x)
{
    struct str digest, sig = STR_NONE;
    uint8_t der[KEY_SIGNATURE_MAX];
    uint16_t number = 0;
    size_t n = 0;
    if (x->how == SIGN_LATER || !tls_sign_want(x->t, &digest, &number))
        return false;
    assert_int_equal(number, 7);
    if (x->how == SIGN_RIGHT) {
        assert_ok(key_sign(x->key, digest, der, &n));
        sig = str_of((const char *)der, n);
    }
    x->signs++;
    x->e = tls_signed(x->t, sig);
    return true;
}

static inline struct tls_cfg server_cfg(enum tls_verify v)
{
    return (struct tls_cfg){.server = true,
                            .chain_pem = text(&pki.server),
                            .ca_pem = v == TLS_VERIFY_NONE ? STR_NONE : text(&pki.ca),
                            .verify = v,
                            .key = 7};
}
#endif
