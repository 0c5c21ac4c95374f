/* What the whole server shares, built once by serve.c (or by a test) and passed by pointer; and the
 * snapshot a request looks into. Everything here is immutable, thread-safe by its own module, or
 * says otherwise. */
#ifndef CHANCERY_SERVER_APP_H
#define CHANCERY_SERVER_APP_H

#include <stdatomic.h>

#include "server/store/cache.h"
#include "server/state/config.h"
#include "server/state/consumers.h"
#include "server/state/env.h"
#include "server/state/feed.h"
#include "server/state/keyring.h"
#include "server/store/lane.h"
#include "server/state/log.h"
#include "server/state/metrics.h"
#include "server/state/password.h"
#include "server/state/purpose_sets.h"
#include "server/state/ratelimit.h"
#include "server/store/revoked.h"

/* Keys the signer derived for us at start (keys/signer.h). */
struct derived_keys {
	struct secret refresh, jti, client_secret, page_token, access_token;
	uint8_t key_id; /* of the root they come from: it travels in refresh tokens */
};

/* All apis, sorted by uri; arena-owned, immutable. */
struct api_set {
	struct arena *arena;
	struct api *apis;
	size_t count;
	struct jwe_recipient **recipients; /* one for each api, owned; NULL where it has none */
};
/* NULL if there is none. Disabled ones are found: look at ->disabled. */
const struct api *api_find(const struct api_set *set, struct str uri);
const struct api *api_by_slug(const struct api_set *set, struct str slug);

/* Replaced whole; a request holds a reference from its first header to its last byte. */
struct snapshot {
	_Atomic unsigned refs;
	struct config *config;
	struct api_set apis;
	struct keyring_view *keys; /* referenced */
	struct str metadata;	   /* both discovery documents are this text */
	char metadata_etag[ETAG_LEN + 1];
	struct arena *arena;
};

/* What requests ask of the housekeeper, who looks once a second. */
struct wishes {
	_Atomic bool restart;	    /* every key was revoked (keyring.h): end, and start again */
	_Atomic bool clock_vouched; /* an administrator says that the clock is right */
	/* the housekeeper's answer: rotations and deletes pause */
	_Atomic bool clock_in_doubt;
};

struct audit_folder;
struct sidecar;
struct snapshot_slot; /* holds the present snapshot behind a lock of a few instructions */

struct app {
	const struct env *env;
	struct log *log;
	struct metrics *metrics;
	struct keyring *keyring;
	struct consumers *consumers; /* of the key set */
	struct client_cache *clients;
	struct revoked *revoked;
	struct feed *feed; /* what is revoked, as signed text */
	struct purpose_sets *purpose_sets;
	struct attempts *attempts;
	struct sidecar *sidecar;       /* server/token/sidecar.h; NULL in the server */
	struct secret_cache *proven;   /* operator secrets that passed Argon2id */
	struct audit_folder *refusals; /* audit.h; NULL: refusals are not recorded */
	struct writer *writer;	       /* NULL in flow tests */
	struct pool *hash;
	struct pool *blocking;
	struct derived_keys derived;
	int64_t epoch; /* bumped by a restore; in every refresh token */
	struct snapshot_slot *slot;
	struct wishes *wishes; /* never NULL */
	/* Another fetch child: the server's end of its pair (server/state/fetch_call.h). NULL:
	 * nobody asks outside here. From any thread that may wait. */
	enum err (*fetch)(void *arg, int *ret_fd);
	void *fetch_arg;
	_Atomic bool draining;
	_Atomic int64_t config_reloaded_at;
	_Atomic bool config_reload_ok;
	bool confined; /* wholly; server/serve/shut_in.h */
	int64_t started_at;
};

/* Caller unrefs. Never NULL after start. */
struct snapshot *snapshot_get(const struct app *app);
void snapshot_unref(struct snapshot *s);
/* Rebuilds from the config given (referenced; NULL: the present one's), the apis in `db`, and the
 * keyring's present view, and puts it in place. From any thread that may wait: builders come one
 * after another. */
MUST_CHECK enum err snapshot_rebuild(const struct app *app, struct db *db, struct config *config);
/* Puts one in place for a process without a database and keys: the options alone. */
MUST_CHECK enum err snapshot_of_options(struct snapshot_slot *slot, struct config *config);
MUST_CHECK enum err snapshot_slot_new(struct snapshot_slot **ret_slot);
void snapshot_slot_free(struct snapshot_slot *slot);

#endif
