/* The location board: registrations in shared memory, one shard an engine (it alone writes it),
 * read by all engines and by the store, guarded by a sequence lock a slot. Survives the death of an
 * engine, which re-attaches to its shard. Readers believe nothing that stands in it: not the
 * header, not a link, no binding that location_sound does not take. */
#ifndef CALL_LOCATION_H
#define CALL_LOCATION_H
#include "base/instant.h"
#include "base/siphash.h"
#include "sip/flow.h"

#define LOCATION_AOR_MAX     96u
#define LOCATION_CONTACT_MAX 200u
struct binding {       /* under 400 bytes with its lock */
    uint64_t aor_hash; /* 0 = free */
    struct wall expires;
    struct flow flow;       /* how to reach the phone */
    uint32_t cseq, version; /* version: grows with each change; the store persists by it */
    uint32_t call_id_hash;
    uint16_t q; /* 0-1000 */
    uint8_t aor_len, contact_len;
    uint8_t flags;     /* BINDING_* */
    uint8_t path_len;  /* value of the Route to it (RFC 3327), behind the URI in contact */
    uint64_t instance; /* hash of +sip.instance, above its reg-id or 0 (RFC 5626); 0 = none: then
                          the URI is the key */
    uint64_t device;   /* identity/device.h; 0: not known any more */
    char aor[LOCATION_AOR_MAX];
    char contact[LOCATION_CONTACT_MAX]; /* URI, then path */
};
static inline struct str binding_path(const struct binding *b)
{
    return str_of(b->contact + b->contact_len, b->path_len);
}
#define BINDING_DEVICE(b)                                                                          \
    ((uint32_t)((b)->instance >> 32))             /* the same for all flows of a phone             \
                                                   */
#define BINDING_FLOW(b) ((uint32_t)(b)->instance) /* reg-id; 0 = none */
enum {
    BINDING_NAT = 1,
    BINDING_RESTORED = 2,    /* came from the store: stream flows are gone */
    BINDING_QUARANTINED = 4, /* of a device that was not approved then */
};
struct location_shard { /* in shared memory, zeroed at first */
    uint32_t cap, used;
    uint32_t buckets;          /* power of two; chains by slot index */
    uint32_t epoch;            /* grows with every change: a walk that sees it move starts again */
    uint32_t free_head, fresh; /* 1-based slots */
    uint32_t version;          /* newest binding version given */
    ALIGNED(16)
    uint8_t data[]; /* uint32_t bucket[buckets], then slots {uint32_t seq, next; struct binding} */
};
size_t location_bytes(uint32_t cap);
/* What a reader has: the memory, and how many bindings that was made for, which it knows from
 * elsewhere. s NULL or cap 0: nothing to read. */
struct location_view {
    const struct location_shard *s;
    uint32_t cap;
};
/* The owner's view of its own shard, attached. */
static inline struct location_view location_own(const struct location_shard *s)
{
    return (struct location_view){s, s->cap};
}
/* Called by the owner at start; recovers from a writer that died (half-written slots are dropped)
 * or wrote what no reader takes. Memory of location_bytes(cap), cap as at creation; a header that
 * says otherwise was not written by us, and the shard begins empty. ERR_RANGE: cap 0 or too large.
 */
#define LOCATION_CAP_MAX (1u << 26)
MUST_CHECK enum err location_attach(struct location_shard *s, uint32_t cap);
/* Lengths, transport, listener and text of b are such as a registrar writes. */
bool location_sound(const struct binding *b);
/* Reader: next binding of that AOR in the shard; *it = 0 at start. Copies; false at the end.
 * Expired ones are skipped. At most 256 links a call, but links may go round: bound the calls. */
bool location_next(struct location_view v, uint64_t aor_hash, struct str aor, struct wall now,
                   uint32_t *it, struct binding *ret_b);
/* Reader: grows with every change of the links; the newest version given; slots worth a look by
 * location_slot (<= cap). */
uint32_t location_epoch(struct location_view v);
uint32_t location_version(struct location_view v);
uint32_t location_fresh(struct location_view v);
/* Do two bindings of one AOR stand for the same flow or phone? By instance; else by contact URI,
 * which two phones behind different NATs may share: then by Call-ID or source address, too. */
bool location_same(const struct binding *a, const struct binding *b);
/* Owner: adds or replaces the binding with the same AOR and key (location_same). ERR_FULL;
 * ERR_RANGE: not sound. */
MUST_CHECK enum err location_put(struct location_shard *s, const struct binding *b);
/* Owner: removes the binding with b's AOR and key; false if there is none. */
bool location_del(struct location_shard *s, const struct binding *b);
/* Owner: looks at up to *budget slots from *cursor on and frees the first expired one that it
 * meets: true, with what it held; call again. false: the budget is used up. */
bool location_sweep(struct location_shard *s, struct wall now, uint32_t *cursor, uint32_t *budget,
                    struct binding *ret_b);
/* Any reader: slot by number for walks (status, store); false if free. version lets the store skip
 * what it has. */
bool location_slot(struct location_view v, uint32_t slot, struct binding *ret_b);
uint64_t
location_hash(const struct sipkey *k,
              struct str aor); /* never 0; lower-cased host part expected from the caller */
#endif
