/* The common ground of the gateway tests. */
#include "tests/flow/gateway_fixture.h"

#define PASSWORD "correct horse battery staple"

struct flow *gateway_flow;
const char *gateway_secret;

static void up_with(const char *const *sets)
{
	gateway_flow = flow_new(sets);
	flow_api(gateway_flow, ORDERS, "orders", "read write");
	flow_api(gateway_flow, BILLING, "billing", "read bills");
	gateway_secret = flow_client(gateway_flow, "shop", "read write bills", ORDERS " " BILLING);
	flow_user(gateway_flow, "u-alice", "alice", PASSWORD);
	ck_assert_int_eq(admin(gateway_flow, METHOD_PATCH, "/admin/v1/users/u-alice",
			       "{\"roles\":[\"buyer\",\"clerk\"]}")
				 .status,
			 200);
}

void gateway_up(void)
{
	up_with(NULL);
}

void gateway_up_with_identity(void)
{
	up_with((const char *const[]){ "gateway.identity=on", NULL });
}

void gateway_down(void)
{
	flow_free(gateway_flow);
}

struct str token_of(const char *form)
{
	struct answer a = post(gateway_flow, "/oauth2/token", basic("shop", gateway_secret), form);

	ck_assert_msg(a.status == 200, "token: %d %s", a.status, a.why);
	return answer_str(&a, "access_token");
}

struct str machine_token(void)
{
	return token_of("grant_type=client_credentials&resource=" ORDERS);
}

struct str user_token(void)
{
	return token_of("grant_type=password&username=alice&resource=" ORDERS
			"&password=correct+horse+battery+staple");
}

struct answer ask_as(const char *target, const char *authorization)
{
	const struct ask ask = {
		.listener = LISTENER_GATEWAY,
		.target = target,
		.authorization = authorization,
	};

	return flow_send(gateway_flow, &ask);
}

struct answer ask(const char *target, struct str token)
{
	return ask_as(target, bearer(token).text);
}

/* `members` of a good token's claims are replaced or added; "" signs a good one. */
struct str signed_with(const char *members)
{
	struct signed_token token;
	struct buf claims, text;
	struct str body;
	const int64_t now = gateway_flow->app.env->now(gateway_flow->app.env);

	buf_init(&claims, gateway_flow->arena, JWT_SIZE_MAX);
	buf_init(&text, gateway_flow->arena, JWT_SIZE_MAX);
	buf_fmt(&claims, "{\"iss\":\"" ISSUER "\",\"exp\":%lld,\"iat\":%lld,\"nbf\":%lld",
		(long long)now + 60, (long long)now, (long long)now);
	if (!strstr(members, "\"aud\""))
		buf_z(&claims, ",\"aud\":\"" ORDERS "\"");
	if (!strstr(members, "\"sub\""))
		buf_z(&claims, ",\"sub\":\"u-alice\"");
	if (!strstr(members, "\"client_id\""))
		buf_z(&claims, ",\"client_id\":\"shop\"");
	buf_fmt(&claims, "%s%s}", *members ? "," : "", members);
	ck_assert_int_eq(buf_end(&claims, &body), ERR_OK);
	ck_assert_int_eq(signer_sign(&gateway_flow->signer.signing[0], TOKEN_ACCESS, ALG_ES256,
				     body, &text, &token),
			 ERR_OK);
	return token.text;
}

void check_refused(const struct answer *a, int status, const char *challenge)
{
	static const char *const ours[] = { "X-User-Id", "X-User-Role", "X-Scope", "X-Client-Id",
					    "X-Token-Id" };

	ck_assert_msg(a->status == status, "%d: %s", a->status, a->why);
	ck_assert_str(answer_header(a, "Cache-Control"), "no-store");
	ck_assert_msg(str_equal_z(answer_header(a, "WWW-Authenticate"), challenge ? challenge : ""),
		      "'%.*s' is not '%s'", STR_ARG(answer_header(a, "WWW-Authenticate")),
		      challenge ? challenge : "");
	for (size_t i = 0; i < COUNT(ours); i++)
		ck_assert_msg(!answer_header(a, ours[i]).p, "%s in a refusal", ours[i]);
}

int main(void)
{
	SRunner *runner = srunner_create(gateway_suite());
	int failed;

	srunner_add_suite(runner, gateway_claims_suite());
	srunner_add_suite(runner, gateway_identity_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
