/* Tokens signed with the secret of one api: they are for that api, and its secret buys nothing
 * else. */
#include <stdio.h>

#include "jose/b64.h"
#include "jose/hs256.h"
#include "jose/jws.h"
#include "oauth/machine.h"
#include "tests/flow/format_tests.h"

#define LEGACY "https://legacy.example"
#define OTHER "https://other.example"

static struct flow *const f = &fmt.flow;
static struct str legacy_secret, legacy_kid;

/* An office with two apis that share secrets besides. */
static void up_shared(void)
{
	struct answer a;

	formats_up();
	a = root(201, METHOD_POST, APIS,
		 "{\"uri\":\"" LEGACY "\",\"slug\":\"legacy\",\"scopes\":[\"read\"],"
		 "\"alg\":\"HS256\"}");
	legacy_secret = answer_str(&a, "secret");
	legacy_kid = answer_str(&a, "kid");
	root(201, METHOD_POST, APIS,
	     "{\"uri\":\"" OTHER "\",\"slug\":\"other\",\"scopes\":[\"read\"],\"alg\":\"HS256\"}");
	root(200, METHOD_PATCH, "/admin/v1/clients/shop",
	     "{\"audiences\":[\"" ORDERS "\",\"" VAULT "\",\"" LEGACY "\",\"" OTHER "\"],"
	     "\"introspect\":[\"*\"]}");
}

static struct str signed_with(struct str key, const char *header, struct str payload)
{
	unsigned char mac[HS256_LEN];
	struct str text;
	struct buf b;

	buf_init(&b, f->arena, JWT_SIZE_MAX);
	b64url_encode(&b, header, strlen(header));
	buf_byte(&b, '.');
	b64url_encode(&b, payload.p, payload.n);
	hs256(key, str_n(b.p, b.n), mac);
	buf_byte(&b, '.');
	b64url_encode(&b, mac, sizeof(mac));
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return text;
}

static const char *header_as(const char *alg, struct str kid)
{
	char *text = arena_alloc(f->arena, 256);

	snprintf(text, 256, "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%.*s\"}", alg,
		 STR_ARG(kid));
	return text;
}

static const char *header_of(struct str kid)
{
	return header_as("HS256", kid);
}

static struct jws parsed(struct str token)
{
	struct jws jws;

	ck_assert_int_eq(jws_parse_shared(f->arena, token, &jws), ERR_OK);
	return jws;
}

START_TEST(rfc7518_3_2_the_secret_as_shown_is_the_key)
{
	struct str token = text_of(machine(LEGACY));
	struct jws jws = parsed(token);
	unsigned char mac[HS256_LEN], bytes[32];

	ck_assert_int_eq(machine_read(legacy_secret, MACHINE_API_SECRET, bytes, sizeof(bytes)),
			 ERR_OK);
	hs256(legacy_secret, jws.signing_input, mac);
	ck_assert_uint_eq(jws.signature_len, sizeof(mac));
	ck_assert_mem_eq(jws.signature, mac, sizeof(mac));
	ck_assert_str(jws.typ, "at+jwt");
	ck_assert(str_equal(jws.kid, legacy_kid));
	ck_assert(is_active(token));
}
END_TEST

START_TEST(a_secret_is_shown_once_and_its_kid_is_in_no_key_set)
{
	struct answer a = root(200, METHOD_GET, APIS "/legacy", NULL);

	ck_assert_str(answer_str(&a, "alg"), "HS256");
	ck_assert_str(answer_str(&a, "format"), "jwt");
	ck_assert(!memmem(a.body.p, a.body.n, "chy_as_", 7));
	a = root(200, METHOD_GET, APIS "/legacy/secrets", NULL);
	ck_assert(memmem(a.body.p, a.body.n, legacy_kid.p, legacy_kid.n));
	ck_assert(!memmem(a.body.p, a.body.n, "chy_as_", 7));
	a = get(f, "/.well-known/jwks.json");
	ck_assert(!memmem(a.body.p, a.body.n, legacy_kid.p, legacy_kid.n));
	ck_assert(!memmem(a.body.p, a.body.n, "HS256", 5));
	ck_assert(!memmem(a.body.p, a.body.n, "oct", 3));
	a = get(f, "/.well-known/oauth-authorization-server");
	ck_assert(!memmem(a.body.p, a.body.n, "HS256", 5));
}
END_TEST

START_TEST(the_database_holds_no_secret_of_an_api)
{
	char wal[160];

	snprintf(wal, sizeof(wal), "%s-wal", f->store.db_path);
	ck_assert(file_holds(wal, legacy_kid));
	ck_assert(!file_holds(wal, str_n(legacy_secret.p + 7, 32)));
	ck_assert(!file_holds(f->store.db_path, str_n(legacy_secret.p + 7, 32)));
}
END_TEST

/* What a back end can do with its own secret, in every place that takes a token. */
static void is_refused(struct str token)
{
	const struct ask ask = {
		.listener = LISTENER_ADMIN,
		.target = "/admin/v1/clients",
		.authorization = bearer(token).text,
	};
	struct answer a = as_shop("/oauth2/revoke", with("", "token", token));

	ck_assert(!is_active(token));
	ck_assert_int_eq(a.status, 200); /* RFC 7009 2.2: as good as revoked */
	ck_assert_int_eq(flow_send(f, &ask).status, 401);
}

/* The payload of a genuine token for LEGACY, with `find` replaced. */
static struct str payload_with(const char *find, const char *put)
{
	struct str payload = parsed(text_of(machine(LEGACY))).payload, text;
	const char *at = memmem(payload.p, payload.n, find, strlen(find));
	struct buf b;

	ck_assert_ptr_nonnull(at);
	buf_init(&b, f->arena, JWT_SIZE_MAX);
	buf_add(&b, payload.p, (size_t)(at - payload.p));
	buf_z(&b, put);
	at += strlen(find);
	buf_add(&b, at, (size_t)(payload.p + payload.n - at));
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return text;
}

static const char *const stretched[] = {
	"\"" OTHER "\"",
	"\"" ORDERS "\"",
	"\"" VAULT "\"",
	"\"https://id.example\"",
	"\"https://id.example/admin\"",
	"[\"" LEGACY "\"]",
	"[\"" LEGACY "\",\"" OTHER "\"]",
	"[\"" OTHER "\",\"" LEGACY "\"]",
	"[\"" LEGACY "\",\"https://id.example/admin\"]",
	"[]",
	"null",
};

START_TEST(an_hs256_back_end_mints_for_no_other_audience)
{
	for (size_t i = 0; i < COUNT(stretched); i++)
		is_refused(signed_with(legacy_secret, header_of(legacy_kid),
				       payload_with("\"" LEGACY "\"", stretched[i])));
}
END_TEST

/* Not even for itself, here: the jti is not our signer's, and that is news. */
START_TEST(an_hs256_back_end_mints_nothing_that_we_take_for_ours)
{
	struct str payload = payload_with("\"sub\":\"shop\"", "\"sub\":\"root\"");
	struct str log;

	(void)flow_log(f);
	is_refused(signed_with(legacy_secret, header_of(legacy_kid), payload));
	log = flow_log(f);
	ck_assert(memmem(log.p, log.n, "forged", 6));
}
END_TEST

START_TEST(a_genuine_payload_under_another_kid_or_key_is_refused)
{
	struct str payload = parsed(text_of(machine(LEGACY))).payload;
	struct answer set = get(f, "/.well-known/jwks.json");
	AUTO(jwks, keys) = NULL;
	struct str public_kid;

	ck_assert_int_eq(jwks_parse(set.body, &keys), ERR_OK);
	public_kid = arena_str(f->arena, jwk_kid(keys->keys[0]));
	is_refused(signed_with(set.body, header_of(public_kid), payload));
	is_refused(signed_with(legacy_secret, header_of(public_kid), payload));
	is_refused(signed_with(STR(""), header_of(legacy_kid), payload));
	is_refused(signed_with(str_n(legacy_secret.p, 32), header_of(legacy_kid), payload));
	is_refused(signed_with(legacy_secret, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", payload));
	is_refused(signed_with(legacy_secret, header_as("none", legacy_kid), payload));
	is_refused(signed_with(legacy_secret, header_as("ES256", legacy_kid), payload));
	is_refused(signed_with(legacy_secret, header_as("HS512", legacy_kid), payload));
}
END_TEST

START_TEST(an_es256_token_for_an_hs256_api_is_not_made)
{
	struct str token = text_of(machine(ORDERS));

	ck_assert(is_active(token));
	ck_assert_refused(as_shop("/oauth2/token",
				  "grant_type=client_credentials&scope=read&resource=" LEGACY
				  "&resource=" OTHER),
			  400, "invalid_target");
	ck_assert_refused(as_shop("/oauth2/token",
				  "grant_type=client_credentials&scope=read&resource=" ORDERS
				  "&resource=" LEGACY),
			  400, "invalid_target");
}
END_TEST

START_TEST(the_secret_before_verifies_as_long_as_its_tokens_live)
{
	struct str old = text_of(machine(LEGACY)), fresh;
	struct answer a = root(201, METHOD_POST, APIS "/legacy/secrets", "{}");

	fresh = text_of(machine(LEGACY));
	ck_assert(str_equal(parsed(fresh).kid, answer_str(&a, "kid")));
	ck_assert(!str_equal(answer_str(&a, "secret"), legacy_secret));
	ck_assert(is_active(old));
	ck_assert(is_active(fresh));
	flow_advance(f, 599);
	flow_changed(f);
	ck_assert(is_active(old));
	flow_advance(f, 2 * 86400);
	is_refused(signed_with(legacy_secret, header_of(legacy_kid), parsed(old).payload));
}
END_TEST

START_TEST(a_secret_may_wait_before_it_signs)
{
	struct answer a = root(201, METHOD_POST, APIS "/legacy/secrets", "{\"sign_after\":3600}");
	struct answer b = root(201, METHOD_POST, APIS "/legacy/secrets", "{\"sign_after\":60}");

	ck_assert(str_equal(parsed(text_of(machine(LEGACY))).kid, legacy_kid));
	flow_advance(f, 60);
	ck_assert(str_equal(parsed(text_of(machine(LEGACY))).kid, answer_str(&b, "kid")));
	flow_advance(f, 3600); /* the first was replaced before it signed */
	ck_assert(!str_equal(parsed(text_of(machine(LEGACY))).kid, answer_str(&a, "kid")));
}
END_TEST

START_TEST(secrets_are_bounded_and_of_hs256_apis_only)
{
	root(409, METHOD_POST, APIS "/orders/secrets", "{}");
	root(404, METHOD_POST, APIS "/nothing/secrets", "{}");
	root(422, METHOD_POST, APIS "/legacy/secrets", "{\"sign_after\":-1}");
	root(422, METHOD_PATCH, APIS "/legacy", "{\"alg\":\"ES256\"}");
	root(422, METHOD_PATCH, APIS "/orders", "{\"alg\":\"HS256\"}");
	for (int i = 1; i < SECRETS_PER_API_MAX; i++)
		root(201, METHOD_POST, APIS "/legacy/secrets", "{}");
	root(409, METHOD_POST, APIS "/legacy/secrets", "{}");
	root(200, METHOD_PATCH, APIS "/legacy", "{\"name\":\"old\"}");
	ck_assert(is_active(text_of(machine(LEGACY))));
}
END_TEST

START_TEST(an_api_made_again_has_another_secret)
{
	struct str old = text_of(machine(LEGACY));
	struct answer a;

	root(204, METHOD_DELETE, APIS "/legacy", NULL);
	ck_assert(!is_active(old));
	flow_advance(f, 5);
	a = root(201, METHOD_POST, APIS,
		 "{\"uri\":\"" LEGACY "\",\"slug\":\"legacy\",\"scopes\":[\"read\"],"
		 "\"alg\":\"HS256\"}");
	ck_assert(!str_equal(answer_str(&a, "secret"), legacy_secret));
	ck_assert(!is_active(old));
	ck_assert(is_active(text_of(machine(LEGACY))));
}
END_TEST

START_TEST(no_client_and_no_reserved_api_has_hs256)
{
	root(422, METHOD_POST, "/admin/v1/clients", "{\"client_id\":\"x\",\"alg\":\"HS256\"}");
	root(403, METHOD_POST, APIS, "{\"uri\":\"https://id.example/x\",\"alg\":\"HS256\"}");
}
END_TEST

TCase *shared_case(void)
{
	const TTest *const tests[] = {
		rfc7518_3_2_the_secret_as_shown_is_the_key,
		a_secret_is_shown_once_and_its_kid_is_in_no_key_set,
		the_database_holds_no_secret_of_an_api,
		an_hs256_back_end_mints_for_no_other_audience,
		an_hs256_back_end_mints_nothing_that_we_take_for_ours,
		a_genuine_payload_under_another_kid_or_key_is_refused,
		an_es256_token_for_an_hs256_api_is_not_made,
		the_secret_before_verifies_as_long_as_its_tokens_live,
		a_secret_may_wait_before_it_signs,
		secrets_are_bounded_and_of_hs256_apis_only,
		an_api_made_again_has_another_secret,
		no_client_and_no_reserved_api_has_hs256,
	};
	TCase *all = tcase_create("hs256");

	tcase_add_checked_fixture(all, up_shared, formats_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	return all;
}
