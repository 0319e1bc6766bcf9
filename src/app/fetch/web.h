/* One GET (or POST of JSON) at a time over HTTP or HTTPS, for feeds: names by our resolver, TLS
 * verified by given authorities, sizes and times bounded, redirects followed by hand and judged
 * like the first address. It opens no file. Driven by a libevent base; single thread. */
#ifndef APP_FETCH_WEB_H
#define APP_FETCH_WEB_H
#include "app/fetch/resolver.h"
#include "base/instant.h"
#include "guard/feed.h"

#define WEB_REDIRECTS 3u
#define WEB_LIMIT_S   30u /* all of it, redirects included */
#define WEB_STALL_S   10u /* nothing moves for so long */
#define WEB_ADDRESSES 4u  /* tried of a name */
#define WEB_TAG       128u
#define WEB_WHY       112u

/* Another judgement of where to go, at first and after each redirect; false with ret_why. */
typedef bool web_may_fn(void *ctx, struct str url, const char **ret_why);
struct web_ask {
    char url[FEED_URL_MAX + 1];
    bool inside;       /* private and loopback addresses are allowed */
    bool plain;        /* http is allowed beyond loopback */
    struct str ca_pem; /* web_get copies it */
    uint32_t most;     /* bytes; 0: FEED_BYTES */
    uint32_t limit_ms; /* all of it; 0: WEB_LIMIT_S */
    uint8_t redirects; /* with may; else WEB_REDIRECTS */
    struct str post;   /* JSON, kept by the caller until fn: a POST, not redirected */
    web_may_fn *may;   /* NULL: what inside and plain say is all */
    void *may_ctx;
    char etag[WEB_TAG], modified[WEB_TAG]; /* of the last answer; "": none */
};
struct web_answer {
    unsigned status; /* 200 or 304, of a POST any but 3xx; 0: why says what went wrong */
    struct str body; /* borrows during the call */
    const char *etag, *modified; /* "": none */
    const char *cache;           /* Cache-Control; "": none */
    char why[WEB_WHY];
};
typedef void web_fn(void *ctx, const struct web_answer *a);
/* Looks a name up, as resolver_ask. */
typedef enum err web_resolve_fn(void *ctx, const struct dns_name *name, enum dns_type type,
                                struct resolver_question *q);
struct web;
/* Keeps base and both contexts. NULL: no memory. */
struct web *web_new(struct event_base *base, web_resolve_fn *resolve, void *resolver);
/* ERR_STATE: one is under way. fn is called once, never from within web_get; then the next may be
 * asked, from within fn too. */
MUST_CHECK enum err web_get(struct web *w, const struct web_ask *a, web_fn *fn, void *ctx);
bool web_busy(const struct web *w);
/* Once a turn: gives up what takes too long, and clears away. */
void web_turn(struct web *w, struct instant now);
void web_free(struct web *w); /* while no look-up is under way */
#endif
