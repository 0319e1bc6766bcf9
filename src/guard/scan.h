/* The plain scanner: finds many literals in one pass without any library. Of every pattern three
 * bytes (without case) are hashed; a map of bits says where a chain of patterns is worth looking
 * at. Its tables lie in the blob, so it needs no memory. About 1 ns a byte with some thousands of
 * patterns; patterns of one or two bytes are looked for one by one. */
#ifndef GUARD_SCAN_H
#define GUARD_SCAN_H
#include "guard/rules.h"

/* ret_s borrows r, which was made with tables for it and is valid. It matches no expressions. */
void scan_plain(const struct rules *r, struct rules_scanner *ret_s);
#endif
