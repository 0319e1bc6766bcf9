/* Requests of the administrator, the same whether they come over the control socket of a running
 * gateway or from `ringwall-vault --state DIR ...` without one. One JSON object in, one out:
 *
 * {"cmd":"user-add","user":"alice@example.com","role"?,"password"?,"md5"?:{"until","owner","reason"}}
 *     more?: "site":text, "numbers":["+4930123",...], "must_change":bool, "second_factor":bool
 * {"cmd":"user-set","user","role"?,"site"?,"numbers"?,"must_change"?,"second_factor"?}
 * {"cmd":"user-passwd","user","password"?}       both answer with "password" if they made it
 * {"cmd":"user-md5","user","password"?,"md5":{"until","owner","reason"}}   or "md5":null to end it
 * {"cmd":"user-role","user","role"}              {"cmd":"user-del","user"}
 * {"cmd":"user-list","match"?}  ->
 * {"users":[{"user","role","created","changed","site"?,"must_change","second_factor","numbers",
 *            "md5"?:{...,"live"}}],"total"}
 * {"cmd":"peer-secret","peer","password"}        {"cmd":"peer-del","peer"}
 * {"cmd":"peer-list"}           -> {"peers":[name]}
 * {"cmd":"secret-set","name","password"}         {"cmd":"secret-remove","name"}
 * {"cmd":"secret-list"}         -> {"secrets":[name]}
 * {"cmd":"notify-secret","name"} -> {"secret":hex}: the monitor's question, nobody else's
 * {"cmd":"stir-key","name"} -> {"key"}   {"cmd":"stir-csr","name","subject","spc"} -> {"csr"}
 * {"cmd":"stir-fits","name","pem"} -> {"key"}: is its first certificate that key's?
 *
 * until and created are Unix seconds. A user without @ is of the default domain. An unknown member
 * is an error. What cannot be saved is not done. Codes: ipc/control.h. */
#ifndef APP_VAULT_ADMIN_H
#define APP_VAULT_ADMIN_H
#include "app/vault/disk.h"
#include "app/vault/passwords.h"
#include "base/rng.h"
#include "ipc/control.h"

struct admin {
    struct users *users;
    struct peers *peers, *secrets;
    struct disk *disk; /* NULL: nothing is saved (tests, bulk) */
    struct rng *rng;
    struct wall now;
    char domain[USER_AOR_MAX]; /* default domain; "" = none */
    unsigned password_min;     /* of the configuration; 0: the default */
    struct str breach_list;    /* file in the vault's folder; empty: none */
    struct wall certs_due;     /* set by a request: when a renewed certificate ends */
    bool users_changed;        /* set by a request that changed them; the directory must be told */
};
struct admin_reply {
    enum control_code code;
    char *text; /* JSON; takes: admin_reply_done */
    size_t n;
};
/* Wipes passwords of its own copies; the request is the caller's to wipe. */
void admin_do(struct admin *a, struct str request, struct admin_reply *ret_r);
/* By the rules of a. false: why tells what to do. */
bool admin_password_good(const struct admin *a, struct str name, struct str domain,
                         struct str password, char why[PASSWORD_WHY]);
void admin_reply_done(struct admin_reply *r);
#endif
