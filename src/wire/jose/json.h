/* JSON (RFC 8259) as tokens hold it: read in place, without a tree. Strict: one value and nothing
 * behind it, no key with escapes, no key twice where one is asked for. */
#ifndef WIRE_JOSE_JSON_H
#define WIRE_JOSE_JSON_H
#include "base/err.h"
#include "base/str.h"

#define JSON_DEPTH 16u
enum json_kind {
    JOSE_STRING = 1,
    JOSE_NUMBER,
    JOSE_OBJECT,
    JOSE_ARRAY,
    JOSE_TRUE,
    JOSE_FALSE,
    JOSE_NULL
};
struct json {
    uint8_t kind;    /* enum json_kind */
    bool escaped;    /* a string with escapes: text is as written */
    struct str text; /* a string's without its quotes; everything else as written; borrowed */
};
/* The whole text is one value. ERR_SYNTAX; ERR_LIMIT: deeper than JSON_DEPTH. Linear. */
MUST_CHECK enum err json_read(struct str text, struct json *ret_v);
/* Member of an object that json_read has checked. ERR_NOT_FOUND; ERR_SYNTAX: no object, or the key
 * is there twice. */
MUST_CHECK enum err json_get(const struct json *object, struct str key, struct json *ret_v);
/* Next element of an array; *at begins with 0. */
bool json_each(const struct json *array, size_t *at, struct json *ret_v);
/* A string without escapes, or empty. */
struct str json_text(const struct json *object, struct str key);
/* A number without fraction and exponent, 0 to 2^53. ERR_NOT_FOUND, ERR_SYNTAX. */
MUST_CHECK enum err json_seconds(const struct json *object, struct str key, int64_t *ret_v);

/* base64url without padding (RFC 7515 2); no other byte, no leftover bits. */
MUST_CHECK enum err b64url_decode(struct str s, void *ret, size_t cap, size_t *ret_n);
#endif
