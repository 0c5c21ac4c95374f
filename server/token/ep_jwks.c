/* The key set (RFC 7517 5): the one document that every verifier depends on, made beforehand with
 * the keyring's view in each kind and media type that exists. What is left to a request is to say
 * which, and what caches may be told. */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/token/auth.h"
#include "server/token/document.h"

enum { EMERGENCY_RETRY = 1, WEIGHT_MAX = 1000 };

/* ---- which document ---- */

static bool is_offered(const struct request *rq, size_t kind)
{
	if (rq->snapshot->keys->documents[kind].text.p)
		return true;
	for (enum alg alg = ALG_ES256; alg < ALG_COUNT; alg++) {
		if (jwks_kinds[kind].algs & 1u << alg && config_has_alg(rq->snapshot->config, alg))
			return true;
	}
	return false;
}

/* A query that we do not know is refused: each would be one more copy in every cache before us. An
 * algorithm that was taken out of the configuration is there until its last token has expired. */
static enum err choose_kind(struct request *rq, size_t *ret_kind)
{
	struct form *f;
	enum err e;

	*ret_kind = JWKS_WHOLE;
	if (rq->query.n == 0)
		return ERR_OK;
	f = arena_new_of(rq->arena, struct form);
	e = f ? form_parse(rq->arena, rq->query, f) : ERR_NOMEM;
	if (e == ERR_NOMEM)
		return fail(rq, e, "no memory for the query");
	if (e || f->count > 1)
		return fail(rq, ERR_INVALID_REQUEST, "not one parameter");
	if (f->count == 1)
		*ret_kind = jwks_kind_find(f->params[0].name, f->params[0].value);
	if (*ret_kind == JWKS_KINDS || !is_offered(rq, *ret_kind))
		return fail(rq, ERR_INVALID_REQUEST, "no such part of the key set");
	return ERR_OK;
}

/* ---- which media type ---- */

/* RFC 9110 12.4.2: "0.8" as 800; what is no weight as 0. */
static int weight(struct str text)
{
	int value = 0, unit = WEIGHT_MAX;

	for (size_t i = 0; i < text.n && unit > 0; i++) {
		if (i == 1 && text.p[i] == '.')
			continue;
		if (text.p[i] < '0' || text.p[i] > '9')
			return 0;
		value += (text.p[i] - '0') * unit;
		unit /= 10;
	}
	return value < WEIGHT_MAX ? value : WEIGHT_MAX;
}

static int range_weight(struct str parameters)
{
	struct str one;

	while (str_next(&parameters, ';', &one)) {
		one = str_trim(one);
		if (one.n >= 2 && str_case_equal(str_n(one.p, 2), STR("q=")))
			return weight(str_n(one.p + 2, one.n - 2));
	}
	return WEIGHT_MAX;
}

/* How much Accept asks for exactly this type; ranges with stars ask for nothing in particular. */
static int asks_for(struct str accept, const char *type)
{
	struct str range, name;

	while (str_next(&accept, ',', &range)) {
		if (str_next(&range, ';', &name) && str_case_equal(str_trim(name), str_z(type)))
			return range_weight(range);
	}
	return 0;
}

/* RFC 7517 8.5.1 registers a type of its own; those who do not name it get the one everybody knows.
 */
static size_t choose_type(struct str accept)
{
	int own = asks_for(accept, jwks_types[JWKS_TYPE_JWK_SET]);

	return own > 0 && own >= asks_for(accept, jwks_types[JWKS_TYPE_JSON]) ? JWKS_TYPE_JWK_SET
									      : JWKS_TYPE_JSON;
}

/* ---- how long it may be kept ---- */

/* 80 to 100 per cent, so that verifiers that began together do not come together for ever. Without
 * randomness the answer is as good, only less spread. */
static int64_t jittered(const struct env *env, int64_t seconds)
{
	uint16_t r;

	if (env->random(env, &r, sizeof(r)))
		return seconds;
	return seconds - seconds * r / (5 * UINT16_MAX);
}

static enum err cache_control(struct request *rq, struct str *ret_text)
{
	const struct jwks_promise p = keyring_jwks_promise(rq->app->keyring, rq->snapshot->keys,
							   rq->now);
	struct buf b;

	buf_init(&b, rq->arena, 128);
	buf_fmt(&b, "public, max-age=%lld", (long long)jittered(rq->app->env, p.max_age));
	if (p.stale_while > 0)
		buf_fmt(&b, ", stale-while-revalidate=%lld", (long long)p.stale_while);
	if (p.stale_if_error > 0)
		buf_fmt(&b, ", stale-if-error=%lld", (long long)p.stale_if_error);
	return buf_end(&b, ret_text);
}

/* ---- who asks ---- */

/* What the fetcher holds now: a body that was delivered, or one that it proved to hold. HEAD
 * delivers nothing, and "*" proves nothing. */
static void note_consumer(struct request *rq, size_t kind, const char *etag)
{
	const struct consumer_fetch f = {
		.address = rq->address,
		.client_id = rq->client ? rq->client->id : STR_NONE,
		.certificate = (const unsigned char *)rq->certificate.p,
		.algs = jwks_kinds[kind].algs,
		.view = rq->snapshot->keys,
		.now = rq->now,
	};
	bool holds = rq->response.status == 304 ? document_is_held(rq, etag)
						: rq->method == METHOD_GET;

	if (holds)
		consumers_note(rq->app->consumers, &f);
}

static enum err answer(struct request *rq)
{
	const struct jwks_document *made;
	struct document d = { .vary = "Accept" };
	size_t kind, type = choose_type(rq->accept);
	enum err e = choose_kind(rq, &kind);

	if (e)
		return e;
	made = &rq->snapshot->keys->documents[kind];
	if (!made->text.p) {
		rq->retry_after = EMERGENCY_RETRY;
		return fail(rq, ERR_UNAVAILABLE, "no key of this kind yet");
	}
	d.text = made->text;
	d.type = jwks_types[type];
	d.etag = made->etags[type];
	if (cache_control(rq, &d.cache_control))
		return fail(rq, ERR_NOMEM, "no memory for a header");
	e = document_respond(rq, &d);
	count_jwks(rq->metrics, rq->response.status == 304);
	note_consumer(rq, kind, d.etag);
	return e;
}

static enum err after_auth(struct request *rq, enum err verdict)
{
	return verdict ? verdict : answer(rq);
}

/* Nobody need authenticate, and everybody gets the same set. A client that does so is known by its
 * name, whatever its address (server/state/consumers.h); other schemes are not for us. */
enum err ep_jwks(struct request *rq)
{
	return auth_client_if_shown(rq, after_auth);
}
