/* Issuing and judging tokens. A grant only decides: it fills a struct issue. This module alone
 * checks that the subject may receive tokens now, binds, signs, stores what must be stored, answers
 * and counts. */
#ifndef CHANCERY_SERVER_TOKEN_H
#define CHANCERY_SERVER_TOKEN_H

#include "jose/jwt.h"
#include "oauth/scope.h"
#include "server/request/app.h"
#include "server/request/request.h"

/* What a token shall say; resolved by token_resolve from what was asked and what is allowed. */
struct target {
	const struct api *apis[AUDIENCES_MAX];
	size_t api_count;
	struct scope scope;
	int64_t ttl;
	enum api_format format;
	enum alg alg; /* of what is signed; without meaning for an opaque token */
};

struct issue {
	const struct user *user; /* NULL: the client itself */
	struct target target;
	bool refresh;	   /* begin a login and give a refresh token */
	struct str rehash; /* the user's new password hash, stored with the login; or STR_NONE */
	const struct login *login; /* refresh grant: the login, after its step */
};

/* "Who may get what": audience from `resource`, else `audience`, else the client's first, else the
 * configured default; scope asked ∩ the client's ∩ the apis'; lifetime and algorithm. `bound_*`
 * limit to what a login was granted (refresh), or are STR_NONE. ERR_INVALID_TARGET,
 * ERR_INVALID_SCOPE. */
MUST_CHECK enum err token_resolve(struct request *rq, struct str bound_audience,
				  struct str bound_scope, int64_t ttl_default,
				  struct target *ret_target);

/* The gate, then (with `refresh`) a new login through the writer, then the signature and the
 * answer. */
enum err token_issue(struct request *rq, struct issue *issue);

/* Verifies one of our access tokens: signature under an active or retiring key, claims, the jti's
 * MAC, no revocation of jti, sid, client, user, kid or api. `aud` absent: any. ERR_INVALID_TOKEN
 * with the reason in rq->why (never told to the caller); ERR_NOMEM. A good signature with a bad MAC
 * is logged as critical. Caller: jwt_done. */
MUST_CHECK enum err token_verify(struct request *rq, struct str token, struct str aud,
				 struct jwt *ret_jwt);

/* Judges an access token of any format: as token_verify where the token itself says what it is, by
 * its record where one was made. `next` gets ERR_OK and the claims, which are freed when it
 * returns, or the error, with which it may go on (ERR_INVALID_TOKEN). May park. */
typedef enum err token_judged(struct request *rq, enum err result, const struct jwt *jwt);
enum err token_judge(struct request *rq, struct str token, token_judged *next);

/* Who signed it? For a token whose signature by `key` is good; `jti_key` is of the root under which
 * the key was made, NULL if nobody holds that any more. */
enum provenance {
	TOKEN_GENUINE, /* our signer */
	TOKEN_FORGED,  /* somebody else who has our private key */
	/* Cannot be told: an imported key was elsewhere before, and its former server makes no jti
	 * of ours; or the root is gone. */
	TOKEN_UNPROVEN,
};
enum provenance token_provenance(const struct app *app, const struct keyring_key *key,
				 const struct secret *jti_key, const struct jws *jws);
/* Says a forgery aloud: log, audit, metrics. `why` is a constant. On the request's thread. */
void token_forged(struct request *rq, struct str kid, const char *why);

/* Grants: one row each (grant.c), one file each (grant_*.c). */
struct grant {
	const char *name;    /* RFC 6749's grant_type */
	bool public_allowed; /* may a public client use it at all */
	enum err (*decide)(struct request *rq);
};
extern const struct grant grants[];
extern const size_t grant_count;
const struct grant *grant_by_name(struct str name);

#endif
