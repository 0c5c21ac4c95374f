/* The life of signing keys as arithmetic: what a set of keys must become, given policy and time.
 * Pure: no clock, no database, no keys. The rules are those of docs/architecture.md, "Keys".
 *
 * standby -> active -> retiring -> removed; revoked from any. Times are absolute Unix seconds,
 * stored per key, 0 = not set. */
#ifndef CHANCERY_KEYS_PLAN_H
#define CHANCERY_KEYS_PLAN_H

#include "base/err.h"
#include "base/str.h"
#include "base/limits.h"
#include "jose/alg.h"

enum key_state { KEY_STANDBY, KEY_ACTIVE, KEY_RETIRING, KEY_REMOVED, KEY_REVOKED, KEY_STATE_COUNT };
const char *key_state_name(enum key_state s);
bool key_state_by_name(struct str name, enum key_state *ret_state);

enum key_origin {
	KEY_ORIGIN_INIT,
	KEY_ORIGIN_SCHEDULE,
	KEY_ORIGIN_MANUAL,
	KEY_ORIGIN_EMERGENCY,
	KEY_ORIGIN_IMPORT, /* of a former server: its tokens carry no jti of ours */
	KEY_ORIGIN_COUNT
};
const char *key_origin_name(enum key_origin o);
bool key_origin_by_name(struct str name, enum key_origin *ret_origin);

struct key_info {
	char kid[KID_MAX + 1];
	enum alg alg;
	enum key_state state;
	enum key_origin origin;
	bool forced;	      /* signs, or signed, before it was ready */
	int64_t root_version; /* whose labels seal it and make its tokens' jti */
	int64_t created_at;
	int64_t publish_at;  /* first moment a JWKS may have held it */
	int64_t ready_at;    /* stored: publish_at + the longest freshness ever promised + skew */
	int64_t activate_at; /* planned while standby, real afterwards */
	int64_t retire_at;   /* when it stopped signing */
	int64_t remove_at;   /* when it leaves the JWKS */
	int64_t revoked_at;
	int64_t exp_bound; /* no token under it expires later */
	int64_t last_exp;  /* exact, known once retiring; 0 before */
};

struct key_policy {
	int64_t rotate_every; /* seconds */
	int64_t jwks_max_age;
	int64_t longest_ttl; /* longest access-token lifetime any row allows */
	int64_t skew;	     /* verifiers' clock skew we allow for */
	int64_t wait_max;    /* how long a planned switch waits for verifiers at most */
	int64_t bound_step;  /* how far ahead exp_bound is raised */
};

enum key_act {
	KEY_ACT_MAKE_STANDBY, /* alg has no standby */
	KEY_ACT_ROTATE, /* promote the standby, retire the active, with a new standby made first */
	KEY_ACT_RAISE_BOUND, /* kid: exp_bound to `at` */
	KEY_ACT_REMOVE,	     /* kid leaves the JWKS */
	KEY_ACT_RETIRE_ALG,  /* alg is configured no more: nothing signs with it from now on */
};

struct key_step {
	enum key_act act;
	enum alg alg;
	char kid[KID_MAX + 1];
	int64_t at;
};

/* The first key of this algorithm in this state, or NULL. */
const struct key_info *key_plan_find(const struct key_info *keys, size_t count, enum alg alg,
				     enum key_state state);

/* Does nothing sign for `alg` because the key that did was revoked? Then nobody is waited for. */
bool key_plan_in_emergency(const struct key_info *keys, size_t count, enum alg alg);

/* What the plan cannot know by itself. */
struct key_outlook {
	unsigned held_back;  /* bits 1 << alg: verifiers do not hold the standby yet */
	bool clock_in_doubt; /* the wall clock jumped: nothing but bounds moves, and what a
			      * revocation took is made good (security F7, F8) */
};

/* What must be done now, at most `cap` steps, most urgent first. A planned switch of an algorithm
 * that is held back waits, for policy->wait_max at most. */
size_t key_plan_due(const struct key_info *keys, size_t count, const struct key_policy *policy,
		    const enum alg *algs, size_t alg_count, const struct key_outlook *outlook,
		    int64_t now, struct key_step *ret_steps, size_t cap);
/* The next moment key_plan_due may return something (for the algorithms that have keys), `now` if
 * it would now; INT64_MAX for never. */
int64_t key_plan_next(const struct key_info *keys, size_t count, const struct key_policy *policy,
		      int64_t now);
/* May the standby of `alg` sign at `now`? False and the moment it may when not (rule 2). False with
 * *ret_ready_at = 0 when there is no standby. */
bool key_plan_ready(const struct key_info *keys, size_t count, enum alg alg, int64_t now,
		    int64_t *ret_ready_at);
/* Bound for a new or raised active key: now + longest_ttl + 2 steps. It is raised again when less
 * than longest_ttl + 1 step is left. */
int64_t key_plan_bound(const struct key_policy *policy, int64_t now);
/* remove_at for a key that stops signing with this last expiry: last_exp + skew. */
int64_t key_plan_remove_at(const struct key_policy *policy, int64_t last_exp);
/* The next moment after `now` at which the published set is planned to change; INT64_MAX for never.
 * What is overdue has no known moment and does not count. */
int64_t key_plan_next_change(const struct key_info *keys, size_t count, int64_t now);
/* Cache-Control max-age now: the policy's, shortened to the next published change, never below 1.
 */
int64_t key_plan_max_age(const struct key_info *keys, size_t count, const struct key_policy *policy,
			 int64_t now);
/* What is to come if nothing is done by hand: the events of the keys there are, in order of time,
 * the soonest `cap` of them. */
enum key_foreseen_kind {
	KEY_FORESEEN_READY,   /* every verifier can hold the standby: rotation by hand is free */
	KEY_FORESEEN_SWITCH,  /* the standby signs, the active key retires, the next is published */
	KEY_FORESEEN_BOUND,   /* exp_bound is raised */
	KEY_FORESEEN_LEAVE,   /* leaves the key set */
	KEY_FORESEEN_MISSING, /* a standby is to be made */
	KEY_FORESEEN_COUNT
};
const char *key_foreseen_name(enum key_foreseen_kind kind);
struct key_foreseen {
	int64_t at;	/* what is overdue: now */
	int64_t latest; /* a switch that is held back goes ahead then; else `at` */
	enum key_foreseen_kind kind;
	enum alg alg;
	char kid[KID_MAX + 1]; /* "": none yet */
};
size_t key_plan_forecast(const struct key_info *keys, size_t count, const struct key_policy *policy,
			 const enum alg *algs, size_t alg_count, const struct key_outlook *outlook,
			 int64_t now, struct key_foreseen *ret_events, size_t cap);
/* stale-while-revalidate for the policy: how long after max-age a cache may go on while it fetches
 * the next set (RFC 5861 3). 0: say nothing. */
int64_t key_plan_stale_while(const struct key_policy *policy);
/* stale-if-error for the policy: how long a cache may go on with a set it cannot renew (RFC 5861
 * 4); never so long that it would miss a planned change. 0: say nothing. */
int64_t key_plan_stale_if_error(const struct key_policy *policy);
/* The freshness that is promised to those who reach us: no set is used longer after its fetch. What
 * ready_at is computed from (rule 2), durable before it is promised. */
int64_t key_plan_promise(const struct key_policy *policy);
/* First invariant that does not hold, as a sentence naming the kid; NULL when all hold. `text`
 * holds it. */
const char *key_plan_lint(const struct key_info *keys, size_t count,
			  const struct key_policy *policy, const enum alg *algs, size_t alg_count,
			  int64_t now, char *text, size_t size);

#endif
