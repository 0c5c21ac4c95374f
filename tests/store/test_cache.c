/* Clients and revocations in memory: bounded, shared, and never older than what the writer
 * announced. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/fault.h"
#include "server/store/cache.h"
#include "server/store/revoked.h"
#include "tests/helpers/store_fixture.h"

enum { PRESENT = 8, ABSENT = 4 };

static struct store_fixture f;
static struct client_cache *cache;
static struct revoked *revoked;

static void set_up(void)
{
	store_fixture_up(&f);
	ck_assert_int_eq(client_cache_new(PRESENT, ABSENT, &cache), ERR_OK);
	ck_assert_int_eq(revoked_new(REVOCATIONS_MAX, &revoked), ERR_OK);
}

static void tear_down(void)
{
	client_cache_free(cache);
	revoked_free(revoked);
	store_fixture_down(&f);
}

/* Reads through the cache as a worker does; the caller keeps no reference. */
static enum err find(const char *id)
{
	struct client_ref *ref = NULL;
	enum err e = client_cache_find(cache, str_z(id), &ref);

	if (!e)
		client_unref(ref);
	return e;
}

static enum err load(const char *id)
{
	struct client_ref *ref = NULL;
	enum err e = client_cache_load(cache, f.db, str_z(id), &ref);

	if (!e)
		client_unref(ref);
	return e;
}

static void rename_client(const char *id, const char *name)
{
	struct client c;
	struct str missing;

	ck_assert_int_eq(store_client_get(f.db, f.arena, str_z(id), &c), ERR_OK);
	c.name = str_z(name);
	ck_assert_int_eq(store_client_update(f.db, &c, 0, FIXTURE_NOW, 0, &missing), ERR_OK);
}

START_TEST(a_client_is_found_after_it_was_loaded)
{
	struct client_ref *ref;

	store_fixture_client(&f, "app", "read", "");
	ck_assert_int_eq(find("app"), ERR_BUSY);
	ck_assert_int_eq(load("app"), ERR_OK);
	ck_assert_int_eq(client_cache_find(cache, STR("app"), &ref), ERR_OK);
	ck_assert(str_equal_z(ref->client.scope, "read"));
	client_unref(ref);
	ck_assert_int_eq(find("APP"), ERR_BUSY);
}
END_TEST

START_TEST(an_absent_id_is_remembered_until_it_is_created)
{
	ck_assert_int_eq(load("app"), ERR_NOT_FOUND);
	ck_assert_int_eq(find("app"), ERR_NOT_FOUND);
	store_fixture_client(&f, "app", "read", "");
	client_cache_drop(cache, STR("app"));
	ck_assert_int_eq(find("app"), ERR_BUSY);
	ck_assert_int_eq(load("app"), ERR_OK);
	ck_assert_int_eq(find("app"), ERR_OK);
}
END_TEST

START_TEST(strangers_guesses_push_out_no_client)
{
	char id[16];

	for (int i = 0; i < PRESENT; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		store_fixture_client(&f, id, "", "");
		ck_assert_int_eq(load(id), ERR_OK);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "guess%d", i);
		ck_assert_int_eq(load(id), ERR_NOT_FOUND);
	}
	for (int i = 0; i < PRESENT; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		ck_assert_int_eq(find(id), ERR_OK);
	}
	for (int i = 0; i < 1000; i++) { /* only the last few are remembered */
		snprintf(id, sizeof(id), "guess%d", i);
		ck_assert_int_eq(find(id), i < 1000 - ABSENT ? ERR_BUSY : ERR_NOT_FOUND);
	}
}
END_TEST

START_TEST(a_full_cache_forgets_the_client_unused_longest)
{
	char id[16];

	for (int i = 0; i <= PRESENT; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		store_fixture_client(&f, id, "", "");
		ck_assert_int_eq(load(id), ERR_OK);
		ck_assert_int_eq(find("c0"), ERR_OK);
	}
	ck_assert_int_eq(find("c0"), ERR_OK);
	ck_assert_int_eq(find("c1"), ERR_BUSY);
	ck_assert_int_eq(find("c2"), ERR_OK);
}
END_TEST

START_TEST(an_id_too_long_to_exist_is_absent_at_once)
{
	char id[ID_MAX + 2];

	memset(id, 'x', sizeof(id));
	id[ID_MAX + 1] = '\0';
	ck_assert_int_eq(find(id), ERR_NOT_FOUND);
	ck_assert_int_eq(load(id), ERR_NOT_FOUND);
}
END_TEST

#ifdef CHANCERY_FAULTS
static void *load_in_thread(void *arg)
{
	struct db *reader;
	struct client_ref *ref;
	bool *was_old = arg;

	if (db_open(f.db_path, DB_READ, false, &reader) ||
	    client_cache_load(cache, reader, STR("app"), &ref))
		abort();
	*was_old = str_equal_z(ref->client.name, "app");
	client_unref(ref);
	db_close(reader);
	return NULL;
}

/* The reader has read and is held up (100 ms); the writer commits and announces meanwhile. What the
 * reader has may serve its own request, and must not be put where others find it. */
START_TEST(what_was_read_before_a_commit_is_not_put_back_after_it)
{
	const struct timespec moment = { .tv_nsec = 40000000 };
	bool was_old = false;
	pthread_t reader;

	store_fixture_client(&f, "app", "read", "");
	fault_arm("cache.read:1:delay");
	pthread_create(&reader, NULL, load_in_thread, &was_old);
	nanosleep(&moment, NULL);
	rename_client("app", "new");
	client_cache_drop(cache, STR("app"));
	pthread_join(reader, NULL);
	fault_arm(NULL);
	ck_assert(was_old);
	ck_assert_int_eq(find("app"), ERR_BUSY);
}
END_TEST
#endif

START_TEST(a_reference_outlives_its_place_in_the_cache)
{
	struct client_ref *ref;

	store_fixture_client(&f, "app", "read", "");
	ck_assert_int_eq(client_cache_load(cache, f.db, STR("app"), &ref), ERR_OK);
	client_cache_drop_all(cache);
	ck_assert_int_eq(find("app"), ERR_BUSY);
	ck_assert(str_equal_z(ref->client.name, "app"));
	client_unref(ref);
}
END_TEST

static int uses;
static int64_t last_use;

static void note_use(void *arg, struct str secret_id, int64_t at)
{
	ck_assert_ptr_eq(arg, &uses);
	ck_assert(str_equal_z(secret_id, "sec_1"));
	uses++;
	last_use = at;
}

START_TEST(uses_of_secrets_are_told_once)
{
	const struct client_secret s = { .id = STR("sec_1"),
					 .kind = SECRET_MACHINE,
					 .hash = STR("h") };
	struct client_ref *ref;

	store_fixture_client(&f, "app", "read", "");
	ck_assert_int_eq(store_secret_add(f.db, STR("app"), &s), ERR_OK);
	ck_assert_int_eq(client_cache_load(cache, f.db, STR("app"), &ref), ERR_OK);
	client_cache_used(cache, note_use, &uses);
	ck_assert_int_eq(uses, 0);
	atomic_store(&ref->last_used[0], 42);
	client_cache_used(cache, note_use, &uses);
	client_cache_used(cache, note_use, &uses);
	ck_assert_int_eq(uses, 1);
	ck_assert_int_eq(last_use, 42);
	client_unref(ref);
}
END_TEST

/* ---- threads: readers load and find, a writer renames and announces ---- */

enum { READERS = 3, RENAMES = 300 };

static _Atomic bool stop;
static _Atomic int64_t committed; /* the version announced */

/* Never sees a version older than the one announced before it asked. */
static void *read_for_a_while(void *arg)
{
	struct db *db;
	struct client_ref *ref;

	(void)arg;
	if (db_open(f.db_path, DB_READ, false, &db))
		abort();
	while (!atomic_load(&stop)) {
		int64_t least = atomic_load(&committed);
		enum err e = client_cache_find(cache, STR("app"), &ref);

		if (e == ERR_BUSY)
			e = client_cache_load(cache, db, STR("app"), &ref);
		if (e || ref->client.version < least)
			abort();
		client_unref(ref);
	}
	db_close(db);
	return NULL;
}

START_TEST(no_reader_sees_a_client_older_than_announced)
{
	pthread_t readers[READERS];

	store_fixture_client(&f, "app", "read", "");
	for (int i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, read_for_a_while, NULL);
	for (int i = 0; i < RENAMES; i++) {
		rename_client("app", i % 2 ? "odd" : "even");
		client_cache_drop(cache, STR("app"));
		atomic_store(&committed, i + 2);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
}
END_TEST

/* ---- revocations ---- */

static void revoke(enum revoke_kind kind, const char *value, int64_t iat_max, int64_t until)
{
	const struct revocation r = { kind, str_z(value), iat_max, until };

	ck_assert_int_eq(revoked_add(revoked, &r), ERR_OK);
}

static const struct {
	enum revoke_kind kind;
	bool time_matters;
} kinds[] = {
	{ REVOKE_JTI, false },	 { REVOKE_SID, false }, { REVOKE_KID, false },
	{ REVOKE_CLIENT, true }, { REVOKE_USER, true }, { REVOKE_API, true },
};

START_TEST(a_revocation_hits_its_kind_value_and_time)
{
	const enum revoke_kind kind = kinds[_i].kind;

	ck_assert(!revoked_hit(revoked, kind, STR("x"), 0));
	revoke(kind, "x", 100, 200);
	ck_assert(revoked_hit(revoked, kind, STR("x"), 100));
	ck_assert(revoked_hit(revoked, kind, STR("x"), 101) != kinds[_i].time_matters);
	ck_assert(!revoked_hit(revoked, kind, STR("xx"), 100));
	ck_assert(!revoked_hit(revoked, kind, STR(""), 100));
	ck_assert(!revoked_hit(revoked, kind == REVOKE_USER ? REVOKE_CLIENT : REVOKE_USER, STR("x"),
			       100));
}
END_TEST

START_TEST(a_second_entry_widens_the_first)
{
	revoke(REVOKE_USER, "u", 100, 200);
	revoke(REVOKE_USER, "u", 50, 300);
	ck_assert_uint_eq(revoked_count(revoked), 1);
	ck_assert(revoked_hit(revoked, REVOKE_USER, STR("u"), 100));
	revoked_purge(revoked, 300);
	ck_assert_uint_eq(revoked_count(revoked), 1);
	revoke(REVOKE_USER, "u", 150, 200);
	ck_assert(revoked_hit(revoked, REVOKE_USER, STR("u"), 150));
	revoked_purge(revoked, 301);
	ck_assert_uint_eq(revoked_count(revoked), 0);
	ck_assert(!revoked_hit(revoked, REVOKE_USER, STR("u"), 100));
}
END_TEST

START_TEST(all_stored_revocations_are_loaded_but_the_passed_ones)
{
	enum { STORED = 2500, PASSED = 10 };
	char jti[16];

	ck_assert_int_eq(db_begin(f.db), ERR_OK);
	for (int i = 0; i < STORED; i++) {
		struct revocation r = { REVOKE_JTI, STR_NONE, 0, i < PASSED ? 9 : 10 };

		snprintf(jti, sizeof(jti), "j%d", i);
		r.value = str_z(jti);
		ck_assert_int_eq(store_revoke(f.db, &r), ERR_OK);
	}
	ck_assert_int_eq(db_commit(f.db), ERR_OK);
	ck_assert_int_eq(revoked_load(revoked, f.db, 10), ERR_OK);
	ck_assert_uint_eq(revoked_count(revoked), STORED - PASSED);
	for (int i = 0; i < STORED; i++) {
		snprintf(jti, sizeof(jti), "j%d", i);
		ck_assert(revoked_hit(revoked, REVOKE_JTI, str_z(jti), 5) == (i >= PASSED));
	}
}
END_TEST

static void *revoke_for_a_while(void *arg)
{
	const char *prefix = arg;
	char value[16];

	for (int i = 0; i < 2000; i++) {
		struct revocation r = { REVOKE_SID, STR_NONE, 1, i % 2 ? 1 : 9 };

		snprintf(value, sizeof(value), "%s%d", prefix, i);
		r.value = str_z(value);
		if (revoked_add(revoked, &r) || !revoked_hit(revoked, REVOKE_SID, r.value, 1))
			abort();
	}
	return NULL;
}

/* Times lie so that purging meanwhile takes none of those just asked for. */
START_TEST(entries_of_many_threads_are_all_there)
{
	char first[] = "a", second[] = "b";
	pthread_t a, b;

	pthread_create(&a, NULL, revoke_for_a_while, first);
	pthread_create(&b, NULL, revoke_for_a_while, second);
	for (int i = 0; i < 20; i++)
		revoked_purge(revoked, 1);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	ck_assert_uint_eq(revoked_count(revoked), 4000);
	revoked_purge(revoked, 2);
	ck_assert_uint_eq(revoked_count(revoked), 2000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cache");
	TCase *t = tcase_create("cache");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_client_is_found_after_it_was_loaded);
	tcase_add_test(t, an_absent_id_is_remembered_until_it_is_created);
	tcase_add_test(t, strangers_guesses_push_out_no_client);
	tcase_add_test(t, a_full_cache_forgets_the_client_unused_longest);
	tcase_add_test(t, an_id_too_long_to_exist_is_absent_at_once);
#ifdef CHANCERY_FAULTS
	tcase_add_test(t, what_was_read_before_a_commit_is_not_put_back_after_it);
#endif
	tcase_add_test(t, a_reference_outlives_its_place_in_the_cache);
	tcase_add_test(t, uses_of_secrets_are_told_once);
	tcase_add_test(t, no_reader_sees_a_client_older_than_announced);
	tcase_add_loop_test(t, a_revocation_hits_its_kind_value_and_time, 0,
			    sizeof(kinds) / sizeof(kinds[0]));
	tcase_add_test(t, a_second_entry_widens_the_first);
	tcase_add_test(t, all_stored_revocations_are_loaded_but_the_passed_ones);
	tcase_add_test(t, entries_of_many_threads_are_all_there);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
