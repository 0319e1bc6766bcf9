/* The clocks. The only place that reads them; everybody else is handed now. */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H
#include "base/instant.h"

struct now clock_now(void);  /* both clocks, no system call on usual machines */
uint64_t clock_cpu_us(void); /* CPU time of this process */
#endif
