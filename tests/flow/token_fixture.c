/* The common ground of the token tests. */
#include <stdlib.h>

#include "oauth/form.h"
#include "tests/flow/token_tests.h"

struct office_fixture fx;

void office_fixture_up(void)
{
	flow_up(&fx.flow);
	flow_api(&fx.flow, ORDERS, "orders", "orders.read orders.write");
	flow_api(&fx.flow, BILLING, "billing", "orders.read bills.read");
	fx.secret = flow_client(&fx.flow, "shop", "orders.read orders.write bills.read",
				ORDERS " " BILLING);
	flow_user(&fx.flow, "u-alice", "alice", PASSWORD);
}

void office_fixture_down(void)
{
	while (fx.claims_count)
		json_free(fx.claims[--fx.claims_count]);
	flow_down(&fx.flow);
}

struct answer token(const char *form)
{
	return post(&fx.flow, "/oauth2/token", basic("shop", fx.secret), form);
}

const char *with(const char *form, const char *name, struct str value)
{
	struct buf b;
	struct str text;

	buf_init(&b, fx.flow.arena, 32768);
	buf_fmt(&b, "%s%s%s=", form, *form ? "&" : "", name);
	form_encode(&b, value);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return text.p;
}

struct answer introspect(struct str what)
{
	return post(&fx.flow, "/oauth2/introspect", basic("shop", fx.secret),
		    with("", "token", what));
}

struct answer revoke(struct str what)
{
	return post(&fx.flow, "/oauth2/revoke", basic("shop", fx.secret), with("", "token", what));
}

bool is_active(struct str what)
{
	struct answer a = introspect(what);

	ck_assert_int_eq(a.status, 200);
	return answer_bool(&a, "active");
}

struct answer login_attempt(void)
{
	return token(with("grant_type=password&username=alice", "password", STR(PASSWORD)));
}

struct answer login(void)
{
	struct answer a = login_attempt();

	ck_assert_msg(a.status == 200, "login: %d %s", a.status, a.why);
	return a;
}

struct answer refresh(struct str refresh_token)
{
	return token(with("grant_type=refresh_token", "refresh_token", refresh_token));
}

const struct json *claims_of(struct str token_text)
{
	struct answer set = get(&fx.flow, "/.well-known/jwks.json");
	AUTO(jwks, keys) = NULL;
	struct jws jws;
	struct json *claims;
	const struct jwk *key;

	ck_assert_int_eq(jwks_parse(set.body, &keys), ERR_OK);
	ck_assert_int_eq(jws_parse(fx.flow.arena, token_text, &jws), ERR_OK);
	key = jwks_find(keys, jws.kid);
	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(jws_verify(&jws, key), ERR_OK);
	ck_assert_str(jws.typ, "at+jwt");
	ck_assert_int_eq(json_parse(jws.payload, JWT_SIZE_MAX, &claims), ERR_OK);
	ck_assert_uint_lt(fx.claims_count, sizeof(fx.claims) / sizeof(fx.claims[0]));
	fx.claims[fx.claims_count++] = claims;
	return claims;
}

int main(void)
{
	SRunner *runner = srunner_create(grant_suite());
	int failed;

	srunner_add_suite(runner, refresh_suite());
	srunner_add_suite(runner, client_auth_suite());
	srunner_add_suite(runner, judge_suite());
	srunner_add_suite(runner, feed_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
