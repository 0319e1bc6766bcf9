/* Whom to tell of what: `notify:` of ringwall.yaml. Only the monitor has it: addresses of webhooks
 * can be secrets, and no engine needs them. */
#ifndef APP_CONFIG_NOTIFY_H
#define APP_CONFIG_NOTIFY_H
#include "base/str.h"

#define NOTIFY_TARGETS 8u
#define NOTIFY_TEXT    1024u /* a template */
#define NOTIFY_URL     512u
#define NOTIFY_PATH    256u
#define NOTIFY_WORD    64u
#define NOTIFY_MAIL    128u
#define NOTIFY_TO      4u
/* X(symbol, word in the file) */
#define NOTIFY_EVENTS(X)                                                                           \
    X(FRAUD_LOCK, "fraud-lock")                                                                    \
    X(FRAUD_CUT, "fraud-cut")                                                                      \
    X(FRAUD_REFUSED, "fraud-refused")                                                              \
    X(BAN, "ban")                                                                                  \
    X(BANS_MANY, "bans-many")                                                                      \
    X(PROGRAM_DIED, "program-died")                                                                \
    X(RELOAD_REFUSED, "reload-refused")                                                            \
    X(APPROVAL_WANTED, "approval-wanted")                                                          \
    X(RISKY_CHANGE, "risky-change")                                                                \
    X(BREAK_GLASS, "break-glass")                                                                  \
    X(ADMIN_REFUSED, "admin-refused")                                                              \
    X(LEDGER_UNKNOWN, "ledger-unknown")                                                            \
    X(WAIVER_EXPIRING, "waiver-expiring")                                                          \
    X(TEST, "test")
enum notify_event {
#define X(symbol, word) NOTE_##symbol,
    NOTIFY_EVENTS(X)
#undef X
        NOTE_COUNT
};
const char *notify_event_name(enum notify_event e);
struct config_target {
    char name[NOTIFY_WORD];
    bool mail;   /* else a webhook */
    bool plain;  /* http beyond loopback, SMTP without STARTTLS beyond loopback; by a waiver */
    bool inside; /* private addresses are meant */
    bool starttls;
    uint32_t events;          /* bit per enum notify_event */
    uint16_t per_minute;      /* then one sum */
    char url[NOTIFY_URL];     /* https://..., smtp://host:port, smtps://... */
    char ca[NOTIFY_PATH];     /* PEM; "": the system's */
    char secret[NOTIFY_PATH]; /* file, or "vault:NAME": key of the signature, or password of the
                                 mail server */
    char user[NOTIFY_WORD];   /* of the mail server; "": none */
    char from[NOTIFY_MAIL];
    uint8_t n_to;
    char to[NOTIFY_TO][NOTIFY_MAIL];
    char subject[NOTIFY_MAIL]; /* templates; "": built in */
    char text[NOTIFY_TEXT];
};
/* NAME of a secret that the vault holds; empty: it is in a file, or there is none. */
static inline struct str notify_vault_name(const struct config_target *t)
{
    struct str s = str_c(t->secret), head = STR("vault:");
    return str_starts(s, head) ? str_skip(s, head.n) : STR_NONE;
}
struct config_notify {
    uint32_t bans_many; /* bans by the shield a minute from which "bans-many" is told */
    uint8_t n;
    struct config_target at[NOTIFY_TARGETS];
};
#endif
