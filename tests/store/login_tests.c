/* Logins: what every generation of a refresh token buys, when, and for whom. */
#include "tests/store/suites.h"

#include <stdio.h>

#include "oauth/machine.h"

enum {
	WINDOW = 10,
	IDLE = 100,
	KEY_ID = 1,
	LIVE = 3, /* the generation the login has in most tests */
};

static const char API[] = "https://api.example/a";
static const struct secret key = { { 7 } };
static const struct secret other_key = { { 8 } };

static struct refresh_bind bind_of(const struct login *l)
{
	return (struct refresh_bind){
		.key = &key,
		.key_id = KEY_ID,
		.issuer = STR("https://id.example"),
		.epoch = 1,
		.client_id = l->client_id,
		.seed = l->seed,
	};
}

/* What the endpoint passes down for RT(n) of this login, presented by the login's own client at
 * `now`. */
static struct refresh_request request(const struct login *l, const struct refresh_bind *bind,
				      uint32_t n, int64_t now)
{
	struct refresh_request in = {
		.bind = *bind,
		.client_id = l->client_id,
		.now = now,
		.retry_window = WINDOW,
		.idle_ttl = IDLE,
		.revoke_until = UNTIL,
		.rotate = true,
	};
	struct buf b;
	struct str text;

	buf_init(&b, fx.arena, 512);
	refresh_write(&b, bind, l->id, n);
	OK(buf_end(&b, &text));
	OK(refresh_read(text, &in.name));
	in.bind.seed = NULL; /* the store fills it from the row */
	return in;
}

static struct refresh_request genuine(const struct login *l, uint32_t n, int64_t now)
{
	struct refresh_bind bind = bind_of(l);

	return request(l, &bind, n, now);
}

static enum refresh_outcome refresh(const struct refresh_request *in)
{
	struct refresh_result r;

	OK(store_refresh(fx.db, fx.arena, in, &r));
	return r.outcome;
}

static void set_column(unsigned char byte, const char *sql, int64_t value)
{
	struct db_stmt *s;
	unsigned char id[LOGIN_ID_LEN];

	memset(id, byte, sizeof(id));
	OK(db_stmt(fx.db, sql, &s));
	db_bind_bytes(s, 1, id, sizeof(id));
	db_bind_i64(s, 2, value);
	OK(db_run(s, NULL));
}

static void set_n(unsigned char byte, int64_t n)
{
	static const char sql[] = "UPDATE logins SET n = $2 WHERE id = $1";

	set_column(byte, sql, n);
}

static void set_retries(unsigned char byte, int64_t retries)
{
	static const char sql[] = "UPDATE logins SET retries = $2 WHERE id = $1";

	set_column(byte, sql, retries);
}

/* A login whose live generation is LIVE, rotated at FIXTURE_NOW. */
static struct login login_at_live(unsigned char byte)
{
	struct login l = make_login(byte, "app", "u1", API);

	set_n(byte, LIVE);
	return l;
}

/* ---- the table of generations ---- */

static const struct {
	const char *name;
	int64_t presented, age, retries;
	bool rotate;
	enum refresh_outcome outcome;
	int64_t n_after, retries_after;
	bool ended;
} rows[] = {
	{ "live", LIVE, 5, 9, true, REFRESH_ROTATED, LIVE + 1, 0, false },
	{ "live, clock went back", LIVE, -50, 0, true, REFRESH_ROTATED, LIVE + 1, 0, false },
	{ "live, client does not rotate", LIVE, 5, 9, false, REFRESH_ROTATED, LIVE, 9, false },
	{ "previous at once", LIVE - 1, 0, 0, true, REFRESH_REPEATED, LIVE, 1, false },
	{ "previous, last second", LIVE - 1, WINDOW, 0, true, REFRESH_REPEATED, LIVE, 1, false },
	{ "previous, a second late", LIVE - 1, WINDOW + 1, 0, true, REFRESH_REUSED, LIVE, 0, true },
	{ "previous, clock back, inside", LIVE - 1, -WINDOW, 0, true, REFRESH_REPEATED, LIVE, 1,
	  false },
	{ "previous, clock back, outside", LIVE - 1, -WINDOW - 1, 0, true, REFRESH_REUSED, LIVE, 0,
	  true },
	{ "previous, last repeat", LIVE - 1, 1, REFRESH_RETRY_MAX - 1, true, REFRESH_REPEATED, LIVE,
	  REFRESH_RETRY_MAX, false },
	{ "previous, one too many", LIVE - 1, 1, REFRESH_RETRY_MAX, true, REFRESH_TOO_MANY, LIVE,
	  REFRESH_RETRY_MAX, false },
	{ "previous, client does not rotate now", LIVE - 1, 1, 0, false, REFRESH_REPEATED, LIVE, 1,
	  false },
	{ "the one before, inside the window", LIVE - 2, 0, 0, true, REFRESH_REUSED, LIVE, 0,
	  true },
	{ "the first", 0, 0, 0, true, REFRESH_REUSED, LIVE, 0, true },
	{ "one ahead", LIVE + 1, 0, 0, true, REFRESH_AHEAD, LIVE, 0, true },
	{ "far ahead", UINT32_MAX, 0, 0, true, REFRESH_AHEAD, LIVE, 0, true },
};

START_TEST(a_generation_buys_what_the_table_says)
{
	struct login l = login_at_live(1);
	struct refresh_request in = genuine(&l, (uint32_t)rows[_i].presented,
					    FIXTURE_NOW + rows[_i].age);
	struct refresh_result r;
	struct login after;
	struct revocation entry;

	in.rotate = rows[_i].rotate;
	set_retries(1, rows[_i].retries);
	OK(store_refresh(fx.db, fx.arena, &in, &r));
	after = get_login(1);
	ck_assert_msg(r.outcome == rows[_i].outcome, "%s: outcome %d", rows[_i].name, r.outcome);
	ck_assert_msg(after.n == rows[_i].n_after, "%s: n is %u", rows[_i].name, after.n);
	ck_assert_msg(after.retries == rows[_i].retries_after, "%s: retries", rows[_i].name);
	ck_assert_msg((after.ended_at != 0) == rows[_i].ended, "%s: ended", rows[_i].name);
	ck_assert_msg(find_revocation(REVOKE_SID, "sid-1", &entry) == rows[_i].ended, "%s: entry",
		      rows[_i].name);
	if (rows[_i].ended)
		ck_assert_int_eq(entry.until, UNTIL);
	ck_assert_int_eq(r.login.n, after.n);
}
END_TEST

START_TEST(a_rotation_gives_login_and_user_after_the_step)
{
	struct login l = make_login(1, "app", "u1", API);
	struct refresh_request in = genuine(&l, 0, FIXTURE_NOW + 5);
	struct refresh_result r;

	OK(store_refresh(fx.db, fx.arena, &in, &r));
	ck_assert_int_eq(r.login.n, 1);
	STR_EQ(r.login.sid, "sid-1");
	STR_EQ(r.login.scope, "read");
	STR_EQ(r.login.audience, API);
	STR_EQ(r.login.amr, "pwd");
	STR_EQ(r.user.id, "u1");
	STR_EQ(r.user.roles, "staff");
	ck_assert_mem_eq(r.login.seed, l.seed, LOGIN_SEED_LEN);
	ck_assert_int_eq(r.login.rotated_at, FIXTURE_NOW + 5);
	ck_assert_int_eq(get_login(1).rotated_at, FIXTURE_NOW + 5);
}
END_TEST

START_TEST(a_repeat_gives_the_same_successor)
{
	struct login l = make_login(1, "app", "u1", API);
	struct refresh_request in = genuine(&l, 0, FIXTURE_NOW);
	struct refresh_result first, again;

	OK(store_refresh(fx.db, fx.arena, &in, &first));
	OK(store_refresh(fx.db, fx.arena, &in, &again));
	ck_assert_int_eq(first.outcome, REFRESH_ROTATED);
	ck_assert_int_eq(again.outcome, REFRESH_REPEATED);
	ck_assert_int_eq(again.login.n, first.login.n);
	STR_EQ(again.user.id, "u1");
}
END_TEST

/* A thief inside the window shares the successor and is found out at the next step of either. */
START_TEST(a_thief_inside_the_window_is_caught_at_the_next_divergence)
{
	struct login l = make_login(1, "app", "u1", API);
	struct refresh_request owner = genuine(&l, 0, FIXTURE_NOW);
	struct refresh_request thief = genuine(&l, 0, FIXTURE_NOW + 1);
	struct refresh_request owner_next = genuine(&l, 1, FIXTURE_NOW + 60);
	struct refresh_request thief_next = genuine(&l, 1, FIXTURE_NOW + 90);

	ck_assert_int_eq(refresh(&owner), REFRESH_ROTATED);
	ck_assert_int_eq(refresh(&thief), REFRESH_REPEATED);
	ck_assert_int_eq(refresh(&owner_next), REFRESH_ROTATED);
	ck_assert_int_eq(refresh(&thief_next), REFRESH_REUSED);
	ck_assert_int_ne(get_login(1).ended_at, 0);
}
END_TEST

START_TEST(retries_count_per_generation)
{
	struct login l = make_login(1, "app", "u1", API);

	for (uint32_t n = 0; n < 3; n++) {
		struct refresh_request in = genuine(&l, n, FIXTURE_NOW + n);

		ck_assert_int_eq(refresh(&in), REFRESH_ROTATED);
		for (int i = 0; i < REFRESH_RETRY_MAX; i++)
			ck_assert_int_eq(refresh(&in), REFRESH_REPEATED);
		ck_assert_int_eq(refresh(&in), REFRESH_TOO_MANY);
	}
	ck_assert_int_eq(get_login(1).ended_at, 0);
}
END_TEST

START_TEST(the_last_generation_has_no_successor)
{
	struct login l = make_login(1, "app", "u1", API);
	struct refresh_request in = genuine(&l, UINT32_MAX, FIXTURE_NOW);

	set_n(1, UINT32_MAX);
	ck_assert_int_eq(refresh(&in), REFRESH_UNKNOWN);
	in = genuine(&l, UINT32_MAX - 1, FIXTURE_NOW);
	ck_assert_int_eq(refresh(&in), REFRESH_REPEATED);
	ck_assert_int_eq(get_login(1).n, UINT32_MAX);
}
END_TEST

/* ---- times ---- */

START_TEST(idle_time_moves_and_the_end_does_not)
{
	struct login l = make_login(1, "app", "u1", API); /* ends at +1000 */
	struct refresh_request in;

	for (uint32_t n = 0; n < 11; n++) {
		int64_t now = FIXTURE_NOW + 90 * (int64_t)(n + 1);
		int64_t idle = now + IDLE;

		in = genuine(&l, n, now);
		ck_assert_int_eq(refresh(&in), REFRESH_ROTATED);
		ck_assert_int_eq(get_login(1).idle_until,
				 idle < l.expires_at ? idle : l.expires_at);
	}
	in = genuine(&l, 11, l.expires_at - 1);
	ck_assert_int_eq(refresh(&in), REFRESH_ROTATED);
	in = genuine(&l, 12, l.expires_at);
	ck_assert_int_eq(refresh(&in), REFRESH_UNKNOWN);
}
END_TEST

START_TEST(without_rotation_the_idle_time_moves_too)
{
	struct login l = make_login(1, "app", "u1", API);
	struct refresh_request in = genuine(&l, 0, FIXTURE_NOW + 50);

	in.rotate = false;
	ck_assert_int_eq(refresh(&in), REFRESH_ROTATED);
	ck_assert_int_eq(get_login(1).idle_until, FIXTURE_NOW + 150);
	ck_assert_int_eq(get_login(1).rotated_at, FIXTURE_NOW);
}
END_TEST

START_TEST(a_login_left_idle_is_over)
{
	struct login l = make_login(1, "app", "u1", API); /* idle until +100 */
	struct refresh_request in = genuine(&l, 0, FIXTURE_NOW + 100);

	ck_assert_int_eq(refresh(&in), REFRESH_UNKNOWN);
	in = genuine(&l, 0, FIXTURE_NOW + 99);
	ck_assert_int_eq(refresh(&in), REFRESH_ROTATED);
}
END_TEST

/* ---- who asks, with what ---- */

enum forgery {
	NO_SUCH_LOGIN,
	FOREIGN_KEY_USED,
	FOREIGN_SEED,
	OTHER_ISSUER,
	OTHER_EPOCH,
	MADE_FOR_OTHER_CLIENT,
	BENT_MAC,
	BENT_N,
	FORGERIES
};

static struct refresh_request forge(struct login *l, enum forgery how)
{
	static const unsigned char no_seed[LOGIN_SEED_LEN];
	struct refresh_bind bind = bind_of(l);
	struct refresh_request in;

	if (how == NO_SUCH_LOGIN)
		l->id[0] ^= 1;
	if (how == FOREIGN_KEY_USED)
		bind.key = &other_key;
	if (how == FOREIGN_SEED)
		bind.seed = no_seed;
	if (how == OTHER_ISSUER)
		bind.issuer = STR("https://other.example");
	if (how == OTHER_EPOCH)
		bind.epoch = 2;
	if (how == MADE_FOR_OTHER_CLIENT)
		bind.client_id = STR("other");
	in = request(l, &bind, LIVE, FIXTURE_NOW);
	in.bind = bind_of(l);
	in.bind.seed = NULL;
	if (how == BENT_MAC)
		in.name.mac[0] ^= 1;
	if (how == BENT_N)
		in.name.n--;
	return in;
}

START_TEST(a_forged_token_is_unknown_and_changes_nothing)
{
	struct login l = login_at_live(1);
	struct refresh_request in = forge(&l, (enum forgery)_i);
	struct login ended;
	struct user user;
	bool was_ended = true;

	ck_assert_int_eq(refresh(&in), REFRESH_UNKNOWN);
	OK(store_login_revoke(fx.db, fx.arena, &in, &was_ended, &ended));
	ck_assert(!was_ended);
	IS(ERR_NOT_FOUND, store_login_inspect(fx.db, fx.arena, &in, &ended, &user));
	ck_assert_int_eq(get_login(1).ended_at, 0);
	ck_assert_int_eq(get_login(1).n, LIVE);
}
END_TEST

/* CVE-2026-16089 and its like: the token is bound to its client, at every door and whatever its n.
 */
START_TEST(another_client_can_neither_use_nor_burn_nor_see_a_token)
{
	struct login l = login_at_live(1);

	for (uint32_t n = 0; n <= LIVE + 1; n++) {
		struct refresh_request in = genuine(&l, n, FIXTURE_NOW);
		struct login seen;
		struct user user;
		bool ended = true;

		in.client_id = STR("other");
		in.bind.client_id = STR("other");
		ck_assert_int_eq(refresh(&in), REFRESH_UNKNOWN);
		OK(store_login_revoke(fx.db, fx.arena, &in, &ended, &seen));
		ck_assert(!ended);
		IS(ERR_NOT_FOUND, store_login_inspect(fx.db, fx.arena, &in, &seen, &user));
	}
	ck_assert_int_eq(get_login(1).ended_at, 0);
}
END_TEST

/* ---- the gate ---- */

/* Only the row, so that the login itself stays alive: a refresh must not live by the login's end
 * alone. */
static void disable_row(const char *sql)
{
	OK(db_script(fx.db, sql));
}

static const struct {
	const char *name, *sql;
} unfit[] = {
	{ "client disabled", "UPDATE clients SET disabled = 1 WHERE id = 'app'" },
	{ "client gone", "DELETE FROM clients WHERE id = 'app'" },
	{ "user disabled", "UPDATE users SET disabled = 1 WHERE id = 'u1'" },
	{ "user gone", "DELETE FROM users WHERE id = 'u1'" },
};

START_TEST(an_unfit_subject_gets_nothing_and_loses_nothing)
{
	struct login l = login_at_live(1);
	struct login seen;
	struct user user;

	disable_row(unfit[_i].sql);
	for (uint32_t n = 0; n <= LIVE + 1; n++) {
		struct refresh_request in = genuine(&l, n, FIXTURE_NOW);

		ck_assert_msg(refresh(&in) == REFRESH_SUBJECT, "%s, n %u", unfit[_i].name, n);
		IS(ERR_NOT_FOUND, store_login_inspect(fx.db, fx.arena, &in, &seen, &user));
	}
	ck_assert_int_eq(get_login(1).n, LIVE);
	ck_assert_int_eq(get_login(1).ended_at, 0);
}
END_TEST

START_TEST(a_login_needs_a_client_and_a_user_that_existed)
{
	struct login l = {
		.client_id = STR("app"), .user_id = STR("nobody"), .sid = STR("s"), .expires_at = 1
	};

	IS(ERR_CONFLICT, store_login_create(fx.db, &l));
	l.user_id = STR("u1");
	l.client_id = STR("nobody");
	IS(ERR_CONFLICT, store_login_create(fx.db, &l));
}
END_TEST

START_TEST(a_login_id_and_a_sid_are_used_once)
{
	struct login l = make_login(1, "app", "u1", API);

	IS(ERR_CONFLICT, store_login_create(fx.db, &l));
	l.id[0] ^= 1;
	IS(ERR_CONFLICT, store_login_create(fx.db, &l));
}
END_TEST

/* ---- revocation and inspection ---- */

START_TEST(every_generation_with_a_good_mac_ends_the_login)
{
	struct login l = login_at_live(1), ended;
	struct refresh_request in = genuine(&l, (uint32_t)_i, FIXTURE_NOW + 7);
	struct revocation entry;
	bool was_ended = false;

	OK(store_login_revoke(fx.db, fx.arena, &in, &was_ended, &ended));
	ck_assert(was_ended);
	STR_EQ(ended.sid, "sid-1");
	ck_assert_int_eq(get_login(1).ended_at, FIXTURE_NOW + 7);
	ck_assert(find_revocation(REVOKE_SID, "sid-1", &entry));
	ck_assert_int_eq(entry.until, UNTIL);
	OK(store_login_revoke(fx.db, fx.arena, &in, &was_ended, &ended));
	ck_assert(!was_ended);
	in = genuine(&l, LIVE, FIXTURE_NOW + 8);
	ck_assert_int_eq(refresh(&in), REFRESH_UNKNOWN);
}
END_TEST

START_TEST(an_expired_login_can_still_be_revoked)
{
	struct login l = make_login(1, "app", "u1", API), ended;
	struct refresh_request in = genuine(&l, 0, l.expires_at + 1);
	bool was_ended = false;

	OK(store_login_revoke(fx.db, fx.arena, &in, &was_ended, &ended));
	ck_assert(was_ended);
	ck_assert(find_revocation(REVOKE_SID, "sid-1", NULL));
}
END_TEST

static const struct {
	const char *name;
	int64_t n, age;
	bool seen;
} inspections[] = {
	{ "live", LIVE, 1, true },
	{ "previous", LIVE - 1, 0, false },
	{ "first", 0, 0, false },
	{ "ahead", LIVE + 1, 0, false },
	{ "last idle second", LIVE, 99, true },
	{ "idle too long", LIVE, 100, false },
};

START_TEST(only_the_current_token_of_a_live_login_is_inspected)
{
	struct login l = login_at_live(1), seen;
	struct refresh_request in = genuine(&l, (uint32_t)inspections[_i].n,
					    FIXTURE_NOW + inspections[_i].age);
	struct user user;

	IS(inspections[_i].seen ? ERR_OK : ERR_NOT_FOUND,
	   store_login_inspect(fx.db, fx.arena, &in, &seen, &user));
	if (inspections[_i].seen) {
		STR_EQ(seen.sid, "sid-1");
		STR_EQ(user.id, "u1");
	}
	ck_assert_int_eq(get_login(1).n, LIVE);
	ck_assert_int_eq(get_login(1).retries, 0);
}
END_TEST

TCase *login_tests(void)
{
	TCase *t = tcase_create("logins");

	tcase_add_loop_test(t, a_generation_buys_what_the_table_says, 0,
			    sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(t, a_rotation_gives_login_and_user_after_the_step);
	tcase_add_test(t, a_repeat_gives_the_same_successor);
	tcase_add_test(t, a_thief_inside_the_window_is_caught_at_the_next_divergence);
	tcase_add_test(t, retries_count_per_generation);
	tcase_add_test(t, the_last_generation_has_no_successor);
	tcase_add_test(t, idle_time_moves_and_the_end_does_not);
	tcase_add_test(t, without_rotation_the_idle_time_moves_too);
	tcase_add_test(t, a_login_left_idle_is_over);
	tcase_add_loop_test(t, a_forged_token_is_unknown_and_changes_nothing, 0, FORGERIES);
	tcase_add_test(t, another_client_can_neither_use_nor_burn_nor_see_a_token);
	tcase_add_loop_test(t, an_unfit_subject_gets_nothing_and_loses_nothing, 0,
			    sizeof(unfit) / sizeof(unfit[0]));
	tcase_add_test(t, a_login_needs_a_client_and_a_user_that_existed);
	tcase_add_test(t, a_login_id_and_a_sid_are_used_once);
	tcase_add_loop_test(t, every_generation_with_a_good_mac_ends_the_login, 0, LIVE + 2);
	tcase_add_test(t, an_expired_login_can_still_be_revoked);
	tcase_add_loop_test(t, only_the_current_token_of_a_live_login_is_inspected, 0,
			    sizeof(inspections) / sizeof(inspections[0]));
	return t;
}
