/* Places where a test may make the program fail, and a wall clock that a test may move. In a
 * product build (-Dfaults=false) everything here is nothing.
 *
 * CHANCERY_FAILPOINTS="name:hit:action[,...]": at the hit-th passage (1 is the first, 0 is every
 * one) of FAILPOINT("name") do: `abort` (SIGKILL to ourselves), `error` (the macro yields ERR_IO),
 * `full` (ERR_FULL), `nomem` (ERR_NOMEM), `delay` (100 ms).
 *
 * CHANCERY_FAULT_CLOCK=FILE: 8 bytes, the seconds by which the wall clock is off, little-endian and
 * signed. Every process that comes from one start shares the file's page, so whoever writes it
 * moves the clock of all of them at once. It must not be truncated meanwhile. */
#ifndef CHANCERY_BASE_FAULT_H
#define CHANCERY_BASE_FAULT_H

#include "base/str.h"

#ifdef CHANCERY_FAULTS
/* ERR_OK unless an armed point says otherwise. */
enum err fault_point(const char *name);
/* Arms points from text in the form above in place of those before; NULL disarms all. While no
 * other thread passes a point. Also read from the environment at first use; what is malformed arms
 * nothing. */
void fault_arm(const char *spec);
/* Seconds to add to the wall clock, never to the monotonic one. The file is opened at the first
 * call and stays mapped in children: call it once before a process shuts itself in. One that cannot
 * be used ends the process: a test that moves no clock must not pass. */
int64_t fault_clock(void);
/* Opens FILE in place of the one before; NULL goes back to a clock that is right. While no other
 * thread asks for the time. */
MUST_CHECK enum err fault_clock_map(const char *file);
/* A variable of ours, and no option. */
bool fault_variable(struct str name);
#define FAILPOINT(name) fault_point(name)
#define FAULT_CLOCK() fault_clock()
#define FAULT_VARIABLE(name) fault_variable(name)
#else
#define FAILPOINT(name) ERR_OK
#define FAULT_CLOCK() ((int64_t)0)
#define FAULT_VARIABLE(name) ((void)(name), false)
#endif

#endif
