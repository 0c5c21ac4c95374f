/* Acts on keys with their k-th allocation failing, for every k: what is durable is followed, what
 * is not can be done again, and somebody signs. The signer is a process of its own and has memory.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "tests/helpers/keyring_fixture.h"
#include "tests/helpers/mem_fail.h"
#include "tests/unit/suite.h"

enum { TOO_MANY = 2000 };

/* Before the act: while allocations fail libcheck must not be called. */
static struct key_info active, standby;

static enum err act_rotate(void)
{
	struct rotate_result r;

	return rotate(true, &r);
}

static enum err act_revoke(void)
{
	struct revoke_result r;

	return revoke_key(standby.kid, &r);
}

static enum err act_rewrap(void)
{
	size_t roots;

	return keyring_rewrap(o.keyring, NULL, &roots);
}

static enum err act_rehearse(void)
{
	return keyring_rehearse(o.keyring, ALG_ES256);
}

/* ---- what comes from a former server ---- */

static struct {
	unsigned char bytes[SIGNER_IMPORT_KEY_MAX + SIGNER_IMPORT_OVERHEAD];
	size_t n;
	char kid[32];
	char jwk[256]; /* of the retiring one */
} former;

/* A P-256 key as PKCS #8, sealed to the signer. */
static void pack_box(void)
{
	unsigned char to[SIGNER_IMPORT_KEY_LEN], *der = NULL;
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	int n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

	ck_assert_int_gt(n, 0);
	OK(keyring_import_key(o.keyring, to));
	ck_assert_int_eq(crypto_box_seal(former.bytes, der, (unsigned)n, to), 0);
	former.n = (size_t)n + SIGNER_IMPORT_OVERHEAD;
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(pkey);
}

/* Another kid each time: one that came stays taken. */
static void bring(void)
{
	static unsigned n;

	snprintf(former.kid, sizeof(former.kid), "former-%u", n++);
	snprintf(former.jwk, sizeof(former.jwk),
		 "{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"kid\":\"%s\",\"use\":"
		 "\"sig\","
		 "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
		 "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}",
		 former.kid);
	pack_box();
}

static enum err import_as(enum key_state state)
{
	const bool signs = state == KEY_ACTIVE;
	const struct key_import in = {
		.alg = ALG_ES256,
		.kid = str_z(former.kid),
		.state = state,
		.box = signs ? str_n(former.bytes, former.n) : STR_NONE,
		.public_jwk = signs ? STR_NONE : str_z(former.jwk),
		.tokens_until = signs ? 0 : now() + 60,
	};

	return keyring_import(o.keyring, &in);
}

static enum err act_import(void)
{
	return import_as(KEY_ACTIVE);
}

static enum err act_import_retiring(void)
{
	return import_as(KEY_RETIRING);
}

static const struct {
	const char *name;
	enum err (*run)(void);
	void (*before)(void); /* with all the memory it wants; NULL */
} acts[] = {
	{ "rotate", act_rotate, NULL },
	{ "revoke", act_revoke, NULL },
	{ "tend", tend, NULL },
	{ "rewrap", act_rewrap, NULL },
	{ "rehearse", act_rehearse, NULL },
	{ "import", act_import, bring },
	{ "import to verify", act_import_retiring, bring },
};

static const struct secret next_master = { "the next one, of thirty-two byte" };

static enum err prepare(void *arg)
{
	(void)arg;
	return signer_master_next(&o.signer.custody, &next_master);
}

static enum err commit(void *arg)
{
	(void)arg;
	return signer_master_commit(&o.signer.custody);
}

static void up(void)
{
	o.custody = (struct keyring_custody){ prepare, commit, NULL };
	keyring_up();
}

/* The first ones one by one; most of the later ones are those of a view, key by key. */
static size_t after(size_t k)
{
	ck_assert_uint_lt(k, TOO_MANY);
	return k + 1 + k / 10;
}

/* OpenSSL does not say why it failed. */
static bool is_honest(enum err e)
{
	return e == ERR_OK || e == ERR_NOMEM || e == ERR_CRYPTO;
}

/* What the plan makes good, and no more dead keys than a test has patience for. */
static void catch_up(void)
{
	advance(11);
	OK(tend());
	OK(tend());
	change_database("DELETE FROM keys WHERE state IN ('revoked', 'removed')");
}

static size_t one_round(size_t act, size_t k)
{
	size_t count;
	enum err e;

	standby = info_of(KEY_STANDBY);
	advance(PERIOD); /* for tend: a rotation is due, a bound, and what retired leaves */
	if (acts[act].before)
		acts[act].before();
	mem_fail_arm(k, false);
	e = acts[act].run();
	count = mem_fail_count();
	mem_fail_arm(0, false);
	ck_assert_msg(is_honest(e), "%s, allocation %zu: %s", acts[act].name, k, err_name(e));
	catch_up();
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	ck_assert_int_eq(stored(info_of(KEY_ACTIVE).kid).state, KEY_ACTIVE);
	ck_assert_str_ne(info_of(KEY_STANDBY).kid, "");
	ck_assert(!is_held(info_of(KEY_STANDBY).kid));
	return count;
}

START_TEST(no_act_is_left_half_done_for_want_of_memory)
{
	const size_t act = (size_t)_i;
	size_t k = 1;

	while (one_round(act, k) >= k)
		k = after(k);
	ck_assert_uint_gt(k, 1);
}
END_TEST

static size_t arm_at;

static void arm_once(void)
{
	mem_fail_arm(arm_at, false);
	o.after_step = NULL;
}

/* The switch is durable; what fails is to note the exact expiry of the key before it. */
START_TEST(a_switch_counts_when_what_follows_it_fails)
{
	for (int i = 0; i < 8; i++)
		OK(act_rotate()); /* so many rows that reading them takes allocations */
	for (arm_at = 1; arm_at < 8; arm_at++) {
		enum err e;

		standby = info_of(KEY_STANDBY);
		o.after_step = arm_once;
		e = act_rotate();
		mem_fail_arm(0, false);
		ck_assert_msg(is_honest(e), "allocation %zu: %s", arm_at, err_name(e));
		catch_up();
		assert_signs_with(standby.kid);
	}
}
END_TEST

/* Where the commit came before the failure the second call finds it done. */
START_TEST(a_revocation_without_memory_is_ended_by_another_try)
{
	size_t k = 1, count;

	do {
		struct revoke_result r;
		enum err e;

		active = info_of(KEY_ACTIVE);
		mem_fail_arm(k, false);
		e = revoke_key(active.kid, &r);
		count = mem_fail_count();
		mem_fail_arm(0, false);
		if (e)
			e = revoke_key(active.kid, &r);
		ck_assert(e == ERR_OK || e == ERR_REUSED);
		assert_gone(active.kid);
		catch_up();
		assert_signs_with(info_of(KEY_ACTIVE).kid);
		k = after(k);
	} while (count >= k);
}
END_TEST

/* Where it was durable before the failure the second call only ends it. */
static size_t revoke_all_round(size_t k)
{
	static struct revoke_result results[REVOKE_ALL_MAX];
	size_t told, count;
	enum err e;

	active = info_of(KEY_ACTIVE);
	standby = info_of(KEY_STANDBY);
	mem_fail_arm(k, false);
	e = keyring_revoke_all(o.keyring, NULL, results, &told);
	count = mem_fail_count();
	mem_fail_arm(0, false);
	ck_assert_msg(is_honest(e), "allocation %zu: %s", k, err_name(e));
	if (e)
		OK(keyring_revoke_all(o.keyring, NULL, results, &told));
	ck_assert(keyring_is_over(o.keyring));
	assert_gone(active.kid);
	assert_gone(standby.kid);
	o.signer.master = next_master;
	reopen();
	assert_gone(active.kid);
	ck_assert_int_eq(info_of(KEY_ACTIVE).root_version, 2);
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	return count;
}

/* Roots are few: each round has a database of its own. */
START_TEST(everything_is_revoked_by_another_try)
{
	size_t k = 1;

	while (revoke_all_round(k) >= k) {
		k = after(k);
		keyring_down();
		up();
	}
	ck_assert_uint_gt(k, 1);
}
END_TEST

static size_t open_round(size_t k)
{
	size_t count;
	enum err e;

	keyring_free(o.keyring);
	o.keyring = NULL;
	mem_fail_arm(k, false);
	e = open_keyring(false);
	count = mem_fail_count();
	mem_fail_arm(0, false);
	ck_assert_msg(is_honest(e), "allocation %zu: %s", k, err_name(e));
	if (e)
		OK(open_keyring(false));
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	return count;
}

START_TEST(an_opening_without_memory_changes_nothing)
{
	size_t k = 1;

	active = info_of(KEY_ACTIVE);
	while (open_round(k) >= k)
		k = after(k);
	ck_assert_str_eq(info_of(KEY_ACTIVE).kid, active.kid);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyring without memory");
	TCase *tc = tcase_create("keyring without memory");
	SRunner *runner = srunner_create(s);
	int failed;

	mem_fail_libraries();
	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, up, keyring_down);
	tcase_add_loop_test(tc, no_act_is_left_half_done_for_want_of_memory, 0, COUNT(acts));
	tcase_add_test(tc, a_switch_counts_when_what_follows_it_fails);
	tcase_add_test(tc, a_revocation_without_memory_is_ended_by_another_try);
	tcase_add_test(tc, everything_is_revoked_by_another_try);
	tcase_add_test(tc, an_opening_without_memory_changes_nothing);
	suite_add_tcase(s, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
