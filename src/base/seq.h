/* Sequence locks for boards in shared memory: one writer, readers that never wait on it for long.
 * seq is odd while a write is under way. */
#ifndef BASE_SEQ_H
#define BASE_SEQ_H
#include "base/cc.h"

void seq_write_begin(uint32_t *seq);
void seq_write_end(uint32_t *seq);
/* Copies n bytes of a record guarded by seq. false after 64 tries (the writer died inside, or
 * writes without pause): treat as absent. */
bool seq_read(const uint32_t *seq, void *dst, const void *src, size_t n);
#endif
