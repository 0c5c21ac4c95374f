/* Secrets of single apis, through the signer's real process: a row is good for the one audience it
 * was made for, whatever the server asks. */
#include "jose/jws.h"
#include "keys/seal.h"
#include "tests/helpers/signer_fixture.h"
#include "tests/unit/suite.h"

enum { NOW = 1700000000 };

#define A "https://a.example"
#define B "https://b.example"
#define CLAIMS_FOR(aud)                                                                            \
	"{\"iss\":\"" FIXTURE_ISSUER "\",\"sub\":\"s\",\"aud\":" aud ",\"client_id\":\"c\","       \
	"\"iat\":1700000000,\"exp\":1700000600}"

static struct signer_fixture fixture;
static struct arena *arena;
static struct jwk *key;
static struct buf token_text;

/* The row of A, and its secret. */
static char kid[KID_MAX + 1];
static struct buf secret, sealed;
static struct signer_api_row row;

static void up(void)
{
	ck_assert_int_eq(secret_library_init(), ERR_OK);
	signer_fixture_start(&fixture);
	signer_fixture_clock(&fixture, NOW);
	ck_assert_int_eq(arena_new(1 << 20, &arena), ERR_OK);
	key = signer_fixture_ready(&fixture, ALG_ES256);
	buf_init(&token_text, NULL, JWT_SIZE_MAX);
	buf_init(&secret, NULL, 128);
	buf_init(&sealed, NULL, SEALED_MAX);
	ck_assert_int_eq(signer_api_secret(&fixture.control, STR(A), kid, &secret, &sealed),
			 ERR_OK);
	row = (struct signer_api_row){ str_z(kid), str_n(sealed.p, sealed.n) };
}

static void down(void)
{
	signer_fixture_stop(&fixture);
	jwk_free(key);
	buf_done(&token_text);
	buf_done(&secret);
	buf_done(&sealed);
	arena_free(arena);
}

static enum err sign_as(const struct signer_api_row *r, const char *claims,
			struct signed_token *ret_token)
{
	return signer_api_sign(&fixture.signing[0], r, str_z(claims), &token_text, ret_token);
}

START_TEST(a_token_for_the_one_api_is_signed_and_checked)
{
	struct signed_token token;
	struct secret jti_key;
	struct jws jws;

	ck_assert_int_eq(sign_as(&row, CLAIMS_FOR("\"" A "\""), &token), ERR_OK);
	ck_assert_int_eq(jws_parse_shared(arena, token.text, &jws), ERR_OK);
	ck_assert(str_equal_z(jws.kid, kid));
	ck_assert_int_eq(signer_derive(&fixture.control, "jti", &jti_key), ERR_OK);
	ck_assert(signer_jti_genuine(&jti_key, jws.kid, jws.payload));
	ck_assert_int_eq(signer_api_check(&fixture.signing[1], &row, STR(A), jws.signing_input,
					  jws.signature),
			 ERR_OK);
	ck_assert_int_eq(signer_api_check(&fixture.signing[1], &row, STR(B), jws.signing_input,
					  jws.signature),
			 ERR_BAD_SIGNATURE);
	jws.signature[31] ^= 1;
	ck_assert_int_eq(signer_api_check(&fixture.signing[1], &row, STR(A), jws.signing_input,
					  jws.signature),
			 ERR_BAD_SIGNATURE);
}
END_TEST

static const struct {
	const char *claims;
	enum err err;
} others[] = {
	{ CLAIMS_FOR("\"" B "\""), ERR_BAD_SIGNATURE },
	{ CLAIMS_FOR("\"" A "/\""), ERR_BAD_SIGNATURE },
	{ CLAIMS_FOR("[\"" A "\"]"), ERR_INTERNAL },
	{ CLAIMS_FOR("[\"" A "\",\"" B "\"]"), ERR_INTERNAL },
	{ CLAIMS_FOR("\"" FIXTURE_ISSUER "\""), ERR_INTERNAL },
	{ CLAIMS_FOR("\"" FIXTURE_ISSUER "/admin\""), ERR_INTERNAL },
	{ CLAIMS_FOR("\"HTTPS://ID.EXAMPLE/admin\""), ERR_INTERNAL },
	{ "{\"iss\":\"https://other.example\",\"sub\":\"s\",\"aud\":\"" A "\",\"client_id\":\"c\","
	  "\"iat\":1700000000,\"exp\":1700000600}",
	  ERR_INTERNAL },
	{ "{\"iss\":\"" FIXTURE_ISSUER "\",\"sub\":\"s\",\"aud\":\"" A "\",\"client_id\":\"c\","
	  "\"iat\":1700000000,\"exp\":1700003601}",
	  ERR_INTERNAL },
	{ "{\"iss\":\"" FIXTURE_ISSUER "\",\"sub\":\"s\",\"aud\":\"" A "\",\"client_id\":\"c\","
	  "\"iat\":1700000000,\"exp\":1700000600,\"jti\":\"mine\"}",
	  ERR_INTERNAL },
};

START_TEST(nothing_else_is_signed_with_an_apis_secret)
{
	struct signed_token token;

	for (size_t i = 0; i < COUNT(others); i++)
		ck_assert_msg(sign_as(&row, others[i].claims, &token) == others[i].err, "%s",
			      others[i].claims);
	ck_assert_int_eq(sign_as(&row, CLAIMS_FOR("\"" A "\""), &token), ERR_OK);
}
END_TEST

START_TEST(a_row_is_its_own_kids)
{
	struct signer_api_row wrong = { STR("AAAAAAAAAAAAAAAAAAAAAA"), row.sealed };
	struct signed_token token;

	ck_assert_int_eq(sign_as(&wrong, CLAIMS_FOR("\"" A "\""), &token), ERR_BAD_SIGNATURE);
	wrong.kid = jwk_kid(key);
	ck_assert_int_eq(sign_as(&wrong, CLAIMS_FOR("\"" A "\""), &token), ERR_INTERNAL);
	wrong = (struct signer_api_row){ row.kid, STR("x") };
	ck_assert_int_eq(sign_as(&wrong, CLAIMS_FOR("\"" A "\""), &token), ERR_BAD_SIGNATURE);
	wrong.sealed = STR_NONE;
	ck_assert_int_eq(sign_as(&wrong, CLAIMS_FOR("\"" A "\""), &token), ERR_BAD_SIGNATURE);
}
END_TEST

/* Root and rows are stored; the signer keeps nothing. */
START_TEST(a_row_outlives_the_signer_and_not_the_root)
{
	struct signed_token token;

	signer_fixture_restart(&fixture);
	signer_fixture_clock(&fixture, NOW);
	ck_assert_int_eq(sign_as(&row, CLAIMS_FOR("\"" A "\""), &token), ERR_UNAVAILABLE);
	jwk_free(key);
	key = signer_fixture_ready(&fixture, ALG_ES256); /* of another root */
	ck_assert_int_eq(sign_as(&row, CLAIMS_FOR("\"" A "\""), &token), ERR_BAD_SIGNATURE);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_token_for_the_one_api_is_signed_and_checked,
		nothing_else_is_signed_with_an_apis_secret,
		a_row_is_its_own_kids,
		a_row_outlives_the_signer_and_not_the_root,
	};
	TCase *all = tcase_create("signer api");

	tcase_add_checked_fixture(all, up, down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	return suite_run_case("signer api", all);
}
