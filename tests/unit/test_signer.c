/* The signer, through its real process: what it signs, what it refuses, and what happens to those
 * who speak to it wrongly or too late. */
#include <stdio.h>
#include <stdlib.h>

#include "jose/jws.h"
#include "tests/helpers/signer_fixture.h"
#include "tests/unit/suite.h"

enum { NOW = 1700000000, HOUR = 3600 };

static struct signer_fixture fixture;
static struct buf token_text;
static struct arena *arena;

static void up(void)
{
	signer_fixture_start(&fixture);
	signer_fixture_clock(&fixture, NOW);
	buf_init(&token_text, NULL, JWT_SIZE_MAX);
	ck_assert_int_eq(arena_new(1 << 20, &arena), ERR_OK);
}

static void down(void)
{
	signer_fixture_stop(&fixture);
	buf_done(&token_text);
	arena_free(arena);
}

static enum err sign_text(enum alg alg, const char *claims, struct signed_token *ret_token)
{
	return signer_sign(&fixture.signing[0], TOKEN_ACCESS, alg, str_z(claims), &token_text,
			   ret_token);
}

#define CLAIMS(iat, exp)                                                                           \
	"{\"iss\":\"https://id.example\",\"sub\":\"a\",\"aud\":\"u\",\"client_id\":\"a\","         \
	"\"iat\":" iat ",\"exp\":" exp "}"
#define GOOD_CLAIMS CLAIMS("1700000000", "1700000600")

static enum err sign_good(enum alg alg)
{
	struct signed_token token;

	return sign_text(alg, GOOD_CLAIMS, &token);
}

/* ---- what it signs ---- */

START_TEST(a_token_verifies_and_is_named_by_the_key_that_signed)
{
	static const enum alg algs[] = { ALG_ES256, ALG_RS256 };
	const enum alg alg = algs[_i];
	AUTO(jwk, key) = signer_fixture_ready(&fixture, alg);
	struct signed_token token;
	struct secret jti_key;
	struct jws jws;

	ck_assert_int_eq(sign_text(alg, GOOD_CLAIMS, &token), ERR_OK);
	ck_assert_int_eq(jws_parse(arena, token.text, &jws), ERR_OK);
	ck_assert_int_eq(jws_verify(&jws, key), ERR_OK);
	ck_assert(str_equal(jws.kid, jwk_kid(key)) && str_equal_z(jws.kid, token.kid));
	ck_assert(str_equal_z(jws.typ, "at+jwt"));
	ck_assert_int_eq(jws.alg, alg);
	ck_assert_int_eq(signer_derive(&fixture.control, "jti", &jti_key), ERR_OK);
	ck_assert(signer_jti_genuine(&jti_key, jws.kid, jws.payload));
	ck_assert(str_equal_z(signer_jti_of(jws.payload), token.jti));
	ck_assert(str_starts(jws.payload, str_n(GOOD_CLAIMS, strlen(GOOD_CLAIMS) - 1)));
}
END_TEST

START_TEST(no_two_tokens_have_one_jti)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	char before[JTI_MAX + 1] = "";
	struct signed_token token;

	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(sign_text(ALG_ES256, GOOD_CLAIMS, &token), ERR_OK);
		ck_assert_str_ne(token.jti, before);
		memcpy(before, token.jti, sizeof(before));
	}
}
END_TEST

/* ---- what it refuses ---- */

#define HEAD "{\"iss\":\"https://id.example\",\"sub\":\"a\",\"aud\":\"u\",\"client_id\":\"a\""
#define TIMES ",\"iat\":1700000000,\"exp\":1700000600}"

static const struct claims_case {
	const char *claims;
	enum err err;
} claims_cases[] = {
	{ GOOD_CLAIMS, ERR_OK },
	{ CLAIMS("1700000060", "1700000600"), ERR_OK },
	{ CLAIMS("1700000061", "1700000600"), ERR_INTERNAL },
	{ CLAIMS("1699999940", "1700000600"), ERR_OK },
	{ CLAIMS("1699999939", "1700000600"), ERR_INTERNAL },
	{ CLAIMS("1700000000", "1700003600"), ERR_OK },
	{ CLAIMS("1700000000", "1700003601"), ERR_INTERNAL },
	{ CLAIMS("1700000000", "1700000000"), ERR_INTERNAL },
	{ CLAIMS("1700000000", "9223372036854775807"), ERR_INTERNAL },
	{ CLAIMS("1700000000", "1700000600.5"), ERR_INTERNAL },
	{ CLAIMS("\"1700000000\"", "1700000600"), ERR_INTERNAL },
	{ HEAD TIMES, ERR_OK },
	{ HEAD ",\"jti\":\"mine\"" TIMES, ERR_INTERNAL },
	{ HEAD ",\"j\\u0074i\":\"mine\"" TIMES, ERR_INTERNAL },
	{ HEAD ",\"sub\":\"b\"" TIMES, ERR_INTERNAL },
	{ HEAD TIMES " ", ERR_INTERNAL },
	{ HEAD TIMES "{}", ERR_INTERNAL },
	{ HEAD, ERR_INTERNAL },
	{ "{\"iss\":\"https://id.example/\",\"sub\":\"a\",\"aud\":\"u\",\"client_id\":\"a\"" TIMES,
	  ERR_INTERNAL },
	{ "{\"sub\":\"a\",\"aud\":\"u\",\"client_id\":\"a\"" TIMES, ERR_INTERNAL },
	{ "{\"iss\":\"https://id.example\",\"aud\":\"u\",\"client_id\":\"a\"" TIMES, ERR_INTERNAL },
	{ "{\"iss\":\"https://id.example\",\"sub\":\"\",\"aud\":\"u\",\"client_id\":\"a\"" TIMES,
	  ERR_INTERNAL },
	{ "{\"iss\":\"https://id.example\",\"sub\":\"a\",\"aud\":\"u\"" TIMES, ERR_INTERNAL },
	{ "{\"iss\":\"https://id.example\",\"sub\":\"a\",\"client_id\":\"a\"" TIMES, ERR_INTERNAL },
	{ "{\"iss\":\"https://id.example\",\"sub\":\"a\",\"aud\":[],\"client_id\":\"a\"" TIMES,
	  ERR_INTERNAL },
	{ "{\"iss\":\"https://"
	  "id.example\",\"sub\":\"a\",\"aud\":[\"u\",1],\"client_id\":\"a\"" TIMES,
	  ERR_INTERNAL },
	{ "{\"iss\":\"https://"
	  "id.example\",\"sub\":\"a\",\"aud\":[\"u\",\"v\"],\"client_id\":\"a\"" TIMES,
	  ERR_OK },
	{ "[]", ERR_INTERNAL },
	{ "{}", ERR_INTERNAL },
	{ "", ERR_INTERNAL },
	{ "}", ERR_INTERNAL },
};

START_TEST(claims_that_break_policy_are_not_signed)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct signed_token token;

	for (size_t i = 0; i < COUNT(claims_cases); i++) {
		const struct claims_case *c = &claims_cases[i];
		enum err e = sign_text(ALG_ES256, c->claims, &token);

		ck_assert_msg(e == c->err, "%s: %s", c->claims, err_name(e));
	}
}
END_TEST

START_TEST(a_kind_or_algorithm_nobody_knows_is_refused)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct signed_token token;
	struct str claims = STR(GOOD_CLAIMS);

	for (int kind = 0; kind < 256; kind++) {
		enum err e = signer_sign(&fixture.signing[0], (enum token_kind)kind, ALG_ES256,
					 claims, &token_text, &token);

		ck_assert_int_eq(e, kind == TOKEN_ACCESS ? ERR_OK : ERR_INTERNAL);
	}
	ck_assert_int_eq(sign_good(ALG_UNKNOWN), ERR_INTERNAL);
	ck_assert_int_eq(sign_good(ALG_COUNT), ERR_INTERNAL);
	ck_assert_int_eq(sign_good(ALG_RS256), ERR_UNAVAILABLE);
}
END_TEST

START_TEST(a_token_too_large_for_its_header_line_is_refused)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	char claims[2 * JWT_SIZE_MAX];
	static const struct {
		int filler;
		enum err err;
	} cases[] = {
		{ 5500, ERR_OK }, { 6100, ERR_LIMIT }, { 8000, ERR_LIMIT }, { 9000, ERR_LIMIT }
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct signed_token token;

		snprintf(claims, sizeof(claims), "%s,\"x\":\"%0*d\"%s", HEAD, cases[i].filler, 0,
			 TIMES);
		ck_assert_int_eq(sign_text(ALG_ES256, claims, &token), cases[i].err);
	}
}
END_TEST

START_TEST(nothing_is_signed_before_root_policy_and_key)
{
	struct key_info info = { .alg = ALG_ES256, .state = KEY_ACTIVE, .exp_bound = INT64_MAX };
	struct buf jwk_text, sealed;
	struct secret secret;
	int64_t last;
	bool by_next;

	buf_init(&jwk_text, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_UNAVAILABLE);
	ck_assert_int_eq(signer_derive(&fixture.control, "jti", &secret), ERR_CONFLICT);
	ck_assert_int_eq(signer_generate(&fixture.control, ALG_ES256, info.kid, &jwk_text, &sealed),
			 ERR_CONFLICT);
	ck_assert_int_eq(signer_root(&fixture.control, 1, STR_NONE, &sealed, &by_next), ERR_OK);
	buf_clear(&sealed);
	ck_assert_int_eq(
		signer_generate(&fixture.control, ALG_UNKNOWN, info.kid, &jwk_text, &sealed),
		ERR_UNSUPPORTED);
	ck_assert_int_eq(signer_generate(&fixture.control, ALG_ES256, info.kid, &jwk_text, &sealed),
			 ERR_OK);
	ck_assert_int_eq(signer_activate(&fixture.control, str_z(info.kid), 1, &last),
			 ERR_NOT_FOUND);
	ck_assert_int_eq(signer_load(&fixture.control, &info, str_n(sealed.p, sealed.n)), ERR_OK);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_UNAVAILABLE);
	ck_assert_int_eq(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), 0, 0), ERR_SYNTAX);
	ck_assert_int_eq(signer_policy(&fixture.control, STR(""), HOUR, 0), ERR_SYNTAX);
	ck_assert_int_eq(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), HOUR, 0), ERR_OK);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_OK);
	buf_done(&jwk_text);
	buf_done(&sealed);
}
END_TEST

START_TEST(no_token_outlives_its_keys_bound)
{
	struct key_info info = { .alg = ALG_ES256, .state = KEY_STANDBY };
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct buf jwk_text, sealed;
	int64_t last;

	buf_init(&jwk_text, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	ck_assert_int_eq(signer_generate(&fixture.control, ALG_ES256, info.kid, &jwk_text, &sealed),
			 ERR_OK);
	ck_assert_int_eq(signer_load(&fixture.control, &info, str_n(sealed.p, sealed.n)), ERR_OK);
	ck_assert_int_eq(signer_activate(&fixture.control, str_z(info.kid), NOW + 599, &last),
			 ERR_OK);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_UNAVAILABLE);
	ck_assert_int_eq(signer_bound(&fixture.control, STR("other"), NOW + 600), ERR_NOT_FOUND);
	ck_assert_int_eq(signer_bound(&fixture.control, str_z(info.kid), NOW + 600), ERR_OK);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_OK);
	ck_assert_int_eq(signer_bound(&fixture.control, str_z(info.kid), NOW + 1), ERR_OK);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_OK); /* never lowered */
	buf_done(&jwk_text);
	buf_done(&sealed);
}
END_TEST

/* ---- keys come and go ---- */

START_TEST(the_kid_follows_the_switch_and_the_last_expiry_is_told)
{
	struct key_info info = { .alg = ALG_ES256, .state = KEY_STANDBY };
	AUTO(jwk, old) = signer_fixture_ready(&fixture, ALG_ES256);
	struct buf jwk_text, sealed;
	struct signed_token token;
	int64_t last = -1;

	buf_init(&jwk_text, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	ck_assert_int_eq(signer_generate(&fixture.control, ALG_ES256, info.kid, &jwk_text, &sealed),
			 ERR_OK);
	ck_assert_int_eq(signer_load(&fixture.control, &info, str_n(sealed.p, sealed.n)), ERR_OK);
	ck_assert_int_eq(signer_load(&fixture.control, &info, str_n(sealed.p, sealed.n)), ERR_OK);
	ck_assert_int_eq(sign_text(ALG_ES256, CLAIMS("1700000000", "1700001234"), &token), ERR_OK);
	ck_assert(str_equal_z(jwk_kid(old), token.kid));
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_OK); /* ends sooner */
	ck_assert_int_eq(signer_activate(&fixture.control, str_z(info.kid), INT64_MAX, &last),
			 ERR_OK);
	ck_assert_int_eq(last, 1700001234);
	ck_assert_int_eq(sign_text(ALG_ES256, GOOD_CLAIMS, &token), ERR_OK);
	ck_assert_str_eq(token.kid, info.kid);
	ck_assert_int_eq(signer_activate(&fixture.control, str_z(info.kid), INT64_MAX, &last),
			 ERR_OK);
	ck_assert_int_eq(last, 0);
	ck_assert_int_eq(signer_activate(&fixture.control, jwk_kid(old), INT64_MAX, &last),
			 ERR_NOT_FOUND); /* dropped */
	ck_assert_int_eq(signer_drop(&fixture.control, str_z(info.kid)), ERR_OK);
	ck_assert_int_eq(signer_drop(&fixture.control, str_z(info.kid)), ERR_NOT_FOUND);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_UNAVAILABLE);
	buf_done(&jwk_text);
	buf_done(&sealed);
}
END_TEST

START_TEST(a_sealed_row_opens_only_as_the_key_it_is)
{
	struct key_info info = { .alg = ALG_ES256, .state = KEY_STANDBY };
	struct key_info other;
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct buf jwk_text, sealed;
	struct str row;

	buf_init(&jwk_text, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	ck_assert_int_eq(signer_generate(&fixture.control, ALG_ES256, info.kid, &jwk_text, &sealed),
			 ERR_OK);
	row = str_n(sealed.p, sealed.n);
	other = info;
	other.kid[0] ^= 1;
	ck_assert_int_eq(signer_load(&fixture.control, &other, row), ERR_BAD_SIGNATURE);
	other = info;
	other.alg = ALG_RS256;
	ck_assert_int_eq(signer_load(&fixture.control, &other, row), ERR_BAD_SIGNATURE);
	other = info;
	other.state = KEY_ACTIVE;
	ck_assert_int_eq(signer_load(&fixture.control, &other, row), ERR_CONFLICT);
	ck_assert_int_eq(signer_load(&fixture.control, &info, row), ERR_OK);
	buf_done(&jwk_text);
	buf_done(&sealed);
}
END_TEST

START_TEST(one_process_holds_the_keys_of_one_root)
{
	struct buf sealed, again;
	struct str row;
	bool by_next;

	buf_init(&sealed, NULL, 1024);
	buf_init(&again, NULL, 1024);
	ck_assert_int_eq(signer_root(&fixture.control, 1, STR_NONE, &sealed, &by_next), ERR_OK);
	row = str_n(sealed.p, sealed.n);
	ck_assert_int_eq(signer_root(&fixture.control, 1, STR_NONE, &again, &by_next),
			 ERR_CONFLICT);
	ck_assert_int_eq(signer_root(&fixture.control, 1, row, &again, &by_next), ERR_OK);
	ck_assert_int_eq(signer_root(&fixture.control, 2, row, &again, &by_next),
			 ERR_BAD_SIGNATURE);
	signer_fixture_restart(&fixture);
	ck_assert_int_eq(signer_root(&fixture.control, 1, STR_NONE, &again, &by_next), ERR_OK);
	ck_assert_int_eq(signer_root(&fixture.control, 1, row, &again, &by_next), ERR_CONFLICT);
	fixture.master.b[0] ^= 1;
	signer_fixture_restart(&fixture);
	ck_assert_int_eq(signer_root(&fixture.control, 1, row, &again, &by_next),
			 ERR_BAD_SIGNATURE);
	buf_done(&sealed);
	buf_done(&again);
}
END_TEST

START_TEST(derived_keys_are_the_roots_and_only_of_known_labels)
{
	static const char *const labels[] = { "refresh", "jti", "client-secret", "page-token",
					      "access-token" };
	static const char *const unknown[] = { "", "seal-signing-keys", "jt", "jti ", "JTI" };
	struct secret first[COUNT(labels)], second;
	struct buf sealed, unused;
	bool by_next;

	buf_init(&sealed, NULL, 1024);
	buf_init(&unused, NULL, 1024);
	ck_assert_int_eq(signer_root(&fixture.control, 1, STR_NONE, &sealed, &by_next), ERR_OK);
	for (size_t i = 0; i < COUNT(unknown); i++)
		ck_assert_int_eq(signer_derive(&fixture.control, unknown[i], &second),
				 ERR_NOT_FOUND);
	for (size_t i = 0; i < COUNT(labels); i++) {
		ck_assert_int_eq(signer_derive(&fixture.control, labels[i], &first[i]), ERR_OK);
		for (size_t j = 0; j < i; j++)
			ck_assert(!secret_equal(&first[i], &first[j]));
	}
	signer_fixture_restart(&fixture);
	ck_assert_int_eq(
		signer_root(&fixture.control, 1, str_n(sealed.p, sealed.n), &unused, &by_next),
		ERR_OK);
	for (size_t i = 0; i < COUNT(labels); i++) {
		ck_assert_int_eq(signer_derive(&fixture.control, labels[i], &second), ERR_OK);
		ck_assert(secret_equal(&first[i], &second));
	}
	buf_done(&sealed);
	buf_done(&unused);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		no_two_tokens_have_one_jti,
		claims_that_break_policy_are_not_signed,
		a_kind_or_algorithm_nobody_knows_is_refused,
		a_token_too_large_for_its_header_line_is_refused,
		nothing_is_signed_before_root_policy_and_key,
		no_token_outlives_its_keys_bound,
		the_kid_follows_the_switch_and_the_last_expiry_is_told,
		a_sealed_row_opens_only_as_the_key_it_is,
		one_process_holds_the_keys_of_one_root,
		derived_keys_are_the_roots_and_only_of_known_labels,
	};
	TCase *tc = tcase_create("signer");

	if (secret_library_init())
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, up, down);
	tcase_add_loop_test(tc, a_token_verifies_and_is_named_by_the_key_that_signed, 0, 2);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("signer", tc);
}
