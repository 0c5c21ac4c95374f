/* The key set as verifiers and caches see it, through the real routes. */
#include "server/state/keyring_priv.h"
#include "tests/helpers/flow.h"
#include "tests/unit/suite.h"

#include <stdio.h>

#define JWKS "/.well-known/jwks.json"
#define JWK_SET "application/jwk-set+json"

enum { MAX_AGE = 900, STALE_WHILE = 450 };

static const char *const both_algs[] = { "keys.algs=ES256,RS256", NULL };

static struct answer get_as(struct flow *f, const char *target, const char *accept,
			    const char *if_none_match)
{
	return flow_send(f, &(struct ask){ .target = target,
					   .accept = accept,
					   .if_none_match = if_none_match });
}

static int64_t max_age(const struct answer *a)
{
	const struct str text = answer_header(a, "Cache-Control");
	long long seconds;

	ck_assert_int_eq(sscanf(text.p, "public, max-age=%lld", &seconds), 1);
	return seconds;
}

/* ---- headers ---- */

START_TEST(answer_may_be_kept_and_read_by_anybody)
{
	struct flow *f = flow_new(NULL);
	const struct answer a = get(f, JWKS);
	char want[128];

	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.content_type, "application/json");
	snprintf(want, sizeof(want),
		 "public, max-age=%lld, stale-while-revalidate=450, stale-if-error=86400",
		 (long long)max_age(&a));
	ck_assert_str(answer_header(&a, "Cache-Control"), want);
	ck_assert_str(answer_header(&a, "Vary"), "Accept");
	ck_assert_str(answer_header(&a, "Access-Control-Allow-Origin"), "*");
	ck_assert_str(answer_header(&a, "Access-Control-Expose-Headers"), "ETag");
	ck_assert(str_starts(answer_header(&a, "ETag"), STR("\"")));
	flow_free(f);
}
END_TEST

START_TEST(max_age_is_spread_over_a_fifth)
{
	struct flow *f = flow_new(NULL);
	int64_t least = INT64_MAX, most = 0;

	for (int i = 0; i < 300; i++) {
		const struct answer a = get(f, JWKS);
		const int64_t seconds = max_age(&a);

		least = seconds < least ? seconds : least;
		most = seconds > most ? seconds : most;
	}
	ck_assert_int_ge(least, MAX_AGE * 8 / 10);
	ck_assert_int_lt(least, MAX_AGE * 85 / 100);
	ck_assert_int_le(most, MAX_AGE);
	ck_assert_int_gt(most, MAX_AGE * 95 / 100);
	flow_free(f);
}
END_TEST

START_TEST(max_age_ends_at_the_next_change_and_is_never_zero)
{
	static const char *const sets[] = { "keys.rotate_every=1h", "keys.jwks_max_age=10m", NULL };
	struct flow *f = flow_new(sets);
	struct answer a;

	flow_advance(f, 3600 - 10);
	a = get(f, JWKS);
	ck_assert_int_ge(max_age(&a), 8);
	ck_assert_int_le(max_age(&a), 10);
	flow_advance(f, 9);
	a = get(f, JWKS);
	ck_assert_int_eq(max_age(&a), 1);
	flow_free(f);
}
END_TEST

START_TEST(stale_times_of_zero_are_left_out)
{
	static const char *const sets[] = { "keys.rotate_every=2s", "keys.jwks_max_age=1s",
					    "keys.clock_skew=0", NULL };
	struct flow *f = flow_new(sets);
	const struct answer a = get(f, JWKS);

	ck_assert_str(answer_header(&a, "Cache-Control"), "public, max-age=1");
	flow_free(f);
}
END_TEST

START_TEST(present_etag_is_answered_304_with_the_same_headers)
{
	struct flow *f = flow_new(NULL);
	const struct answer full = get(f, JWKS);
	const char *etag = answer_header(&full, "ETag").p;
	char list[128], weak[64];
	const char *const held[] = { etag, list, weak, "*" };

	snprintf(list, sizeof(list), "\"x\", %s", etag);
	snprintf(weak, sizeof(weak), "W/%s", etag);
	for (size_t i = 0; i < COUNT(held); i++) {
		const struct answer a = get_as(f, JWKS, NULL, held[i]);

		ck_assert_int_eq(a.status, 304);
		ck_assert_uint_eq(a.body.n, 0);
		ck_assert_int_ge(max_age(&a), MAX_AGE * 8 / 10);
		ck_assert_str(answer_header(&a, "ETag"), etag);
		ck_assert_str(answer_header(&a, "Vary"), "Accept");
		ck_assert_str(answer_header(&a, "Access-Control-Allow-Origin"), "*");
	}
	ck_assert_int_eq(get_as(f, JWKS, NULL, "\"x\"").status, 200);
	flow_free(f);
}
END_TEST

START_TEST(head_is_answered_like_get)
{
	struct flow *f = flow_new(NULL);
	const struct answer get_it = get(f, JWKS);
	const struct answer head = flow_send(
		f, &(struct ask){ .method = METHOD_HEAD, .target = JWKS });

	/* the body is for its length; HTTP leaves it out */
	ck_assert_int_eq(head.status, 200);
	ck_assert_str_eq(head.content_type, get_it.content_type);
	ck_assert_uint_eq(head.header_count, get_it.header_count);
	ck_assert(str_equal(answer_header(&head, "ETag"), answer_header(&get_it, "ETag")));
	flow_free(f);
}
END_TEST

START_TEST(own_media_type_is_for_those_who_name_it)
{
	static const struct {
		const char *accept;
		bool own;
	} rows[] = {
		{ NULL, false },
		{ "", false },
		{ "*/*", false },
		{ "application/*", false },
		{ "application/json", false },
		{ JWK_SET, true },
		{ "Application/JWK-Set+JSON", true },
		{ "application/json, " JWK_SET, true },
		{ JWK_SET ";q=0.9, application/json", false },
		{ JWK_SET ", application/json;q=0.9", true },
		{ JWK_SET "; q=0.5 , application/json;q=0.5", true },
		{ JWK_SET ";q=0", false },
		{ JWK_SET ";q=0.000, */*", false },
		{ JWK_SET ";q=0.001", true },
		{ JWK_SET ";q=x", false },
		{ "text/html, " JWK_SET ";q=0.2, */*;q=0.1", true },
		{ JWK_SET "x", false },
		{ ",,;,", false },
	};
	struct flow *f = flow_new(NULL);
	const struct answer plain = get(f, JWKS);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = get_as(f, JWKS, rows[i].accept, NULL);

		ck_assert_int_eq(a.status, 200);
		ck_assert_msg(!strcmp(a.content_type, JWK_SET) == rows[i].own, "row %zu: %s", i,
			      a.content_type);
		ck_assert(str_equal(a.body, plain.body));
		/* two representations never share a strong validator */
		ck_assert_int_eq(
			str_equal(answer_header(&a, "ETag"), answer_header(&plain, "ETag")),
			!rows[i].own);
	}
	flow_free(f);
}
END_TEST

/* ---- views ---- */

static size_t key_count(const struct answer *a)
{
	return json_len(json_get(a->json, "keys"));
}

START_TEST(views_hold_one_algorithm_each_and_have_etags_of_their_own)
{
	static const struct {
		const char *target;
		size_t keys;
	} rows[] = {
		{ JWKS, 4 },
		{ JWKS "?", 4 },
		{ JWKS "?alg=ES256", 2 },
		{ JWKS "?alg=RS256", 2 },
		{ JWKS "?kty=EC", 2 },
		{ JWKS "?kty=RSA", 2 },
		{ JWKS "?k%74y=R%53A", 2 },
	};
	struct flow *f = flow_new(both_algs);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = get(f, rows[i].target);

		ck_assert_msg(a.status == 200, "%s: %s", rows[i].target, a.why);
		ck_assert_uint_eq(key_count(&a), rows[i].keys);
		ck_assert_int_eq(
			get_as(f, rows[i].target, NULL, answer_header(&a, "ETag").p).status, 304);
		ck_assert_int_eq(get_as(f, i < 2 ? JWKS "?alg=ES256" : JWKS, NULL,
					answer_header(&a, "ETag").p)
					 .status,
				 200);
	}
	flow_free(f);
}
END_TEST

START_TEST(any_other_query_is_400)
{
	static const char *const queries[] = {
		"alg=RS256", /* not configured */
		"kty=RSA",
		"alg=",
		"alg",
		"alg=es256",
		"alg=none",
		"alg=ES256&alg=ES256",
		"alg=ES256&alg=RS256",
		"alg=ES256&kty=EC",
		"kty=EC&x=y",
		"x=y",
		"x",
		"kid=1",
		"alg=%zz",
		"alg=ES256%00",
		"ALG=ES256",
	};
	struct flow *f = flow_new(NULL);

	for (size_t i = 0; i < COUNT(queries); i++) {
		char target[128];
		struct answer a;

		snprintf(target, sizeof(target), JWKS "?%s", queries[i]);
		a = get(f, target);
		ck_assert_msg(a.status == 400, "%s: %d", target, a.status);
		ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	}
	flow_free(f);
}
END_TEST

/* As an emergency does it that found no standby. */
static void revoke_all(struct flow *f)
{
	struct key_row *rows;
	size_t count;

	ck_assert_int_eq(store_keys(f->store.db, f->arena, &rows, &count), ERR_OK);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(store_key_revoke(f->store.db, str_z(rows[i].info.kid),
						  f->app.env->now(f->app.env)),
				 ERR_OK);
}

START_TEST(after_an_emergency_without_a_standby_the_set_is_empty_and_short_lived)
{
	struct flow *f = flow_new(NULL);
	struct key_rows rows;
	struct keyring_view *v;
	struct answer a;

	revoke_all(f);
	ck_assert_int_eq(key_rows_new(&rows), ERR_OK);
	ck_assert_int_eq(key_rows_read(f->store.db, &rows), ERR_OK);
	ck_assert_int_eq(keyring_view_new(&rows, ALG_ES256, FIXTURE_NOW, &v), ERR_OK);
	keyring_view_put(f->app.keyring, v);
	flow_changed(f);
	a = get(f, JWKS);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str(a.body, "{\"keys\":[]}");
	ck_assert_str(answer_header(&a, "Cache-Control"), "public, max-age=1");
	a = get(f, JWKS "?alg=ES256");
	ck_assert_int_eq(a.status, 503);
	ck_assert_str(answer_header(&a, "Retry-After"), "1");
	ck_assert_int_eq(get(f, JWKS "?alg=RS256").status, 400);
	ck_assert_int_eq(get(f, "/readyz").status, 503);
	flow_free(f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		answer_may_be_kept_and_read_by_anybody,
		max_age_is_spread_over_a_fifth,
		max_age_ends_at_the_next_change_and_is_never_zero,
		stale_times_of_zero_are_left_out,
		present_etag_is_answered_304_with_the_same_headers,
		head_is_answered_like_get,
		own_media_type_is_for_those_who_name_it,
		views_hold_one_algorithm_each_and_have_etags_of_their_own,
		any_other_query_is_400,
		after_an_emergency_without_a_standby_the_set_is_empty_and_short_lived,
	};

	return suite_run("jwks", tests, COUNT(tests));
}
