/* Password hashing, the memory of secrets that passed, and the system's clock and randomness. */
#include "tests/unit/suite.h"

#include "base/limits.h"
#include "base/secret.h"
#include "server/state/password.h"
#include "tests/helpers/fake_env.h"

enum { NOW = 1700000000 };

/* ---- passwords ---- */

struct world {
	struct fake_env fake;
	const struct env *env;
	struct arena *arena;
};

static void world_up(struct world *w)
{
	ck_assert_int_eq(secret_library_init(), ERR_OK);
	fake_env_init(&w->fake, NOW);
	w->env = &w->fake.env;
	ck_assert_int_eq(arena_new(1 << 20, &w->arena), ERR_OK);
}

static void world_down(struct world *w)
{
	arena_free(w->arena);
}

START_TEST(right_password_passes_and_others_do_not)
{
	static const struct {
		struct str password;
		enum err want;
	} rows[] = {
		{ STR("correct horse\0battery"), ERR_OK },
		{ STR("correct horse"), ERR_BAD_SIGNATURE },
		{ STR("correct horse\0batterz"), ERR_BAD_SIGNATURE },
		{ STR(""), ERR_BAD_SIGNATURE },
		{ STR_NONE, ERR_BAD_SIGNATURE },
	};
	bool rehash = true;
	struct world w;
	struct str hash;

	world_up(&w);
	ck_assert_int_eq(password_hash(w.env, w.arena, rows[0].password, &hash), ERR_OK);
	ck_assert(str_starts(hash, STR("$argon2id$v=19$m=64,t=1,p=1$")));
	for (size_t i = 0; i < COUNT(rows); i++)
		ck_assert_int_eq(password_verify(w.env, hash, rows[i].password, &rehash),
				 rows[i].want);
	ck_assert(!rehash);
	world_down(&w);
}
END_TEST

START_TEST(two_hashes_of_one_password_differ)
{
	struct world w;
	struct str a, b;

	world_up(&w);
	ck_assert_int_eq(password_hash(w.env, w.arena, STR("same"), &a), ERR_OK);
	ck_assert_int_eq(password_hash(w.env, w.arena, STR("same"), &b), ERR_OK);
	ck_assert(!str_equal(a, b));
	world_down(&w);
}
END_TEST

START_TEST(changed_parameters_ask_for_a_rehash)
{
	bool rehash = false;
	struct world w;
	struct str hash;

	world_up(&w);
	ck_assert_int_eq(password_hash(w.env, w.arena, STR("secret"), &hash), ERR_OK);
	w.fake.env.hash_passes = 2;
	ck_assert_int_eq(password_verify(w.env, hash, STR("secret"), &rehash), ERR_OK);
	ck_assert(rehash);
	world_down(&w);
}
END_TEST

START_TEST(overlong_password_is_refused_and_never_cut)
{
	char longest[PASSWORD_MAX + 1];
	bool rehash;
	struct world w;
	struct str hash;

	world_up(&w);
	memset(longest, 'x', sizeof(longest));
	ck_assert_int_eq(password_hash(w.env, w.arena, str_n(longest, sizeof(longest)), &hash),
			 ERR_LIMIT);
	ck_assert_int_eq(password_hash(w.env, w.arena, str_n(longest, PASSWORD_MAX), &hash),
			 ERR_OK);
	ck_assert_int_eq(password_verify(w.env, hash, str_n(longest, PASSWORD_MAX), &rehash),
			 ERR_OK);
	ck_assert_int_eq(password_verify(w.env, hash, str_n(longest, sizeof(longest)), &rehash),
			 ERR_BAD_SIGNATURE);
	world_down(&w);
}
END_TEST

START_TEST(damaged_hash_is_corrupt_and_not_a_wrong_password)
{
	static const char *const damaged[] = {
		"$argon2id$v=19$m=64,t=1,p=1$",
		"$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"plain text",
		"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAA",
	};
	bool rehash;
	struct world w;

	world_up(&w);
	for (size_t i = 0; i < COUNT(damaged); i++)
		ck_assert_msg(password_verify(w.env, str_z(damaged[i]), STR("x"), &rehash) ==
				      ERR_CORRUPT,
			      "row %zu", i);
	world_down(&w);
}
END_TEST

START_TEST(no_memory_is_not_a_wrong_password)
{
	bool rehash;
	struct world w;
	struct str hash;

	world_up(&w);
	ck_assert_int_eq(password_hash(w.env, w.arena, STR("x"), &hash), ERR_OK);
	w.fake.env.hash_memory = (size_t)4 << 40; /* more than any machine gives */
	ck_assert_int_eq(password_verify(w.env, STR(""), STR("x"), &rehash), ERR_NOMEM);
	ck_assert_int_eq(password_hash(w.env, w.arena, STR("x"), &hash), ERR_NOMEM);
	world_down(&w);
}
END_TEST

/* The one test with the real parameters: whoever has no password costs what a wrong one costs. */
START_TEST(unknown_user_costs_what_a_wrong_password_costs)
{
	int64_t best[2] = { INT64_MAX, INT64_MAX };
	struct str hashes[2] = { STR(""), STR_NONE };
	bool rehash;
	struct env env;
	struct world w;

	world_up(&w);
	env_system(&env);
	ck_assert_uint_eq(env.hash_memory, 19 << 20);
	ck_assert_uint_eq(env.hash_passes, 2);
	ck_assert_int_eq(password_hash(&env, w.arena, STR("right"), &hashes[1]), ERR_OK);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 2; i++) {
			const int64_t began = env.monotonic(&env);
			int64_t took;

			ck_assert_int_eq(password_verify(&env, hashes[i], STR("wrong"), &rehash),
					 ERR_BAD_SIGNATURE);
			took = env.monotonic(&env) - began;
			best[i] = took < best[i] ? took : best[i];
		}
	}
	ck_assert_int_gt(best[0], 1000);
	ck_assert_msg(best[0] * 2 > best[1] && best[1] * 2 > best[0], "%lld and %lld us",
		      (long long)best[0], (long long)best[1]);
	world_down(&w);
}
END_TEST

/* ---- secrets that passed ---- */

START_TEST(secret_that_passed_is_known_with_its_hash_only)
{
	struct secret_cache *c;
	struct world w;

	world_up(&w);
	ck_assert_int_eq(secret_cache_new(w.env, 64, &c), ERR_OK);
	ck_assert(!secret_cache_has(c, STR("hash1"), STR("secret")));
	secret_cache_put(c, STR("hash1"), STR("secret"));
	ck_assert(secret_cache_has(c, STR("hash1"), STR("secret")));
	ck_assert(!secret_cache_has(c, STR("hash2"), STR("secret")));
	ck_assert(!secret_cache_has(c, STR("hash1"), STR("secreT")));
	ck_assert(!secret_cache_has(c, STR("hash1s"), STR("ecret")));
	secret_cache_free(c);
	world_down(&w);
}
END_TEST

START_TEST(cache_of_secrets_is_bounded_and_keeps_the_newest)
{
	struct secret_cache *c;
	struct world w;
	size_t kept = 0;

	world_up(&w);
	ck_assert_int_eq(secret_cache_new(w.env, 64, &c), ERR_OK);
	for (int i = 0; i < 1000; i++) {
		const struct str presented = str_n(&i, sizeof(i));

		secret_cache_put(c, STR("hash"), presented);
		ck_assert(secret_cache_has(c, STR("hash"), presented));
	}
	for (int i = 0; i < 1000; i++)
		kept += secret_cache_has(c, STR("hash"), str_n(&i, sizeof(i)));
	ck_assert_uint_le(kept, 64);
	ck_assert_uint_ge(kept, 48);
	secret_cache_free(c);
	world_down(&w);
}
END_TEST

START_TEST(without_randomness_nothing_is_built)
{
	struct secret_cache *c;
	struct world w;

	world_up(&w);
	atomic_store(&w.fake.no_random, true);
	ck_assert_int_eq(secret_cache_new(w.env, 64, &c), ERR_CRYPTO);
	world_down(&w);
}
END_TEST

/* ---- the system's clocks ---- */

START_TEST(rfc3339_names_moments)
{
	static const struct {
		int64_t at;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z" },		{ 1700000000, "2023-11-14T22:13:20Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },	{ 253402300799, "9999-12-31T23:59:59Z" },
		{ INT64_MAX, "9999-12-31T23:59:59Z" },	{ -1, "1970-01-01T00:00:00Z" },
		{ 4107542399, "2100-02-28T23:59:59Z" },
	};
	char text[RFC3339_LEN + 1];

	for (size_t i = 0; i < COUNT(rows); i++) {
		rfc3339(rows[i].at, text);
		ck_assert_str_eq(text, rows[i].text);
	}
}
END_TEST

START_TEST(system_gives_time_that_passes_and_bytes_that_differ)
{
	unsigned char a[300] = { 0 }, b[300] = { 0 };
	struct env env;
	int64_t before;

	env_system(&env);
	ck_assert_int_gt(env.now(&env), 1700000000);
	before = env.monotonic(&env);
	ck_assert_int_ge(env.monotonic(&env), before);
	ck_assert_int_eq(env.random(&env, a, sizeof(a)), ERR_OK);
	ck_assert_int_eq(env.random(&env, b, sizeof(b)), ERR_OK);
	ck_assert_mem_ne(a, b, sizeof(a));
	ck_assert_mem_ne(a + 284, b + 284, 16);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		right_password_passes_and_others_do_not,
		two_hashes_of_one_password_differ,
		changed_parameters_ask_for_a_rehash,
		overlong_password_is_refused_and_never_cut,
		damaged_hash_is_corrupt_and_not_a_wrong_password,
		no_memory_is_not_a_wrong_password,
		unknown_user_costs_what_a_wrong_password_costs,
		secret_that_passed_is_known_with_its_hash_only,
		cache_of_secrets_is_bounded_and_keeps_the_newest,
		without_randomness_nothing_is_built,
		rfc3339_names_moments,
		system_gives_time_that_passes_and_bytes_that_differ,
	};

	return suite_run("password", tests, COUNT(tests));
}
