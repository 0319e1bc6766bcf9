/* The one way into a program's cage. A fixed order: descriptors, bounding set, ids, capabilities,
 * resource limits, no-new-privs, not dumpable, Landlock, seccomp. Fails closed: a step that this
 * kernel offers and that does not succeed is an error, and the program must end. Steps that cannot
 * be taken (no root: no id switch; old kernel: no Landlock) are told in the report, which `ringwall
 * status` shows. Once a process; before it has threads, sockets or configuration. */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H
#include "base/str.h"

enum role { ROLE_ENGINE, ROLE_VAULT, ROLE_STORE, ROLE_FETCH, ROLE_COUNT };
const char *role_name(enum role r);    /* "engine" "vault" "store" "fetch" */
const char *role_program(enum role r); /* "ringwall-engine" ... */
const char *role_user(enum role r);    /* "ringwall" "ringwall-vault" "ringwall-store" */

enum sandbox_ids { SANDBOX_IDS_NOT_ROOT, SANDBOX_IDS_NO_USER, SANDBOX_IDS_SWITCHED };
struct sandbox_report { /* travels in a message: flat */
    uint8_t ids;        /* enum sandbox_ids */
    uint8_t landlock;   /* ABI in force; 0 = this kernel has none */
    uint8_t seccomp;    /* 1 = in force */
    uint8_t caps; /* 1 = no capability is left, bounding set included; 0 = without root there was
                     none to drop */
    uint32_t uid, nofile;
};
#define SANDBOX_CHANNEL_FD 3 /* the one descriptor kept besides 0, 1 and 2 */

/* folder: the only one the vault or store may touch from then on, and its working directory; NULL
 * for engine and fetch, which may open nothing. On an error ret_why says in words which step failed
 * (static text) and errno is the step's. */
MUST_CHECK enum err sandbox_enter(enum role role, const char *folder,
                                  struct sandbox_report *ret_report, const char **ret_why);
/* User and group ids of a role when this process is root and the role's user exists; false if
 * children keep our ids. */
bool sandbox_user(enum role role, uint32_t *ret_uid, uint32_t *ret_gid);
#endif
