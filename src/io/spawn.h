/* Starts a program with one inherited descriptor, and watches it by a process descriptor. */
#ifndef IO_SPAWN_H
#define IO_SPAWN_H
#include "base/str.h"
#include <sys/types.h>

struct spawned {
    pid_t pid;
    int pidfd; /* readable when the program has ended */
};
/* argv[0] is the path; NULL-terminated. channel becomes descriptor 3; 0 is /dev/null, 1 and 2 stay;
 * nothing else is inherited; empty environment besides what env lists; signals as by default; a
 * session of its own; the child dies with the parent. ERR_SYSTEM: also when exec fails. */
MUST_CHECK enum err spawn(const char *const argv[], const char *const env[], int channel,
                          struct spawned *ret_s);
/* Takes the status of a program that has ended and closes pidfd. ERR_AGAIN: it lives. status: exit
 * code, or -signal. */
MUST_CHECK enum err spawn_reap(struct spawned *s, int *ret_status);
void spawn_signal(const struct spawned *s, int sig);
#endif
