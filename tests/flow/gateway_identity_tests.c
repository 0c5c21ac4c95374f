/* X-Identity: what it says, who signed it, and that nobody takes it for a token. */
#include <stdio.h>

#include "jose/jwt.h"
#include "tests/flow/gateway_fixture.h"

#define GATEWAY_KEYS "/gateway/jwks.json"

static struct str identity_of(struct str token)
{
	struct answer a = ask(ASK_ORDERS, token);

	ck_assert_msg(a.status == 200, "%d: %s", a.status, a.why);
	ck_assert_ptr_nonnull(answer_header(&a, "X-Identity").p);
	return answer_header(&a, "X-Identity");
}

/* The payload of a document that a service behind the gateway would accept; caller: json_free. */
static struct json *verified(struct str document)
{
	struct answer set = ask_as(GATEWAY_KEYS, NULL);
	AUTO(jwks, keys) = NULL;
	const struct jwk *key;
	struct json *claims;
	struct jws jws;

	ck_assert_int_eq(set.status, 200);
	ck_assert_int_eq(jws_parse(gateway_flow->arena, document, &jws), ERR_OK);
	ck_assert_str(jws.typ, "identity+jwt");
	ck_assert_int_eq(jwks_parse(set.body, &keys), ERR_OK);
	key = jwks_find(keys, jws.kid);
	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(jws_verify(&jws, key), ERR_OK);
	ck_assert_int_eq(json_parse(jws.payload, JWT_SIZE_MAX, &claims), ERR_OK);
	return claims;
}

static struct str text_in(const struct json *claims, const char *name)
{
	struct str value;

	ck_assert_msg(json_str(json_get(claims, name), &value), "no %s", name);
	return value;
}

static int64_t number_in(const struct json *claims, const char *name)
{
	int64_t value;

	ck_assert_msg(json_int(json_get(claims, name), &value), "no %s", name);
	return value;
}

START_TEST(it_says_what_the_headers_say)
{
	struct answer a = ask(ASK_ORDERS "&scope=read", user_token());
	struct json *c = verified(answer_header(&a, "X-Identity"));
	bool user = false;

	ck_assert_str(text_in(c, "iss"), ISSUER);
	ck_assert_str(text_in(c, "aud"), ISSUER "/gateway");
	ck_assert_str(text_in(c, "sub"), "u-alice");
	ck_assert_str(text_in(c, "api"), ORDERS);
	ck_assert_str(text_in(c, "client_id"), "shop");
	ck_assert_str(text_in(c, "scope"), "read write");
	ck_assert(str_equal(text_in(c, "token_id"), answer_header(&a, "X-Token-Id")));
	ck_assert(json_bool(json_get(c, "user"), &user) && user);
	ck_assert_uint_eq(json_len(json_get(c, "roles")), 2);
	ck_assert_int_eq(number_in(c, "exp") - number_in(c, "iat"), 60);
	json_free(c);
}
END_TEST

START_TEST(a_clients_own_says_that_it_is_no_user)
{
	struct json *c = verified(identity_of(machine_token()));
	bool user = true;

	ck_assert_str(text_in(c, "sub"), "shop");
	ck_assert(json_bool(json_get(c, "user"), &user) && !user);
	ck_assert_ptr_null(json_get(c, "roles"));
	json_free(c);
}
END_TEST

START_TEST(it_does_not_outlive_its_token)
{
	struct str token = machine_token();
	struct json *c;

	flow_advance(gateway_flow, 590);
	c = verified(identity_of(token));
	ck_assert_int_eq(number_in(c, "exp") - number_in(c, "iat"), 10);
	json_free(c);
}
END_TEST

START_TEST(nobody_takes_it_for_a_token)
{
	struct str document = identity_of(user_token());
	struct answer a = ask(ASK_ORDERS, document),
		      set = get(gateway_flow, "/.well-known/jwks.json");
	char form[JWT_SIZE_MAX];
	struct jws jws;

	check_refused(&a, 401, INVALID);
	snprintf(form, sizeof(form), "token=%.*s", STR_ARG(document));
	a = post(gateway_flow, "/oauth2/introspect", basic("shop", gateway_secret), form);
	ck_assert_str(a.body, "{\"active\":false}");
	ck_assert_int_eq(jws_parse(gateway_flow->arena, document, &jws), ERR_OK);
	ck_assert_ptr_null(memmem(set.body.p, set.body.n, jws.kid.p, jws.kid.n));
	a = admin(gateway_flow, METHOD_POST, "/admin/v1/apis",
		  "{\"uri\":\"" ISSUER "/gateway\",\"slug\":\"gateway\"}");
	ck_assert_int_eq(a.status, 403); /* its audience is reserved */
}
END_TEST

START_TEST(its_keys_are_a_document_of_the_gateway_listener)
{
	struct answer a = ask_as(GATEWAY_KEYS, NULL);
	struct str etag = answer_header(&a, "ETag");
	struct ask again = { .listener = LISTENER_GATEWAY, .target = GATEWAY_KEYS };

	ck_assert_uint_eq(json_len(json_get(a.json, "keys")), 3);
	ck_assert_str(answer_header(&a, "Cache-Control"), "public, max-age=900");
	again.if_none_match = arena_z(gateway_flow->arena, etag);
	ck_assert_int_eq(flow_send(gateway_flow, &again).status, 304);
	ck_assert_int_eq(get(gateway_flow, GATEWAY_KEYS).status, 404);
}
END_TEST

/* Half an answer would be one that a service behind takes for "no identity". */
START_TEST(without_a_signer_there_is_no_good_answer)
{
	struct str token = machine_token();
	struct answer a;

	signer_channel_close(&gateway_flow->signer.signing[0]);
	a = ask(ASK_ORDERS, token);
	check_refused(&a, 503, NULL);
	ck_assert(!answer_header(&a, "X-Identity").p);
	ck_assert_int_eq(ask_as(GATEWAY_KEYS, NULL).status, 503);
}
END_TEST

START_TEST(off_there_is_neither_a_document_nor_its_keys)
{
	struct answer a = ask(ASK_ORDERS, machine_token());

	ck_assert_int_eq(a.status, 200);
	ck_assert(!answer_header(&a, "X-Identity").p);
	ck_assert_int_eq(ask_as(GATEWAY_KEYS, NULL).status, 404);
}
END_TEST

Suite *gateway_identity_suite(void)
{
	Suite *s = suite_create("gateway identity");
	TCase *on = tcase_create("identity on"), *off = tcase_create("identity off");

	tcase_add_checked_fixture(on, gateway_up_with_identity, gateway_down);
	tcase_set_timeout(on, 120);
	tcase_add_test(on, it_says_what_the_headers_say);
	tcase_add_test(on, a_clients_own_says_that_it_is_no_user);
	tcase_add_test(on, it_does_not_outlive_its_token);
	tcase_add_test(on, nobody_takes_it_for_a_token);
	tcase_add_test(on, its_keys_are_a_document_of_the_gateway_listener);
	tcase_add_test(on, without_a_signer_there_is_no_good_answer);
	suite_add_tcase(s, on);
	tcase_add_checked_fixture(off, gateway_up, gateway_down);
	tcase_set_timeout(off, 120);
	tcase_add_test(off, off_there_is_neither_a_document_nor_its_keys);
	suite_add_tcase(s, off);
	return s;
}
