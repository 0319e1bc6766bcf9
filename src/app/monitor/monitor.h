/* `ringwall run`: the parent of all programs. Reads the configuration, binds the listeners, starts
 * vault, store and engines in that order, hands them what they need, restarts those that die,
 * answers the control socket. It never reads a byte of a SIP or RTP peer. Single thread; runs as
 * root where privileged ports or the id switch are wanted, else as any user. */
#ifndef APP_MONITOR_MONITOR_H
#define APP_MONITOR_MONITOR_H
#include "base/str.h"

struct monitor_cfg {
    const char *config;   /* path of ringwall.yaml */
    const char *state;    /* folder; NULL: what the file says, else /var/lib/ringwall */
    const char *programs; /* folder with ringwall-engine, ringwall-vault, ringwall-store, or with
                             folders engine, vault, store that hold them; NULL: that of this
                             executable, else its sibling folders in a build tree
                             (../vault/ringwall-vault, ...) */
    bool quiet;           /* only warnings and errors on standard error */
    int ready_fd; /* -1, or: one byte "\n" is written when all programs run, then it is closed */
};
enum monitor_exit {
    MONITOR_OK = 0,
    MONITOR_FAILED = 1,
    MONITOR_CONFIG = 2 /* the file is bad; problems on standard error */
};
/* Returns when stopped by SIGTERM, SIGINT or the control socket. SIGHUP reloads. */
int monitor_main(const struct monitor_cfg *cfg);
#endif
