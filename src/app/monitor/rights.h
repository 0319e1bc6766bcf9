/* What each command of the control socket needs, and which role holds what: the one table that
 * every request is judged by, whoever answers it. Pure but for names of roles. */
#ifndef APP_MONITOR_RIGHTS_H
#define APP_MONITOR_RIGHTS_H
#include "app/config/admins.h"

enum admin_right {                    /* the smallest one that will do */
                   RIGHT_SEE = 1,     /* what runs now: programs, calls, registrations, bans */
                   RIGHT_RECORDS = 2, /* who called whom, what was refused and why */
                   RIGHT_AUDIT = 4,   /* what administrators did */
                   RIGHT_OPERATE = 8, /* drain, reload, ban and release */
                   RIGHT_USERS = 16,  /* users and their passwords */
                   RIGHT_SECURITY =
                       32, /* devices, codes, certificates, locks of fraud, secrets of peers */
                   RIGHT_APPROVE = 64, /* to be the second person */
                   RIGHT_ALL = 128,    /* the rest */
};
enum admin_to { TO_MONITOR, TO_VAULT, TO_STORE, TO_ENGINES };
struct admin_command {
    const char *name; /* with '-' at its end: a command that begins so and has no row of its own */
    uint8_t right;    /* enum admin_right */
    uint8_t to;       /* enum admin_to */
    bool changes;     /* told as a fact */
    bool risky;       /* wants a reason, and a second person where four_eyes is on */
};
extern const struct admin_command ADMIN_COMMANDS[];
extern const unsigned ADMIN_COMMANDS_N;
/* NULL: there is no such command. */
const struct admin_command *admin_command(struct str name);
bool admin_may(enum admin_role role, uint8_t right);
/* "operator, security-officer or administrator". */
void admin_roles_with(uint8_t right, char *ret, size_t cap);

struct admin_who { /* who asks, by the kernel */
    uint32_t uid, gid;
    const uint32_t *groups;
    unsigned n_groups;
};
/* own_uid: that of the gateway; own_group: of the group that may ask where the file names nobody,
 * or UINT32_MAX. ADMIN_NONE: a stranger. */
enum admin_role admin_role_of(const struct config_admins *a, const struct admin_who *w,
                              uint32_t own_uid, uint32_t own_group);
#endif
