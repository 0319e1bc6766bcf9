/* Who asked, what for, and what waits for a second person. */
#ifndef APP_MONITOR_APPROVE_H
#define APP_MONITOR_APPROVE_H
#include "app/config/admins.h"
#include "base/instant.h"

#define APPROVALS_MAX 16u
#define APPROVAL_TEXT 1024u /* bytes of a request that waits */
#define ACT_TEXT      192u
#define ASKER_GROUPS  64u
struct asker { /* one end of the control socket, as the kernel knows it */
    uint32_t uid;
    int32_t pid;
    enum admin_role role;
    char name[32];
    char from[48]; /* "ringwall, pid 4711" */
};
struct act {
    char what[96], why[ACT_TEXT], before[ACT_TEXT], after[ACT_TEXT], pending[16];
    bool told;
};
struct text_digest { /* of a file's text; n 0: none */
    uint8_t n, sha256[32];
};
struct approval {
    uint32_t id; /* 0: free */
    struct instant due;
    struct wall asked, until;
    struct asker by;
    char why[ACT_TEXT];
    char what[512];        /* what makes it risky, for the one who judges */
    struct text_digest of; /* reload: the text that is meant */
    char request[APPROVAL_TEXT];
    uint16_t n;
};
struct approvals {
    struct approval at[APPROVALS_MAX];
    uint32_t last;
    struct { /* the last time that the glass was broken */
        struct wall at;
        char who[32], why[ACT_TEXT], what[512];
    } glass;
};
#endif
