/* /admin/v1/keys/tripwire: captured tokens, judged whatever has become of their keys. A signature
 * that is good over a jti that is not ours means that somebody else signs with our key. Expiry and
 * revocation do not matter here: who signed it does. */
#include "server/admin/admin.h"
#include "server/admin/admin_keys.h"
#include "server/request/app.h"
#include "server/token/token.h"

enum { TRIPWIRE_MAX = 100, PUBLIC_JWK_MAX = 4096 };

enum verdict {
	VERDICT_NOT_A_TOKEN, /* no JWS */
	VERDICT_UNKNOWN_KEY, /* it names none of ours, or one that did not sign it */
	VERDICT_GENUINE,
	VERDICT_FORGED,
	VERDICT_UNPROVEN,
	VERDICT_COUNT
};

static const char *const verdict_names[VERDICT_COUNT] = {
	[VERDICT_NOT_A_TOKEN] = "not_a_token", [VERDICT_UNKNOWN_KEY] = "unknown_key",
	[VERDICT_GENUINE] = "genuine",	       [VERDICT_FORGED] = "forged",
	[VERDICT_UNPROVEN] = "unproven",
};

struct judged {
	enum verdict verdict;
	struct str kid, jti; /* absent: not known, or nothing vouches for it */
};

/* The key that made the jtis of an earlier root. */
struct jti_key {
	int64_t version;
	bool held;
	struct secret key;
};

struct tripwire {
	struct request *rq;
	const struct keyring_view *view;
	const struct json *tokens;
	struct judged rows[TRIPWIRE_MAX];
	size_t count;
	struct jti_key keys[SIGNER_ROOTS_MAX];
	size_t key_count;
};

/* ---- judging, in the blocking lane ---- */

/* ERR_NOT_FOUND: nobody holds that root any more. */
static enum err find_jti_key(struct tripwire *t, int64_t version, const struct secret **ret_key)
{
	const struct app *app = t->rq->app;
	struct jti_key *k = t->keys;
	enum err e;

	if (version == app->derived.key_id) {
		*ret_key = &app->derived.jti;
		return ERR_OK;
	}
	while (k < t->keys + t->key_count && k->version != version)
		k++;
	if (k == t->keys + SIGNER_ROOTS_MAX)
		return ERR_NOT_FOUND;
	if (k == t->keys + t->key_count) {
		e = keyring_derive_at(app->keyring, version, "jti", &k->key);
		if (e && e != ERR_NOT_FOUND)
			return e;
		k->version = version;
		k->held = !e;
		t->key_count++;
	}
	*ret_key = &k->key;
	return k->held ? ERR_OK : ERR_NOT_FOUND;
}

/* Also of a key that verifies nothing any more. */
static enum err check_signature(const struct keyring_key *key, const struct jws *jws)
{
	AUTO(json, object) = NULL;
	AUTO(jwk, parsed) = NULL;
	enum err e;

	if (key->public_key)
		return jws_verify(jws, key->public_key);
	e = json_parse(key->public_jwk, PUBLIC_JWK_MAX, &object);
	if (!e)
		e = jwk_from_json(object, &parsed);
	return e ? e : jws_verify(jws, parsed);
}

/* Ours by its form, else whatever stands there. */
static enum err read_jti(struct arena *a, struct str payload, struct str *ret_jti)
{
	AUTO(json, claims) = NULL;
	struct str jti = signer_jti_of(payload);
	enum err e;

	if (jti.p) {
		*ret_jti = jti;
		return ERR_OK;
	}
	e = json_parse(payload, JWT_SIZE_MAX, &claims);
	if (e)
		return e == ERR_NOMEM ? e : ERR_OK;
	if (!json_str(json_get(claims, "jti"), &jti))
		return ERR_OK;
	*ret_jti = arena_str(a, jti);
	return ret_jti->p ? ERR_OK : ERR_NOMEM;
}

static enum err judge_signed(struct tripwire *t, const struct keyring_key *key,
			     const struct jws *jws, struct judged *j)
{
	static const enum verdict verdicts[] = {
		[TOKEN_GENUINE] = VERDICT_GENUINE,
		[TOKEN_FORGED] = VERDICT_FORGED,
		[TOKEN_UNPROVEN] = VERDICT_UNPROVEN,
	};
	const struct secret *jti_key = NULL;
	enum err e = find_jti_key(t, key->info.root_version, &jti_key);

	if (e && e != ERR_NOT_FOUND)
		return e;
	j->verdict = verdicts[token_provenance(t->rq->app, key, e ? NULL : jti_key, jws)];
	return read_jti(t->rq->arena, jws->payload, &j->jti);
}

static enum err judge(struct tripwire *t, struct str token, struct judged *j)
{
	const struct keyring_key *key;
	struct jws jws;
	enum err e = jws_parse(t->rq->arena, token, &jws);

	if (e)
		return e == ERR_NOMEM ? e : ERR_OK;
	j->kid = jws.kid;
	j->verdict = VERDICT_UNKNOWN_KEY;
	key = admin_key_named(t->view, jws.kid);
	if (!key)
		return ERR_OK;
	e = check_signature(key, &jws);
	if (e == ERR_BAD_SIGNATURE || e == ERR_UNSUPPORTED)
		return ERR_OK;
	return e ? e : judge_signed(t, key, &jws, j);
}

static enum err judge_all(struct tripwire *t)
{
	struct str token;
	enum err e = ERR_OK;

	for (; !e && t->count < json_len(t->tokens); t->count++) {
		if (json_str(json_at(t->tokens, t->count), &token))
			e = judge(t, token, &t->rows[t->count]);
	}
	return e;
}

static enum err tripwire_run(struct lane_ctx *ctx, void *arg)
{
	struct tripwire *t = arg;
	struct keyring_view *v = keyring_view_get(t->rq->app->keyring);
	enum err e;

	(void)ctx;
	t->view = v;
	e = judge_all(t);
	keyring_view_unref(v);
	wipe(t->keys, sizeof(t->keys));
	return e;
}

/* ---- answering ---- */

static void write_or_null(struct jsonw *w, const char *name, struct str value)
{
	jsonw_key(w, name);
	if (value.p)
		jsonw_str(w, value);
	else
		jsonw_null(w);
}

static enum err tripwire_done(struct request *rq, enum err result)
{
	const struct tripwire *t = rq->state;
	struct jsonw w;
	struct buf b;

	if (result)
		return fail(rq, result, "tokens could not be judged: %s", err_name(result));
	buf_init(&b, rq->arena, REQUEST_ARENA_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "items");
	jsonw_array(&w);
	for (size_t i = 0; i < t->count; i++) {
		const struct judged *j = &t->rows[i];

		if (j->verdict == VERDICT_FORGED)
			token_forged(rq, j->kid, "found by the tripwire");
		jsonw_object(&w);
		write_or_null(&w, "kid", j->kid);
		write_or_null(&w, "jti", j->jti);
		jsonw_member_z(&w, "verdict", verdict_names[j->verdict]);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &b);
}

/* ---- POST /keys/tripwire ---- */

static const struct json_field tripwire_rows[] = {
	{ .name = "tokens",
	  .type = JSON_ARRAY,
	  .offset = offsetof(struct tripwire, tokens),
	  .required = true },
};
static const struct admin_shape tripwire_shape = { tripwire_rows, 1 };

static enum err tripwire_read(struct request *rq, struct tripwire *t, struct admin_fault *fault)
{
	struct str token;
	uint64_t seen;
	enum err e = admin_fields(rq->arena, rq->json, &tripwire_shape, t, &seen, fault);

	if (e)
		return e;
	if (json_len(t->tokens) > TRIPWIRE_MAX)
		return admin_unprocessable(fault, "/tokens", "at most 100 at a time");
	for (size_t i = 0; i < json_len(t->tokens); i++)
		if (!json_str(json_at(t->tokens, i), &token))
			return admin_unprocessable(fault, "/tokens", "must be an array of strings");
	return ERR_OK;
}

enum err admin_keys_tripwire(struct request *rq)
{
	struct tripwire *t = arena_new_of(rq->arena, struct tripwire);
	struct admin_fault fault = { STR_NONE, STR_NONE };
	enum err e;

	if (!t)
		return fail(rq, ERR_NOMEM, "no memory for a tripwire");
	e = tripwire_read(rq, t, &fault);
	if (e)
		return admin_refuse(rq, e, &fault);
	t->rq = rq;
	rq->state = t;
	return park(rq, LANE_BLOCKING, tripwire_run, t, tripwire_done);
}
