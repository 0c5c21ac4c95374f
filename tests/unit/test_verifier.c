/* chancery.h over a fake issuer: what is judged how, and when the issuer is asked for its keys. */
#include <stdio.h>

#include "tests/helpers/fake_issuer.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static struct fake_issuer f;
static struct chancery_options options;

static void set_up(void)
{
	fake_issuer_init(&f);
	options = fake_options(&f);
}

static void tear_down(void)
{
	fake_issuer_done(&f);
}

static size_t asked(void)
{
	return atomic_load(&f.documents[FAKE_JWKS].asked);
}

static void advance(int64_t seconds)
{
	atomic_fetch_add(&f.now, seconds);
}

static enum chancery_verdict judge_new(struct chancery *v, const char *pem, const char *kid,
				       const char *claims)
{
	char *token = fake_token(&f, pem, kid, claims);
	enum chancery_verdict verdict = fake_judge(v, token);

	free(token);
	return verdict;
}

static const char *new_with(struct chancery_options o)
{
	struct chancery *v = NULL;
	const char *wrong = chancery_new(&o, &v);

	ck_assert((wrong == NULL) == (v != NULL));
	chancery_free(v);
	return wrong;
}

START_TEST(a_good_token_is_taken_and_its_claims_are_told)
{
	struct chancery *v = fake_verifier(&options);
	char *token = fake_token(&f, KEY_EC_1, "ec1",
				 "\"scope\":\"read write\",\"roles\":[\"a\",\"b c\"],\"n\":2.9,"
				 "\"other\":\"x y\",\"deep\":{\"sub\":\"mallory\"}");
	struct chancery_claims *c = NULL;
	int64_t number = 7;
	size_t n = 0;

	ck_assert_int_eq(chancery_verify(v, token, strlen(token), NULL, &c), CHANCERY_OK);
	ck_assert_str_eq(chancery_claims_text(c, "sub", &n), "alice");
	ck_assert_uint_eq(n, 5);
	ck_assert_ptr_null(chancery_claims_text(c, "exp", NULL));
	ck_assert_ptr_null(chancery_claims_text(c, "nothing", NULL));
	ck_assert(chancery_claims_number(c, "exp", &number) && number == FAKE_NOW + 300);
	ck_assert(chancery_claims_number(c, "n", &number) && number == 2);
	ck_assert(!chancery_claims_number(c, "sub", &number) && number == 2);
	ck_assert(chancery_claims_have(c, "scope", "write"));
	ck_assert(!chancery_claims_have(c, "scope", "writ"));
	ck_assert(!chancery_claims_have(c, "scope", "read write"));
	ck_assert(!chancery_claims_have(c, "scope", ""));
	ck_assert(chancery_claims_have(c, "roles", "b c"));
	ck_assert(!chancery_claims_have(c, "roles", "b"));
	ck_assert(chancery_claims_have(c, "other", "x y"));
	ck_assert(!chancery_claims_have(c, "other", "x"));
	ck_assert(chancery_claims_have(c, "aud", FAKE_AUDIENCE));
	ck_assert(!chancery_claims_have(c, "nothing", "x"));
	ck_assert_uint_eq(strlen(chancery_claims_json(c, &n)), n);
	ck_assert_int_eq(chancery_claims_json(c, NULL)[0], '{');
	chancery_claims_free(c);
	chancery_claims_free(NULL);
	free(token);
	ck_assert_int_eq(judge_new(v, KEY_RSA_2048, "rsa1", NULL), CHANCERY_OK);
	ck_assert_uint_eq(asked(), 1);
	chancery_free(v);
	chancery_free(NULL);
}
END_TEST

/* Missing means no: none of these starts. */
START_TEST(options_that_leave_a_door_open_are_refused)
{
#define WITH(...)                                                                                  \
	({                                                                                         \
		struct chancery_options o = options;                                               \
		__VA_ARGS__;                                                                       \
		o;                                                                                 \
	})
	const struct chancery_options bad[] = {
		WITH(o.size = 0),
		WITH(o.size = sizeof(o) + 8),
		WITH(o.issuer = NULL),
		WITH(o.issuer = ""),
		WITH(o.audience = NULL),
		WITH(o.audience = ""),
		WITH(o.algorithms = 0),
		WITH(o.algorithms = 1u << 30),
		WITH(o.algorithms = CHANCERY_HS256),
		WITH(o.secret = SECRET, o.secret_len = 32),
		WITH(o.algorithms = CHANCERY_HS256, o.secret = SECRET, o.secret_len = 32),
		WITH(o.algorithms = CHANCERY_HS256, o.fetch = NULL, o.secret = SECRET,
		     o.secret_len = 31),
		WITH(o.algorithms = CHANCERY_HS256, o.fetch = NULL, o.secret = SECRET,
		     o.secret_len = 32, o.former_secret = SECRET),
		WITH(o.algorithms = CHANCERY_HS256 | CHANCERY_ES256, o.secret = SECRET,
		     o.secret_len = 32),
		WITH(o.skew = -1),
		WITH(o.skew = 61),
		WITH(o.fetch = NULL),
		WITH(o.cooldown = 1),
		WITH(o.cooldown = 3601),
		WITH(o.keys_max_staleness = 59),
		WITH(o.jwks = "{\"keys\":[]}"),
		WITH(o.jwks = "x"),
		WITH(o.feed = ""),
		WITH(o.feed = "", o.feed_max_staleness = 5),
		WITH(o.feed = "", o.feed_max_staleness = 86401),
		WITH(o.feed = "https://x?y", o.feed_max_staleness = 60),
		WITH(o.feed_max_staleness = 60),
		WITH(o.feed = "", o.feed_max_staleness = 60, o.feed_interval = -1),
	};
#undef WITH

	ck_assert_ptr_null(new_with(options));
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(new_with(bad[i]) != NULL, "row %zu was taken", i);
	ck_assert_ptr_nonnull(chancery_new(NULL, NULL));
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* What the issuer may publish is one thing, what the caller takes another. */
START_TEST(an_algorithm_is_pinned_by_the_caller_and_by_the_key)
{
	struct chancery *v;
	char *token;

	options.algorithms = CHANCERY_ES256;
	v = fake_verifier(&options);
	ck_assert_int_eq(judge_new(v, KEY_RSA_2048, "rsa1", NULL), CHANCERY_WRONG_ALGORITHM);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	chancery_free(v);
	options.algorithms = CHANCERY_ES256 | CHANCERY_RS256;
	v = fake_verifier(&options);
	token = signed_token(KEY_RSA_2048, "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"ec1\"}",
			     "{}");
	ck_assert_int_eq(fake_judge(v, token), CHANCERY_WRONG_ALGORITHM);
	free(token);
	chancery_free(v);
}
END_TEST

START_TEST(a_flood_of_unknown_kids_makes_one_fetch_a_cooldown)
{
	struct chancery *v = fake_verifier(&options);

	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	ck_assert_uint_eq(asked(), 1);
	advance(30);
	for (int i = 0; i < 300; i++) {
		char kid[32];

		snprintf(kid, sizeof(kid), "random-%d", i);
		ck_assert_int_eq(judge_new(v, KEY_EC_2, kid, NULL), CHANCERY_UNKNOWN_KEY);
		if (i == 149)
			advance(29);
	}
	ck_assert_uint_eq(asked(), 2);
	advance(1);
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "more", NULL), CHANCERY_UNKNOWN_KEY);
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "and more", NULL), CHANCERY_UNKNOWN_KEY);
	ck_assert_uint_eq(asked(), 3);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	chancery_free(v);
}
END_TEST

/* What is not even of a kind we take asks nobody anything. */
START_TEST(what_is_no_token_makes_no_fetch_for_its_kid)
{
	struct chancery *v = fake_verifier(&options);
	char *token = hmac_token(STR("k"), "{\"alg\":\"HS256\",\"kid\":\"x\"}", "{}");

	ck_assert_int_eq(fake_judge(v, ""), CHANCERY_MALFORMED);
	ck_assert_int_eq(fake_judge(v, "a.b.c"), CHANCERY_MALFORMED);
	ck_assert_int_eq(fake_judge(v, token), CHANCERY_UNSUPPORTED);
	ck_assert_uint_eq(asked(), 0);
	free(token);
	chancery_free(v);
}
END_TEST

START_TEST(tokens_verify_while_the_issuer_is_away_but_not_for_ever)
{
	struct chancery *v = fake_verifier(&options);
	struct chancery_status s = { .size = sizeof(s) };

	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	atomic_store(&f.away, true);
	for (int hour = 0; hour < 24; hour++) {
		ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
		advance(3600);
	}
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	chancery_status(v, &s);
	ck_assert_int_eq(s.keys_age, 86400);
	ck_assert_uint_eq(s.failures, s.fetches - 1);
	ck_assert_str_eq(s.last_failure, "the issuer does not answer");
	/* nobody knows whether there is such a key */
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "new", NULL), CHANCERY_UNDECIDED);
	advance(1);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_UNDECIDED);
	atomic_store(&f.away, false);
	advance(30);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	chancery_free(v);
}
END_TEST

/* While it is away it is asked once in a cool-down, not by every request. */
START_TEST(an_issuer_that_is_away_from_the_start_is_asked_now_and_then)
{
	struct chancery *v = fake_verifier(&options);

	atomic_store(&f.away, true);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_UNDECIDED);
	ck_assert_uint_eq(asked(), 1);
	advance(30);
	atomic_store(&f.away, false);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	ck_assert_uint_eq(asked(), 2);
	chancery_free(v);
}
END_TEST

START_TEST(the_set_is_fetched_ahead_of_its_end_and_304_renews_it)
{
	struct chancery *v = fake_verifier(&options);

	ck_assert_int_eq(chancery_tend(v), 720);
	advance(719);
	ck_assert_int_eq(chancery_tend(v), 1);
	ck_assert_uint_eq(asked(), 1);
	advance(1);
	ck_assert_int_eq(chancery_tend(v), 720);
	ck_assert_uint_eq(asked(), 2);
	ck_assert_uint_eq(atomic_load(&f.documents[FAKE_JWKS].unchanged), 1);
	advance(720);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	ck_assert_uint_eq(atomic_load(&f.documents[FAKE_JWKS].unchanged), 2);
	chancery_free(v);
}
END_TEST

START_TEST(a_max_age_is_held_within_a_minute_and_a_day)
{
	static const struct {
		int64_t max_age, due;
	} rows[] = { { 1, 48 }, { 0, 720 }, { -5, 720 }, { 1000, 800 }, { INT64_MAX, 69120 } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct chancery *v = fake_verifier(&options);

		f.documents[FAKE_JWKS].max_age = rows[i].max_age;
		ck_assert_int_eq(chancery_tend(v), rows[i].due);
		chancery_free(v);
	}
}
END_TEST

START_TEST(a_rotation_is_followed_and_a_key_that_is_gone_is_good_no_more)
{
	struct chancery *v = fake_verifier(&options);

	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	advance(60);
	fake_issuer_set(&f, FAKE_JWKS, fake_set2(KEY_EC_1, "ec1", KEY_EC_2, "ec2"), "\"two\"");
	/* an emergency: nobody was told of this key before */
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "ec2", NULL), CHANCERY_OK);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	ck_assert_uint_eq(asked(), 2);
	fake_issuer_set(&f, FAKE_JWKS, fake_set(KEY_EC_2, "ec2"), "\"three\"");
	advance(720);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_UNKNOWN_KEY);
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "ec2", NULL), CHANCERY_OK);
	ck_assert_uint_eq(asked(), 3);
	chancery_free(v);
}
END_TEST

START_TEST(a_set_that_turns_bad_leaves_the_old_one)
{
	static const char *const bad[] = { "",
					   "x",
					   "{}",
					   "{\"keys\":[]}",
					   "{\"keys\":{}}",
					   "<html>",
					   "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}" };
	struct chancery *v = fake_verifier(&options);
	struct chancery_status s = { .size = sizeof(s) };

	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	for (size_t i = 0; i < COUNT(bad); i++) {
		fake_issuer_set(&f, FAKE_JWKS, strdup(bad[i]), "\"bad\"");
		advance(720);
		ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
		chancery_status(v, &s);
		ck_assert_uint_eq(s.failures, i + 1);
		ck_assert_uint_eq(s.keys, 2);
	}
	f.documents[FAKE_JWKS].status = 500;
	advance(720);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	/* and its ETag is not taken for the one of what we have */
	f.documents[FAKE_JWKS].status = 0;
	advance(720);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	ck_assert_uint_eq(atomic_load(&f.documents[FAKE_JWKS].unchanged), 0);
	chancery_free(v);
}
END_TEST

START_TEST(a_304_that_nobody_asked_for_is_no_answer)
{
	struct chancery *v = fake_verifier(&options);

	f.documents[FAKE_JWKS].status = 304;
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_UNDECIDED);
	chancery_free(v);
}
END_TEST

START_TEST(keys_may_be_given_instead_of_fetched)
{
	char *set = fake_set(KEY_EC_1, "ec1");
	struct chancery *v;

	options.fetch = NULL;
	options.jwks = set;
	v = fake_verifier(&options);
	free(set);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "ec2", NULL), CHANCERY_UNKNOWN_KEY);
	advance(365 * 86400);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	ck_assert_int_ge(chancery_tend(v), 1);
	ck_assert_uint_eq(asked(), 0);
	chancery_free(v);
}
END_TEST

START_TEST(a_deferred_verifier_fetches_in_tend_alone)
{
	struct chancery *v;

	options.deferred = 1;
	v = fake_verifier(&options);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_UNDECIDED);
	ck_assert_uint_eq(asked(), 0);
	chancery_tend(v);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	advance(30);
	fake_issuer_set(&f, FAKE_JWKS, fake_set2(KEY_EC_1, "ec1", KEY_EC_2, "ec2"), "\"two\"");
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "ec2", NULL), CHANCERY_UNDECIDED);
	ck_assert_uint_eq(asked(), 1);
	chancery_tend(v);
	ck_assert_uint_eq(asked(), 2);
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "ec2", NULL), CHANCERY_OK);
	ck_assert_int_eq(judge_new(v, KEY_EC_2, "ec3", NULL), CHANCERY_UNKNOWN_KEY);
	chancery_free(v);
}
END_TEST

START_TEST(clocks_may_differ_by_the_skew_and_no_more)
{
	struct chancery *v;
	char *token = fake_token(&f, KEY_EC_1, "ec1", NULL);

	options.skew = 10;
	v = fake_verifier(&options);
	advance(309);
	ck_assert_int_eq(fake_judge(v, token), CHANCERY_OK);
	advance(1);
	ck_assert_int_eq(fake_judge(v, token), CHANCERY_EXPIRED);
	advance(-320);
	ck_assert_int_eq(fake_judge(v, token), CHANCERY_OK);
	advance(-1);
	ck_assert_int_eq(fake_judge(v, token), CHANCERY_NOT_YET);
	free(token);
	chancery_free(v);
}
END_TEST

/* ---- possession ---- */

static int holds_the_key(void *request, const char *cnf, size_t n)
{
	const char *wanted = request;

	ck_assert_uint_eq(strlen(cnf), n);
	return wanted && strcmp(wanted, cnf) == 0;
}

START_TEST(rfc7800_a_bound_token_is_nothing_without_its_proof)
{
	static const char *const bindings[] = { "\"cnf\":{\"jkt\":\"x\"}", "\"cnf\":{}",
						"\"cnf\":null", "\"cnf\":\"x\"", "\"cnf\":false" };
	struct chancery *v = fake_verifier(&options);
	struct chancery_claims *c = NULL;
	char *token = fake_token(&f, KEY_EC_1, "ec1", bindings[0]);
	char key[] = "{\"jkt\":\"x\"}";

	for (size_t i = 0; i < COUNT(bindings); i++)
		ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", bindings[i]), CHANCERY_UNPROVEN);
	chancery_free(v);
	options.proof = holds_the_key;
	v = fake_verifier(&options);
	ck_assert_int_eq(chancery_verify(v, token, strlen(token), NULL, &c), CHANCERY_UNPROVEN);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(chancery_verify(v, token, strlen(token), key, &c), CHANCERY_OK);
	chancery_claims_free(c);
	ck_assert_int_eq(judge_new(v, KEY_EC_1, "ec1", NULL), CHANCERY_OK);
	free(token);
	chancery_free(v);
}
END_TEST

START_TEST(every_verdict_has_a_sentence)
{
	for (int i = CHANCERY_OK; i <= CHANCERY_UNREADABLE; i++) {
		const char *text = chancery_verdict_text((enum chancery_verdict)i);

		ck_assert_uint_gt(strlen(text), 10);
		ck_assert_str_ne(text, "unknown verdict");
	}
	ck_assert_str_eq(chancery_verdict_text((enum chancery_verdict)99), "unknown verdict");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_good_token_is_taken_and_its_claims_are_told,
		options_that_leave_a_door_open_are_refused,
		an_algorithm_is_pinned_by_the_caller_and_by_the_key,
		a_flood_of_unknown_kids_makes_one_fetch_a_cooldown,
		what_is_no_token_makes_no_fetch_for_its_kid,
		tokens_verify_while_the_issuer_is_away_but_not_for_ever,
		an_issuer_that_is_away_from_the_start_is_asked_now_and_then,
		the_set_is_fetched_ahead_of_its_end_and_304_renews_it,
		a_max_age_is_held_within_a_minute_and_a_day,
		a_rotation_is_followed_and_a_key_that_is_gone_is_good_no_more,
		a_set_that_turns_bad_leaves_the_old_one,
		a_304_that_nobody_asked_for_is_no_answer,
		keys_may_be_given_instead_of_fetched,
		a_deferred_verifier_fetches_in_tend_alone,
		clocks_may_differ_by_the_skew_and_no_more,
		rfc7800_a_bound_token_is_nothing_without_its_proof,
		every_verdict_has_a_sentence,
	};
	TCase *all = tcase_create("verifier");

	tcase_add_checked_fixture(all, set_up, tear_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	return suite_run_case("verifier", all);
}
