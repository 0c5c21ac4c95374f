/* Judging a token, in the order of RFC 7515 5.2 and RFC 9068 4: the envelope if there is one, form,
 * algorithm, key, signature, claims; then what only the issuer or the sender can tell: possession
 * and revocation. Nothing that a token says is believed before its signature is good. */
#include <stdlib.h>

#include "base/secret.h"
#include "verify/key_set.h"
#include "verify/verifier.h"

enum { ARENA_LIMIT = 6 * JWT_SIZE_MAX, CNF_MAX = JWT_SIZE_MAX };

/* One token on its way through. */
struct trial {
	struct chancery *v;
	struct moment now;
	void *request; /* for the proof */
	struct arena *arena;
	struct jws jws;
	struct jwt jwt; /* after check_claims */
};

static const char *const verdicts[] = {
	[CHANCERY_OK] = "the token is valid",
	[CHANCERY_UNDECIDED] = "the token could not be judged: no fresh keys or revocations, or "
			       "no memory",
	[CHANCERY_MALFORMED] = "this is no compact JWS with strict JSON in it",
	[CHANCERY_UNSUPPORTED] = "the header asks for what we do not do (crit, b64, zip, enc, or "
				 "an unknown algorithm)",
	[CHANCERY_WRONG_ALGORITHM] = "the algorithm is not accepted here, or not the key's",
	[CHANCERY_UNKNOWN_KEY] = "no key of the issuer has the token's kid",
	[CHANCERY_BAD_SIGNATURE] = "the signature does not match",
	[CHANCERY_MISSING_CLAIM] = "a required claim is missing",
	[CHANCERY_WRONG_TYPE] = "the token is of another type",
	[CHANCERY_WRONG_ISSUER] = "the token is of another issuer",
	[CHANCERY_WRONG_AUDIENCE] = "the token is for another audience",
	[CHANCERY_EXPIRED] = "the token has expired",
	[CHANCERY_NOT_YET] = "the token is not valid yet",
	[CHANCERY_UNPROVEN] = "the token is bound to a key, and possession was not proved",
	[CHANCERY_REVOKED] = "the token was revoked",
	[CHANCERY_UNREADABLE] = "the token is not encrypted to our key, or was changed",
};

const char *chancery_verdict_text(enum chancery_verdict verdict)
{
	size_t i = (size_t)verdict;

	return i < sizeof(verdicts) / sizeof(verdicts[0]) ? verdicts[i] : "unknown verdict";
}

/* ---- form and algorithm ---- */

static enum chancery_verdict of_parsing(enum err e)
{
	if (!e)
		return CHANCERY_OK;
	if (e == ERR_SYNTAX || e == ERR_LIMIT)
		return CHANCERY_MALFORMED;
	if (e == ERR_BAD_SIGNATURE)
		return CHANCERY_UNREADABLE;
	return e == ERR_UNSUPPORTED ? CHANCERY_UNSUPPORTED : CHANCERY_UNDECIDED;
}

static unsigned bit_of(enum alg alg)
{
	switch (alg) {
	case ALG_ES256:
		return CHANCERY_ES256;
	case ALG_RS256:
		return CHANCERY_RS256;
	case ALG_UNKNOWN:
	case ALG_COUNT:
		break;
	}
	return 0;
}

static enum chancery_verdict check_form(struct trial *t, struct str token)
{
	enum err e = arena_new(ARENA_LIMIT, &t->arena);

	/* who encrypted it is nobody's proof of anything: what is within is judged like any other
	 */
	if (!e && t->v->private_key)
		e = jwe_open(t->arena, token, t->v->private_key, &token);
	if (!e && verifier_is_shared(t->v))
		return of_parsing(jws_parse_shared(t->arena, token, &t->jws));
	if (!e)
		e = jws_parse(t->arena, token, &t->jws);
	if (e)
		return of_parsing(e);
	/* the first pin: what the caller accepts, whatever keys the issuer may publish */
	return bit_of(t->jws.alg) & t->v->algorithms ? CHANCERY_OK : CHANCERY_WRONG_ALGORITHM;
}

/* ---- key and signature ---- */

static enum chancery_verdict of_signature(enum err e)
{
	if (!e)
		return CHANCERY_OK;
	if (e == ERR_BAD_SIGNATURE)
		return CHANCERY_BAD_SIGNATURE;
	/* the second pin: the key's own algorithm */
	return e == ERR_UNSUPPORTED ? CHANCERY_WRONG_ALGORITHM : CHANCERY_UNDECIDED;
}

static enum chancery_verdict verify_with(const struct trial *t, const struct shared *set)
{
	const struct jwk *key = key_set_find(set, t->jws.kid);

	if (!set)
		return CHANCERY_UNDECIDED;
	return key ? of_signature(jws_verify(&t->jws, key)) : CHANCERY_UNKNOWN_KEY;
}

static enum chancery_verdict verify_now(const struct trial *t)
{
	struct shared *set = verifier_keys(t->v, t->now);
	enum chancery_verdict verdict = verify_with(t, set);

	shared_unref(set);
	return verdict;
}

/* A kid that is not in the set may be newer than the set is. Where the issuer is being asked, or
 * was and did not answer, nobody knows. */
static enum chancery_verdict check_signature(const struct trial *t)
{
	enum chancery_verdict verdict;
	enum asked asked;

	if (verifier_is_shared(t->v))
		return verifier_shares(t->v, &t->jws) ? CHANCERY_OK : CHANCERY_BAD_SIGNATURE;
	if (t->jws.kid.n == 0)
		return CHANCERY_UNKNOWN_KEY;
	verdict = verify_now(t);
	if (verdict != CHANCERY_UNKNOWN_KEY)
		return verdict;
	asked = verifier_missed(t->v, t->now);
	if (asked == ASKED_DONE)
		verdict = verify_now(t);
	if (verdict != CHANCERY_UNKNOWN_KEY)
		return verdict;
	return asked != ASKED_BUSY && document_is_current(&t->v->keys) ? CHANCERY_UNKNOWN_KEY
								       : CHANCERY_UNDECIDED;
}

/* ---- claims ---- */

static enum chancery_verdict of_claims(enum jwt_verdict v)
{
	static const enum chancery_verdict rows[] = {
		[JWT_OK] = CHANCERY_OK,
		[JWT_MALFORMED] = CHANCERY_MALFORMED,
		[JWT_MISSING_CLAIM] = CHANCERY_MISSING_CLAIM,
		[JWT_WRONG_TYPE] = CHANCERY_WRONG_TYPE,
		[JWT_WRONG_ISSUER] = CHANCERY_WRONG_ISSUER,
		[JWT_WRONG_AUDIENCE] = CHANCERY_WRONG_AUDIENCE,
		[JWT_EXPIRED] = CHANCERY_EXPIRED,
		[JWT_NOT_YET] = CHANCERY_NOT_YET,
		[JWT_UNREAD] = CHANCERY_UNDECIDED,
	};

	return rows[v];
}

static enum chancery_verdict check_claims(struct trial *t)
{
	const struct jwt_expect expect = {
		.typ = STR("at+jwt"),
		.iss = str_z(t->v->issuer),
		.aud = str_z(t->v->audience),
		.now = t->now.wall,
		.skew = t->v->skew,
		/* what has no jti cannot be looked up in a list of them */
		.ids_optional = !t->v->has_feed,
	};

	enum chancery_verdict verdict = of_claims(jwt_check(&t->jws, &expect, &t->jwt));

	/* whoever shares the secret can make tokens with it: it is good for them and nobody else */
	if (!verdict && verifier_is_shared(t->v) && t->jwt.aud_count != 1)
		return CHANCERY_WRONG_AUDIENCE;
	return verdict;
}

static enum chancery_verdict prove(const struct trial *t, const struct json *cnf)
{
	enum chancery_verdict verdict = CHANCERY_UNPROVEN;
	struct buf b;
	struct str text;

	buf_init(&b, NULL, CNF_MAX);
	json_dump(cnf, &b);
	if (buf_end(&b, &text))
		verdict = CHANCERY_UNDECIDED;
	else if (t->v->proof(t->request, text.p, text.n))
		verdict = CHANCERY_OK;
	buf_done(&b);
	return verdict;
}

/* RFC 7800 3.1: a bound token in the hands of who cannot prove possession is a stolen one. */
static enum chancery_verdict check_possession(const struct trial *t)
{
	const struct json *cnf = json_get(t->jwt.claims, "cnf");

	if (!cnf)
		return CHANCERY_OK;
	return t->v->proof ? prove(t, cnf) : CHANCERY_UNPROVEN;
}

static enum chancery_verdict check_revoked(const struct trial *t)
{
	enum chancery_verdict verdict;
	struct shared *list;

	if (!t->v->has_feed)
		return CHANCERY_OK;
	list = verifier_feed(t->v, t->now);
	if (!list)
		return CHANCERY_UNDECIDED;
	verdict = feed_hits(list, &t->jwt, t->jws.kid) ? CHANCERY_REVOKED : CHANCERY_OK;
	shared_unref(list);
	return verdict;
}

/* ---- all of it ---- */

static enum chancery_verdict judge(struct trial *t, struct str token)
{
	enum chancery_verdict verdict = check_form(t, token);

	if (!verdict)
		verdict = check_signature(t);
	if (!verdict)
		verdict = check_claims(t);
	if (!verdict)
		verdict = check_possession(t);
	return verdict ? verdict : check_revoked(t);
}

static enum chancery_verdict hand_out(struct trial *t, struct chancery_claims **ret_claims)
{
	const struct str text = t->jws.payload;
	struct chancery_claims *claims = calloc(1, sizeof(*claims) + text.n + 1);

	if (!claims)
		return CHANCERY_UNDECIDED;
	claims->jwt = t->jwt;
	claims->text_len = text.n;
	memcpy(claims->text, text.p, text.n);
	t->jwt = (struct jwt){ .claims = NULL };
	*ret_claims = claims;
	return CHANCERY_OK;
}

enum chancery_verdict chancery_verify(struct chancery *v, const char *token, size_t n,
				      void *request, struct chancery_claims **ret_claims)
{
	struct trial t = { .v = v, .now = verifier_now(v), .request = request };
	enum chancery_verdict verdict = judge(&t, str_n(token, n));

	if (!verdict)
		verdict = hand_out(&t, ret_claims);
	jwt_done(&t.jwt);
	arena_free(t.arena);
	return verdict;
}
