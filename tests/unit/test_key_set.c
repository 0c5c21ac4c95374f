/* keys/jwks: the published set as text. */
#include "tests/unit/suite.h"

#include "base/secret.h"
#include "keys/jwks.h"
#include "keys/sign.h"

struct made {
	struct key_info info;
	struct jwk *key;
};

static struct made make_published(enum alg alg, enum key_state state, int64_t retire_at)
{
	struct made m = { .info = { .alg = alg, .state = state, .retire_at = retire_at } };
	struct signing_key *key;

	ck_assert_int_eq(signing_key_generate(alg, &key), ERR_OK);
	ck_assert_int_eq(signing_key_public(key, STR_NONE, &m.key), ERR_OK);
	memcpy(m.info.kid, jwk_kid(m.key).p, jwk_kid(m.key).n);
	signing_key_free(key);
	return m;
}

static enum err render_kind(const struct made *made, size_t count, size_t kind,
			    enum alg default_alg, struct buf *out)
{
	struct published_key published[8];

	for (size_t i = 0; i < count; i++)
		published[i] = (struct published_key){ &made[i].info, made[i].key };
	buf_init(out, NULL, 16384);
	return jwks_render(published, count, kind, default_alg, out);
}

static enum err render(const struct made *made, size_t count, enum alg default_alg, struct buf *out)
{
	return render_kind(made, count, JWKS_WHOLE, default_alg, out);
}

START_TEST(the_set_begins_with_the_key_that_signs)
{
	struct made made[] = {
		make_published(ALG_ES256, KEY_RETIRING, 5),
		make_published(ALG_RS256, KEY_STANDBY, 0),
		make_published(ALG_ES256, KEY_STANDBY, 0),
		make_published(ALG_ES256, KEY_REMOVED, 0),
		make_published(ALG_RS256, KEY_ACTIVE, 0),
		make_published(ALG_ES256, KEY_RETIRING, 9),
		make_published(ALG_ES256, KEY_ACTIVE, 0),
		make_published(ALG_ES256, KEY_REVOKED, 0),
	};
	static const struct {
		enum alg alg;
		size_t count;
		size_t order[6];
	} cases[] = {
		{ ALG_ES256, 6, { 6, 2, 5, 0, 4, 1 } },
		{ ALG_RS256, 6, { 4, 1, 6, 2, 5, 0 } },
	};

	for (size_t c = 0; c < COUNT(cases); c++) {
		struct jwks *set;
		struct buf out;
		struct str text;

		ck_assert_int_eq(render(made, COUNT(made), cases[c].alg, &out), ERR_OK);
		ck_assert_int_eq(buf_end(&out, &text), ERR_OK);
		ck_assert_int_eq(jwks_parse(text, &set), ERR_OK);
		ck_assert_uint_eq(set->count, cases[c].count);
		for (size_t i = 0; i < set->count; i++)
			ck_assert(str_equal(jwk_kid(set->keys[i]),
					    str_z(made[cases[c].order[i]].info.kid)));
		ck_assert_ptr_null(strstr(text.p, "\"d\""));
		jwks_free(set);
		buf_done(&out);
	}
	for (size_t i = 0; i < COUNT(made); i++)
		jwk_free(made[i].key);
}
END_TEST

START_TEST(a_set_in_which_nothing_signs_is_not_published)
{
	struct made made[] = { make_published(ALG_ES256, KEY_STANDBY, 0),
			       make_published(ALG_ES256, KEY_RETIRING, 1) };
	struct buf out;

	ck_assert_int_eq(render(made, 0, ALG_ES256, &out), ERR_INTERNAL);
	buf_done(&out);
	ck_assert_int_eq(render(made, 2, ALG_ES256, &out), ERR_INTERNAL);
	buf_done(&out);
	made[0].info.state = KEY_ACTIVE;
	ck_assert_int_eq(render(made, 2, ALG_RS256, &out), ERR_INTERNAL);
	buf_done(&out);
	ck_assert_int_eq(render(made, 2, ALG_ES256, &out), ERR_OK);
	buf_done(&out);
	jwk_free(made[0].key);
	jwk_free(made[1].key);
}
END_TEST

START_TEST(an_emergency_may_leave_a_set_without_a_signer)
{
	struct made made[] = { make_published(ALG_ES256, KEY_REVOKED, 1),
			       make_published(ALG_ES256, KEY_RETIRING, 1),
			       make_published(ALG_RS256, KEY_REVOKED, 1) };
	struct str text;
	struct buf out;

	ck_assert_int_eq(render(made, 2, ALG_ES256, &out), ERR_OK);
	ck_assert_int_eq(buf_end(&out, &text), ERR_OK);
	ck_assert_ptr_nonnull(strstr(text.p, made[1].info.kid));
	ck_assert_ptr_null(strstr(text.p, made[0].info.kid));
	buf_done(&out);
	ck_assert_int_eq(render(made, 2, ALG_RS256, &out), ERR_INTERNAL);
	buf_done(&out);
	ck_assert_int_eq(render(made, 1, ALG_ES256, &out), ERR_OK);
	ck_assert_int_eq(buf_end(&out, &text), ERR_OK);
	ck_assert_str_eq(text.p, "{\"keys\":[]}");
	buf_done(&out);
	for (size_t i = 0; i < COUNT(made); i++)
		jwk_free(made[i].key);
}
END_TEST

START_TEST(a_view_holds_what_was_asked_for_and_is_never_empty)
{
	struct made made[] = { make_published(ALG_ES256, KEY_ACTIVE, 0),
			       make_published(ALG_ES256, KEY_STANDBY, 0),
			       make_published(ALG_RS256, KEY_STANDBY, 0) };

	for (size_t k = JWKS_WHOLE + 1; k < JWKS_KINDS; k++) {
		const bool is_ec = jwks_kinds[k].algs == 1u << ALG_ES256;
		struct str text;
		struct buf out;

		ck_assert_uint_eq(
			jwks_kind_find(str_z(jwks_kinds[k].param), str_z(jwks_kinds[k].value)), k);
		/* the default algorithm does not matter here: nor need there be a signer */
		ck_assert_int_eq(render_kind(made, 3, k, ALG_ES256, &out), ERR_OK);
		ck_assert_int_eq(buf_end(&out, &text), ERR_OK);
		for (size_t i = 0; i < COUNT(made); i++)
			ck_assert_int_eq(strstr(text.p, made[i].info.kid) != NULL,
					 is_ec == (made[i].info.alg == ALG_ES256));
		buf_done(&out);
		ck_assert_int_eq(render_kind(made, is_ec ? 0 : 2, k, ALG_ES256, &out),
				 ERR_NOT_FOUND);
		buf_done(&out);
	}
	ck_assert_uint_eq(jwks_kind_find(STR("alg"), STR("es256")), JWKS_KINDS);
	ck_assert_uint_eq(jwks_kind_find(STR("kty"), STR("ES256")), JWKS_KINDS);
	ck_assert_uint_eq(jwks_kind_find(STR("kid"), STR("RSA")), JWKS_KINDS);
	for (size_t i = 0; i < COUNT(made); i++)
		jwk_free(made[i].key);
}
END_TEST

START_TEST(an_etag_is_quoted_and_changes_with_text_and_type)
{
	char a[ETAG_LEN + 1], b[ETAG_LEN + 1], c[ETAG_LEN + 1];

	jwks_etag(STR("{\"keys\":[]}"), "application/json", a);
	jwks_etag(STR("{\"keys\":[] }"), "application/json", b);
	jwks_etag(STR("{\"keys\":[]}"), "application/jwk-set+json", c);
	ck_assert_uint_eq(strlen(a), ETAG_LEN);
	ck_assert(a[0] == '"' && a[ETAG_LEN - 1] == '"');
	ck_assert_ptr_null(strpbrk(a + 1, "\\ ,") /* etagc without what lists would split */);
	ck_assert_str_ne(a, b);
	ck_assert_str_ne(a, c);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_set_begins_with_the_key_that_signs,
		a_set_in_which_nothing_signs_is_not_published,
		an_emergency_may_leave_a_set_without_a_signer,
		a_view_holds_what_was_asked_for_and_is_never_empty,
		an_etag_is_quoted_and_changes_with_text_and_type,
	};

	if (secret_library_init())
		return EXIT_FAILURE;
	return suite_run("key set", tests, COUNT(tests));
}
