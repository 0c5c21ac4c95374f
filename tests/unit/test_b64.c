/* lib/jose: base64 in both alphabets, algorithm names. */
#include "jose/alg.h"
#include "jose/b64.h"
#include "tests/unit/suite.h"

START_TEST(base64_vectors_of_rfc4648_both_ways)
{
	static const struct {
		const char *bytes, *url, *padded;
	} rows[] = {
		{ "", "", "" },
		{ "f", "Zg", "Zg==" },
		{ "fo", "Zm8", "Zm8=" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE", "Zm9vYmE=" },
		{ "\xfb\xff", "-_8", "+/8=" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[32], bytes[32];
		size_t n = 99;

		b64url_encode_z(rows[i].bytes, strlen(rows[i].bytes), text);
		ck_assert_str_eq(text, rows[i].url);
		ck_assert_uint_eq(B64URL_LEN(strlen(rows[i].bytes)), strlen(text));
		ck_assert_int_eq(b64url_decode(str_z(rows[i].url), bytes, 32, &n), ERR_OK);
		ck_assert(str_equal_z(str_n(bytes, n), rows[i].bytes));
		ck_assert_int_eq(b64_decode(str_z(rows[i].padded), bytes, 32, &n), ERR_OK);
		ck_assert(str_equal_z(str_n(bytes, n), rows[i].bytes));
	}
}
END_TEST

/* Whatever the pieces are, the text is that of the whole. */
START_TEST(base64url_in_pieces_is_that_of_the_whole)
{
	static const char bytes[] = "what is in here matters less than that it is of some length";
	const size_t n = sizeof(bytes) - 1;
	char whole[128];

	b64url_encode_z(bytes, n, whole);
	for (size_t piece = 1; piece <= n; piece++) {
		struct b64url_stream s = { .n = 0 };
		struct str text;
		struct buf b;

		buf_init(&b, NULL, 128);
		for (size_t at = 0; at < n; at += piece) {
			b64url_stream_add(&s, &b, bytes + at, piece < n - at ? piece : n - at);
			b64url_stream_add(&s, &b, bytes, 0);
		}
		b64url_stream_end(&s, &b);
		ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
		ck_assert_msg(str_equal_z(text, whole), "pieces of %zu: %s", piece, text.p);
		buf_done(&b);
	}
}
END_TEST

/* J1: one spelling for the same bytes */
START_TEST(base64url_in_a_second_spelling_is_refused)
{
	static const char *const texts[] = {
		"Z",	"Zg==",	 "Zg=",	  "Zg\n",	  " Zg",    "Z g",   "Zm9v\n",
		"Zh",	"Zn",	 "Zm9",	  "Zm+v",	  "Zm/v",   "Zm9vZ", "=",
		"====", "Zm9v=", "Zm9v.", "Zm9v\xc3\xa4", "Zg\r\n", "\tZg",  "Zm9vY\x80",
	};
	char bytes[32];
	size_t n = 99;

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(b64url_decode(str_z(texts[i]), bytes, 32, &n) == ERR_SYNTAX, "%s",
			      texts[i]);
	ck_assert_int_eq(b64url_decode(str_n("Zm9v\0", 5), bytes, 32, &n), ERR_SYNTAX);
	ck_assert_uint_eq(n, 99);
}
END_TEST

START_TEST(padded_base64_wants_its_padding_and_its_alphabet)
{
	static const char *const texts[] = {
		"Zg",	"Zg=",	    "Zg===", "Zh==",   "Zm9=", "-_8=", "Zm9v====", "=",
		"====", "Zg==Zg==", "Zg= =", "Zg==\n", "Z===", "Zm=v", "A==A"
	};
	char bytes[32];
	size_t n;

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(b64_decode(str_z(texts[i]), bytes, 32, &n) == ERR_SYNTAX, "%s",
			      texts[i]);
}
END_TEST

START_TEST(base64_takes_the_alphabet_and_no_other_byte)
{
	const struct str alphabet = STR(
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

	for (int c = 0; c < 256; c++) {
		char text[4] = { 'A', (char)c, 'A', 'A' };
		char bytes[3];
		size_t n;
		bool good = memchr(alphabet.p, c, alphabet.n) != NULL;

		ck_assert_msg((b64url_decode(str_n(text, 4), bytes, 3, &n) == ERR_OK) == good, "%d",
			      c);
	}
}
END_TEST

START_TEST(base64_of_any_length_comes_back)
{
	unsigned char bytes[500], back[500];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + (i >> 3));
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		struct buf b;
		struct str text;
		size_t n;

		buf_init(&b, NULL, 1000);
		b64url_encode(&b, bytes, len);
		ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
		ck_assert_uint_eq(text.n, B64URL_LEN(len));
		ck_assert_int_eq(b64url_decode(text, back, len, &n), ERR_OK);
		ck_assert(n == len && memcmp(bytes, back, len) == 0);
		if (len > 0)
			ck_assert_int_eq(b64url_decode(text, back, len - 1, &n), ERR_LIMIT);
		buf_done(&b);
	}
}
END_TEST

/* J2 */
START_TEST(algorithm_names_are_exact)
{
	static const char *const bad[] = { "none",   "None",  "NONE",	 "nOnE",   "",
					   "rs256",  "es256", "Rs256",	 "ES256 ", " ES256",
					   "ES2567", "ES25",  "HS256",	 "PS256",  "ES384",
					   "ES256K", "EdDSA", "unknown", "RS" };

	ck_assert_int_eq(alg_by_name(STR("ES256")), ALG_ES256);
	ck_assert_int_eq(alg_by_name(STR("RS256")), ALG_RS256);
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(alg_by_name(str_z(bad[i])) == ALG_UNKNOWN, "%s", bad[i]);
	ck_assert_int_eq(alg_by_name(STR("ES256\0")), ALG_UNKNOWN);
	ck_assert_int_eq(alg_by_name(STR_NONE), ALG_UNKNOWN);
	for (int i = ALG_UNKNOWN + 1; i < ALG_COUNT; i++)
		ck_assert_int_eq(alg_by_name(str_z(alg_name((enum alg)i))), i);
	ck_assert_str_eq(alg_name((enum alg)77), "unknown");
	ck_assert_str_eq(alg_kty(ALG_RS256), "RSA");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		base64_vectors_of_rfc4648_both_ways,
		base64url_in_pieces_is_that_of_the_whole,
		base64url_in_a_second_spelling_is_refused,
		padded_base64_wants_its_padding_and_its_alphabet,
		base64_takes_the_alphabet_and_no_other_byte,
		base64_of_any_length_comes_back,
		algorithm_names_are_exact,
	};

	return suite_run("b64", tests, COUNT(tests));
}
