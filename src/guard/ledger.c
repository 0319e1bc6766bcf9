#include "guard/ledger.h"

void caps_default(struct caps *c, struct caps *off)
{
    memset(c, 0, sizeof *c);
    memset(off, 0, sizeof *off);
}
