/* The one list of named refusals (reasons.def) as an enum, with severity, weight, status and text.
 */
#ifndef BASE_REASONS_H
#define BASE_REASONS_H
#include "base/str.h"

enum severity { SEV_INFO, SEV_NOTICE, SEV_WARN, SEV_ALERT };

enum reason {
    REASON_NONE = 0,
#define R(name, severity, hostile, code, text) REASON_##name,
#include "base/reasons.def"
#undef R
    REASON_COUNT
};
struct reason_info {
    struct str name, text;
    enum severity severity;
    uint8_t hostile; /* 0-100 */
    uint16_t code;   /* SIP status, 0 = drop */
};
const struct reason_info *reason_info(enum reason r); /* never NULL; out of range gives NONE's */
enum reason reason_by_name(struct str name);          /* REASON_NONE if unknown */
const char *severity_name(enum severity s);           /* "info" "notice" "warn" "alert" */

/* Counters of one program, one per reason, in shared memory: one writer, readers may tear nothing.
 */
struct counters {
    uint64_t n[REASON_COUNT];
};
static inline void counters_hit(struct counters *c, enum reason r)
{
    __atomic_store_n(&c->n[r], c->n[r] + 1, __ATOMIC_RELAXED);
}
static inline uint64_t counters_get(const struct counters *c, enum reason r)
{
    return __atomic_load_n(&c->n[r], __ATOMIC_RELAXED);
}
#endif
