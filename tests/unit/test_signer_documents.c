/* Documents that are no tokens, through the signer's real process: keys by purpose and period, what
 * is signed with them, and what is not. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "jose/jws.h"
#include "tests/helpers/signer_fixture.h"
#include "tests/unit/suite.h"

/* NOW lies in the middle of a period. */
enum { PERIOD = 700, NOW = PERIOD * PURPOSE_PERIOD + PURPOSE_PERIOD / 2 };

static struct signer_fixture fixture;
static struct buf text, keys_text, sealed_root;
static struct arena *arena;

static void up(void)
{
	bool by_next;

	signer_fixture_start(&fixture);
	signer_fixture_clock(&fixture, NOW);
	buf_init(&text, NULL, 1 << 20);
	buf_init(&keys_text, NULL, 8192);
	buf_init(&sealed_root, NULL, 1024);
	ck_assert_int_eq(arena_new(4 << 20, &arena), ERR_OK);
	ck_assert_int_eq(signer_root(&fixture.control, 1, STR_NONE, &sealed_root, &by_next),
			 ERR_OK);
	ck_assert_int_eq(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), 3600, 0), ERR_OK);
}

static void down(void)
{
	signer_fixture_stop(&fixture);
	buf_done(&text);
	buf_done(&keys_text);
	buf_done(&sealed_root);
	arena_free(arena);
}

/* The same root in a new process, or another one. */
static void restart(bool same_root)
{
	struct buf unused;
	bool by_next;

	buf_init(&unused, NULL, 1024);
	signer_fixture_restart(&fixture);
	ck_assert_int_eq(signer_root(&fixture.control, 1,
				     same_root ? str_n(sealed_root.p, sealed_root.n) : STR_NONE,
				     &unused, &by_next),
			 ERR_OK);
	ck_assert_int_eq(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), 3600, 0), ERR_OK);
	buf_done(&unused);
}

static struct jwks *keys_of(enum purpose purpose, int64_t *ret_until)
{
	struct jwks *set;
	struct str set_text;

	buf_clear(&keys_text);
	ck_assert_int_eq(signer_purpose_keys(&fixture.signing[0], purpose, &keys_text, ret_until),
			 ERR_OK);
	ck_assert_int_eq(buf_end(&keys_text, &set_text), ERR_OK);
	ck_assert_int_eq(jwks_parse(set_text, &set), ERR_OK);
	return set;
}

/* Claims that the purpose's row wants, at the fixture's clock. */
static const char *claims_at(enum purpose purpose, int64_t iat, int64_t ttl)
{
	static char claims[512];

	snprintf(claims, sizeof(claims), "{\"iss\":\"%s\",%s,\"iat\":%lld,\"exp\":%lld}",
		 FIXTURE_ISSUER,
		 purpose == PURPOSE_IDENTITY ? "\"sub\":\"alice\",\"aud\":\"" FIXTURE_ISSUER
					       "/gateway\""
					     : "\"epoch\":\"e\",\"cursor\":\"e.1\",\"full\":true",
		 (long long)iat, (long long)(iat + ttl));
	return claims;
}

static enum err identity(const char *claims, struct str *ret_text)
{
	return signer_document(&fixture.signing[0], PURPOSE_IDENTITY, str_z(claims), &text,
			       ret_text);
}

static enum err list_of(const char *claims, const char *const *objects, size_t count,
			struct str *ret_text)
{
	struct signer_list l;

	signer_list_begin(&l, &fixture.signing[0], PURPOSE_REVOCATIONS, str_z(claims), &text);
	for (size_t i = 0; i < count; i++)
		signer_list_add(&l, str_z(objects[i]));
	return signer_list_end(&l, ret_text);
}

/* Header and signature by a key of the set; the payload. */
static struct str verified(struct str document, const struct jwks *set, const char *typ)
{
	const struct jwk *key;
	struct jws jws;

	ck_assert_int_eq(jws_parse(arena, document, &jws), ERR_OK);
	ck_assert(str_equal_z(jws.typ, typ));
	key = jwks_find(set, jws.kid);
	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(jws_verify(&jws, key), ERR_OK);
	return jws.payload;
}

START_TEST(a_document_verifies_by_its_purposes_keys_and_by_no_others)
{
	int64_t until;
	AUTO(jwks, feed) = keys_of(PURPOSE_REVOCATIONS, &until);
	AUTO(jwks, identities) = keys_of(PURPOSE_IDENTITY, &until);
	AUTO(jwk, token_key) = NULL;
	struct str document;

	ck_assert_int_eq(identity(claims_at(PURPOSE_IDENTITY, NOW, 60), &document), ERR_OK);
	ck_assert(str_equal_z(verified(document, identities, "identity+jwt"),
			      claims_at(PURPOSE_IDENTITY, NOW, 60)));
	for (size_t i = 0; i < identities->count; i++)
		ck_assert_ptr_null(jwks_find(feed, jwk_kid(identities->keys[i])));
	ck_assert_uint_eq(identities->count, 3);
	ck_assert_int_eq(until, (int64_t)(PERIOD + 1) * PURPOSE_PERIOD);
}
END_TEST

START_TEST(keys_are_the_same_after_a_restart_and_others_under_another_root)
{
	int64_t until;
	AUTO(jwks, before) = keys_of(PURPOSE_REVOCATIONS, &until);
	AUTO(jwks, same) = NULL;
	AUTO(jwks, other) = NULL;

	restart(true);
	same = keys_of(PURPOSE_REVOCATIONS, &until);
	restart(false);
	other = keys_of(PURPOSE_REVOCATIONS, &until);
	for (size_t i = 0; i < before->count; i++) {
		ck_assert(str_equal(jwk_kid(before->keys[i]), jwk_kid(same->keys[i])));
		ck_assert_ptr_null(jwks_find(other, jwk_kid(before->keys[i])));
	}
}
END_TEST

/* The key of a period is published in the one before and stays for the one after. */
START_TEST(the_next_key_is_known_before_it_signs_and_the_last_one_after)
{
	struct jwks *sets[3];
	int64_t until;

	for (int i = 0; i < 3; i++) {
		signer_fixture_clock(&fixture, NOW + i * (int64_t)PURPOSE_PERIOD);
		sets[i] = keys_of(PURPOSE_REVOCATIONS, &until);
	}
	/* each set: present, next, last */
	ck_assert(str_equal(jwk_kid(sets[0]->keys[1]), jwk_kid(sets[1]->keys[0])));
	ck_assert(str_equal(jwk_kid(sets[0]->keys[0]), jwk_kid(sets[1]->keys[2])));
	ck_assert(str_equal(jwk_kid(sets[1]->keys[1]), jwk_kid(sets[2]->keys[0])));
	ck_assert_ptr_null(jwks_find(sets[2], jwk_kid(sets[0]->keys[0])));
	for (int i = 0; i < 3; i++)
		jwks_free(sets[i]);
}
END_TEST

START_TEST(what_signs_changes_in_the_first_second_of_a_period)
{
	const int64_t turn = (int64_t)(PERIOD + 1) * PURPOSE_PERIOD;
	int64_t until;
	AUTO(jwks, before) = keys_of(PURPOSE_IDENTITY, &until);
	struct str document;
	struct jws jws;

	for (int i = 0; i < 2; i++) {
		signer_fixture_clock(&fixture, turn - 1 + i);
		ck_assert_int_eq(identity(claims_at(PURPOSE_IDENTITY, turn - 1 + i, 60), &document),
				 ERR_OK);
		ck_assert_int_eq(jws_parse(arena, document, &jws), ERR_OK);
		ck_assert(str_equal(jws.kid, jwk_kid(before->keys[i])));
	}
}
END_TEST

#define ISS "\"iss\":\"" FIXTURE_ISSUER "\""
#define AUD "\"aud\":\"" FIXTURE_ISSUER "/gateway\""

static const struct refusal {
	enum purpose purpose;
	const char *claims; /* up to iat and exp */
	int64_t iat, ttl;
	enum err err;
} refusals[] = {
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\"," AUD ",", 0, 60, ERR_OK },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\"," AUD ",", 0, 61, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\"," AUD ",", 0, 0, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\"," AUD ",", 60, 60, ERR_OK },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\"," AUD ",", 61, 60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\"," AUD ",", -61, 60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"\"," AUD ",", 0, 60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS "," AUD ",", 0, 60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\",", 0, 60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\",\"aud\":\"https://orders.example\",", 0, 60,
	  ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\",\"aud\":\"" FIXTURE_ISSUER "/gateway/\",", 0,
	  60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\",\"aud\":[\"" FIXTURE_ISSUER "/gateway\"],", 0,
	  60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY,
	  "{\"iss\":\"https://evil.example\",\"sub\":\"a\",\"aud\":"
	  "\"https://evil.example/gateway\",",
	  0, 60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "{" ISS ",\"sub\":\"a\",\"sub\":\"b\"," AUD ",", 0, 60, ERR_INTERNAL },
	{ PURPOSE_IDENTITY, "[" ISS ",", 0, 60, ERR_INTERNAL },
	{ PURPOSE_REVOCATIONS, "{" ISS ",\"epoch\":\"e\",\"cursor\":\"c\",", 0, 300, ERR_OK },
	{ PURPOSE_REVOCATIONS, "{" ISS ",\"epoch\":\"e\",\"cursor\":\"c\",", 0, 301, ERR_INTERNAL },
	{ PURPOSE_REVOCATIONS, "{" ISS ",\"cursor\":\"c\",", 0, 300, ERR_INTERNAL },
	{ PURPOSE_REVOCATIONS, "{" ISS ",\"epoch\":\"e\",", 0, 300, ERR_INTERNAL },
	{ PURPOSE_REVOCATIONS, "{" ISS ",\"epoch\":\"e\",\"cursor\":\"c\",\"entries\":[],", 0, 300,
	  ERR_INTERNAL },
	{ PURPOSE_REVOCATIONS, "{" ISS ",\"epoch\":\"e\",\"cursor\":\"c\",\"aud\":\"u\",", 0, 300,
	  ERR_INTERNAL },
	/* an access token */
	{ PURPOSE_IDENTITY,
	  "{" ISS ",\"sub\":\"a\",\"client_id\":\"a\",\"aud\":\"https://orders.example\",", 0, 60,
	  ERR_INTERNAL },
};

static enum err ask(const struct refusal *r, const char *claims)
{
	static const char *const none[] = { NULL };
	struct str document;

	return r->purpose == PURPOSE_IDENTITY ? identity(claims, &document)
					      : list_of(claims, none, 0, &document);
}

START_TEST(claims_that_break_their_purposes_row_are_not_signed)
{
	for (size_t i = 0; i < COUNT(refusals); i++) {
		const struct refusal *r = &refusals[i];
		char claims[512];
		enum err e;

		snprintf(claims, sizeof(claims), "%s\"iat\":%lld,\"exp\":%lld}", r->claims,
			 (long long)(NOW + r->iat), (long long)(NOW + r->iat + r->ttl));
		e = ask(r, claims);
		ck_assert_msg(e == r->err, "%s: %s", claims, err_name(e));
	}
}
END_TEST

START_TEST(a_purpose_nobody_knows_has_no_keys_and_signs_nothing)
{
	struct str claims = str_z(claims_at(PURPOSE_IDENTITY, NOW, 60)), document;
	int64_t until;

	for (int p = 0; p < 256; p++) {
		const bool known = p == PURPOSE_IDENTITY || p == PURPOSE_REVOCATIONS;

		buf_clear(&keys_text);
		ck_assert_int_eq(signer_document(&fixture.signing[0], (enum purpose)p, claims,
						 &text, &document),
				 p == PURPOSE_IDENTITY ? ERR_OK : ERR_INTERNAL);
		ck_assert_int_eq(signer_purpose_keys(&fixture.signing[0], (enum purpose)p,
						     &keys_text, &until),
				 known ? ERR_OK : ERR_INTERNAL);
	}
}
END_TEST

START_TEST(nothing_is_signed_before_root_and_policy)
{
	struct str document;
	int64_t until;
	bool by_next;

	signer_fixture_restart(&fixture);
	ck_assert_int_eq(identity(claims_at(PURPOSE_IDENTITY, NOW, 60), &document),
			 ERR_UNAVAILABLE);
	ck_assert_int_eq(
		signer_purpose_keys(&fixture.signing[0], PURPOSE_IDENTITY, &keys_text, &until),
		ERR_UNAVAILABLE);
	ck_assert_int_eq(signer_policy(&fixture.control, STR(FIXTURE_ISSUER), 3600, 0), ERR_OK);
	ck_assert_int_eq(identity(claims_at(PURPOSE_IDENTITY, NOW, 60), &document),
			 ERR_UNAVAILABLE);
	ck_assert_int_eq(signer_root(&fixture.control, 1, STR_NONE, &text, &by_next), ERR_OK);
	ck_assert_int_eq(identity(claims_at(PURPOSE_IDENTITY, NOW, 60), &document), ERR_OK);
}
END_TEST

/* ---- lists ---- */

/* Long enough for many frames; none, one, and all lengths around a frame's end are cases too. */
START_TEST(a_list_of_any_length_verifies_and_says_what_was_added)
{
	static const size_t lengths[] = { 0, 1, 2, 100, 5000 };
	const size_t count = lengths[_i];
	const char *claims = claims_at(PURPOSE_REVOCATIONS, NOW, 300);
	int64_t until;
	AUTO(jwks, set) = keys_of(PURPOSE_REVOCATIONS, &until);
	struct json *root;
	struct str document, payload, value;
	struct signer_list l;

	signer_list_begin(&l, &fixture.signing[0], PURPOSE_REVOCATIONS, str_z(claims), &text);
	for (size_t i = 0; i < count; i++) {
		char object[128];

		snprintf(object, sizeof(object), "{\"kind\":\"jti\",\"value\":\"%0*zu\"}",
			 (int)(1 + i % 50), i);
		signer_list_add(&l, str_z(object));
	}
	ck_assert_int_eq(signer_list_end(&l, &document), ERR_OK);
	payload = count > 100 ? STR_NONE : verified(document, set, "revocations+jwt");
	if (!payload.p)
		return; /* beyond what a token's reader takes: the end-to-end test verifies such */
	ck_assert_int_eq(json_parse(payload, payload.n, &root), ERR_OK);
	ck_assert_uint_eq(json_len(json_get(root, "entries")), count);
	for (size_t i = 0; i < count; i++) {
		char number[64];

		snprintf(number, sizeof(number), "%0*zu", (int)(1 + i % 50), i);
		ck_assert(
			json_str(json_get(json_at(json_get(root, "entries"), i), "value"), &value));
		ck_assert(str_equal_z(value, number));
	}
	json_free(root);
}
END_TEST

START_TEST(what_is_no_object_does_not_enter_a_list)
{
	static const char *const pieces[] = {
		"",  "1",     "[]",	    "{},",   "{},1", "{}]",  "{}],\"iss\":\"x\",\"y\":[{}",
		"{", "\"x\"", "{\"a\":1}}", "{} {}", ",{}",  "null",
	};

	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct str document;
		enum err e = list_of(claims_at(PURPOSE_REVOCATIONS, NOW, 300), &pieces[i], 1,
				     &document);

		/* of nothing at all the client sends nothing */
		ck_assert_msg(e == (pieces[i][0] ? ERR_INTERNAL : ERR_OK), "%s: %s", pieces[i],
			      err_name(e));
	}
}
END_TEST

START_TEST(another_question_abandons_the_list)
{
	struct str document;
	struct signer_list l;
	struct buf other;

	buf_init(&other, NULL, JWT_SIZE_MAX);
	signer_list_begin(&l, &fixture.signing[0], PURPOSE_REVOCATIONS,
			  str_z(claims_at(PURPOSE_REVOCATIONS, NOW, 300)), &text);
	signer_list_add(&l, STR("{}"));
	ck_assert_int_eq(signer_document(&fixture.signing[0], PURPOSE_IDENTITY,
					 str_z(claims_at(PURPOSE_IDENTITY, NOW, 60)), &other,
					 &document),
			 ERR_OK);
	ck_assert_int_eq(signer_list_end(&l, &document), ERR_CONFLICT);
	signer_list_begin(&l, &fixture.signing[1], PURPOSE_REVOCATIONS,
			  str_z(claims_at(PURPOSE_REVOCATIONS, NOW, 300)), &text);
	ck_assert_int_eq(signer_document(&fixture.signing[0], PURPOSE_IDENTITY,
					 str_z(claims_at(PURPOSE_IDENTITY, NOW, 60)), &other,
					 &document),
			 ERR_OK);
	ck_assert_int_eq(signer_list_end(&l, &document), ERR_OK); /* other channels do not matter */
	buf_done(&other);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		keys_are_the_same_after_a_restart_and_others_under_another_root,
		the_next_key_is_known_before_it_signs_and_the_last_one_after,
		what_signs_changes_in_the_first_second_of_a_period,
		claims_that_break_their_purposes_row_are_not_signed,
		a_purpose_nobody_knows_has_no_keys_and_signs_nothing,
		nothing_is_signed_before_root_and_policy,
		what_is_no_object_does_not_enter_a_list,
		another_question_abandons_the_list,
	};
	TCase *tc = tcase_create("documents");

	if (secret_library_init())
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, up, down);
	tcase_add_test(tc, a_document_verifies_by_its_purposes_keys_and_by_no_others);
	tcase_add_loop_test(tc, a_list_of_any_length_verifies_and_says_what_was_added, 0, 5);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("documents of the signer", tc);
}
