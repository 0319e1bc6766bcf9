/* What did not go through a full channel, kept in the order it came and sent before anything newer.
 * Fixed size; what does not fit any more is refused, so that the oldest is what stays. */
#ifndef IPC_BACKLOG_H
#define IPC_BACKLOG_H
#include "ipc/channel.h"

#define BACKLOG_CAP      64u
#define BACKLOG_RETRY_MS 5 /* while something is kept: the longest pause before the next try */

struct backlog { /* zeroed: empty */
    uint32_t first, n;
    struct {
        uint16_t n;
        uint8_t bytes[IPC_BAN_MAX];
    } v[BACKLOG_CAP];
};
/* Sends what is kept, oldest first, until the channel is full again. ERR_AGAIN: some is left. Other
 * errors are the channel's, for the oldest one, which is given up. */
MUST_CHECK enum err backlog_flush(struct backlog *b, struct channel *c);
/* Sends a BAN behind all that is kept, or keeps it (OK, too). ERR_FULL: no room, it is lost.
 * ERR_LIMIT: longer than IPC_BAN_MAX. Else the channel's. */
MUST_CHECK enum err backlog_ban(struct backlog *b, struct channel *c, struct str ban);
#endif
