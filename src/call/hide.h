/* What passes from one side of a call to the other, for those who build requests of their own; the
 * rest of hide.c stands in core_int.h. Nothing here keeps or allocates. */
#ifndef CALL_HIDE_H
#define CALL_HIDE_H
#include "wire/sip/build.h"

#define HIDE_REASONS_MAX 4u  /* Reason values of a message that pass */
#define HIDE_ENTRIES_MAX 10u /* entries of Diversion and of History-Info */

#define HIDE_REASON_CHARS (HIDE_REASONS_MAX * 20u)
/* What the Reason fields of m tell the other side (RFC 3326, 6432): SIP and Q.850 with their cause,
 * without text. As one value, empty if there is none; and as a line, or nothing. */
void hide_reasons(const struct sip_msg *m, struct out *value);
void hide_reasons_put(const struct sip_msg *m, struct out *o);
/* Max-Forwards of a request that we make because of m: one less, 70 counts where it says nothing.
 */
uint8_t hide_max_forwards(const struct sip_msg *m);
/* Branches that m may still become (RFC 5393); 60 where it says nothing. */
uint32_t hide_max_breadth(const struct sip_msg *m);
#endif
