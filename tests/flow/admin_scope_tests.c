/* Who may do what: every admin route against every scope, and every way we could think of in which
 * the holder of a narrow scope might come by one that it lacks. */
#include "server/request/audit.h"
#include "server/token/auth.h"
#include "tests/flow/admin_tests.h"

#define CLIENTS "/admin/v1/clients"
#define USERS "/admin/v1/users"
#define APIS "/admin/v1/apis"
#define KEYS "/admin/v1/keys"
#define ADMIN_API ISSUER "/admin"

/* ---- the matrix ---- */

static const char *const scopes[] = {
	"admin", "keys", "clients", "users", "apis", "audit", "read"
};
enum { SCOPE_COUNT = sizeof(scopes) / sizeof(*scopes) };

/* Custody: a narrow scope must not reach it. */
static bool is_reserved(const struct route *row)
{
	static const char *const patterns[] = { KEYS "/revoke-all", KEYS "/rewrap",
						KEYS "/import" };

	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		if (strcmp(row->pattern, patterns[i]) == 0)
			return true;
	return false;
}

/* What the words say, not what the table says: the area is the first segment, `read` reads, `admin`
 * may everything. */
static bool may(const char *scope, const struct route *row)
{
	const char *area = row->pattern + strlen("/admin/v1/");

	if (strcmp(scope, "admin") == 0)
		return true;
	if (is_reserved(row))
		return false;
	if (strcmp(scope, "read") == 0)
		return row->method == METHOD_GET;
	return strncmp(area, scope, strlen(scope)) == 0;
}

/* A target that exists, for every {segment}. */
static const char *target_of(const struct route *row)
{
	static const struct {
		const char *pattern, *path;
	} filled[] = {
		{ CLIENTS "/{id}", CLIENTS "/plain" },
		{ CLIENTS "/{id}/secrets", CLIENTS "/plain/secrets" },
		{ CLIENTS "/{id}/secrets/{sid}", CLIENTS "/plain/secrets/sec_0" },
		{ USERS "/{id}", USERS "/u-ann" },
		{ USERS "/{id}/password", USERS "/u-ann/password" },
		{ USERS "/{id}/unlock", USERS "/u-ann/unlock" },
		{ APIS "/{slug}", APIS "/orders" },
		{ APIS "/{slug}/secrets", APIS "/orders/secrets" },
		{ KEYS "/{kid}", KEYS "/0" },
		{ KEYS "/{kid}/revoke", KEYS "/0/revoke" },
	};

	for (size_t i = 0; i < sizeof(filled) / sizeof(*filled); i++)
		if (strcmp(filled[i].pattern, row->pattern) == 0)
			return filled[i].path;
	ck_assert_msg(!strchr(row->pattern, '{'), "no target for %s", row->pattern);
	return row->pattern;
}

static const char *body_of(const struct route *row)
{
	return row->body == BODY_JSON ? "{\"no_such_member\":1}" : NULL;
}

/* Over TCP, or the socket where the row has no other door; the token alone speaks. */
static struct answer as_row(struct str token, const struct route *row)
{
	const struct auth auth = token.p ? bearer(token) : anonymous();
	const char *json = body_of(row);
	const struct ask ask = {
		.listener = row->listeners & LISTENER_ADMIN ? LISTENER_ADMIN : LISTENER_SOCKET,
		.method = row->method,
		.target = target_of(row),
		.authorization = auth.text,
		.content_type = json ? "application/json" : NULL,
		.body = str_z(json),
	};

	return flow_send(&office, &ask);
}

static void up(void)
{
	admin_fixture_up();
	make_client("plain", "orders.read", ORDERS);
	root_gets(201, METHOD_POST, USERS,
		  "{\"id\":\"u-ann\",\"name\":\"ann\",\"password\":\"open-sesame\"}");
}

START_TEST(each_scope_opens_its_routes_and_no_other)
{
	struct str token = admin_token(format("chancery:%s", scopes[_i]));
	size_t opened = 0, closed = 0;

	for (size_t i = 0; i < route_count; i++) {
		const struct route *row = &routes[i];
		struct answer a;

		/* deleting comes last, so that the targets stay */
		if (row->auth != AUTH_ADMIN || row->method == METHOD_DELETE)
			continue;
		a = as_row(token, row);
		if (may(scopes[_i], row)) {
			ck_assert_msg(a.status != 401 && a.status != 403, "%s: %s %s is closed: %s",
				      scopes[_i], method_name(row->method), row->pattern, a.why);
			opened++;
			continue;
		}
		ck_assert_msg(a.status == 403 && a.error == ERR_INSUFFICIENT_SCOPE,
			      "%s: %s %s is open: %d %s", scopes[_i], method_name(row->method),
			      row->pattern, a.status, a.why);
		ck_assert_ptr_nonnull(
			strstr(arena_z(office.arena, answer_header(&a, "WWW-Authenticate")),
			       "error=\"insufficient_scope\""));
		closed++;
	}
	ck_assert_uint_gt(opened, 0);
	ck_assert(closed > 0 || _i == 0);
	for (size_t i = 0; i < route_count; i++) {
		const struct route *row = &routes[i];
		struct answer a;

		if (row->auth != AUTH_ADMIN || row->method != METHOD_DELETE)
			continue;
		a = as_row(token, row);
		ck_assert_msg((a.status == 403) == !may(scopes[_i], row), "%s: DELETE %s: %d",
			      scopes[_i], row->pattern, a.status);
	}
}
END_TEST

START_TEST(private_keys_come_over_the_socket_alone)
{
	struct str token = admin_token("chancery:admin");

	ck_assert_status(as(token, METHOD_GET, KEYS "/import", NULL), 404);
	ck_assert_status(as(token, METHOD_POST, KEYS "/import", "{}"), 405);
}
END_TEST

static void all_refuse(struct str token, int status, const char *what)
{
	for (size_t i = 0; i < route_count; i++) {
		const struct route *row = &routes[i];
		struct answer a;

		if (row->auth != AUTH_ADMIN)
			continue;
		a = as_row(token, row);
		ck_assert_msg(a.status == status, "%s: %s %s: %d, not %d: %s", what,
			      method_name(row->method), row->pattern, a.status, status, a.why);
	}
}

START_TEST(without_a_good_token_every_route_is_closed)
{
	const char *secret = make_client("ops", "chancery:admin", ADMIN_API);
	struct str good = token_of("ops", secret);
	char *bad = (char *)(uintptr_t)arena_z(office.arena, good);

	ck_assert_status(as(good, METHOD_GET, CLIENTS, NULL), 200);
	all_refuse(STR_NONE, 401, "no token");
	all_refuse(STR("x"), 401, "nonsense");
	bad[good.n - 2] = bad[good.n - 2] == 'A' ? 'B' : 'A';
	all_refuse(str_n(bad, good.n), 401, "another signature");
}
END_TEST

START_TEST(a_token_of_another_audience_or_of_a_user_opens_nothing)
{
	struct answer a;

	root_gets(201, METHOD_POST, CLIENTS,
		  "{\"client_id\":\"web\",\"grant_types\":[\"password\",\"client_credentials\"],"
		  "\"scope\":\"orders.read\",\"audiences\":[\"" ORDERS "\"],"
		  "\"client_secret\":\"a secret of the operator\"}");
	all_refuse(token_of("web", "a secret of the operator"), 401, "another audience");
	a = post(&office, "/oauth2/token", basic("web", "a secret of the operator"),
		 "grant_type=password&username=ann&password=open-sesame");
	all_refuse(answer_str(&a, "access_token"), 401, "a user's token");
}
END_TEST

/* What the signer would sign if token.c let it happen; auth_admin does not lean on that. */
static struct str signed_token(const char *more)
{
	const int64_t now = office.app.env->now(office.app.env);
	struct signed_token token;
	struct str text;
	struct buf b;

	buf_init(&b, office.arena, JWT_SIZE_MAX);
	ck_assert_int_eq(
		signer_sign(
			&office.signer.signing[0], TOKEN_ACCESS, ALG_ES256,
			str_z(format("{\"iss\":\"" ISSUER "\",\"client_id\":\"ops\",\"iat\":%lld,"
				     "\"nbf\":%lld,\"exp\":%lld,\"scope\":\"chancery:admin\",%s}",
				     (long long)now, (long long)now - 30, (long long)now + 60,
				     more)),
			&b, &token),
		ERR_OK);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return text;
}

START_TEST(only_a_clients_own_token_for_this_server_alone_is_an_admin_token)
{
	static const struct {
		const char *more;
		int status;
	} rows[] = {
		{ "\"sub\":\"ops\",\"aud\":\"" ADMIN_API "\"", 200 },
		{ "\"sub\":\"u-ann\",\"aud\":\"" ADMIN_API "\"", 401 },
		{ "\"sub\":\"ops\",\"aud\":\"" ADMIN_API "\",\"sid\":\"s\"", 401 },
		{ "\"sub\":\"ops\",\"aud\":[\"" ADMIN_API "\",\"" ORDERS "\"]", 401 },
		{ "\"sub\":\"ops\",\"aud\":\"" ISSUER "\"", 401 },
		{ "\"sub\":\"ops\",\"aud\":\"" ADMIN_API "/\"", 401 },
	};

	make_client("ops", "chancery:admin", ADMIN_API);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct answer a = as(signed_token(rows[i].more), METHOD_GET, CLIENTS, NULL);

		ck_assert_msg(a.status == rows[i].status, "%s: %d %s", rows[i].more, a.status,
			      a.why);
	}
}
END_TEST

START_TEST(refusals_for_want_of_a_scope_are_folded_into_one_row)
{
	struct str token = admin_token("chancery:read");
	struct answer a;
	size_t rows;

	for (int i = 0; i < 20; i++)
		ck_assert_status(as(token, METHOD_POST, CLIENTS, "{}"), 403);
	ck_assert_int_eq(audit_fold_write(office.app.refusals, office.store.db,
					  office.app.env->now(office.app.env), true, &rows),
			 ERR_OK);
	ck_assert_uint_eq(rows, 1);
	a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=1", NULL);
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "\"admin.denied\"", 14));
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "client:by-chancery:read", 23));
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "\"count\":20", 10));
}
END_TEST

START_TEST(a_token_ends_with_its_life_and_with_its_client)
{
	const char *secret = make_client("ops", "chancery:admin", ADMIN_API);
	struct str token = token_of("ops", secret);

	flow_advance(&office, 601);
	ck_assert_status(as(token, METHOD_GET, CLIENTS, NULL), 401);
	token = token_of("ops", secret);
	root_gets(200, METHOD_PATCH, CLIENTS "/ops", "{\"disabled\":true}");
	ck_assert_status(as(token, METHOD_GET, CLIENTS, NULL), 401);
}
END_TEST

START_TEST(taking_an_admin_scope_away_ends_the_tokens_that_carry_it)
{
	const char *secret = make_client("ops", "chancery:clients chancery:read", ADMIN_API);
	struct str token = token_of("ops", secret);

	root_gets(200, METHOD_PATCH, CLIENTS "/ops", "{\"client_name\":\"still the same\"}");
	ck_assert_status(as(token, METHOD_GET, CLIENTS, NULL), 200);
	root_gets(200, METHOD_PATCH, CLIENTS "/ops", "{\"scope\":\"chancery:read\"}");
	ck_assert_status(as(token, METHOD_POST, CLIENTS, "{\"client_id\":\"x\"}"), 401);
	flow_advance(&office, 1);
	token = token_of("ops", secret);
	ck_assert_status(as(token, METHOD_GET, CLIENTS, NULL), 200);
	ck_assert_status(as(token, METHOD_POST, CLIENTS, "{\"client_id\":\"x\"}"), 403);
}
END_TEST

/* ---- the socket ---- */

START_TEST(a_stranger_on_the_socket_needs_a_token)
{
	const struct ask ask = { .listener = LISTENER_SOCKET, .target = CLIENTS };

	ck_assert_status(flow_send(&office, &ask), 401);
}
END_TEST

START_TEST(a_trusted_peer_that_presents_a_token_is_judged_by_it)
{
	struct str token = admin_token("chancery:audit");
	const struct auth auth = bearer(token);
	struct ask ask = { .listener = LISTENER_SOCKET,
			   .target = CLIENTS,
			   .authorization = auth.text,
			   .root = true };

	ck_assert_status(flow_send(&office, &ask), 403);
	ask.target = "/admin/v1/audit";
	ck_assert_status(flow_send(&office, &ask), 200);
	ask.authorization = "Basic eDp5";
	ck_assert_status(flow_send(&office, &ask), 401);
}
END_TEST

START_TEST(being_root_counts_on_the_socket_only)
{
	struct ask ask = { .listener = LISTENER_ADMIN, .target = CLIENTS, .root = true };

	ck_assert_status(flow_send(&office, &ask), 401);
	ask.listener = LISTENER_PUBLIC;
	ck_assert_status(flow_send(&office, &ask), 404);
}
END_TEST

/* ---- escalation ---- */

/* Tried with a token of every scope but chancery:admin, against an office that has an admin client
 * "ops" (with one secret), an ordinary one "plain", and a user "u-root" with the role
 * chancery:root. Each is 403 for the scope that the route wants and 403 for all others. */
static const struct {
	enum method method;
	const char *target, *body;
} escalations[] = {
	{ METHOD_POST, CLIENTS, "{\"client_id\":\"new\",\"scope\":\"chancery:admin\"}" },
	{ METHOD_POST, CLIENTS,
	  "{\"client_id\":\"new\",\"scope\":\"orders.read chancery:clients\","
	  "\"grant_types\":[\"client_credentials\"],\"audiences\":[\"" ADMIN_API "\"]}" },
	{ METHOD_POST, CLIENTS, "{\"client_id\":\"new\",\"scope\":\"chancery:read\"}" },
	{ METHOD_POST, CLIENTS, "{\"client_id\":\"new\",\"audiences\":[\"" ADMIN_API "\"]}" },
	{ METHOD_POST, CLIENTS, "{\"client_id\":\"new\",\"introspect\":[\"" ADMIN_API "\"]}" },
	{ METHOD_PATCH, CLIENTS "/plain", "{\"scope\":\"chancery:admin\"}" },
	{ METHOD_PATCH, CLIENTS "/plain", "{\"scope\":\"orders.read chancery:read\"}" },
	{ METHOD_PATCH, CLIENTS "/plain", "{\"audiences\":[\"" ADMIN_API "\"]}" },
	{ METHOD_PATCH, CLIENTS "/plain", "{\"audiences\":[\"" ORDERS "\",\"" ADMIN_API "\"]}" },
	{ METHOD_PATCH, CLIENTS "/ops", "{}" },
	{ METHOD_PATCH, CLIENTS "/ops", "{\"client_name\":\"mine\"}" },
	{ METHOD_PATCH, CLIENTS "/ops", "{\"scope\":\"\"}" },
	{ METHOD_PATCH, CLIENTS "/ops", "{\"scope\":\"\",\"audiences\":[]}" },
	{ METHOD_PATCH, CLIENTS "/ops", "{\"disabled\":true}" },
	{ METHOD_PATCH, CLIENTS "/ops", "{\"disabled\":false}" },
	{ METHOD_PATCH, CLIENTS "/ops", "{\"token_endpoint_auth_method\":\"none\"}" },
	{ METHOD_PATCH, CLIENTS "/by-chancery%3Aclients", "{\"scope\":\"chancery:admin\"}" },
	{ METHOD_PATCH, CLIENTS "/by-chancery%3Aclients", "{\"access_ttl\":86400}" },
	{ METHOD_DELETE, CLIENTS "/ops", NULL },
	{ METHOD_POST, CLIENTS "/ops/secrets", "{}" },
	{ METHOD_POST, CLIENTS "/ops/secrets",
	  "{\"client_secret\":\"known to the attacker\",\"allow_weak\":true}" },
	{ METHOD_POST, CLIENTS "/by-chancery%3Aclients/secrets", "{}" },
	{ METHOD_DELETE, CLIENTS "/ops/secrets/sec_0", NULL },
	{ METHOD_POST, USERS, "{\"name\":\"new\",\"roles\":[\"chancery:admin\"]}" },
	{ METHOD_PATCH, USERS "/u-ann", "{\"roles\":[\"chancery:root\"]}" },
	{ METHOD_PATCH, USERS "/u-root", "{\"name\":\"mine\"}" },
	{ METHOD_PATCH, USERS "/u-root", "{\"roles\":[]}" },
	{ METHOD_DELETE, USERS "/u-root", NULL },
	{ METHOD_POST, USERS "/u-root/password", "{\"password\":\"known to the attacker\"}" },
	{ METHOD_POST, USERS "/u-root/unlock", NULL },
	{ METHOD_POST, APIS, "{\"uri\":\"" ADMIN_API "\"}" },
	{ METHOD_POST, APIS, "{\"uri\":\"" ISSUER "/anything\"}" },
	{ METHOD_POST, APIS, "{\"uri\":\"urn:new\",\"scopes\":[\"chancery:admin\"]}" },
	{ METHOD_PATCH, APIS "/orders", "{\"scopes\":[\"orders.read\",\"chancery:admin\"]}" },
	{ METHOD_PATCH, APIS "/chancery-admin", "{\"scopes\":[]}" },
	{ METHOD_DELETE, APIS "/chancery-admin", NULL },
};

static const char *const lists[] = { CLIENTS, USERS, APIS, CLIENTS "/ops/secrets",
				     CLIENTS "/plain/secrets" };
enum { LIST_COUNT = sizeof(lists) / sizeof(*lists) };

START_TEST(nobody_gains_a_scope_they_lack)
{
	struct str tokens[SCOPE_COUNT], before[LIST_COUNT];
	struct answer a;

	make_client("ops", "chancery:admin", ADMIN_API);
	root_gets(201, METHOD_POST, USERS,
		  "{\"id\":\"u-root\",\"name\":\"root\",\"roles\":[\"chancery:root\"]}");
	for (size_t s = 1; s < SCOPE_COUNT; s++)
		tokens[s] = admin_token(format("chancery:%s", scopes[s]));
	for (size_t i = 0; i < LIST_COUNT; i++)
		before[i] = root_gets(200, METHOD_GET, lists[i], NULL).body;
	for (size_t s = 1; s < SCOPE_COUNT; s++) {
		a = as(tokens[s], escalations[_i].method, escalations[_i].target,
		       escalations[_i].body);
		ck_assert_msg(a.status == 403, "%s: %s %s %s: %d %s", scopes[s],
			      method_name(escalations[_i].method), escalations[_i].target,
			      escalations[_i].body ? escalations[_i].body : "", a.status, a.why);
		for (size_t i = 0; i < LIST_COUNT; i++)
			ck_assert(str_equal(before[i],
					    root_gets(200, METHOD_GET, lists[i], NULL).body));
	}
	/* and the one that got past the route's scope is on record, by name and target */
	a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=1", NULL);
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "\"admin.denied\"", 14));
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "\"client:by-chancery:", 19));
}
END_TEST

/* "*" is every api but the reserved one: who may hand out "*" may not hand out that. */
START_TEST(introspecting_everything_does_not_reach_admin_tokens)
{
	const char *json = "{\"client_id\":\"eye\",\"grant_types\":[\"client_credentials\"],"
			   "\"introspect\":[\"*\"]}";
	struct str admin_text = admin_token("chancery:keys");
	struct answer a = as(admin_token("chancery:clients"), METHOD_POST, CLIENTS, json);
	const char *secret, *form = format("token=%.*s", STR_ARG(admin_text));

	ck_assert_status(a, 201);
	secret = arena_z(office.arena, answer_str(&a, "client_secret"));
	a = post(&office, "/oauth2/introspect", basic("eye", secret), form);
	ck_assert_str(a.body, "{\"active\":false}");
	root_gets(200, METHOD_PATCH, CLIENTS "/eye", "{\"introspect\":[\"*\",\"" ADMIN_API "\"]}");
	a = post(&office, "/oauth2/introspect", basic("eye", secret), form);
	ck_assert(answer_bool(&a, "active"));
}
END_TEST

START_TEST(a_chancery_admin_token_may_do_what_the_socket_may)
{
	const char *secret = make_client("ops", "chancery:admin", ADMIN_API);
	struct str token = token_of("ops", secret);
	struct answer a = as(token, METHOD_POST, CLIENTS,
			     "{\"client_id\":\"ops2\",\"grant_types\":[\"client_credentials\"],"
			     "\"scope\":\"chancery:keys\",\"audiences\":[\"" ADMIN_API "\"]}");

	ck_assert_status(a, 201);
	token_of("ops2", arena_z(office.arena, answer_str(&a, "client_secret")));
	ck_assert_status(as(token, METHOD_POST, CLIENTS "/ops2/secrets", "{}"), 201);
	ck_assert_status(as(token, METHOD_DELETE, CLIENTS "/ops2", NULL), 204);
	ck_assert_status(
		as(token, METHOD_POST, USERS, "{\"name\":\"r\",\"roles\":[\"chancery:x\"]}"), 201);
}
END_TEST

START_TEST(a_narrow_scope_does_its_own_work)
{
	struct str clients = admin_token("chancery:clients"), users = admin_token("chancery:users");
	struct answer a = as(clients, METHOD_POST, CLIENTS,
			     "{\"client_id\":\"web\",\"grant_types\":[\"client_credentials\"],"
			     "\"scope\":\"orders.read\",\"audiences\":[\"" ORDERS "\"]}");

	ck_assert_status(a, 201);
	ck_assert_status(as(clients, METHOD_PATCH, CLIENTS "/web", "{\"scope\":\"orders.write\"}"),
			 200);
	ck_assert_status(as(clients, METHOD_POST, CLIENTS "/web/secrets", "{}"), 201);
	ck_assert_status(as(clients, METHOD_DELETE, CLIENTS "/web", NULL), 204);
	ck_assert_status(as(users, METHOD_POST, USERS, "{\"id\":\"u\",\"name\":\"n\"}"), 201);
	/* one name space: a user cannot take a client's place, nor the other way round */
	ck_assert_status(as(users, METHOD_POST, USERS, "{\"id\":\"plain\",\"name\":\"p\"}"), 409);
	ck_assert_status(as(users, METHOD_POST, USERS, "{\"id\":\"web\",\"name\":\"w\"}"), 409);
	ck_assert_status(as(clients, METHOD_POST, CLIENTS, "{\"client_id\":\"u\"}"), 409);
	/* and what looks like a client is no user */
	ck_assert_status(as(users, METHOD_DELETE, USERS "/plain", NULL), 404);
	ck_assert_status(
		as(users, METHOD_POST, USERS "/plain/password", "{\"password\":\"12345678\"}"),
		404);
	ck_assert_status(as(clients, METHOD_PATCH, CLIENTS "/u", "{}"), 404);
	a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=1", NULL);
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "\"client:by-chancery:users\"", 26));
}
END_TEST

/* Custom claims and other grants are no way round either: what a token says comes from the scope
 * alone. */
START_TEST(reserved_scopes_are_had_by_client_credentials_only)
{
	static const char *const bodies[] = {
		"\"grant_types\":[\"password\"],\"scope\":\"chancery:read\"",
		"\"grant_types\":[\"client_credentials\",\"refresh_token\"],\"scope\":\"chancery:"
		"read\"",
		"\"public\":true,\"scope\":\"chancery:read\"",
		"\"token_endpoint_auth_method\":\"none\",\"audiences\":[\"" ADMIN_API "\"]",
		"\"grant_types\":[\"password\"],\"audiences\":[\"" ADMIN_API "\"]",
		"\"claims\":{\"scope\":\"chancery:admin\"}",
		"\"claims\":{\"aud\":\"" ADMIN_API "\"}",
		"\"claims\":{\"client_id\":\"ops\"}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		root_gets(422, METHOD_POST, CLIENTS, format("{\"client_id\":\"x\",%s}", bodies[i]));
	make_client("ops", "chancery:admin", ADMIN_API);
	root_gets(422, METHOD_PATCH, CLIENTS "/ops", "{\"grant_types\":[\"password\"]}");
	root_gets(422, METHOD_PATCH, CLIENTS "/ops", "{\"token_endpoint_auth_method\":\"none\"}");
}
END_TEST

Suite *scope_suite(void)
{
	Suite *suite = suite_create("admin scopes");
	TCase *c = tcase_create("scopes");

	tcase_set_timeout(c, 240);
	tcase_add_checked_fixture(c, up, admin_fixture_down);
	tcase_add_loop_test(c, each_scope_opens_its_routes_and_no_other, 0, SCOPE_COUNT);
	tcase_add_test(c, private_keys_come_over_the_socket_alone);
	tcase_add_test(c, without_a_good_token_every_route_is_closed);
	tcase_add_test(c, a_token_of_another_audience_or_of_a_user_opens_nothing);
	tcase_add_test(c, only_a_clients_own_token_for_this_server_alone_is_an_admin_token);
	tcase_add_test(c, refusals_for_want_of_a_scope_are_folded_into_one_row);
	tcase_add_test(c, a_token_ends_with_its_life_and_with_its_client);
	tcase_add_test(c, taking_an_admin_scope_away_ends_the_tokens_that_carry_it);
	tcase_add_test(c, a_stranger_on_the_socket_needs_a_token);
	tcase_add_test(c, a_trusted_peer_that_presents_a_token_is_judged_by_it);
	tcase_add_test(c, being_root_counts_on_the_socket_only);
	tcase_add_loop_test(c, nobody_gains_a_scope_they_lack, 0,
			    sizeof(escalations) / sizeof(*escalations));
	tcase_add_test(c, introspecting_everything_does_not_reach_admin_tokens);
	tcase_add_test(c, a_chancery_admin_token_may_do_what_the_socket_may);
	tcase_add_test(c, a_narrow_scope_does_its_own_work);
	tcase_add_test(c, reserved_scopes_are_had_by_client_credentials_only);
	suite_add_tcase(suite, c);
	return suite;
}
