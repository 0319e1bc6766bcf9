/* TLS 1.2/1.3 as a sans-I/O stream: bytes of the network in and out, plain text in and out. AEAD
 * suites only (RFC 9325), P-256 and X25519, no renegotiation, no compression, no 0-RTT. The private
 * key is not here: a handshake that needs a signature yields a digest to be signed by the vault and
 * goes on when the signature comes (asynchronous job of libcrypto), so no thread ever waits. */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H
#include "base/str.h"

struct tls_ctx; /* certificate chain, verification rules: one per listener or outgoing policy */
struct tls;     /* one connection */
enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_OPTIONAL, TLS_VERIFY_REQUIRED };
struct tls_cfg {
    bool server;
    struct str chain_pem; /* own certificate and chain; empty for a client without certificate */
    struct str ca_pem; /* trusted for the peer's certificate, and revocation lists of them, in any
                          order; empty = none trusted */
    enum tls_verify verify;
    uint16_t key; /* key number in the vault, told back in tls_sign_want */
};
MUST_CHECK enum err tls_ctx_new(const struct tls_cfg *cfg,
                                struct tls_ctx **ret_c); /* gives: tls_ctx_free. Refuses keys weaker
                                                            than P-256/RSA-2048 in the chain */
void tls_ctx_free(struct tls_ctx *c);                    /* its connections may live on */
/* name: client: SNI and the name the peer's certificate must hold (RFC 5922: URI-SAN sip:name, then
 * DNS-SAN, no CN, no wildcard); empty on servers. */
MUST_CHECK enum err tls_new(struct tls_ctx *c, struct str name, struct tls **ret_t);
void tls_free(struct tls *t);
/* Bytes from the network; takes all of them. Moves the handshake on. ERR_CLOSED: clean close;
 * ERR_AUTH: peer's certificate; ERR_STATE: it wanted to renegotiate; ERR_SYNTAX: protocol error;
 * the connection is then over (send what
 * tls_take still gives, an alert, then close). */
MUST_CHECK enum err tls_feed(struct tls *t, struct str bytes);
bool tls_up(const struct tls *t); /* handshake done */
/* Plain text that has arrived: copies up to cap bytes; 0 when there is none. */
size_t tls_read(struct tls *t, void *ret, size_t cap);
/* Plain text to send; before the handshake is done it is refused with ERR_AGAIN. ERR_FULL over
 * tls_pending_max. */
MUST_CHECK enum err tls_write(struct tls *t, struct str plain);
/* Bytes to put on the network: a view that stays valid until the next call on t; tls_sent tells how
 * many went. */
struct str tls_take(struct tls *t);
void tls_sent(struct tls *t, size_t n);
/* Signature wanted: true once per want; digest borrowed until tls_signed. scheme_hash_bytes long.
 * ECDSA P-256/P-384 keys. */
bool tls_sign_want(struct tls *t, struct str *ret_digest, uint16_t *ret_key);
MUST_CHECK enum err
tls_signed(struct tls *t,
           struct str der_signature); /* empty: the vault refused; the handshake fails */
void tls_close(struct tls *t);        /* queues close_notify */
/* Facts for logs and gates, valid while up: "TLSv1.3", "TLS_AES_128_GCM_SHA256"; peer's certificate
 * SANs: URI and DNS names one per call. */
const char *tls_version(const struct tls *t);
const char *tls_cipher(const struct tls *t);
bool tls_peer_verified(const struct tls *t);
bool tls_peer_name(const struct tls *t, unsigned index,
                   struct str *ret_name); /* "sip:alice@example.com" or "dns:pbx.example.com" */
/* SHA-256 of the peer's certificate; false: it sent none. */
bool tls_peer_fingerprint(const struct tls *t, uint8_t ret_md[32]);
/* Is it for SIP domains only (RFC 5924: id-kp-sipDomain)? Then its URIs name no user. */
bool tls_peer_domain_only(const struct tls *t);
enum tls_why { TLS_WHY_OTHER, TLS_WHY_EXPIRED, TLS_WHY_REVOKED };
enum tls_why tls_why(const struct tls *t); /* after ERR_AUTH */
/* Would the peer's certificate pass by the rules of c now? OK too without one. ERR_AUTH: tls_why
 * tells. For connections that are up when authorities and revocations have changed. */
MUST_CHECK enum err tls_still(struct tls *t, struct tls_ctx *c);
const char *tls_error(const struct tls *t); /* last error in words for logs; "" if none */
#endif
