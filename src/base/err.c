#include "base/err.h"
#include "base/cc.h"

uint64_t expect_failed;

const char *err_name(enum err e)
{
    switch (e) {
    case OK:
        return "ok";
    case ERR_SYNTAX:
        return "syntax";
    case ERR_LIMIT:
        return "limit";
    case ERR_FULL:
        return "full";
    case ERR_NOT_FOUND:
        return "not-found";
    case ERR_EXISTS:
        return "exists";
    case ERR_AUTH:
        return "auth";
    case ERR_REPLAY:
        return "replay";
    case ERR_AGAIN:
        return "again";
    case ERR_STATE:
        return "state";
    case ERR_UNSUPPORTED:
        return "unsupported";
    case ERR_RANGE:
        return "range";
    case ERR_CLOSED:
        return "closed";
    case ERR_SYSTEM:
        return "system";
    }
    return "unknown";
}
