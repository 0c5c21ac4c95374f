/* Revocations, keys, audit, meta values and housekeeping. */
#include "tests/store/suites.h"

#include <stdio.h>

enum { NOW = FIXTURE_NOW };

/* ---- revocations ---- */

static void revoke(enum revoke_kind kind, const char *value, int64_t iat_max, int64_t until)
{
	const struct revocation r = { kind, str_z(value), iat_max, until };

	OK(store_revoke(fx.db, &r));
}

static const struct {
	int64_t iat_max, until, iat_after, until_after;
} widenings[] = {
	{ 10, 100, 10, 100 }, { 20, 100, 20, 100 }, { 10, 200, 10, 200 },
	{ 5, 50, 10, 100 },   { 20, 50, 20, 100 },  { 5, 200, 10, 200 },
};

START_TEST(a_second_revocation_only_widens_the_first)
{
	struct revocation r;

	revoke(REVOKE_CLIENT, "app", 10, 100);
	revoke(REVOKE_CLIENT, "app", widenings[_i].iat_max, widenings[_i].until);
	ck_assert(find_revocation(REVOKE_CLIENT, "app", &r));
	ck_assert_int_eq(r.iat_max, widenings[_i].iat_after);
	ck_assert_int_eq(r.until, widenings[_i].until_after);
}
END_TEST

START_TEST(kinds_of_revocation_do_not_mix)
{
	revoke(REVOKE_CLIENT, "x", 10, 100);
	revoke(REVOKE_USER, "x", 20, 200);
	ck_assert(find_revocation(REVOKE_CLIENT, "x", NULL));
	ck_assert(find_revocation(REVOKE_USER, "x", NULL));
	ck_assert(!find_revocation(REVOKE_JTI, "x", NULL));
	ck_assert(!find_revocation(REVOKE_USER, "X", NULL));
}
END_TEST

START_TEST(revocations_page_in_order_and_leave_out_the_passed)
{
	struct revocation *rows;
	struct revocation after;
	size_t count;

	revoke(REVOKE_USER, "b", 1, 100);
	revoke(REVOKE_JTI, "z", 1, 100);
	revoke(REVOKE_USER, "a", 1, 99);
	revoke(REVOKE_USER, "c", 1, 101);
	OK(store_revocations(fx.db, fx.arena, 100, NULL, 2, &rows, &count));
	ck_assert_uint_eq(count, 2);
	STR_EQ(rows[0].value, "z");
	STR_EQ(rows[1].value, "b");
	after = rows[1];
	OK(store_revocations(fx.db, fx.arena, 100, &after, 2, &rows, &count));
	ck_assert_uint_eq(count, 1);
	STR_EQ(rows[0].value, "c");
}
END_TEST

/* ---- keys ---- */

static struct key_row key_row(const char *kid, enum alg alg, enum key_state state)
{
	struct key_row row = {
		.info = { .alg = alg,
			  .state = state,
			  .created_at = NOW,
			  .publish_at = NOW,
			  .ready_at = NOW + 10,
			  .activate_at = NOW + 20,
			  .exp_bound = NOW + 30 },
		.public_jwk = STR("{\"kty\":\"EC\"}"),
		.sealed = STR("sealed\0bytes"),
	};

	snprintf(row.info.kid, sizeof(row.info.kid), "%s", kid);
	return row;
}

static enum err insert_key(const char *kid, enum alg alg, enum key_state state)
{
	const struct key_row row = key_row(kid, alg, state);

	return store_key_insert(fx.db, &row);
}

static struct key_row key_of(const char *kid)
{
	struct key_row *rows;
	size_t count;

	OK(store_keys(fx.db, fx.arena, &rows, &count));
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].info.kid, kid) == 0)
			return rows[i];
	ck_abort_msg("no key %s", kid);
	return rows[0];
}

static enum err rotate(enum alg alg, const char *next, const char *fresh)
{
	const struct key_row row = key_row(fresh, alg, KEY_STANDBY);

	return store_key_rotate(fx.db, alg, str_z(next), NOW + 500, NOW + 900, &row, NOW + 100);
}

START_TEST(a_key_comes_back_as_stored)
{
	struct key_row row;

	OK(insert_key("k1", ALG_RS256, KEY_STANDBY));
	row = key_of("k1");
	ck_assert_int_eq(row.info.alg, ALG_RS256);
	ck_assert_int_eq(row.info.state, KEY_STANDBY);
	ck_assert_int_eq(row.info.created_at, NOW);
	ck_assert_int_eq(row.info.publish_at, NOW);
	ck_assert_int_eq(row.info.ready_at, NOW + 10);
	ck_assert_int_eq(row.info.activate_at, NOW + 20);
	ck_assert_int_eq(row.info.exp_bound, NOW + 30);
	ck_assert_int_eq(row.info.last_exp, 0);
	ck_assert(str_equal(row.sealed, STR("sealed\0bytes")));
	STR_EQ(row.public_jwk, "{\"kty\":\"EC\"}");
}
END_TEST

/* Design, keys, rule 1: the schema itself holds it. */
START_TEST(an_algorithm_has_one_active_and_one_standby_key)
{
	OK(insert_key("e-active", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("e-standby", ALG_ES256, KEY_STANDBY));
	OK(insert_key("r-active", ALG_RS256, KEY_ACTIVE));
	IS(ERR_CONFLICT, insert_key("e2", ALG_ES256, KEY_ACTIVE));
	IS(ERR_CONFLICT, insert_key("e3", ALG_ES256, KEY_STANDBY));
	IS(ERR_CONFLICT, insert_key("e-active", ALG_RS256, KEY_STANDBY));
}
END_TEST

START_TEST(a_rotation_promotes_retires_and_inserts_together)
{
	struct key_row old, now_active;

	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	OK(insert_key("r1", ALG_RS256, KEY_ACTIVE));
	OK(rotate(ALG_ES256, "k2", "k3"));
	old = key_of("k1");
	now_active = key_of("k2");
	ck_assert_int_eq(old.info.state, KEY_RETIRING);
	ck_assert_int_eq(old.info.retire_at, NOW + 100);
	ck_assert_int_eq(old.info.remove_at, NOW + 900);
	ck_assert_uint_eq(old.sealed.n, 0);
	ck_assert_int_eq(now_active.info.state, KEY_ACTIVE);
	ck_assert_int_eq(now_active.info.activate_at, NOW + 100);
	ck_assert_int_eq(now_active.info.exp_bound, NOW + 500);
	ck_assert_uint_eq(now_active.sealed.n, sizeof("sealed\0bytes") - 1);
	ck_assert_int_eq(key_of("k3").info.state, KEY_STANDBY);
	ck_assert_int_eq(key_of("r1").info.state, KEY_ACTIVE);
}
END_TEST

START_TEST(the_first_key_of_an_algorithm_has_nothing_to_retire)
{
	OK(insert_key("k1", ALG_ES256, KEY_STANDBY));
	OK(rotate(ALG_ES256, "k1", "k2"));
	ck_assert_int_eq(key_of("k1").info.state, KEY_ACTIVE);
}
END_TEST

static const struct {
	const char *name, *next, *fresh;
	enum alg alg;
} bad_rotations[] = {
	{ "no such key", "none", "k3", ALG_ES256 },
	{ "the active key itself", "k1", "k3", ALG_ES256 },
	{ "a standby of another algorithm", "k2", "k3", ALG_RS256 },
	{ "a fresh key whose name is taken", "k2", "k1", ALG_ES256 },
};

START_TEST(a_rotation_that_cannot_be_leaves_all_as_it_was)
{
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	OK(db_savepoint(fx.db));
	ck_assert_msg(rotate(bad_rotations[_i].alg, bad_rotations[_i].next,
			     bad_rotations[_i].fresh) == ERR_CONFLICT,
		      "%s", bad_rotations[_i].name);
	OK(db_rollback_to(fx.db));
	ck_assert_int_eq(key_of("k1").info.state, KEY_ACTIVE);
	ck_assert_uint_gt(key_of("k1").sealed.n, 0);
	ck_assert_int_eq(key_of("k2").info.state, KEY_STANDBY);
}
END_TEST

START_TEST(a_bound_is_raised_and_never_lowered)
{
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(store_key_bound(fx.db, STR("k1"), NOW + 1000));
	OK(store_key_bound(fx.db, STR("k1"), NOW + 5));
	ck_assert_int_eq(key_of("k1").info.exp_bound, NOW + 1000);
	IS(ERR_NOT_FOUND, store_key_bound(fx.db, STR("none"), NOW));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	IS(ERR_NOT_FOUND, store_key_bound(fx.db, STR("k2"), NOW + 1000));
}
END_TEST

START_TEST(settling_a_retired_key_never_raises)
{
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	IS(ERR_NOT_FOUND, store_key_settle(fx.db, STR("k1"), NOW + 1, NOW + 2));
	OK(rotate(ALG_ES256, "k2", "k3"));
	OK(store_key_settle(fx.db, STR("k1"), NOW + 300, NOW + 360));
	OK(store_key_settle(fx.db, STR("k1"), NOW + 400, NOW + 460));
	ck_assert_int_eq(key_of("k1").info.last_exp, NOW + 300);
	ck_assert_int_eq(key_of("k1").info.remove_at, NOW + 360);
}
END_TEST

START_TEST(only_a_retiring_key_is_removed)
{
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	IS(ERR_NOT_FOUND, store_key_remove(fx.db, STR("k1"), NOW));
	IS(ERR_NOT_FOUND, store_key_remove(fx.db, STR("k2"), NOW));
	OK(rotate(ALG_ES256, "k2", "k3"));
	OK(store_key_remove(fx.db, STR("k1"), NOW + 1000));
	ck_assert_int_eq(key_of("k1").info.state, KEY_REMOVED);
	ck_assert_int_eq(key_of("k1").info.remove_at, NOW + 1000);
	IS(ERR_NOT_FOUND, store_key_remove(fx.db, STR("k1"), NOW));
}
END_TEST

START_TEST(a_signing_key_without_its_private_half_is_refused)
{
	struct key_row row = key_row("k1", ALG_ES256, KEY_STANDBY);

	row.sealed = STR_NONE;
	IS(ERR_CONFLICT, store_key_insert(fx.db, &row));
	row = key_row("k1", ALG_ES256, KEY_RETIRING); /* and a retired one with it */
	row.info.retire_at = NOW;
	IS(ERR_CONFLICT, store_key_insert(fx.db, &row));
}
END_TEST

START_TEST(the_newest_root_is_the_root)
{
	struct str sealed;
	int64_t version;

	IS(ERR_NOT_FOUND, store_root_get(fx.db, fx.arena, &version, &sealed));
	OK(store_root_put(fx.db, 1, STR("one"), NOW));
	OK(store_root_put(fx.db, 2, STR("two"), NOW));
	OK(store_root_put(fx.db, 2, STR("two, sealed anew"), NOW + 1));
	OK(store_root_get(fx.db, fx.arena, &version, &sealed));
	ck_assert_int_eq(version, 2);
	STR_EQ(sealed, "two, sealed anew");
}
END_TEST

/* ---- audit and meta ---- */

static void audit(int64_t at, const char *event)
{
	const struct audit_row row = {
		.at = at,
		.event = str_z(event),
		.outcome = STR("ok"),
		.actor = STR("uid:0"),
		.target = STR("app"),
		.address = STR("192.0.2.1"),
		.request_id = STR("r"),
		.reason = STR("because"),
		.count = 3,
	};

	OK(store_audit(fx.db, &row));
}

START_TEST(audit_rows_come_newest_first_with_growing_ids)
{
	struct audit_row *rows;
	size_t count;

	audit(NOW, "first");
	audit(NOW, "second");
	audit(NOW - 100, "third"); /* order is the order of writing, whatever the clock says */
	OK(store_audit_list(fx.db, fx.arena, 0, 2, &rows, &count));
	ck_assert_uint_eq(count, 2);
	STR_EQ(rows[0].event, "third");
	STR_EQ(rows[1].event, "second");
	ck_assert_int_gt(rows[0].id, rows[1].id);
	OK(store_audit_list(fx.db, fx.arena, rows[1].id, 2, &rows, &count));
	ck_assert_uint_eq(count, 1);
	STR_EQ(rows[0].event, "first");
	STR_EQ(rows[0].outcome, "ok");
	STR_EQ(rows[0].actor, "uid:0");
	STR_EQ(rows[0].target, "app");
	STR_EQ(rows[0].address, "192.0.2.1");
	STR_EQ(rows[0].request_id, "r");
	STR_EQ(rows[0].reason, "because");
	ck_assert_int_eq(rows[0].count, 3);
}
END_TEST

START_TEST(a_meta_value_is_replaced)
{
	struct str value;

	IS(ERR_NOT_FOUND, store_meta_get(fx.db, fx.arena, "x", &value));
	OK(store_meta_put(fx.db, "x", STR("1")));
	OK(store_meta_put(fx.db, "x", STR("")));
	OK(store_meta_get(fx.db, fx.arena, "x", &value));
	ck_assert_ptr_nonnull(value.p);
	STR_EQ(value, "");
}
END_TEST

/* ---- housekeeping ---- */

static int64_t purge(int64_t now, int64_t audit_before, int64_t limit)
{
	int64_t deleted = -1;

	OK(store_purge(fx.db, now, audit_before, limit, &deleted));
	return deleted;
}

static int64_t rows_in(const char *sql)
{
	struct db_stmt *s;
	bool row;
	int64_t n;

	OK(db_stmt(fx.db, sql, &s));
	OK(db_step(s, &row));
	n = db_i64(s, 0);
	db_end(s);
	return n;
}

static const char count_logins[] = "SELECT COUNT(*) FROM logins";
static const char count_audit[] = "SELECT COUNT(*) FROM audit";
static const char count_revocations[] = "SELECT COUNT(*) FROM revocations";

START_TEST(purge_forgets_what_nothing_can_need)
{
	struct user u;

	revoke(REVOKE_JTI, "kept", NOW, NOW);
	revoke(REVOKE_JTI, "passed", NOW, NOW - 1);
	audit(NOW - 100, "old");
	audit(NOW, "new");
	make_login(1, "app", "u1", "https://api.example/a"); /* idle until +100, ends +1000 */
	make_login(2, "app", "u2", "https://api.example/a");
	OK(store_user_get(fx.db, fx.arena, STR("u2"), &u));
	OK(store_user_password(fx.db, STR("u2"), STR("h"), NOW, NOW - 1));
	ck_assert_int_eq(purge(NOW, NOW - 50, 100), 4); /* two revocations, one row, one login */
	ck_assert(find_revocation(REVOKE_JTI, "kept", NULL));
	ck_assert_int_eq(get_login(1).ended_at, 0);
	ck_assert_int_eq(rows_in(count_audit), 1);
	ck_assert_int_eq(purge(NOW + 99, NOW - 50, 100), 1); /* the revocation */
	ck_assert_int_eq(rows_in(count_logins), 1);
	ck_assert_int_eq(purge(NOW + 100, NOW - 50, 100), 1);
	ck_assert_int_eq(rows_in(count_logins), 0);
}
END_TEST

START_TEST(purge_keeps_the_newest_audit_row)
{
	struct audit_row *rows;
	size_t count;

	audit(1, "a");
	audit(2, "b");
	ck_assert_int_eq(purge(NOW, NOW, 100), 1);
	audit(3, "c");
	OK(store_audit_list(fx.db, fx.arena, 0, 10, &rows, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(rows[0].id, 3);
}
END_TEST

START_TEST(purge_deletes_no_more_than_it_may)
{
	for (int i = 0; i < 5; i++) {
		char jti[8];

		snprintf(jti, sizeof(jti), "j%d", i);
		revoke(REVOKE_JTI, jti, 1, 1);
		audit(1, "old");
	}
	ck_assert_int_eq(purge(NOW, NOW, 3), 3);
	ck_assert_int_eq(rows_in(count_revocations), 2);
	ck_assert_int_eq(purge(NOW, NOW, 3), 3);
	ck_assert_int_eq(rows_in(count_revocations), 0);
	ck_assert_int_eq(rows_in(count_audit), 4);
}
END_TEST

/* Twenty logins, every third alive, windows of three: the walk passes all and starts anew. */
START_TEST(purge_walks_through_all_logins_and_around)
{
	static const char revive[] =
		"UPDATE logins SET idle_until = expires_at WHERE "
		"sid IN ('sid-3', 'sid-6', 'sid-9', 'sid-12', 'sid-15', 'sid-18')";
	int64_t deleted = 0;

	for (unsigned char i = 1; i <= 20; i++)
		make_login(i, "app", "u1", "https://api.example/a");
	OK(db_script(fx.db, revive));
	for (int call = 0; call < 9; call++) {
		int64_t now_gone = purge(NOW + 200, 0, 3);

		ck_assert_int_le(now_gone, 3);
		deleted += now_gone;
	}
	ck_assert_int_eq(deleted, 14);
	ck_assert_int_eq(rows_in(count_logins), 6);
	ck_assert_int_eq(get_login(18).ended_at, 0);
	for (int call = 0; call < 3; call++)
		deleted += purge(NOW + 1000, 0, 3);
	ck_assert_int_eq(rows_in(count_logins), 0);
}
END_TEST

TCase *record_tests(void)
{
	TCase *t = tcase_create("records");

	tcase_add_loop_test(t, a_second_revocation_only_widens_the_first, 0,
			    sizeof(widenings) / sizeof(widenings[0]));
	tcase_add_test(t, kinds_of_revocation_do_not_mix);
	tcase_add_test(t, revocations_page_in_order_and_leave_out_the_passed);
	tcase_add_test(t, a_key_comes_back_as_stored);
	tcase_add_test(t, an_algorithm_has_one_active_and_one_standby_key);
	tcase_add_test(t, a_rotation_promotes_retires_and_inserts_together);
	tcase_add_test(t, the_first_key_of_an_algorithm_has_nothing_to_retire);
	tcase_add_loop_test(t, a_rotation_that_cannot_be_leaves_all_as_it_was, 0,
			    sizeof(bad_rotations) / sizeof(bad_rotations[0]));
	tcase_add_test(t, a_bound_is_raised_and_never_lowered);
	tcase_add_test(t, settling_a_retired_key_never_raises);
	tcase_add_test(t, only_a_retiring_key_is_removed);
	tcase_add_test(t, a_signing_key_without_its_private_half_is_refused);
	tcase_add_test(t, the_newest_root_is_the_root);
	tcase_add_test(t, audit_rows_come_newest_first_with_growing_ids);
	tcase_add_test(t, a_meta_value_is_replaced);
	tcase_add_test(t, purge_forgets_what_nothing_can_need);
	tcase_add_test(t, purge_keeps_the_newest_audit_row);
	tcase_add_test(t, purge_deletes_no_more_than_it_may);
	tcase_add_test(t, purge_walks_through_all_logins_and_around);
	return t;
}
