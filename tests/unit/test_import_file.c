/* Key files of former servers, in every form we take and in some that we do not. */
#include <sodium.h>

#include "keys/import_file.h"
#include "keys/sign.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"

/* RFC 7515 A.3.1 */
#define EC_PUBLIC                                                                                  \
	"\"kty\":\"EC\",\"crv\":\"P-256\","                                                        \
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                   \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC_PRIVATE EC_PUBLIC ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\""
/* KEY_RSA_2048 */
#define RSA_PUBLIC                                                                                 \
	"\"kty\":\"RSA\",\"n\":\"2h_Hcdt-h_esHMRG0Y177ki5cmC9vmvZ69zltmFJnYpWnglSDR9TAkBS"         \
	"TOmapdQ7dzQXk14sobgrLWLVIWleXTqCB6osNqil57UuCpGjjCdn5DDgtEznCfT1RV6SpliQH8UCf7PR"         \
	"APJoXUOp_DFhKM1R1b3PSnyN8t5XGDrhFXvqNs4QUn29OMyl3HHglDrQZXsQSM5W6kPSFB84DH6R8R5u"         \
	"RmaTqfr1kdEEZBdNWWqaELmH5kBF2qPv-fIrN7ilbrqT0joZ-3ORMCY56oSho3ZaKNovTsbHChrQlwgy"         \
	"H44kaQF5h5_gWh2Yqv4bZFS7ZcGNqfVROCeCs2cJgEUa_Q\",\"e\":\"AQAB\""
#define RSA_D                                                                                      \
	",\"d\":\"IH4y7QZcTT9rK3besNlBgK_jNkNsiJkS48SqkJZiC76fpBex2iQULsXrrKrw_2qD-EAxkeG"         \
	"pxuaDQhXSt5E1fjBYzfD--J57Zm6yPt9OrHJzUsYoNxusoCpWPkD2GiMfxyfHNURRanFx9BDAGgI2Hci"         \
	"mO--0WT2APNF7ym9898DRHOUHckCZikdPUujKMUH9ET3IKa7u4a_W4JJg0fh3cGZHM9n97N3ZXTbfaN_"         \
	"QJeRni679o0wZniXS2ZQ5511CguTXr3T4zr7aePDiV4vbRySt9B6b0lSNshGTSAPGcuORgFoeLwWct7Z"         \
	"7cus-hTE-LpHyGynhirzs5fHjSYriUQ\""
#define RSA_PRIMES                                                                                 \
	",\"p\":\"9tlXWu51jPdMccuyLQ8mb_EuDTlQvhv9Nu9T0gscDgRxGMJrcq6oZ_QAx5KZ8MviL5_NJrN"         \
	"L3-WgDggkAN5qUYdJlB7--2UzMs3arBuOsJY_riaXSGvyxvaWWJi_Jy5-V2Vkfhq66KyP62VwrbWRVJ9"         \
	"hAVJdnmTBOdDqX-BWYW0\",\"q\":\"4jXU8SFmfsf8IF3q5JmPlgN1ODNXHT52GxBpyhllkpRjWH0FP"         \
	"JxF8NvlB0kzcNfpGS7ZZkj-o-Z9WZ5JL9wT9DqHr3jlTPfYkA3WYta5S2FZLXxem2uefKDLjeSZahxLh"         \
	"J3vDnIjO3DD62uzWOPjkp-J8Rda8xmBV6UFeG1kNdE\",\"dp\":\"IC9sbWXEG_IunHPDso5UI6pdp8"         \
	"m-VltN47jGxA9AxC8eE-1dlyFgwdUVuO_LdJMQ1cbPN-mOzg2hldLH5vkZAbJTDKYR9vNV_pzKk0Awla"         \
	"Oxf-J2PTIeAIUsSzb3TYOJY5nLxYl0r1u4lCewzmVrIo55VnPH0xwt-Xzc4k1c1e0\",\"dq\":\"vwR"         \
	"wHXJz54keWYKVMJaPjkC7QkrwPAyblP0GKBfMErvlLDreKjFYSiyVuNJScu6PsqlCAUKQbHzcysmDybt"         \
	"QykKGg2FWV-lOYU6eA3aIn6PDt0o3ZYy6F0l8ugQYnGbqSkFHNe6h27a8albW6q_9Yrn_tKthLLkT5Jv"         \
	"AA9Jz9ZE\",\"qi\":\"Nj9yGYXEZoARujgYAGHMUa15yUXm6JpHIXP2K6xB7Sz9fqWd3kSJTbO-asbN"         \
	"vJbT0SBL5RwKtBY2BaM5bgf0ql_MW1h6_Xwd-q37VZCRx8KEMng6MV8VAysQtzjrzp_WSzo0X1q7SexF"         \
	"o4ZYXG9KvCQshrYvkIRaSusMuGky53I\""

static struct import_file file;

static enum err read_file(const char *text, const char *kid)
{
	return import_file_read(str_z(text), str_z(kid), &file);
}

static void assert_is(enum alg alg, const char *kid, bool private_half)
{
	ck_assert_int_eq(jwk_alg(file.public_key), alg);
	if (kid)
		ck_assert_msg(str_equal_z(jwk_kid(file.public_key), kid), "kid %.*s",
			      STR_ARG(jwk_kid(file.public_key)));
	ck_assert_int_eq(file.pkcs8.n > 0, private_half);
}

/* What came out is the very key: it loads, fits together, and has the public half that we say. */
static void assert_whole(void)
{
	AUTO(signing_key, key) = NULL;
	AUTO(jwk, mine) = NULL;
	char ours[THUMBPRINT_LEN + 1], theirs[THUMBPRINT_LEN + 1];

	ck_assert_int_eq(
		signing_key_load(jwk_alg(file.public_key), str_n(file.pkcs8.p, file.pkcs8.n), &key),
		ERR_OK);
	ck_assert_int_eq(signing_key_check(key), ERR_OK);
	ck_assert_int_eq(signing_key_public(key, STR_NONE, &mine), ERR_OK);
	ck_assert_int_eq(jwk_thumbprint(mine, ours), ERR_OK);
	ck_assert_int_eq(jwk_thumbprint(file.public_key, theirs), ERR_OK);
	ck_assert_str_eq(ours, theirs);
}

START_TEST(private_keys_are_read_in_every_form)
{
	static const struct {
		const char *text, *kid, *kept;
		enum alg alg;
	} rows[] = {
		{ KEY_EC_1, "old", "old", ALG_ES256 },
		{ KEY_EC_1, NULL, NULL, ALG_ES256 },
		{ KEY_RSA_2048, "old", "old", ALG_RS256 },
		{ "{" EC_PRIVATE "}", "old", "old", ALG_ES256 },
		{ "{" EC_PRIVATE ",\"kid\":\"own\",\"use\":\"sig\",\"alg\":\"ES256\"}", NULL, "own",
		  ALG_ES256 },
		{ "{" EC_PRIVATE ",\"kid\":\"own\"}", "own", "own", ALG_ES256 },
		{ "{" RSA_PUBLIC RSA_D RSA_PRIMES ",\"kid\":\"r\"}", NULL, "r", ALG_RS256 },
		{ "{\"keys\":[{" EC_PRIVATE ",\"kid\":\"a\"}]}", NULL, "a", ALG_ES256 },
		{ "{\"keys\":[{" EC_PRIVATE ",\"kid\":\"a\"},{" RSA_PUBLIC RSA_D RSA_PRIMES
		  ",\"kid\":\"b\"}]}",
		  "b", "b", ALG_RS256 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		ck_assert_int_eq(read_file(rows[i].text, rows[i].kid), ERR_OK);
		assert_is(rows[i].alg, rows[i].kept, true);
		assert_whole();
		import_file_done(&file);
	}
}
END_TEST

START_TEST(public_keys_are_read_and_get_the_kid_that_is_given)
{
	static const struct {
		const char *text, *kid, *kept;
		enum alg alg;
	} rows[] = {
		{ "{" EC_PUBLIC "}", "old", "old", ALG_ES256 },
		{ "{" EC_PUBLIC ",\"kid\":\"own\"}", NULL, "own", ALG_ES256 },
		{ "{" RSA_PUBLIC ",\"kid\":\"own\"}", "own", "own", ALG_RS256 },
		{ "{\"keys\":[{" RSA_PUBLIC ",\"kid\":\"a\"},{" EC_PUBLIC ",\"kid\":\"b\"}]}", "b",
		  "b", ALG_ES256 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		ck_assert_int_eq(read_file(rows[i].text, rows[i].kid), ERR_OK);
		assert_is(rows[i].alg, rows[i].kept, false);
		import_file_done(&file);
	}
}
END_TEST

START_TEST(what_is_no_key_of_ours_is_told_why)
{
	static const struct {
		const char *text, *kid;
		enum err e;
	} rows[] = {
		{ "", NULL, ERR_SYNTAX },
		{ "a text", NULL, ERR_SYNTAX },
		{ "[]", NULL, ERR_SYNTAX },
		{ "{\"keys\":{}}", NULL, ERR_SYNTAX },
		{ "{\"keys\":[1]}", NULL, ERR_SYNTAX },
		{ "{\"keys\":[]}", NULL, ERR_NOT_FOUND },
		{ "{\"keys\":[{" EC_PUBLIC "},{" RSA_PUBLIC "}]}", NULL, ERR_CONFLICT },
		{ "{\"keys\":[{" EC_PUBLIC ",\"kid\":\"a\"}]}", "b", ERR_NOT_FOUND },
		{ "{" EC_PUBLIC ",\"kid\":\"a\"}", "b", ERR_NOT_FOUND },
		{ "{" EC_PRIVATE ",\"kid\":\"a\"}", "b", ERR_NOT_FOUND },
		{ KEY_RSA_1024, NULL, ERR_UNSUPPORTED },
		{ KEY_P384, NULL, ERR_UNSUPPORTED },
		{ "{" RSA_PUBLIC RSA_D "}", NULL, ERR_UNSUPPORTED },
		{ "{" RSA_PUBLIC RSA_D RSA_PRIMES ",\"oth\":[]}", NULL, ERR_UNSUPPORTED },
		{ "{" EC_PRIVATE ",\"use\":\"enc\"}", NULL, ERR_UNSUPPORTED },
		{ "{" EC_PUBLIC ",\"use\":\"enc\"}", NULL, ERR_UNSUPPORTED },
		{ "{" EC_PRIVATE ",\"alg\":\"RS256\"}", NULL, ERR_UNSUPPORTED },
		{ "{\"kty\":\"oct\",\"k\":\"AA\"}", NULL, ERR_UNSUPPORTED },
		{ "{\"kty\":\"oct\",\"d\":\"AA\"}", NULL, ERR_UNSUPPORTED },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"d\":\"AA\"}", NULL,
		  ERR_SYNTAX },
		{ "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\",\"d\":\"AA\"}", NULL,
		  ERR_UNSUPPORTED },
		{ "{" EC_PUBLIC ",\"d\":\"+\"}", NULL, ERR_SYNTAX },
		{ "{" EC_PUBLIC ",\"d\":1}", NULL, ERR_UNSUPPORTED },
		{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", NULL,
		  ERR_SYNTAX },
		{ "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE "
		  "KEY-----\n",
		  NULL, ERR_SYNTAX },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		enum err e = read_file(rows[i].text, rows[i].kid);

		ck_assert_msg(e == rows[i].e, "row %zu: %s, not %s", i, err_name(e),
			      err_name(rows[i].e));
	}
}
END_TEST

START_TEST(the_box_opens_for_its_owner_and_holds_the_key)
{
	unsigned char pk[crypto_box_PUBLICKEYBYTES], sk[crypto_box_SECRETKEYBYTES];
	unsigned char opened[SIGNER_IMPORT_KEY_MAX];
	struct buf box;

	ck_assert_int_eq(secret_library_init(), ERR_OK);
	ck_assert_int_eq(crypto_box_keypair(pk, sk), 0);
	ck_assert_int_eq(read_file(KEY_EC_2, NULL), ERR_OK);
	buf_init(&box, NULL, 8192);
	ck_assert_int_eq(import_file_seal(&file, pk, &box), ERR_OK);
	ck_assert_uint_eq(box.n, file.pkcs8.n + SIGNER_IMPORT_OVERHEAD);
	ck_assert_int_eq(crypto_box_seal_open(opened, (const unsigned char *)box.p, box.n, pk, sk),
			 0);
	ck_assert_mem_eq(opened, file.pkcs8.p, file.pkcs8.n);
	buf_done(&box);
	import_file_done(&file);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		private_keys_are_read_in_every_form,
		public_keys_are_read_and_get_the_kid_that_is_given,
		what_is_no_key_of_ours_is_told_why,
		the_box_opens_for_its_owner_and_holds_the_key,
	};

	return suite_run("import_file", tests, COUNT(tests));
}
