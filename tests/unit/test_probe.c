/* What the key set looks like from outside, row by row: which answers hold an activation back, and
 * which only say that nothing is known. */
#include "server/state/probe.h"

#include "tests/unit/probe_set.h"
#include "tests/unit/suite.h"

enum { NOW = 1700000000, MAX_AGE = 900, FRESHNESS = 1350, DAY = 86400 };

/* Published for long, but for those two. */
enum { ACTIVE, STANDBY, RETIRING, RSA_ACTIVE, RSA_STANDBY, REMOVED, REVOKED, KEYS };

#define BAD(check) (1U << (check))
#define ES (1U << ALG_ES256)
#define RS (1U << ALG_RS256)

#define SET(...) "{\"keys\":[" __VA_ARGS__ "]}"
#define RSA_BOTH RSA_JWK("ra") "," RSA_JWK("rs")
#define ALL SET(EC_JWK("a") "," EC_JWK("s") "," EC_JWK("r") "," RSA_BOTH)
#define ALL_AND(more) SET(EC_JWK("a") "," EC_JWK("s") "," EC_JWK("r") "," RSA_BOTH "," more)
#define NO_STANDBY SET(EC_JWK("a") "," EC_JWK("r") "," RSA_BOTH)
/* what stands on a set that is not there */
#define NO_SET                                                                                     \
	(BAD(PROBE_PARSES) | BAD(PROBE_PUBLISHED) | BAD(PROBE_STANDBY) | BAD(PROBE_WITHDRAWN))
#define NO_DOCUMENT                                                                                \
	(NO_SET | BAD(PROBE_CONTENT_TYPE) | BAD(PROBE_MAX_AGE) | BAD(PROBE_AGE) |                  \
	 BAD(PROBE_ETAG) | BAD(PROBE_COOKIE))
#define NOTHING (NO_DOCUMENT | BAD(PROBE_REACHABLE) | BAD(PROBE_STATUS))

static struct keyring_key keys[KEYS];
static struct probe_target target;

static void set_up(void)
{
	keys[ACTIVE] = probe_key("a", ALG_ES256, KEY_ACTIVE, EC_JWK("a"));
	keys[STANDBY] = probe_key("s", ALG_ES256, KEY_STANDBY, EC_JWK("s"));
	keys[RETIRING] = probe_key("r", ALG_ES256, KEY_RETIRING, EC_JWK("r"));
	keys[RSA_ACTIVE] = probe_key("ra", ALG_RS256, KEY_ACTIVE, RSA_JWK("ra"));
	keys[RSA_STANDBY] = probe_key("rs", ALG_RS256, KEY_STANDBY, RSA_JWK("rs"));
	keys[REMOVED] = probe_key("gone", ALG_ES256, KEY_REMOVED, NULL);
	keys[REVOKED] = probe_key("stolen", ALG_ES256, KEY_REVOKED, NULL);
	for (size_t i = 0; i < KEYS; i++) {
		keys[i].info.publish_at = NOW - 30 * DAY;
		keys[i].info.ready_at = NOW - 29 * DAY;
	}
	keys[REMOVED].info.remove_at = NOW - DAY;
	target = (struct probe_target){ STR("https://id.example"), MAX_AGE, FRESHNESS, keys, KEYS };
}

static void tear_down(void)
{
	for (size_t i = 0; i < KEYS; i++)
		jwk_free(keys[i].public_key);
}

/* NULL and 0 mean what a good answer has; "-" means that it is absent. */
struct seen {
	const char *what;
	enum fetch_outcome outcome;
	int status;
	const char *type, *cache, *age, *etag, *cookie, *body, *why;
	enum probe_verdict verdict;
	unsigned lacks, bad; /* checks that are not ok */
	const char *note;    /* part of the verdict's */
};

static struct str given(const char *text, const char *otherwise)
{
	if (!text)
		text = otherwise;
	return strcmp(text, "-") == 0 ? STR("") : str_z(text);
}

static struct fetch_answer answer_of(const struct seen *c)
{
	struct fetch_answer a = { .outcome = c->outcome ? c->outcome : FETCH_ANSWERED };

	a.parts[FETCH_WHY] = given(c->why, "-");
	if (a.outcome != FETCH_ANSWERED)
		return a;
	a.status = c->status ? c->status : 200;
	a.parts[FETCH_CONTENT_TYPE] = given(c->type, "application/json");
	a.parts[FETCH_CACHE_CONTROL] = given(c->cache, "public, max-age=900");
	a.parts[FETCH_AGE] = given(c->age, "-");
	a.parts[FETCH_ETAG] = given(c->etag, "\"e\"");
	a.parts[FETCH_SET_COOKIE] = given(c->cookie, "-");
	a.parts[FETCH_BODY] = given(c->body, ALL);
	return a;
}

static void check_seen(const struct seen *c, struct probe_result *r)
{
	struct fetch_answer a = answer_of(c);
	unsigned bad = 0;

	probe_judge(&a, &target, NOW, r);
	for (unsigned i = 0; i < PROBE_CHECK_COUNT; i++)
		bad |= r->checks[i].ok ? 0 : 1U << i;
	ck_assert_msg(r->verdict == c->verdict, "%s: %s", c->what, probe_verdict_name(r->verdict));
	ck_assert_msg(r->lacks == c->lacks, "%s: lacks %x", c->what, r->lacks);
	ck_assert_msg(bad == c->bad, "%s: bad checks %x, not %x", c->what, bad, c->bad);
	ck_assert_int_eq(r->ok, bad == 0);
	ck_assert_msg((r->note[0] == 0) == (r->verdict == PROBE_HOLDS), "%s: %s", c->what, r->note);
	if (c->note)
		ck_assert_msg(strstr(r->note, c->note), "%s: %s", c->what, r->note);
}

static void check_table(const struct seen *rows, size_t count)
{
	struct probe_result r;

	for (size_t i = 0; i < count; i++)
		check_seen(&rows[i], &r);
}

/* ---- the verdict ---- */

START_TEST(only_a_set_that_came_without_the_standby_holds_it_back)
{
	static const struct seen rows[] = {
		{ "all there" },
		{ "no standby", .body = NO_STANDBY, .verdict = PROBE_LACKS, .lacks = ES,
		  .bad = BAD(PROBE_STANDBY), .note = "ES256 standby s is missing" },
		{ "neither standby", .body = SET(EC_JWK("a") "," EC_JWK("r") "," RSA_JWK("ra")),
		  .verdict = PROBE_LACKS, .lacks = ES | RS, .bad = BAD(PROBE_STANDBY) },
		{ "no key at all", .body = SET(""), .verdict = PROBE_LACKS, .lacks = ES | RS,
		  .bad = BAD(PROBE_STANDBY) | BAD(PROBE_PUBLISHED) },
		{ "its kid, another key",
		  .body = SET(EC_JWK("a") "," OTHER_EC_JWK("s") "," EC_JWK("r") "," RSA_BOTH),
		  .verdict = PROBE_LACKS, .lacks = ES, .bad = BAD(PROBE_STANDBY) },
		{ "its kid, another kind of key",
		  .body = SET(EC_JWK("a") "," RSA_JWK("s") "," EC_JWK("r") "," RSA_BOTH),
		  .verdict = PROBE_LACKS, .lacks = ES, .bad = BAD(PROBE_STANDBY) },
		{ "the standby alone", .body = SET(EC_JWK("s") "," RSA_JWK("rs")),
		  .bad = BAD(PROBE_PUBLISHED) },
		{ "without a type", .type = "-", .body = NO_STANDBY, .verdict = PROBE_LACKS,
		  .lacks = ES, .bad = BAD(PROBE_STANDBY) | BAD(PROBE_CONTENT_TYPE) },
	};

	check_table(rows, COUNT(rows));
}
END_TEST

START_TEST(what_is_no_set_says_nothing_about_the_standby)
{
	static const struct seen rows[] = {
		{ "no answer", FETCH_NO_ANSWER, .why = "Could not connect", .verdict = PROBE_FAILED,
		  .bad = NOTHING, .note = "no answer: Could not connect" },
		{ "no libcurl", FETCH_NO_CLIENT, .why = "install it", .verdict = PROBE_FAILED,
		  .bad = NOTHING, .note = "install it" },
		{ "too large", FETCH_TOO_LARGE, .verdict = PROBE_FAILED, .bad = NOTHING,
		  .note = "larger than" },
		{ "a broken proxy", .status = 502, .body = NO_STANDBY, .verdict = PROBE_FAILED,
		  .bad = NO_DOCUMENT | BAD(PROBE_STATUS), .note = "status 502" },
		{ "not found", .status = 404, .body = NO_STANDBY, .verdict = PROBE_FAILED,
		  .bad = NO_DOCUMENT | BAD(PROBE_STATUS) },
		{ "a redirect", .status = 302, .body = "-", .verdict = PROBE_FAILED,
		  .bad = NO_DOCUMENT | BAD(PROBE_STATUS) },
		{ "a part", .status = 206, .body = NO_STANDBY, .verdict = PROBE_FAILED,
		  .bad = NO_DOCUMENT | BAD(PROBE_STATUS) },
		{ "a login page", .type = "text/html", .body = "<!doctype html>",
		  .verdict = PROBE_FAILED, .bad = NO_SET | BAD(PROBE_CONTENT_TYPE),
		  .note = "not a JSON key set" },
		{ "an error in JSON", .body = "{\"error\":\"oh\"}", .verdict = PROBE_FAILED,
		  .bad = NO_SET },
		{ "nothing", .body = "-", .verdict = PROBE_FAILED, .bad = NO_SET },
		{ "half a set", .body = "{\"keys\":[", .verdict = PROBE_FAILED, .bad = NO_SET },
		{ "one kid twice", .body = SET(EC_JWK("a") "," OTHER_EC_JWK("a")),
		  .verdict = PROBE_FAILED, .bad = NO_SET, .note = "two keys have one kid" },
	};

	check_table(rows, COUNT(rows));
}
END_TEST

/* ---- which keys, when ---- */

START_TEST(a_key_that_caches_need_not_have_yet_may_be_missing)
{
	const struct seen holds = { "new standby", .body = NO_STANDBY };
	const struct seen lacks = { "ready standby", .body = NO_STANDBY, .verdict = PROBE_LACKS,
				    .lacks = ES, .bad = BAD(PROBE_STANDBY) };
	const struct seen forced = { "forced",
				     .body = SET(EC_JWK("s") "," EC_JWK("r") "," RSA_BOTH) };
	struct probe_result r;

	keys[STANDBY].info.ready_at = NOW + 1;
	check_seen(&holds, &r);
	ck_assert(strstr(r.checks[PROBE_STANDBY].note, "standby s is so new"));
	keys[STANDBY].info.ready_at = NOW;
	check_seen(&lacks, &r);
	/* not even published when we asked */
	keys[STANDBY].info.publish_at = NOW + 1;
	check_seen(&holds, &r);
	ck_assert_str_eq(r.checks[PROBE_STANDBY].note, "");
	/* an emergency lets a key sign early */
	keys[ACTIVE].info.ready_at = NOW + 1;
	check_seen(&forced, &r);
	ck_assert(strstr(r.checks[PROBE_PUBLISHED].note, "active key a is missing"));
}
END_TEST

START_TEST(a_withdrawn_key_is_missed_when_it_is_still_there)
{
	const struct seen removed = { "removed", .body = ALL_AND(EC_JWK("gone")),
				      .bad = BAD(PROBE_WITHDRAWN) };
	const struct seen cached = { "just removed", .body = ALL_AND(EC_JWK("gone")) };
	const struct seen revoked = { "revoked", .body = ALL_AND(EC_JWK("stolen")),
				      .bad = BAD(PROBE_WITHDRAWN) };
	const struct seen strange = { "nobody's", .body = ALL_AND(EC_JWK("other")) };
	struct probe_result r;

	check_seen(&removed, &r);
	ck_assert(strstr(r.checks[PROBE_WITHDRAWN].note, "removed key gone"));
	check_seen(&revoked, &r);
	ck_assert(strstr(r.checks[PROBE_WITHDRAWN].note, "revoked key stolen"));
	check_seen(&strange, &r);
	keys[REMOVED].info.remove_at = NOW - FRESHNESS;
	check_seen(&cached, &r);
	keys[REMOVED].info.remove_at = NOW - FRESHNESS - 1;
	check_seen(&removed, &r);
}
END_TEST

START_TEST(a_missing_key_that_verifies_is_told)
{
	const struct seen retiring = { "retiring",
				       .body = SET(EC_JWK("a") "," EC_JWK("s") "," RSA_BOTH),
				       .bad = BAD(PROBE_PUBLISHED) };
	struct probe_result r;

	check_seen(&retiring, &r);
	ck_assert_str_eq(r.checks[PROBE_PUBLISHED].note, "retiring key r is missing");
}
END_TEST

/* ---- the head ---- */

START_TEST(each_field_has_its_row)
{
	static const struct seen rows[] = {
		{ "the set's own type", .type = "application/jwk-set+json" },
		{ "with parameters", .type = "Application/JSON ; charset=utf-8" },
		{ "text", .type = "text/plain", .bad = BAD(PROBE_CONTENT_TYPE) },
		{ "nearly", .type = "application/jsonp", .bad = BAD(PROBE_CONTENT_TYPE) },
		{ "no ETag", .etag = "-", .bad = BAD(PROBE_ETAG) },
		{ "weak", .etag = "W/\"e\"" },
		{ "a cookie", .cookie = "route", .bad = BAD(PROBE_COOKIE) },
	};

	check_table(rows, COUNT(rows));
}
END_TEST

START_TEST(caches_may_be_told_less_than_we_promise_and_not_more)
{
	static const struct seen rows[] = {
		{ "shorter", .cache = "max-age=1" },
		{ "just", .cache = "MAX-AGE=\"900\" , public" },
		{ "longer", .cache = "max-age=901", .bad = BAD(PROBE_MAX_AGE) },
		{ "longer for proxies", .cache = "max-age=900, s-maxage=3600",
		  .bad = BAD(PROBE_MAX_AGE) },
		{ "twice", .cache = "max-age=86400, max-age=5", .bad = BAD(PROBE_MAX_AGE) },
		{ "beyond numbers", .cache = "max-age=99999999999999999999",
		  .bad = BAD(PROBE_MAX_AGE) },
		{ "no number", .cache = "max-age=soon", .bad = BAD(PROBE_MAX_AGE) },
		{ "negative", .cache = "max-age=-1", .bad = BAD(PROBE_MAX_AGE) },
		{ "empty", .cache = "max-age", .bad = BAD(PROBE_MAX_AGE) },
		{ "absent", .cache = "-", .bad = BAD(PROBE_MAX_AGE) },
		{ "only public", .cache = "public", .bad = BAD(PROBE_MAX_AGE) },
		{ "not kept", .cache = "no-store" },
		{ "not kept, and kept", .cache = "no-cache, max-age=901",
		  .bad = BAD(PROBE_MAX_AGE) },
		{ "another's name", .cache = "x-max-age=5", .bad = BAD(PROBE_MAX_AGE) },
	};

	check_table(rows, COUNT(rows));
}
END_TEST

START_TEST(a_copy_may_be_as_old_as_we_promise)
{
	static const struct seen rows[] = {
		{ "fresh", .age = "0" },
		{ "last second", .age = "899" },
		{ "stale, revalidated", .age = "900" },
		{ "last stale second", .age = "1349" },
		{ "too old", .age = "1350", .bad = BAD(PROBE_AGE) },
		{ "much too old", .age = "99999999999999999999", .bad = BAD(PROBE_AGE) },
		{ "no number", .age = "old", .bad = BAD(PROBE_AGE) },
		{ "two", .age = "1, 2", .bad = BAD(PROBE_AGE) },
	};
	struct probe_result r;

	check_table(rows, COUNT(rows));
	check_seen(&rows[2], &r);
	ck_assert(strstr(r.checks[PROBE_AGE].note, "900 s old, stale as promised"));
}
END_TEST

/* ---- the request ---- */

START_TEST(the_request_goes_to_the_public_address)
{
	char url[FETCH_URL_MAX + 1], longest[FETCH_URL_MAX];
	struct fetch_request r;

	ck_assert_int_eq(probe_request(STR("https://id.example/a"), url, &r), ERR_OK);
	ck_assert(str_equal_z(r.url, "https://id.example/a/.well-known/jwks.json"));
	ck_assert_uint_eq(r.max_bytes, FETCH_BODY_MAX);
	memset(longest, 'a', sizeof(longest));
	ck_assert_int_eq(probe_request(str_n(longest, sizeof(longest)), url, &r), ERR_LIMIT);
}
END_TEST

START_TEST(every_check_and_verdict_has_a_name)
{
	for (unsigned i = 0; i < PROBE_CHECK_COUNT; i++)
		ck_assert_str_ne(probe_check_name(i), "");
	for (unsigned i = 0; i < PROBE_VERDICT_COUNT; i++)
		ck_assert_str_ne(probe_verdict_name(i), "");
	ck_assert_str_eq(probe_check_name(PROBE_CHECK_COUNT), "");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		only_a_set_that_came_without_the_standby_holds_it_back,
		what_is_no_set_says_nothing_about_the_standby,
		a_key_that_caches_need_not_have_yet_may_be_missing,
		a_withdrawn_key_is_missed_when_it_is_still_there,
		a_missing_key_that_verifies_is_told,
		each_field_has_its_row,
		caches_may_be_told_less_than_we_promise_and_not_more,
		a_copy_may_be_as_old_as_we_promise,
		the_request_goes_to_the_public_address,
		every_check_and_verdict_has_a_name,
	};
	Suite *suite = suite_create("probe");
	TCase *all = tcase_create("probe");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
