/* Judging our own access tokens where they come back: introspection, revocation, the admin API.
 *
 * Order: form (RFC 7515 5.2), a key of ours that may verify, signature, the jti's MAC (also of what
 * has expired: a theft is news at any age), claims, then what has been taken back: jti, login,
 * client, user, key, api. The caller learns only "no"; our log learns why. A good signature over a
 * jti we did not make means that somebody else signs with our key, and is said aloud. */
#include "server/token/token.h"

#include "server/request/audit.h"
#include "server/token/recorded.h"
#include "server/token/shared.h"

static enum err refuse(struct request *rq, const char *why)
{
	return fail(rq, ERR_INVALID_TOKEN, "%s", why);
}

enum provenance token_provenance(const struct app *app, const struct keyring_key *key,
				 const struct secret *jti_key, const struct jws *jws)
{
	if (key->info.state == KEY_STANDBY && keyring_is_silent(app->keyring, jws->kid))
		return TOKEN_FORGED; /* it has signed nothing yet */
	if (jti_key && signer_jti_genuine(jti_key, jws->kid, jws->payload))
		return TOKEN_GENUINE;
	return jti_key && key->info.origin != KEY_ORIGIN_IMPORT ? TOKEN_FORGED : TOKEN_UNPROVEN;
}

void token_forged(struct request *rq, struct str kid, const char *why)
{
	const struct audit_refusal refusal = {
		.event = AUDIT_TOKEN_FORGED,
		.subject = kid,
		.address = rq->address,
		.reason = str_z(why),
		.request_id = str_z(rq->id),
		.now = rq->now,
	};

	log_begin(rq->log, LOG_ERROR, "forged token: somebody else signs with our key");
	log_z(rq->log, "reason", why);
	log_str(rq->log, "kid", kid);
	log_z(rq->log, "request_id", rq->id);
	log_end(rq->log);
	audit_refusal_add(rq, &refusal);
}

/* Did our signer make it? What an imported key's former server signs is not good here, and tells of
 * no theft. */
static enum err check_maker(struct request *rq, const struct jws *jws,
			    const struct keyring_key *key)
{
	static const char why[] = "good signature, but our signer did not make it";

	switch (token_provenance(rq->app, key, &rq->app->derived.jti, jws)) {
	case TOKEN_GENUINE:
		return ERR_OK;
	case TOKEN_UNPROVEN:
		return refuse(rq, "signed by the former server of an imported key");
	case TOKEN_FORGED:
		break;
	}
	token_forged(rq, jws->kid, why);
	return refuse(rq, why);
}

/* Was it, or what it stands on, revoked? */
static const char *taken_back(struct request *rq, const struct jws *jws, const struct jwt *jwt)
{
	const struct {
		enum revoke_kind kind;
		struct str value;
		const char *why;
	} marks[] = {
		{ REVOKE_JTI, jwt->jti, "token is revoked" },
		{ REVOKE_SID, jwt->sid, "login is revoked" },
		{ REVOKE_CLIENT, jwt->client_id, "client's tokens are revoked" },
		{ REVOKE_USER, jwt->sub, "user's tokens are revoked" },
		{ REVOKE_KID, jws->kid, "key is revoked" },
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (marks[i].value.n &&
		    revoked_hit(rq->app->revoked, marks[i].kind, marks[i].value, jwt->iat))
			return marks[i].why;
	for (size_t i = 0; i < jwt->aud_count; i++) {
		const struct api *api = api_find(&rq->snapshot->apis, jwt->aud[i]);

		if (!api || api->disabled)
			return "audience is no api any more, or disabled";
		if (revoked_hit(rq->app->revoked, REVOKE_API, jwt->aud[i], jwt->iat))
			return "api's tokens are revoked";
	}
	return NULL;
}

static enum err check_claims(struct request *rq, const struct jws *jws, struct str aud,
			     struct jwt *jwt)
{
	struct jwt_expect expect = {
		.typ = STR("at+jwt"),
		.iss = rq->snapshot->config->issuer,
		.aud = aud,
		.now = rq->now,
		.skew = 0, /* our own clock made these times */
	};
	enum jwt_verdict v = jwt_check(jws, &expect, jwt);

	if (v == JWT_OK)
		return ERR_OK;
	if (v == JWT_UNREAD)
		return fail(rq, ERR_NOMEM, "no memory to read a token's claims");
	if (v == JWT_EXPIRED || v == JWT_NOT_YET || v == JWT_WRONG_AUDIENCE)
		jwt_done(jwt);
	return refuse(rq, jwt_verdict_text(v));
}

/* Is it good at this moment? Takes the claims from *jwt when it is not. */
static enum err check_standing(struct request *rq, const struct jws *jws, struct jwt *jwt)
{
	const char *why;

	if (revoked_is_behind(rq->app->revoked)) {
		jwt_done(jwt);
		return fail(rq, ERR_UNAVAILABLE, "revocations are being read again");
	}
	why = taken_back(rq, jws, jwt);
	if (!why)
		return ERR_OK;
	jwt_done(jwt);
	return refuse(rq, why);
}

/* RFC 7515 5.2 with a key of the set. */
static enum err check_signature(struct request *rq, const struct jws *jws)
{
	const struct keyring_key *key = keyring_verifier(rq->snapshot->keys, jws->kid);
	enum err e;

	if (!key)
		return refuse(rq, "unknown kid");
	e = jws_verify(jws, key->public_key);
	if (e == ERR_BAD_SIGNATURE || e == ERR_UNSUPPORTED)
		return refuse(rq, "bad signature");
	if (e) /* trouble of ours: "no" would be a guess (RFC 7662 2.2 knows none) */
		return fail(rq, e, "the signature could not be checked");
	return check_maker(rq, jws, key);
}

enum err token_verify(struct request *rq, struct str token, struct str aud, struct jwt *ret_jwt)
{
	struct jws jws;
	enum err e;

	e = jws_parse(rq->arena, token, &jws);
	if (e == ERR_NOMEM)
		return fail(rq, e, "no memory to read a token");
	if (e == ERR_UNSUPPORTED)
		e = shared_check(rq, token, &jws);
	else
		e = e ? refuse(rq, "not a compact JWS of ours") : check_signature(rq, &jws);
	if (!e)
		e = check_claims(rq, &jws, aud, ret_jwt);
	return e ? e : check_standing(rq, &jws, ret_jwt);
}

/* ---- of any format ---- */

/* What was recorded is read as if it had been signed: we wrote it. */
static enum err judge_record(struct request *rq, const struct token_record *record,
			     struct jwt *ret_jwt)
{
	const struct jws jws = {
		.typ = STR("at+jwt"),
		.kid = record->kid,
		.payload = record->claims,
	};
	enum err e = check_claims(rq, &jws, STR_NONE, ret_jwt);

	return e ? e : check_standing(rq, &jws, ret_jwt);
}

static enum err hand_on(struct request *rq, enum err result, struct jwt *jwt, token_judged *next)
{
	enum err e = next(rq, result, result ? NULL : jwt);

	if (!result)
		jwt_done(jwt);
	return e;
}

static enum err looked_up(struct request *rq, enum err result, const struct token_record *record)
{
	token_judged *const *next = rq->state;
	struct jwt jwt;

	if (result == ERR_NOT_FOUND)
		result = refuse(rq, "no token of this text was recorded");
	else if (result)
		result = fail(rq, result, "the record of a token could not be read");
	else
		result = judge_record(rq, record, &jwt);
	return hand_on(rq, result, &jwt, *next);
}

enum err token_judge(struct request *rq, struct str token, token_judged *next)
{
	token_judged **kept;
	struct jwt jwt;

	if (!token_is_recorded(token))
		return hand_on(rq, token_verify(rq, token, STR_NONE, &jwt), &jwt, next);
	kept = arena_new_of(rq->arena, token_judged *);
	if (!kept)
		return fail(rq, ERR_NOMEM, "no memory to judge a token");
	*kept = next;
	return token_look_up(rq, token, kept, looked_up);
}
