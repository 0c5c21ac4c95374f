/* keys/: what seals, signs and names, without a process. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jose/jws.h"
#include "keys/jti.h"
#include "keys/seal.h"
#include "keys/sign.h"
#include "keys/signer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct secret secret_of(unsigned char c)
{
	struct secret s;

	memset(s.b, c, sizeof(s.b));
	return s;
}

/* ---- seal ---- */

static const unsigned char nonce[24] = "a nonce of 24 characters";

static struct str sealed_text(struct buf *out, const char *context, struct str plain)
{
	struct secret key = secret_of(1);

	buf_init(out, NULL, SEALED_MAX);
	seal(&key, str_z(context), plain, nonce, out);
	ck_assert_int_eq(out->err, ERR_OK);
	return str_n(out->p, out->n);
}

START_TEST(what_was_sealed_opens_with_its_key_and_context)
{
	struct secret key = secret_of(1);
	struct buf sealed, plain;
	struct str text = sealed_text(&sealed, "root:1", STR("hidden"));

	ck_assert_uint_eq(text.n, 6 + SEAL_OVERHEAD);
	ck_assert_ptr_null(memmem(text.p, text.n, "hidden", 6));
	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	ck_assert_int_eq(unseal(&key, STR("root:1"), text, &plain), ERR_OK);
	ck_assert(str_equal_z(str_n(plain.p, plain.n), "hidden"));
	buf_done(&plain);
	buf_done(&sealed);
}
END_TEST

START_TEST(a_sealed_blob_opens_nowhere_but_in_its_own_place)
{
	static const char *const contexts[] = { "root:2", "root:1 ", "root:", "",
						"signing:a:ES256" };
	struct secret key = secret_of(1), other = secret_of(2);
	struct buf sealed, plain;
	struct str text = sealed_text(&sealed, "root:1", STR("hidden"));

	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	for (size_t i = 0; i < COUNT(contexts); i++)
		ck_assert_int_eq(unseal(&key, str_z(contexts[i]), text, &plain), ERR_BAD_SIGNATURE);
	ck_assert_int_eq(unseal(&other, STR("root:1"), text, &plain), ERR_BAD_SIGNATURE);
	ck_assert_uint_eq(plain.n, 0);
	buf_done(&plain);
	buf_done(&sealed);
}
END_TEST

START_TEST(a_sealed_blob_that_lost_or_changed_a_byte_does_not_open)
{
	struct secret key = secret_of(1);
	struct buf sealed, plain;
	struct str text = sealed_text(&sealed, "root:1", STR("hidden"));

	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	for (size_t n = 0; n < text.n; n++) {
		sealed.p[n] ^= 1;
		ck_assert_int_eq(unseal(&key, STR("root:1"), text, &plain), ERR_BAD_SIGNATURE);
		sealed.p[n] ^= 1;
		ck_assert_int_eq(unseal(&key, STR("root:1"), str_n(text.p, n), &plain),
				 ERR_BAD_SIGNATURE);
	}
	ck_assert_int_eq(unseal(&key, STR("root:1"), text, &plain), ERR_OK);
	buf_done(&plain);
	buf_done(&sealed);
}
END_TEST

START_TEST(too_much_to_seal_is_refused)
{
	static const char big[SEAL_PLAIN_MAX + 1];
	struct secret key = secret_of(1);
	struct buf out;

	buf_init(&out, NULL, 2 * SEALED_MAX);
	seal(&key, STR("x"), str_n(big, sizeof(big)), nonce, &out);
	ck_assert_int_eq(out.err, ERR_LIMIT);
	buf_clear(&out);
	seal(&key, STR("x"), str_n(big, SEAL_PLAIN_MAX), nonce, &out);
	ck_assert_int_eq(out.err, ERR_OK);
	ck_assert_uint_eq(out.n, SEALED_MAX);
	buf_done(&out);
}
END_TEST

/* ---- master key ---- */

static char folder[64];

static const char *at(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put_file(const char *name, size_t n, mode_t mode)
{
	static const char bytes[64] = "0123456789abcdef0123456789abcdef+";
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/chancery-keys-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
	static const char *const names[] = { "key", "key.new", "link", "fifo", "folder", "other" };

	for (size_t i = 0; i < COUNT(names); i++)
		remove(at(names[i]));
	rmdir(folder);
}

struct file_case {
	size_t size;
	mode_t mode;
	enum err ours, operators;
};

START_TEST(master_key_is_judged_by_size_and_mode)
{
	static const struct file_case cases[] = {
		{ 32, 0600, ERR_OK, ERR_OK },
		{ 32, 0400, ERR_OK, ERR_OK },
		{ 0, 0600, ERR_SYNTAX, ERR_SYNTAX },
		{ 31, 0600, ERR_SYNTAX, ERR_SYNTAX },
		{ 33, 0600, ERR_SYNTAX, ERR_SYNTAX },
		{ 32, 0640, ERR_FORBIDDEN, ERR_OK },
		{ 32, 0440, ERR_FORBIDDEN, ERR_OK },
		{ 32, 0660, ERR_FORBIDDEN, ERR_FORBIDDEN },
		{ 32, 0604, ERR_FORBIDDEN, ERR_FORBIDDEN },
		{ 32, 0602, ERR_FORBIDDEN, ERR_FORBIDDEN },
		{ 32, 0644, ERR_FORBIDDEN, ERR_FORBIDDEN },
		{ 32, 0666, ERR_FORBIDDEN, ERR_FORBIDDEN },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct file_case *c = &cases[i];
		struct secret key = secret_of(0);
		const char *why = NULL;

		put_file("key", c->size, c->mode);
		ck_assert_int_eq(master_key_read(at("key"), true, &key, &why), c->ours);
		ck_assert(!why == !c->ours);
		ck_assert_int_eq(key.b[0], c->ours ? 0 : '0');
		ck_assert_int_eq(master_key_read(at("key"), false, &key, &why), c->operators);
		ck_assert(!why == !c->operators);
	}
}
END_TEST

START_TEST(master_key_that_is_no_plain_file_is_refused)
{
	struct secret key;
	const char *why = NULL;

	ck_assert_int_eq(master_key_read(at("key"), true, &key, &why), ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(why);
	ck_assert_int_eq(mkdir(at("folder"), 0700), 0);
	ck_assert_int_eq(master_key_read(at("folder"), true, &key, &why), ERR_FORBIDDEN);
	ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
	ck_assert_int_eq(master_key_read(at("fifo"), true, &key, &why), ERR_FORBIDDEN);
	ck_assert_int_eq(master_key_read(at("fifo"), false, &key, &why), ERR_FORBIDDEN);
}
END_TEST

START_TEST(master_key_behind_a_link_is_the_operators_business_only)
{
	struct secret key;
	const char *why = NULL;

	put_file("key", 32, 0600);
	ck_assert_int_eq(symlink("key", at("link")), 0);
	ck_assert_int_eq(master_key_read(at("link"), true, &key, &why), ERR_FORBIDDEN);
	ck_assert_str_eq(why, "it is a symbolic link");
	ck_assert_int_eq(master_key_read(at("link"), false, &key, &why), ERR_OK);
	put_file("key", 32, 0644);
	ck_assert_int_eq(master_key_read(at("link"), false, &key, &why), ERR_FORBIDDEN);
}
END_TEST

START_TEST(master_key_of_another_user_is_refused)
{
	struct secret key;
	const char *why = NULL;

	if (geteuid() != 0)
		return; /* only root can give a file away */
	put_file("key", 32, 0600);
	ck_assert_int_eq(chown(at("key"), 12345, 0), 0);
	ck_assert_int_eq(master_key_read(at("key"), true, &key, &why), ERR_FORBIDDEN);
	ck_assert_int_eq(master_key_read(at("key"), false, &key, &why), ERR_FORBIDDEN);
}
END_TEST

START_TEST(master_key_is_made_once_and_never_replaced)
{
	struct secret key = secret_of(7), other = secret_of(8), got;
	const char *why = NULL;
	struct stat st;

	put_file("key.new", 3, 0600); /* what a crash left */
	ck_assert_int_eq(master_key_create(at("key"), &key), ERR_OK);
	ck_assert_int_eq(master_key_create(at("key"), &other), ERR_CONFLICT);
	ck_assert_int_eq(master_key_read(at("key"), true, &got, &why), ERR_OK);
	ck_assert(secret_equal(&key, &got));
	ck_assert_int_eq(stat(at("key"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert_int_eq(access(at("key.new"), F_OK), -1);
}
END_TEST

/* ---- sign ---- */

static const enum alg algs[] = { ALG_ES256, ALG_RS256 };

START_TEST(a_signature_verifies_with_the_public_half)
{
	for (size_t i = 0; i < COUNT(algs); i++) {
		AUTO(signing_key, key) = NULL;
		AUTO(jwk, public_key) = NULL;
		struct jws jws = { .alg = algs[i], .signing_input = STR("eyJ.eyJ") };
		struct sign_ctx *ctx;

		ck_assert_int_eq(signing_key_generate(algs[i], &key), ERR_OK);
		ck_assert_int_eq(signing_key_public(key, STR_NONE, &public_key), ERR_OK);
		ck_assert_uint_eq(jwk_kid(public_key).n, THUMBPRINT_LEN);
		ck_assert_int_eq(sign_ctx_new(key, &ctx), ERR_OK);
		for (int n = 0; n < 200; n++) { /* r or s with a leading zero is one in 128 */
			ck_assert_int_eq(sign(ctx, jws.signing_input, jws.signature,
					      sizeof(jws.signature), &jws.signature_len),
					 ERR_OK);
			ck_assert_int_eq(jws_verify(&jws, public_key), ERR_OK);
		}
		jws.signing_input = STR("eyJ.eyK");
		ck_assert_int_eq(jws_verify(&jws, public_key), ERR_BAD_SIGNATURE);
		sign_ctx_free(ctx);
	}
}
END_TEST

START_TEST(a_signature_that_does_not_fit_is_not_written)
{
	static const size_t lengths[] = { 64, 256 };

	for (size_t i = 0; i < COUNT(algs); i++) {
		AUTO(signing_key, key) = NULL;
		unsigned char room[SIGNATURE_MAX];
		struct sign_ctx *ctx;
		size_t n;

		ck_assert_int_eq(signing_key_generate(algs[i], &key), ERR_OK);
		ck_assert_int_eq(sign_ctx_new(key, &ctx), ERR_OK);
		ck_assert_int_ne(sign(ctx, STR("a"), room, lengths[i] - 1, &n), ERR_OK);
		ck_assert_int_eq(sign(ctx, STR("a"), room, lengths[i], &n), ERR_OK);
		ck_assert_uint_eq(n, lengths[i]);
		sign_ctx_free(ctx);
	}
}
END_TEST

START_TEST(a_private_key_loads_as_its_own_algorithm_only)
{
	for (size_t i = 0; i < COUNT(algs); i++) {
		AUTO(signing_key, key) = NULL;
		AUTO(signing_key, again) = NULL;
		AUTO(signing_key, other) = NULL;
		enum alg wrong = algs[1 - i];
		struct buf der;

		buf_init(&der, NULL, SEAL_PLAIN_MAX);
		ck_assert_int_eq(signing_key_generate(algs[i], &key), ERR_OK);
		ck_assert_int_eq(signing_key_pkcs8(key, &der), ERR_OK);
		ck_assert_int_eq(signing_key_load(algs[i], str_n(der.p, der.n), &again), ERR_OK);
		ck_assert_int_eq(signing_key_alg(again), algs[i]);
		ck_assert_int_eq(signing_key_load(wrong, str_n(der.p, der.n), &other),
				 ERR_UNSUPPORTED);
		ck_assert_int_eq(signing_key_load(algs[i], str_n(der.p, der.n - 1), &other),
				 ERR_SYNTAX);
		buf_byte(&der, 0);
		ck_assert_int_eq(signing_key_load(algs[i], str_n(der.p, der.n), &other),
				 ERR_SYNTAX);
		buf_done(&der);
	}
}
END_TEST

START_TEST(keys_of_no_algorithm_are_not_made)
{
	struct signing_key *key;

	ck_assert_int_eq(signing_key_generate(ALG_UNKNOWN, &key), ERR_UNSUPPORTED);
	ck_assert_int_eq(signing_key_load(ALG_ES256, STR("nonsense"), &key), ERR_SYNTAX);
	ck_assert_int_eq(signing_key_load(ALG_ES256, STR(""), &key), ERR_SYNTAX);
}
END_TEST

/* ---- jti ---- */

#define CLAIMS "{\"iss\":\"https://id.example\",\"sub\":\"a\""

static struct str payload_with_jti(struct buf *out, const struct secret *key)
{
	static const unsigned char random[JTI_RANDOM] = "twelve bytes";
	char jti[JTI_TEXT + 1];

	buf_init(out, NULL, 1024);
	buf_z(out, CLAIMS);
	ck_assert_int_eq(jti_append(out, key, STR("kid-1"), 3, random, jti), ERR_OK);
	ck_assert(str_equal_z(signer_jti_of(str_n(out->p, out->n)), jti));
	return str_n(out->p, out->n);
}

START_TEST(the_jti_is_found_as_the_last_member_only)
{
	static const char *const without[] = {
		"",
		"{}",
		"{\"jti\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", /* first: not ours */
		"{\"a\":1,\"jti\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"b\":1}",
		"{\"a\":1,\"jti\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
		"{\"a\":1,\"jti\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
		"{\"a\":{\"b\":1,\"jti\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}",
		"{\"a\":1,\"jti\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\" }",
		"{\"a\":\"x,\\\"jti\\\":\\\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
	};
	struct secret key = secret_of(5);
	struct buf b;

	payload_with_jti(&b, &key);
	buf_done(&b);
	for (size_t i = 0; i < COUNT(without); i++) {
		ck_assert_ptr_null(signer_jti_of(str_z(without[i])).p);
		ck_assert(!signer_jti_genuine(&key, STR("kid-1"), str_z(without[i])));
	}
}
END_TEST

START_TEST(a_jti_is_genuine_for_one_key_one_kid_and_one_payload)
{
	struct secret key = secret_of(5), other = secret_of(6);
	struct buf b;
	struct str payload = payload_with_jti(&b, &key);

	ck_assert(signer_jti_genuine(&key, STR("kid-1"), payload));
	ck_assert(!signer_jti_genuine(&other, STR("kid-1"), payload));
	ck_assert(!signer_jti_genuine(&key, STR("kid-2"), payload));
	for (size_t i = 0; i < payload.n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			b.p[i] ^= (char)(1 << bit);
			ck_assert_msg(!signer_jti_genuine(&key, STR("kid-1"), payload),
				      "bit %d of byte %zu", bit, i);
			b.p[i] ^= (char)(1 << bit);
		}
	}
	buf_done(&b);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *const *tests, size_t count, bool files)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	if (files)
		tcase_add_checked_fixture(tc, make_folder, remove_folder);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
}

static Suite *keys_suite(void)
{
	const TTest *const pure[] = {
		what_was_sealed_opens_with_its_key_and_context,
		a_sealed_blob_opens_nowhere_but_in_its_own_place,
		a_sealed_blob_that_lost_or_changed_a_byte_does_not_open,
		too_much_to_seal_is_refused,
		a_signature_verifies_with_the_public_half,
		a_signature_that_does_not_fit_is_not_written,
		a_private_key_loads_as_its_own_algorithm_only,
		keys_of_no_algorithm_are_not_made,
		the_jti_is_found_as_the_last_member_only,
		a_jti_is_genuine_for_one_key_one_kid_and_one_payload,
	};
	const TTest *const files[] = {
		master_key_is_judged_by_size_and_mode,
		master_key_that_is_no_plain_file_is_refused,
		master_key_behind_a_link_is_the_operators_business_only,
		master_key_of_another_user_is_refused,
		master_key_is_made_once_and_never_replaced,
	};
	Suite *s = suite_create("keys");

	add(s, "keys", pure, COUNT(pure), false);
	add(s, "master key", files, COUNT(files), true);
	return s;
}

int main(void)
{
	SRunner *runner;
	int failed;

	if (secret_library_init())
		return EXIT_FAILURE;
	runner = srunner_create(keys_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
