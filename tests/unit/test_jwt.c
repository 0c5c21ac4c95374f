/* lib/jose/jwt.h: which claims make a token valid (RFC 7519 4.1, RFC 9068 2.2 and 4). */
#include <stdio.h>

#include "jose/jwt.h"
#include "tests/unit/suite.h"

#define NOW 1800000000
#define ISS "https://id.example.com"
#define AUD "https://api.example.com"

/* Every claim but the one under test. */
#define C_ISS "\"iss\":\"" ISS "\""
#define C_SUB "\"sub\":\"alice\""
#define C_CLIENT "\"client_id\":\"web\""
#define C_JTI "\"jti\":\"j1\""
#define C_AUD "\"aud\":\"" AUD "\""
#define C_EXP "\"exp\":1800000100"
#define C_IAT "\"iat\":1799999900"
#define NAMES C_ISS "," C_SUB "," C_CLIENT "," C_JTI
#define GOOD "{" NAMES "," C_AUD "," C_EXP "," C_IAT "}"

static const struct jwt_expect expected = {
	.typ = { "at+jwt", 6 },
	.iss = { ISS, sizeof(ISS) - 1 },
	.aud = { AUD, sizeof(AUD) - 1 },
	.now = NOW,
	.skew = 30,
};

static enum jwt_verdict judge_with(const char *payload, const char *typ,
				   const struct jwt_expect *expect)
{
	struct jws jws = { .payload = str_z(payload), .typ = str_z(typ) };
	struct jwt jwt = { .claims = NULL };
	enum jwt_verdict v = jwt_check(&jws, expect, &jwt);
	bool told = v == JWT_OK || v == JWT_EXPIRED || v == JWT_NOT_YET || v == JWT_WRONG_AUDIENCE;

	ck_assert((jwt.claims != NULL) == told);
	jwt_done(&jwt);
	jwt_done(&jwt);
	return v;
}

static enum jwt_verdict judge(const char *payload)
{
	return judge_with(payload, "at+jwt", &expected);
}

struct row {
	const char *payload;
	enum jwt_verdict verdict;
};

static void assert_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		enum jwt_verdict v = judge(rows[i].payload);

		ck_assert_msg(v == rows[i].verdict, "%s: %s", rows[i].payload, jwt_verdict_text(v));
	}
}

START_TEST(a_good_token_is_taken_and_its_claims_are_told)
{
	struct jws jws = {
		.payload = STR("{" NAMES ",\"scope\":\"a b\",\"sid\":\"s\",\"aud\":[\"x\",\"" AUD
			       "\"]," C_EXP "," C_IAT ",\"nbf\":1799999870.75,\"roles\":[1]}"),
		.typ = STR("at+jwt"),
	};
	struct jwt jwt;

	ck_assert_int_eq(jwt_check(&jws, &expected, &jwt), JWT_OK);
	ck_assert(str_equal_z(jwt.iss, ISS) && str_equal_z(jwt.sub, "alice"));
	ck_assert(str_equal_z(jwt.client_id, "web") && str_equal_z(jwt.jti, "j1"));
	ck_assert(str_equal_z(jwt.scope, "a b") && str_equal_z(jwt.sid, "s"));
	ck_assert_uint_eq(jwt.aud_count, 2);
	ck_assert(str_equal_z(jwt.aud[1], AUD));
	ck_assert_int_eq(jwt.exp, 1800000100);
	ck_assert_int_eq(jwt.iat, 1799999900);
	ck_assert_int_eq(jwt.nbf, 1799999870);
	jwt_done(&jwt);
	ck_assert_int_eq(judge(GOOD), JWT_OK);
}
END_TEST

START_TEST(rfc9068_every_required_claim_is_required)
{
	static const struct row rows[] = {
		{ "{}", JWT_MISSING_CLAIM },
		{ "{" C_SUB "," C_CLIENT "," C_JTI "," C_AUD "," C_EXP "," C_IAT "}",
		  JWT_MISSING_CLAIM },
		{ "{" C_ISS "," C_CLIENT "," C_JTI "," C_AUD "," C_EXP "," C_IAT "}",
		  JWT_MISSING_CLAIM },
		{ "{" C_ISS "," C_SUB "," C_JTI "," C_AUD "," C_EXP "," C_IAT "}",
		  JWT_MISSING_CLAIM },
		{ "{" C_ISS "," C_SUB "," C_CLIENT "," C_AUD "," C_EXP "," C_IAT "}",
		  JWT_MISSING_CLAIM },
		{ "{" NAMES "," C_EXP "," C_IAT "}", JWT_MISSING_CLAIM },
		{ "{" NAMES "," C_AUD "," C_IAT "}", JWT_MISSING_CLAIM },
		{ "{" NAMES "," C_AUD "," C_EXP "}", JWT_MISSING_CLAIM },
		{ "{\"iss\":\"\"," C_SUB "," C_CLIENT "," C_JTI "," C_AUD "," C_EXP "," C_IAT "}",
		  JWT_MISSING_CLAIM },
		{ "{" C_ISS ",\"sub\":\"\"," C_CLIENT "," C_JTI "," C_AUD "," C_EXP "," C_IAT "}",
		  JWT_MISSING_CLAIM },
	};

	assert_rows(rows, COUNT(rows));
}
END_TEST

START_TEST(payloads_that_are_no_strict_json_object_are_malformed)
{
	static const struct row rows[] = {
		{ "", JWT_MALFORMED },
		{ "x", JWT_MALFORMED },
		{ "[]", JWT_MALFORMED },
		{ "\"a\"", JWT_MALFORMED },
		{ "{" NAMES "," C_AUD "," C_EXP "," C_IAT "," C_EXP "}", JWT_MALFORMED },
		{ "{" NAMES "," C_AUD "," C_EXP "," C_IAT ",\"x\":1,\"x\":2}", JWT_MALFORMED },
		{ "{" C_ISS ",\"sub\":7," C_CLIENT "," C_JTI "," C_AUD "," C_EXP "," C_IAT "}",
		  JWT_MALFORMED },
		{ "{\"iss\":[\"" ISS "\"]," C_SUB "," C_CLIENT "," C_JTI "," C_AUD "," C_EXP
		  "," C_IAT "}",
		  JWT_MALFORMED },
		{ "{" NAMES "," C_AUD "," C_EXP "," C_IAT ",\"scope\":[\"a\"]}", JWT_MALFORMED },
		{ "{" NAMES "," C_AUD "," C_EXP "," C_IAT ",\"sid\":null}", JWT_MALFORMED },
	};

	assert_rows(rows, COUNT(rows));
}
END_TEST

/* J5 */
START_TEST(times_are_numbers_from_0_to_2_to_the_53)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{ "1800000100", true },
		{ "1800000100.5", true },
		{ "1.8000001e9", true },
		{ "9007199254740991", true },
		{ "9007199254740992", false },
		{ "9.1e15", false },
		{ "1e308", false },
		{ "1e400", false },
		{ "9223372036854775807", false },
		{ "9223372036854775808", false },
		{ "-1", false },
		{ "-0.5", false },
		{ "-1e300", false },
		{ "\"1800000100\"", false },
		{ "true", false },
		{ "null", false },
		{ "[1800000100]", false },
		{ "{}", false },
		{ "NaN", false },
	};
	static const struct {
		const char *others, *name;
	} claims[] = {
		{ C_AUD "," C_IAT, "exp" },
		{ C_AUD "," C_EXP, "iat" },
		{ C_AUD "," C_EXP "," C_IAT, "nbf" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t k = 0; k < COUNT(claims); k++) {
			char payload[500];

			snprintf(payload, sizeof(payload), "{" NAMES ",%s,\"%s\":%s}",
				 claims[k].others, claims[k].name, rows[i].value);
			ck_assert_msg((judge(payload) != JWT_MALFORMED) == rows[i].good, "%s",
				      payload);
		}
	}
}
END_TEST

START_TEST(the_edges_of_a_tokens_life_allow_for_the_skew_and_no_more)
{
	static const struct row rows[] = {
		/* skew 30: now < exp + 30 */
		{ "{" NAMES "," C_AUD "," C_IAT ",\"exp\":1799999970}", JWT_EXPIRED },
		{ "{" NAMES "," C_AUD "," C_IAT ",\"exp\":1799999971}", JWT_OK },
		{ "{" NAMES "," C_AUD "," C_IAT ",\"exp\":1799999970.99}", JWT_EXPIRED },
		{ "{" NAMES "," C_AUD "," C_IAT ",\"exp\":0}", JWT_EXPIRED },
		{ "{" NAMES "," C_AUD "," C_EXP ",\"iat\":1800000030}", JWT_OK },
		{ "{" NAMES "," C_AUD "," C_EXP ",\"iat\":1800000031}", JWT_NOT_YET },
		{ "{" NAMES "," C_AUD "," C_EXP ",\"iat\":0}", JWT_OK },
		{ "{" NAMES "," C_AUD "," C_EXP "," C_IAT ",\"nbf\":1800000030}", JWT_OK },
		{ "{" NAMES "," C_AUD "," C_EXP "," C_IAT ",\"nbf\":1800000031}", JWT_NOT_YET },
	};

	assert_rows(rows, COUNT(rows));
}
END_TEST

START_TEST(a_skew_is_never_more_than_a_minute_nor_less_than_nothing)
{
	static const struct {
		int64_t skew, now;
		enum jwt_verdict verdict;
	} rows[] = {
		{ 3600, 1800000159, JWT_OK },		{ 3600, 1800000160, JWT_EXPIRED },
		{ INT64_MAX, 1800000160, JWT_EXPIRED }, { -10, 1800000099, JWT_OK },
		{ INT64_MIN, 1800000100, JWT_EXPIRED }, { 0, 1799999899, JWT_NOT_YET },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct jwt_expect e = expected;

		e.skew = rows[i].skew;
		e.now = rows[i].now;
		ck_assert_msg(judge_with(GOOD, "at+jwt", &e) == rows[i].verdict, "row %zu", i);
	}
}
END_TEST

/* J6, CVE-2020-26160 */
START_TEST(audiences_are_a_string_or_strings_and_ours_is_among_them)
{
#define WITH_AUD(aud) "{" NAMES "," C_EXP "," C_IAT ",\"aud\":" aud "}"
	static const struct row rows[] = {
		{ WITH_AUD("\"" AUD "\""), JWT_OK },
		{ WITH_AUD("[\"" AUD "\"]"), JWT_OK },
		{ WITH_AUD("[\"x\",\"" AUD "\"]"), JWT_OK },
		{ WITH_AUD("[\"" AUD "\",\"x\"]"), JWT_OK },
		{ WITH_AUD("\"https://api.example.com/\""), JWT_WRONG_AUDIENCE },
		{ WITH_AUD("\"https://API.example.com\""), JWT_WRONG_AUDIENCE },
		{ WITH_AUD("[\"x\",\"y\"]"), JWT_WRONG_AUDIENCE },
		{ WITH_AUD("\"x " AUD "\""), JWT_WRONG_AUDIENCE },
		{ WITH_AUD("\"\""), JWT_WRONG_AUDIENCE },
		{ WITH_AUD("[\"\"]"), JWT_WRONG_AUDIENCE },
		{ WITH_AUD("[]"), JWT_MALFORMED },
		{ WITH_AUD("null"), JWT_MALFORMED },
		{ WITH_AUD("{\"" AUD "\":1}"), JWT_MALFORMED },
		{ WITH_AUD("[\"" AUD "\",1]"), JWT_MALFORMED },
		{ WITH_AUD("[null,\"" AUD "\"]"), JWT_MALFORMED },
		{ WITH_AUD("[[\"" AUD "\"]]"), JWT_MALFORMED },
		{ WITH_AUD("5"), JWT_MALFORMED },
		{ WITH_AUD("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]"), JWT_MALFORMED },
		{ WITH_AUD("[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
			   "\"12\",\"13\",\"14\",\"15\",\"" AUD "\"]"),
		  JWT_OK },
		{ WITH_AUD("[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
			   "\"12\",\"13\",\"14\",\"15\",\"16\",\"" AUD "\"]"),
		  JWT_MALFORMED },
	};
#undef WITH_AUD
	struct jwt_expect any = expected;

	assert_rows(rows, COUNT(rows));
	any.aud = STR_NONE;
	ck_assert_int_eq(judge_with(GOOD, "at+jwt", &any), JWT_OK);
	any.aud = STR("");
	ck_assert_int_eq(judge_with(GOOD, "at+jwt", &any), JWT_WRONG_AUDIENCE);
}
END_TEST

START_TEST(the_issuer_is_compared_byte_for_byte)
{
	static const char *const others[] = { "https://id.example.com/", "https://ID.example.com",
					      "http://id.example.com", "https://id.example.co",
					      "https://id.example.comm" };

	for (size_t i = 0; i < COUNT(others); i++) {
		struct jwt_expect e = expected;

		e.iss = str_z(others[i]);
		ck_assert_int_eq(judge_with(GOOD, "at+jwt", &e), JWT_WRONG_ISSUER);
	}
}
END_TEST

/* J6, J7, RFC 8725 3.11: a token of one kind in the place of another */
START_TEST(a_token_of_another_kind_is_refused_in_every_slot)
{
	static const char *const kinds[] = {
		"at+jwt", "JWT", "logout+jwt", "dpop+jwt", "client-authentication+jwt", NULL
	};

	for (size_t slot = 0; slot < COUNT(kinds); slot++) {
		for (size_t kind = 0; kind < COUNT(kinds); kind++) {
			struct jwt_expect e = expected;

			e.typ = str_z(kinds[slot]);
			ck_assert_int_eq(judge_with(GOOD, kinds[kind], &e),
					 kind == slot ? JWT_OK : JWT_WRONG_TYPE);
		}
	}
}
END_TEST

START_TEST(rfc7515_typ_may_be_written_as_a_media_type)
{
	static const struct {
		const char *typ;
		bool good;
	} rows[] = {
		{ "at+jwt", true },
		{ "AT+JWT", true },
		{ "application/at+jwt", true },
		{ "Application/At+Jwt", true },
		{ "application/", false },
		{ "application/application/at+jwt", false },
		{ "text/at+jwt", false },
		{ "at+jwt ", false },
		{ "at+jwtx", false },
		{ "", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		ck_assert_msg((judge_with(GOOD, rows[i].typ, &expected) == JWT_OK) == rows[i].good,
			      "%s", rows[i].typ);
}
END_TEST

START_TEST(every_verdict_has_a_sentence)
{
	for (int v = JWT_OK; v <= JWT_UNREAD; v++) {
		ck_assert_str_ne(jwt_verdict_text((enum jwt_verdict)v), "unknown");
		for (int w = JWT_OK; w < v; w++)
			ck_assert_str_ne(jwt_verdict_text((enum jwt_verdict)v),
					 jwt_verdict_text((enum jwt_verdict)w));
	}
	ck_assert_str_eq(jwt_verdict_text((enum jwt_verdict)99), "unknown");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_good_token_is_taken_and_its_claims_are_told,
		rfc9068_every_required_claim_is_required,
		payloads_that_are_no_strict_json_object_are_malformed,
		times_are_numbers_from_0_to_2_to_the_53,
		the_edges_of_a_tokens_life_allow_for_the_skew_and_no_more,
		a_skew_is_never_more_than_a_minute_nor_less_than_nothing,
		audiences_are_a_string_or_strings_and_ours_is_among_them,
		the_issuer_is_compared_byte_for_byte,
		a_token_of_another_kind_is_refused_in_every_slot,
		rfc7515_typ_may_be_written_as_a_media_type,
		every_verdict_has_a_sentence,
	};

	return suite_run("jwt", tests, COUNT(tests));
}
