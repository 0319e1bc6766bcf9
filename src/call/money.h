/* What money.c and learn.c share. Not for other floors. */
#ifndef CALL_MONEY_H
#define CALL_MONEY_H
#include "call/core_int.h"
#include "call/payer.h"

#define MONEY_TONES 2u
/* What became of l is told to who judges behaviour; its verdict is carried out where it may be. */
void money_learn(struct leg *l, enum fraud_what what, uint32_t seconds, int64_t micro,
                 uint16_t code);
#endif
