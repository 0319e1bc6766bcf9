/* Who may ask what on the control socket: `administrators:` of ringwall.yaml. Roles are ours, not
 * those of callers (identity/rights.h). */
#ifndef APP_CONFIG_ADMINS_H
#define APP_CONFIG_ADMINS_H
#include "base/str.h"

#define ADMINS_MAX 64u
#define ADMIN_NAME 64u
enum admin_role {
    ADMIN_NONE,
    ADMIN_VIEWER,
    ADMIN_OPERATOR,
    ADMIN_SECURITY,
    ADMIN_AUDITOR,
    ADMIN_ALL,
    ADMIN_ROLES
};
struct config_admin {
    char name[ADMIN_NAME]; /* of the user or group; "" where the file gave a number */
    uint32_t id;           /* uid or gid */
    uint8_t role;          /* enum admin_role */
    bool group;
};
struct config_admins {
    bool said;      /* the section is there: nobody else but root and our own user */
    bool four_eyes; /* a risky change waits for a second person */
    uint32_t approval_s;
    uint8_t n;
    struct config_admin at[ADMINS_MAX]; /* in the file's order: the first user that fits, else the
                                           first group */
};
const char *admin_role_name(enum admin_role r); /* "security-officer" */
#endif
