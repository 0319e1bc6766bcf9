/* ATTACH messages on the side of the program. Not for others than child.c. */
#ifndef IPC_ATTACH_H
#define IPC_ATTACH_H
#include "ipc/child.h"

/* The one in c->msg: its descriptor is mapped or kept, or closed. ERR_STATE: not for this program;
 * ERR_RANGE, ERR_SYNTAX: not what its kind has to be; ERR_SYSTEM. */
MUST_CHECK enum err attach_take(struct child *c);
#endif
