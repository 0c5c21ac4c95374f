/* Making a verifier, and keeping what it judges by fresh. Options are judged here and nowhere else:
 * one that is missing, out of its range or in conflict with another stops the start, because a
 * verifier that runs with half of what was meant lets somebody in. */
#include "verify/verifier.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "jose/hs256.h"
#include "verify/key_set.h"

enum {
	ALGORITHMS_PUBLIC = CHANCERY_ES256 | CHANCERY_RS256,
	COOLDOWN_MIN = 5,
	COOLDOWN_MAX = 3600,
	COOLDOWN_DEFAULT = 30,
	KEYS_STALENESS_MIN = 60,
	KEYS_STALENESS_MAX = 30 * 86400,
	KEYS_STALENESS_DEFAULT = 86400,
	FEED_INTERVAL_MAX = 3600,
	FEED_INTERVAL_DEFAULT = 5,
	FEED_STALENESS_MAX = 86400,
	FEED_KEYS_COOLDOWN = 30,
};

static const char no_memory[] = "no memory";

/* ---- options ---- */

/* 0 stands for the default. */
static bool in_range(int value, int min, int max)
{
	return value == 0 || (value >= min && value <= max);
}

static int64_t or_default(int value, int otherwise)
{
	return value ? value : otherwise;
}

static const char *check_parties(const struct chancery_options *o)
{
	if (!o->issuer || !*o->issuer)
		return "the issuer is missing";
	if (!o->audience || !*o->audience)
		return "the audience is missing";
	if (o->algorithms != CHANCERY_HS256 &&
	    (o->algorithms == 0 || (o->algorithms & ~(unsigned)ALGORITHMS_PUBLIC)))
		return "algorithms must be CHANCERY_ES256, CHANCERY_RS256 or both, or "
		       "CHANCERY_HS256";
	if (o->skew < 0 || o->skew > JWT_SKEW_MAX)
		return "skew must be 0 to 60 seconds";
	return NULL;
}

/* A verifier that knew both kinds could be shown one in the place of the other (RFC 8725 3.1). */
static const char *check_secrets(const struct chancery_options *o)
{
	if (o->algorithms != CHANCERY_HS256)
		return o->secret || o->former_secret ? "a secret is for CHANCERY_HS256 alone"
						     : NULL;
	if (!o->secret || o->secret_len < HS256_SECRET_MIN ||
	    (o->former_secret && o->former_secret_len < HS256_SECRET_MIN))
		return "secret must be 32 bytes or more";
	if (o->jwks || o->jwks_url || o->private_key || (o->fetch && !o->feed))
		return "CHANCERY_HS256 takes no key but its secret";
	return NULL;
}

static const char *check_keys(const struct chancery_options *o)
{
	if (!o->fetch && !o->jwks && !o->secret)
		return "the keys are missing: fetch, or jwks";
	if (!in_range(o->cooldown, COOLDOWN_MIN, COOLDOWN_MAX))
		return "cooldown must be 5 to 3600 seconds";
	if (!in_range(o->keys_max_staleness, KEYS_STALENESS_MIN, KEYS_STALENESS_MAX))
		return "keys_max_staleness must be a minute to 30 days";
	return NULL;
}

static const char *check_feed(const struct chancery_options *o)
{
	if (!o->feed)
		return o->feed_max_staleness || o->feed_interval
			       ? "feed_interval and feed_max_staleness are of a feed"
			       : NULL;
	if (!o->fetch)
		return "a feed must be fetched: fetch is missing";
	if (strchr(o->feed, '?'))
		return "the feed's URL must be without a query";
	if (!in_range(o->feed_interval, 1, FEED_INTERVAL_MAX))
		return "feed_interval must be 1 to 3600 seconds";
	if (o->feed_max_staleness <= or_default(o->feed_interval, FEED_INTERVAL_DEFAULT) ||
	    o->feed_max_staleness > FEED_STALENESS_MAX)
		return "feed_max_staleness must be more than feed_interval, at most a day";
	return NULL;
}

/* An older caller knows fewer members, a newer one may know more than we do: what we cannot see we
 * cannot keep to. */
static const char *take_options(const struct chancery_options *given,
				struct chancery_options *ret_options)
{
	const char *wrong;

	if (!given || given->size != sizeof(*given))
		return "size must be sizeof(struct chancery_options)";
	*ret_options = *given;
	wrong = check_parties(given);
	if (!wrong)
		wrong = check_secrets(given);
	if (!wrong)
		wrong = check_keys(given);
	return wrong ? wrong : check_feed(given);
}

/* ---- making ---- */

/* `given`, or issuer and path; then `more`. NULL: no memory, or too long. */
static char *make_url(const char *given, const char *issuer, const char *path, const char *more)
{
	char url[FEED_URL_MAX];
	int n = given && *given ? snprintf(url, sizeof(url), "%s%s", given, more)
				: snprintf(url, sizeof(url), "%s%s%s", issuer, path, more);

	return n > 0 && (size_t)n < sizeof(url) ? strdup(url) : NULL;
}

static void set_documents(struct chancery *v, const struct chancery_options *o)
{
	static const char feed_path[] = "/oauth2/revocations";

	v->keys = (struct document){
		.kind = &key_set_kind,
		.source = &v->source,
		.url = make_url(o->jwks_url, o->issuer, "/.well-known/jwks.json", ""),
		.cooldown = or_default(o->cooldown, COOLDOWN_DEFAULT),
	};
	if (!o->feed)
		return;
	v->feed_keys = (struct document){
		.kind = &key_set_kind,
		.source = &v->source,
		.url = make_url(o->feed, o->issuer, feed_path, "/jwks.json"),
		.cooldown = FEED_KEYS_COOLDOWN,
	};
	v->feed = (struct document){
		.kind = &feed_kind,
		.source = &v->source,
		.owner = &v->terms,
		.url = make_url(o->feed, o->issuer, feed_path, ""),
		.refresh = or_default(o->feed_interval, FEED_INTERVAL_DEFAULT),
		.cooldown = or_default(o->feed_interval, FEED_INTERVAL_DEFAULT),
	};
}

static void set_options(struct chancery *v, const struct chancery_options *o)
{
	v->issuer = strdup(o->issuer);
	v->audience = strdup(o->audience);
	v->algorithms = o->algorithms;
	v->skew = o->skew;
	v->keys_max_staleness = or_default(o->keys_max_staleness, KEYS_STALENESS_DEFAULT);
	v->has_feed = o->feed != NULL;
	v->feed_max_staleness = o->feed_max_staleness;
	v->deferred = o->deferred != 0;
	v->proof = o->proof;
	v->now = o->now;
	v->now_arg = o->now_arg;
	v->source.fetch = o->fetch;
	v->source.arg = o->fetch_arg;
	v->terms = (struct feed_terms){ v->issuer, v->skew, &v->feed_keys };
}

static bool copy_secret(const void *from, size_t n, struct shared_secret *ret_secret)
{
	if (!from)
		return true;
	ret_secret->p = malloc(n);
	if (!ret_secret->p)
		return false;
	memcpy(ret_secret->p, from, n);
	ret_secret->n = n;
	return true;
}

static void free_secrets(struct chancery *v)
{
	for (size_t i = 0; i < 2; i++) {
		if (v->secrets[i].p)
			wipe(v->secrets[i].p, v->secrets[i].n);
		free(v->secrets[i].p);
	}
}

static bool set_secrets(struct chancery *v, const struct chancery_options *o)
{
	return copy_secret(o->secret, o->secret_len, &v->secrets[0]) &&
	       copy_secret(o->former_secret, o->former_secret_len, &v->secrets[1]);
}

bool verifier_shares(const struct chancery *v, const struct jws *jws)
{
	unsigned char mac[HS256_LEN];
	bool fits = false;

	if (jws->signature_len != sizeof(mac))
		return false;
	for (size_t i = 0; i < 2 && v->secrets[i].n; i++) {
		hs256(str_n(v->secrets[i].p, v->secrets[i].n), jws->signing_input, mac);
		fits |= bytes_equal_ct(mac, jws->signature, sizeof(mac));
	}
	wipe(mac, sizeof(mac));
	return fits;
}

static bool is_whole(const struct chancery *v)
{
	return v->issuer && v->audience && v->keys.url &&
	       (!v->has_feed || (v->feed.url && v->feed_keys.url));
}

static const char *begin_keys(struct chancery *v, const char *jwks)
{
	struct shared *set;
	const char *wrong;

	if (!jwks)
		return NULL;
	wrong = key_set_read(str_z(jwks), &set);
	if (!wrong)
		document_begin(&v->keys, set, verifier_now(v));
	return wrong;
}

static const char *load_private_key(struct chancery *v, const char *pem)
{
	enum err e = pem ? jwe_key_from_pem(str_z(pem), &v->private_key) : ERR_OK;

	if (!e)
		return NULL;
	return e == ERR_NOMEM ? no_memory
			      : "private_key must be a PEM private key: P-256, or RSA of 2048 to "
				"4096 bits";
}

const char *chancery_new(const struct chancery_options *options, struct chancery **ret_verifier)
{
	struct chancery_options o;
	struct chancery *v;
	const char *wrong = take_options(options, &o);

	if (wrong)
		return wrong;
	if (secret_library_init())
		return "libsodium does not start";
	v = calloc(1, sizeof(*v));
	if (!v)
		return no_memory;
	source_init(&v->source);
	set_options(v, &o);
	set_documents(v, &o);
	if (!set_secrets(v, &o)) {
		chancery_free(v);
		return no_memory;
	}
	wrong = is_whole(v) ? begin_keys(v, o.jwks) : "no memory, or a URL of more than 1700 bytes";
	if (!wrong)
		wrong = load_private_key(v, o.private_key);
	if (wrong) {
		chancery_free(v);
		return wrong;
	}
	*ret_verifier = v;
	return NULL;
}

void chancery_free(struct chancery *v)
{
	if (!v)
		return;
	document_done(&v->keys);
	document_done(&v->feed_keys);
	document_done(&v->feed);
	source_done(&v->source);
	free_secrets(v);
	jwe_key_free(v->private_key);
	free(v->issuer);
	free(v->audience);
	free(v);
}

/* ---- keeping fresh ---- */

static void freshen(struct chancery *v, struct document *d, struct moment now)
{
	int64_t age;
	struct shared *value;

	if (v->deferred || document_refresh(d, now) != ASKED_BUSY)
		return;
	value = document_get(d, now, &age);
	if (!value)
		document_wait(d);
	shared_unref(value);
}

static struct shared *fresh_value(struct document *d, struct moment now, int64_t max_age)
{
	int64_t age;
	struct shared *value = document_get(d, now, &age);

	if (value && age <= max_age)
		return value;
	shared_unref(value);
	return NULL;
}

struct shared *verifier_keys(struct chancery *v, struct moment now)
{
	freshen(v, &v->keys, now);
	return fresh_value(&v->keys, now, v->source.fetch ? v->keys_max_staleness : INT64_MAX);
}

struct shared *verifier_feed(struct chancery *v, struct moment now)
{
	struct shared *list;

	freshen(v, &v->feed, now);
	list = fresh_value(&v->feed, now, v->feed_max_staleness);
	if (!list || !feed_is_over(list, now.wall))
		return list;
	shared_unref(list);
	return NULL;
}

enum asked verifier_missed(struct chancery *v, struct moment now)
{
	return v->deferred ? document_mark(&v->keys, now) : document_want(&v->keys, now);
}

int64_t chancery_tend(struct chancery *v)
{
	struct moment now = verifier_now(v);
	int64_t in, next = INT64_MAX;
	struct document *const all[] = { &v->keys, &v->feed_keys, &v->feed };

	for (size_t i = verifier_is_shared(v) ? 1 : 0; i < (v->has_feed ? 3 : 1); i++) {
		(void)document_refresh(all[i], now);
		in = document_due_in(all[i], now);
		next = in < next ? in : next;
	}
	return next < 1 ? 1 : next;
}

static int64_t age_of(struct document *d, struct moment now)
{
	int64_t age;

	shared_unref(document_get(d, now, &age));
	return age;
}

static void count_values(struct chancery *v, struct moment now, struct chancery_status *s)
{
	int64_t age;
	struct shared *keys = document_get(&v->keys, now, &age);
	struct shared *list = v->has_feed ? document_get(&v->feed, now, &age) : NULL;

	s->keys = key_set_count(keys);
	s->revoked = feed_count(list);
	shared_unref(keys);
	shared_unref(list);
}

void chancery_status(struct chancery *v, struct chancery_status *status)
{
	struct moment now = verifier_now(v);
	struct chancery_status s = { .size = status->size, .feed_age = -1 };

	s.keys_age = age_of(&v->keys, now);
	if (v->has_feed)
		s.feed_age = age_of(&v->feed, now);
	count_values(v, now, &s);
	pthread_mutex_lock(&v->source.lock);
	s.fetches = v->source.fetches;
	s.failures = v->source.failures;
	s.last_failure = v->source.last_failure;
	pthread_mutex_unlock(&v->source.lock);
	memcpy(status, &s, status->size < sizeof(s) ? status->size : sizeof(s));
}
