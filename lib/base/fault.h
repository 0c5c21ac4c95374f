/* Places where a test may make the program fail. In a product build (-Dfaults=false) everything
 * here is nothing.
 *
 * CHANCERY_FAILPOINTS="name:hit:action[,...]": at the hit-th passage (1 is the first, 0 is every
 * one) of FAILPOINT("name") do: `abort` (SIGKILL to ourselves), `error` (the macro yields ERR_IO),
 * `full` (ERR_FULL), `nomem` (ERR_NOMEM), `delay` (100 ms). */
#ifndef CHANCERY_BASE_FAULT_H
#define CHANCERY_BASE_FAULT_H

#include "base/err.h"

#ifdef CHANCERY_FAULTS
/* ERR_OK unless an armed point says otherwise. */
enum err fault_point(const char *name);
/* Arms points from text in the form above in place of those before; NULL disarms all. While no
 * other thread passes a point. Also read from the environment at first use; what is malformed arms
 * nothing. */
void fault_arm(const char *spec);
#define FAILPOINT(name) fault_point(name)
#else
#define FAILPOINT(name) ERR_OK
#endif

#endif
