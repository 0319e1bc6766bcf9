/* The core's side of the shield (for core_int.h): what is observed, and what is done about it. */
#ifndef CALL_SHIELD_H
#define CALL_SHIELD_H
#include "base/timer.h"
#include "call/gates.h"

#define TARPIT_SLOTS  256u
#define TARPIT_BYTES  1400u
#define HUSH_SLOTS    1024u
#define HUSH_MS       32000 /* 64*T1: so long a request is repeated */
#define RTP_TOLD      1024u
#define EVIDENCE_FROM 20u /* reasons as hostile as that: the message is kept */
struct tarpit_slot {
    struct instant due;
    struct flow flow;
    struct handle t;
    uint16_t code, n;
    char bytes[TARPIT_BYTES];
};
struct hush_slot {
    struct instant due;
    struct handle t;
};
struct shield {
    struct guard *guard;
    struct guard_policy policy; /* ours: pre-parse limits never below what the zones allow after */
    struct gate_hits hits;
    struct guard_out found;
    struct tarpit_slot *tarpit; /* a FIFO: all wait equally long */
    struct hush_slot *hush;     /* the same: requests that get no answer */
    uint32_t tarpit_head, tarpit_n, hush_head, hush_n;
    uint64_t evidence;
    struct timer timer;
    uint64_t rtp_told[RTP_TOLD];
    uint32_t kick_it; /* where the walk through the calls is */
    bool holding;     /* the answer being made is to a request of req, and may have to wait */
};
struct core;
struct core_cfg;
struct call;
struct pkt;
size_t shield_bytes(const struct core_cfg *cfg);
void shield_init(struct core *c, void *mem); /* keeps mem, zeroed */
void shield_policy(struct core *c);
void shield_tick(struct core *c); /* now and then */
/* Is it a peer's address in the zone of that listener; without one (UINT32_MAX), in any zone? */
bool shield_peer(const struct core *c, const struct addr *a, uint32_t listener);
/* May this datagram or message be read at all? What may not is counted. */
bool shield_before(struct core *c, const struct flow *f, struct str bytes);
/* What signatures found in a request; at once after its gates ran, whatever becomes of it. */
void shield_rules(struct core *c, struct request *r);
/* A request and what became of it: once. */
void shield_request(struct core *c, struct request *r, const struct verdict *v);
/* A parsed request that no gate saw: it names no dialog or transaction of ours. */
void shield_stray(struct core *c, const struct sip_msg *m, const struct flow *f, enum reason why);
/* f: NULL for media. */
void shield_below(struct core *c, enum reason why, const struct flow *f, const struct addr *source,
                  uint32_t n, struct str bytes);
void shield_registered(struct core *c, const struct request *r, bool is_new);
void shield_call(const struct call *k, uint16_t code);
void shield_response(struct core *c, const struct sip_msg *m, const struct flow *f, enum reason why,
                     bool proven);
/* A response before anything looks at it; false: a signature drops it. */
bool shield_answer(struct core *c, const struct sip_msg *m, const struct flow *f);
/* What media refused; and whether a packet may pass the signatures. */
void shield_media(struct core *c);
bool shield_packet(struct core *c, const struct pkt *p);
/* A silent zone does not even challenge who does not know its name. */
bool shield_silent(const struct core *c, const struct request *r);

/* -- shield_tell.c -- */
/* Keeps the message as evidence of o, within what its source may fill of the log. */
void shield_keep(struct core *c, struct obs *o, struct str bytes);
void shield_tell(struct core *c, struct guard_event *e, struct obs *o, const struct sip_msg *m);
void shield_tell_rule(struct core *c, const struct rules_hit *x, const struct obs *o,
                      const struct sip_msg *m);

/* -- tarpit.c -- */
size_t tarpit_bytes(void);
void tarpit_init(struct shield *s, void *mem);
/* Holds an answer back; false: send it now. A full pit swallows it. */
bool shield_holds(struct core *c, const struct request *r, const struct flow *f, struct handle t,
                  unsigned code, struct str bytes);
/* The request gets no answer; its copies are absorbed for as long as they come. t may be none. */
void shield_hush(struct core *c, const struct request *r, struct handle t);
void shield_timer(struct core *c);
#endif
