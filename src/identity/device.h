/* What a registration or call comes from, told apart: the client certificate, else the instance-id
 * (RFC 5626 4.1), else address and User-Agent. The number stays the same over restarts and tells
 * nobody what it was made of. */
#ifndef IDENTITY_DEVICE_H
#define IDENTITY_DEVICE_H
#include "base/addr.h"
#include "base/str.h"

enum device_by { DEVICE_BY_CERT = 1, DEVICE_BY_INSTANCE, DEVICE_BY_PLACE };
/* First that is not empty decides. fingerprint: SHA-256 of the certificate. 0 is never returned. */
uint64_t device_id(struct str fingerprint, struct str instance, const struct addr *source,
                   struct str agent, enum device_by *ret_by);
#define DEVICE_TEXT 17u
void device_text(uint64_t id, char ret[DEVICE_TEXT]); /* 16 hex digits, terminated */
/* Those digits, with or without "d-" before them. */
bool device_parse(struct str s, uint64_t *ret_id);
#endif
