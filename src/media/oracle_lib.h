/* libsrtp2 for the oracle test, loaded at run time: two of its functions have the names of ours. */
#ifndef MEDIA_ORACLE_LIB_H
#define MEDIA_ORACLE_LIB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool oracle_open(void);
/* suite: enum srtp_suite. Sending or receiving context for any SSRC; window 128. */
void *oracle_new(int suite, uint8_t *key, bool inbound);
void oracle_free(void *s);
/* 0, or the library's status. */
int oracle_protect(void *s, uint8_t *p, size_t *n, bool rtcp);
int oracle_unprotect(void *s, uint8_t *p, size_t *n, bool rtcp);
#endif
