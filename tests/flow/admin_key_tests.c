/* /admin/v1/keys: looking, rotation, emergencies, another master key. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/state/fetch_frame.h"
#include "server/token/auth.h"
#include "tests/flow/admin_tests.h"

#define KEYS "/admin/v1/keys"

static struct str row_str(const struct json *row, const char *member)
{
	struct str v = STR_NONE;

	ck_assert_msg(json_str(json_get(row, member), &v), "no text %s", member);
	return v;
}

/* ---- looking and rotating ---- */

static struct str signing_kid(void)
{
	struct answer a = root_gets(200, METHOD_GET, KEYS, NULL);
	struct str kid = STR_NONE, state;

	for (size_t i = 0; i < json_len(items(&a)); i++) {
		const struct json *key = json_at(items(&a), i);

		if (json_str(json_get(key, "state"), &state) && str_equal_z(state, "active"))
			ck_assert(json_str(json_get(key, "kid"), &kid));
	}
	ck_assert_ptr_nonnull(kid.p);
	return kid;
}

START_TEST(keys_are_shown_with_their_life_and_nothing_private)
{
	static const char *const members[] = {
		"kid",	      "alg",	    "state",	  "origin",
		"created_at", "publish_at", "ready_at",	  "activate_at",
		"retire_at",  "remove_at",  "revoked_at", "last_token_expires_at",
		"held_by",    "expected",   "laggards",	  "forced",
	};
	struct answer a = root_gets(200, METHOD_GET, KEYS, NULL);
	struct str kid = signing_kid();

	ck_assert_uint_eq(json_len(items(&a)), 2);
	ck_assert_uint_eq(json_len(json_at(items(&a), 0)), sizeof(members) / sizeof(*members));
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		ck_assert_ptr_nonnull(json_get(json_at(items(&a), 0), members[i]));
	a = root_gets(200, METHOD_GET, format(KEYS "/%.*s", STR_ARG(kid)), NULL);
	ck_assert_str(answer_str(&a, "state"), "active");
	ck_assert_str(answer_str(&a, "alg"), "ES256");
	ck_assert_int_eq(json_type(json_get(a.json, "last_token_expires_at")), JSON_NULL);
	root_gets(404, METHOD_GET, KEYS "/nothing", NULL);
}
END_TEST

START_TEST(a_rotation_switches_before_it_answers)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str before = signing_kid(), token = token_of("worker", secret), retired, kid;
	struct answer a = root_gets(202, METHOD_POST, KEYS "/rotate", "{}");

	ck_assert_uint_eq(json_len(items(&a)), 1);
	ck_assert(json_str(json_get(json_at(items(&a), 0), "retired"), &retired));
	ck_assert(json_str(json_get(json_at(items(&a), 0), "kid"), &kid));
	ck_assert(str_equal(retired, before));
	ck_assert(str_equal(kid, signing_kid()));
	ck_assert(!str_equal(kid, before));
	ck_assert(still_active(token));
	ck_assert(still_active(token_of("worker", secret)));
	a = get(&office, "/.well-known/jwks.json");
	ck_assert_uint_eq(json_len(json_get(a.json, "keys")), 3);
	a = root_gets(200, METHOD_GET, format(KEYS "/%.*s", STR_ARG(before)), NULL);
	ck_assert_str(answer_str(&a, "state"), "retiring");
	answer_str(&a, "last_token_expires_at");
}
END_TEST

START_TEST(a_standby_that_is_too_young_says_when_and_force_goes_ahead)
{
	struct answer a;
	struct str kid;

	root_gets(202, METHOD_POST, KEYS "/rotate", NULL);
	kid = signing_kid();
	a = root_gets(409, METHOD_POST, KEYS "/rotate", "{\"alg\":\"ES256\"}");
	ck_assert_str_eq(a.content_type, "application/problem+json");
	ck_assert(str_starts(answer_str(&a, "ready_at"), STR("2023-11-14T22:")));
	ck_assert(str_equal(kid, signing_kid()));
	root_gets(202, METHOD_POST, KEYS "/rotate", "{\"alg\":\"ES256\",\"force\":true}");
	ck_assert(!str_equal(kid, signing_kid()));
	root_gets(422, METHOD_POST, KEYS "/rotate", "{\"alg\":\"RS256\"}");
	root_gets(422, METHOD_POST, KEYS "/rotate", "{\"alg\":\"none\"}");
	root_gets(422, METHOD_POST, KEYS "/rotate", "{\"mode\":\"immediate\"}");
	root_gets(422, METHOD_POST, KEYS "/rotate", "{\"force\":1}");
}
END_TEST

/* Else the holder of chancery:keys could make the key set too large to be served. */
START_TEST(rotation_by_hand_has_a_measure)
{
	struct answer a;
	int done = 0;

	do {
		a = root(METHOD_POST, KEYS "/rotate", "{\"force\":true}");
		done += a.status == 202;
	} while (a.status == 202 && done < 100);
	ck_assert_status(a, 409);
	ck_assert(str_starts(answer_str(&a, "ready_at"), STR("2023-11-1")));
	a = get(&office, "/.well-known/jwks.json");
	ck_assert_uint_eq(json_len(json_get(a.json, "keys")), 48);
	token_of("worker", make_client("worker", "orders.read", ORDERS));
}
END_TEST

/* The kid of the ES256 key in this state, the last of several. */
static struct str kid_in(const char *state)
{
	struct answer a = root_gets(200, METHOD_GET, KEYS, NULL);
	struct str kid = STR_NONE;

	for (size_t i = 0; i < json_len(items(&a)); i++)
		if (str_equal_z(row_str(json_at(items(&a), i), "state"), state))
			kid = row_str(json_at(items(&a), i), "kid");
	ck_assert_msg(kid.p != NULL, "no %s key", state);
	return kid;
}

static struct answer show(struct str kid)
{
	return root_gets(200, METHOD_GET, format(KEYS "/%.*s", STR_ARG(kid)), NULL);
}

static struct answer revoked(int status, struct str kid)
{
	return root_gets(status, METHOD_POST, format(KEYS "/%.*s/revoke", STR_ARG(kid)), NULL);
}

static bool is_published(struct str kid)
{
	struct answer a = get(&office, "/.well-known/jwks.json");
	const struct json *keys = json_get(a.json, "keys");

	for (size_t i = 0; i < json_len(keys); i++)
		if (str_equal(row_str(json_at(keys, i), "kid"), kid))
			return true;
	return false;
}

static struct str newest_event(void)
{
	struct answer a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=1", NULL);

	return row_str(json_at(items(&a), 0), "event");
}

static size_t events_of(const char *event)
{
	struct answer a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=500", NULL);
	size_t n = 0;

	for (size_t i = 0; i < json_len(items(&a)); i++)
		n += str_equal_z(row_str(json_at(items(&a), i), "event"), event);
	return n;
}

static const char *metrics(void)
{
	struct answer a = flow_send(
		&office,
		&(struct ask){ .listener = LISTENER_SOCKET, .target = "/metrics", .root = true });

	return arena_z(office.arena, a.body);
}

START_TEST(a_refused_rotation_is_no_lost_audit_row)
{
	root_gets(202, METHOD_POST, KEYS "/rotate", NULL);
	root_gets(409, METHOD_POST, KEYS "/rotate", NULL);
	ck_assert_ptr_null(
		strstr(metrics(), "chancery_audit_write_errors_total{type=\"key.rotate"));
	ck_assert_ptr_nonnull(strstr(metrics(), "type=\"key.rotate\",outcome=\"ok\"} 1\n"));
	ck_assert_uint_eq(events_of("key.rotate"), 1);
}
END_TEST

/* ---- who holds the standby ---- */

static void fetch_as(const char *address)
{
	const struct ask ask = { .target = "/.well-known/jwks.json", .address = address };

	ck_assert_status(flow_send(&office, &ask), 200);
}

static void up_with_consumers(void)
{
	static const char *const sets[] = { "keys.consumers=gateway=10.0.0.7,gw-eu-3=10.0.0.8",
					    NULL };

	flow_up_with(&office, sets);
}

START_TEST(a_standby_says_who_holds_it_and_rotation_waits_for_the_others)
{
	struct answer a = show(kid_in("standby"));
	struct str name, standby;

	ck_assert_int_eq(answer_int(&a, "held_by"), 0);
	ck_assert_int_eq(answer_int(&a, "expected"), 2);
	ck_assert_uint_eq(json_len(json_get(a.json, "laggards")), 2);
	fetch_as("10.0.0.7");
	a = root_gets(409, METHOD_POST, KEYS "/rotate", "{}");
	ck_assert_uint_eq(json_len(json_get(a.json, "laggards")), 1);
	ck_assert(json_str(json_at(json_get(a.json, "laggards"), 0), &name));
	ck_assert_str(name, "gw-eu-3");
	ck_assert(!answer_has(&a, "ready_at"));
	fetch_as("10.0.0.8");
	a = show(standby = kid_in("standby"));
	ck_assert_int_eq(answer_int(&a, "held_by"), 2);
	ck_assert_uint_eq(json_len(json_get(a.json, "laggards")), 0);
	root_gets(202, METHOD_POST, KEYS "/rotate", "{}");
	ck_assert(str_equal(kid_in("active"), standby));
	flow_advance(&office, 3600);
	root_gets(409, METHOD_POST, KEYS "/rotate", "{}");
	root_gets(202, METHOD_POST, KEYS "/rotate", "{\"force\":true}");
}
END_TEST

/* ---- plan and lint ---- */

static bool plan_has(const struct json *rows, const char *event, struct str kid)
{
	struct str have;

	for (size_t i = 0; i < json_len(rows); i++) {
		const struct json *row = json_at(rows, i);

		if (!str_equal_z(row_str(row, "event"), event))
			continue;
		if (!kid.p || (json_str(json_get(row, "kid"), &have) && str_equal(have, kid)))
			return true;
	}
	return false;
}

START_TEST(the_plan_names_what_is_to_come_in_order)
{
	struct answer a = root_gets(200, METHOD_GET, KEYS "/plan", NULL);
	const struct json *rows = items(&a);

	ck_assert(plan_has(rows, "activate", kid_in("standby")));
	ck_assert(plan_has(rows, "retire", kid_in("active")));
	ck_assert(plan_has(rows, "publish", STR_NONE));
	ck_assert(plan_has(rows, "raise_bound", kid_in("active")));
	ck_assert(!plan_has(rows, "wait", STR_NONE));
	for (size_t i = 1; i < json_len(rows); i++)
		ck_assert_int_le(str_compare(row_str(json_at(rows, i - 1), "at"),
					     row_str(json_at(rows, i), "at")),
				 0);
	root_gets(202, METHOD_POST, KEYS "/rotate", NULL);
	a = root_gets(200, METHOD_GET, KEYS "/plan", NULL);
	ck_assert(plan_has(items(&a), "remove", kid_in("retiring")));
	ck_assert(plan_has(items(&a), "ready", kid_in("standby")));
}
END_TEST

START_TEST(the_plan_says_what_waits_and_how_long_at_most)
{
	const struct key_outlook outlook = { .held_back = 1U << ALG_ES256, .clock_in_doubt = true };
	struct answer a = root_gets(200, METHOD_GET, KEYS "/plan", NULL);
	const struct json *rows = items(&a);
	struct str due = STR_NONE;

	for (size_t i = 0; i < json_len(rows); i++)
		if (str_equal_z(row_str(json_at(rows, i), "event"), "activate"))
			due = row_str(json_at(rows, i), "at");
	keyring_set_outlook(office.app.keyring, &outlook);
	a = root_gets(200, METHOD_GET, KEYS "/plan", NULL);
	rows = items(&a);
	ck_assert_str(row_str(json_at(rows, 0), "event"), "wait"); /* the clock */
	ck_assert_int_eq(json_type(json_get(json_at(rows, 0), "alg")), JSON_NULL);
	ck_assert(plan_has(rows, "wait", kid_in("standby")));
	for (size_t i = 0; i < json_len(rows); i++)
		if (str_equal_z(row_str(json_at(rows, i), "event"), "activate"))
			ck_assert_int_gt(str_compare(row_str(json_at(rows, i), "at"), due), 0);
}
END_TEST

static size_t lint_faults(void)
{
	struct answer a = root_gets(200, METHOD_GET, KEYS "/lint", NULL);
	size_t n = json_len(json_get(a.json, "faults"));

	ck_assert_int_eq(answer_bool(&a, "ok"), n == 0);
	return n;
}

START_TEST(lint_finds_a_clock_in_doubt_and_a_standby_that_does_not_open)
{
	const struct key_outlook doubt = { .clock_in_doubt = true };

	ck_assert_uint_eq(lint_faults(), 0);
	keyring_set_outlook(office.app.keyring, &doubt);
	ck_assert_uint_eq(lint_faults(), 1);
	keyring_set_outlook(office.app.keyring, &(struct key_outlook){ 0 });
	signer_fixture_restart(&office.signer); /* and nobody gives it the root */
	ck_assert_uint_eq(lint_faults(), 1);
}
END_TEST

/* ---- drill ---- */

static const char *outside; /* the document that a fetch brings; NULL: none */
static int child = -1;

/* A fetch child that has answered already. */
static enum err fetch_stub(void *arg, int *ret_fd)
{
	struct fetch_answer answer = { .outcome = FETCH_ANSWERED, .status = 200 };
	int fds[2];

	ck_assert_ptr_eq(arg, &office);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	answer.parts[FETCH_CONTENT_TYPE] = STR("application/json");
	answer.parts[FETCH_CACHE_CONTROL] = STR("public, max-age=900");
	answer.parts[FETCH_ETAG] = STR("\"x\"");
	answer.parts[FETCH_BODY] = str_z(outside);
	ck_assert_int_eq(fetch_answer_send(fds[1], &answer), ERR_OK);
	if (child >= 0)
		close(child);
	child = fds[1];
	*ret_fd = fds[0];
	return ERR_OK;
}

static bool check_is(const struct answer *a, const char *name, bool ok)
{
	const struct json *checks = json_get(a->json, "checks");
	bool found;

	for (size_t i = 0; i < json_len(checks); i++)
		if (str_equal_z(row_str(json_at(checks, i), "name"), name) &&
		    json_bool(json_get(json_at(checks, i), "ok"), &found))
			return found == ok;
	return false;
}

START_TEST(a_drill_looks_from_outside_and_leaves_a_row)
{
	struct answer a = get(&office, "/.well-known/jwks.json");

	outside = arena_z(office.arena, a.body);
	a = root_gets(200, METHOD_POST, KEYS "/drill", NULL);
	ck_assert(!answer_bool(&a, "ok"));
	ck_assert(check_is(&a, "rules", true));
	ck_assert(check_is(&a, "standby_opens_ES256", true));
	ck_assert(check_is(&a, "outside", false)); /* not done: there is nobody who fetches */
	ck_assert_str(newest_event(), "key.drill");
	office.app.fetch = fetch_stub;
	office.app.fetch_arg = &office;
	a = root_gets(200, METHOD_POST, KEYS "/drill", NULL);
	ck_assert_msg(answer_bool(&a, "ok"), "%.*s", STR_ARG(a.body));
	ck_assert(check_is(&a, "standby_keys", true));
	outside = "{\"keys\":[]}";
	a = root_gets(200, METHOD_POST, KEYS "/drill", NULL);
	ck_assert(!answer_bool(&a, "ok"));
	ck_assert(check_is(&a, "published_keys", false));
	ck_assert(check_is(&a, "standby_keys", false));
	close(child);
}
END_TEST

/* ---- emergencies ---- */

START_TEST(a_revoked_key_is_out_when_the_answer_comes)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str bad = kid_in("active"), standby = kid_in("standby");
	struct str token = token_of("worker", secret);
	struct answer a = revoked(200, bad);

	ck_assert_str(answer_str(&a, "kid"), arena_z(office.arena, bad));
	ck_assert(str_equal(answer_str(&a, "signs_now"), standby));
	ck_assert_int_eq(answer_int(&a, "outstanding_tokens"), 1);
	answer_bool(&a, "outstanding_exact");
	answer_str(&a, "latest_expiry");
	answer_str(&a, "cached_until");
	ck_assert(!still_active(token));
	ck_assert(!is_published(bad));
	ck_assert(revoked_hit(office.app.revoked, REVOKE_KID, bad,
			      office.app.env->now(office.app.env)));
	ck_assert(str_equal(kid_in("active"), standby));
	ck_assert(!str_equal(kid_in("standby"), standby));
	ck_assert(still_active(token_of("worker", secret)));
	a = show(bad);
	ck_assert_str(answer_str(&a, "state"), "revoked");
	answer_str(&a, "revoked_at");
	a = show(kid_in("standby"));
	ck_assert_str(answer_str(&a, "origin"), "emergency");
	ck_assert_uint_eq(events_of("key.revoke"), 1);
}
END_TEST

START_TEST(a_standby_is_revoked_before_it_signs)
{
	struct str bad = kid_in("standby"), active = kid_in("active");
	struct answer a = revoked(200, bad);

	ck_assert(str_equal(answer_str(&a, "signs_now"), active));
	ck_assert_int_eq(answer_int(&a, "outstanding_tokens"), 0);
	ck_assert_int_eq(json_type(json_get(a.json, "latest_expiry")), JSON_NULL);
	ck_assert(!is_published(bad));
	ck_assert(!str_equal(kid_in("standby"), bad));
}
END_TEST

START_TEST(revoking_again_is_no_error_and_a_stranger_is_not_found)
{
	struct str bad = kid_in("active");
	struct answer a;

	revoked(200, bad);
	a = revoked(200, bad);
	ck_assert(str_equal(answer_str(&a, "signs_now"), kid_in("active")));
	ck_assert_uint_eq(events_of("key.revoke"), 1);
	revoked(404, STR("nothing"));
	root_gets(422, METHOD_POST, format(KEYS "/%.*s/revoke", STR_ARG(kid_in("active"))),
		  "{\"force\":true}");
}
END_TEST

static struct answer revoke_as(struct str token, struct str kid)
{
	return as(token, METHOD_POST, format(KEYS "/%.*s/revoke", STR_ARG(kid)), NULL);
}

/* Who stole a token of chancery:keys must not burn keys until the list of them is full. */
START_TEST(a_token_revokes_no_more_keys_than_an_emergency_has)
{
	struct str token = admin_token("chancery:keys"), bad;
	struct answer a;

	for (int i = 0; i < 12; i++) {
		bad = kid_in("standby");
		ck_assert_status(revoke_as(token, bad), 200);
		flow_advance(&office, 1);
	}
	a = revoke_as(token, kid_in("standby"));
	ck_assert_status(a, 429);
	ck_assert_str(answer_header(&a, "Retry-After"), "3588");
	ck_assert_status(revoke_as(token, kid_in("active")), 429);
	/* what costs nothing is told, and the socket has no limit */
	ck_assert_status(revoke_as(token, bad), 200);
	ck_assert_status(revoke_as(token, STR("nothing")), 404);
	revoked(200, kid_in("standby"));
	ck_assert_uint_eq(events_of("key.revoke"), 13);
	/* whoever did it counts: of thirteen, two must be out of the hour */
	flow_advance(&office, 3588);
	token = admin_token("chancery:admin");
	ck_assert_status(revoke_as(token, kid_in("standby")), 429);
	flow_advance(&office, 1);
	ck_assert_status(revoke_as(token, kid_in("standby")), 200);
}
END_TEST

START_TEST(a_revocation_that_is_cut_off_refuses_the_tokens_already)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str bad = kid_in("active"), token = token_of("worker", secret);

	signer_channel_close(&office.signer.control);
	ck_assert_status(root(METHOD_POST, format(KEYS "/%.*s/revoke", STR_ARG(bad)), NULL), 503);
	ck_assert(!still_active(token));
	signer_fixture_restart(&office.signer);
	ck_assert_int_eq(keyring_reload_signer(office.app.keyring, &office.signer.control), ERR_OK);
	revoked(200, bad);
	ck_assert(!is_published(bad));
}
END_TEST

START_TEST(revoking_all_lists_the_damage_and_asks_for_a_restart)
{
	const char *secret = make_client("worker", "orders.read", ORDERS), *opaque;
	struct str token = token_of("worker", secret), bad = kid_in("active");
	struct answer a;

	root_gets(201, METHOD_POST, "/admin/v1/apis",
		  "{\"uri\":\"https://vault.example\",\"format\":\"opaque\"}");
	opaque = make_client("carrier", "vault.read", "https://vault.example");
	token_of("carrier", opaque);
	a = root_gets(202, METHOD_POST, KEYS "/revoke-all", "{}");

	ck_assert_uint_eq(json_len(items(&a)), 2);
	ck_assert(answer_bool(&a, "restarts"));
	ck_assert(!is_published(bad)); /* the restart is a moment away */
	ck_assert(atomic_load(&office.wishes.restart));
	ck_assert(!still_active(token));
	ck_assert_refused(post(&office, "/oauth2/token", basic("worker", secret),
			       "grant_type=client_credentials"),
			  503, "temporarily_unavailable");
	/* nor a token that needs no key of the set: the next root would not know it */
	ck_assert_refused(post(&office, "/oauth2/token", basic("carrier", opaque),
			       "grant_type=client_credentials"),
			  503, "temporarily_unavailable");
	ck_assert_uint_eq(events_of("key.revoke_all"), 1);
}
END_TEST

/* ---- custody and clock ---- */

START_TEST(another_master_key_changes_nothing_that_is_seen)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str token = token_of("worker", secret), kid = kid_in("active");
	struct answer a = root_gets(200, METHOD_POST, KEYS "/rewrap", "{}");

	ck_assert_int_eq(answer_int(&a, "roots"), 1);
	ck_assert(still_active(token));
	ck_assert(still_active(token_of("worker", secret)));
	ck_assert(str_equal(kid_in("active"), kid));
	ck_assert_str(newest_event(), "key.rewrap");
	ck_assert(!atomic_load(&office.wishes.restart));
}
END_TEST

START_TEST(a_vouched_clock_is_told_to_the_housekeeper)
{
	root_gets(422, METHOD_POST, KEYS "/resume", "{\"now\":1}");
	ck_assert(!atomic_load(&office.wishes.clock_vouched));
	root_gets(204, METHOD_POST, KEYS "/resume", "{}");
	ck_assert(atomic_load(&office.wishes.clock_vouched));
	ck_assert_str(newest_event(), "clock.resume");
}
END_TEST

Suite *key_suite(void)
{
	Suite *suite = suite_create("admin keys");
	TCase *c = tcase_create("keys"), *consumers = tcase_create("consumers");

	tcase_set_timeout(c, 240);
	tcase_add_checked_fixture(c, admin_fixture_up, admin_fixture_down);
	tcase_add_test(c, keys_are_shown_with_their_life_and_nothing_private);
	tcase_add_test(c, a_rotation_switches_before_it_answers);
	tcase_add_test(c, a_standby_that_is_too_young_says_when_and_force_goes_ahead);
	tcase_add_test(c, rotation_by_hand_has_a_measure);
	tcase_add_test(c, a_refused_rotation_is_no_lost_audit_row);
	tcase_add_test(c, the_plan_names_what_is_to_come_in_order);
	tcase_add_test(c, the_plan_says_what_waits_and_how_long_at_most);
	tcase_add_test(c, lint_finds_a_clock_in_doubt_and_a_standby_that_does_not_open);
	tcase_add_test(c, a_drill_looks_from_outside_and_leaves_a_row);
	tcase_add_test(c, a_revoked_key_is_out_when_the_answer_comes);
	tcase_add_test(c, a_standby_is_revoked_before_it_signs);
	tcase_add_test(c, revoking_again_is_no_error_and_a_stranger_is_not_found);
	tcase_add_test(c, a_token_revokes_no_more_keys_than_an_emergency_has);
	tcase_add_test(c, a_revocation_that_is_cut_off_refuses_the_tokens_already);
	tcase_add_test(c, revoking_all_lists_the_damage_and_asks_for_a_restart);
	tcase_add_test(c, another_master_key_changes_nothing_that_is_seen);
	tcase_add_test(c, a_vouched_clock_is_told_to_the_housekeeper);
	suite_add_tcase(suite, c);
	tcase_set_timeout(consumers, 240);
	tcase_add_checked_fixture(consumers, up_with_consumers, admin_fixture_down);
	tcase_add_test(consumers, a_standby_says_who_holds_it_and_rotation_waits_for_the_others);
	suite_add_tcase(suite, consumers);
	return suite;
}
