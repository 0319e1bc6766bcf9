/* Forced into the pure floors: besides poison.h, no heap, no clock, no files, no sockets, no exit.
 */
#ifndef BASE_POISON_PURE_H
#define BASE_POISON_PURE_H
#include "base/poison.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#undef strdup
#undef printf
#undef fprintf
#pragma GCC poison malloc calloc realloc free strdup socket fopen time clock_gettime rand srand    \
    random
#pragma GCC poison printf fprintf exit abort
#endif
