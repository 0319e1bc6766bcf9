/* Forced into every file: words that have no place anywhere in Ringwall. The headers that declare
 * them come first, so that only uses are errors. */
#ifndef BASE_POISON_H
#define BASE_POISON_H
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* glibc has some of them as macros when it checks buffers. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef gets
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets
#endif
