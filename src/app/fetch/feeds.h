/* The policy's feeds: when each is read, what is taken from it, what the monitor is told. A feed of
 * a url is fetched by us (web.h); one of a file comes from the monitor as an open descriptor, again
 * at each refresh. No list replaces a good one unless it is good: a feed that fails is told, and
 * what it named stays with the monitor until it expires there. No I/O but by the functions given.
 */
#ifndef APP_FETCH_FEEDS_H
#define APP_FETCH_FEEDS_H
#include "app/fetch/web.h"
#include "call/policy.h"
#include "ipc/channel.h"

#define FEEDS_RETRY_S 60u /* first; doubles up to the refresh */
#define FEEDS_CA_MAX  (4u << 20)

/* Begins a fetch of ask; false: not now. feeds_answer tells what came. */
typedef bool feeds_get_fn(void *ctx, const struct web_ask *ask);
/* To the monitor; fd -1: none (stays ours). */
typedef void feeds_tell_fn(void *ctx, const struct msg_feed *m, int fd);
typedef void feeds_note_fn(void *ctx, uint8_t severity, const char *text);

struct feed_state {
    bool used;
    struct instant due;                    /* url: when it is asked next */
    uint32_t fails;                        /* in a row */
    char name[32], from[FEED_URL_MAX + 1]; /* by which it is the same feed in the next policy */
    bool json;
    char *ca; /* PEM; NULL: not given */
    size_t n_ca;
    bool has; /* a good list: */
    int good; /* memfd of it; -1: it is empty */
    struct msg_feed last;
    char etag[WEB_TAG], modified[WEB_TAG];
    char told[WEB_WHY]; /* the last failure that was noted; "": it was good */
};
struct feeds {
    const struct policy *policy;
    feeds_get_fn *get;
    feeds_tell_fn *tell;
    feeds_note_fn *note;
    void *ctx;
    int asked;  /* feed that web is busy with, or -1 */
    bool moved; /* the policy changed meanwhile: the answer is of nobody */
    struct feed_state v[GUARD_FEEDS];
    struct prefix room[FEED_PREFIXES];
};
/* Large: static. Keeps ctx. */
void feeds_init(struct feeds *f, feeds_get_fn *get, feeds_tell_fn *tell, feeds_note_fn *note,
                void *ctx);
/* Keeps p until the next one. Feeds that stay are told again under their new number, and need their
 * descriptors anew. */
void feeds_policy(struct feeds *f, const struct policy *p, struct instant now);
/* The monitor's descriptor for feed i: its file, or the authorities of its url. Reads it; the
 * caller's to close. */
void feeds_file(struct feeds *f, unsigned i, int fd);
void feeds_answer(struct feeds *f, const struct web_answer *a, struct instant now);
void feeds_turn(struct feeds *f, struct instant now);
struct instant feeds_next(const struct feeds *f);
void feeds_done(struct feeds *f);
#endif
