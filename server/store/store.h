/* What is stored, as whole steps. Every function here runs inside a transaction that its caller
 * began (the writer's savepoint, or a reader's deferred transaction), does all of its work or none
 * (after an error the caller rolls back), and may be run again. Nothing is "looked at, then acted
 * on" across two calls.
 *
 * Rows come back as structs whose strings live in the arena given. Lists (scopes, audiences,
 * grants, roles) are one text, items separated by one space: none of them may contain a space.
 * `now` and all times are Unix seconds. */
#ifndef CHANCERY_SERVER_STORE_H
#define CHANCERY_SERVER_STORE_H

#include "base/arena.h"
#include "base/limits.h"
#include "keys/plan.h"
#include "oauth/machine.h"
#include "server/store/db.h"

/* ---- principals: clients and users share one name space, for ever ---- */

enum auth_method { AUTH_METHOD_ANY = 0, AUTH_METHOD_BASIC, AUTH_METHOD_POST, AUTH_METHOD_NONE };
enum secret_kind { SECRET_MACHINE = 1 /* keyed BLAKE2b */, SECRET_ARGON2ID };

struct client_secret {
	struct str id; /* "sec_" and 16 characters */
	struct str label;
	enum secret_kind kind;
	struct str hash; /* 32 bytes, or libsodium's string */
	int64_t created_at, expires_at /* 0: never */, last_used_at;
};

struct client {
	struct str id, name;
	bool disabled;
	enum auth_method auth_method; /* NONE: a public client */
	struct str grants;
	struct str scope;
	struct str audiences;  /* URIs of apis; the first is the default */
	struct str introspect; /* URIs, or "*" */
	int64_t access_ttl;    /* 0: the configuration's */
	enum alg alg;	       /* ALG_UNKNOWN: the configuration's */
	bool refresh_rotation;
	bool public_password; /* a public client may use the password grant */
	struct str claims;    /* JSON object text, "" for none */
	int64_t created_at, updated_at, version;
	struct str built_in; /* not stored; create, update: a URI that is an api without a row */
	struct client_secret *secrets;
	size_t secret_count;
};

struct user {
	struct str id, name, email;
	struct str roles;
	bool disabled;
	struct str password; /* Argon2id string; empty: cannot log in */
	struct str claims;
	int64_t created_at, updated_at, version;
};

/* How the tokens of an api look. */
enum api_format {
	API_JWT = 0, /* signed, RFC 9068 */
	API_OPAQUE,  /* a random text; what it stands for is recorded */
	API_SHARED,  /* a JWT signed with a secret that the api shares (HS256) */
	API_JWE,     /* a signed JWT, encrypted to the api's public key; and recorded */
	API_FORMAT_COUNT,
};

struct api_secret {
	struct str kid;
	struct str uri;	   /* of the api */
	struct str sealed; /* for the signer */
	int64_t created_at, sign_from;
	int64_t until; /* verifies before this; 0: nothing has followed it */
};

struct api {
	struct str uri, slug, name;
	struct str scope; /* "" : does not declare scopes */
	enum alg alg;
	enum api_format format;
	struct str encryption_key;	       /* of API_JWE: a public JWK, else "" */
	const struct jwe_recipient *recipient; /* not stored; that key */
	const struct api_secret *secrets;      /* not stored here; in order of sign_from */
	size_t secret_count;
	int64_t access_ttl;
	int64_t gateway_cache; /* s that a gateway may keep an answer */
	struct str claims;     /* names of custom claims its tokens carry, space separated */
	bool disabled;
	int64_t created_at, updated_at, version;
};

/* Lists page by keyset: rows with a key greater than `after`, at most `limit`, in byte order. */
struct page {
	struct str prefix; /* of the key */
	struct str after;
	int64_t limit;
};

/* What a client gets for itself is decided in memory: until its end, or an api's, is committed and
 * has reached there, tokens go on being issued. What is stored about the end hits those too, or a
 * restart would bring them back. */
enum { END_SLACK = 2 };

/* ERR_CONFLICT: the id is or was taken. ERR_NOT_FOUND from create and update: an audience or
 * introspect entry names no api; *ret_missing is that URI. `version` in update: 0 or the expected
 * one, else ERR_REUSED (the caller answers 412). Every write that narrows what a client may do ends
 * what it must: disabling or deleting writes a revocation and ends its logins in the same step. */
MUST_CHECK enum err store_client_create(struct db *db, const struct client *c,
					struct str *ret_missing);
MUST_CHECK enum err store_client_get(struct db *db, struct arena *a, struct str id,
				     struct client *ret_client);
MUST_CHECK enum err store_client_list(struct db *db, struct arena *a, const struct page *page,
				      struct client **ret_rows, size_t *ret_count);
MUST_CHECK enum err store_client_update(struct db *db, const struct client *c, int64_t version,
					int64_t now, int64_t revoke_until, struct str *ret_missing);
MUST_CHECK enum err store_client_delete(struct db *db, struct str id, int64_t now,
					int64_t revoke_until);
/* ERR_LIMIT: SECRETS_PER_CLIENT_MAX. */
MUST_CHECK enum err store_secret_add(struct db *db, struct str client_id,
				     const struct client_secret *s);
MUST_CHECK enum err store_secret_remove(struct db *db, struct str client_id, struct str secret_id);
MUST_CHECK enum err store_secret_used(struct db *db, struct str secret_id, int64_t at);

/* ERR_CONFLICT: the id is or was taken, or the name is. ERR_SYNTAX: no name. ERR_LIMIT: too long.
 */
MUST_CHECK enum err store_user_create(struct db *db, const struct user *u);
/* What a name or e-mail address is compared by: trimmed, ASCII letters small, so that lock-out
 * counters share one identity with the lookup. ERR_LIMIT. */
struct user_key {
	char text[ID_MAX + 1];
	size_t n;
};
MUST_CHECK enum err store_user_key(struct str text, struct user_key *ret_key);
MUST_CHECK enum err store_user_by_name(struct db *db, struct arena *a, struct str name,
				       struct user *ret_user);
MUST_CHECK enum err store_user_get(struct db *db, struct arena *a, struct str id,
				   struct user *ret_user);
/* The first by id, should several share it. */
MUST_CHECK enum err store_user_by_email(struct db *db, struct arena *a, struct str email,
					struct user *ret_user);
MUST_CHECK enum err store_user_list(struct db *db, struct arena *a, const struct page *page,
				    struct user **ret_rows, size_t *ret_count);
/* Everything but id, password and created_at. */
MUST_CHECK enum err store_user_update(struct db *db, const struct user *u, int64_t version,
				      int64_t now, int64_t revoke_until);
/* A new password ends every login of the user (revocation and logins in the same step). */
MUST_CHECK enum err store_user_password(struct db *db, struct str id, struct str hash, int64_t now,
					int64_t revoke_until);
/* Only the hash, after a login with old parameters; ends nothing. No-op if `old` is not the stored
 * one. */
MUST_CHECK enum err store_user_rehash(struct db *db, struct str id, struct str old,
				      struct str hash);
MUST_CHECK enum err store_user_delete(struct db *db, struct str id, int64_t now,
				      int64_t revoke_until);

/* As they are stored; false: there is none of this name. */
const char *api_format_name(enum api_format format);
bool api_format_by_name(struct str name, enum api_format *ret_format);

/* ERR_CONFLICT: the uri or the slug is taken. */
MUST_CHECK enum err store_api_create(struct db *db, const struct api *api);
MUST_CHECK enum err store_api_get(struct db *db, struct arena *a, struct str slug,
				  struct api *ret_api);
MUST_CHECK enum err store_api_list(struct db *db, struct arena *a, struct api **ret_rows,
				   size_t *ret_count);
/* Found by slug; uri and slug never change. Disabling and deleting end the logins that were granted
 * it. Clients may go on naming an api that is gone. */
MUST_CHECK enum err store_api_update(struct db *db, const struct api *api, int64_t version,
				     int64_t now, int64_t revoke_until);
MUST_CHECK enum err store_api_delete(struct db *db, struct str slug, int64_t now,
				     int64_t revoke_until);

/* Adds a secret: one that has not signed yet is replaced, and the one that signs now verifies until
 * `until`. ERR_LIMIT: SECRETS_PER_API_MAX. Deleting the api deletes its secrets. */
MUST_CHECK enum err store_api_secret_add(struct db *db, const struct api_secret *fresh,
					 int64_t until);
/* All, in order of uri and sign_from. */
MUST_CHECK enum err store_api_secrets(struct db *db, struct arena *a, struct api_secret **ret_rows,
				      size_t *ret_count);

/* ---- logins and refresh tokens ---- */

struct login {
	unsigned char id[LOGIN_ID_LEN];
	unsigned char seed[LOGIN_SEED_LEN];
	struct str sid; /* random name of the login, in tokens */
	struct str client_id, user_id;
	struct str scope;    /* as granted; never changes */
	struct str audience; /* as granted */
	struct str amr;
	uint32_t n; /* generation that is live */
	int64_t auth_time;
	int64_t created_at, expires_at /* never moves */, idle_until;
	int64_t rotated_at, retries;
	int64_t ended_at; /* 0: alive */
	struct str end_reason;
};

MUST_CHECK enum err store_login_create(struct db *db, const struct login *l);

/* The gate every grant passes (server/store/gate.h) is called here too, inside the transaction. */
struct refresh_request {
	struct refresh_name name;
	struct refresh_bind bind; /* seed is filled from the row */
	struct str client_id;	  /* the authenticated client */
	int64_t now;
	int64_t retry_window; /* seconds */
	int64_t idle_ttl;
	int64_t revoke_until; /* for the entry a reuse writes */
	bool rotate;
};

enum refresh_outcome {
	REFRESH_ROTATED,  /* n is the successor */
	REFRESH_REPEATED, /* the previous token within the window: the same successor again */
	REFRESH_UNKNOWN,  /* no such login, MAC wrong, another client, ended, expired */
	REFRESH_REUSED,	  /* an old generation: the login has just been ended and revoked */
	REFRESH_AHEAD,	  /* a good MAC for a generation not yet made: somebody has key and seed */
	REFRESH_TOO_MANY, /* REFRESH_RETRY_MAX repeats of one generation; nothing changed */
	REFRESH_SUBJECT,  /* the gate refuses client or user; nothing changed */
};

struct refresh_result {
	enum refresh_outcome outcome;
	struct login login; /* with ROTATED and REPEATED: after the step */
	struct user user;
};

/* One compare-and-swap. ERR_OK with any outcome; an error is a storage error and nothing happened.
 */
MUST_CHECK enum err store_refresh(struct db *db, struct arena *a, const struct refresh_request *in,
				  struct refresh_result *ret_result);

/* RFC 7009: any generation with a good MAC of this client's ends the login. *ret_ended: a login
 * ended now. */
MUST_CHECK enum err store_login_revoke(struct db *db, struct arena *a,
				       const struct refresh_request *in, bool *ret_ended,
				       struct login *ret_login);
/* For introspection of a refresh token: the live login it is the current token of, else
 * ERR_NOT_FOUND. */
MUST_CHECK enum err store_login_inspect(struct db *db, struct arena *a,
					const struct refresh_request *in, struct login *ret_login,
					struct user *ret_user);

/* ---- recorded tokens: access tokens that are known by what was stored at issue ---- */

enum { TOKEN_HASH_LEN = 32 };

struct token_record {
	unsigned char hash[TOKEN_HASH_LEN]; /* keyed, of the whole text */
	struct str kid;			    /* of the key that signed what is inside, or "" */
	struct str claims;		    /* JSON text, jti included */
	int64_t exp;
};
/* ERR_CONFLICT: there is one of this hash. */
MUST_CHECK enum err store_token_record(struct db *db, const struct token_record *record);
/* Whether it has expired or was taken back is the caller's to judge. ERR_NOT_FOUND. */
MUST_CHECK enum err store_token_get(struct db *db, struct arena *a,
				    const unsigned char hash[TOKEN_HASH_LEN],
				    struct token_record *ret_record);

/* ---- revocations ---- */

enum revoke_kind { REVOKE_JTI = 1, REVOKE_SID, REVOKE_CLIENT, REVOKE_USER, REVOKE_KID, REVOKE_API };

struct revocation {
	enum revoke_kind kind;
	struct str value;
	int64_t iat_max; /* hits tokens issued up to and including; no matter for JTI, SID and KID
			  */
	int64_t until;	 /* may be forgotten afterwards */
	/* Whose it is, for the feed: a token's login and client, a login's client. Absent where it
	 * is not known, or there is none. */
	struct str sid, client_id;
};

/* What is revoked without a moment of its own, a login or what was deleted, is kept for this long:
 * no token lives longer, and a verifier's clock may be some way behind ours. */
enum { REVOKE_KEEP = ACCESS_TTL_MAX + 120 };

/* Widens an existing entry of the same kind and value. */
MUST_CHECK enum err store_revoke(struct db *db, const struct revocation *r);
/* Those still to be kept at `now`, in order of kind and value, after `after` (NULL: from the
 * start). */
MUST_CHECK enum err store_revocations(struct db *db, struct arena *a, int64_t now,
				      const struct revocation *after, int64_t limit,
				      struct revocation **ret_rows, size_t *ret_count);

/* ---- keys ---- */

struct key_row {
	struct key_info info;
	struct str public_jwk; /* JSON text */
	struct str sealed;     /* empty once retiring: the private half is gone */
};

MUST_CHECK enum err store_keys(struct db *db, struct arena *a, struct key_row **ret_rows,
			       size_t *ret_count);
MUST_CHECK enum err store_key_insert(struct db *db, const struct key_row *row);
/* A standby that signs from `now` on. */
struct key_promotion {
	enum alg alg;
	struct str kid;
	int64_t exp_bound;
	int64_t now;
	bool forced; /* before its ready_at */
};
/* Where no key of the alg is active. ERR_CONFLICT when the states are not what they must be. */
MUST_CHECK enum err store_key_promote(struct db *db, const struct key_promotion *p);
/* Retires the active key of the alg if there is one, promotes the standby, inserts `fresh` as the
 * new one: all or nothing. ERR_CONFLICT as above. */
MUST_CHECK enum err store_key_rotate(struct db *db, const struct key_promotion *p,
				     int64_t retired_remove_at, const struct key_row *fresh);
/* A key of a former server, retiring or active. An active one retires ours, and our standby counts
 * as published from now on: its verifiers have never seen it. ERR_CONFLICT: its kid is taken. */
MUST_CHECK enum err store_key_import(struct db *db, const struct key_row *row,
				     int64_t retired_remove_at, int64_t standby_ready_at,
				     int64_t now);
/* The standby leaves without having signed. None is no error. */
MUST_CHECK enum err store_key_withdraw(struct db *db, enum alg alg, int64_t now);
/* An algorithm that is used no more: its active key retires, its standby leaves. */
MUST_CHECK enum err store_key_retire_alg(struct db *db, enum alg alg, int64_t retired_remove_at,
					 int64_t now);
/* From any state, with its private half. ERR_NOT_FOUND: no such key, or revoked already. */
MUST_CHECK enum err store_key_revoke(struct db *db, struct str kid, int64_t now);
MUST_CHECK enum err store_key_bound(struct db *db, struct str kid, int64_t exp_bound);
/* After the switch: the exact latest expiry of a retiring key; never raises. */
MUST_CHECK enum err store_key_settle(struct db *db, struct str kid, int64_t last_exp,
				     int64_t remove_at);
/* Forgets all but the last KEYS_REMEMBERED_MAX removed keys, too. */
MUST_CHECK enum err store_key_remove(struct db *db, struct str kid, int64_t now);
struct root_row {
	int64_t version;
	struct str sealed;
};
/* In order of version. */
MUST_CHECK enum err store_roots(struct db *db, struct arena *a, struct root_row **ret_rows,
				size_t *ret_count);
/* ERR_NOT_FOUND before init. */
MUST_CHECK enum err store_root_get(struct db *db, struct arena *a, int64_t *ret_version,
				   struct str *ret_sealed);
MUST_CHECK enum err store_root_put(struct db *db, int64_t version, struct str sealed, int64_t now);

/* ---- consumers of the key set (server/state/consumers.h) ---- */

struct consumer_row {
	struct str name;
	int64_t first_at, last_at, fetches;
	struct str held; /* kids, separated by one space */
};
/* Those seen last first, at most `limit`. */
MUST_CHECK enum err store_consumers(struct db *db, struct arena *a, int64_t limit,
				    struct consumer_row **ret_rows, size_t *ret_count);
/* Writes it over what was stored under the name. */
MUST_CHECK enum err store_consumer_put(struct db *db, const struct consumer_row *row);
/* Those unseen since. */
MUST_CHECK enum err store_consumers_forget(struct db *db, int64_t before);

/* ---- audit, meta, housekeeping ---- */

struct audit_row {
	int64_t id; /* 0 on insert; grows */
	int64_t at;
	struct str event;   /* "client.create", server/request/audit.h */
	struct str outcome; /* "ok", "denied", "failed" */
	struct str actor;   /* "uid:0", "client:ops", "user:u1", "system" */
	struct str target;
	struct str address;
	struct str request_id;
	struct str reason; /* our sentence */
	int64_t count;	   /* refusals folded into one row */
};
MUST_CHECK enum err store_audit(struct db *db, const struct audit_row *row);
/* Newest first: rows with id < before (0: from the top). */
MUST_CHECK enum err store_audit_list(struct db *db, struct arena *a, int64_t before, int64_t limit,
				     struct audit_row **ret_rows, size_t *ret_count);

MUST_CHECK enum err store_meta_get(struct db *db, struct arena *a, const char *name,
				   struct str *ret_value);
MUST_CHECK enum err store_meta_put(struct db *db, const char *name, struct str value);
/* The same as a number; a value that is not there is 0. ERR_CORRUPT: no number. */
MUST_CHECK enum err store_meta_get_i64(struct db *db, const char *name, int64_t *ret_value);
MUST_CHECK enum err store_meta_put_i64(struct db *db, const char *name, int64_t value);
/* Deletes at most `limit` rows that nothing can need any more: passed revocations, expired tokens,
 * audit older than `audit_before` (never its newest row), ended or expired logins. Looks at `limit`
 * logins a call, from where the last call stopped; call it now and then, not until it returns 0. */
MUST_CHECK enum err store_purge(struct db *db, int64_t now, int64_t audit_before, int64_t limit,
				int64_t *ret_deleted);

#endif
