/* The SRTP suites: names, key sizes, order of preference, and our own master keys. */
#ifndef MEDIA_SUITE_H
#define MEDIA_SUITE_H
#include "media/srtp.h"
#include "wire/sdp/sdes.h"

#define SUITE_SEED_BYTES 32u

enum srtp_suite suite_by_name(struct str name); /* SUITE_NONE if unknown */
/* i-th in order of preference of a policy; SUITE_NONE past the end. */
enum srtp_suite suite_preferred(const struct media_policy *p, unsigned i);
/* Our master key and salt for one suite, from a stream's random seed: every suite of an offer gets
 * a key of its own, and none need be kept. */
void suite_own_key(const uint8_t seed[SUITE_SEED_BYTES], enum srtp_suite s,
                   uint8_t ret_key[SRTP_KEY_MAX]);
/* The key of an a=crypto line. ERR_UNSUPPORTED: suite, MKI, several keys or parameters that are not
 * served; ERR_SYNTAX: key of the wrong length. */
MUST_CHECK enum err suite_take(const struct sdes *c, enum srtp_suite *ret_s,
                               uint8_t ret_key[SRTP_KEY_MAX]);
#endif
