/* The keyring from inside: keyring.c opens it, keyring_view.c makes views, keyring_acts.c changes
 * keys. */
#ifndef CHANCERY_SERVER_KEYRING_PRIV_H
#define CHANCERY_SERVER_KEYRING_PRIV_H

#include <pthread.h>

#include "keys/seal.h"
#include "server/state/keyring.h"

enum { ROOT_SEALED_MAX = SECRET_LEN + SEAL_OVERHEAD, KEYS_ARENA_MAX = 4 << 20 };

/* Names of audit events (rows of server/request/audit.c, which knows requests and stands above us;
 * a test compares). */
#define KEY_EVENT_CREATE STR("key.create")
#define KEY_EVENT_ROTATE STR("key.rotate")
#define KEY_EVENT_REMOVE STR("key.remove")

/* What the configuration says. */
struct keyring_settings {
	struct key_policy policy;
	enum alg algs[ALG_COUNT];
	size_t alg_count;
	enum alg default_alg;
	char issuer[URI_MAX + 1];
};

struct keyring {
	const struct env *env;
	struct keyring_store store;

	pthread_mutex_t lock; /* guards what follows; held for a few lines */
	bool acting;	      /* somebody has the turn */
	struct keyring_settings settings;
	bool settings_changed;
	struct keyring_view *view; /* replaced by whoever has the turn */
	int64_t freshness; /* the longest max-age ever promised; durable before it is promised */
	struct keyring_counts counts;
	pthread_cond_t turn_over;

	/* not guarded: of whoever has the turn */
	uint64_t view_serial; /* grows with every new view */
	struct signer_channel *control;
	int64_t root_version;
	char root_sealed[ROOT_SEALED_MAX];
	size_t root_sealed_len;
	int64_t loaded_at; /* what the present signer was not there to see lies before this */
	bool stale;	   /* something failed half way: follow the database first */
	int64_t retry_at;  /* monotonic microseconds */
};

/* Acts come one at a time without a lock held over disk and signer. */
void keyring_turn_take(struct keyring *k);
void keyring_turn_end(struct keyring *k);
void keyring_settings_read(const struct config *config, struct keyring_settings *ret_settings);
struct keyring_settings keyring_settings_get(struct keyring *k);
int64_t keyring_now(const struct keyring *k);

/* Rows as read in one step, in an arena of their own. */
struct key_rows {
	struct arena *arena;
	struct key_row *rows;
	size_t count;
};
MUST_CHECK enum err key_rows_new(struct key_rows *ret_rows);
void key_rows_done(struct key_rows *r);
/* May be run again: forgets what it read before. */
MUST_CHECK enum err key_rows_read(struct db *db, struct key_rows *r);

/* Takes the rows' arena, also when it fails. */
MUST_CHECK enum err keyring_view_new(struct key_rows *rows, enum alg default_alg, int64_t now,
				     struct keyring_view **ret_view);
/* Puts it in the present one's place. The turn is the caller's. */
void keyring_view_put(struct keyring *k, struct keyring_view *v);

/* Root, policy and active keys into the signer; harmless when they are there already. */
MUST_CHECK enum err keyring_fill_signer(struct keyring *k);
/* A new key pair in `row`: kid, alg, texts (in the arena). State and times are the caller's to
 * fill. */
MUST_CHECK enum err keyring_make_key(struct keyring *k, enum alg alg, struct arena *a,
				     struct key_row *row);

/* The longest max-age ever promised, as stored; 0 when none was. */
MUST_CHECK enum err keyring_freshness_read(struct db *db, int64_t *ret_seconds);
MUST_CHECK enum err keyring_freshness_write(struct db *db, int64_t seconds);
/* Raises it, durably first, to the settings' max-age. */
MUST_CHECK enum err keyring_promise(struct keyring *k, const struct keyring_settings *settings);

#endif
