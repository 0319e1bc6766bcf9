/* What passes from one side of a call to the other, for those who build requests of their own; the
 * rest of hide.c stands in core_int.h. Nothing here keeps or allocates. */
#ifndef CALL_HIDE_H
#define CALL_HIDE_H
#include "wire/sip/build.h"

#define HIDE_REASONS_MAX 4u  /* Reason values of a message that pass */
#define HIDE_ENTRIES_MAX 10u /* entries of Diversion and of History-Info */

/* The Reason fields of m as the other side may see them (RFC 3326, 6432): SIP and Q.850 with their
 * cause, without text. Whole lines; none if there is none. */
void hide_reasons_put(const struct sip_msg *m, struct out *o);
/* Max-Forwards of a request that we make because of m: one less, 70 counts where it says nothing.
 */
uint8_t hide_max_forwards(const struct sip_msg *m);
/* Branches that m may still become (RFC 5393); 60 where it says nothing. */
uint32_t hide_max_breadth(const struct sip_msg *m);
#endif
