/* ringwall.yaml to a snapshot for the engines (struct policy) and to what only the monitor and the
 * vault need (struct config). Strict: unknown key, wrong type, missing, out of range or dangling
 * reference is an error with line, column and a hint; all errors at once. Secure by default: what
 * is not said is refused. Reads files; used by monitor and CLI only. */
#ifndef APP_CONFIG_CONFIG_H
#define APP_CONFIG_CONFIG_H
#include "app/config/admins.h"
#include "app/config/notify.h"
#include "base/instant.h"
#include "base/out.h"
#include "call/policy.h"

#define CONFIG_PROBLEMS 100u
#define CONFIG_BYTES    (1024u * 1024u) /* longest file */
#define CONFIG_CERTS    16u
#define CONFIG_ENGINES  32u
#define CONFIG_PATH     256u
#define CONFIG_NAME     64u

struct config_problem {
    uint32_t line, column; /* from 1; 0 = the file as a whole */
    bool warning;          /* may run; else the file is refused */
    char text[192];        /* what is wrong; file bytes in it are made printable */
    char hint[288];        /* what to do; "" = none */
};
struct config_errors {
    uint32_t n, n_errors, n_warnings, n_lost; /* n_lost: found after the table was full */
    char file[CONFIG_PATH];
    struct config_problem at[CONFIG_PROBLEMS]; /* by line */
};
struct config_cert { /* index = policy_listener.key = key number at the vault */
    char name[CONFIG_NAME];
    char chain[CONFIG_PATH]; /* PEM file, leaf first; absolute, or made so from the state folder */
    char key[CONFIG_NAME];   /* name of the key in the vault */
};
struct config_deck { /* index as in policy.decks; what rows without such columns mean */
    char file[CONFIG_PATH];
    uint16_t minimum_s, increment_s;
};
struct config {
    struct policy policy;
    struct config_deck decks[RATES_DECKS];
    char state[CONFIG_PATH];        /* state folder */
    char trust_anchor[CONFIG_PATH]; /* file of DNSSEC trust anchors; "" = none was found */
    char stir_trusted[CONFIG_PATH]; /* PEM of authorities of signers of calls; "" = none */
    char stir_ca[CONFIG_PATH]; /* PEM for the servers that hold certificates; "" = the system's */
    char consult_ca[CONFIG_PATH];    /* PEM for who is asked about calls; "" = the system's */
    char stir_key[CONFIG_NAME];      /* name of the key in the vault that signs calls; "" = none */
    char authority_ca[CONFIG_PATH];  /* certificates of another authority; "" = none */
    char authority_crl[CONFIG_PATH]; /* its revocation list; "" = none */
    uint8_t n_certs;
    struct config_cert certs[CONFIG_CERTS];
    struct config_admins admins;
    struct config_notify notify;
};
struct config_where {
    struct str section, entry, key; /* "roles", "user", "caps"; entry and key may be empty */
    uint32_t line;                  /* found */
};
struct config_opts {
    struct wall now;   /* judges waivers */
    const char *state; /* folder where the file does not name one; NULL = /var/lib/ringwall */
    uint16_t cpus;     /* what "engines: auto" means; 0 = ask the system */
    uint32_t generation;
    bool no_files;              /* do not look whether named files are there */
    struct config_where *where; /* only that is looked for, and nothing judged; NULL: all is read */
};
/* Reads and judges. OK: *ret_c is whole (warnings may be in *ret_e); ERR_SYNTAX: *ret_e says why
 * and *ret_c is not written. ERR_SYSTEM: the file cannot be read (also told in ret_e). Both outputs
 * are large: not for the stack. */
MUST_CHECK enum err config_load(const char *path, const struct config_opts *o, struct config *ret_c,
                                struct config_errors *ret_e);
/* The same from memory; name stands for the file in messages. */
MUST_CHECK enum err config_load_text(struct str text, const char *name, const struct config_opts *o,
                                     struct config *ret_c, struct config_errors *ret_e);
/* The line of the key, or of the entry if it has no such key: entries go by name, country or
 * prefix. 0: not found, or the file cannot be read. */
uint32_t config_line(const char *path, const struct config_where *w);
/* One line a problem: "file:12:5: error: text; hint". */
void config_errors_put(struct out *o, const struct config_errors *e);
/* {"file":..,"errors":n,"warnings":n,"problems":[{"line":..,"column":..,"level":..,"text":..,"hint":..}]}
 */
void config_errors_json(struct out *o, const struct config_errors *e);

struct config_default {
    const char *domain;    /* NULL = "localhost" */
    const char *pbx;       /* host:port of the plain PBX, NULL = 127.0.0.1:5070 */
    struct wall now;       /* the plain PBX's waiver ends 90 days later */
    const char *owner;     /* of the waiver; NULL = "operator" */
    const char *rules;     /* folder of the signatures that come with Ringwall; NULL: none */
    const char *country;   /* of the site, two letters; NULL: none is written */
    const char *public_ip; /* what the TLS listener tells peers; NULL: none */
};
/* Text of the embedded default (what `ringwall init` writes to DIR/ringwall.yaml). */
void config_default_text(struct out *o, const char *state, const struct config_default *d);
/* Makes dir (0750) and dir/ringwall.yaml (0640) unless there. ERR_EXISTS: a configuration is there
 * already; ERR_SYSTEM with errno. Keys and certificates are made by the vault program, not here. */
MUST_CHECK enum err config_default_write(const char *dir, const struct config_default *d);
#endif
