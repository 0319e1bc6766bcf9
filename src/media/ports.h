/* Media ports of one engine: which local UDP ports are open and free. The platform opens sockets
 * ahead of need and tells the pool; a call takes a port pair at random (unpredictable to peers)
 * without any system call, and gives it back. Ports given back rest before they are used again, so
 * that late packets of an old call never reach a new one. Pure; fixed memory. */
#ifndef MEDIA_PORTS_H
#define MEDIA_PORTS_H
#include "base/instant.h"
#include "base/rng.h"

struct ports {
    uint8_t *map; /* by port: mark while a session has it; NULL: nobody looks */
    uint8_t mark;
    uint16_t *free_list; /* even ports of pairs (port, port + 1) ready for use */
    uint32_t n_free, n_taken, n_open, cap;
    struct {
        uint16_t port;
        struct instant until;
    } * resting;
    uint32_t rest_head, n_resting;
    uint8_t state[65536 / 2]; /* per pair */
};
#define PORTS_REST_MS     2000
#define PORTS_REST_MIN_MS 250 /* when no other pair is free */
size_t ports_bytes(uint32_t cap_pairs);
void ports_init(struct ports *p, void *mem, uint32_t cap_pairs);
/* Which ports have a session is written there, 65536 bytes shared by all engines; what one who died
 * under that number left there is cleared. map NULL: nobody looks. */
void ports_map(struct ports *p, uint8_t *map, uint8_t engine);
void ports_unmap(struct ports *p); /* none has a session any more */
/* The platform: pair (even, even + 1) is open and readable from now on. */
MUST_CHECK enum err ports_add(struct ports *p, uint16_t even);
/* ERR_FULL when none is free and none has rested PORTS_REST_MIN_MS (the platform tops up: see
 * ports_want). */
MUST_CHECK enum err ports_take(struct ports *p, struct rng *rng, struct instant now,
                               uint16_t *ret_even);
void ports_give(struct ports *p, uint16_t even, struct instant now);
bool ports_rests(const struct ports *p, uint16_t port); /* it had a session a moment ago */
/* How many pairs the platform should open now to keep low free; 0 if enough. */
uint32_t ports_want(const struct ports *p, uint32_t low);
#endif
