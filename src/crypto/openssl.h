/* The one way to include OpenSSL: its types.h has a typedef ERR_STATE that is also a word of
 * base/err.h, so it goes by another name here. */
#ifndef CRYPTO_OPENSSL_H
#define CRYPTO_OPENSSL_H
#define ERR_STATE openssl_err_state
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#undef ERR_STATE
#endif
