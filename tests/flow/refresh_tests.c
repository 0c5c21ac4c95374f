/* Refresh tokens: one successor, honest repeats, reuse, narrowing, ends (RFC 6749 6, RFC
 * 9700 4.14). And the gate: every grant against every state of its subject (CVE-2026-1609 and its
 * followers). */
#include "oauth/machine.h"
#include "server/request/audit.h"
#include "server/token/token.h"
#include "tests/flow/token_tests.h"

static struct flow *const f = &fx.flow;

static struct str rt(const struct answer *a)
{
	return answer_str(a, "refresh_token");
}

static struct str at(const struct answer *a)
{
	return answer_str(a, "access_token");
}

START_TEST(a_refresh_gives_a_new_pair_and_keeps_the_login)
{
	struct answer first = login(), second = refresh(rt(&first));
	struct str a, b;

	ck_assert_int_eq(second.status, 200);
	ck_assert(!str_equal(rt(&first), rt(&second)));
	ck_assert(json_str(json_get(claims_of(at(&first)), "sid"), &a));
	ck_assert(json_str(json_get(claims_of(at(&second)), "sid"), &b));
	ck_assert(str_equal(a, b));
	ck_assert(is_active(at(&first)));
}
END_TEST

START_TEST(the_previous_token_gets_the_same_successor_for_ten_seconds)
{
	struct answer first = login(), second = refresh(rt(&first)), again;

	flow_advance(f, 10);
	again = refresh(rt(&first));
	ck_assert_int_eq(again.status, 200);
	ck_assert(str_equal(rt(&second), rt(&again)));
	ck_assert(!str_equal(at(&second), at(&again)));
	ck_assert_int_eq(refresh(rt(&again)).status, 200);
}
END_TEST

START_TEST(the_previous_token_after_the_window_ends_the_login)
{
	struct answer first = login(), second = refresh(rt(&first));

	flow_advance(f, 11);
	ck_assert_refused(refresh(rt(&first)), 400, "invalid_grant");
	ck_assert_refused(refresh(rt(&second)), 400, "invalid_grant");
	ck_assert(!is_active(at(&first)));
	ck_assert(!is_active(at(&second)));
}
END_TEST

START_TEST(an_older_generation_ends_the_login_at_once)
{
	struct answer first = login(), second = refresh(rt(&first)), third = refresh(rt(&second));

	ck_assert_int_eq(third.status, 200);
	ck_assert_refused(refresh(rt(&first)), 400, "invalid_grant");
	ck_assert_refused(refresh(rt(&third)), 400, "invalid_grant");
	ck_assert(!is_active(at(&third)));
}
END_TEST

START_TEST(reuse_is_written_down)
{
	struct answer first = login(), second = refresh(rt(&first)), list;
	struct str event = STR_NONE;

	refresh(rt(&second));
	refresh(rt(&first));
	list = admin(f, METHOD_GET, "/admin/v1/audit?page_size=1", NULL);
	ck_assert_int_eq(list.status, 200);
	ck_assert(json_str(json_get(json_at(json_get(list.json, "items"), 0), "event"), &event));
	ck_assert_str(event, audit_name(AUDIT_REFRESH_REUSE));
}
END_TEST

/* Fifty rotations within one second: an order by seconds would let old ones pass (issue of a peer).
 */
START_TEST(generations_are_counted_and_not_timed)
{
	struct answer a = login();
	struct str old[50];

	for (int i = 0; i < 50; i++) {
		old[i] = rt(&a);
		a = refresh(rt(&a));
		ck_assert_int_eq(a.status, 200);
	}
	ck_assert_refused(refresh(old[20]), 400, "invalid_grant");
	ck_assert_refused(refresh(rt(&a)), 400, "invalid_grant");
}
END_TEST

START_TEST(another_client_can_neither_use_nor_burn_a_token)
{
	const char *secret = flow_client(f, "thief", "orders.read", ORDERS);
	struct answer first = login(), stolen;

	stolen = post(&fx.flow, "/oauth2/token", basic("thief", secret),
		      with("grant_type=refresh_token", "refresh_token", rt(&first)));
	ck_assert_refused(stolen, 400, "invalid_grant");
	ck_assert_int_eq(refresh(rt(&first)).status, 200);
}
END_TEST

START_TEST(every_damaged_token_is_refused_and_harms_nothing)
{
	struct answer first = login();
	char text[256];
	size_t n = rt(&first).n;

	ck_assert_uint_lt(n, sizeof(text));
	for (size_t i = 0; i < n; i++) {
		memcpy(text, rt(&first).p, n);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		ck_assert_int_eq(refresh(str_n(text, n)).status, 400);
		ck_assert_int_eq(refresh(str_n(rt(&first).p, i)).status, 400);
	}
	ck_assert_int_eq(refresh(rt(&first)).status, 200);
}
END_TEST

START_TEST(scope_may_shrink_for_one_token_and_comes_back)
{
	struct answer first = login(), less, more;

	less = token(
		with("grant_type=refresh_token&scope=orders.read", "refresh_token", rt(&first)));
	ck_assert_int_eq(less.status, 200);
	ck_assert_str(answer_str(&less, "scope"), "orders.read");
	more = refresh(rt(&less));
	ck_assert_str(answer_str(&more, "scope"), "orders.read orders.write");
}
END_TEST

START_TEST(scope_never_grows_and_the_asking_costs_nothing)
{
	struct answer first = token(with("grant_type=password&username=alice&scope=orders.read",
					 "password", STR(PASSWORD)));
	struct answer more;

	more = token(
		with("grant_type=refresh_token&scope=orders.write", "refresh_token", rt(&first)));
	ck_assert_refused(more, 400, "invalid_scope");
	more = token(
		with("grant_type=refresh_token&resource=" BILLING, "refresh_token", rt(&first)));
	ck_assert_refused(more, 400, "invalid_target");
	ck_assert_int_eq(refresh(rt(&first)).status, 200);
}
END_TEST

START_TEST(a_scope_taken_from_the_client_is_gone_at_the_next_refresh)
{
	struct answer first = login(), next;

	next = admin(f, METHOD_PATCH, "/admin/v1/clients/shop", "{\"scope\":\"orders.read\"}");
	ck_assert_int_eq(next.status, 200);
	next = refresh(rt(&first));
	ck_assert_int_eq(next.status, 200);
	ck_assert_str(answer_str(&next, "scope"), "orders.read");
}
END_TEST

/* Days go by; the housekeeper sees to the keys meanwhile. */
static void days(int64_t count)
{
	int64_t next;
	bool changed;

	flow_advance(f, count * 86400);
	ck_assert_int_eq(keyring_tend(f->app.keyring, &next, &changed), ERR_OK);
	flow_changed(f);
}

START_TEST(a_login_ends_when_idle_and_at_its_absolute_end)
{
	struct answer a = login();

	days(14);
	ck_assert_refused(refresh(rt(&a)), 400, "invalid_grant");
	a = login();
	for (int i = 0; i < 8; i++) {
		days(10);
		a = refresh(rt(&a));
		ck_assert_int_eq(a.status, 200);
	}
	days(10); /* 90 days: rotation never extends it */
	ck_assert_refused(refresh(rt(&a)), 400, "invalid_grant");
}
END_TEST

START_TEST(a_client_without_rotation_keeps_its_token)
{
	struct answer first, second;

	first = admin(f, METHOD_PATCH, "/admin/v1/clients/shop", "{\"refresh_rotation\":false}");
	ck_assert_int_eq(first.status, 200);
	first = login();
	second = refresh(rt(&first));
	ck_assert(str_equal(rt(&first), rt(&second)));
	ck_assert_int_eq(refresh(rt(&first)).status, 200);
}
END_TEST

START_TEST(a_successor_is_the_same_after_a_restart)
{
	struct answer first = login(), second = refresh(rt(&first)), again;

	store_fixture_reopen(&f->store);
	again = refresh(rt(&first));
	ck_assert(str_equal(rt(&second), rt(&again)));
}
END_TEST

/* ---- the gate ---- */

static void user_disabled(void)
{
	ck_assert_int_eq(
		admin(f, METHOD_PATCH, "/admin/v1/users/u-alice", "{\"disabled\":true}").status,
		200);
}

static void user_deleted(void)
{
	ck_assert_int_eq(admin(f, METHOD_DELETE, "/admin/v1/users/u-alice", NULL).status, 204);
}

static void client_disabled(void)
{
	ck_assert_int_eq(
		admin(f, METHOD_PATCH, "/admin/v1/clients/shop", "{\"disabled\":true}").status,
		200);
}

static void client_deleted(void)
{
	ck_assert_int_eq(admin(f, METHOD_DELETE, "/admin/v1/clients/shop", NULL).status, 204);
}

static void password_changed(void)
{
	ck_assert_int_lt(admin(f, METHOD_POST, "/admin/v1/users/u-alice/password",
			       "{\"password\":\"another password\"}")
				 .status,
			 300);
}

static void api_disabled(void)
{
	ck_assert_int_eq(
		admin(f, METHOD_PATCH, "/admin/v1/apis/orders", "{\"disabled\":true}").status, 200);
}

static void api_deleted(void)
{
	ck_assert_int_eq(admin(f, METHOD_DELETE, "/admin/v1/apis/orders", NULL).status, 204);
}

static const struct subject_state {
	const char *name;
	void (*enter)(void);
	bool of_user; /* the client itself may go on */
} states[] = {
	{ "user disabled", user_disabled, true },
	{ "user deleted", user_deleted, true },
	{ "password changed", password_changed, true },
	{ "client disabled", client_disabled, false },
	{ "client deleted", client_deleted, false },
	{ "api disabled", api_disabled, false },
	{ "api deleted", api_deleted, false },
};
enum { STATES = sizeof(states) / sizeof(states[0]) };

static struct answer by_grant(const char *grant, struct str refresh_token)
{
	if (!strcmp(grant, "client_credentials"))
		return token("grant_type=client_credentials&resource=" ORDERS);
	if (!strcmp(grant, "password"))
		return login_attempt();
	if (!strcmp(grant, "refresh_token"))
		return refresh(refresh_token);
	ck_abort_msg("grant %s has no row in this matrix", grant);
}

/* Generated from the grant table: a new grant cannot be added without its row. */
START_TEST(no_grant_serves_a_subject_that_may_not_receive_tokens)
{
	const struct subject_state *state = &states[_i % STATES];
	const struct grant *grant = &grants[_i / STATES];
	struct answer before = login();
	struct answer a;

	state->enter();
	a = by_grant(grant->name, rt(&before));
	if (state->of_user && !strcmp(grant->name, "client_credentials"))
		ck_assert_int_eq(a.status, 200);
	else
		ck_assert_msg(a.status == 400 || a.status == 401, "%s with %s: %d", grant->name,
			      state->name, a.status);
}
END_TEST

/* Whoever asks: a second client with a right to introspect. */
START_TEST(what_ends_a_subject_makes_its_tokens_inactive_at_once)
{
	const struct subject_state *state = &states[_i];
	const char *secret = flow_client(f, "checker", "", ORDERS);
	struct answer before = login(), a;

	a = admin(f, METHOD_PATCH, "/admin/v1/clients/checker", "{\"introspect\":[\"*\"]}");
	ck_assert_int_eq(a.status, 200);
	a = post(f, "/oauth2/introspect", basic("checker", secret), with("", "token", at(&before)));
	ck_assert(answer_bool(&a, "active"));
	state->enter();
	a = post(f, "/oauth2/introspect", basic("checker", secret), with("", "token", at(&before)));
	ck_assert_msg(!answer_bool(&a, "active"), "%s: still active", state->name);
	ck_assert_str(a.body, "{\"active\":false}");
}
END_TEST

Suite *refresh_suite(void)
{
	Suite *s = suite_create("refresh");
	TCase *t = tcase_create("refresh");

	tcase_add_checked_fixture(t, office_fixture_up, office_fixture_down);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_refresh_gives_a_new_pair_and_keeps_the_login);
	tcase_add_test(t, the_previous_token_gets_the_same_successor_for_ten_seconds);
	tcase_add_test(t, the_previous_token_after_the_window_ends_the_login);
	tcase_add_test(t, an_older_generation_ends_the_login_at_once);
	tcase_add_test(t, reuse_is_written_down);
	tcase_add_test(t, generations_are_counted_and_not_timed);
	tcase_add_test(t, another_client_can_neither_use_nor_burn_a_token);
	tcase_add_test(t, every_damaged_token_is_refused_and_harms_nothing);
	tcase_add_test(t, scope_may_shrink_for_one_token_and_comes_back);
	tcase_add_test(t, scope_never_grows_and_the_asking_costs_nothing);
	tcase_add_test(t, a_scope_taken_from_the_client_is_gone_at_the_next_refresh);
	tcase_add_test(t, a_login_ends_when_idle_and_at_its_absolute_end);
	tcase_add_test(t, a_client_without_rotation_keeps_its_token);
	tcase_add_test(t, a_successor_is_the_same_after_a_restart);
	tcase_add_loop_test(t, no_grant_serves_a_subject_that_may_not_receive_tokens, 0,
			    (int)grant_count * STATES);
	tcase_add_loop_test(t, what_ends_a_subject_makes_its_tokens_inactive_at_once, 0, STATES);
	suite_add_tcase(s, t);
	return s;
}
