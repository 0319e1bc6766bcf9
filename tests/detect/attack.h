/* For tests: what the rows of attacks share. */
#ifndef TESTS_DETECT_ATTACK_H
#define TESTS_DETECT_ATTACK_H
#include "tests/detect/detect.h"

#define THUGS  600u
#define BEFORE (6 * MINUTE) /* the office is at work by then */
struct thug {
    struct agent a;
    unsigned n, sent, tries;
    char user[24], nonce[96];
    bool device; /* names an instance of its own: BAD_INSTANCE */
};
typedef void shot_fn(struct world *w, struct thug *t, unsigned n);
struct campaign {
    unsigned sources;
    int64_t every;
    shot_fn *shot;
};
extern struct thug thugs[THUGS];
const int64_t *pace(int64_t slow, int64_t normal, int64_t fast);
void attack(struct world *w, unsigned sources, int64_t every, shot_fn *shot, recv_fn *recv);
void thug_moves(struct world *w, struct thug *t, struct addr where);
const char *stranger(struct thug *t, const char *method, const char *uri, const char *user,
                     const char *more, const char *body);
#define LINES 8u
extern struct phone lines[LINES]; /* of an account in bad hands */
void insider_attacks(struct world *w, unsigned n, int64_t every, shot_fn *shot);
/* rows_media.c, rows_calls.c */
void rtp_inject(struct world *w, int level);
void rtp_bleed(struct world *w, int level);
void rtp_flood_in(struct world *w, int level);
void rtp_flood_out(struct world *w, int level);
void rtp_stray(struct world *w, int level);
void dtls(struct world *w, int level);
void hijack(struct world *w, int level);
void teardown(struct world *w, int level);
void digest_leak(struct world *w, int level);
void sdp(struct world *w, int level);
void wangiri(struct world *w, int level);
void robocall(struct world *w, int level);
void tdos(struct world *w, int level);
#endif
