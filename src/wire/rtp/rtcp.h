/* RTCP compounds (RFC 3550 section 6, 5506): the frame of every packet in the datagram, and hiding
 * of the names that end systems put into SDES and BYE (user@host, tool, reason), which would show
 * one side's addresses to the other. */
#ifndef WIRE_RTP_RTCP_H
#define WIRE_RTP_RTCP_H
#include "base/cc.h"
#include "base/cur.h"
#include "base/siphash.h"

#define RTCP_HEADER_BYTES 8u /* with the sender's SSRC */
enum { RTCP_SR = 200, RTCP_RR = 201, RTCP_SDES = 202, RTCP_BYE = 203, RTCP_APP = 204 };

/* First packet's header is sound; all that can be said of SRTCP before decryption. */
bool rtcp_header_ok(const uint8_t *p, size_t n);
/* Version, type and length of each packet of the compound; padding only in the last; SDES and BYE
 * inside their bounds. ERR_SYNTAX. */
MUST_CHECK enum err rtcp_check(const uint8_t *p, size_t n);
/* p passed rtcp_check. Overwrites in place, lengths unchanged: CNAME by hex digits of a keyed hash
 * (the same name gives the same digits), other SDES items and BYE reasons by '-', and APP data by
 * zeros. */
void rtcp_hide(uint8_t *p, size_t n, const struct sipkey *key);
#endif
