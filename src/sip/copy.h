/* Copies of messages in blocks shared with the calls. A copy is a chain of pieces, one block each;
 * its owner stores only {head, length}. Inside of src/sip. */
#ifndef SIP_COPY_H
#define SIP_COPY_H
#include "base/arena.h"

struct copies {
    struct blocks *blocks;
    uint32_t room;   /* bytes of text in a piece */
    uint32_t offset; /* from a block's start to its piece */
};
/* keeps blocks, of which at least one must be free now: it is measured and given back. */
void copies_init(struct copies *c, struct blocks *blocks);
/* Copies s (not empty); ERR_FULL. Give it back with copy_release. */
MUST_CHECK enum err copy_keep(const struct copies *c, struct str s, void **ret_head);
void copy_release(const struct copies *c, void **head); /* NULL allowed; set to NULL */
/* The n bytes in one piece: borrows the block, or scratch (of n bytes at least) for chains. */
struct str copy_read(const struct copies *c, const void *head, size_t n, char *scratch);
bool copy_equal(const struct copies *c, const void *head, struct str s); /* s as long as the copy */
#endif
