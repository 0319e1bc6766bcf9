/* The key that signs calls (RFC 8224), while no gateway runs: made here, its request for a
 * certificate, and the certificate that came. */
#ifndef APP_VAULT_CALLS_H
#define APP_VAULT_CALLS_H
#include "app/vault/disk.h"

/* "stir", then: key NAME | csr NAME SUBJECT SPC | install NAME FILE | show NAME. An exit code of
 * offline.h; prints for people, or JSON. state: the gateway's folder. */
int calls_words(struct disk *d, const char *state, bool json, char **w, int n);
#endif
