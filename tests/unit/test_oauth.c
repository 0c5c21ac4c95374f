/* lib/oauth: form bodies, Authorization headers, scope lists. */
#include <stdio.h>

#include "base/limits.h"
#include "oauth/basic.h"
#include "oauth/form.h"
#include "oauth/scope.h"
#include "tests/unit/suite.h"

static struct arena *arena_for_test(void)
{
	struct arena *a = NULL;

	ck_assert_int_eq(arena_new(REQUEST_ARENA_MAX, &a), ERR_OK);
	return a;
}

/* ---- form ---- */

static enum err parse(struct str body)
{
	AUTO(arena, a) = arena_for_test();
	struct form f;

	return form_parse(a, body, &f);
}

START_TEST(a_form_is_decoded_and_asked_by_name)
{
	AUTO(arena, a) = arena_for_test();
	struct form f;

	ck_assert_int_eq(form_parse(a,
				    STR("grant_type=client_credentials&scope=a+b%20c&x=%26%3d%2B"
					"&&u=%C3%A4\xc3\xa4&empty=&flag&=noname"),
				    &f),
			 ERR_OK);
	ck_assert_uint_eq(f.count, 7);
	ck_assert(str_equal_z(form_get(&f, "grant_type"), "client_credentials"));
	ck_assert(str_equal_z(form_get(&f, "scope"), "a b c"));
	ck_assert(str_equal_z(form_get(&f, "x"), "&=+"));
	ck_assert(str_equal_z(form_get(&f, "u"), "\xc3\xa4\xc3\xa4"));
	/* G4, RFC 6749 3.1: no value means absent */
	ck_assert_ptr_null(form_get(&f, "empty").p);
	ck_assert_ptr_null(form_get(&f, "flag").p);
	ck_assert_ptr_null(form_get(&f, "absent").p);
	ck_assert_ptr_null(form_get(&f, "Scope").p);
	ck_assert_int_eq(form_get(&f, "scope").p[5], '\0');
}
END_TEST

START_TEST(an_empty_body_is_an_empty_form)
{
	static const char *const bodies[] = { "", "&", "&&&" };

	for (size_t i = 0; i < COUNT(bodies); i++) {
		AUTO(arena, a) = arena_for_test();
		struct form f = { .count = 9 };

		ck_assert_int_eq(form_parse(a, str_z(bodies[i]), &f), ERR_OK);
		ck_assert_uint_eq(f.count, 0);
	}
	ck_assert_int_eq(parse(STR_NONE), ERR_OK);
}
END_TEST

/* G3, RFC 6749 3.2 */
START_TEST(a_parameter_given_twice_is_refused_also_when_one_is_empty_or_escaped)
{
	static const char *const bodies[] = {
		"a=1&a=2",   "a=1&a=1",		  "a=&a=1", "a=1&a=",	     "a&a", "a=1&b=2&a=3",
		"a=1&%61=2", "scope=x&scop%65=y", "=1&=2",  "a+b=1&a%20b=2",
	};

	for (size_t i = 0; i < COUNT(bodies); i++)
		ck_assert_msg(parse(str_z(bodies[i])) == ERR_CONFLICT, "%s", bodies[i]);
	ck_assert_int_eq(parse(STR("a=1&A=2")), ERR_OK);
}
END_TEST

/* RFC 8707 2 */
START_TEST(resource_and_audience_may_repeat_and_are_read_in_order)
{
	AUTO(arena, a) = arena_for_test();
	struct form f;

	ck_assert_int_eq(
		form_parse(a, STR("resource=x&resource=&audience=p&resource=y&audience=q"), &f),
		ERR_OK);
	ck_assert(str_equal_z(form_nth(&f, "resource", 0), "x"));
	ck_assert(str_equal_z(form_nth(&f, "resource", 1), "y"));
	ck_assert_ptr_null(form_nth(&f, "resource", 2).p);
	ck_assert(str_equal_z(form_nth(&f, "audience", 1), "q"));
	ck_assert(str_equal_z(form_get(&f, "resource"), "x"));
}
END_TEST

/* G7, CVE-2023-27371 */
START_TEST(bytes_that_cut_or_split_a_value_are_refused_in_any_spelling)
{
	static const struct str bodies[] = {
		{ "a=%", 3 },	       { "a=%4", 4 },
		{ "a=%4g", 5 },	       { "a=%g4", 5 },
		{ "a=%%41", 6 },       { "a=% 41", 6 },
		{ "a=%-1", 5 },	       { "a=%00", 5 },
		{ "a=x%00y", 7 },      { "%00=x", 5 },
		{ "a=x\0y", 5 },       { "a\0=x", 4 },
		{ "\0", 1 },	       { "a=x\ry", 5 },
		{ "a=x\ny", 5 },       { "a=x\r\n", 5 },
		{ "a=%0d", 5 },	       { "a=%0A", 5 },
		{ "a%0d=1", 6 },       { "a=\xff", 3 },
		{ "a=%ff", 5 },	       { "a=%c0%80", 8 },
		{ "a=\xc3", 3 },       { "a=%c3", 5 },
		{ "a=%ed%a0%80", 11 }, { "a=%f4%90%80%80", 14 },
		{ "%c3=1", 5 },	       { "a=1&b=%", 7 },
		{ "a=%c3&b=%a4", 11 },
	};

	for (size_t i = 0; i < COUNT(bodies); i++)
		ck_assert_msg(parse(bodies[i]) == ERR_SYNTAX, "%.*s", STR_ARG(bodies[i]));
}
END_TEST

START_TEST(a_form_holds_64_parameters_at_most)
{
	for (int n = FORM_PARAMS_MAX; n <= FORM_PARAMS_MAX + 1; n++) {
		struct buf b;
		struct str body;

		buf_init(&b, NULL, FORM_SIZE_MAX);
		for (int i = 0; i < n; i++)
			buf_fmt(&b, "p%d=1&", i);
		ck_assert_int_eq(buf_end(&b, &body), ERR_OK);
		ck_assert_int_eq(parse(body), n == FORM_PARAMS_MAX ? ERR_OK : ERR_LIMIT);
		buf_done(&b);
	}
}
END_TEST

START_TEST(a_refused_form_leaves_the_result_untouched)
{
	AUTO(arena, a) = arena_for_test();
	struct form f = { .count = 5 };

	ck_assert_int_eq(form_parse(a, STR("a=1&b=2&a=3"), &f), ERR_CONFLICT);
	ck_assert_uint_eq(f.count, 5);
	ck_assert_ptr_null(f.params[0].name.p);
}
END_TEST

START_TEST(rfc6749_appendix_b_example_both_ways)
{
	AUTO(arena, a) = arena_for_test();
	struct buf b;
	struct str text, back;

	buf_init(&b, NULL, 100);
	form_encode(&b, STR(" %&+\xc2\xa3\xe2\x82\xac"));
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_str_eq(text.p, "+%25%26%2B%C2%A3%E2%82%AC");
	ck_assert_int_eq(form_decode(a, text, &back), ERR_OK);
	ck_assert(str_equal_z(back, " %&+\xc2\xa3\xe2\x82\xac"));
	buf_done(&b);
}
END_TEST

START_TEST(every_allowed_character_comes_back_from_encoding)
{
	AUTO(arena, a) = arena_for_test();
	char raw[128];
	size_t n = 0;
	struct buf b;
	struct str text, back;

	for (char c = 1; c < 0x7f; c++) {
		if (c != '\r' && c != '\n')
			raw[n++] = c;
	}
	buf_init(&b, NULL, 1000);
	form_encode(&b, str_n(raw, n));
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_ptr_null(strpbrk(text.p, "&= \"<>#?/:"));
	ck_assert_int_eq(form_decode(a, text, &back), ERR_OK);
	ck_assert(str_equal(back, str_n(raw, n)));
	buf_done(&b);
}
END_TEST

/* ---- Authorization ---- */

START_TEST(a_header_splits_into_scheme_and_credentials)
{
	static const struct {
		const char *header, *scheme, *credentials;
	} good[] = {
		{ "Basic abc=", "Basic", "abc=" },
		{ "bearer  x.y.z", "bearer", "x.y.z" },
		{ " Bearer x \t", "Bearer", "x" },
		{ "DPoP a b", "DPoP", "a b" },
	};
	static const char *const bad[] = {
		"",	    " ",       "Basic",		 "Basic ",	"Bearer\tx",
		"Basic\nx", "B\x7f x", "Basic \xc3\xa4", "Basic x\r\ny"
	};
	struct str scheme, credentials;

	for (size_t i = 0; i < COUNT(good); i++) {
		ck_assert_int_eq(auth_split(str_z(good[i].header), &scheme, &credentials), ERR_OK);
		ck_assert(str_equal_z(scheme, good[i].scheme));
		ck_assert(str_equal_z(credentials, good[i].credentials));
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(auth_split(str_z(bad[i]), &scheme, &credentials) == ERR_SYNTAX, "%s",
			      bad[i]);
	ck_assert_int_eq(auth_split(STR("Basic a\0b"), &scheme, &credentials), ERR_SYNTAX);
	ck_assert_int_eq(auth_split(STR_NONE, &scheme, &credentials), ERR_SYNTAX);
}
END_TEST

/* G10 */
START_TEST(basic_credentials_are_decoded_twice)
{
	static const struct {
		const char *text, *id, *secret;
	} rows[] = {
		{ "czZCaGRSa3F0MzpnWDFmQmF0M2JW", "s6BhdRkqt3", "gX1fBat3bV" }, /* RFC 6749 2.3.1 */
		{ "YTo=", "a", "" },						/* a: */
		{ "YTpiOmM=", "a", "b:c" },					/* a:b:c */
		{ "YTpiJTNBYw==", "a", "b:c" },					/* a:b%3Ac */
		{ "YSUzQXg6Yg==", "a:x", "b" },					/* a%3Ax:b */
		{ "YStiOmMlMjBk", "a b", "c d" },				/* a+b:c%20d */
		{ "YTolMkIlMjU=", "a", "+%" },					/* a:%2B%25 */
		{ "dMOkc3Q6w6Q=", "t\xc3\xa4st", "\xc3\xa4" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		AUTO(arena, a) = arena_for_test();
		struct str id, secret;

		ck_assert_msg(basic_parse(a, str_z(rows[i].text), &id, &secret) == ERR_OK, "%s",
			      rows[i].text);
		ck_assert(str_equal_z(id, rows[i].id) && str_equal_z(secret, rows[i].secret));
	}
}
END_TEST

START_TEST(basic_credentials_in_a_second_spelling_are_refused)
{
	static const char *const texts[] = {
		"",	    "YTpi=", "YTpiYw",	  "YTpiYw=", "YTpiYx==", /* trailing bits */
		"YTpi\n",   "YT pi", "YTpi YTpi", "_-_-",    "YWJj",	 /* no colon */
		"OmI=",							 /* :b */
		"YTol",							 /* a:% */
		"YTolMDA=",						 /* a:%00 */
		"YQA6Yg==",						 /* a NUL : b */
		"YTr/",							 /* a: and 0xff */
		"YTpiDQo=",						 /* a:b CR LF */
		"YTolZmY=",						 /* a:%ff */
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		AUTO(arena, a) = arena_for_test();
		struct str id = STR("kept"), secret = STR("kept");

		ck_assert_msg(basic_parse(a, str_z(texts[i]), &id, &secret) == ERR_SYNTAX, "%s",
			      texts[i]);
		ck_assert(str_equal_z(id, "kept") && str_equal_z(secret, "kept"));
	}
}
END_TEST

START_TEST(basic_credentials_have_limits)
{
	AUTO(arena, a) = arena_for_test();
	char text[10000];
	struct str id, secret;

	memset(text, 'A', sizeof(text));
	ck_assert_int_eq(basic_parse(a, str_n(text, sizeof(text)), &id, &secret), ERR_LIMIT);
	/* 256 times 'a', then ":b" */
	for (size_t i = 0; i < 340; i += 4)
		memcpy(text + i, "YWFh", 4);
	memcpy(text + 340, "YTpi", 4);
	ck_assert_int_eq(basic_parse(a, str_n(text, 344), &id, &secret), ERR_LIMIT);
	/* 253 times */
	ck_assert_int_eq(basic_parse(a, str_n(text + 4, 340), &id, &secret), ERR_OK);
	ck_assert_uint_eq(id.n, 253);
	/* "aa:" and 1026 or 1023 times 'a' */
	for (size_t i = 0; i < 1372; i += 4)
		memcpy(text + i, "YWFh", 4);
	memcpy(text, "YWE6", 4);
	ck_assert_int_eq(basic_parse(a, str_n(text, 1372), &id, &secret), ERR_LIMIT);
	ck_assert_int_eq(basic_parse(a, str_n(text, 1368), &id, &secret), ERR_OK);
	ck_assert_uint_eq(secret.n, 1023);
}
END_TEST

/* ---- scope ---- */

static struct scope scope_of(const char *text)
{
	struct scope s;

	ck_assert_msg(scope_parse(str_z(text), &s) == ERR_OK, "%s", text);
	return s;
}

static void assert_scope(const struct scope *s, const char *want)
{
	struct buf b;
	struct str text;

	buf_init(&b, NULL, SCOPE_MAX);
	scope_write(s, &b);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_str_eq(text.p, want);
	buf_done(&b);
}

/* T3, RFC 6749 3.3 */
START_TEST(scope_syntax_is_single_spaces_between_tokens_of_the_rfc)
{
	static const char *const bad[] = { " ",	   " a",   "a ",    "a  b", "a\tb",
					   "a\nb", "a\"b", "a\\b",  "\x7f", "a\xc3\xa4",
					   "\"",   "a b ", "a\x1f", "a,\"b" };
	static const char *const good[] = { "a",     "a b", "read:x write:y",
					    "!#[]~", "A a", "https://x/y" };
	struct scope s;

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(scope_parse(str_z(bad[i]), &s) == ERR_SYNTAX, "%s", bad[i]);
	ck_assert_int_eq(scope_parse(STR("a\0b"), &s), ERR_SYNTAX);
	for (size_t i = 0; i < COUNT(good); i++) {
		s = scope_of(good[i]);
		assert_scope(&s, good[i]);
	}
	s = scope_of("");
	ck_assert_uint_eq(s.count, 0);
	ck_assert_int_eq(scope_parse(STR_NONE, &s), ERR_OK);
	ck_assert(!scope_token_valid(STR("")) && !scope_token_valid(STR("a b")));
}
END_TEST

START_TEST(scope_lists_have_limits)
{
	char text[4000];
	struct scope s;
	size_t n = 0;

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(scope_parse(str_n(text, SCOPE_TOKEN_MAX), &s), ERR_OK);
	ck_assert_int_eq(scope_parse(str_n(text, SCOPE_TOKEN_MAX + 1), &s), ERR_LIMIT);
	ck_assert(!scope_token_valid(str_n(text, SCOPE_TOKEN_MAX + 1)));
	memset(text, ' ', sizeof(text));
	ck_assert_int_eq(scope_parse(str_n(text, SCOPE_MAX + 1), &s), ERR_LIMIT);
	for (int i = 0; i <= SCOPES_MAX; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%ss%d", i ? " " : "", i);
		ck_assert_int_eq(scope_parse(str_n(text, n), &s),
				 i < SCOPES_MAX ? ERR_OK : ERR_LIMIT);
	}
	ck_assert(!scope_add(&s, STR("one-more")));
	ck_assert(scope_add(&s, STR("s7")));
}
END_TEST

START_TEST(scope_is_a_set_in_the_order_it_was_written)
{
	struct scope s = scope_of("c a b a c");

	assert_scope(&s, "c a b");
	ck_assert(scope_has(&s, STR("a")) && !scope_has(&s, STR("A")));
}
END_TEST

/* 2.8 #72: one bad element at each place of a list */
START_TEST(one_bad_token_anywhere_spoils_the_list)
{
	static const char *const texts[] = { "a\" b c", "a b\" c", "a b c\"" };
	struct scope s;

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_int_eq(scope_parse(str_z(texts[i]), &s), ERR_SYNTAX);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_form_is_decoded_and_asked_by_name,
		an_empty_body_is_an_empty_form,
		a_parameter_given_twice_is_refused_also_when_one_is_empty_or_escaped,
		resource_and_audience_may_repeat_and_are_read_in_order,
		bytes_that_cut_or_split_a_value_are_refused_in_any_spelling,
		a_form_holds_64_parameters_at_most,
		a_refused_form_leaves_the_result_untouched,
		rfc6749_appendix_b_example_both_ways,
		every_allowed_character_comes_back_from_encoding,
		a_header_splits_into_scheme_and_credentials,
		basic_credentials_are_decoded_twice,
		basic_credentials_in_a_second_spelling_are_refused,
		basic_credentials_have_limits,
		scope_syntax_is_single_spaces_between_tokens_of_the_rfc,
		scope_lists_have_limits,
		scope_is_a_set_in_the_order_it_was_written,
		one_bad_token_anywhere_spoils_the_list,
	};

	return suite_run("oauth", tests, COUNT(tests));
}
