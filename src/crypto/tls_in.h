/* Inside crypto/tls*.c only. */
#ifndef CRYPTO_TLS_IN_H
#define CRYPTO_TLS_IN_H
#include "crypto/openssl.h"
#include "crypto/tls.h"

#define TLS_CA_MAX 256u

struct tls_ctx {
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    EVP_PKEY *remote;    /* stand-in for the vault's key; NULL without a chain */
    uint32_t held;       /* by its owner and by each connection */
    struct tls *running; /* whose handshake or reading libssl is in: one thread, one at a time */
    enum tls_verify verify;
    bool server;
    uint16_t key;
    uint8_t scratch[16384]; /* one record of plain text */
};

/* libssl asks for a signature: tls.c pauses the handshake until the vault's answer is there. */
size_t tls_sign_remote(void *ctx, struct str digest, uint8_t *ret_der, size_t cap);
/* The peer's certificate verified as far as its chain goes: does it hold the name we want? */
bool tls_wanted_name(const struct tls_ctx *c, X509 *x);
/* A peer's certificate by the rules of c, without a handshake; names are not looked at. */
MUST_CHECK enum err tls_ctx_judge(struct tls_ctx *c, X509 *x, STACK_OF(X509) * chain,
                                  long *reterr_why);
void tls_told(const SSL *ssl, int where, int what); /* libssl's info callback */
BIO_METHOD *tls_bio_method(void);
#endif
