/* The revocation feed, read by a verifier (lib/verify/feed.h): lists signed by a test key. */
#include <stdio.h>

#include "base/limits.h"
#include "tests/helpers/fake_issuer.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define FEED_KEY KEY_EC_2
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\",\"kid\":\"feed1\"}"
#define JTI1 "{\"kind\":\"jti\",\"value\":\"j1\",\"until\":1800009999}"
#define JTI2 "{\"kind\":\"jti\",\"value\":\"j2\",\"until\":1800009999}"

static struct fake_issuer f;
static struct chancery *v;

static void set_list(const char *header, const char *payload)
{
	fake_issuer_set(&f, FAKE_FEED, signed_token(FEED_KEY, header, payload), "");
}

/* A list as the issuer writes it now. */
static void publish(const char *epoch, const char *cursor, bool full, const char *entries)
{
	int64_t now = atomic_load(&f.now);
	char payload[2000];

	snprintf(payload, sizeof(payload),
		 "{\"iss\":\"" FAKE_ISSUER "\",\"iat\":%lld,\"exp\":%lld,\"epoch\":\"%s\","
		 "\"cursor\":\"%s\",\"full\":%s,\"entries\":[%s]}",
		 (long long)now, (long long)now + 300, epoch, cursor, full ? "true" : "false",
		 entries);
	set_list(HEADER, payload);
}

static void set_up(void)
{
	struct chancery_options o;

	fake_issuer_init(&f);
	fake_issuer_set(&f, FAKE_FEED_JWKS, fake_set(FEED_KEY, "feed1"), "");
	publish("e1", "e1.0", true, "");
	o = fake_options(&f);
	o.feed = "";
	o.feed_max_staleness = 60;
	v = fake_verifier(&o);
}

static void tear_down(void)
{
	chancery_free(v);
	fake_issuer_done(&f);
}

static size_t asked(void)
{
	return atomic_load(&f.documents[FAKE_FEED].asked);
}

static const char *query(void)
{
	return f.documents[FAKE_FEED].query;
}

static enum chancery_verdict judge(const char *claims)
{
	char *token = fake_token(&f, KEY_EC_1, "ec1", claims);
	enum chancery_verdict verdict = fake_judge(v, token);

	free(token);
	return verdict;
}

static void later(int64_t seconds)
{
	atomic_fetch_add(&f.now, seconds);
}

static struct chancery_status status(void)
{
	struct chancery_status s = { .size = sizeof(s) };

	chancery_status(v, &s);
	return s;
}

START_TEST(a_revoked_token_is_refused_within_the_interval)
{
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	publish("e1", "e1.1", true, JTI1);
	later(4);
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	ck_assert_uint_eq(asked(), 1);
	later(1);
	ck_assert_int_eq(judge(NULL), CHANCERY_REVOKED);
	ck_assert_uint_eq(asked(), 2);
	ck_assert_uint_eq(status().revoked, 1);
}
END_TEST

/* What an entry ends: the token's own names, its key, and issuers' ends of accounts up to a time.
 */
START_TEST(every_kind_of_entry_ends_what_it_names)
{
	static const struct {
		const char *entry;
		enum chancery_verdict verdict;
	} rows[] = {
		{ "\"kind\":\"jti\",\"value\":\"j1\"", CHANCERY_REVOKED },
		{ "\"kind\":\"jti\",\"value\":\"J1\"", CHANCERY_OK },
		{ "\"kind\":\"sid\",\"value\":\"s1\"", CHANCERY_REVOKED },
		{ "\"kind\":\"sid\",\"value\":\"j1\"", CHANCERY_OK },
		{ "\"kind\":\"kid\",\"value\":\"ec1\"", CHANCERY_REVOKED },
		{ "\"kind\":\"kid\",\"value\":\"ec2\"", CHANCERY_OK },
		{ "\"kind\":\"client\",\"value\":\"shop\",\"before\":1800000000",
		  CHANCERY_REVOKED },
		{ "\"kind\":\"client\",\"value\":\"shop\",\"before\":1799999999", CHANCERY_OK },
		{ "\"kind\":\"user\",\"value\":\"alice\",\"before\":1800000001", CHANCERY_REVOKED },
		{ "\"kind\":\"user\",\"value\":\"shop\",\"before\":1800000001", CHANCERY_OK },
		{ "\"kind\":\"api\",\"value\":\"" FAKE_AUDIENCE "\",\"before\":1800000000",
		  CHANCERY_REVOKED },
		{ "\"kind\":\"api\",\"value\":\"other\",\"before\":1800000000", CHANCERY_REVOKED },
		{ "\"kind\":\"api\",\"value\":\"third\"", CHANCERY_OK },
	};
	char *token = signed_token(KEY_EC_1,
				   "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"ec1\"}",
				   "{\"iss\":\"" FAKE_ISSUER "\",\"aud\":[\"" FAKE_AUDIENCE
				   "\",\"other\"],\"sub\":\"alice\",\"client_id\":\"shop\",\"sid\":"
				   "\"s1\",\"jti\":\"j1\",\"iat\":1800000000,\"exp\":1800001000}");

	for (size_t i = 0; i < COUNT(rows); i++) {
		char entry[300];
		enum chancery_verdict verdict;

		snprintf(entry, sizeof(entry), "{%s,\"until\":1800009999}", rows[i].entry);
		publish("e1", "e1.1", true, entry);
		later(5);
		verdict = fake_judge(v, token);
		ck_assert_msg(verdict == rows[i].verdict, "%s: %s", entry,
			      chancery_verdict_text(verdict));
	}
	free(token);
}
END_TEST

START_TEST(what_is_new_comes_on_top_of_what_there_was)
{
	publish("e1", "e1.1", true, JTI1);
	ck_assert_int_eq(judge(NULL), CHANCERY_REVOKED);
	ck_assert_str_eq(query(), "");
	publish("e1", "e1.2", false,
		JTI2 ",{\"kind\":\"user\",\"value\":\"bob\",\"before\":5,\"until\":1800000010},"
		     "{\"kind\":\"user\",\"value\":\"bob\",\"before\":9,\"until\":1800000010}");
	later(5);
	ck_assert_int_eq(judge(NULL), CHANCERY_REVOKED);
	ck_assert_str_eq(query(), "?since=e1.1");
	ck_assert_uint_eq(status().revoked, 3);
	/* bob's is over, and forgotten; nothing else is */
	publish("e1", "e1.3", false, "");
	later(80);
	ck_assert_int_eq(judge(NULL), CHANCERY_REVOKED);
	ck_assert_str_eq(query(), "?since=e1.2");
	ck_assert_uint_eq(status().revoked, 2);
	/* another epoch: all of it, and nothing of the old */
	publish("e2", "e2.1", true, "");
	later(5);
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	ck_assert_uint_eq(status().revoked, 0);
}
END_TEST

/* A list that goes on from another one than ours has a gap before it. */
START_TEST(a_part_that_does_not_fit_makes_the_next_look_take_all)
{
	publish("e1", "e1.1", true, JTI1);
	ck_assert_int_eq(judge(NULL), CHANCERY_REVOKED);
	publish("e2", "e2.5", false, JTI2);
	later(5);
	ck_assert_int_eq(judge(NULL), CHANCERY_REVOKED);
	ck_assert_str_eq(query(), "?since=e1.1");
	publish("e2", "e2.5", true, JTI2);
	later(5);
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	ck_assert_str_eq(query(), "");
}
END_TEST

START_TEST(a_first_answer_that_is_a_part_is_no_list)
{
	publish("e1", "e1.1", false, "");
	ck_assert_int_eq(judge(NULL), CHANCERY_UNDECIDED);
}
END_TEST

START_TEST(an_old_list_decides_nothing)
{
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	atomic_store(&f.away, true);
	later(60);
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	ck_assert_int_eq(status().feed_age, 60);
	later(1);
	ck_assert_int_eq(judge(NULL), CHANCERY_UNDECIDED);
	/* what is bad for another reason is bad */
	ck_assert_int_eq(judge("\"nbf\":1900000000"), CHANCERY_NOT_YET);
	atomic_store(&f.away, false);
	publish("e1", "e1.0", true, "");
	later(5);
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
}
END_TEST

/* 304 says that it is still this one; its own end holds all the same. */
START_TEST(an_unchanged_list_stays_fresh_until_it_ends)
{
	f.documents[FAKE_FEED].etag = "\"a\"";
	/* of one URL: the first look has no cursor, the second another URL than the first */
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	later(5);
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	ck_assert_uint_eq(atomic_load(&f.documents[FAKE_FEED].unchanged), 0);
	for (int i = 0; i < 4; i++) {
		later(60);
		ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	}
	ck_assert_uint_eq(atomic_load(&f.documents[FAKE_FEED].unchanged), 4);
	later(55);
	ck_assert_int_eq(status().feed_age, 55);
	ck_assert_int_eq(judge(NULL), CHANCERY_UNDECIDED);
}
END_TEST

START_TEST(a_list_that_is_not_what_it_must_be_is_not_taken)
{
#define TIMES "\"iat\":1800000000,\"exp\":1800000300"
#define NAMES "\"epoch\":\"e1\",\"cursor\":\"e1.9\",\"full\":true"
#define LIST(members) "{\"iss\":\"" FAKE_ISSUER "\"," members "}"
#define ENTRY(entry) LIST(TIMES "," NAMES ",\"entries\":[" entry "]")
	static const struct {
		const char *header, *payload;
	} rows[] = {
		{ "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"feed1\"}", ENTRY("") },
		{ "{\"alg\":\"ES256\",\"kid\":\"feed1\"}", ENTRY("") },
		{ "{\"alg\":\"RS256\",\"typ\":\"revocations+jwt\",\"kid\":\"feed1\"}", ENTRY("") },
		{ "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\",\"kid\":\"ec1\"}", ENTRY("") },
		{ "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\"}", ENTRY("") },
		{ HEADER, "[]" },
		{ HEADER, "{}" },
		{ HEADER,
		  "{\"iss\":\"https://other.example\"," TIMES "," NAMES ",\"entries\":[]}" },
		{ HEADER, LIST("\"iat\":1800000000,\"exp\":1800000000," NAMES ",\"entries\":[]") },
		{ HEADER, LIST("\"iat\":1800000001,\"exp\":1800000300," NAMES ",\"entries\":[]") },
		{ HEADER, LIST(TIMES "," NAMES) },
		{ HEADER, LIST(TIMES "," NAMES ",\"entries\":{}") },
		{ HEADER, LIST(TIMES ",\"cursor\":\"x\",\"full\":true,\"entries\":[]") },
		{ HEADER,
		  LIST(TIMES ",\"epoch\":\"e\",\"cursor\":\"\",\"full\":true,\"entries\":[]") },
		{ HEADER,
		  LIST(TIMES ",\"epoch\":\"e\",\"cursor\":\"a&b\",\"full\":true,\"entries\":[]") },
		{ HEADER, LIST(TIMES ",\"epoch\":\"e\",\"cursor\":\"c\",\"entries\":[]") },
		{ HEADER, ENTRY("{\"kind\":\"device\",\"value\":\"x\",\"until\":1}") },
		{ HEADER, ENTRY("{\"kind\":\"jti\",\"value\":\"\",\"until\":1}") },
		{ HEADER, ENTRY("{\"kind\":\"jti\",\"value\":7,\"until\":1}") },
		{ HEADER, ENTRY("{\"kind\":\"jti\",\"value\":\"x\"}") },
		{ HEADER,
		  ENTRY("{\"kind\":\"jti\",\"value\":\"x\",\"until\":1,\"before\":\"1\"}") },
		{ HEADER, ENTRY("\"jti\"") },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct chancery_options o = fake_options(&f);

		chancery_free(v);
		o.feed = "";
		o.feed_max_staleness = 60;
		v = fake_verifier(&o);
		set_list(rows[i].header, rows[i].payload);
		ck_assert_msg(judge(NULL) == CHANCERY_UNDECIDED, "%s.%s was taken", rows[i].header,
			      rows[i].payload);
		ck_assert_uint_eq(status().failures, 1);
	}
	set_list(HEADER, ENTRY(""));
	later(5);
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
}
END_TEST

START_TEST(a_list_of_somebody_else_is_not_taken)
{
	char *stranger = signed_token(KEY_EC_1, HEADER, ENTRY(""));
	char *token;

	fake_issuer_set(&f, FAKE_FEED, stranger, "");
	ck_assert_int_eq(judge(NULL), CHANCERY_UNDECIDED);
	/* nor do the feed's keys verify tokens */
	publish("e1", "e1.1", true, "");
	later(5);
	token = fake_token(&f, FEED_KEY, "feed1", NULL);
	ck_assert_int_eq(fake_judge(v, token), CHANCERY_UNKNOWN_KEY);
	free(token);
}
END_TEST

START_TEST(the_feeds_keys_turn_over)
{
	ck_assert_int_eq(judge(NULL), CHANCERY_OK);
	fake_issuer_set(&f, FAKE_FEED_JWKS, fake_set2(FEED_KEY, "feed1", KEY_EC_1, "feed2"), "");
	fake_issuer_set(&f, FAKE_FEED,
			signed_token(KEY_EC_1,
				     "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\",\"kid\":"
				     "\"feed2\"}",
				     ENTRY(JTI1)),
			"");
	later(30);
	ck_assert_int_eq(judge(NULL), CHANCERY_REVOKED);
	ck_assert_uint_eq(atomic_load(&f.documents[FAKE_FEED_JWKS].asked), 2);
}
END_TEST

START_TEST(a_token_without_jti_cannot_be_looked_up)
{
	char *token = signed_token(KEY_EC_1,
				   "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"ec1\"}",
				   "{\"iss\":\"" FAKE_ISSUER "\",\"aud\":\"" FAKE_AUDIENCE
				   "\",\"sub\":\"alice\",\"iat\":1800000000,\"exp\":1800001000}");
	struct chancery_options o = fake_options(&f);

	ck_assert_int_eq(fake_judge(v, token), CHANCERY_MISSING_CLAIM);
	chancery_free(v);
	v = fake_verifier(&o);
	ck_assert_int_eq(fake_judge(v, token), CHANCERY_OK);
	free(token);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_revoked_token_is_refused_within_the_interval,
		every_kind_of_entry_ends_what_it_names,
		what_is_new_comes_on_top_of_what_there_was,
		a_part_that_does_not_fit_makes_the_next_look_take_all,
		a_first_answer_that_is_a_part_is_no_list,
		an_old_list_decides_nothing,
		an_unchanged_list_stays_fresh_until_it_ends,
		a_list_that_is_not_what_it_must_be_is_not_taken,
		a_list_of_somebody_else_is_not_taken,
		the_feeds_keys_turn_over,
		a_token_without_jti_cannot_be_looked_up,
	};
	TCase *all = tcase_create("feed");

	tcase_add_checked_fixture(all, set_up, tear_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	return suite_run_case("verifier_feed", all);
}
