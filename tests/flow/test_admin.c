/* The admin API's tests: what they share, and the program. */
#include "tests/flow/admin_tests.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "oauth/form.h"

struct flow office;

static const char *inspector_secret;

void admin_fixture_up(void)
{
	flow_up(&office);
	flow_api(&office, ORDERS, "orders", "orders.read orders.write");
	root_gets(201, METHOD_POST, "/admin/v1/clients",
		  "{\"client_id\":\"inspector\",\"introspect\":[\"*\",\"" ISSUER "/admin\"],"
		  "\"client_secret\":\"an inspector's own secret\"}");
	inspector_secret = "an inspector's own secret";
}

void admin_fixture_down(void)
{
	flow_down(&office);
}

const char *format(const char *template, ...)
{
	char *text = arena_alloc(office.arena, 16384);
	va_list args;
	int n;

	ck_assert_ptr_nonnull(text);
	va_start(args, template);
	n = vsnprintf(text, 16384, template, args);
	va_end(args);
	ck_assert_int_lt(n, 16384);
	return text;
}

struct answer root(enum method method, const char *target, const char *json)
{
	return admin(&office, method, target, json);
}

struct answer root_gets(int status, enum method method, const char *target, const char *json)
{
	struct answer a = root(method, target, json);

	ck_assert_msg(a.status == status, "%s %s: status %d, not %d: %s %.*s", method_name(method),
		      target, a.status, status, a.why, STR_ARG(a.body));
	return a;
}

struct answer as(struct str token, enum method method, const char *target, const char *json)
{
	const struct auth auth = token.p ? bearer(token) : anonymous();
	const struct ask ask = {
		.listener = LISTENER_ADMIN,
		.method = method,
		.target = target,
		.authorization = auth.text,
		.content_type = json ? "application/json" : NULL,
		.body = str_z(json),
	};

	return flow_send(&office, &ask);
}

const char *make_client(const char *id, const char *scope, const char *audience)
{
	struct answer a = root_gets(201, METHOD_POST, "/admin/v1/clients",
				    format("{\"client_id\":\"%s\",\"grant_types\":"
					   "[\"client_credentials\"],\"scope\":\"%s\","
					   "\"audiences\":[\"%s\"]}",
					   id, scope, audience));

	return arena_z(office.arena, answer_str(&a, "client_secret"));
}

struct str token_of(const char *id, const char *secret)
{
	struct answer a = post(&office, "/oauth2/token", basic(id, secret),
			       "grant_type=client_credentials");

	ck_assert_status(a, 200);
	return answer_str(&a, "access_token");
}

struct str admin_token(const char *scope)
{
	const char *id = format("by-%s", scope);

	return token_of(id, make_client(id, scope, ISSUER "/admin"));
}

bool still_active(struct str token)
{
	struct answer a;
	struct str form;
	struct buf b;

	buf_init(&b, office.arena, 16384);
	buf_z(&b, "token=");
	form_encode(&b, token);
	ck_assert_int_eq(buf_end(&b, &form), ERR_OK);
	a = post(&office, "/oauth2/introspect", basic("inspector", inspector_secret), form.p);
	ck_assert_status(a, 200);
	return answer_bool(&a, "active");
}

const struct json *items(const struct answer *a)
{
	const struct json *list = json_get(a->json, "items");

	ck_assert_msg(list && json_type(list) == JSON_ARRAY, "no items: %d %.*s", a->status,
		      STR_ARG(a->body));
	return list;
}

int main(void)
{
	SRunner *runner = srunner_create(client_suite());
	int failed;

	srunner_add_suite(runner, user_suite());
	srunner_add_suite(runner, registry_suite());
	srunner_add_suite(runner, key_suite());
	srunner_add_suite(runner, import_suite());
	srunner_add_suite(runner, scope_suite());
	srunner_add_suite(runner, openapi_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
