/* Keys of a former server, and the rehearsal of our own. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "base/fault.h"
#include "jose/jwk.h"
#include "server/state/revoked_kids.h"
#include "tests/helpers/keyring_fixture.h"
#include "tests/unit/suite.h"

#define KID "legacy/2019"

/* ---- what a former server leaves ---- */

static unsigned char box[SIGNER_IMPORT_KEY_MAX + SIGNER_IMPORT_OVERHEAD];

/* A P-256 key as PKCS #8, sealed to the signer. */
static struct str boxed(void)
{
	unsigned char to[SIGNER_IMPORT_KEY_LEN], *der = NULL;
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	int n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

	ck_assert_int_gt(n, 0);
	OK(keyring_import_key(o.keyring, to));
	ck_assert_int_eq(crypto_box_seal(box, der, (unsigned)n, to), 0);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(pkey);
	return str_n(box, (size_t)n + SIGNER_IMPORT_OVERHEAD);
}

#define RETIRED_JWK(kid)                                                                           \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"kid\":\"" kid "\",\"use\":\"sig\"," \
	"\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","                                   \
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}"

static const struct audit_row audit = {
	.at = FIXTURE_NOW,
	.event = STR("key.import"),
	.outcome = STR("ok"),
	.actor = STR("uid:0"),
	.count = 1,
};

static enum err import_active(const char *kid, int64_t tokens_until)
{
	const struct key_import in = { .alg = ALG_ES256,
				       .kid = str_z(kid),
				       .state = KEY_ACTIVE,
				       .box = boxed(),
				       .tokens_until = tokens_until,
				       .audit = &audit };

	return keyring_import(o.keyring, &in);
}

static enum err import_retiring(const char *kid, const char *jwk, int64_t tokens_until)
{
	const struct key_import in = { .alg = ALG_ES256,
				       .kid = str_z(kid),
				       .state = KEY_RETIRING,
				       .public_jwk = str_z(jwk),
				       .tokens_until = tokens_until,
				       .audit = &audit };

	return keyring_import(o.keyring, &in);
}

static void assert_nothing_came(void)
{
	ck_assert(!is_published(KID));
	ck_assert(!is_held(KID));
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys WHERE origin = 'import'"), 0);
	assert_whole();
}

/* ---- a key that signs on ---- */

START_TEST(a_key_that_comes_signs_under_its_kid_and_ours_retires)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY), came;
	struct issued old;

	advance(100);
	OK(issue(300, &old));
	OK(import_active(KID, 0));
	assert_signs_with(KID);
	ck_assert(verifies(&old));
	ck_assert_int_eq(stored(active.kid).state, KEY_RETIRING);
	ck_assert(!is_held(active.kid));
	came = stored(KID);
	ck_assert_int_eq(came.origin, KEY_ORIGIN_IMPORT);
	ck_assert_int_eq(came.ready_at, now()); /* its verifiers know it */
	ck_assert(!came.forced);
	ck_assert_int_eq(came.exp_bound, now() + ACCESS_TTL_MAX + 2 * KEYRING_BOUND_STEP);
	/* but they have never seen ours that waits */
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, standby.kid);
	ck_assert_int_eq(info_of(KEY_STANDBY).publish_at, now());
	ck_assert_int_eq(info_of(KEY_STANDBY).ready_at, now() + READY_AFTER);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.import'"), 1);
	assert_lint();
	reopen();
	assert_signs_with(KID);
}
END_TEST

START_TEST(a_key_that_came_rotates_out_like_any_other)
{
	struct key_info standby = info_of(KEY_STANDBY);
	struct rotate_result r = { .kid = "" };

	OK(import_active(KID, 0));
	ck_assert_int_eq(rotate(false, &r), ERR_NOT_READY);
	ck_assert_int_eq(r.ready_at, now() + READY_AFTER);
	advance(READY_AFTER);
	OK(rotate(false, &r));
	ck_assert_str_eq(r.retired, KID);
	ck_assert_str_eq(r.kid, standby.kid);
	assert_signs_with(standby.kid);
	assert_lint();
}
END_TEST

START_TEST(tokens_of_the_former_server_keep_their_key)
{
	int64_t until = now() + 100 * DAY; /* longer than any of ours */
	struct rotate_result r = { .kid = "" };

	OK(import_active(KID, until));
	ck_assert_int_eq(stored(KID).exp_bound, until);
	ck_assert_int_eq(stored(KID).last_exp, until);
	advance(READY_AFTER);
	OK(rotate(false, &r));
	ck_assert_int_eq(stored(KID).last_exp, until);
	ck_assert_int_eq(stored(KID).remove_at, until + KEYRING_SKEW);
	advance(until - now() - DAY);
	for (int i = 0; i < 3; i++)
		OK(tend());
	ck_assert(is_published(KID));
	advance(DAY + KEYRING_SKEW);
	OK(tend());
	ck_assert(!is_published(KID));
}
END_TEST

START_TEST(what_came_and_went_bad_is_revoked)
{
	struct revoke_result r;

	OK(import_active(KID, now() + 2 * DAY));
	OK(revoke_key(KID, &r));
	ck_assert(!r.exact); /* its former server signed, too */
	ck_assert_int_ge(r.latest_expiry, now() + 2 * DAY);
	assert_gone(KID);
	ck_assert_int_eq(import_active(KID, 0), ERR_FORBIDDEN);
	assert_whole();
}
END_TEST

/* ---- a key that only verifies ---- */

START_TEST(a_key_that_only_verifies_stays_until_its_last_token)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	int64_t until = now() + 2 * DAY;

	OK(import_retiring(KID, RETIRED_JWK(KID), until));
	assert_signs_with(active.kid);
	ck_assert(is_published(KID));
	ck_assert(!is_held(KID));
	ck_assert_int_eq(stored(KID).remove_at, until + KEYRING_SKEW);
	ck_assert_int_eq(info_of(KEY_STANDBY).ready_at, standby.ready_at);
	assert_lint();
	reopen();
	ck_assert(is_published(KID));
	advance(until - now());
	OK(tend());
	ck_assert(is_published(KID));
	advance(KEYRING_SKEW);
	OK(tend());
	ck_assert(!is_published(KID));
	ck_assert_int_eq(stored(KID).state, KEY_REMOVED);
}
END_TEST

/* ---- what does not come ---- */

START_TEST(a_kid_that_is_known_does_not_come_again)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);

	ck_assert_int_eq(import_active(active.kid, 0), ERR_CONFLICT);
	ck_assert_int_eq(import_active(standby.kid, 0), ERR_CONFLICT);
	OK(import_retiring(KID, RETIRED_JWK(KID), now() + DAY));
	ck_assert_int_eq(import_active(KID, 0), ERR_CONFLICT);
	ck_assert_int_eq(import_retiring(KID, RETIRED_JWK(KID), now() + DAY), ERR_CONFLICT);
	assert_signs_with(active.kid);
	assert_whole();
}
END_TEST

START_TEST(a_kid_on_the_list_does_not_come_even_if_the_database_knows_nothing)
{
	OK(revoked_kids_add(o.revoked_kids, STR(KID), now()));
	ck_assert_int_eq(import_active(KID, 0), ERR_FORBIDDEN);
	ck_assert_int_eq(import_retiring(KID, RETIRED_JWK(KID), now() + DAY), ERR_FORBIDDEN);
	assert_nothing_came();
}
END_TEST

START_TEST(what_could_not_be_published_is_not_written_down)
{
	static const char *const jwks[] = {
		"",
		"{}",
		"nonsense",
		RETIRED_JWK("another"),
		"{\"kty\":\"EC\",\"kid\":\"" KID "\"}",
	};
	char longest[4 * KID_MAX];

	for (size_t i = 0; i < COUNT(jwks); i++)
		ck_assert_int_eq(import_retiring(KID, jwks[i], now() + DAY), ERR_SYNTAX);
	memset(longest, 'k', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(import_retiring(longest, RETIRED_JWK(KID), now() + DAY), ERR_SYNTAX);
	ck_assert_int_eq(import_retiring("", RETIRED_JWK(""), now() + DAY), ERR_SYNTAX);
	ck_assert_int_eq(import_retiring("a b", RETIRED_JWK("a b"), now() + DAY), ERR_SYNTAX);
	ck_assert_int_eq(import_active("a b", 0), ERR_SYNTAX);
	ck_assert_int_eq(import_active("", 0), ERR_SYNTAX);
	ck_assert_int_eq(import_active(longest, 0), ERR_SYNTAX);
	assert_nothing_came();
	reopen();
}
END_TEST

START_TEST(a_box_for_another_signer_does_not_open)
{
	struct key_import in = { .alg = ALG_ES256, .kid = STR(KID), .state = KEY_ACTIVE };

	in.box = boxed();
	signer_fixture_restart(&o.signer);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	ck_assert_int_eq(keyring_import(o.keyring, &in), ERR_BAD_SIGNATURE);
	assert_nothing_came();
}
END_TEST

START_TEST(a_set_that_is_full_takes_no_more)
{
	struct rotate_result r = { .kid = "" };

	while (rotate(true, &r) == ERR_OK)
		;
	ck_assert_int_eq(import_active(KID, 0), ERR_BUSY);
	ck_assert_int_eq(import_retiring(KID, RETIRED_JWK(KID), now() + DAY), ERR_BUSY);
	ck_assert(!is_published(KID));
}
END_TEST

/* ---- failures ---- */

START_TEST(a_store_that_refuses_takes_no_key)
{
	struct key_info active = info_of(KEY_ACTIVE);

	o.mood = STORE_REFUSES;
	ck_assert_int_eq(import_active(KID, 0), ERR_FULL);
	o.mood = STORE_WORKS;
	assert_signs_with(active.kid);
	ck_assert(!is_held(KID));
	tend_until_done();
	assert_nothing_came();
	OK(import_active(KID, 0));
	assert_signs_with(KID);
}
END_TEST

START_TEST(a_key_whose_commit_was_not_told_signs)
{
	struct key_info active = info_of(KEY_ACTIVE);

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(import_active(KID, 0), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	ck_assert_int_eq(import_active(KID, 0), ERR_CONFLICT);
	assert_signs_with(KID);
	ck_assert(!is_held(active.kid));
	tend_until_done();
	assert_whole();
}
END_TEST

#ifdef CHANCERY_FAULTS
START_TEST(a_key_cut_off_after_its_commit_signs_in_the_end)
{
	struct key_info active = info_of(KEY_ACTIVE);

	fault_arm("key.import.committed:1:error");
	ck_assert_int_eq(import_active(KID, 0), ERR_IO);
	fault_arm(NULL);
	if (_i == 0)
		tend_until_done();
	else
		reopen();
	assert_signs_with(KID);
	ck_assert(!is_held(active.kid));
	assert_whole();
}
END_TEST
#endif

/* ---- rehearsal ---- */

START_TEST(a_standby_is_rehearsed_as_the_database_holds_it)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);

	OK(keyring_rehearse(o.keyring, ALG_ES256));
	ck_assert(!is_held(standby.kid));
	ck_assert_int_eq(keyring_rehearse(o.keyring, ALG_RS256), ERR_NOT_FOUND);
	change_database("UPDATE keys SET sealed = (SELECT sealed FROM keys WHERE "
			"state = 'active') WHERE state = 'standby'");
	ck_assert_int_eq(keyring_rehearse(o.keyring, ALG_ES256), ERR_BAD_SIGNATURE);
	reopen();
	ck_assert_int_eq(keyring_rehearse(o.keyring, ALG_ES256), ERR_BAD_SIGNATURE);
	assert_signs_with(active.kid);
	change_database("DELETE FROM keys WHERE state = 'standby'");
	ck_assert_int_eq(keyring_rehearse(o.keyring, ALG_ES256), ERR_NOT_FOUND);
}
END_TEST

static void add_tests(TCase *tc)
{
	const TTest *const tests[] = {
		a_key_that_comes_signs_under_its_kid_and_ours_retires,
		a_key_that_came_rotates_out_like_any_other,
		tokens_of_the_former_server_keep_their_key,
		what_came_and_went_bad_is_revoked,
		a_key_that_only_verifies_stays_until_its_last_token,
		a_kid_that_is_known_does_not_come_again,
		a_kid_on_the_list_does_not_come_even_if_the_database_knows_nothing,
		what_could_not_be_published_is_not_written_down,
		a_box_for_another_signer_does_not_open,
		a_set_that_is_full_takes_no_more,
		a_store_that_refuses_takes_no_key,
		a_key_whose_commit_was_not_told_signs,
		a_standby_is_rehearsed_as_the_database_holds_it,
	};

	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
#ifdef CHANCERY_FAULTS
	tcase_add_loop_test(tc, a_key_cut_off_after_its_commit_signs_in_the_end, 0, 2);
#endif
}

int main(void)
{
	TCase *tc = tcase_create("keyring import");

	tcase_add_checked_fixture(tc, keyring_up, keyring_down);
	add_tests(tc);
	return suite_run_case("keyring import", tc);
}
