/* A TLS server that is fed anything in any cut, told signatures nobody asked for, read, written and
 * closed at any moment. Operations: the low bits of a byte choose, then come a length and bytes.
 * Op 4 plays a client of our own, so that the server gets further than the first record. */
#include "crypto/cert.h"
#include "crypto/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
static struct tls_ctx *server, *client;
static struct key *key;

static void prepare(void)
{
    static char pem[4096];
    struct out o = out_of(pem, sizeof(pem));
    struct str san = STR("dns:example.com");
    struct cert_spec spec = {.name = STR("example.com"),
                             .sans = &san,
                             .n_sans = 1,
                             .from = {0},
                             .until = {INT64_C(4000000000000000)}};
    CHECK(key_new(&key) == OK && cert_make(&spec, key, STR_NONE, key, &o) == OK);
    struct tls_cfg s = {.server = true, .chain_pem = out_str(&o), .key = 1};
    struct tls_cfg c = {.ca_pem = out_str(&o), .verify = TLS_VERIFY_REQUIRED};
    CHECK(tls_ctx_new(&s, &server) == OK && tls_ctx_new(&c, &client) == OK);
}

static void answer(struct tls *t)
{
    struct str digest;
    uint8_t der[KEY_SIGNATURE_MAX];
    uint16_t number = 0;
    size_t n = 0;
    if (!tls_sign_want(t, &digest, &number))
        return;
    CHECK(number == 1 && digest.n >= 32 && key_sign(key, digest, der, &n) == OK);
    if (tls_signed(t, str_of((const char *)der, n)) != OK)
        CHECK(!tls_up(t) || tls_error(t)[0]);
}

static void shuttle(struct tls *s, struct tls *c)
{
    struct str x = tls_take(c);
    if (tls_feed(s, x) == OK)
        answer(s);
    tls_sent(c, x.n);
    x = tls_take(s);
    if (tls_feed(c, x) == OK)
        CHECK(tls_error(c)[0] == '\0');
    tls_sent(s, x.n);
}

static void operate(struct tls *s, struct tls *c, uint8_t op, struct str arg)
{
    char got[256];
    enum err e = OK;
    switch (op % 8) {
    case 0:
    case 1:
        e = tls_feed(s, arg);
        break;
    case 2:
        e = tls_signed(s, arg);
        break;
    case 3:
        e = tls_write(s, arg);
        break;
    case 4:
        shuttle(s, c);
        break;
    case 5:
        CHECK(tls_read(s, got, sizeof(got)) <= sizeof(got));
        break;
    case 6:
        tls_close(s);
        break;
    default:
        tls_sent(s, arg.n);
    }
    if (e == ERR_SYNTAX || e == ERR_AUTH)
        CHECK(tls_error(s)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tls *s = NULL, *c = NULL;
    if (!server)
        prepare();
    CHECK(tls_new(server, STR_NONE, &s) == OK && tls_new(client, STR("example.com"), &c) == OK);
    for (size_t at = 0; at + 1 < n;) {
        uint8_t op = data[at];
        size_t len = MIN((size_t)data[at + 1] * (1u + (op >> 5)), n - at - 2);
        operate(s, c, op, str_of((const char *)data + at + 2, len));
        at += 2 + len;
    }
    tls_free(s);
    tls_free(c);
    return 0;
}
