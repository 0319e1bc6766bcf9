/* Threat feeds: what their texts name, and where they may be fetched from. Strangers write both the
 * text and, by redirects, the place: everything is bounded, and what would ban half the world or
 * ourselves is left out by name. Pure, no recursion deeper than FEED_DEPTH. */
#ifndef GUARD_FEED_H
#define GUARD_FEED_H
#include "base/addr.h"

#define FEED_PREFIXES 200000u     /* of one feed */
#define FEED_BYTES    (16u << 20) /* of one text */
#define FEED_BITS4    8u          /* a shorter prefix is refused */
#define FEED_BITS6    16u
#define FEED_DEPTH    16u /* of JSON */
#define FEED_URL_MAX  400u

struct feed_list {
    struct prefix *v; /* cap of them; the caller's */
    uint32_t cap, n;
    uint32_t lines;               /* that should have named somebody; JSON: entries */
    uint32_t bad;                 /* of these: not understood */
    uint32_t wide;                /* too short a prefix */
    uint32_t inside;              /* private, loopback, multicast ... (feed_inside) */
    uint32_t lost;                /* beyond cap */
    uint32_t bad_line, wide_line; /* of the first; 0: none */
    struct prefix wide_first;
};
/* Adds what the text names to an empty list. Text: one address or prefix a line, what follows it
 * after a blank, ',', ';', '|' or '#' is ignored; '#' and ';' begin comments. JSON: lists of
 * strings, or of objects with members "ip", "address", "cidr", "network", "prefix" and the like;
 * such objects one after the other, too. ERR_SYNTAX: broken JSON (bad_line says where), or not one
 * line was understood (an error page, say); ERR_LIMIT: longer than FEED_BYTES. The list must not be
 * used then. */
MUST_CHECK enum err feed_read(struct str text, bool json, struct feed_list *io_l);
/* Sorts; leaves out what is there twice or lies inside another. O(n log n), in place. */
void feed_settle(struct feed_list *l);

/* No address of the public internet: this network, private, shared, loopback, link-local,
 * multicast, reserved, unique local. Those for documentation count as public. */
bool feed_inside(const struct addr *a);
bool feed_overlap(const struct prefix *a, const struct prefix *b);

struct feed_url {    /* borrows from the text */
    bool plain;      /* http */
    struct str host; /* name or address, without brackets */
    uint16_t port;
    struct str target; /* path and query; may be empty: "/" is meant */
};
/* http(s)://host[:port][/path][?query]; nothing else: no user, no fragment, no blanks, ASCII only.
 * ERR_SYNTAX with ret_why in words (static text). */
MUST_CHECK enum err feed_url_parse(struct str s, struct feed_url *ret_u, const char **ret_why);
#endif
