/* `ringwall replay`: the gates, signatures and detectors of the gateway over a capture file, with
 * the file's own clock; no socket, no running gateway. What a capture cannot show is assumed, and
 * the report says so: who proved himself is judged by what the server of the capture answered.
 * Tables are fixed; what does not fit into them is counted by name. A packet of a known RTP stream
 * costs no allocation and one look-up. */
#ifndef APP_REPLAY_REPLAY_H
#define APP_REPLAY_REPLAY_H
#include "call/policy.h"
#include "guard/rules.h"
#include <jansson.h>
#include <stdio.h>

#define REPLAY_JUDGES 2u
struct replay_judgement { /* one configuration; keeps all */
    const struct policy *policy;
    const char *name;
    bool assumed;              /* the embedded default */
    const struct rules *rules; /* NULL: none */
    const struct rules_scanner *scanner;
    const struct geo *geo; /* NULL: none */
};
struct replay_opts {
    const char *file; /* pcap or pcapng; "-": standard input */
    unsigned n;       /* judgements: 1, or 2 to be compared */
    struct replay_judgement by[REPLAY_JUDGES];
    FILE *eve;     /* alerts of the first as EVE JSON lines; NULL: none */
    bool progress; /* on standard error */
};
enum replay_end {
    REPLAY_WHOLE,
    REPLAY_DAMAGED,    /* what was read up to the damage is judged */
    REPLAY_UNREADABLE, /* no capture, or it cannot be opened */
};
struct replay;
struct replay *replay_new(const struct replay_opts *o); /* NULL: no memory. gives: replay_free */
enum replay_end replay_run(struct replay *r);
const char *replay_error(const struct replay *r); /* what is wrong with the file; "" if nothing */
json_t *replay_report(struct replay *r);          /* gives */
void replay_free(struct replay *r);

/* The text of the default configuration: private addresses are inside, all else is outside. */
extern const char REPLAY_DEFAULT[];
#endif
