/* The signer's custody of roots and keys, through its real process: masters and roots that change,
 * keys that come from elsewhere, and what it gives away of them. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sodium.h>
#include <sys/wait.h>

#include "jose/jws.h"
#include "tests/helpers/signer_fixture.h"
#include "tests/unit/suite.h"

#define OK(expression) ck_assert_int_eq((expression), ERR_OK)

enum { NOW = 1700000000, HOUR = 3600 };

#define CLAIMS                                                                                     \
	"{\"iss\":\"https://id.example\",\"sub\":\"a\",\"aud\":\"u\",\"client_id\":\"a\","         \
	"\"iat\":1700000000,\"exp\":1700000600}"

static struct signer_fixture fixture;
static struct buf token_text, root, other, jwk_text, sealed;
static struct arena *arena;
static const struct secret next_master = { "the next one, of thirty-two byte" };

static void up(void)
{
	signer_fixture_start(&fixture);
	signer_fixture_clock(&fixture, NOW);
	buf_init(&token_text, NULL, JWT_SIZE_MAX);
	buf_init(&root, NULL, 1024);
	buf_init(&other, NULL, 1024);
	buf_init(&jwk_text, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	OK(arena_new(1 << 20, &arena));
}

static void down(void)
{
	signer_fixture_stop(&fixture);
	buf_done(&token_text);
	buf_done(&root);
	buf_done(&other);
	buf_done(&jwk_text);
	buf_done(&sealed);
	arena_free(arena);
}

static struct str text_of(const struct buf *b)
{
	return str_n(b->p, b->n);
}

static enum err open_root(uint32_t version, const struct buf *row, bool *ret_by_next)
{
	struct buf unused;
	enum err e;

	buf_init(&unused, NULL, 1024);
	e = signer_root(&fixture.control, version, text_of(row), &unused, ret_by_next);
	buf_done(&unused);
	return e;
}

static void make_root(uint32_t version, struct buf *row)
{
	bool by_next = true;

	OK(signer_root(&fixture.control, version, STR_NONE, row, &by_next));
	ck_assert(!by_next);
}

static enum err sign_one(struct signed_token *ret_token)
{
	return signer_sign(&fixture.signing[0], TOKEN_ACCESS, ALG_ES256, STR(CLAIMS), &token_text,
			   ret_token);
}

static struct key_info make_key(enum key_state state)
{
	struct key_info info = { .alg = ALG_ES256, .state = state, .exp_bound = INT64_MAX };

	buf_clear(&jwk_text);
	buf_clear(&sealed);
	OK(signer_generate(&fixture.control, ALG_ES256, info.kid, &jwk_text, &sealed));
	return info;
}

/* ---- master keys ---- */

START_TEST(a_root_moves_to_the_next_master_and_back_to_no_old_one)
{
	struct secret before, after;
	bool by_next;

	make_root(1, &root);
	OK(signer_derive(&fixture.control, "refresh", &before));
	ck_assert_int_eq(signer_reseal_root(&fixture.control, 1, text_of(&root), &other),
			 ERR_NOT_FOUND);
	ck_assert_int_eq(signer_master_commit(&fixture.custody), ERR_NOT_FOUND);
	OK(signer_master_next(&fixture.custody, &next_master));
	OK(signer_reseal_root(&fixture.control, 1, text_of(&root), &other));
	ck_assert(!str_equal(text_of(&root), text_of(&other)));
	OK(open_root(1, &root, &by_next));
	ck_assert(!by_next);
	OK(open_root(1, &other, &by_next));
	ck_assert(by_next);
	OK(signer_master_commit(&fixture.custody));
	ck_assert_int_eq(open_root(1, &root, &by_next), ERR_BAD_SIGNATURE);
	OK(open_root(1, &other, &by_next));
	ck_assert(!by_next);

	fixture.master = next_master;
	signer_fixture_restart(&fixture);
	ck_assert_int_eq(open_root(1, &root, &by_next), ERR_BAD_SIGNATURE);
	OK(open_root(1, &other, &by_next));
	OK(signer_derive(&fixture.control, "refresh", &after));
	ck_assert(secret_equal(&before, &after));
}
END_TEST

START_TEST(resealing_again_after_an_unknown_outcome_is_no_error)
{
	struct buf third;
	bool by_next;

	buf_init(&third, NULL, 1024);
	make_root(1, &root);
	OK(signer_master_next(&fixture.custody, &next_master));
	OK(signer_reseal_root(&fixture.control, 1, text_of(&root), &other));
	OK(signer_reseal_root(&fixture.control, 1, text_of(&other), &third));
	OK(open_root(1, &third, &by_next));
	ck_assert(by_next);
	ck_assert_int_eq(signer_reseal_root(&fixture.control, 2, text_of(&root), &third),
			 ERR_BAD_SIGNATURE);
	buf_done(&third);
}
END_TEST

/* ---- several roots ---- */

START_TEST(the_highest_root_is_current_and_the_lowest_hashes_client_secrets)
{
	static const char *const labels[] = { "refresh", "jti", "client-secret", "page-token",
					      "access-token" };
	struct secret first[COUNT(labels)], key;
	bool by_next;

	make_root(1, &root);
	for (size_t i = 0; i < COUNT(labels); i++)
		OK(signer_derive(&fixture.control, labels[i], &first[i]));
	ck_assert_int_eq(signer_new_root(&fixture.control, 2, &other), ERR_NOT_FOUND);
	OK(signer_master_next(&fixture.custody, &next_master));
	ck_assert_int_eq(signer_new_root(&fixture.control, 1, &other), ERR_CONFLICT);
	ck_assert_int_eq(signer_new_root(&fixture.control, 256, &other), ERR_LIMIT);
	OK(signer_new_root(&fixture.control, 2, &other));
	OK(signer_derive(&fixture.control, "jti", &key)); /* it is not adopted */
	ck_assert(secret_equal(&key, &first[1]));

	OK(open_root(2, &other, &by_next));
	for (size_t i = 0; i < COUNT(labels); i++) {
		OK(signer_derive(&fixture.control, labels[i], &key));
		ck_assert_int_eq(secret_equal(&key, &first[i]), i == 2);
		OK(signer_derive_at(&fixture.control, 1, labels[i], &key));
		ck_assert(secret_equal(&key, &first[i]));
	}
	ck_assert_int_eq(signer_derive_at(&fixture.control, 3, "jti", &key), ERR_NOT_FOUND);
}
END_TEST

START_TEST(only_keys_of_the_current_root_are_held)
{
	struct key_info info;
	struct signed_token token;
	struct secret jti;
	struct jws jws;
	bool by_next;

	make_root(1, &root);
	OK(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), HOUR, 0));
	info = make_key(KEY_ACTIVE);
	OK(signer_master_next(&fixture.custody, &next_master));
	OK(signer_new_root(&fixture.control, 2, &other));
	OK(signer_load(&fixture.control, &info, text_of(&sealed)));
	ck_assert_int_eq(open_root(2, &other, &by_next), ERR_CONFLICT);
	OK(signer_drop(&fixture.control, str_z(info.kid)));
	OK(open_root(2, &other, &by_next));
	ck_assert_int_eq(signer_load(&fixture.control, &info, text_of(&sealed)), ERR_BAD_SIGNATURE);

	info = make_key(KEY_ACTIVE);
	OK(signer_load(&fixture.control, &info, text_of(&sealed)));
	OK(sign_one(&token));
	OK(jws_parse(arena, token.text, &jws));
	OK(signer_derive_at(&fixture.control, 2, "jti", &jti));
	ck_assert(signer_jti_genuine(&jti, jws.kid, jws.payload));
	OK(signer_derive_at(&fixture.control, 1, "jti", &jti));
	ck_assert(!signer_jti_genuine(&jti, jws.kid, jws.payload));
}
END_TEST

START_TEST(a_version_is_one_byte_and_not_nothing)
{
	bool by_next;

	ck_assert_int_eq(signer_root(&fixture.control, 0, STR_NONE, &root, &by_next), ERR_LIMIT);
	ck_assert_int_eq(signer_root(&fixture.control, 256, STR_NONE, &root, &by_next), ERR_LIMIT);
	OK(signer_root(&fixture.control, 255, STR_NONE, &root, &by_next));
}
END_TEST

/* ---- keys that are made meanwhile ---- */

START_TEST(a_key_is_dropped_at_once_while_another_is_made)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	char kid[KID_MAX + 1];
	enum err e;

	ck_assert_int_eq(signer_generated(&fixture.control, ALG_RS256, kid, &jwk_text, &sealed),
			 ERR_NOT_FOUND);
	OK(signer_generate_begin(&fixture.control, ALG_RS256));
	OK(signer_generate_begin(&fixture.control, ALG_RS256));
	e = signer_generated(&fixture.control, ALG_RS256, kid, &jwk_text, &sealed);
	ck_assert(e == ERR_BUSY || e == ERR_OK);
	OK(signer_drop(&fixture.control, jwk_kid(key)));
	OK(signer_generate_begin(&fixture.control, ALG_ES256)); /* beside it */
	if (e)
		OK(signer_generate(&fixture.control, ALG_RS256, kid, &jwk_text, &sealed));
	OK(signer_generate(&fixture.control, ALG_ES256, kid, &jwk_text, &sealed));
	ck_assert_int_eq(signer_generated(&fixture.control, ALG_RS256, kid, &jwk_text, &sealed),
			 ERR_NOT_FOUND);
	OK(signer_generate_begin(&fixture.control, ALG_RS256)); /* not fetched: stopping waits */
}
END_TEST

/* ---- keys that others made ---- */

/* An OpenSSL key as PKCS#8 in a box for the signer. Takes pkey. */
static struct str boxed(EVP_PKEY *pkey)
{
	static unsigned char box[SIGNER_IMPORT_KEY_MAX + SIGNER_IMPORT_OVERHEAD];
	unsigned char to[SIGNER_IMPORT_KEY_LEN], *der = NULL;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	int n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

	ck_assert_int_gt(n, 0);
	OK(signer_import_key(&fixture.control, to));
	ck_assert_int_eq(crypto_box_seal(box, der, (unsigned)n, to), 0);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(pkey);
	return str_n(box, (size_t)n + SIGNER_IMPORT_OVERHEAD);
}

static enum err import(enum alg alg, const char *kid, struct str box)
{
	buf_clear(&jwk_text);
	buf_clear(&sealed);
	return signer_import(&fixture.control, alg, str_z(kid), box, &jwk_text, &sealed);
}

START_TEST(an_imported_key_signs_under_its_own_kid)
{
	struct key_info info = { .kid = "legacy/2019:a+b=",
				 .alg = ALG_ES256,
				 .state = KEY_ACTIVE,
				 .exp_bound = INT64_MAX };
	struct signed_token token;

	make_root(1, &root);
	OK(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), HOUR, 0));
	OK(import(ALG_ES256, info.kid, boxed(EVP_EC_gen("P-256"))));
	ck_assert_ptr_nonnull(memmem(jwk_text.p, jwk_text.n, info.kid, strlen(info.kid)));
	ck_assert_ptr_null(memmem(jwk_text.p, jwk_text.n, "\"d\"", 3));
	OK(signer_probe(&fixture.control, &info, text_of(&sealed)));
	OK(signer_load(&fixture.control, &info, text_of(&sealed)));
	OK(sign_one(&token));
	ck_assert_str_eq(token.kid, info.kid);
	OK(import(ALG_RS256, "r", boxed(EVP_RSA_gen(2048))));
}
END_TEST

START_TEST(what_is_no_good_key_is_not_imported)
{
	struct str box;

	make_root(1, &root);
	ck_assert_int_eq(import(ALG_RS256, "k", boxed(EVP_RSA_gen(1024))), ERR_UNSUPPORTED);
	ck_assert_int_eq(import(ALG_RS256, "k", boxed(EVP_EC_gen("P-256"))), ERR_UNSUPPORTED);
	ck_assert_int_eq(import(ALG_ES256, "k", boxed(EVP_EC_gen("P-384"))), ERR_UNSUPPORTED);
	box = boxed(EVP_EC_gen("P-256"));
	ck_assert_int_eq(import(ALG_UNKNOWN, "k", box), ERR_UNSUPPORTED);
	ck_assert_int_eq(import(ALG_ES256, "", box), ERR_SYNTAX);
	ck_assert_int_eq(import(ALG_ES256, "a b", box), ERR_SYNTAX);
	ck_assert_int_eq(import(ALG_ES256, "\xc3\xa9", box), ERR_SYNTAX);
	ck_assert_int_eq(import(ALG_ES256, "k", str_n(box.p, box.n - 1)), ERR_BAD_SIGNATURE);
	ck_assert_int_eq(import(ALG_ES256, "k", str_n(box.p, 47)), ERR_BAD_SIGNATURE);
	ck_assert_int_eq(import(ALG_ES256, "k", STR_NONE), ERR_BAD_SIGNATURE);
	signer_fixture_restart(&fixture);
	buf_clear(&root);
	make_root(1, &root);
	ck_assert_int_eq(import(ALG_ES256, "k", box), ERR_BAD_SIGNATURE);
}
END_TEST

START_TEST(a_probe_proves_a_row_and_holds_nothing)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct key_info info = make_key(KEY_STANDBY);
	int64_t last;

	OK(signer_probe(&fixture.control, &info, text_of(&sealed)));
	ck_assert_int_eq(signer_activate(&fixture.control, str_z(info.kid), 1, &last),
			 ERR_NOT_FOUND);
	sealed.p[sealed.n / 2] ^= 1;
	ck_assert_int_eq(signer_probe(&fixture.control, &info, text_of(&sealed)),
			 ERR_BAD_SIGNATURE);
}
END_TEST

/* ---- policy ---- */

START_TEST(more_tokens_a_second_than_the_rate_are_refused)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct signed_token token;

	OK(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), HOUR, 5));
	for (int second = 0; second < 3; second++) {
		signer_fixture_clock(&fixture, NOW + second);
		for (size_t i = 0; i < 5; i++)
			OK(signer_sign(&fixture.signing[i % SIGNER_FIXTURE_LANES], TOKEN_ACCESS,
				       ALG_ES256, STR(CLAIMS), &token_text, &token));
		for (size_t i = 0; i < SIGNER_FIXTURE_LANES; i++)
			ck_assert_int_eq(signer_sign(&fixture.signing[i], TOKEN_ACCESS, ALG_ES256,
						     STR(CLAIMS), &token_text, &token),
					 ERR_UNAVAILABLE);
	}
	OK(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), HOUR, 0));
	OK(sign_one(&token));
}
END_TEST

START_TEST(the_issuer_stays_what_it_was)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct signed_token token;

	ck_assert_int_eq(signer_policy(&fixture.control, STR("https://evil.example"), HOUR, 0),
			 ERR_CONFLICT);
	OK(sign_one(&token));
}
END_TEST

/* A server in a stranger's hands would name its own. */
START_TEST(no_policy_allows_more_than_any_configuration)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);

	OK(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), ACCESS_TTL_MAX, 0));
	ck_assert_int_eq(
		signer_policy(&fixture.control, STR(FIXTURE_ISSUER), ACCESS_TTL_MAX + 1, 0),
		ERR_SYNTAX);
	ck_assert_int_eq(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), INT64_MAX, 0),
			 ERR_SYNTAX);
}
END_TEST

START_TEST(a_key_that_is_neither_active_nor_standby_is_not_opened)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);

	for (int state = 0; state < 256; state++) {
		struct key_info info = make_key((enum key_state)state);
		bool may = state == KEY_STANDBY;

		if (state == KEY_ACTIVE)
			continue;
		ck_assert_int_eq(signer_load(&fixture.control, &info, text_of(&sealed)),
				 may ? ERR_OK : ERR_CONFLICT);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_root_moves_to_the_next_master_and_back_to_no_old_one,
		resealing_again_after_an_unknown_outcome_is_no_error,
		the_highest_root_is_current_and_the_lowest_hashes_client_secrets,
		only_keys_of_the_current_root_are_held,
		a_version_is_one_byte_and_not_nothing,
		a_key_is_dropped_at_once_while_another_is_made,
		an_imported_key_signs_under_its_own_kid,
		what_is_no_good_key_is_not_imported,
		a_probe_proves_a_row_and_holds_nothing,
		more_tokens_a_second_than_the_rate_are_refused,
		the_issuer_stays_what_it_was,
		no_policy_allows_more_than_any_configuration,
		a_key_that_is_neither_active_nor_standby_is_not_opened,
	};
	Suite *s = suite_create("signer custody");
	TCase *tc = tcase_create("signer custody");
	SRunner *runner;
	int failed;

	if (secret_library_init())
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, up, down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
