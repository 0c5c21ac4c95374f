/* The server's insides, without sockets: database, lanes, keys, caches, the first snapshot; built
 * in one order and taken down in the other. */
#ifndef CHANCERY_SERVER_OFFICE_H
#define CHANCERY_SERVER_OFFICE_H

#include "server/request/app.h"
#include "server/request/audit.h"
#include "server/serve/broker.h"

enum { OFFICE_PATH_MAX = 4096 };

struct office {
	struct app app;
	struct wishes wishes;
	struct env env;
	struct config *config;	    /* the one in force; the housekeeper replaces it */
	struct db *db;		    /* a reader of the housekeeper's own */
	int lock;		    /* dblock.h; -1: not held */
	struct keyring_store steps; /* runs a store step through the lanes and waits */
	struct signer_channel control;
	char revoked_kids[OFFICE_PATH_MAX];
	struct broker broker;
	struct log_buf log;
};

/* DIR/db/lock beside the database: the first thing of a start, so that a second server touches
 * nothing of the first. ERR_BUSY: another server holds the database. The caller gives it to
 * office_open, or dblock_drop. */
MUST_CHECK enum err office_lock(const struct config *config, int *ret_lock,
				struct config_fault *fault);

/* All of it is the office's afterwards, opened or not. */
struct office_start {
	struct config *config;
	bool migrate;
	bool confined; /* for the metrics */
	int lock;
	int control; /* the signer's */
	int custody; /* the supervisor's */
};

/* Migrates (or refuses), starts the lanes, opens the keys. On failure everything is taken down
 * again and `fault` says what and what helps. */
MUST_CHECK enum err office_open(struct office *o, const struct office_start *start,
				struct config_fault *fault);
/* Finishes what is queued; requests that come back late still find everything else. */
void office_stop_lanes(struct office *o);
/* The rest. Workers must have been freed. */
void office_close(struct office *o);

/* One store step through the writer, waited for; for threads that may wait. */
MUST_CHECK enum err office_write(struct office *o, enum err (*run)(struct lane_ctx *, void *),
				 void *arg);
/* An audit row about ourselves, waited for and counted in the thread's shard (may be NULL); one
 * that cannot be written is logged. `reason`: NULL, or a constant. */
void office_record(struct office *o, struct metrics_shard *metrics, enum audit_event event,
		   const char *reason);

#endif
