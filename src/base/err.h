/* The errors of fallible functions. Outputs are written on OK only. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
    OK = 0,
    ERR_SYNTAX,      /* input breaks its grammar */
    ERR_LIMIT,       /* input is longer, deeper or larger than its named limit */
    ERR_FULL,        /* a table, arena, pool, ring or buffer has no room */
    ERR_NOT_FOUND,   /* no such thing */
    ERR_EXISTS,      /* already there */
    ERR_AUTH,        /* tag, digest or signature does not verify */
    ERR_REPLAY,      /* authentic but seen before or too old */
    ERR_AGAIN,       /* not complete yet; give more input or come back */
    ERR_STATE,       /* not allowed now */
    ERR_UNSUPPORTED, /* well formed, but not something we do */
    ERR_RANGE,       /* a number outside its range */
    ERR_CLOSED,      /* the other side has gone */
    ERR_SYSTEM,      /* the kernel or a library refused; errno or the library's text tells why */
};

/* A fixed lower-case word for logs and tests ("ok", "syntax", ...). */
const char *err_name(enum err e);
#endif
