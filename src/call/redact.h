/* A copy of a message that may be kept as evidence: without what opens doors. Values of credentials
 * (Authorization, Proxy-Authorization, Authentication-Info), SRTP keys (a=crypto, a=key-mgmt, k=)
 * and bodies that are no session description are left out; works on bytes that are no SIP, too. */
#ifndef CALL_REDACT_H
#define CALL_REDACT_H
#include "base/str.h"

/* At most cap bytes into ret; how many. O(n). */
size_t redact(struct str message, char *ret, size_t cap);
#endif
