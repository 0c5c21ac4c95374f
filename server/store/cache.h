/* Clients in memory: bounded, shared by the workers, kept right by the writer. A miss is one point
 * read in the blocking lane.
 *
 * A reader that read before a commit could put back what the commit made old; therefore a reader
 * notes the epoch first, and cache_put is ignored when an invalidation came in between (the caller
 * still uses what it read for this one request). Absent ids are remembered in a small part of their
 * own, so that strangers' guesses push out no client. */
#ifndef CHANCERY_SERVER_CACHE_H
#define CHANCERY_SERVER_CACHE_H

#include <stdatomic.h>

#include "server/store/store.h"

struct client_cache;

/* A shared, immutable client; `last_used` runs parallel to client.secrets and is flushed now and
 * then. */
struct client_ref {
	_Atomic unsigned refs;
	struct client client;
	struct arena *arena;
	_Atomic int64_t last_used[SECRETS_PER_CLIENT_MAX];
};
void client_unref(struct client_ref *c);

MUST_CHECK enum err client_cache_new(size_t max, size_t absent_max,
				     struct client_cache **ret_cache);
void client_cache_free(struct client_cache *c);
/* ERR_OK with a reference; ERR_NOT_FOUND: known to be absent; ERR_BUSY: not here, load it. */
MUST_CHECK enum err client_cache_find(struct client_cache *c, struct str id,
				      struct client_ref **ret_client);
uint64_t client_cache_epoch(struct client_cache *c);
/* Reads one client from `db` into a reference of its own, puts it (or its absence) here if still
 * current. `db` has no transaction open that began before this call. ERR_NOT_FOUND, or a storage
 * error. */
MUST_CHECK enum err client_cache_load(struct client_cache *c, struct db *db, struct str id,
				      struct client_ref **ret_client);
/* After a commit that touched the client, before the answer. */
void client_cache_drop(struct client_cache *c, struct str id);
void client_cache_drop_all(struct client_cache *c);
/* Calls `each` for secrets used since the last call, without a lock held. What a client that was
 * dropped or pushed out had noted is lost: last use is a hint for people. */
void client_cache_used(struct client_cache *c,
		       void (*each)(void *arg, struct str secret_id, int64_t at), void *arg);

#endif
