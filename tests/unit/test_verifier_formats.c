/* Verifiers of other formats than signed with a public key: a shared secret, and tokens that are
 * encrypted. */
#include <stdio.h>

#include <openssl/rsa.h>

#include "jose/b64.h"
#include "tests/helpers/fake_issuer.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define FORMER "fedcba9876543210fedcba9876543210"

static struct fake_issuer f;
static struct chancery_options options;

static void set_up(void)
{
	fake_issuer_init(&f);
	options = fake_options(&f);
}

static void tear_down(void)
{
	fake_issuer_done(&f);
}

static const char *new_with(struct chancery_options o)
{
	struct chancery *v = NULL;
	const char *wrong = chancery_new(&o, &v);

	chancery_free(v);
	return wrong;
}

/* ---- a shared secret ---- */

static enum chancery_verdict judge_hmac(struct chancery *v, const char *secret, const char *alg,
					const char *aud)
{
	char header[100], payload[500];
	enum chancery_verdict verdict;
	char *token;

	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"at+jwt\"}", alg);
	snprintf(payload, sizeof(payload),
		 "{\"iss\":\"" FAKE_ISSUER "\",\"aud\":%s,\"sub\":\"alice\",\"iat\":1800000000,"
		 "\"exp\":1800000300}",
		 aud);
	token = hmac_token(str_z(secret), header, payload);
	verdict = fake_judge(v, token);
	free(token);
	return verdict;
}

START_TEST(rfc7518_3_2_a_shared_secret_verifies_for_its_audience_alone)
{
	static const char ours[] = "\"" FAKE_AUDIENCE "\"";
	struct chancery *v;
	char *set = fake_set(KEY_EC_1, "ec1");
	char *signed_with_key = fake_token(&f, KEY_EC_1, "ec1", NULL);

	options.algorithms = CHANCERY_HS256;
	options.fetch = NULL;
	options.secret = SECRET;
	options.secret_len = 32;
	options.jwks = set;
	ck_assert_ptr_nonnull(new_with(options));
	options.jwks = NULL;
	v = fake_verifier(&options);
	ck_assert_int_eq(judge_hmac(v, SECRET, "HS256", ours), CHANCERY_OK);
	ck_assert_int_eq(judge_hmac(v, SECRET, "HS256", "[\"" FAKE_AUDIENCE "\"]"), CHANCERY_OK);
	ck_assert_int_eq(judge_hmac(v, SECRET, "HS256", "[\"" FAKE_AUDIENCE "\",\"x\"]"),
			 CHANCERY_WRONG_AUDIENCE);
	ck_assert_int_eq(judge_hmac(v, SECRET, "HS256", "\"x\""), CHANCERY_WRONG_AUDIENCE);
	ck_assert_int_eq(judge_hmac(v, FORMER, "HS256", ours), CHANCERY_BAD_SIGNATURE);
	ck_assert_int_eq(judge_hmac(v, SECRET, "hs256", ours), CHANCERY_UNSUPPORTED);
	ck_assert_int_eq(judge_hmac(v, SECRET, "none", ours), CHANCERY_UNSUPPORTED);
	ck_assert_int_eq(fake_judge(v, signed_with_key), CHANCERY_UNSUPPORTED);
	free(signed_with_key);
	ck_assert_int_ge(chancery_tend(v), 1);
	chancery_free(v);
	/* while it is changed */
	options.former_secret = FORMER;
	options.former_secret_len = 32;
	v = fake_verifier(&options);
	ck_assert_int_eq(judge_hmac(v, SECRET, "HS256", ours), CHANCERY_OK);
	ck_assert_int_eq(judge_hmac(v, FORMER, "HS256", ours), CHANCERY_OK);
	ck_assert_uint_eq(atomic_load(&f.documents[FAKE_JWKS].asked), 0);
	chancery_free(v);
	free(set);
}
END_TEST

/* ---- encryption ---- */

/* RFC 7516 5.1 for RSA-OAEP-256, by OpenSSL directly. Caller frees. */
static char *sealed(const char *plain)
{
	static const char header[] =
		"{\"alg\":\"RSA-OAEP-256\",\"enc\":\"A256GCM\",\"cty\":\"JWT\"}";
	static const unsigned char key[32] = { 7 }, iv[12] = { 9 };
	EVP_PKEY *pkey = private_key(KEY_RSA_2048);
	EVP_PKEY_CTX *rsa = EVP_PKEY_CTX_new(pkey, NULL);
	EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
	unsigned char wrapped[256], text[8192], tag[16];
	size_t wrapped_len = sizeof(wrapped);
	char aad[B64URL_LEN(sizeof(header)) + 1];
	char *token;
	struct buf b;
	struct str made;
	int n;

	b64url_encode_z(header, sizeof(header) - 1, aad);
	ck_assert_int_eq(EVP_PKEY_encrypt_init(rsa), 1);
	EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_OAEP_PADDING);
	EVP_PKEY_CTX_set_rsa_oaep_md(rsa, EVP_sha256());
	ck_assert_int_eq(EVP_PKEY_encrypt(rsa, wrapped, &wrapped_len, key, sizeof(key)), 1);
	EVP_EncryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, iv);
	EVP_EncryptUpdate(gcm, NULL, &n, (const unsigned char *)aad, (int)strlen(aad));
	EVP_EncryptUpdate(gcm, text, &n, (const unsigned char *)plain, (int)strlen(plain));
	EVP_EncryptFinal_ex(gcm, text + n, &n);
	EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, sizeof(tag), tag);
	buf_init(&b, NULL, 16384);
	buf_fmt(&b, "%s.", aad);
	b64url_encode(&b, wrapped, wrapped_len);
	buf_byte(&b, '.');
	b64url_encode(&b, iv, sizeof(iv));
	buf_byte(&b, '.');
	b64url_encode(&b, text, strlen(plain));
	buf_byte(&b, '.');
	b64url_encode(&b, tag, sizeof(tag));
	ck_assert_int_eq(buf_end(&b, &made), ERR_OK);
	token = strdup(made.p);
	buf_done(&b);
	EVP_CIPHER_CTX_free(gcm);
	EVP_PKEY_CTX_free(rsa);
	EVP_PKEY_free(pkey);
	return token;
}

/* Anybody can encrypt: what is within is judged like any other token, and nothing else is taken. */
START_TEST(rfc7519_5_2_a_nested_token_is_opened_and_then_judged)
{
	struct chancery *v;
	char *good, *stranger, *outer, *bent;

	options.private_key = "no key";
	ck_assert_ptr_nonnull(new_with(options));
	options.private_key = KEY_RSA_2048;
	v = fake_verifier(&options);
	good = fake_token(&f, KEY_EC_1, "ec1", NULL);
	stranger = fake_token(&f, KEY_EC_2, "ec1", NULL);
	ck_assert_int_eq(fake_judge(v, good), CHANCERY_MALFORMED);
	outer = sealed(good);
	ck_assert_int_eq(fake_judge(v, outer), CHANCERY_OK);
	bent = strdup(outer);
	bent[strlen(bent) - 3] = bent[strlen(bent) - 3] == 'A' ? 'B' : 'A';
	ck_assert_int_eq(fake_judge(v, bent), CHANCERY_UNREADABLE);
	free(bent);
	bent = sealed(stranger);
	ck_assert_int_eq(fake_judge(v, bent), CHANCERY_BAD_SIGNATURE);
	free(bent);
	/* once only */
	bent = sealed(outer);
	ck_assert_int_eq(fake_judge(v, bent), CHANCERY_MALFORMED);
	free(bent);
	chancery_free(v);
	options.private_key = NULL;
	v = fake_verifier(&options);
	ck_assert_int_eq(fake_judge(v, outer), CHANCERY_MALFORMED);
	chancery_free(v);
	free(outer);
	free(good);
	free(stranger);
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("formats");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, rfc7518_3_2_a_shared_secret_verifies_for_its_audience_alone);
	tcase_add_test(all, rfc7519_5_2_a_nested_token_is_opened_and_then_judged);
	return suite_run_case("verifier_formats", all);
}
