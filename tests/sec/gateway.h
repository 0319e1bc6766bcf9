/* A whole gateway for the tests of its processes: a fresh state folder, the real programs, the real
 * monitor in a process of its own. */
#ifndef SEC_GATEWAY_H
#define SEC_GATEWAY_H
#include "base/addr.h"
#include "base/str.h"
#include <sys/types.h>

struct gateway {
    char dir[64], control[96], config[96];
    const char *programs;
    pid_t monitor;
    struct addr udp, tls;
};
/* Makes the folder with an authority, a certificate, user alice@example.com and a configuration;
 * false: said on standard output. */
bool gateway_make(struct gateway *g, const char *programs);
bool gateway_start(struct gateway *g);        /* true when all programs run */
int gateway_stop(struct gateway *g, int sig); /* exit status, or -signal */
void gateway_remove(const struct gateway *g);
bool gateway_config(const struct gateway *g,
                    const char *extra); /* writes the configuration, with extra lines at its end */
/* Asks the control socket; the text is the caller's to free; NULL: no answer. */
char *gateway_ask(const struct gateway *g, const char *json, uint32_t *ret_code);
pid_t gateway_pid(const struct gateway *g,
                  const char *program); /* of a program that runs; 0 if it does not */
/* Waits until the program runs with another pid; milliseconds it took, or -1. */
int gateway_wait_new(const struct gateway *g, const char *program, pid_t old, int limit_ms);
#endif
