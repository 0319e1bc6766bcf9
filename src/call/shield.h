/* The core's side of the shield (for core_int.h): what is observed, and what is done about it. */
#ifndef CALL_SHIELD_H
#define CALL_SHIELD_H
#include "base/timer.h"
#include "call/gates.h"

#define TARPIT_SLOTS 256u
#define TARPIT_BYTES 1400u
struct tarpit_slot {
    struct instant due;
    struct flow flow;
    struct handle t;
    uint16_t code, n;
    char bytes[TARPIT_BYTES];
};
struct shield {
    struct guard *guard;
    struct guard_policy policy; /* ours: pre-parse limits never below what the zones allow after */
    struct gate_hits hits;
    struct guard_out found;
    struct tarpit_slot *tarpit; /* a FIFO: all wait equally long */
    uint32_t tarpit_head, tarpit_n;
    uint64_t evidence;
    struct timer timer;
    bool holding; /* the answer being made is to a request of req, and may have to wait */
};
struct core;
struct core_cfg;
struct call;
size_t shield_bytes(const struct core_cfg *cfg);
void shield_init(struct core *c, void *mem); /* keeps mem, zeroed */
void shield_policy(struct core *c);
/* May this datagram or message be read at all? What may not is counted. */
bool shield_before(struct core *c, const struct flow *f, struct str bytes);
/* A request and what became of it. */
void shield_request(struct core *c, const struct request *r, const struct verdict *v);
/* A parsed request that no gate saw: it names no dialog or transaction of ours. */
void shield_stray(struct core *c, const struct sip_msg *m, const struct flow *f, enum reason why);
void shield_below(struct core *c, enum reason why, const struct addr *source, uint32_t n,
                  bool proven, struct str bytes);
void shield_registered(struct core *c, const struct request *r, bool is_new);
void shield_call(const struct call *k, uint16_t code);
void shield_response(struct core *c, const struct sip_msg *m, const struct flow *f,
                     enum reason why);
/* Holds an answer back; false: send it now. A full pit swallows it. */
bool shield_holds(struct core *c, const struct request *r, const struct flow *f, struct handle t,
                  unsigned code, struct str bytes);
void shield_timer(struct core *c);
/* A silent zone does not even challenge who does not know its name. */
bool shield_silent(const struct core *c, const struct request *r);
#endif
