/* lib/base/json.h: what the reader refuses, what it gives, what the writer writes. */
#include "base/json.h"
#include "base/limits.h"
#include "tests/unit/suite.h"

static enum err parse(const char *text)
{
	struct json *root = NULL;
	enum err e = json_parse(str_z(text), JWKS_SIZE_MAX, &root);

	ck_assert((e == ERR_OK) == (root != NULL));
	json_free(root);
	return e;
}

static struct json *must_parse(const char *text)
{
	struct json *root = NULL;

	ck_assert_int_eq(json_parse(str_z(text), JWKS_SIZE_MAX, &root), ERR_OK);
	return root;
}

static void assert_buf(struct buf *b, const char *want)
{
	struct str text;

	ck_assert_int_eq(buf_end(b, &text), ERR_OK);
	ck_assert_str_eq(text.p, want);
}

/* Bounds of J1 and J10 and the traps of RFC 8259. */
START_TEST(json_that_two_readers_could_read_differently_is_refused)
{
	static const char *const texts[] = {
		"",
		" ",
		"1",
		"\"a\"",
		"null",
		"{",
		"[1",
		"{}x",
		"{} {}",
		"[1,]",
		"{\"a\":1,}",
		"{a:1}",
		"{\"a\" 1}",
		"{\"a\"1}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\"::1}",
		"{1:2}",
		"{\"a\":1 \"b\":2}",
		"{\"a\":1,,\"b\":2}",
		"{,}",
		"[,1]",
		"[1 2]",
		"[1}",
		"{\"a\":1]",
		"]",
		":",
		"{'a':1}",
		"[01]",
		"[+1]",
		"[.5]",
		"[1.]",
		"[NaN]",
		"[Infinity]",
		"[-]",
		"[0x10]",
		"// c\n{}",
		"\xef\xbb\xbf{}",	   /* byte order mark, RFC 8259 8.1 */
		"{\"a\":1,\"a\":2}",	   /* RFC 7515 4 */
		"{\"a\":1,\"\\u0061\":2}", /* the same name, escaped */
		"{\"x\":{\"a\":1,\"a\":1}}",
		"[\"\\u0000\"]",
		"{\"\\u0000\":1}",
		"{\"a\\u0000b\":1}",
		"[\"\\ud800\"]", /* a surrogate alone */
		"[\"\\udc00\\ud800\"]",
		"[\"\xc3\"]",
		"[\"\xed\xa0\x80\"]",
		"[\"\xc0\x80\"]",
		"[\"\n\"]", /* a raw control */
		"[\"\\x41\"]",
		"[1e400]",
		"[-1e400]",
		"[9223372036854775808]",
		"[-9223372036854775809]",
		"[TRUE]",
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(parse(texts[i]) == ERR_SYNTAX, "%s", texts[i]);
}
END_TEST

START_TEST(json_with_a_nul_byte_anywhere_is_refused)
{
	static const struct str texts[] = {
		{ "{}\0", 3 }, { "false\0", 6 }, { "\0{}", 3 }, { "{\"a\0\":1}", 8 }, { "{\0}", 3 }
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct json *root = NULL;

		ck_assert_int_eq(json_parse(texts[i], 100, &root), ERR_SYNTAX);
		ck_assert_int_eq(json_parse_any(texts[i], 100, &root), ERR_SYNTAX);
	}
}
END_TEST

START_TEST(json_deeper_than_the_limit_is_refused_before_it_is_built)
{
	char text[2 * 100000 + 1];
	struct json *root = NULL;

	for (size_t depth = 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = '\0';
		ck_assert_int_eq(parse(text), depth <= JSON_DEPTH_MAX ? ERR_OK : ERR_LIMIT);
	}
	memset(text, '[', 100000);
	ck_assert_int_eq(json_parse(str_n(text, 100000), 100000, &root), ERR_LIMIT);
}
END_TEST

START_TEST(brackets_in_strings_are_not_depth)
{
	ck_assert_int_eq(parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"), ERR_OK);
	ck_assert_int_eq(parse("[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"), ERR_OK);
	/* nor does an escaped quote hide any */
	ck_assert_int_eq(parse("[\"\\\\\",[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"), ERR_LIMIT);
	ck_assert_int_eq(parse("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]"), ERR_OK);
	ck_assert_int_eq(parse("[\"[\\"), ERR_SYNTAX);
}
END_TEST

START_TEST(json_longer_than_the_caller_allows_is_refused)
{
	struct json *root = NULL;

	ck_assert_int_eq(json_parse(STR("[1,2]"), 4, &root), ERR_LIMIT);
	ck_assert_int_eq(json_parse(STR("[1,2]"), 5, &root), ERR_OK);
	json_free(root);
}
END_TEST

START_TEST(a_scalar_may_stand_at_the_root_only_where_asked_for)
{
	static const char *const good[] = { "1", "\"a\"", "null", "true", "[1]", "{}", " 1.5 " };
	static const char *const bad[] = { "", "1 2", "nul", "\"a", "a" };

	for (size_t i = 0; i < COUNT(good); i++) {
		struct json *root = NULL;

		ck_assert_msg(!json_parse_any(str_z(good[i]), 100, &root), "%s", good[i]);
		json_free(root);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct json *root = NULL;

		ck_assert_msg(json_parse_any(str_z(bad[i]), 100, &root) == ERR_SYNTAX, "%s",
			      bad[i]);
	}
}
END_TEST

START_TEST(values_are_given_as_what_they_are_and_as_nothing_else)
{
	AUTO(json, root) = must_parse("{\"s\":\"x\",\"i\":7,\"r\":7.0,\"b\":true,\"n\":null,"
				      "\"a\":[1,2],\"o\":{}}");
	struct str s = STR("kept");
	int64_t i = 1;
	double d = 1;
	bool b = false;

	ck_assert(json_str(json_get(root, "s"), &s) && str_equal_z(s, "x"));
	ck_assert(json_int(json_get(root, "i"), &i) && i == 7);
	ck_assert(json_number(json_get(root, "i"), &d) && json_number(json_get(root, "r"), &d));
	ck_assert(json_bool(json_get(root, "b"), &b) && b);
	ck_assert(!json_str(json_get(root, "i"), &s) && !json_int(json_get(root, "r"), &i));
	ck_assert(!json_int(json_get(root, "s"), &i) && !json_int(json_get(root, "b"), &i));
	ck_assert(!json_bool(json_get(root, "n"), &b) && !json_bool(json_get(root, "i"), &b));
	ck_assert(!json_number(json_get(root, "b"), &d) && !json_str(NULL, &s));
	ck_assert(str_equal_z(s, "x") && i == 7 && b);
	ck_assert_ptr_null(json_get(root, "absent"));
	ck_assert_ptr_null(json_get(json_get(root, "a"), "s"));
	ck_assert_ptr_null(json_get(NULL, "s"));
	ck_assert_int_eq(json_type(json_get(root, "o")), JSON_OBJECT);
	ck_assert_int_eq(json_type(json_get(root, "r")), JSON_REAL);
	ck_assert_int_eq(json_type(NULL), JSON_NULL);
}
END_TEST

START_TEST(escapes_stand_for_what_rfc8259_section_7_says)
{
	static const struct {
		const char *text, *value;
	} rows[] = {
		{ "[\"\"]", "" },
		{ "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "\"\\/\b\f\n\r\t" },
		{ "[\"a\\u0041\\u007fb\"]", "aA\x7f"
					    "b" },
		{ "[\"\\u0080\\u07FF\"]", "\xc2\x80\xdf\xbf" },
		{ "[\"\\u0800\\uD7ff\\ue000\\uFFFF\"]",
		  "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf" },
		{ "[\"\\ud800\\udc00\\uDBFF\\uDFFF\"]", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
		{ "[\"\xc3\xa4\\u00e4\"]", "\xc3\xa4\xc3\xa4" },
	};
	static const char *const bad[] = {
		"[\"\\\"]",
		"[\"\\",
		"[\"\\a\"]",
		"[\"\\U0041\"]",
		"[\"\\u\"]",
		"[\"\\u004\"]",
		"[\"\\u004g\"]",
		"[\"\\u 041\"]",
		"[\"\\ud800\\u0041\"]",
		"[\"\\ud800xxdc00\"]",
		"[\"\\ud800\\xdc00\"]",
		"[\"\\ud800x\"]",
		"[\"\\ud800\\n\"]",
		"[\"\\ud800\\ud800\"]",
		"[\"\\udc00\\udc00\"]",
		"[\"\\ud800\\udbff\"]",
		"[\"\\ud800\\ue000\"]",
		"[\"\\ud83d\\",
		"[\"\\ud83d\\u",
		"[\"\\ud83d\\ude0",
		"[\"\\u0000\"]",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		AUTO(json, root) = must_parse(rows[i].text);
		struct str s = STR_NONE;

		ck_assert(json_str(json_at(root, 0), &s));
		ck_assert_msg(str_equal_z(s, rows[i].value), "%s", rows[i].text);
		ck_assert_int_eq(s.p[s.n], '\0');
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(parse(bad[i]) == ERR_SYNTAX, "%s", bad[i]);
}
END_TEST

START_TEST(numbers_are_integers_until_they_have_a_fraction_or_an_exponent)
{
	static const char *const bad[] = { "[-]",   "[--1]",   "[1.]",	  "[.1]",   "[1e]",
					   "[1e+]", "[01]",    "[-01]",	  "[1.e1]", "[1 2]",
					   "[0x1]", "[1e1.5]", "[1a]",	  "[-a]",   "[1.5.5]",
					   "[+1]",  "[1E400]", "[-1e999]" };
	AUTO(json, root) = must_parse("[0,-0,9223372036854775807,-9223372036854775808,1.0,-0.0,1e2,"
				      "1E+2,100e-2,1e-400,0.5]");
	static const double reals[] = { 1, 0, 100, 100, 1, 0, 0.5 };
	int64_t i = 1;
	double d;

	ck_assert(json_int(json_at(root, 0), &i) && i == 0);
	ck_assert(json_int(json_at(root, 1), &i) && i == 0);
	ck_assert(json_int(json_at(root, 2), &i) && i == INT64_MAX);
	ck_assert(json_int(json_at(root, 3), &i) && i == INT64_MIN);
	for (size_t k = 0; k < COUNT(reals); k++) {
		ck_assert_int_eq(json_type(json_at(root, 4 + k)), JSON_REAL);
		ck_assert(json_number(json_at(root, 4 + k), &d) && !(d < reals[k]) &&
			  !(d > reals[k]));
	}
	for (size_t k = 0; k < COUNT(bad); k++)
		ck_assert_msg(parse(bad[k]) == ERR_SYNTAX, "%s", bad[k]);
}
END_TEST

/* Many members are compared in another way than few. */
START_TEST(a_name_twice_is_refused_among_any_number_of_members)
{
	static const int counts[] = { 2, 15, 16, 17, 18, 100, 3000 };

	for (size_t i = 0; i < COUNT(counts); i++) {
		for (int twin = -1; twin < counts[i]; twin += 1 + counts[i] / 7) {
			struct buf b;
			struct str text;

			buf_init(&b, NULL, JWKS_SIZE_MAX);
			for (int k = 0; k < counts[i]; k++)
				buf_fmt(&b, "%c\"m%d\":%d", k ? ',' : '{', k * 7919 % 10007, k);
			if (twin >= 0)
				buf_fmt(&b, ",\"m%d\":0", twin * 7919 % 10007);
			buf_byte(&b, '}');
			ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
			ck_assert_int_eq(parse(text.p), twin < 0 ? ERR_OK : ERR_SYNTAX);
			buf_done(&b);
		}
	}
}
END_TEST

START_TEST(the_densest_texts_fit_the_memory_that_is_set_aside)
{
	static const char *const repeated[] = { "1,",	     "[],",  "{},",
						"\"\",",     "[1],", "[1,1,1,1,1,1,1,1],",
						"{\"\":[]}," };

	for (size_t i = 0; i < COUNT(repeated); i++) {
		for (size_t size = 10; size < JWKS_SIZE_MAX; size = size * 3 / 2) {
			struct buf b;
			struct str text;

			buf_init(&b, NULL, JWKS_SIZE_MAX);
			buf_byte(&b, '[');
			while (b.n + strlen(repeated[i]) + 2 < size)
				buf_z(&b, repeated[i]);
			buf_z(&b, "1]");
			ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
			ck_assert_int_eq(parse(text.p), ERR_OK);
			buf_done(&b);
		}
	}
}
END_TEST

START_TEST(lists_and_objects_are_walked_in_the_order_of_the_text)
{
	AUTO(json, root) = must_parse("{\"z\":1,\"a\":[5,6],\"m\":3}");
	struct buf seen;
	struct str name;
	const struct json *v;
	void *iter = NULL;
	int64_t n;

	buf_init(&seen, NULL, 100);
	while (json_each(root, &iter, &name, &v))
		buf_str(&seen, name);
	assert_buf(&seen, "zam");
	buf_done(&seen);
	ck_assert_uint_eq(json_len(root), 3);
	ck_assert_uint_eq(json_len(json_get(root, "a")), 2);
	ck_assert_uint_eq(json_len(json_get(root, "z")), 0);
	ck_assert_uint_eq(json_len(NULL), 0);
	ck_assert(json_int(json_at(json_get(root, "a"), 1), &n) && n == 6);
	ck_assert_ptr_null(json_at(json_get(root, "a"), 2));
	ck_assert_ptr_null(json_at(root, 0));
	iter = NULL;
	ck_assert(!json_each(json_get(root, "a"), &iter, &name, &v));
}
END_TEST

struct target {
	struct str name;
	int64_t size;
	bool on;
	const struct json *list;
	const struct json *ratio;
};

static const struct json_field fields[] = {
	{ "name", JSON_STRING, offsetof(struct target, name), true, false },
	{ "size", JSON_INT, offsetof(struct target, size), false, true },
	{ "on", JSON_BOOL, offsetof(struct target, on), false, false },
	{ "list", JSON_ARRAY, offsetof(struct target, list), false, false },
	{ "ratio", JSON_REAL, offsetof(struct target, ratio), false, false },
};

START_TEST(fields_fill_the_target_and_tell_which_were_there)
{
	AUTO(json, root) = must_parse(
		"{\"list\":[1],\"name\":\"n\",\"size\":null,\"ratio\":2,\"on\":true}");
	struct target t = { .size = 42 };
	enum json_fault fault = JSON_FAULT_TYPE;
	struct str name = STR_NONE;
	uint64_t seen = 0;

	ck_assert_int_eq(json_fields(root, fields, COUNT(fields), &t, &seen, &fault, &name),
			 ERR_OK);
	ck_assert_uint_eq(seen, 0x1f);
	ck_assert_int_eq(fault, JSON_FAULT_NONE);
	ck_assert(str_equal_z(t.name, "n") && t.size == 42 && t.on);
	ck_assert_uint_eq(json_len(t.list), 1);
	ck_assert_int_eq(json_type(t.ratio), JSON_INT);
}
END_TEST

START_TEST(fields_name_what_is_wrong)
{
	static const struct {
		const char *text;
		enum json_fault fault;
		const char *name;
	} rows[] = {
		{ "{\"name\":\"n\",\"extra\":1}", JSON_FAULT_UNKNOWN, "extra" },
		{ "{\"name\":\"n\",\"Size\":1}", JSON_FAULT_UNKNOWN, "Size" },
		{ "{\"name\":1}", JSON_FAULT_TYPE, "name" },
		{ "{\"name\":null}", JSON_FAULT_TYPE, "name" },
		{ "{\"name\":\"n\",\"size\":1.5}", JSON_FAULT_TYPE, "size" },
		{ "{\"name\":\"n\",\"on\":0}", JSON_FAULT_TYPE, "on" },
		{ "{\"name\":\"n\",\"on\":null}", JSON_FAULT_TYPE, "on" },
		{ "{\"name\":\"n\",\"list\":{}}", JSON_FAULT_TYPE, "list" },
		{ "{\"size\":1}", JSON_FAULT_MISSING, "name" },
		{ "{}", JSON_FAULT_MISSING, "name" },
		{ "[]", JSON_FAULT_TYPE, "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		AUTO(json, root) = must_parse(rows[i].text);
		struct target t = { .size = 0 };
		enum json_fault fault = JSON_FAULT_NONE;
		struct str name = STR_NONE;
		uint64_t seen = 7;

		ck_assert_int_eq(json_fields(root, fields, COUNT(fields), &t, &seen, &fault, &name),
				 ERR_SYNTAX);
		ck_assert_msg(fault == rows[i].fault && str_equal_z(name, rows[i].name), "%s",
			      rows[i].text);
		ck_assert_uint_eq(seen, 7);
	}
}
END_TEST

START_TEST(writer_puts_commas_where_they_belong)
{
	struct buf b;
	struct jsonw w;

	buf_init(&b, NULL, 1000);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_z(&w, "a", "x");
	jsonw_key(&w, "b");
	jsonw_array(&w);
	jsonw_int(&w, -1);
	jsonw_object(&w);
	jsonw_end_object(&w);
	jsonw_array(&w);
	jsonw_end_array(&w);
	jsonw_bool(&w, false);
	jsonw_null(&w);
	jsonw_raw(&w, STR("{\"r\":1}"));
	jsonw_end_array(&w);
	jsonw_member_int(&w, "c", INT64_MAX);
	jsonw_member_bool(&w, "d", true);
	jsonw_key_str(&w, str_n("efg", 1));
	jsonw_z(&w, "");
	jsonw_member(&w, "f", STR_NONE);
	jsonw_end_object(&w);
	assert_buf(&b, "{\"a\":\"x\",\"b\":[-1,{},[],false,null,{\"r\":1}],"
		       "\"c\":9223372036854775807,\"d\":true,\"e\":\"\",\"f\":\"\"}");
	buf_done(&b);
}
END_TEST

START_TEST(writer_escapes_every_control_and_the_reader_gives_it_back)
{
	char raw[300];
	size_t n = 0;
	struct buf b;
	struct jsonw w;
	struct str text, back;

	for (int c = 1; c < 0x80; c++)
		raw[n++] = (char)c;
	memcpy(raw + n, "\xc3\xa4\xf0\x9f\x98\x80", 6);
	n += 6;
	buf_init(&b, NULL, 2000);
	jsonw_init(&w, &b);
	jsonw_array(&w);
	jsonw_str(&w, str_n(raw, n));
	jsonw_end_array(&w);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	for (size_t i = 0; i < text.n; i++)
		ck_assert_uint_ge((unsigned char)text.p[i], 0x20);
	{
		AUTO(json, root) = must_parse(text.p);

		ck_assert(json_str(json_at(root, 0), &back));
		ck_assert(str_equal(back, str_n(raw, n)));
	}
	buf_done(&b);
}
END_TEST

START_TEST(what_was_read_is_written_the_same)
{
	static const char *const texts[] = {
		"{\"z\":[1,-2,true,false,null,\"\\\"\\\\\\n\\u0001\"],\"a\":{\"b\":{}}}",
		"[0.1,1.0,-2.5,1e300,5e-324,9223372036854775807,-9223372036854775808]",
		"[0.10000000000000001]",
		"[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
		"[\"/\",\"\x7f\",\"\xc3\xa4\"]",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		AUTO(json, root) = must_parse(texts[i]);
		AUTO(json, again) = NULL;
		struct buf once, twice;
		struct str text;

		buf_init(&once, NULL, 1000);
		buf_init(&twice, NULL, 1000);
		json_dump(root, &once);
		ck_assert_int_eq(buf_end(&once, &text), ERR_OK);
		again = must_parse(text.p);
		json_dump(again, &twice);
		assert_buf(&twice, text.p);
		if (i == 0 || i == 3 || i == 4)
			ck_assert_str_eq(text.p, texts[i]);
		buf_done(&once);
		buf_done(&twice);
	}
}
END_TEST

START_TEST(reals_are_written_as_short_as_they_are_exact)
{
	AUTO(json, root) = must_parse("[0.1,1.0,1e15,3.141592653589793,1e22,5e-324]");
	struct buf b;

	buf_init(&b, NULL, 1000);
	json_dump(root, &b);
	assert_buf(&b, "[0.1,1.0,1e+15,3.141592653589793,1e+22,4.94065645841247e-324]");
	buf_done(&b);
}
END_TEST

START_TEST(writing_deeper_than_the_reader_reads_is_a_limit)
{
	struct buf b;
	struct jsonw w;
	struct str text;

	buf_init(&b, NULL, 1000);
	jsonw_init(&w, &b);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		jsonw_array(&w);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	jsonw_array(&w);
	ck_assert_int_eq(buf_end(&b, &text), ERR_LIMIT);
	buf_done(&b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		json_that_two_readers_could_read_differently_is_refused,
		json_with_a_nul_byte_anywhere_is_refused,
		json_deeper_than_the_limit_is_refused_before_it_is_built,
		brackets_in_strings_are_not_depth,
		json_longer_than_the_caller_allows_is_refused,
		a_scalar_may_stand_at_the_root_only_where_asked_for,
		values_are_given_as_what_they_are_and_as_nothing_else,
		escapes_stand_for_what_rfc8259_section_7_says,
		numbers_are_integers_until_they_have_a_fraction_or_an_exponent,
		a_name_twice_is_refused_among_any_number_of_members,
		the_densest_texts_fit_the_memory_that_is_set_aside,
		lists_and_objects_are_walked_in_the_order_of_the_text,
		fields_fill_the_target_and_tell_which_were_there,
		fields_name_what_is_wrong,
		writer_puts_commas_where_they_belong,
		writer_escapes_every_control_and_the_reader_gives_it_back,
		what_was_read_is_written_the_same,
		reals_are_written_as_short_as_they_are_exact,
		writing_deeper_than_the_reader_reads_is_a_limit,
	};

	return suite_run("json", tests, COUNT(tests));
}
