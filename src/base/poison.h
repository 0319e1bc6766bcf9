/* Forced into every file: words that have no place anywhere in Ringwall. The headers that declare
 * them come first, so that only uses are errors. */
#ifndef BASE_POISON_H
#define BASE_POISON_H
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets
#endif
