/* Fetch children forked by the test itself, as the supervisor does it. */
#ifndef CHANCERY_TESTS_FETCH_FIXTURE_H
#define CHANCERY_TESTS_FETCH_FIXTURE_H

#include <sys/types.h>

#include "server/serve/fetch.h"

/* Returns the server's end of the pair. Failures end the test. */
int fetch_fork(const char *ca_file, pid_t *ret_pid);
/* Waits for the child: its exit status, or 128 + signal. */
int fetch_ended(pid_t pid);

#endif
