/* The system calls of each role, as an allow-list with checked arguments. Part of sandbox_enter;
 * nobody else calls it. */
#ifndef IO_FILTER_H
#define IO_FILTER_H
#include "io/sandbox.h"

/* Not on the list: EPERM. On the list of calls that no working program of ours makes (exec, ptrace,
 * io_uring, ...): the process dies. For good; needs no-new-privs. ERR_SYSTEM with errno. */
MUST_CHECK enum err filter_enter(enum role role);
#endif
