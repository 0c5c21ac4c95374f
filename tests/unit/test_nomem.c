/* lib/ without memory: each scenario runs with its first allocation failing, then its second, and
 * so on until it ends without meeting the failure; once with that one failing, once with all after
 * it failing too. It must say so, never succeed in part and lose nothing (the sanitizer or valgrind
 * counts). */
#include <stdio.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/secret.h"
#include "jose/jwt.h"
#include "oauth/basic.h"
#include "oauth/form.h"
#include "oauth/machine.h"
#include "tests/fuzz/rfc7515.h"
#include "tests/helpers/keys.h"
#include "tests/helpers/mem_fail.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define HEADER "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k\"}"
#define CLAIMS                                                                                     \
	"{\"iss\":\"https://i\",\"sub\":\"s\",\"aud\":[\"a\",\"b\"],\"client_id\":\"c\",\"jti\":"  \
	"\"j\",\"exp\":200,\"iat\":100}"

enum allowed {
	NOMEM_ONLY = 0,
	/* OpenSSL does not always say why */
	OR_CRYPTO = 1,
	OR_SYNTAX = 2,
	OR_UNSUPPORTED = 4,
};

static bool is_allowed(enum err e, int allowed)
{
	return e == ERR_OK || e == ERR_NOMEM || (e == ERR_SYNTAX && allowed & OR_SYNTAX) ||
	       (e == ERR_CRYPTO && allowed & OR_CRYPTO) ||
	       (e == ERR_UNSUPPORTED && allowed & OR_UNSUPPORTED);
}

/* Returns the most allocations that `run` made. */
static size_t fail_each(enum err (*run)(void), int allowed)
{
	size_t most = 0;

	/* what libraries make once and keep is made now */
	ck_assert_int_eq(run(), ERR_OK);
	for (int forever = 0; forever <= 1; forever++) {
		bool met = true;

		for (size_t n = 1; met; n++) {
			enum err e;

			mem_fail_arm(n, forever);
			e = run();
			met = mem_fail_count() >= n;
			most = mem_fail_count() > most ? mem_fail_count() : most;
			mem_fail_arm(0, false);
			ck_assert_msg(met ? is_allowed(e, allowed) : e == ERR_OK,
				      "allocation %zu: %s", n, err_name(e));
		}
	}
	return most;
}

static enum err use_json(void)
{
	AUTO(json, root) = NULL;
	struct buf b;
	struct str text;
	enum err e;

	e = json_parse(STR("{\"a\":[1,2.5,\"x\",{\"b\":null}],\"c\":true,\"d\":\"\\u00e4\"}"), 1000,
		       &root);
	if (e)
		return e;
	buf_init(&b, NULL, 1000);
	json_dump(root, &b);
	e = buf_end(&b, &text);
	buf_done(&b);
	return e;
}

START_TEST(json_without_memory_fails_cleanly)
{
	ck_assert_uint_gt(fail_each(use_json, NOMEM_ONLY), 2);
}
END_TEST

static enum err use_buf(void)
{
	struct buf b;
	struct str text;
	enum err e;

	buf_init(&b, NULL, 100000);
	for (int i = 0; i < 1000; i++)
		buf_fmt(&b, "%d and a few more characters,", i);
	e = buf_end(&b, &text);
	if (!e && !str_ends(text, STR("999 and a few more characters,")))
		e = ERR_INTERNAL;
	buf_done(&b);
	return e;
}

START_TEST(a_buffer_without_memory_fails_cleanly)
{
	ck_assert_uint_gt(fail_each(use_buf, NOMEM_ONLY), 5);
}
END_TEST

static enum err use_arena(void)
{
	AUTO(arena, a) = NULL;
	enum err e = arena_new(1 << 20, &a);

	if (e)
		return e;
	for (size_t i = 0; i < 200; i++) {
		if (!arena_alloc(a, i * 10) && !arena_failed(a))
			return ERR_INTERNAL;
	}
	return arena_failed(a) ? ERR_NOMEM : ERR_OK;
}

START_TEST(an_arena_without_memory_fails_cleanly)
{
	ck_assert_uint_gt(fail_each(use_arena, NOMEM_ONLY), 4);
}
END_TEST

static enum err use_form(void)
{
	AUTO(arena, a) = NULL;
	struct form *f;
	struct buf body;
	struct str text, id, secret;
	enum err e = arena_new(REQUEST_ARENA_MAX, &a);

	if (e)
		return e;
	buf_init(&body, a, FORM_SIZE_MAX);
	for (int i = 0; i < 50; i++)
		buf_fmt(&body, "p%d=%0300d&", i, i);
	e = buf_end(&body, &text);
	f = arena_new_of(a, struct form);
	if (!e && !f)
		e = ERR_NOMEM;
	if (!e)
		e = form_parse(a, text, f);
	if (!e)
		e = basic_parse(a, STR("czZCaGRSa3F0MzpnWDFmQmF0M2JW"), &id, &secret);
	if (!e && f->count != 50)
		e = ERR_INTERNAL;
	return e;
}

START_TEST(a_form_without_memory_fails_cleanly)
{
	ck_assert_uint_gt(fail_each(use_form, NOMEM_ONLY), 3);
}
END_TEST

static enum err use_jwk(void)
{
	static const char *const texts[] = { RFC7515_A3_KEY, RFC7515_A2_KEY };
	enum err e = ERR_OK;

	for (size_t i = 0; !e && i < COUNT(texts); i++) {
		AUTO(json, root) = NULL;
		AUTO(jwk, key) = NULL;

		e = json_parse(str_z(texts[i]), JWKS_SIZE_MAX, &root);
		if (!e)
			e = jwk_from_json(root, &key);
		if (!e != (key != NULL))
			e = ERR_INTERNAL;
	}
	return e;
}

static enum err use_jwks(void)
{
	AUTO(jwks, set) = NULL;
	enum err e = jwks_parse(STR("{\"keys\":[" RFC7515_A3_KEY "," RFC7515_A2_KEY "]}"), &set);

	/* a key that could not be read for want of memory is not one to be skipped */
	return e || set->count == 2 ? e : ERR_INTERNAL;
}

START_TEST(a_set_without_memory_is_never_half_a_set)
{
	ck_assert_uint_gt(fail_each(use_jwks, OR_CRYPTO), 50);
}
END_TEST

START_TEST(a_key_without_memory_fails_cleanly)
{
	ck_assert_uint_gt(fail_each(use_jwk, OR_CRYPTO), 50);
}
END_TEST

static struct {
	struct jwk *ec, *rsa;
	char *es256, *rs256;
} made;

static enum err verify(const char *token, const struct jwk *key)
{
	AUTO(arena, a) = NULL;
	const struct jwt_expect expect = {
		.typ = STR("at+jwt"), .iss = STR("https://i"), .aud = STR("a"), .now = 150
	};
	struct jws jws;
	struct jwt jwt;
	enum jwt_verdict v;
	enum err e = arena_new(REQUEST_ARENA_MAX, &a);

	if (!e)
		e = jws_parse(a, str_z(token), &jws);
	if (!e)
		e = jws_verify(&jws, key);
	if (e)
		return e;
	v = jwt_check(&jws, &expect, &jwt);
	if (v == JWT_OK)
		jwt_done(&jwt);
	return v == JWT_OK ? ERR_OK : v == JWT_UNREAD ? ERR_NOMEM : ERR_SYNTAX;
}

static enum err verify_es256(void)
{
	return verify(made.es256, made.ec);
}

static enum err verify_rs256(void)
{
	return verify(made.rs256, made.rsa);
}

/* A good signature is never called bad for want of memory. */
START_TEST(a_signature_without_memory_fails_cleanly)
{
	made.ec = public_jwk(KEY_EC_1);
	made.rsa = public_jwk(KEY_RSA_2048);
	made.es256 = signed_token(KEY_EC_1, HEADER, CLAIMS);
	made.rs256 = signed_token(KEY_RSA_2048, "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", CLAIMS);
	ck_assert_uint_gt(fail_each(verify_es256, OR_CRYPTO), 30);
	ck_assert_uint_gt(fail_each(verify_rs256, OR_CRYPTO), 20);
	jwk_free(made.ec);
	jwk_free(made.rsa);
	free(made.es256);
	free(made.rs256);
}
END_TEST

static enum err use_pem(void)
{
	AUTO(jwk, key) = NULL;

	return jwk_from_pem(str_z(made.es256), STR_NONE, &key);
}

START_TEST(pem_without_memory_fails_cleanly)
{
	made.es256 = public_pem(KEY_EC_1);
	ck_assert_uint_gt(fail_each(use_pem, OR_SYNTAX | OR_CRYPTO | OR_UNSUPPORTED), 30);
	free(made.es256);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		json_without_memory_fails_cleanly,	  a_buffer_without_memory_fails_cleanly,
		an_arena_without_memory_fails_cleanly,	  a_form_without_memory_fails_cleanly,
		a_key_without_memory_fails_cleanly,	  a_set_without_memory_is_never_half_a_set,
		a_signature_without_memory_fails_cleanly, pem_without_memory_fails_cleanly,
	};

	mem_fail_libraries();
	if (secret_library_init())
		return EXIT_FAILURE;
	return suite_run("nomem", tests, COUNT(tests));
}
