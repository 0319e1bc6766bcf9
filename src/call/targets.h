/* The board of peers' addresses: what the names in the policy mean now. In shared memory, flat; the
 * fetch program alone writes it, engines and the monitor read it, slot by slot under a sequence
 * lock. A row says which question it answers (name, port, transport, family, DNSSEC), so that a
 * reader with a newer or older policy than the writer's is never given another peer's addresses.
 * Readers believe no row: targets_get judges each. */
#ifndef CALL_TARGETS_H
#define CALL_TARGETS_H
#include "call/policy.h"
#include "sip/locate.h"

#define TARGETS_MAGIC 0x52575447u
#define TARGETS_PAST  8u

enum targets_state {
    TARGETS_UNKNOWN, /* not asked to the end yet */
    TARGETS_GOOD,
    TARGETS_STALE, /* the last good answer, kept while nobody can be asked */
    TARGETS_FAILED /* no address */
};
struct targets_past { /* an address that was the peer's: calls that run may go on with it */
    struct addr a;
    struct wall until;
};
struct targets_row {
    struct locate_ask ask; /* host empty: a free slot */
    uint8_t state, secure, n, n_past;
    uint16_t why;       /* enum reason: of FAILED and STALE */
    struct wall asked;  /* when the last answer came, good or bad */
    struct wall until;  /* GOOD: end of its TTL; else: when it is asked again */
    struct wall forget; /* GOOD, STALE: longest time that it is kept without a newer one */
    struct locate_entry entry[LOCATE_ENTRIES];
    struct targets_past past[TARGETS_PAST];
};
struct targets_slot {
    uint32_t seq, pad;
    struct targets_row row;
};
struct targets_board {
    uint32_t magic, bytes; /* sizeof(struct targets_board) */
    uint32_t changes;      /* grows with each row written */
    uint32_t pad;
    struct targets_slot slot[POLICY_PEERS];
};
/* Writer. New memory is zeroed; a board of a writer that died is repaired. */
MUST_CHECK enum err targets_attach(struct targets_board *b, size_t bytes);
void targets_put(struct targets_board *b, uint32_t slot, const struct targets_row *row);

/* The question that peer's name asks; false: it has no name, or one that is none. */
bool targets_ask(const struct policy *p, uint8_t peer, struct locate_ask *ret_a);
bool targets_same(const struct locate_ask *a, const struct locate_ask *b);
/* May requests to this peer go there? Not to a wildcard, group or broadcast address, not to
 * loopback unless we send from there, not to ourselves. */
bool targets_allowed(const struct policy *p, uint8_t peer, const struct addr *a);
/* Reader: the sound row of that peer; ERR_NOT_FOUND (also while its writer lies dead in it),
 * ERR_SYNTAX: the board or the row breaks its contract. */
MUST_CHECK enum err targets_get(const struct targets_board *b, size_t bytes, const struct policy *p,
                                uint8_t peer, struct targets_row *ret_row);
/* Index of the address among the row's, -1: not there. */
int targets_find(const struct targets_row *r, const struct addr *a);
/* The same by ip alone, and those of the past too, for requests within a dialog. */
bool targets_was(const struct targets_row *r, const struct addr *a, struct wall now);
/* policy_peer_of, and peers by name: rows is indexed like the policy's peers; NULL: none. */
uint8_t targets_peer_of(const struct policy *p, const struct targets_row *rows, uint8_t zone,
                        const struct addr *source);
#endif
