/* Tokens encrypted to the api: recorded, so that what ends others ends them; readable to the api
 * alone. */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "jose/jwe.h"
#include "jose/jws.h"
#include "tests/flow/format_tests.h"
#include "tests/helpers/keys.h"

#define PAYROLL "https://payroll.example"
#define SLUG APIS "/payroll"

static struct flow *const f = &fmt.flow;

static const char *joined(const char *before, struct str text, const char *behind)
{
	struct str all;
	struct buf b;

	buf_init(&b, f->arena, 8192);
	buf_z(&b, before);
	buf_str(&b, text);
	buf_z(&b, behind);
	ck_assert_int_eq(buf_end(&b, &all), ERR_OK);
	return all.p;
}

/* The members that are the key: ours says that it is for signatures. */
static struct str without_use(const struct json *object)
{
	static const char *const names[] = { "kty", "crv", "x", "y", "n", "e" };
	struct jsonw w;
	struct str text;
	struct buf b;

	buf_init(&b, f->arena, 4096);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct str value;

		if (json_str(json_get(object, names[i]), &value))
			jsonw_member(&w, names[i], value);
	}
	jsonw_end_object(&w);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return text;
}

/* "encryption_key":{...}, the public half of a private key. */
static const char *key_member(const char *private_pem)
{
	BIO *in = BIO_new_mem_buf(private_pem, -1);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	AUTO(jwk, key) = NULL;
	AUTO(json, object) = NULL;
	struct jsonw w;
	struct buf b;

	ck_assert_int_eq(jwk_from_pkey(pkey, STR_NONE, &key), ERR_OK);
	EVP_PKEY_free(pkey);
	BIO_free(in);
	buf_init(&b, f->arena, 4096);
	jsonw_init(&w, &b);
	jwk_export(key, &w);
	ck_assert_int_eq(json_parse(str_n(b.p, b.n), 4096, &object), ERR_OK);
	return joined("\"encryption_key\":", without_use(object), "");
}

static const char *with_key(const char *private_pem)
{
	return joined("\"format\":\"jwe\",", str_z(key_member(private_pem)), "");
}

static void up_jwe(void)
{
	formats_up();
	root(201, METHOD_POST, APIS,
	     joined("{\"uri\":\"" PAYROLL "\",\"slug\":\"payroll\",\"scopes\":[\"read\"],",
		    str_z(with_key(KEY_EC_1)), "}"));
	root(200, METHOD_PATCH, "/admin/v1/clients/shop",
	     "{\"audiences\":[\"" ORDERS "\",\"" VAULT "\",\"" PAYROLL "\"]}");
}

/* What the api reads. */
static struct jws opened(struct str token, const char *pem)
{
	AUTO(jwe_key, key) = NULL;
	struct str plain;
	struct jws jws;

	ck_assert_int_eq(jwe_key_from_pem(str_z(pem), &key), ERR_OK);
	ck_assert_int_eq(jwe_open(f->arena, token, key, &plain), ERR_OK);
	ck_assert_int_eq(jws_parse(f->arena, plain, &jws), ERR_OK);
	return jws;
}

START_TEST(rfc7519_5_2_the_api_finds_a_signed_token_within)
{
	struct str token = text_of(machine(PAYROLL));
	struct jws jws = opened(token, KEY_EC_1);
	struct answer set = get(f, "/.well-known/jwks.json");
	AUTO(jwks, keys) = NULL;
	AUTO(json, claims) = NULL;
	struct answer told = introspect(token);

	ck_assert_int_eq(jwks_parse(set.body, &keys), ERR_OK);
	ck_assert_int_eq(jws_verify(&jws, jwks_find(keys, jws.kid)), ERR_OK);
	ck_assert_str(jws.typ, "at+jwt");
	ck_assert_int_eq(json_parse(jws.payload, JWT_SIZE_MAX, &claims), ERR_OK);
	for (size_t i = 0; i < 4; i++) {
		static const char *const same[] = { "jti", "aud", "sub", "scope" };
		struct str value;

		ck_assert(json_str(json_get(claims, same[i]), &value));
		ck_assert(str_equal(value, answer_str(&told, same[i])));
	}
}
END_TEST

START_TEST(nobody_else_reads_it)
{
	struct str token = text_of(machine(PAYROLL)), plain;
	AUTO(jwe_key, key) = NULL;

	ck_assert_int_eq(jwe_key_from_pem(STR(KEY_EC_2), &key), ERR_OK);
	ck_assert_int_eq(jwe_open(f->arena, token, key, &plain), ERR_BAD_SIGNATURE);
	ck_assert(!memmem(token.p, token.n, "c2hvcA", 6)); /* "shop" */
}
END_TEST

START_TEST(its_text_is_known_and_no_other_text)
{
	struct str token = text_of(machine(PAYROLL));
	char text[JWT_SIZE_MAX];

	ck_assert(is_active(token));
	memcpy(text, token.p, token.n);
	for (size_t i = 0; i < token.n; i += 11) {
		text[i] ^= 1;
		ck_assert(!is_active(str_n(text, token.n)));
		text[i] ^= 1;
	}
	ck_assert(!is_active(opened(token, KEY_EC_1).signing_input));
	flow_advance(f, 600);
	ck_assert(!is_active(token));
}
END_TEST

/* What is within is a token of ours, and as good as the one around it. */
START_TEST(what_is_within_ends_with_it)
{
	struct str token = text_of(machine(PAYROLL)), plain;
	AUTO(jwe_key, key) = NULL;

	ck_assert_int_eq(jwe_key_from_pem(STR(KEY_EC_1), &key), ERR_OK);
	ck_assert_int_eq(jwe_open(f->arena, token, key, &plain), ERR_OK);
	ck_assert(is_active(plain));
	ck_assert_int_eq(as_shop("/oauth2/revoke", with("", "token", token)).status, 200);
	ck_assert(!is_active(token));
	ck_assert(!is_active(plain));
}
END_TEST

START_TEST(a_revoked_login_key_or_api_ends_it)
{
	struct answer issued = login(PAYROLL);
	struct str first = text_of(issued), second = text_of(machine(PAYROLL)), third;

	ck_assert_int_eq(
		as_shop("/oauth2/revoke", with("", "token", answer_str(&issued, "refresh_token")))
			.status,
		200);
	ck_assert(!is_active(first));
	ck_assert(is_active(second));
	third = opened(second, KEY_EC_1).kid;
	root(200, METHOD_POST, joined("/admin/v1/keys/", third, "/revoke"), NULL);
	ck_assert(!is_active(second));
	third = text_of(machine(PAYROLL));
	ck_assert(is_active(third));
	root(204, METHOD_DELETE, SLUG, NULL);
	ck_assert(!is_active(third));
}
END_TEST

START_TEST(a_new_key_is_for_what_is_issued_from_then_on)
{
	struct str old = text_of(machine(PAYROLL)), fresh;

	root(200, METHOD_PATCH, SLUG, joined("{", str_z(with_key(KEY_RSA_2048)), "}"));
	fresh = text_of(machine(PAYROLL));
	opened(fresh, KEY_RSA_2048);
	ck_assert(is_active(old));
	ck_assert(is_active(fresh));
	root(200, METHOD_PATCH, SLUG, "{\"format\":\"jwt\",\"encryption_key\":null}");
	ck_assert(str_starts(text_of(machine(PAYROLL)), STR("eyJhbGciOiJFUzI1NiI")));
}
END_TEST

START_TEST(a_key_and_the_format_go_together)
{
	struct answer a;

	root(422, METHOD_PATCH, SLUG, "{\"format\":\"jwt\"}");
	root(422, METHOD_PATCH, SLUG, "{\"encryption_key\":null}");
	root(422, METHOD_PATCH, SLUG, "{\"alg\":\"HS256\"}");
	root(422, METHOD_PATCH, SLUG, "{\"encryption_key\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}");
	root(422, METHOD_PATCH, APIS "/orders", "{\"format\":\"jwe\"}");
	root(422, METHOD_PATCH, APIS "/orders", joined("{", str_z(key_member(KEY_EC_1)), "}"));
	a = root(200, METHOD_GET, SLUG, NULL);
	ck_assert_str(answer_str(&a, "format"), "jwe");
	ck_assert(answer_has(&a, "encryption_key"));
}
END_TEST

TCase *jwe_case(void)
{
	const TTest *const tests[] = {
		rfc7519_5_2_the_api_finds_a_signed_token_within,
		nobody_else_reads_it,
		its_text_is_known_and_no_other_text,
		what_is_within_ends_with_it,
		a_revoked_login_key_or_api_ends_it,
		a_new_key_is_for_what_is_issued_from_then_on,
		a_key_and_the_format_go_together,
	};
	TCase *all = tcase_create("jwe");

	tcase_add_checked_fixture(all, up_jwe, formats_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	return all;
}
