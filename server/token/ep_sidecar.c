/* /gateway/verify in a sidecar. Neither tables nor secrets are here: what the issuer publishes is
 * all there is to judge by (server/token/sidecar.h). */
#include "server/token/sidecar.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "server/request/app.h"
#include "server/token/auth.h"
#include "server/token/endpoints.h"
#include "server/token/shared_fetch.h"
#include "server/token/verified.h"
#include "verify/verifier.h"

enum {
	/* A verified token is remembered for so long at the most; the feed is looked at about as
	 * often, and each look forgets everything. */
	REMEMBERED_S = 5,
};

struct sidecar {
	const struct env *env;
	struct sidecar_audience audiences[SIDECAR_AUDIENCES_MAX];
	struct chancery *verifiers[SIDECAR_AUDIENCES_MAX];
	size_t count;
	struct verified *verified[SIDECAR_WORKERS_MAX]; /* each for its worker's thread */
	unsigned workers;
	struct shared_fetch *fetch;
	int64_t keys_staleness, feed_staleness; /* the latter 0: no feed */
	const char *trouble;
	uint64_t fetches[SIDECAR_AUDIENCES_MAX]; /* as of the last look */
	/* moves with every look at the issuer's documents: what was verified before counts no more
	 */
	_Atomic uint64_t epoch;
	/* until then what was verified may be relied upon, as far as the documents' age goes */
	_Atomic int64_t fresh_until;
};

enum { KEYS_STALENESS_S = 86400 };

/* ---- life ---- */

static int64_t clock_of(void *arg)
{
	const struct sidecar *s = arg;

	return s->env->now(s->env);
}

static enum err add_verifier(struct sidecar *s, const struct sidecar_options *o,
			     const struct sidecar_audience *audience, const char **ret_why)
{
	const struct chancery_options options = {
		.size = sizeof(options),
		.issuer = o->issuer,
		.audience = audience->uri,
		.algorithms = CHANCERY_ES256 | CHANCERY_RS256,
		.skew = SIDECAR_SKEW,
		.fetch = shared_fetch_get,
		.fetch_arg = s->fetch,
		.keys_max_staleness = KEYS_STALENESS_S,
		.feed = o->feed,
		.feed_max_staleness = o->feed ? o->max_staleness : 0,
		.now = clock_of,
		.now_arg = s,
		.deferred = 1,
	};

	*ret_why = chancery_new(&options, &s->verifiers[s->count]);
	if (*ret_why)
		return ERR_SYNTAX;
	s->audiences[s->count++] = *audience;
	return ERR_OK;
}

static enum err add_tables(struct sidecar *s, unsigned workers)
{
	struct secret key;
	enum err e = s->env->random(s->env, &key, sizeof(key));

	for (; s->workers < workers && !e; s->workers++)
		e = verified_new(&key, &s->verified[s->workers]);
	secret_wipe(&key);
	return e;
}

enum err sidecar_new(const struct sidecar_options *options, struct sidecar **ret_sidecar,
		     const char **ret_why)
{
	AUTO(sidecar, s) = calloc(1, sizeof(*s));
	enum err e;

	*ret_why = "no memory";
	if (!s)
		return ERR_NOMEM;
	if (options->audience_count > SIDECAR_AUDIENCES_MAX ||
	    options->workers > SIDECAR_WORKERS_MAX) {
		*ret_why = "too many audiences or threads";
		return ERR_SYNTAX;
	}
	s->env = options->env;
	s->keys_staleness = KEYS_STALENESS_S;
	s->feed_staleness = options->feed ? options->max_staleness : 0;
	e = shared_fetch_new(options->fetch, options->fetch_arg, &s->fetch);
	if (!e)
		e = add_tables(s, options->workers);
	for (size_t i = 0; i < options->audience_count && !e; i++)
		e = add_verifier(s, options, &options->audiences[i], ret_why);
	if (!e)
		*ret_sidecar = TAKE(s);
	return e;
}

void sidecar_free(struct sidecar *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		chancery_free(s->verifiers[i]);
	for (unsigned i = 0; i < s->workers; i++)
		verified_free(s->verified[i]);
	shared_fetch_free(s->fetch);
	free(s);
}

/* ---- tending ---- */

/* Seconds for which `age` is still below `limit`; negative: it was never there, or is too old. */
static int64_t left(int64_t age, int64_t limit)
{
	return age < 0 ? -1 : limit - age;
}

/* One verifier's documents: were they looked at again, and how long may they be relied on? */
static void look_at(struct sidecar *s, size_t i, int64_t *fresh)
{
	struct chancery_status status = { .size = sizeof(status) };
	int64_t keys, feed;

	chancery_status(s->verifiers[i], &status);
	if (status.fetches != s->fetches[i])
		atomic_fetch_add(&s->epoch, 1);
	s->fetches[i] = status.fetches;
	keys = left(status.keys_age, s->keys_staleness);
	feed = s->feed_staleness ? left(status.feed_age, s->feed_staleness) : keys;
	*fresh = keys < *fresh ? keys : *fresh;
	*fresh = feed < *fresh ? feed : *fresh;
	if (status.last_failure)
		s->trouble = status.last_failure;
}

void sidecar_tend(struct sidecar *s)
{
	int64_t fresh = INT64_MAX;

	shared_fetch_round(s->fetch);
	s->trouble = NULL;
	for (size_t i = 0; i < s->count; i++) {
		chancery_tend(s->verifiers[i]);
		look_at(s, i, &fresh);
	}
	atomic_store(&s->fresh_until, fresh < 0 ? 0 : s->env->now(s->env) + fresh);
}

bool sidecar_is_ready(const struct sidecar *s)
{
	return s->env->now(s->env) < atomic_load(&s->fresh_until);
}

const char *sidecar_trouble(const struct sidecar *s)
{
	return s->trouble;
}

/* ---- judging ---- */

static size_t index_of(const struct sidecar *s, struct str audience)
{
	size_t i = 0;

	while (i < s->count && !str_equal_z(audience, s->audiences[i].uri))
		i++;
	return i;
}

static enum err find(struct request *rq, const struct gateway_question *q,
		     struct gateway_target *ret_target)
{
	const struct sidecar *s = rq->app->sidecar;

	for (size_t i = 0; i < s->count; i++) {
		const struct sidecar_audience *a = &s->audiences[i];

		if (q->slug.p ? a->slug && str_equal_z(q->slug, a->slug)
			      : str_equal_z(q->audience, a->uri)) {
			*ret_target = (struct gateway_target){ .audience = str_z(a->uri) };
			return ERR_OK;
		}
	}
	return fail(rq, ERR_INVALID_REQUEST, "the gateway asks about no audience of this sidecar");
}

static enum err verify(struct request *rq, struct chancery *verifier, struct str token,
		       struct gateway_identity *ret_id)
{
	struct chancery_claims *claims;
	enum chancery_verdict verdict = chancery_verify(verifier, token.p, token.n, NULL, &claims);
	enum err e;

	if (verdict == CHANCERY_UNDECIDED)
		return fail(rq, ERR_UNAVAILABLE, "%s", chancery_verdict_text(verdict));
	if (verdict != CHANCERY_OK)
		return fail(rq, ERR_INVALID_TOKEN, "%s", chancery_verdict_text(verdict));
	/* the object that was judged; to parse its text again would cost a twentieth of it all */
	e = gateway_identify(rq, claims->jwt.claims, ret_id);
	chancery_claims_free(claims);
	return e;
}

static int64_t remembered_until(const struct sidecar *s, const struct request *rq, int64_t exp)
{
	const int64_t ends[] = { exp + SIDECAR_SKEW, atomic_load(&s->fresh_until) };
	int64_t until = rq->now + REMEMBERED_S;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		until = ends[i] < until ? ends[i] : until;
	return until;
}

/* The epoch is read before the token is judged: what a look at the documents has overtaken is
 * forgotten as it is entered. */
static enum err judge(struct request *rq, struct str audience, struct str token,
		      struct gateway_identity *ret_id)
{
	struct sidecar *s = rq->app->sidecar;
	struct verified *table = s->verified[rq->worker_index % s->workers];
	const uint64_t epoch = atomic_load(&s->epoch);
	unsigned char key[VERIFIED_KEY_LEN];
	enum err e;

	verified_key(table, audience, token, key);
	if (verified_get(table, key, epoch, rq->now, rq->arena, ret_id))
		return ERR_OK;
	e = verify(rq, s->verifiers[index_of(s, audience)], token, ret_id);
	if (!e)
		verified_put(table, key, epoch, remembered_until(s, rq, ret_id->exp), ret_id);
	return e;
}

enum err ep_sidecar_verify(struct request *rq)
{
	static const struct gateway_judge ours = { find, judge };
	struct gateway_pass pass;
	enum err e = gateway_decide(rq, &ours, &pass);

	gateway_count(rq, e);
	return e;
}

enum err ep_sidecar_readyz(struct request *rq)
{
	if (!sidecar_is_ready(rq->app->sidecar) || atomic_load(&rq->app->draining))
		return fail(rq, ERR_UNAVAILABLE, "the issuer's documents are missing or too old");
	return respond_text(rq, 200, "application/json", STR("{\"status\":\"ok\"}"));
}
