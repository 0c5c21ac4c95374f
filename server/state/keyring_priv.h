/* The keyring from inside. keyring_open.c opens it, keyring_view.c makes views, keyring_act.c is
 * what all acts share; keyring_rotate.c, keyring_revoke.c and keyring_custody.c are the acts,
 * keyring_tend.c does those that are due. */
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
#define KEY_EVENT_REVOKE STR("key.revoke")
#define KEY_EVENT_RELIST STR("key.relist")

/* What the configuration says. */
struct keyring_settings {
	struct key_policy policy;
	enum alg algs[ALG_COUNT];
	size_t alg_count;
	enum alg default_alg;
	uint32_t max_rate; /* tokens a second; 0: no limit */
	char issuer[URI_MAX + 1];
};

/* What was promised to verifiers or to tokens, and must be kept after the options have changed:
 * only ever raised, durable before it is promised. Seconds. */
struct keyring_promises {
	int64_t freshness;   /* the longest a cache may hold a set as fresh */
	int64_t longest_ttl; /* the longest lifetime a token may have been given */
};

struct root_kept {
	uint32_t version;
	char sealed[ROOT_SEALED_MAX];
	size_t sealed_len;
};

struct key_tallies;

/* The standby that requests see, and since when: monotonic microseconds. */
struct keyring_served {
	char kid[KID_MAX + 1];
	int64_t since;
};

struct keyring {
	const struct env *env;
	struct keyring_store store;
	struct keyring_custody custody;
	const char *revoked_kids;
	uint8_t key_id;	   /* version of the root at the start */
	int64_t opened_at; /* what was issued before this was not counted here */

	pthread_mutex_t lock; /* guards what follows; held for a few lines */
	bool acting;	      /* somebody has the turn */
	struct keyring_settings settings;
	bool settings_changed;
	struct keyring_view *view; /* replaced by whoever has the turn */
	struct keyring_promises promises;
	struct keyring_counts counts;
	struct key_outlook outlook;
	bool switching; /* a standby may sign already, and the view does not say so yet */
	struct keyring_served served[ALG_COUNT];
	bool serves;			/* somebody tells which view is served */
	int64_t judged_wall, judged_at; /* keyring_set_time; monotonic microseconds, 0: never */
	atomic_bool over; /* every key is revoked: nothing is done any more, see keyring_is_over */
	pthread_cond_t turn_over;

	/* not guarded: of whoever has the turn */
	uint64_t view_serial; /* grows with every new view */
	uint64_t told_serial; /* of the view that keyring_tend spoke of last */
	struct signer_channel *control;
	struct root_kept roots[SIGNER_ROOTS_MAX]; /* in order of version; the last one is current */
	size_t root_count;
	struct key_tallies *tallies;
	int64_t loaded_at; /* what the present signer was not there to see lies before this */
	bool stale;	   /* something failed half way: follow the database first */
	int64_t retry_at;  /* monotonic microseconds */
};

/* Acts come one at a time without a lock held over disk and signer. */
void keyring_turn_take(struct keyring *k);
void keyring_turn_end(struct keyring *k);
void keyring_settings_read(const struct config *config, struct keyring_settings *ret_settings);
struct keyring_settings keyring_settings_get(struct keyring *k);
bool keyring_is_configured(const struct keyring_settings *s, enum alg alg);
int64_t keyring_now(struct keyring *k);
void keyring_set_switching(struct keyring *k, bool switching);

/* Rows as read in one step, in an arena of their own. */
struct key_rows {
	struct arena *arena;
	struct key_row *rows;
	size_t count;
	enum err err; /* of the last reading: there are no rows to go by */
};
MUST_CHECK enum err key_rows_new(struct key_rows *ret_rows);
void key_rows_done(struct key_rows *r);
/* May be run again: forgets what it read before. */
MUST_CHECK enum err key_rows_read(struct db *db, struct key_rows *r);

/* Can the row of a published key be shown? ERR_CORRUPT: its text is no public key, or of another
 * kid or algorithm. */
MUST_CHECK enum err key_row_check(const struct key_row *row);

/* Takes the rows' arena, also when it fails. */
MUST_CHECK enum err keyring_view_new(struct key_rows *rows, enum alg default_alg, int64_t now,
				     struct keyring_view **ret_view);
/* Puts it in the present one's place. The turn is the caller's. */
void keyring_view_put(struct keyring *k, struct keyring_view *v);

/* Seconds for which a verifier may still hold a set that was served without this standby; 0: none
 * can (keyring_served.c). */
int64_t keyring_unseen(struct keyring *k, const struct key_info *standby);

/* ---- tallies (keyring_tally.c) ---- */

MUST_CHECK enum err key_tallies_new(struct key_tallies **ret_tallies);
void key_tallies_free(struct key_tallies *t);
/* Gives each published key of `v` its tally: the one it had, or a fresh one. */
void key_tallies_attach(struct key_tallies *t, struct keyring_view *v);

/* ---- the signer ---- */

/* Roots, policy and active keys into the signer; harmless when they are there already.
 * *ret_by_next: the roots are sealed under the next master key. */
MUST_CHECK enum err keyring_fill_signer(struct keyring *k, bool *ret_by_next);
/* The first part of it. */
MUST_CHECK enum err keyring_load_roots(struct keyring *k, bool *ret_by_next);
MUST_CHECK enum err keyring_keep_root(struct keyring *k, int64_t version, struct str sealed);

/* A key pair made by the signer, before anybody has the turn: RSA takes a second, and an emergency
 * must not wait for it. ERR_UNAVAILABLE: none came within a minute. */
struct fresh_key {
	struct arena *arena;
	struct key_row row; /* kid, alg, root, texts. State and times are the act's to fill */
};
MUST_CHECK enum err fresh_key_make(struct keyring *k, enum alg alg, struct fresh_key *ret_fresh);
/* The same for whoever has the turn; waits with it. */
MUST_CHECK enum err fresh_key_make_in_turn(struct keyring *k, enum alg alg,
					   struct fresh_key *ret_fresh);
void fresh_key_done(struct fresh_key *f);

/* ---- promises ---- */

MUST_CHECK enum err keyring_promises_read(struct db *db, struct keyring_promises *ret_promises);
MUST_CHECK enum err keyring_promises_write(struct db *db, const struct keyring_promises *p);
/* What these settings promise. */
struct keyring_promises keyring_promises_of(const struct keyring_settings *settings);
/* Raises them, durably first, to the settings'. */
MUST_CHECK enum err keyring_promise(struct keyring *k, const struct keyring_settings *settings);

/* ---- acts (keyring_act.c) ----
 *
 * Make what is needed, one durable store step, then the signer, then a new view. After the store
 * step nothing may be lost by failing: whatever remains undone is marked stale, and the next act
 * begins by following the database. */

/* One act and its store step; `rows` is what the database holds after it. */
struct act {
	struct keyring *k;
	struct keyring_settings settings;
	int64_t now;
	const struct audit_row *audit;
	struct fresh_key *fresh;		    /* the next standby; NULL: none is inserted */
	const struct keyring_key *active, *standby; /* of the present view; NULL */
	enum alg alg;
	char kid[KID_MAX + 1];
	int64_t bound, last_exp;
	bool withdraw; /* the standby does not open */
	int64_t newest_root;
	const struct revocation *entry;
	const struct key_import *import;
	struct key_row row; /* imported */
	struct key_rows rows;
};
MUST_CHECK enum err act_init(struct act *a, struct keyring *k);
void act_done(struct act *a);
/* Runs a store step and remembers that an error may hide a commit: afterwards nobody trusts the
 * present view. */
MUST_CHECK enum err act_write(struct act *a, enum err (*step)(struct lane_ctx *, void *));
/* The end of every step: the audit row, and the keys as they are now. */
enum err act_conclude(struct lane_ctx *ctx, struct act *a, enum err e);
/* The keys as the database has them now, past the view. */
MUST_CHECK enum err act_read(struct act *a);
/* The rows become the view; an act publishes once, at its end. */
MUST_CHECK enum err act_publish(struct act *a);
struct audit_row act_system_row(const struct act *a, struct str event, struct str target);
/* State and times of the next standby: ready when no verifier can hold an older set any more (rule
 * 2), due one period after `from`, yet never before it is ready. */
void act_fill_standby(struct act *a, enum key_origin origin, int64_t from);
/* The latest expiry of any token under `old`, which has just stopped signing; `reported` is the
 * signer's word (0: none). Never beyond the bound. */
int64_t act_last_expiry(const struct act *a, const struct key_info *old, int64_t reported);

const struct keyring_key *keyring_key_in(const struct keyring *k, enum alg alg,
					 enum key_state state);
const struct keyring_key *keyring_key_named(const struct keyring *k, struct str kid);
bool keyring_set_is_full(const struct keyring_view *v);
/* The view and the signer become what the database says: both, or one after the other for those who
 * can begin without a signer. The first alone leaves the keyring stale. */
MUST_CHECK enum err keyring_follow(struct keyring *k);
MUST_CHECK enum err keyring_follow_database(struct keyring *k);
MUST_CHECK enum err keyring_follow_signer(struct keyring *k);
/* What every act begins with: nothing is stale. ERR_UNAVAILABLE: it is over. */
MUST_CHECK enum err keyring_begin(struct keyring *k);

/* A standby for an algorithm that has none. */
MUST_CHECK enum err keyring_insert_standby(struct keyring *k, struct fresh_key *fresh,
					   enum key_origin origin);
/* The standby signs, the active key retires, `fresh` is the next standby. `audit` NULL: by the
 * schedule. */
MUST_CHECK enum err keyring_switch(struct keyring *k, struct fresh_key *fresh,
				   const struct audit_row *audit, struct rotate_result *ret_result);
/* What it means that this key is bad; signs_now stays empty. */
void keyring_measure(const struct act *a, const struct keyring_key *key, struct revoke_result *ret);
/* `run` with the text of the list of revoked kids, where there is one (keyring_list.c). Its error,
 * or that of the reading. */
MUST_CHECK enum err keyring_with_list(struct keyring *k,
				      enum err (*run)(struct keyring *k, struct str list));
/* For kids on the list that the database still holds as good. Nobody else acts yet. */
MUST_CHECK enum err keyring_revoke_listed(struct keyring *k);
/* Puts on the list of revoked kids what the database knows to be revoked and the list lacks
 * (keyring_list.c). The turn is the caller's. What fails is told by keyring_lint. */
MUST_CHECK enum err keyring_relist(struct keyring *k);
/* The first kid that is lacking, or that the list cannot be read, as a sentence; NULL. */
const char *keyring_lint_list(const struct keyring *k, const struct keyring_view *v, char *text,
			      size_t size);
/* At the start, what an emergency did not come to before a crash: the default algorithm, without
 * which there is no start, gets a key that signs if its own was revoked. The others' are made while
 * we serve (keyring_tend). Failing is found by who needs the key. */
void keyring_end_emergency(struct keyring *k);

#endif
