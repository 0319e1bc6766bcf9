#include "ipc/stats.h"

const char *const stat_names[STAT_COUNT] = {
#define X(name) #name,
    STATS_LIST(X)
#undef X
};
