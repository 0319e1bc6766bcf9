/* What a gateway needs before its first start: folders, a local authority, a server certificate. */
#ifndef APP_VAULT_SETUP_H
#define APP_VAULT_SETUP_H
#include "base/instant.h"
#include "base/str.h"

#define SETUP_NAMES_MAX 16u
struct setup {
    const char *state;                 /* DIR: exists or its parent does */
    const char *domain;                /* served SIP domain */
    struct str names[SETUP_NAMES_MAX]; /* more host names and IP addresses of the gateway */
    unsigned n_names;
    struct wall now;
    bool renew; /* a new server certificate although there is one */
    /* told back */
    bool made_ca, made_server;
    char why[900];
};
/* DIR 0750, DIR/vault and DIR/vault/keys 0700 for the vault's user. */
MUST_CHECK enum err setup_folders(struct setup *s);
/* DIR/ca.pem with key "ca", DIR/server.pem with key "server"; what is there stays. ERR_STATE: a
 * certificate without its key or a key without its certificate. Locks DIR/vault meanwhile. */
MUST_CHECK enum err setup_certs(struct setup *s);
#endif
