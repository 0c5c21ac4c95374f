/* Revocations, audit, meta values and housekeeping. */
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

/* ---- recorded tokens ---- */

static struct token_record token_named(unsigned char name, int64_t exp)
{
	return (struct token_record){
		.hash = { name },
		.kid = STR("kid-1"),
		.claims = STR("{\"jti\":\"a\"}"),
		.exp = exp,
	};
}

START_TEST(a_recorded_token_is_found_by_its_hash_alone)
{
	const struct token_record in = token_named(1, NOW + 60), other = token_named(2, NOW);
	struct token_record out;

	OK(store_token_record(fx.db, &in));
	IS(ERR_CONFLICT, store_token_record(fx.db, &in));
	IS(ERR_NOT_FOUND, store_token_get(fx.db, fx.arena, other.hash, &out));
	OK(store_token_get(fx.db, fx.arena, in.hash, &out));
	STR_EQ(out.kid, "kid-1");
	STR_EQ(out.claims, "{\"jti\":\"a\"}");
	ck_assert_int_eq(out.exp, NOW + 60);
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

START_TEST(purge_forgets_recorded_tokens_when_they_expire)
{
	const struct token_record kept = token_named(1, NOW + 1), gone = token_named(2, NOW);
	struct token_record out;

	OK(store_token_record(fx.db, &kept));
	OK(store_token_record(fx.db, &gone));
	ck_assert_int_eq(purge(NOW, NOW, 100), 1);
	OK(store_token_get(fx.db, fx.arena, kept.hash, &out));
	IS(ERR_NOT_FOUND, store_token_get(fx.db, fx.arena, gone.hash, &out));
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

/* ---- consumers ---- */

static void put_consumer(const char *name, int64_t last_at, const char *held)
{
	const struct consumer_row row = { .name = str_z(name),
					  .first_at = NOW,
					  .last_at = last_at,
					  .fetches = 3,
					  .held = str_z(held) };

	OK(store_consumer_put(fx.db, &row));
}

START_TEST(a_consumer_is_written_over_and_the_latest_come_first)
{
	struct consumer_row *rows;
	size_t count;

	put_consumer("a", NOW + 1, "k1");
	put_consumer("b", NOW + 2, NULL);
	put_consumer("c", NOW + 2, "");
	put_consumer("a", NOW + 3, "k1 k2");
	OK(store_consumers(fx.db, fx.arena, 2, &rows, &count));
	ck_assert_uint_eq(count, 2);
	STR_EQ(rows[0].name, "a");
	STR_EQ(rows[0].held, "k1 k2");
	ck_assert_int_eq(rows[0].first_at, NOW);
	ck_assert_int_eq(rows[0].last_at, NOW + 3);
	ck_assert_int_eq(rows[0].fetches, 3);
	STR_EQ(rows[1].name, "b");
	STR_EQ(rows[1].held, "");
	OK(store_consumers_forget(fx.db, NOW + 3));
	OK(store_consumers(fx.db, fx.arena, 10, &rows, &count));
	ck_assert_uint_eq(count, 1);
}
END_TEST

TCase *record_tests(void)
{
	TCase *t = tcase_create("records");

	tcase_add_loop_test(t, a_second_revocation_only_widens_the_first, 0,
			    sizeof(widenings) / sizeof(widenings[0]));
	tcase_add_test(t, kinds_of_revocation_do_not_mix);
	tcase_add_test(t, revocations_page_in_order_and_leave_out_the_passed);
	tcase_add_test(t, audit_rows_come_newest_first_with_growing_ids);
	tcase_add_test(t, a_meta_value_is_replaced);
	tcase_add_test(t, a_consumer_is_written_over_and_the_latest_come_first);
	tcase_add_test(t, purge_forgets_what_nothing_can_need);
	tcase_add_test(t, a_recorded_token_is_found_by_its_hash_alone);
	tcase_add_test(t, purge_forgets_recorded_tokens_when_they_expire);
	tcase_add_test(t, purge_keeps_the_newest_audit_row);
	tcase_add_test(t, purge_deletes_no_more_than_it_may);
	tcase_add_test(t, purge_walks_through_all_logins_and_around);
	return t;
}
