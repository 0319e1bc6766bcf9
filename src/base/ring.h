/* Single-producer single-consumer ring of variable-length records over shared memory, pointer-free.
 * Each side trusts only its own index: the reader checks every length against the ring and copies
 * out, so a hostile writer can give wrong bytes, never wrong addresses. */
#ifndef BASE_RING_H
#define BASE_RING_H
#include "base/str.h"

struct ring_shared {               /* at the start of the shared memory */
    ALIGNED(64) uint32_t head;     /* written by the producer */
    ALIGNED(64) uint32_t tail;     /* written by the consumer */
    ALIGNED(64) uint32_t sleeping; /* 1: the consumer sleeps and wants a wake-up */
    uint32_t lost;                 /* records that found no room; written by the producer */
    ALIGNED(64) uint8_t data[];
};
struct ring { /* each side's own view; lives in private memory */
    struct ring_shared *sh;
    uint32_t size; /* bytes of data, a power of two */
    uint32_t own;  /* head for the producer, tail for the consumer */
    bool dead;     /* consumer: the writer broke the format */
    bool hold;     /* consumer, set after ring_attach: what it takes stays in the ring until
                      ring_release, so that a consumer that dies in between gets it again */
};
#define RING_RECORD_MAX 70000u
size_t ring_bytes(uint32_t size);
/* Attaches to zeroed or living shared memory. size: power of two >= 4096. A consumer or producer
 * that starts again continues where the memory says, after checking it (ERR_SYNTAX if it lies). */
MUST_CHECK enum err ring_attach(struct ring *r, void *mem, uint32_t size, bool producer);
/* The same for a program that must start, whatever the other side writes there just now: a consumer
 * begins dead (ring_skip goes on), a producer finds the ring full until its reader comes back to
 * it. */
void ring_attach_anyhow(struct ring *r, void *mem, uint32_t size, bool producer);
/* ERR_FULL counts in lost; ERR_LIMIT: longer than RING_RECORD_MAX or than half the ring. Never
 * waits. */
MUST_CHECK enum err ring_put(struct ring *r, const void *rec, size_t n);
MUST_CHECK enum err ring_put2(struct ring *r, struct str a,
                              struct str b); /* one record from two parts */
/* Copies the next record. ERR_AGAIN: empty. ERR_LIMIT: larger than cap (skipped). ERR_SYNTAX: the
 * writer broke the format; the ring is dead. */
MUST_CHECK enum err ring_get(struct ring *r, void *ret, size_t cap, size_t *ret_n);
/* Consumer with hold: gives the room of all that was taken back to the producer. */
void ring_release(struct ring *r);
/* Consumer with hold: bytes taken and not released. */
uint32_t ring_held(const struct ring *r);
/* Consumer: forgets all that the ring holds now, and a writer that broke the format: goes on behind
 * it. Bytes left out. */
uint32_t ring_skip(struct ring *r);
/* Producer: true if the consumer must be woken (it announced sleep); clears the announcement. */
bool ring_want_wake(struct ring *r);
/* Consumer: announces sleep; false if records came meanwhile (then do not sleep). */
bool ring_sleep(struct ring *r);
void ring_awake(struct ring *r);
#endif
