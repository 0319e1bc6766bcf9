/* What a TLS connection costs: CPU of a full server handshake (engine and vault together), and
 * memory of an idle connection once its buffers have been given back. */
#include "crypto/tls.h"
#include "crypto/cert.h"
#include "crypto/hash.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define CONNECTIONS 2000u
#define HANDSHAKES  2000u
static int64_t server_ns, vault_ns;

static int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void need(enum err e, const char *what)
{
    if (e == OK)
        return;
    (void)fprintf(stderr, "tls bench: %s: %s\n", what, err_name(e));
    exit(1);
}

static bool feed(struct tls *from, struct tls *to, bool count)
{
    struct str s = tls_take(from);
    if (s.n == 0)
        return false;
    int64_t t0 = cpu_ns();
    need(tls_feed(to, s), tls_error(to));
    if (count)
        server_ns += cpu_ns() - t0;
    tls_sent(from, s.n);
    return true;
}

static bool sign(struct tls *t, struct key *k)
{
    struct str digest;
    uint16_t number;
    uint8_t der[KEY_SIGNATURE_MAX];
    size_t n = 0;
    if (!tls_sign_want(t, &digest, &number))
        return false;
    int64_t t0 = cpu_ns();
    need(key_sign(k, digest, der, &n), "sign");
    int64_t t1 = cpu_ns();
    need(tls_signed(t, str_of((const char *)der, n)), "signed");
    vault_ns += t1 - t0;
    server_ns += cpu_ns() - t1;
    return true;
}

static struct tls *connect_one(struct tls_ctx *sc, struct tls_ctx *cc, struct key *k)
{
    struct tls *s = NULL, *c = NULL;
    char got[2000], request[1000] = "OPTIONS";
    int64_t t0 = cpu_ns();
    need(tls_new(sc, STR_NONE, &s), "server");
    server_ns += cpu_ns() - t0;
    need(tls_new(cc, STR("example.com"), &c), "client");
    for (bool moved = true; moved;) {
        moved = feed(c, s, true);
        moved = sign(s, k) || moved;
        moved = feed(s, c, false) || moved;
    }
    if (!tls_up(s) || !tls_up(c))
        need(ERR_STATE, "handshake");
    need(tls_write(c, str_of(request, sizeof(request))), "write");
    (void)feed(c, s, false);
    if (tls_read(s, got, sizeof(got)) != sizeof(request))
        need(ERR_STATE, "data");
    tls_free(c);
    return s;
}

static double rss_bytes(void)
{
    long pages = 0, skip = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &skip, &pages) != 2)
        pages = 0;
    if (f)
        (void)fclose(f);
    return (double)pages * 4096;
}

int main(void)
{
    char ca_text[4096], text[4096];
    struct out ca = out_of(ca_text, sizeof(ca_text)), chain = out_of(text, sizeof(text));
    struct key *ca_key = NULL, *key = NULL;
    struct tls_ctx *sc = NULL, *cc = NULL;
    struct str san = STR("uri:sip:example.com");
    struct wall now = {(int64_t)time(NULL) * 1000000};
    struct cert_spec spec = {.name = STR("ca"),
                             .authority = true,
                             .from = {now.us - 1000000},
                             .until = {now.us + INT64_C(3600000000)}};
    need(crypto_init(), "libcrypto");
    need(key_new(&ca_key), "key");
    need(key_new(&key), "key");
    need(cert_make(&spec, ca_key, STR_NONE, ca_key, &ca), "authority");
    spec.authority = false;
    spec.sans = &san;
    spec.n_sans = 1;
    need(cert_make(&spec, key, out_str(&ca), ca_key, &chain), "certificate");
    struct tls_cfg s = {.server = true, .chain_pem = out_str(&chain)};
    struct tls_cfg c = {.ca_pem = out_str(&ca), .verify = TLS_VERIFY_REQUIRED};
    need(tls_ctx_new(&s, &sc), "server context");
    need(tls_ctx_new(&c, &cc), "client context");

    for (unsigned i = 0; i < 50; i++)
        tls_free(connect_one(sc, cc, key));
    server_ns = vault_ns = 0;
    for (unsigned i = 0; i < HANDSHAKES; i++)
        tls_free(connect_one(sc, cc, key));
    printf("tls handshake 1.3 P-256 X25519   engine %6.1f us   vault %6.1f us\n",
           (double)server_ns / HANDSHAKES / 1e3, (double)vault_ns / HANDSHAKES / 1e3);

    static struct tls *held[CONNECTIONS];
    size_t heap = mallinfo2().uordblks;
    double rss = rss_bytes();
    for (unsigned i = 0; i < CONNECTIONS; i++)
        held[i] = connect_one(sc, cc, key);
    printf("tls idle connection              heap %6.0f B      resident %6.0f B\n",
           (double)(mallinfo2().uordblks - heap) / CONNECTIONS, (rss_bytes() - rss) / CONNECTIONS);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        tls_free(held[i]);
    tls_ctx_free(sc);
    tls_ctx_free(cc);
    key_free(key);
    key_free(ca_key);
    return 0;
}
