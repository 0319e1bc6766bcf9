/* One engine's shield: limits before parsing, scores, detectors. A function of (state, observation,
 * now); fixed memory whatever attackers do. A source, an AOR and a number are each judged by one
 * engine (guard_owner), which so sees all that they do; what it decides goes to the monitor, and
 * from there by the ban board to all. Floods are judged where they arrive; detectors that look at
 * many sources together are judged by every engine over the sources that it owns, each with its
 * share of the threshold.
 *
 * Whom a score belongs to. Evidence that can be forged must not be mixed with evidence that cannot,
 * so an address is up to three persons, each with a slot of its own:
 *   - claimed: what came in its name without proof (UDP, and no nonce of ours came back). Its bans
 *     are brief (spoof_s), marked forgeable, and never asked of somebody who is registered.
 *   - proven: what certainly came from there.
 *   - user: what one user did there after he proved himself. Judged apart and banned as a pair
 *     (source and AOR), so that one bad phone does not cost an office its telephones.
 *
 * An AOR is two: what users did under it, and what others tried on it. So is a device: what it did
 * after it proved to be a user's, and what came in its name before that, the latter at each source
 * apart. A device that names an instance of its own (obs.h) is banned as a device, and the address
 * that it shares with others is not; but never for what somebody else says in its name: evidence
 * of no user stands against a user's device only where that device itself is, and not if it can be
 * forged. One that is known only by its address and model is the same device for a whole office:
 * it has a score where nobody is registered, and what is done, is done about the address.
 *
 * Memory. Slots lie in sets of eight, found by a keyed hash, so nobody can aim at a set. A newcomer
 * takes the place of the least suspicious slot that is no better proven than itself: claimed before
 * proven before registered and users; among equals the lower score goes, then the longer idle. So
 * an attacker with a million forged addresses makes the shield forget other unproven addresses that
 * have done little (each of his own starts at nothing and pushes out its like), and nothing else:
 * proven attackers, users and registered offices are out of his reach, and what he does is seen by
 * scan_wide and enumeration_wide, which count sources in bitmaps that cannot be flushed. With a
 * million real addresses (a botnet on TCP) he pushes out strangers who proved that they are real,
 * low scores first, but nobody who is registered and no user. A newcomer for whom there is no place
 * is not remembered, and counted. The limits lie in tables of their own, 4 ways, oldest out: there
 * a flood can give a source a full bucket again only if it brings four new sources of that set
 * between two datagrams of it.
 *
 * A source's slot has 440 bytes, an AOR's 360, a device's 224, a number's 168; a bucket 16, a known
 * source 16. */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H
#include "guard/ban.h"

struct guard_cfg {
    uint8_t engine, engines;
    uint32_t sources, parties;         /* slots: sources (and users behind them); AORs, devices
                                           and numbers, each so many */
    struct sipkey key;                 /* of hashes of addresses */
    const struct guard_policy *policy; /* keeps until guard_policy gives another */
    const struct ban_board *bans;      /* may be NULL */
    uint32_t bans_cap;
};
struct guard;
size_t guard_bytes(const struct guard_cfg *cfg);
struct guard *guard_init(void *mem, const struct guard_cfg *cfg,
                         struct now now); /* zeroed; keeps; aligned for uint64_t */
void guard_set_policy(struct guard *g, const struct guard_policy *p);
void guard_set_bans(struct guard *g, const struct ban_board *bans, uint32_t cap);

/* IPv4 address or IPv6 /64, port 0: what counts as one source. Who has many /64 is met by their
 * /56: strangers of it share eight sources' rate, and when eight of its /64 were banned within an
 * hour, and nobody is registered in it, it is banned as a whole. */
struct addr guard_source(const struct addr *a);
uint64_t guard_hash(const struct guard *g, const struct addr *a); /* of guard_source(a) */

enum tier { TIER_UNKNOWN, TIER_REGISTERED, TIER_TRUNK };
const char *tier_name(enum tier t);
/* Somebody proved himself from there; believed until then. Ends early while the source is banned.
 */
void guard_known(struct guard *g, const struct addr *source, struct instant until);
/* UNKNOWN or REGISTERED: who is a trunk, the caller's policy says. */
enum tier guard_tier(const struct guard *g, const struct addr *source, struct instant now);

/* Before a datagram or message is parsed: a token of its source (known_rate a second if somebody is
 * registered there, else source_rate; twice that at once), and bans of it. What may be an emergency
 * call (guard_maybe_emergency of its first bytes) has a few tokens of its own beyond both: 2 a
 * second, 10 at once. Peers are free. REASON_NONE: go on; else shield_banned or shield_rate, and it
 * is to be dropped. *ret_ban: what the board says of the source, scope 0: nothing; a treatment
 * milder than DROP goes on, and so does an emergency lane: only emergency calls are then to be let
 * through (treat >= DROP). In a dry run rates refuse nothing. O(1), about 100 ns. */
enum reason guard_before(struct guard *g, const struct addr *source, bool peer, struct str bytes,
                         struct now now, struct ban_view *ret_ban);
/* The same of one who is no peer, in a zone that lets a source send least a second at the least. */
enum reason guard_before_at(struct guard *g, const struct addr *source, uint32_t least,
                            struct str bytes, struct now now, struct ban_view *ret_ban);
/* Cheap look at the start line: INVITE to an emergency number or urn:service:sos; or a request
 * within a call (ACK, BYE, CANCEL, PRACK) or a response, which a call for help needs as well. */
bool guard_maybe_emergency(struct str bytes);
/* After the identity is known: requests a minute of an AOR and of a device (0: not asked), each at
 * once if they come at once. shield_rate_user or NONE. Counted by engine. */
enum reason guard_after(struct guard *g, uint64_t aor, uint64_t device, struct instant now);

/* What came of an observation. */
struct guard_event {
    uint8_t detector, entity, treat; /* treat: TREAT_LOG: an alert only */
    bool dry;                        /* would have */
    uint16_t score, level;           /* score of the entity after it; what the detector measured */
    struct ban ban;                  /* to be asked of the monitor; scope 0: nothing to ask */
};
#define GUARD_EVENTS 8u
struct guard_out {
    uint8_t n_events, n_to;
    struct guard_event events[GUARD_EVENTS];
    uint8_t to[ENTITY_COUNT]; /* engines that must hear of it, too: once each */
};
/* forwarded: it came from another engine, and is not passed on. An alert is told when a detector
 * begins to fire and again only after what it measures fell under half its threshold; a ban is
 * asked once and again after its end. At most 200 forgeable bans a second (400 at once), 10 alerts
 * of what can be forged and 100 of others. O(detectors of that kind), a few hundred ns. */
void guard_observe(struct guard *g, const struct obs *o, bool forwarded, struct now now,
                   struct guard_out *ret_o);
uint8_t guard_owner(const struct guard *g, uint64_t hash);

struct guard_usage {
    uint32_t sources, aors, devices, numbers; /* slots in use: O(table) */
    uint64_t evicted, refused;                /* slots given to others; newcomers without a place */
};
void guard_usage(const struct guard *g, struct guard_usage *ret_u);

/* For people: JSON object of one entity (a device's is O(table)); false, and nothing written, if
 * nothing is known here. A source is shown with its persons; users behind it are not found by the
 * address alone. */
bool guard_explain(const struct guard *g, enum entity e, uint64_t hash, struct now now,
                   struct out *o);
/* The devices that were seen last at a source or as an AOR's (0: not asked), the n (at most 64)
 * highest scores: as guard_explain, separated by commas. O(table). */
void guard_devices(const struct guard *g, uint64_t source, uint64_t aor, unsigned n, struct now now,
                   struct out *o);
/* The n highest scores (at most 64) as JSON objects separated by commas. O(table). */
void guard_top(const struct guard *g, unsigned n, struct now now, struct out *o);
#endif
