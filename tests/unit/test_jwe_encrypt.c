/* lib/jose/jwe_encrypt.h: what it makes is opened with the private key, by jwe.h here and by jose
 * (npm) in tests/e2e/formats.test.mjs, and by nobody else. */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "jose/b64.h"
#include "jose/jwe.h"
#include "jose/jwe_encrypt.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"

#define PLAIN "a.signed.token"

static struct arena *arena;
static struct buf text;

static void up(void)
{
	ck_assert_int_eq(arena_new(1 << 20, &arena), ERR_OK);
	buf_init(&text, NULL, 1 << 20);
}

static void down(void)
{
	buf_done(&text);
	arena_free(arena);
}

/* The public half of a private key, as PEM, the arena's. */
static struct str public_pem(const char *private_pem)
{
	BIO *in = BIO_new_mem_buf(private_pem, -1), *out = BIO_new(BIO_s_mem());
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	struct str pem;
	char *p;
	long n;

	ck_assert_ptr_nonnull(pkey);
	ck_assert_int_eq(PEM_write_bio_PUBKEY(out, pkey), 1);
	n = BIO_get_mem_data(out, &p);
	pem = arena_str(arena, str_n(p, (size_t)n));
	EVP_PKEY_free(pkey);
	BIO_free(in);
	BIO_free(out);
	return pem;
}

static struct jwe_recipient *recipient(const char *private_pem)
{
	struct jwe_recipient *r = NULL;

	ck_assert_int_eq(jwe_recipient_from_pem(public_pem(private_pem), &r), ERR_OK);
	return r;
}

static struct str encrypted(const struct jwe_recipient *r, struct str plain)
{
	buf_clear(&text);
	ck_assert_int_eq(jwe_encrypt(r, plain, &text), ERR_OK);
	return arena_str(arena, str_n(text.p, text.n));
}

static enum err open_with(const char *pem, struct str token, struct str *ret_plain)
{
	AUTO(jwe_key, key) = NULL;

	ck_assert_int_eq(jwe_key_from_pem(str_z(pem), &key), ERR_OK);
	return jwe_open(arena, token, key, ret_plain);
}

static const struct {
	const char *pem, *other, *alg;
} kinds[] = {
	{ KEY_RSA_2048, KEY_EC_1, "RSA-OAEP-256" },
	{ KEY_EC_1, KEY_EC_2, "ECDH-ES" },
};

START_TEST(rfc7516_5_1_what_is_encrypted_opens_with_the_private_key_alone)
{
	AUTO(jwe_recipient, r) = recipient(kinds[_i].pem);
	struct str token = encrypted(r, STR(PLAIN)), plain;

	ck_assert_int_eq(open_with(kinds[_i].pem, token, &plain), ERR_OK);
	ck_assert(str_equal_z(plain, PLAIN));
	ck_assert_int_ne(open_with(kinds[_i].other, token, &plain), ERR_OK);
}
END_TEST

static struct json *header_of(struct str token)
{
	const char *dot = memchr(token.p, '.', token.n);
	char bytes[1024];
	struct json *header;
	size_t n;

	ck_assert_ptr_nonnull(dot);
	ck_assert_int_eq(
		b64url_decode(str_n(token.p, (size_t)(dot - token.p)), bytes, sizeof(bytes), &n),
		ERR_OK);
	ck_assert_int_eq(json_parse(str_n(bytes, n), sizeof(bytes), &header), ERR_OK);
	return header;
}

static void says(const struct json *header, const char *name, const char *wanted)
{
	struct str value;

	ck_assert_msg(json_str(json_get(header, name), &value), "no %s", name);
	ck_assert_msg(str_equal_z(value, wanted), "%s is %.*s", name, STR_ARG(value));
}

START_TEST(rfc7519_5_2_the_header_names_a_nested_token_and_no_more)
{
	AUTO(jwe_recipient, r) = recipient(kinds[_i].pem);
	AUTO(json, header) = header_of(encrypted(r, STR(PLAIN)));

	says(header, "alg", kinds[_i].alg);
	says(header, "enc", "A256GCM");
	says(header, "cty", "JWT");
	ck_assert(!json_get(header, "zip"));
	ck_assert(!json_get(header, "crit"));
	if (_i == 1) {
		says(json_get(header, "epk"), "crv", "P-256");
		ck_assert(!json_get(json_get(header, "epk"), "d"));
	}
}
END_TEST

/* RFC 7518 8.4: a key and an IV together are used once; RFC 7518 4.6: an ephemeral key, too. */
START_TEST(rfc7518_8_4_no_two_tokens_share_a_key_or_an_iv)
{
	AUTO(jwe_recipient, r) = recipient(kinds[_i].pem);
	struct str before[5], now[5];

	for (int round = 0; round < 20; round++) {
		struct str rest = encrypted(r, STR(PLAIN));

		for (size_t i = 0; i < 5; i++)
			ck_assert(str_next(&rest, '.', &now[i]));
		for (size_t i = 2; round && i < 5; i++)
			ck_assert(!str_equal(now[i], before[i]));
		/* the wrapped key; or, where none is wrapped, the header with the agreement's */
		ck_assert(!round || !str_equal(now[_i == 0], before[_i == 0]));
		ck_assert_uint_eq(now[1].n == 0, _i == 1);
		memcpy(before, now, sizeof(now));
	}
}
END_TEST

START_TEST(a_recipient_is_read_back_from_what_it_exports)
{
	AUTO(jwe_recipient, r) = recipient(kinds[_i].pem);
	AUTO(jwe_recipient, again) = NULL;
	AUTO(json, object) = NULL;
	struct str plain;
	struct jsonw w;

	buf_clear(&text);
	jsonw_init(&w, &text);
	jwe_recipient_export(r, &w);
	ck_assert_int_eq(json_parse(str_n(text.p, text.n), 4096, &object), ERR_OK);
	says(object, "use", "enc");
	says(object, "alg", kinds[_i].alg);
	ck_assert_int_eq(jwe_recipient_from_json(object, &again), ERR_OK);
	ck_assert_int_eq(open_with(kinds[_i].pem, encrypted(again, STR(PLAIN)), &plain), ERR_OK);
}
END_TEST

#define X "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\""
#define Y "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
#define EC "\"kty\":\"EC\",\"crv\":\"P-256\"," X "," Y

static const struct {
	const char *text;
	enum err err;
} jwks[] = {
	{ "{" EC "}", ERR_OK },
	{ "{" EC ",\"use\":\"enc\",\"alg\":\"ECDH-ES\",\"kid\":\"k\"}", ERR_OK },
	{ "{" EC ",\"use\":\"sig\"}", ERR_UNSUPPORTED },
	{ "{" EC ",\"use\":1}", ERR_UNSUPPORTED },
	{ "{" EC ",\"alg\":\"ES256\"}", ERR_UNSUPPORTED },
	{ "{" EC ",\"alg\":\"RSA-OAEP-256\"}", ERR_UNSUPPORTED },
	{ "{" EC ",\"alg\":\"ECDH-ES+A256KW\"}", ERR_UNSUPPORTED },
	{ "{" EC ",\"key_ops\":[\"verify\"]}", ERR_UNSUPPORTED },
	{ "{" EC ",\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\"}", ERR_UNSUPPORTED },
	{ "{\"kty\":\"oct\",\"k\":\"AAAA\"}", ERR_UNSUPPORTED },
	{ "{\"kty\":\"EC\",\"crv\":\"P-256\"," X "}", ERR_SYNTAX },
	{ "{\"kty\":\"EC\",\"crv\":\"P-256\"," X
	  ",\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyA\"}",
	  ERR_SYNTAX },
	{ "[]", ERR_SYNTAX },
};

START_TEST(a_key_that_is_not_for_encrypting_is_refused)
{
	for (size_t i = 0; i < COUNT(jwks); i++) {
		AUTO(jwe_recipient, r) = NULL;
		AUTO(json, object) = NULL;
		enum err e;

		ck_assert_int_eq(json_parse_any(str_z(jwks[i].text), 4096, &object), ERR_OK);
		e = jwe_recipient_from_json(object, &r);
		ck_assert_msg(e == jwks[i].err, "%s: %s", jwks[i].text, err_name(e));
	}
}
END_TEST

START_TEST(a_private_key_or_another_kind_is_no_recipient)
{
	AUTO(jwe_recipient, r) = NULL;

	ck_assert_int_ne(jwe_recipient_from_pem(STR(KEY_EC_1), &r), ERR_OK);
	ck_assert_int_ne(jwe_recipient_from_pem(public_pem(KEY_P384), &r), ERR_OK);
	ck_assert_int_ne(jwe_recipient_from_pem(public_pem(KEY_RSA_1024), &r), ERR_OK);
	ck_assert_int_ne(jwe_recipient_from_pem(STR("x"), &r), ERR_OK);
}
END_TEST

START_TEST(no_token_comes_out_that_nobody_would_take)
{
	AUTO(jwe_recipient, r) = recipient(KEY_RSA_2048);
	struct str plain = str_n(arena_alloc(arena, JWT_SIZE_MAX), JWT_SIZE_MAX);

	buf_clear(&text);
	ck_assert_int_eq(jwe_encrypt(r, plain, &text), ERR_LIMIT);
	buf_clear(&text);
	ck_assert_int_eq(jwe_encrypt(r, STR(""), &text), ERR_LIMIT);
	encrypted(r, str_n(plain.p, 5000));
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("jwe encrypt");
	const TTest *const each[] = {
		rfc7516_5_1_what_is_encrypted_opens_with_the_private_key_alone,
		rfc7519_5_2_the_header_names_a_nested_token_and_no_more,
		rfc7518_8_4_no_two_tokens_share_a_key_or_an_iv,
		a_recipient_is_read_back_from_what_it_exports,
	};

	tcase_add_checked_fixture(all, up, down);
	for (size_t i = 0; i < COUNT(each); i++)
		tcase_add_loop_test(all, each[i], 0, (int)COUNT(kinds));
	tcase_add_test(all, a_key_that_is_not_for_encrypting_is_refused);
	tcase_add_test(all, a_private_key_or_another_kind_is_no_recipient);
	tcase_add_test(all, no_token_comes_out_that_nobody_would_take);
	return suite_run_case("jwe encrypt", all);
}
