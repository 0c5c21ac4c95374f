/* The parent of everything: one thread without network, database or private key. It forks the
 * signer, then the server, before either has opened a lock, a database or a thread, and from then
 * on only waits: for a child to die, for a signal to pass on, for the server to ask.
 *
 *   signer dies          another is forked at once (with growing pauses if it dies at once again
 * and again) and the server gets its channels over a UNIX socket server exits         the
 * supervisor ends with its status server is killed     a new server with a new signer, at most
 * SUPERVISOR_RESTARTS in a minute: in a container nobody else would do it SIGTERM, SIGINT, SIGHUP
 * are passed to the server supervisor dies      both children are killed by the kernel
 * (PR_SET_PDEATHSIG). The kernel forgets that when a child changes its uid: the server must not. */
#ifndef CHANCERY_SERVER_SUPERVISOR_H
#define CHANCERY_SERVER_SUPERVISOR_H

#include "keys/signer.h"

enum { SUPERVISOR_RESTARTS = 5, SUPERVISOR_MINUTE_MS = 60000 };
/* The server's status for "start me again, with a new signer": what is secret has changed. */
enum { SUPERVISOR_AGAIN = 75 };

/* What the server holds of a signer, and the line to the supervisor. */
struct server_channels {
	int supervisor; /* poll it for reading: supervisor_channel_recv; -1 in what that returns */
	int custody;	/* for broker_init (server/serve/broker.h); -1 in what that returns */
	int control;
	int signing[SIGNER_CHANNELS_MAX];
	size_t count;
};

enum supervisor_event {
	SUPERVISOR_SIGNER_DIED,	   /* detail: waitpid's status; not when the server went first */
	SUPERVISOR_SIGNER_STARTED, /* detail: pid; not for the first */
	SUPERVISOR_SERVER_DIED, /* detail: waitpid's status; only when it is started again or given
				   up */
	SUPERVISOR_SERVER_STARTED, /* detail: pid; not for the first */
	SUPERVISOR_GAVE_UP,
};

struct supervisor_options {
	/* Wiped in the server's child, and here when supervisor_run returns. */
	struct signer_masters *masters;
	/* Absolute paths of what the server may have opened or replaced; NULL: refused. */
	const char *config_file;
	const char *master_file;
	bool master_ours;    /* as master_key_read */
	const char *ca_file; /* for fetch children; NULL: the system's */
	const char *issuer;  /* this and the next as struct signer_lines */
	int64_t longest_ttl;
	size_t workers; /* signing channels, 1 to SIGNER_CHANNELS_MAX; what they are for is the
			   server's to say */
	/* Runs in the server's child, may run again in another child; its return value is the
	 * status. The descriptors are its own. */
	int (*server)(void *arg, const struct server_channels *channels);
	/* For the log; may be NULL. Runs in the supervisor. */
	void (*event)(void *arg, enum supervisor_event event, int64_t detail);
	void *arg;
};

/* Returns the exit status: the server's; 0 when it was stopped before it could stop itself; 1 when
 * it could not be started or was given up; 128 + signal when it was killed while stopping. The
 * caller has no threads. SIGTERM, SIGINT, SIGHUP and SIGCHLD are blocked meanwhile (not in the
 * server). */
int supervisor_run(const struct supervisor_options *options);

/* ---- in the server ---- */

/* Takes the channels of a new signer; does not wait. ERR_BUSY: nothing is there. ERR_NOT_FOUND: the
 * supervisor is gone. ERR_SYNTAX: not such a message (what came with it is closed). */
MUST_CHECK enum err supervisor_channel_recv(int supervisor, struct server_channels *ret_channels);
/* Asks for a new signer in place of one that does not answer. ERR_NOT_FOUND: the supervisor is
 * gone. */
MUST_CHECK enum err supervisor_ask_signer(int supervisor);

#endif
