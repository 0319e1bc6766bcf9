/* What of a new configuration lets more out, or keeps less in, than the one in force: found by
 * comparing the two, whatever the file says about itself. Such a change wants a reason, and where
 * four_eyes is on a second person. Pure. */
#ifndef APP_MONITOR_RISKY_H
#define APP_MONITOR_RISKY_H
#include "app/config/config.h"

#define RISKS_TEXT 1536u
struct risks {
    unsigned n;
    unsigned untold;       /* for which there was no room */
    char text[RISKS_TEXT]; /* "opens premium to role user; ..." terminated */
};
void risks_find(const struct config *old, const struct config *new, struct risks *ret_r);
#endif
