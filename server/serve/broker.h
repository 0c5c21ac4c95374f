/* What the confined server has the supervisor do for it: open its configuration, change the master
 * key, fork a child that asks outside. One question and one answer at a time on a socket pair
 * (`custody` of struct server_channels); the supervisor believes nothing: it opens what it was told
 * at its start and no other path.
 *
 * A new service is one row of the table in broker.c. */
#ifndef CHANCERY_SERVER_BROKER_H
#define CHANCERY_SERVER_BROKER_H

#include <pthread.h>

#include "keys/signer.h"

/* ---- in the server; any thread, one at a time ---- */

struct broker {
	int fd; /* -1: there is none, and every call says ERR_UNAVAILABLE */
	uint32_t seq;
	pthread_mutex_t lock; /* guards seq and the conversation */
};

/* A question waits at most so long, and then says ERR_UNAVAILABLE; so it does without a supervisor.
 */
enum { BROKER_TIMEOUT_MS = 10000 };

/* Takes fd, which may be -1. */
void broker_init(struct broker *b, int fd);
void broker_done(struct broker *b);

/* The configuration file, open for reading; the caller closes it. ERR_NOT_FOUND, ERR_FORBIDDEN,
 * ERR_IO. */
MUST_CHECK enum err broker_config(struct broker *b, int *ret_fd);
/* Makes ready the master key that is to follow, durably, in supervisor and signer. Ours (DIR/
 * master.key) is made, or the one that an earlier try left is taken. An operator's own is read from
 * the path with ".next" behind it: ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_SYNTAX as master_key_read;
 * ERR_CONFLICT: it is the present one. ERR_IO, ERR_FULL. */
MUST_CHECK enum err broker_master_prepare(struct broker *b);
/* Everything is sealed under the next one: it takes the present one's place, in its file too when
 * that is ours. ERR_NOT_FOUND: none was made ready. ERR_IO: its file could not be replaced, ask
 * again (then ERR_NOT_FOUND: it was, and only a power cut may undo that; the next start copes). */
MUST_CHECK enum err broker_master_commit(struct broker *b);

/* A fetch child (server/serve/fetch.h), and the server's end of its pair. ERR_BUSY: too many are
 * under way. */
MUST_CHECK enum err broker_fetch(struct broker *b, int *ret_fd);

/* ---- in the supervisor ---- */

struct broker_desk {
	const char *config_file; /* NULL: there is none */
	const char *master_file;
	bool master_ours;
	struct signer_masters *masters; /* present and next; changed here */
	struct signer_channel signer;	/* its custody line; fd -1 while there is none */
	bool signer_astray;		/* set: it did not follow, and must be replaced */
	enum err (*fork_fetch)(void *arg, int *ret_fd); /* NULL: nobody may */
	void *arg;
};

/* Answers one question. ERR_NOT_FOUND: the server closed its end. ERR_SYNTAX: not a question; the
 * line is not to be used any more. */
MUST_CHECK enum err broker_serve(struct broker_desk *d, int fd);

#endif
