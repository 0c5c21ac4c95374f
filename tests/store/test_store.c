/* Runs the store's conformance suite. */
#include "tests/store/suites.h"

#include <stdio.h>
#include <string.h>

#include "tests/helpers/vfs_fault.h"

struct store_fixture fx;

static void set_up(void)
{
	store_fixture_up(&fx);
	OK(db_begin(fx.db)); /* every store function runs inside its caller's transaction */
	store_fixture_api(&fx, "https://api.example/a", "a", "read write");
	store_fixture_api(&fx, "https://api.example/b", "b", "");
	store_fixture_client(&fx, "app", "read write", "https://api.example/a");
	store_fixture_client(&fx, "other", "read", "https://api.example/a");
	store_fixture_user(&fx, "u1", "Alice");
	store_fixture_user(&fx, "u2", "Bob");
}

static void tear_down(void)
{
	if (db_in_transaction(fx.db))
		OK(db_commit(fx.db));
	store_fixture_down(&fx);
}

bool find_revocation(enum revoke_kind kind, const char *value, struct revocation *ret)
{
	struct revocation *rows;
	size_t count;

	OK(store_revocations(fx.db, fx.arena, 0, NULL, 1000, &rows, &count));
	for (size_t i = 0; i < count; i++) {
		if (rows[i].kind != kind || !str_equal_z(rows[i].value, value))
			continue;
		if (ret)
			*ret = rows[i];
		return true;
	}
	return false;
}

struct login make_login(unsigned char byte, const char *client, const char *user,
			const char *audience)
{
	char *sid = arena_alloc(fx.arena, 16);
	struct login l = {
		.client_id = str_z(client),
		.user_id = str_z(user),
		.scope = STR("read"),
		.audience = str_z(audience),
		.amr = STR("pwd"),
		.auth_time = FIXTURE_NOW,
		.created_at = FIXTURE_NOW,
		.rotated_at = FIXTURE_NOW,
		.expires_at = FIXTURE_NOW + 1000,
		.idle_until = FIXTURE_NOW + 100,
	};

	snprintf(sid, 16, "sid-%u", byte);
	l.sid = str_z(sid);
	memset(l.id, byte, sizeof(l.id));
	memset(l.seed, byte ^ 0xa5, sizeof(l.seed));
	OK(store_login_create(fx.db, &l));
	return l;
}

/* The store has no door for this (a refresh needs a genuine token), so the test asks the table. */
struct login get_login(unsigned char byte)
{
	static const char sql[] = "SELECT n, retries, ended_at, idle_until, rotated_at, end_reason "
				  "FROM logins WHERE id = $1";
	struct login l = { .n = 0 };
	struct db_stmt *s;
	bool row;

	memset(l.id, byte, sizeof(l.id));
	OK(db_stmt(fx.db, sql, &s));
	db_bind_bytes(s, 1, l.id, sizeof(l.id));
	OK(db_step(s, &row));
	ck_assert_msg(row, "login %u is not there", byte);
	l.n = (uint32_t)db_i64(s, 0);
	l.retries = db_i64(s, 1);
	l.ended_at = db_i64(s, 2);
	l.idle_until = db_i64(s, 3);
	l.rotated_at = db_i64(s, 4);
	l.end_reason = arena_str(fx.arena, db_str(s, 5));
	db_end(s);
	return l;
}

struct client client_of(const char *id)
{
	struct client c;

	OK(store_client_get(fx.db, fx.arena, str_z(id), &c));
	return c;
}

struct user user_of(const char *id)
{
	struct user u;

	OK(store_user_get(fx.db, fx.arena, str_z(id), &u));
	return u;
}

struct api api_of(const char *slug)
{
	struct api *apis;
	size_t count;

	OK(store_api_list(fx.db, fx.arena, &apis, &count));
	for (size_t i = 0; i < count; i++)
		if (str_equal_z(apis[i].slug, slug))
			return apis[i];
	ck_abort_msg("no api %s", slug);
	return apis[0];
}

enum err create_client(const char *id)
{
	const struct client c = { .id = str_z(id), .created_at = FIXTURE_NOW };
	struct str missing;

	return store_client_create(fx.db, &c, &missing);
}

enum err create_user(const char *id, const char *name)
{
	const struct user u = { .id = str_z(id), .name = str_z(name), .created_at = FIXTURE_NOW };

	return store_user_create(fx.db, &u);
}

int main(void)
{
	TCase *(*const cases[])(void) = { client_tests, user_tests,   login_tests,
					  key_tests,	record_tests, memory_tests };
	Suite *s = suite_create("store");
	SRunner *r;
	int failed;

	vfs_fault_install();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TCase *t = cases[i]();

		tcase_add_checked_fixture(t, set_up, tear_down);
		tcase_set_timeout(t, 30);
		suite_add_tcase(s, t);
	}
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
