/* See the header. */
#include "server/serve/signals.h"

#include <pthread.h>
#include <signal.h>

int signals_catch(int flags)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* a peer that goes away is an error of write(), not the end of the server */
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | flags);
}
