/* What the shield is told: one thing that somebody did, flat and pointer-free, so that it can
 * travel between engines and be made from a capture. Names are hashes under the installation's key:
 * the shield compares them and prints none; who is a bounded copy for people. */
#ifndef GUARD_OBS_H
#define GUARD_OBS_H
#include "base/addr.h"
#include "base/instant.h"
#include "base/reasons.h"

enum obs_kind {
    OBS_REQUEST = 1, /* a request and what the gates said: method, reason, code */
    OBS_BELOW,       /* refused below requests, n times: bytes, connections, handshakes, packets */
    OBS_REGISTERED, /* somebody proved himself and has a new binding: aor, device, country, agent */
    OBS_CALL,       /* a call has ended: number, seconds, value = packets that came, flags */
    OBS_RESPONSE,   /* a response that a peer sent: code; to a leg or stray (reason) */
    OBS_RULE,       /* a signature fired: value = its number, weight */
    OBS_FEED,       /* a feed names the source: value = the feed, weight */
    OBS_KIND_COUNT
};
enum obs_flag {
    OBS_PROVEN = 1,    /* the source is real: a stream, or it sent back a nonce of ours */
    OBS_MISSING = 2,   /* the user or number that it names does not exist here */
    OBS_GUESS = 4,     /* credentials came and were wrong */
    OBS_IN_DIALOG = 8, /* it names a dialog */
    OBS_EMERGENCY = 16,
    OBS_PEER = 32, /* from a configured peer's address or certificate */
    OBS_USER = 64, /* from a user who proved himself */
    OBS_ANSWERED = 128,
    OBS_DECOY = 256, /* it names a user or number that nobody uses */
    OBS_NEW = 512,   /* REGISTERED: no binding of this device was there before */
};
#define OBS_WHO 47u
struct obs {
    uint8_t kind, method, proto, zone; /* obs_kind, enum sip_method, enum sip_proto, policy index */
    uint16_t flags;                    /* enum obs_flag */
    uint16_t reason, code;             /* enum reason; SIP status */
    uint16_t country;                  /* two letters, 'D' << 8 | 'E'; 0: not known */
    uint8_t weight;                    /* RULE, FEED */
    uint8_t who_n;
    uint32_t n;       /* how many of the same; at least 1 */
    uint32_t value;   /* by kind */
    uint32_t seconds; /* CALL: answered for so long, or rung for so long */
    uint32_t listener;
    struct addr source;                  /* family ADDR_NONE: not known */
    uint64_t aor, device, number, agent; /* hashes; 0: none. aor: whom it claims to be */
    uint64_t evidence;                   /* names the kept message; 0: none */
    char who[OBS_WHO + 1];               /* aor or number as text, printable, cut; not ended */
};
/* The low bit of a device's hash says by what it is known. Set: an instance of its own (RFC 5626
 * 4.1), so it is one device. Clear: its address and what it calls itself, so it may be all phones
 * of one model behind that address. */
static inline uint64_t device_hash(uint64_t h, bool own)
{
    return own ? h | 1 : h & ~UINT64_C(1);
}
static inline bool device_own(uint64_t device)
{
    return device & 1;
}
/* For a reader who trusts nothing. */
MUST_CHECK enum err obs_valid(const struct obs *o, size_t bytes);
#endif
