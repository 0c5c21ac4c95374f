/* The judgement as one table: what each row of it needs to have been seen, and who looks. */
#include "server/state/probe.h"

#include <stdarg.h>
#include <stdio.h>

/* What a row looks at. */
struct sight {
	const struct fetch_answer *answer;
	const struct probe_target *target;
	int64_t asked_at;
	const struct jwks *set; /* NULL: none */
	enum err set_err;
	struct probe_result *result;
};

const char *probe_verdict_name(enum probe_verdict v)
{
	static const char *const names[PROBE_VERDICT_COUNT] = { "holds", "lacks", "failed" };

	return v < PROBE_VERDICT_COUNT ? names[v] : "";
}

enum err probe_request(struct str issuer, char url[FETCH_URL_MAX + 1],
		       struct fetch_request *ret_request)
{
	int n = snprintf(url, FETCH_URL_MAX + 1, "%.*s/.well-known/jwks.json", STR_ARG(issuer));

	if (n < 0 || n > FETCH_URL_MAX)
		return ERR_LIMIT;
	*ret_request = (struct fetch_request){
		.url = str_n(url, (size_t)n),
		.timeout_ms = PROBE_TIMEOUT_MS,
		.max_bytes = FETCH_BODY_MAX,
	};
	return ERR_OK;
}

/* ---- words ---- */

/* False, so that a row may end with it. */
static bool note(char *text, const char *format, ...) PRINTF_LIKE(2, 3);
static bool note(char *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, PROBE_NOTE_MAX, format, args);
	va_end(args);
	return false;
}

/* ---- did anything come ---- */

static bool look_reachable(const struct sight *s, char *text)
{
	if (s->answer->outcome == FETCH_ANSWERED)
		return true;
	if (s->answer->outcome == FETCH_TOO_LARGE)
		return note(text, "the answer is larger than %d bytes", FETCH_BODY_MAX);
	return note(text, "no answer: %.*s", STR_ARG(s->answer->parts[FETCH_WHY]));
}

static bool look_status(const struct sight *s, char *text)
{
	return s->answer->status == 200 || note(text, "status %d", s->answer->status);
}

/* RFC 7517 8.5.2, and what we send to those who do not ask for it; parameters do not matter. */
static bool look_content_type(const struct sight *s, char *text)
{
	struct str rest = s->answer->parts[FETCH_CONTENT_TYPE], type = STR_NONE;

	(void)str_next(&rest, ';', &type);
	type = str_trim(type);
	return str_case_equal(type, STR("application/json")) ||
	       str_case_equal(type, STR("application/jwk-set+json")) ||
	       note(text, "\"%.*s\" is no type of a key set", STR_ARG(type));
}

static bool look_parses(const struct sight *s, char *text)
{
	if (s->set)
		return true;
	if (s->set_err == ERR_CONFLICT)
		return note(text, "two keys have one kid");
	if (s->set_err == ERR_NOMEM)
		return note(text, "no memory to read it");
	return note(text, "not a JSON key set (RFC 7517 5)");
}

/* ---- keys ---- */

/* A kid that names another key counts as absent. What cannot be compared is taken for the same:
 * only a difference that was seen counts. */
static bool holds(const struct sight *s, const struct keyring_key *key)
{
	const struct jwk *found = jwks_find(s->set, str_z(key->info.kid));
	char theirs[THUMBPRINT_LEN + 1], ours[THUMBPRINT_LEN + 1];

	if (!found || !key->public_key)
		return found != NULL;
	if (jwk_thumbprint(found, theirs) || jwk_thumbprint(key->public_key, ours))
		return true;
	return jwk_alg(found) == key->info.alg && strcmp(theirs, ours) == 0;
}

static bool is_published(const struct sight *s, const struct keyring_key *key)
{
	return key->info.publish_at <= s->asked_at;
}

/* Before that a cache may serve, as promised, a set that is older than the key. */
static bool is_ready(const struct sight *s, const struct keyring_key *key)
{
	return key->info.ready_at <= s->asked_at;
}

static bool look_published(const struct sight *s, char *text)
{
	for (size_t i = 0; i < s->target->count; i++) {
		const struct keyring_key *key = &s->target->keys[i];
		const struct key_info *info = &key->info;

		if ((info->state != KEY_ACTIVE && info->state != KEY_RETIRING) ||
		    !is_published(s, key) || holds(s, key))
			continue;
		note(text, "%s key %s is missing", key_state_name(info->state), info->kid);
		if (is_ready(s, key))
			return false;
	}
	return true;
}

static bool look_standby(const struct sight *s, char *text)
{
	bool ok = true;

	for (size_t i = 0; i < s->target->count; i++) {
		const struct keyring_key *key = &s->target->keys[i];

		if (key->info.state != KEY_STANDBY || !is_published(s, key) || holds(s, key))
			continue;
		if (is_ready(s, key)) {
			s->result->lacks |= 1U << key->info.alg;
			ok = note(text, "the %s standby %s is missing", alg_name(key->info.alg),
				  key->info.kid);
		} else if (ok) {
			note(text, "the standby %s is so new that caches need not have it yet",
			     key->info.kid);
		}
	}
	return ok;
}

/* A removed key verifies nothing any more, and a cache may keep it for the time we promised; a
 * revoked one verifies what a thief signs. */
static bool look_withdrawn(const struct sight *s, char *text)
{
	bool ok = true;

	for (size_t i = 0; i < s->target->count; i++) {
		const struct key_info *info = &s->target->keys[i].info;
		bool revoked = info->state == KEY_REVOKED;

		if ((!revoked && info->state != KEY_REMOVED) ||
		    !jwks_find(s->set, str_z(info->kid)))
			continue;
		if (revoked)
			return note(text, "revoked key %s is still there", info->kid);
		if (info->remove_at + s->target->freshness < s->asked_at)
			ok = note(text, "removed key %s is still there", info->kid);
	}
	return ok;
}

/* ---- caching ---- */

struct caching {
	bool none;	    /* no-store or no-cache */
	bool unreadable;    /* a lifetime that is no number */
	int64_t max_age;    /* -1: not given */
	int64_t shared_age; /* s-maxage; -1 */
};

static struct str unquoted(struct str s)
{
	bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';

	return quoted ? str_n(s.p + 1, s.n - 2) : s;
}

/* RFC 9111 5.2; of a directive that is given twice the longer time counts against us. */
static void read_age(struct str value, int64_t *age, struct caching *c)
{
	int64_t seconds;
	enum err e = str_to_i64(unquoted(str_trim(value)), 0, INT32_MAX, &seconds);

	if (e == ERR_LIMIT)
		seconds = INT32_MAX; /* RFC 9111 1.2.2 */
	else if (e)
		c->unreadable = true;
	if ((!e || e == ERR_LIMIT) && seconds > *age)
		*age = seconds;
}

static struct caching read_caching(struct str text)
{
	struct caching c = { .max_age = -1, .shared_age = -1 };
	struct str value, name;

	while (str_next(&text, ',', &value)) {
		name = STR_NONE;
		value = str_trim(value);
		(void)str_next(&value, '=', &name);
		name = str_trim(name);
		if (str_case_equal(name, STR("no-store")) || str_case_equal(name, STR("no-cache")))
			c.none = true;
		else if (str_case_equal(name, STR("max-age")))
			read_age(value, &c.max_age, &c);
		else if (str_case_equal(name, STR("s-maxage")))
			read_age(value, &c.shared_age, &c);
	}
	return c;
}

static bool look_max_age(const struct sight *s, char *text)
{
	struct caching c = read_caching(s->answer->parts[FETCH_CACHE_CONTROL]);
	int64_t longest = c.max_age > c.shared_age ? c.max_age : c.shared_age;

	if (c.unreadable)
		return note(text, "the lifetime in Cache-Control is no number");
	if (longest > s->target->max_age)
		return note(text,
			    "caches are told to keep it %lld s, we promise %lld s at the most",
			    (long long)longest, (long long)s->target->max_age);
	if (longest < 0 && !c.none)
		return note(text, "no max-age: caches may keep it as long as they like");
	return true;
}

/* Beyond max-age it may be served stale while a newer one is fetched, for as long as we promised.
 */
static bool look_age(const struct sight *s, char *text)
{
	struct caching c = read_caching(s->answer->parts[FETCH_CACHE_CONTROL]);
	struct str given = s->answer->parts[FETCH_AGE];
	int64_t age = 0;

	if (given.n && str_to_i64(str_trim(given), 0, INT32_MAX, &age))
		return note(text, "Age is no number of seconds");
	if (!given.n || age < c.max_age)
		return true;
	if (age >= s->target->freshness)
		return note(text,
			    "a cache serves a copy that is %lld s old, we promise %lld s at "
			    "the most",
			    (long long)age, (long long)s->target->freshness);
	note(text, "a cache serves a copy that is %lld s old, stale as promised", (long long)age);
	return true;
}

static bool look_etag(const struct sight *s, char *text)
{
	struct str etag = s->answer->parts[FETCH_ETAG];

	if (!etag.n)
		return note(text, "no ETag: every fetch costs a whole set, and we do not learn who "
				  "holds the standby");
	if (str_starts(etag, STR("W/")))
		note(text, "somebody on the way made it a weak one");
	return true;
}

static bool look_cookie(const struct sight *s, char *text)
{
	struct str cookie = s->answer->parts[FETCH_SET_COOKIE];

	return !cookie.n ||
	       note(text, "sets a cookie, %.*s: caches do not keep such answers", STR_ARG(cookie));
}

/* ---- the whole ---- */

enum need { NEED_NOTHING, NEED_ANSWER, NEED_DOCUMENT, NEED_SET };

static const struct {
	const char *name;
	enum need need;
	bool (*look)(const struct sight *s, char *text);
} rows[PROBE_CHECK_COUNT] = {
	[PROBE_REACHABLE] = { "reachable", NEED_NOTHING, look_reachable },
	[PROBE_STATUS] = { "status", NEED_ANSWER, look_status },
	[PROBE_CONTENT_TYPE] = { "content_type", NEED_DOCUMENT, look_content_type },
	[PROBE_PARSES] = { "key_set", NEED_DOCUMENT, look_parses },
	[PROBE_PUBLISHED] = { "published_keys", NEED_SET, look_published },
	[PROBE_STANDBY] = { "standby_keys", NEED_SET, look_standby },
	[PROBE_WITHDRAWN] = { "withdrawn_keys", NEED_SET, look_withdrawn },
	[PROBE_MAX_AGE] = { "max_age", NEED_DOCUMENT, look_max_age },
	[PROBE_AGE] = { "age", NEED_DOCUMENT, look_age },
	[PROBE_ETAG] = { "etag", NEED_DOCUMENT, look_etag },
	[PROBE_COOKIE] = { "no_cookie", NEED_DOCUMENT, look_cookie },
};

const char *probe_check_name(enum probe_check c)
{
	return c < PROBE_CHECK_COUNT ? rows[c].name : "";
}

static enum need seen(const struct sight *s)
{
	if (s->set)
		return NEED_SET;
	if (s->answer->outcome != FETCH_ANSWERED)
		return NEED_NOTHING;
	return s->answer->status == 200 ? NEED_DOCUMENT : NEED_ANSWER;
}

/* The first of the rows that decide what the verdict stands on. */
static void set_verdict(const struct sight *s)
{
	static const enum probe_check deciding[] = { PROBE_REACHABLE, PROBE_STATUS, PROBE_PARSES,
						     PROBE_STANDBY };
	struct probe_result *r = s->result;

	r->verdict = s->set ? PROBE_HOLDS : PROBE_FAILED;
	if (r->lacks)
		r->verdict = PROBE_LACKS;
	for (size_t i = 0; i < sizeof(deciding) / sizeof(deciding[0]); i++) {
		if (!r->checks[deciding[i]].ok) {
			memcpy(r->note, r->checks[deciding[i]].note, PROBE_NOTE_MAX);
			return;
		}
	}
}

void probe_judge(const struct fetch_answer *a, const struct probe_target *target, int64_t asked_at,
		 struct probe_result *ret_result)
{
	AUTO(jwks, set) = NULL;
	struct sight s = {
		.answer = a, .target = target, .asked_at = asked_at, .result = ret_result
	};

	*ret_result = (struct probe_result){ .ok = true };
	if (seen(&s) == NEED_DOCUMENT)
		s.set_err = jwks_parse(a->parts[FETCH_BODY], &set);
	s.set = set;
	for (size_t i = 0; i < PROBE_CHECK_COUNT; i++) {
		struct probe_finding *f = &ret_result->checks[i];

		if (rows[i].need <= seen(&s))
			f->ok = rows[i].look(&s, f->note);
		else
			note(f->note, "could not be seen");
		ret_result->ok = ret_result->ok && f->ok;
	}
	set_verdict(&s);
}
