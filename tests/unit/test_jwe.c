/* lib/jose/jwe.h: the RFCs' examples, tokens that jose (npm) encrypted, and bent ones. */
#include <stdio.h>

#include "base/secret.h"
#include "jose/b64.h"
#include "jose/jwe.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"

/* clang-format off */

/* "a.signed.token" for KEY_RSA_2048 and for KEY_EC_1 (the second with apu and apv) */
#define RSA_TOKEN \
	"eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMjU2R0NNIiwiY3R5IjoiSldUIn0.d7J61KHEM7lS7-6P" \
	"M79yBWHeZUZlTOSU_qhCf6ZKci317t3WB1bi-PfV5nRL2YktqPm30pbKJpNXbX0O-QQcciLM2x5qjedgZxg5" \
	"xa_BaJdyvpCWvJaQhT_5XLbsiR1dFGxbaioKYrquecYnU862c-KbSiwD7RSeed0vlSNvN67DgJZTe8XiSoc-" \
	"u0psArwXtz4wQVPWhXmlxKnULMPIjaPmsgD0HVhQ_2E_DdKsYOqnNSq1mlVXcz7xkYvu0KHWhUYaDE3g8gVv" \
	"lccPddUh78JlXOh-HzHRbFPMlAU7OnFSiPkWI8T5bZfwOTo6RjrZz7la_eL6OFxeJyYA2178zw.d46iCj0q_" \
	"z7jpBBK.QFczA8FCKwy92qiQn9A.S6nK54x6PsGr40Di-A2Bzw"
#define EC_TOKEN \
	"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImN0eSI6IkpXVCIsImVwayI6eyJ4IjoiSTdpd1lJ" \
	"RVNKbzdPN3V5QVZXVHAzN19ZN3dYT0RGenJ4M0RTQkM3NzRtOCIsImNydiI6IlAtMjU2Iiwia3R5IjoiRUMi" \
	"LCJ5IjoienJvM2ljVk1mNkFsd2JycnI1WExsb1BsajhQVXF1UkFhS3MzT1BEQjRPZyJ9fQ..X6OnSt5hfjBm" \
	"m3So.jMgsCAldi6ZYv6Q_XYU.CrTMv6dXgv0OdVIGrzVRjg"
#define EC_PARTIES_TOKEN \
	"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImN0eSI6IkpXVCIsImVwayI6eyJ4IjoibExnbE9o" \
	"WGtkbC1JR3o4a0oxeEVTLUU5ZkxId3o0SjU5a3JXVExEYmgzMCIsImNydiI6IlAtMjU2Iiwia3R5IjoiRUMi" \
	"LCJ5IjoiWmVla1ZaTV8tN3FmN1FWZ1J2d0F3cmZrVFp6enhGb0hsaFp6Wm5nVFRqNCJ9LCJhcHUiOiJRV3hw" \
	"WTJVIiwiYXB2IjoiUW05aSJ9..m_W35NFPIkJo_cFc.NcZv05TCbktYOYE0Y4U.9P-KlRPXWiHVQkgcNmC1h" \
	"g"
/* for the same keys, in ways that we do not take */
#define EC_A128GCM_TOKEN \
	"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSIsImN0eSI6IkpXVCIsImVwayI6eyJ4IjoiVm1UeS1T" \
	"bHMwSFczbGhfdGgwbG1kU001bFNRX0RjZWcwUWxnUGUycGpibyIsImNydiI6IlAtMjU2Iiwia3R5IjoiRUMi" \
	"LCJ5IjoiMFVMSFVLUEd0aDF6U19ZaGNTQUpvRUxRdFVfaElRNUVRaVpnSmRGX1pYWSJ9fQ..PYEYIuG6CXf7" \
	"F-7X.Y82WTAvmaw3cnJOTuqU.WoPLkOzl6FyxwJ7F3Gfv9w"
#define EC_NO_CTY_TOKEN \
	"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImVwayI6eyJ4IjoiN09OTkRUYTFFdlg2Uzd5TmJG" \
	"YTc5d1hfSk05cFdMYUhmMkVpLUJqWUMxayIsImNydiI6IlAtMjU2Iiwia3R5IjoiRUMiLCJ5IjoiUktTQUc0" \
	"R0MtcUMyWWRENFlVRzJGSnRsbW9nbkxua3RJS1VuZ2VvelcxdyJ9fQ..I1Va7slrCPTx5N53.u9sJmrgnOiV" \
	"PWxDFGaY.Ddg61UlDo2hSuQmRGZT5Iw"
#define RSA_OAEP_TOKEN \
	"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00iLCJjdHkiOiJKV1QifQ.b6pQk-vJZoF2sXFFCNav4" \
	"U9vLJ8GQUxcqYWo1AZgtG6BJKNW_beYb-bVmWQJSjqzuXDp-G7LbpyU3zeweDCo0JscClUoT2BCqAbwJZ5ch" \
	"HBU_-IZP38ZVtWX3mXljjBrgwb4hLpWdFe_uCWr5VZko0h6LDHG9qhPVkGTw7zjaIxvSZ2waWeWC4pxz4tBy" \
	"9St0U3R4jQIYkGkA5ld5_sCgM9yrmDr6cg5fGhvRVKKFfKBiS1P0NGN6l4WB9jv8alSKO8NZHX9PjOqE3ta4" \
	"mqSw_iTm-ifFJHXsDX43Yx98wwTcbPAT45jg9dkRhSKnhCE_HnNCvLNuvMKt3jl21vDHw.rgIjkjKA3GIa2m" \
	"Kx.bB9MJw1vZhzGgZEPAPg.Gfsj7dhCGexW0qFAy4w8SA"
#define EC_KW_TOKEN \
	"eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJjdHkiOiJKV1QiLCJlcGsiOnsieCI6" \
	"Im1vYUxSdXZzSWZxU09GbXRhaFFZczRUckhrbUNNNkdOajd5c3FPcW9zRUUiLCJjcnYiOiJQLTI1NiIsImt0" \
	"eSI6IkVDIiwieSI6IlBDYUZ4V1NBd1JhRmlNaTVDV3o2RGc5eHhTVVE2VVdMd1lJY3dkbHBTekkifX0.EhhM" \
	"r6lymH4mYuzKwoPBunuj_J9edc8Ut6C-RPaRM8EfdCeMo8RHvg.54zMxgEhBQ0xEOIJ.TI3tBzTkZvFDnpCn" \
	"lHo.75f5fM_dsHLKYrbSjYubRQ"

/* RFC 7518 appendix C: Bob's key */
#define BOB \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVEmDZpDXXK8p8N0C\n" \
	"ndsxs924q6nS1RXFASRl6BfUqdyhRANCAATB40nLYexwJIzoAQNMODThuI6+EWHL\n" \
	"Ja84dB94X8/ExHvJZwjvgJUrU/jSVV/nK4Qe0EWIYosdN4pZSTlQDsnJ\n" \
	"-----END PRIVATE KEY-----\n"
/* clang-format on */

#define PLAIN "a.signed.token"

static struct jwe_key *key_of(const char *pem)
{
	struct jwe_key *key = NULL;

	ck_assert_int_eq(jwe_key_from_pem(str_z(pem), &key), ERR_OK);
	return key;
}

static enum err open_with(const char *pem, struct str token, const char *wanted)
{
	AUTO(jwe_key, key) = key_of(pem);
	AUTO(arena, a) = NULL;
	struct str plain = STR_NONE;
	enum err e;

	ck_assert_int_eq(arena_new(1 << 16, &a), ERR_OK);
	e = jwe_open(a, token, key, &plain);
	ck_assert((e == ERR_OK) == (plain.p != NULL));
	if (!e && wanted)
		ck_assert(str_equal_z(plain, wanted));
	return e;
}

static enum err open_ec(const char *token)
{
	return open_with(KEY_EC_1, str_z(token), PLAIN);
}

static size_t bytes_of(const char *text, unsigned char *ret_bytes, size_t cap)
{
	size_t n;

	ck_assert_int_eq(b64url_decode(str_z(text), ret_bytes, cap, &n), ERR_OK);
	return n;
}

START_TEST(rfc7518_appendix_c_ecdh_es_agrees_on_the_key)
{
	AUTO(jwe_key, bob) = key_of(BOB);
	unsigned char point[65] = { 4 }, derived[16];
	char text[B64URL_LEN(sizeof(derived)) + 1];
	const struct jwe_agreement agreement = {
		.id = STR("A128GCM"),
		.apu = STR("Alice"),
		.apv = STR("Bob"),
		.point = str_n(point, sizeof(point)),
	};

	bytes_of("gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0", point + 1, 32);
	bytes_of("SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps", point + 33, 32);
	ck_assert_int_eq(jwe_agree(bob, &agreement, derived, sizeof(derived)), ERR_OK);
	b64url_encode_z(derived, sizeof(derived), text);
	ck_assert_str_eq(text, "VqqN6vgjbSBcIijNcacQGg");
}
END_TEST

/* RFC 7516 A.1.3 to A.1.6: what of it does not depend on how the key came */
START_TEST(rfc7516_appendix_a1_content_opens)
{
	static const unsigned char key[JWE_KEY_LEN] = {
		177, 161, 244, 128, 84,	 143, 225, 115, 63, 180, 3,   255, 107, 154, 212, 246,
		138, 7,	  110, 91,  112, 46,  34,  105, 47, 130, 203, 46,  122, 234, 64,  252,
	};
	unsigned char iv[12], text[128], tag[16], plain[128];
	struct jwe_content c = {
		.aad = STR("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ"),
	};

	c.iv = str_n(iv, bytes_of("48V1_ALb6US04U3b", iv, sizeof(iv)));
	c.text = str_n(text, bytes_of("5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_"
				      "EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A",
				      text, sizeof(text)));
	c.tag = str_n(tag, bytes_of("XFBoMYUZodetZdvTiFvSkQ", tag, sizeof(tag)));
	ck_assert_int_eq(jwe_content_open(key, &c, plain), ERR_OK);
	ck_assert(str_equal_z(str_n(plain, c.text.n),
			      "The true sign of intelligence is not knowledge but imagination."));
	/* a shorter tag is the same one with less of it to guess */
	for (size_t n = 0; n < 16; n++) {
		c.tag.n = n;
		ck_assert_int_eq(jwe_content_open(key, &c, plain), ERR_SYNTAX);
	}
	c.tag.n = 16;
	c.iv.n = 11;
	ck_assert_int_eq(jwe_content_open(key, &c, plain), ERR_SYNTAX);
	c.iv.n = 12;
	c.aad.n--;
	ck_assert_int_eq(jwe_content_open(key, &c, plain), ERR_BAD_SIGNATURE);
}
END_TEST

START_TEST(tokens_that_others_encrypted_open)
{
	ck_assert_int_eq(open_with(KEY_RSA_2048, STR(RSA_TOKEN), PLAIN), ERR_OK);
	ck_assert_int_eq(open_ec(EC_TOKEN), ERR_OK);
	ck_assert_int_eq(open_ec(EC_PARTIES_TOKEN), ERR_OK);
}
END_TEST

START_TEST(other_ways_of_encrypting_are_refused)
{
	ck_assert_int_eq(open_ec(EC_A128GCM_TOKEN), ERR_UNSUPPORTED);
	ck_assert_int_eq(open_ec(EC_KW_TOKEN), ERR_UNSUPPORTED);
	/* RFC 7519 5.2: what is within must be said to be a token */
	ck_assert_int_eq(open_ec(EC_NO_CTY_TOKEN), ERR_UNSUPPORTED);
	ck_assert_int_eq(open_with(KEY_RSA_2048, STR(RSA_OAEP_TOKEN), NULL), ERR_UNSUPPORTED);
	/* the header does not choose the key */
	ck_assert_int_eq(open_with(KEY_RSA_2048, STR(EC_TOKEN), NULL), ERR_UNSUPPORTED);
	ck_assert_int_eq(open_ec(RSA_TOKEN), ERR_UNSUPPORTED);
	ck_assert_int_eq(open_with(KEY_EC_2, STR(EC_TOKEN), NULL), ERR_BAD_SIGNATURE);
}
END_TEST

/* Every character counts: the header is authenticated, the rest encrypted, and each has one
 * spelling. */
START_TEST(every_changed_character_is_refused)
{
	static const struct {
		const char *pem, *token;
	} rows[] = { { KEY_EC_1, EC_TOKEN }, { KEY_RSA_2048, RSA_TOKEN } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *token = strdup(rows[i].token);

		for (size_t k = 0; k < strlen(token); k += 5) {
			char old = token[k];

			token[k] = old == 'A' ? 'B' : 'A';
			ck_assert_msg(open_with(rows[i].pem, str_z(token), NULL) != ERR_OK,
				      "row %zu at %zu", i, k);
			token[k] = old;
		}
		free(token);
	}
}
END_TEST

/* `token` with its segment `n` replaced. */
static char *with_segment(const char *token, int n, const char *segment)
{
	const char *start = token, *end;
	char *text = malloc(20000);

	for (int i = 0; i < n; i++)
		start = strchr(start, '.') + 1;
	end = start + strcspn(start, ".");
	snprintf(text, 20000, "%.*s%s%s", (int)(start - token), token, segment, end);
	return text;
}

static char *with_header(const char *header)
{
	char text[2000];

	b64url_encode_z(header, strlen(header), text);
	return with_segment(EC_TOKEN, 0, text);
}

#define EPK(x, y) "\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" x "\",\"y\":\"" y "\"}"
#define HEADER(members) "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"cty\":\"JWT\"," members "}"
#define X "I7iwYIESJo7O7uyAVWTp37_Y7wXODFzrx3DSBC774m8"
#define Y "zro3icVMf6Alwbrrr5XLloPlj8PUquRAaKs3OPDB4Og"

START_TEST(headers_that_are_not_what_they_must_be_are_refused)
{
	static const struct {
		const char *header;
		enum err err;
	} rows[] = {
		{ HEADER(EPK(X, Y)), ERR_BAD_SIGNATURE }, /* good, but not what was encrypted */
		{ HEADER(EPK(X, Y) ",\"crit\":[\"x\"]"), ERR_UNSUPPORTED },
		{ HEADER(EPK(X, Y) ",\"zip\":\"DEF\""), ERR_UNSUPPORTED },
		{ HEADER(EPK(X, Y) ",\"enc\":\"A256GCM\""), ERR_SYNTAX },
		{ HEADER("\"x\":1"), ERR_UNSUPPORTED },
		/* CVE-2015-7940 and its like: a point that is not on the curve */
		{ HEADER(EPK(X, X)), ERR_UNSUPPORTED },
		{ HEADER(EPK("", "")), ERR_UNSUPPORTED },
		{ HEADER(EPK("AAAA", "AAAA")), ERR_UNSUPPORTED },
		{ HEADER(EPK(X "AAAA", Y)), ERR_LIMIT },
		{ HEADER("\"epk\":{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X "\",\"y\":\"" Y
			 "\"}"),
		  ERR_UNSUPPORTED },
		{ HEADER("\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y
			 "\","
			 "\"d\":\"" X "\"}"),
		  ERR_UNSUPPORTED },
		{ HEADER(EPK(X, Y) ",\"apu\":7"), ERR_SYNTAX },
		{ HEADER(EPK(X, Y) ",\"apu\":\"=\""), ERR_SYNTAX },
		{ "{\"enc\":\"A256GCM\"}", ERR_SYNTAX },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\"}", ERR_UNSUPPORTED },
		{ "[]", ERR_SYNTAX },
		{ "x", ERR_SYNTAX },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *token = with_header(rows[i].header);
		enum err e = open_ec(token);

		ck_assert_msg(e == rows[i].err, "%s: %s", rows[i].header, err_name(e));
		free(token);
	}
}
END_TEST

START_TEST(shapes_and_sizes_are_judged_before_any_work)
{
	static const struct {
		int n;
		const char *segment;
		enum err err;
	} rows[] = {
		{ 1, "AAAA", ERR_SYNTAX }, /* ECDH-ES wraps nothing */
		{ 2, "", ERR_SYNTAX },
		{ 2, "AAAAAAAAAAA", ERR_SYNTAX },
		{ 2, "AAAAAAAAAAAAAAAAAAAAAA", ERR_SYNTAX },
		{ 4, "", ERR_SYNTAX },
		{ 4, "CrTMv6dXgv0OdVIG", ERR_SYNTAX },	   /* the first 12 bytes */
		{ 4, "CrTMv6dXgv0OdVIGrzVR", ERR_SYNTAX }, /* 15 */
		{ 4, "CrTMv6dXgv0OdVIGrzVRjg==", ERR_SYNTAX },
		{ 4, "CrTMv6dXgv0OdVIGrzVRjgAA", ERR_SYNTAX },
		{ 4, "CrTMv6dXgv0OdVIGrzVRjg.AA", ERR_SYNTAX },
		{ 3, "", ERR_BAD_SIGNATURE },
	};
	char *huge = malloc(JWT_SIZE_MAX + 1);

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *token = with_segment(EC_TOKEN, rows[i].n, rows[i].segment);

		ck_assert_msg(open_ec(token) == rows[i].err, "row %zu: %s", i,
			      err_name(open_ec(token)));
		free(token);
	}
	memset(huge, '.', JWT_SIZE_MAX + 1);
	ck_assert_int_eq(open_with(KEY_EC_1, str_n(huge, JWT_SIZE_MAX + 1), NULL), ERR_LIMIT);
	ck_assert_int_eq(open_with(KEY_EC_1, str_n(huge, JWT_SIZE_MAX), NULL), ERR_SYNTAX);
	free(huge);
	ck_assert_int_eq(open_ec(""), ERR_SYNTAX);
	ck_assert_int_eq(open_ec("...."), ERR_SYNTAX);
}
END_TEST

START_TEST(keys_that_are_too_weak_or_of_another_kind_are_refused)
{
	struct jwe_key *key = NULL;

	ck_assert_int_eq(jwe_key_from_pem(STR(KEY_RSA_1024), &key), ERR_UNSUPPORTED);
	ck_assert_int_eq(jwe_key_from_pem(STR(""), &key), ERR_SYNTAX);
	ck_assert_int_eq(jwe_key_from_pem(STR("-----BEGIN PUBLIC KEY-----\nAAAA\n"
					      "-----END PUBLIC KEY-----\n"),
					  &key),
			 ERR_SYNTAX);
	ck_assert_ptr_null(key);
	jwe_key_free(NULL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		rfc7518_appendix_c_ecdh_es_agrees_on_the_key,
		rfc7516_appendix_a1_content_opens,
		tokens_that_others_encrypted_open,
		other_ways_of_encrypting_are_refused,
		every_changed_character_is_refused,
		headers_that_are_not_what_they_must_be_are_refused,
		shapes_and_sizes_are_judged_before_any_work,
		keys_that_are_too_weak_or_of_another_kind_are_refused,
	};

	if (secret_library_init())
		return EXIT_FAILURE;
	return suite_run("jwe", tests, COUNT(tests));
}
