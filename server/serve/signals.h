/* The signals that a serving process waits for: SIGTERM, SIGINT, SIGHUP. */
#ifndef CHANCERY_SERVER_SIGNALS_H
#define CHANCERY_SERVER_SIGNALS_H

#include <sys/signalfd.h>

/* Blocks them in this thread and those to come, and SIGPIPE is ignored. A signalfd of theirs, the
 * caller's; `flags`: SFD_NONBLOCK or 0. Negative: the system refuses. */
int signals_catch(int flags);

#endif
