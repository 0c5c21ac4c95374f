/* The server's insides, without sockets: database, lanes, keys, caches, the first snapshot; built
 * in one order and taken down in the other. */
#ifndef CHANCERY_SERVER_OFFICE_H
#define CHANCERY_SERVER_OFFICE_H

#include "server/request/app.h"

enum { OFFICE_PATH_MAX = 4096 };

struct office {
	struct app app;
	struct env env;
	struct config *config;	    /* the one in force; the housekeeper replaces it */
	struct db *db;		    /* a reader of the housekeeper's own */
	int lock;		    /* dblock.h; -1: not held */
	struct keyring_store steps; /* runs a store step through the lanes and waits */
	struct signer_channel control;
	char revoked_kids[OFFICE_PATH_MAX];
	struct log_buf log;
};

/* Takes the lock, migrates (or refuses), starts the lanes, opens the keys. `control` is the
 * signer's. The office owns the config reference afterwards. On failure everything is taken down
 * again and `fault` says what and what helps. ERR_BUSY: another server holds the database. */
MUST_CHECK enum err office_open(struct office *o, struct config *config, bool migrate, int control,
				struct config_fault *fault);
/* Finishes what is queued; requests that come back late still find everything else. */
void office_stop_lanes(struct office *o);
/* The rest. Workers must have been freed. */
void office_close(struct office *o);

/* One store step through the writer, waited for; for threads that may wait. */
MUST_CHECK enum err office_write(struct office *o, enum err (*run)(struct lane_ctx *, void *),
				 void *arg);

#endif
