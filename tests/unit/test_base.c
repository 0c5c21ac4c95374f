/* lib/base: what everything above it takes for granted. */
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/secret.h"
#include "base/str.h"
#include "tests/unit/suite.h"

static void assert_str(struct str got, const char *want)
{
	ck_assert_msg(str_equal_z(got, want), "got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void assert_buf(struct buf *b, const char *want)
{
	struct str text;

	ck_assert_int_eq(buf_end(b, &text), ERR_OK);
	assert_str(text, want);
	ck_assert_int_eq(text.p[text.n], '\0');
}

/* ---- err ---- */

/* RFC 6749 5.2: error and error_description are %x20-21 / %x23-5B / %x5D-7E. */
static bool is_error_text(const char *z)
{
	return str_is_vschar(str_z(z)) && !strpbrk(z, "\"\\");
}

START_TEST(every_error_has_a_row_that_may_stand_in_a_header)
{
	for (int e = 0; e < ERR_COUNT; e++) {
		const struct err_row *row = err_row((enum err)e);

		ck_assert_msg(e == ERR_INTERNAL || row != err_row(ERR_INTERNAL), "no row: %d", e);
		ck_assert_msg(is_error_text(row->description), "%s", row->description);
		if (e <= ERR_WIRE)
			ck_assert(!row->wire && (row->status == 500 || row->status == 503));
		else
			ck_assert(row->status >= 400 && (row->wire || e == ERR_NO_TOKEN));
		ck_assert(!row->wire || is_error_text(row->wire));
	}
}
END_TEST

START_TEST(a_number_that_is_no_error_gives_the_row_of_an_internal_one)
{
	ck_assert_ptr_eq(err_row((enum err)ERR_COUNT), err_row(ERR_INTERNAL));
	ck_assert_ptr_eq(err_row((enum err) - 1), err_row(ERR_INTERNAL));
	ck_assert_str_eq(err_name(ERR_INVALID_GRANT), "invalid_grant");
}
END_TEST

/* ---- str ---- */

START_TEST(absent_and_empty_strings_compare_equal_and_differ_in_presence)
{
	ck_assert(str_equal(STR_NONE, STR("")));
	ck_assert(!str_equal(STR_NONE, STR("a")));
	ck_assert_ptr_null(str_z(NULL).p);
	ck_assert(str_equal_z(STR("ab"), "ab") && !str_equal_z(STR("ab"), "abc"));
}
END_TEST

START_TEST(case_folding_is_for_ascii_letters_only)
{
	ck_assert(str_case_equal(STR("BeArEr"), STR("bearer")));
	ck_assert(!str_case_equal(STR("["), STR("{")));
	ck_assert(!str_case_equal(STR("@"), STR("`")));
	ck_assert(!str_case_equal(STR("\xc3\x84"), STR("\xc3\xa4")));
}
END_TEST

START_TEST(starts_and_ends_hold_for_the_empty_part_and_not_for_a_longer_one)
{
	ck_assert(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR("")));
	ck_assert(!str_starts(STR("ab"), STR("abc")));
	ck_assert(str_ends(STR("abc"), STR("bc")) && str_ends(STR_NONE, STR_NONE));
	ck_assert(!str_ends(STR("bc"), STR("abc")) && !str_ends(STR("abc"), STR("ab")));
}
END_TEST

START_TEST(order_is_by_unsigned_bytes_and_a_prefix_comes_first)
{
	ck_assert_int_lt(str_compare(STR("a"), STR("ab")), 0);
	ck_assert_int_gt(str_compare(STR("\xff"), STR("a")), 0);
	ck_assert_int_eq(str_compare(STR("a"), STR("a")), 0);
	ck_assert_int_lt(str_compare(STR_NONE, STR("a")), 0);
}
END_TEST

START_TEST(cutting_gives_every_part_and_nothing_after_the_last)
{
	static const struct {
		const char *text, *joined;
	} rows[] = {
		{ "a,,b", "a||b|" }, { "a,", "a|" }, { ",a", "|a|" }, { "", "" }, { "abc", "abc|" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str rest = str_z(rows[i].text), part;
		struct buf b;

		buf_init(&b, NULL, 100);
		while (str_next(&rest, ',', &part)) {
			buf_str(&b, part);
			buf_byte(&b, '|');
		}
		assert_buf(&b, rows[i].joined);
		buf_done(&b);
	}
}
END_TEST

START_TEST(trimming_takes_spaces_and_tabs_off_both_ends)
{
	assert_str(str_trim(STR(" \t a b\t ")), "a b");
	assert_str(str_trim(STR("  ")), "");
	assert_str(str_trim(STR("\na")), "\na");
}
END_TEST

START_TEST(numbers_are_whole_decimal_and_within_bounds)
{
	static const struct {
		const char *text;
		int64_t min, max;
		enum err e;
		int64_t value;
	} rows[] = {
		{ "0", 0, 10, ERR_OK, 0 },
		{ "-7", -10, 10, ERR_OK, -7 },
		{ "9223372036854775807", INT64_MIN, INT64_MAX, ERR_OK, INT64_MAX },
		{ "-9223372036854775808", INT64_MIN, INT64_MAX, ERR_OK, INT64_MIN },
		{ "9223372036854775808", INT64_MIN, INT64_MAX, ERR_LIMIT, 0 },
		{ "-9223372036854775809", INT64_MIN, INT64_MAX, ERR_LIMIT, 0 },
		{ "99999999999999999999999", INT64_MIN, INT64_MAX, ERR_LIMIT, 0 },
		{ "11", 0, 10, ERR_LIMIT, 0 },
		{ "-1", 0, 10, ERR_LIMIT, 0 },
		{ "", 0, 10, ERR_SYNTAX, 0 },
		{ "-", 0, 10, ERR_SYNTAX, 0 },
		{ "+1", 0, 10, ERR_SYNTAX, 0 },
		{ " 1", 0, 10, ERR_SYNTAX, 0 },
		{ "1 ", 0, 10, ERR_SYNTAX, 0 },
		{ "1.0", 0, 10, ERR_SYNTAX, 0 },
		{ "0x1", 0, 10, ERR_SYNTAX, 0 },
		{ "--1", -10, 10, ERR_SYNTAX, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t v = 0;
		enum err e = str_to_i64(str_z(rows[i].text), rows[i].min, rows[i].max, &v);

		ck_assert_msg(e == rows[i].e && v == rows[i].value, "%s", rows[i].text);
	}
}
END_TEST

START_TEST(utf8_is_the_shortest_form_of_a_scalar_value)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc2\x80 \xdf\xbf", true },
		{ "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf", true },
		{ "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", true },
		{ "\xc0\x80", false },	       /* overlong NUL */
		{ "\xc1\xbf", false },	       /* overlong */
		{ "\xe0\x9f\xbf", false },     /* overlong */
		{ "\xf0\x8f\xbf\xbf", false }, /* overlong */
		{ "\xed\xa0\x80", false },     /* surrogate */
		{ "\xf4\x90\x80\x80", false }, /* above U+10FFFF */
		{ "\xf5\x80\x80\x80", false },
		{ "\xff", false },
		{ "\x80", false }, /* a continuation alone */
		{ "\xc3", false }, /* cut */
		{ "\xe2\x82", false },
		{ "\xf0\x9f\x98", false },
		{ "\xe2\x28\xa1", false },
		{ "\xe2\x82\x28", false },
		{ "\xc3\xc3", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		ck_assert_msg(str_is_utf8(str_z(rows[i].text)) == rows[i].good, "row %zu", i);
}
END_TEST

START_TEST(utf8_does_not_look_past_the_end)
{
	ck_assert(!str_is_utf8(str_n("\xc3\xa4", 1)));
	ck_assert(!str_is_utf8(str_n("\xe2\x82\xac", 2)));
	ck_assert(!str_is_utf8(str_n("\xf0\x9f\x98\x80", 3)));
	ck_assert(str_is_utf8(str_n("a\xff", 1)));
}
END_TEST

START_TEST(vschar_ends_where_the_rfc_says)
{
	ck_assert(str_is_vschar(STR(" ~")));
	ck_assert(!str_is_vschar(STR("\x1f")) && !str_is_vschar(STR("\x7f")));
	ck_assert(!str_is_vschar(STR("\xc3\xa4")));
	ck_assert(str_has_nul(STR("a\0b")) && !str_has_nul(STR("ab")) && !str_has_nul(STR_NONE));
}
END_TEST

/* ---- arena ---- */

static bool all_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i])
			return false;
	}
	return true;
}

START_TEST(arena_memory_is_zeroed_and_aligned_also_after_use)
{
	AUTO(arena, a) = NULL;

	ck_assert_int_eq(arena_new(100000, &a), ERR_OK);
	for (int round = 0; round < 3; round++) {
		for (size_t n = 0; n < 300; n++) {
			char *p = arena_alloc(a, n);

			ck_assert_ptr_nonnull(p);
			ck_assert_uint_eq((uintptr_t)p % alignof(max_align_t), 0);
			ck_assert(all_zero(p, n));
			memset(p, 0xa5, n);
		}
		arena_reset(a);
		ck_assert_uint_eq(arena_used(a), 0);
	}
}
END_TEST

START_TEST(arena_reset_wipes_what_the_first_block_held)
{
	AUTO(arena, a) = NULL;
	char *p;

	ck_assert_int_eq(arena_new(4096, &a), ERR_OK);
	p = (char *)arena_z(a, STR("hunter2"));
	ck_assert_str_eq(p, "hunter2");
	arena_reset(a);
	/* the same block serves the next request */
	ck_assert_ptr_eq(arena_alloc(a, 8), p);
	ck_assert(all_zero(p, 8));
}
END_TEST

START_TEST(arena_past_its_limit_fails_remembers_and_still_serves_what_fits)
{
	AUTO(arena, a) = NULL;

	ck_assert_int_eq(arena_new(10000, &a), ERR_OK);
	ck_assert_ptr_nonnull(arena_alloc(a, 4000));
	ck_assert(!arena_failed(a));
	ck_assert_ptr_null(arena_alloc(a, 6000));
	ck_assert(arena_failed(a));
	ck_assert_ptr_nonnull(arena_alloc(a, 5000));
	ck_assert_ptr_null(arena_alloc(a, 5000));
	ck_assert(arena_failed(a));
	arena_reset(a);
	ck_assert(!arena_failed(a));
	ck_assert_ptr_nonnull(arena_alloc(a, 5904));
}
END_TEST

START_TEST(arena_sizes_that_overflow_are_refused)
{
	AUTO(arena, a) = NULL;

	ck_assert_int_eq(arena_new(SIZE_MAX, &a), ERR_OK);
	ck_assert_ptr_null(arena_alloc(a, SIZE_MAX));
	arena_reset(a);
	ck_assert_ptr_null(arena_array(a, SIZE_MAX / 2 + 1, 2)); /* 0 */
	ck_assert_ptr_null(arena_array(a, SIZE_MAX / 2, 3));
	ck_assert(arena_failed(a));
	ck_assert_ptr_nonnull(arena_array(a, 3, sizeof(int64_t)));
	ck_assert_ptr_nonnull(arena_alloc(a, 0));
}
END_TEST

START_TEST(arena_copies_end_with_nul_and_absent_stays_absent)
{
	AUTO(arena, a) = NULL;
	struct str s;

	ck_assert_int_eq(arena_new(0, &a), ERR_OK);
	s = arena_str(a, str_n("abcd", 2));
	assert_str(s, "ab");
	ck_assert_int_eq(s.p[2], '\0');
	ck_assert_ptr_null(arena_str(a, STR_NONE).p);
	ck_assert_ptr_nonnull(arena_str(a, STR("")).p);
	ck_assert(!arena_failed(a));
	arena_free(NULL);
}
END_TEST

/* ---- buf ---- */

START_TEST(buffer_grows_to_its_ceiling_and_not_a_byte_further)
{
	struct buf b;
	struct str text;

	buf_init(&b, NULL, 1000);
	for (int i = 0; i < 1000; i++)
		buf_byte(&b, 'x');
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_uint_eq(text.n, 1000);
	ck_assert_uint_eq(strlen(text.p), 1000);
	buf_byte(&b, 'y');
	ck_assert_int_eq(buf_end(&b, &text), ERR_LIMIT);
	buf_clear(&b);
	buf_z(&b, "again");
	assert_buf(&b, "again");
	buf_done(&b);
}
END_TEST

START_TEST(buffer_keeps_its_first_error_and_ignores_the_rest)
{
	struct buf b;
	struct str text = STR("untouched");

	buf_init(&b, NULL, 4);
	buf_z(&b, "12345");
	buf_z(&b, "1");
	ck_assert_int_eq(buf_end(&b, &text), ERR_LIMIT);
	assert_str(text, "untouched");
	buf_done(&b);
}
END_TEST

START_TEST(buffer_of_an_arena_reports_the_arenas_limit)
{
	AUTO(arena, a) = NULL;
	struct buf b;
	struct str text;
	char block[3000] = { 'x' };

	ck_assert_int_eq(arena_new(4096, &a), ERR_OK);
	buf_init(&b, a, 100000);
	buf_add(&b, block, sizeof(block));
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	buf_add(&b, block, sizeof(block));
	ck_assert_int_eq(buf_end(&b, &text), ERR_NOMEM);
	buf_done(&b);
}
END_TEST

START_TEST(buffer_writes_numbers_hex_and_formats)
{
	struct buf b;
	char want[600];

	buf_init(&b, NULL, 2000);
	assert_buf(&b, "");
	buf_i64(&b, INT64_MIN);
	buf_byte(&b, ' ');
	buf_i64(&b, INT64_MAX);
	buf_byte(&b, ' ');
	buf_i64(&b, 0);
	buf_byte(&b, ' ');
	buf_hex(&b, "\x00\xff\x1a", 3);
	assert_buf(&b, "-9223372036854775808 9223372036854775807 0 00ff1a");
	buf_clear(&b);
	/* longer than the room the first round has */
	buf_fmt(&b, "%s|%0500d", "a", 7);
	snprintf(want, sizeof(want), "%s|%0500d", "a", 7);
	assert_buf(&b, want);
	buf_done(&b);
}
END_TEST

START_TEST(a_format_that_does_not_fit_the_ceiling_is_a_limit)
{
	struct buf b;
	struct str text;

	buf_init(&b, NULL, 5);
	buf_fmt(&b, "%s", "12345");
	assert_buf(&b, "12345");
	buf_fmt(&b, "%s", "6");
	ck_assert_int_eq(buf_end(&b, &text), ERR_LIMIT);
	buf_done(&b);
}
END_TEST

/* ---- secret ---- */

START_TEST(macs_of_lists_with_the_same_bytes_differ)
{
	const struct secret key = { "key" };
	const struct str ab_c[] = { STR("ab"), STR("c") };
	const struct str a_bc[] = { STR("a"), STR("bc") };
	const struct str abc[] = { STR("abc") };
	const struct str abc_[] = { STR("abc"), STR_NONE };
	unsigned char m[4][32];

	secret_mac(&key, ab_c, 2, m[0], 32);
	secret_mac(&key, a_bc, 2, m[1], 32);
	secret_mac(&key, abc, 1, m[2], 32);
	secret_mac(&key, abc_, 2, m[3], 32);
	for (size_t i = 0; i < 4; i++) {
		for (size_t k = 0; k < i; k++)
			ck_assert(!bytes_equal_ct(m[i], m[k], 32));
	}
}
END_TEST

START_TEST(macs_depend_on_key_and_length_and_repeat)
{
	const struct secret key = { "key" }, other = { "kez" };
	const struct str part[] = { STR("text") };
	unsigned char a[64], b[64];

	secret_mac(&key, part, 1, a, 8);
	secret_mac(&key, part, 1, b, 8);
	ck_assert(bytes_equal_ct(a, b, 8));
	secret_mac(&other, part, 1, b, 8);
	ck_assert(!bytes_equal_ct(a, b, 8));
	secret_mac(&key, part, 1, a, 64);
	secret_mac(&key, part, 1, b, 32);
	ck_assert(!bytes_equal_ct(a, b, 32));
}
END_TEST

START_TEST(derived_keys_differ_by_label_and_root_and_are_no_macs)
{
	const struct secret root = { "root" }, other = { "rooz" };
	const struct str label[] = { STR("jti") };
	struct secret a, b;

	secret_derive(&root, "jti", &a);
	secret_derive(&root, "jti", &b);
	ck_assert(secret_equal(&a, &b));
	secret_derive(&root, "page-token", &b);
	ck_assert(!secret_equal(&a, &b));
	secret_derive(&other, "jti", &b);
	ck_assert(!secret_equal(&a, &b));
	secret_mac(&root, label, 1, b.b, SECRET_LEN);
	ck_assert(!secret_equal(&a, &b));
	secret_wipe(&a);
	ck_assert(all_zero((const char *)a.b, SECRET_LEN));
}
END_TEST

/* What is stored was made with these: another answer would orphan every row. */
START_TEST(keys_and_macs_stay_what_they_were)
{
	const struct secret root = { "root" };
	const struct str parts[] = { STR("ab"), STR("c") };
	struct secret derived;
	unsigned char mac[32];
	struct buf hex;

	secret_derive(&root, "refresh", &derived);
	secret_mac(&root, parts, COUNT(parts), mac, sizeof(mac));
	buf_init(&hex, NULL, 200);
	buf_hex(&hex, derived.b, SECRET_LEN);
	buf_byte(&hex, ' ');
	buf_hex(&hex, mac, sizeof(mac));
	assert_buf(&hex, "ec51d82c447a58294ca70ae0980e2b304d7ce7eded16170f1ab6878cbebb04d1 "
			 "439fde0e5951a37594b121b972ae696d787e7696344b76eae7b3d3270d8768fa");
	buf_done(&hex);
}
END_TEST

START_TEST(digest256_is_blake2b)
{
	unsigned char digest[32];
	struct buf hex;

	digest256(STR(""), digest);
	buf_init(&hex, NULL, 64);
	buf_hex(&hex, digest, sizeof(digest));
	assert_buf(&hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
	buf_done(&hex);
	ck_assert(bytes_equal_ct("", "", 0) && !bytes_equal_ct("a", "b", 1));
}
END_TEST

/* ---- failpoints ---- */

#ifdef CHANCERY_FAULTS
START_TEST(failpoints_fire_at_the_passage_they_name)
{
	fault_arm("db.step:2:full,db.step:4:error,other:0:nomem,broken,x:y:error,z:1:burn");
	ck_assert_int_eq(FAILPOINT("db.step"), ERR_OK);
	ck_assert_int_eq(FAILPOINT("db.step"), ERR_FULL);
	ck_assert_int_eq(FAILPOINT("db.step"), ERR_OK);
	ck_assert_int_eq(FAILPOINT("db.step"), ERR_IO);
	ck_assert_int_eq(FAILPOINT("db.step"), ERR_OK);
	ck_assert_int_eq(FAILPOINT("other"), ERR_NOMEM);
	ck_assert_int_eq(FAILPOINT("other"), ERR_NOMEM);
	ck_assert_int_eq(FAILPOINT("x"), ERR_OK);
	ck_assert_int_eq(FAILPOINT("z"), ERR_OK);
	fault_arm(NULL);
	ck_assert_int_eq(FAILPOINT("other"), ERR_OK);
}
END_TEST

static void write_clock(const char *file, const char *bytes, size_t n)
{
	int fd = open(file, O_WRONLY | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
	ck_assert_int_eq(close(fd), 0);
}

START_TEST(a_moved_clock_is_moved_in_every_process_at_once)
{
	char file[] = "/tmp/chy-clock-XXXXXX";
	int status;
	pid_t child;

	ck_assert_int_eq(close(mkstemp(file)), 0);
	ck_assert_int_eq(fault_clock(), 0);
	ck_assert_int_eq(fault_clock_map(file), ERR_IO); /* empty */
	write_clock(file, "\x10\x0e\0\0\0\0\0\0", 8);
	ck_assert_int_eq(fault_clock_map(file), ERR_OK);
	ck_assert_int_eq(fault_clock(), 3600);
	child = fork();
	if (child == 0) {
		write_clock(file, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
		_exit(fault_clock() == -1 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(fault_clock(), -1);
	ck_assert_int_eq(fault_clock_map(NULL), ERR_OK);
	ck_assert_int_eq(fault_clock(), 0);
	unlink(file);
}
END_TEST
#endif

START_TEST(a_point_that_is_not_armed_is_nothing)
{
	ck_assert_int_eq(FAILPOINT("never.armed"), ERR_OK);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_error_has_a_row_that_may_stand_in_a_header,
		a_number_that_is_no_error_gives_the_row_of_an_internal_one,
		absent_and_empty_strings_compare_equal_and_differ_in_presence,
		case_folding_is_for_ascii_letters_only,
		starts_and_ends_hold_for_the_empty_part_and_not_for_a_longer_one,
		order_is_by_unsigned_bytes_and_a_prefix_comes_first,
		cutting_gives_every_part_and_nothing_after_the_last,
		trimming_takes_spaces_and_tabs_off_both_ends,
		numbers_are_whole_decimal_and_within_bounds,
		utf8_is_the_shortest_form_of_a_scalar_value,
		utf8_does_not_look_past_the_end,
		vschar_ends_where_the_rfc_says,
		arena_memory_is_zeroed_and_aligned_also_after_use,
		arena_reset_wipes_what_the_first_block_held,
		arena_past_its_limit_fails_remembers_and_still_serves_what_fits,
		arena_sizes_that_overflow_are_refused,
		arena_copies_end_with_nul_and_absent_stays_absent,
		buffer_grows_to_its_ceiling_and_not_a_byte_further,
		buffer_keeps_its_first_error_and_ignores_the_rest,
		buffer_of_an_arena_reports_the_arenas_limit,
		buffer_writes_numbers_hex_and_formats,
		a_format_that_does_not_fit_the_ceiling_is_a_limit,
		macs_of_lists_with_the_same_bytes_differ,
		macs_depend_on_key_and_length_and_repeat,
		derived_keys_differ_by_label_and_root_and_are_no_macs,
		keys_and_macs_stay_what_they_were,
		digest256_is_blake2b,
#ifdef CHANCERY_FAULTS
		failpoints_fire_at_the_passage_they_name,
		a_moved_clock_is_moved_in_every_process_at_once,
#endif
		a_point_that_is_not_armed_is_nothing,
	};

	if (secret_library_init())
		return EXIT_FAILURE;
	return suite_run("base", tests, COUNT(tests));
}
