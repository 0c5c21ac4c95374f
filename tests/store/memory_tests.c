/* Every operation of the store with the k-th allocation of the engine failing, and with an arena
 * that is too small: it says so, a rollback leaves no trace, and the next try works. */
#include "tests/store/suites.h"

#include <stdio.h>

#include "tests/helpers/vfs_fault.h"

enum { ALLOCATIONS_MAX = 2000 };

static struct arena *rows; /* what the operation reads into */

static enum err create_a_client(void)
{
	struct client_secret s = { .id = STR("sec_9"), .kind = SECRET_MACHINE, .hash = STR("h") };
	const struct client c = { .id = STR("fresh"),
				  .audiences = STR("https://api.example/a"),
				  .secrets = &s,
				  .secret_count = 1 };
	struct str missing;

	return store_client_create(fx.db, &c, &missing);
}

static enum err update_a_client(void)
{
	const struct client c = { .id = STR("app"), .disabled = true };
	struct str missing;

	return store_client_update(fx.db, &c, 1, LATER, UNTIL, &missing);
}

static enum err delete_a_client(void)
{
	return store_client_delete(fx.db, STR("app"), LATER, UNTIL);
}

static enum err list_clients(void)
{
	const struct page page = { STR("a"), STR_NONE, 10 };
	struct client *list;
	size_t count;

	return store_client_list(fx.db, rows, &page, &list, &count);
}

static enum err create_a_user(void)
{
	return create_user("fresh", "carol");
}

static enum err find_a_user(void)
{
	struct user u;

	return store_user_by_name(fx.db, rows, STR("alice"), &u);
}

static enum err change_a_password(void)
{
	return store_user_password(fx.db, STR("u1"), STR("hash"), LATER, UNTIL);
}

static enum err delete_an_api(void)
{
	return store_api_delete(fx.db, STR("a"), LATER, UNTIL);
}

static enum err list_apis(void)
{
	struct api *list;
	size_t count;

	return store_api_list(fx.db, rows, &list, &count);
}

static enum err begin_a_login(void)
{
	struct login l = { .id = { 7 },
			   .sid = STR("sid-7"),
			   .client_id = STR("app"),
			   .user_id = STR("u1"),
			   .expires_at = 9,
			   .idle_until = 9 };

	return store_login_create(fx.db, &l);
}

static struct key_row a_standby(const char *kid)
{
	struct key_row row = { .info = { .alg = ALG_ES256,
					 .state = KEY_STANDBY,
					 .root_version = 1,
					 .publish_at = 1,
					 .ready_at = 1 },
			       .public_jwk = STR("{}"),
			       .sealed = STR("s") };

	snprintf(row.info.kid, sizeof(row.info.kid), "%s", kid);
	return row;
}

static enum err rotate_keys(void)
{
	const struct key_row standby = a_standby("k1"), next = a_standby("k2");
	const struct key_promotion p = {
		.alg = ALG_ES256, .kid = STR("k1"), .exp_bound = 9, .now = LATER
	};
	enum err e = store_key_insert(fx.db, &standby);

	return e ? e : store_key_rotate(fx.db, &p, 9, &next);
}

static enum err list_keys(void)
{
	struct key_row *list;
	size_t count;
	enum err e = rotate_keys();

	return e ? e : store_keys(fx.db, rows, &list, &count);
}

static enum err put_and_get_a_root(void)
{
	int64_t version;
	struct str sealed;
	enum err e = store_root_put(fx.db, 1, STR("sealed"), LATER);

	return e ? e : store_root_get(fx.db, rows, &version, &sealed);
}

static enum err write_and_list_audit(void)
{
	const struct audit_row row = { .at = LATER, .event = STR("x") };
	struct audit_row *list;
	size_t count;
	enum err e = store_audit(fx.db, &row);

	return e ? e : store_audit_list(fx.db, rows, 0, 10, &list, &count);
}

static enum err revoke_and_list(void)
{
	const struct revocation r = { REVOKE_JTI, STR("j"), LATER, UNTIL };
	struct revocation *list;
	size_t count;
	enum err e = store_revoke(fx.db, &r);

	return e ? e : store_revocations(fx.db, rows, 0, NULL, 10, &list, &count);
}

static enum err write_and_list_consumers(void)
{
	const struct consumer_row row = { .name = STR("x"), .last_at = LATER, .held = STR("k") };
	struct consumer_row *list;
	size_t count;
	enum err e = store_consumer_put(fx.db, &row);

	if (!e)
		e = store_consumers_forget(fx.db, LATER);
	return e ? e : store_consumers(fx.db, rows, 10, &list, &count);
}

static enum err purge_a_little(void)
{
	int64_t deleted;

	return store_purge(fx.db, FIXTURE_NOW + 9000, FIXTURE_NOW, 1, &deleted);
}

static enum err (*const operations[])(void) = {
	create_a_client,
	update_a_client,
	delete_a_client,
	list_clients,
	create_a_user,
	find_a_user,
	change_a_password,
	delete_an_api,
	list_apis,
	begin_a_login,
	rotate_keys,
	list_keys,
	put_and_get_a_root,
	revoke_and_list,
	purge_a_little,
	write_and_list_audit,
	write_and_list_consumers,
};
enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

/* What every operation may change, in one number. */
static int64_t trace(void)
{
	static const char sql[] =
		"SELECT (SELECT COUNT(*) FROM clients) + 10 * (SELECT COUNT(*) FROM users) + "
		"100 * (SELECT COUNT(*) FROM apis) + 1000 * (SELECT COUNT(*) FROM revocations) + "
		"10000 * (SELECT COUNT(*) FROM principals) + 100000 * (SELECT COUNT(*) FROM keys) "
		"+ "
		"1000000 * (SELECT COUNT(*) FROM logins WHERE ended_at = 0) + "
		"10000000 * (SELECT COUNT(*) FROM audit) + 100000000 * (SELECT COUNT(*) FROM meta) "
		"+ "
		"1000000000 * (SELECT COUNT(*) FROM consumers)";
	struct db_stmt *s;
	bool row;
	int64_t n;

	OK(db_stmt(fx.db, sql, &s));
	OK(db_step(s, &row));
	n = db_i64(s, 0);
	db_end(s);
	return n;
}

static void start_rows(void)
{
	arena_free(rows);
	rows = NULL;
	OK(arena_new(1 << 20, &rows));
}

/* In a whole transaction, because the engine may drop it. */
static enum err attempt(enum err (*operation)(void), int k)
{
	enum err e;

	start_rows();
	OK(db_begin(fx.db));
	vfs_fault_arm(VFS_ALLOC, k, VFS_NOMEM, false);
	e = operation();
	vfs_fault_disarm();
	return e;
}

START_TEST(an_operation_without_memory_leaves_no_trace)
{
	int64_t before;
	int k = 0;
	enum err e;

	make_login(1, "app", "u1", "https://api.example/a");
	OK(db_commit(fx.db));
	before = trace();
	do {
		e = attempt(operations[_i], ++k);
		if (vfs_fault_passed(VFS_ALLOC) < k)
			break;
		/* the engine may do without that memory; SQLite 3.46 does more often than 3.40 */
		if (e)
			IS(ERR_NOMEM, e);
		db_rollback(fx.db);
		ck_assert(!db_in_transaction(fx.db));
		ck_assert_int_eq(trace(), before);
	} while (k < ALLOCATIONS_MAX);
	OK(e);
	OK(db_commit(fx.db));
	/* SQLite 3.46 takes two small steps without asking for memory; a whole client it cannot */
	if (_i == 0)
		ck_assert_int_gt(k, 1);
	arena_free(rows);
	rows = NULL;
}
END_TEST

static enum err (*const readers[])(void) = { list_clients, find_a_user, list_apis };

/* As much as fits, and then not a byte more. */
START_TEST(a_read_into_a_full_arena_says_so)
{
	start_rows();
	while (arena_alloc(rows, 64))
		continue;
	IS(ERR_NOMEM, readers[_i]());
	arena_free(rows);
	rows = NULL;
}
END_TEST

TCase *memory_tests(void)
{
	TCase *t = tcase_create("memory");

	tcase_add_loop_test(t, an_operation_without_memory_leaves_no_trace, 0, OPERATIONS);
	tcase_add_loop_test(t, a_read_into_a_full_arena_says_so, 0,
			    sizeof(readers) / sizeof(readers[0]));
	return t;
}
