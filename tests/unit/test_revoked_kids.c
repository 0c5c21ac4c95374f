/* The file of revoked kids: what is written is found, and what was cut off is not. */
#include "server/state/revoked_kids.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "tests/unit/suite.h"

#define OK(expression) ck_assert_int_eq((expression), ERR_OK)

enum { NOW = 1700000000 };

static char dir[64], path[128], other[128];

static void up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/chancery-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/revoked-kids", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
}

static void down(void)
{
	unlink(path);
	unlink(other);
	rmdir(dir);
}

static bool listed(const char *kid)
{
	struct buf text;
	bool has;

	buf_init(&text, NULL, REVOKED_KIDS_FILE_MAX);
	OK(revoked_kids_read(path, &text));
	has = revoked_kids_has(str_n(text.p, text.n), str_z(kid));
	buf_done(&text);
	return has;
}

static void write_file(const char *name, const char *text, int flags)
{
	int fd = open(name, O_WRONLY | O_CREAT | flags, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void assert_text(const char *want)
{
	struct buf text;

	buf_init(&text, NULL, REVOKED_KIDS_FILE_MAX);
	OK(revoked_kids_read(path, &text));
	ck_assert_msg(str_equal_z(str_n(text.p, text.n), want), "%.*s", (int)text.n, text.p);
	buf_done(&text);
}

START_TEST(what_is_added_is_there_and_only_its_owner_may_read_it)
{
	struct stat st;

	OK(revoked_kids_add(path, STR("first"), NOW));
	OK(revoked_kids_add(path, STR("second"), NOW + 1));
	assert_text("first 1700000000\nsecond 1700000001\n");
	ck_assert(listed("first"));
	ck_assert(listed("second"));
	ck_assert(!listed("third"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(no_file_is_an_empty_list)
{
	assert_text("");
	ck_assert(!listed("first"));
	ck_assert(!listed(""));
}
END_TEST

START_TEST(a_kid_is_matched_whole)
{
	OK(revoked_kids_add(path, STR("a kid with spaces"), NOW));
	OK(revoked_kids_add(path, STR("plain"), NOW));
	ck_assert(listed("a kid with spaces"));
	ck_assert(!listed("a"));
	ck_assert(!listed("a kid with"));
	ck_assert(!listed("spaces"));
	ck_assert(!listed("plai"));
	ck_assert(!listed("plain 1700000000"));
	ck_assert(!listed(""));
}
END_TEST

START_TEST(a_line_that_was_cut_off_revokes_nothing_and_spoils_no_other)
{
	OK(revoked_kids_add(path, STR("whole"), NOW));
	write_file(path, "torn", O_APPEND);
	ck_assert(!listed("torn"));
	OK(revoked_kids_add(path, STR("next"), NOW));
	assert_text("whole 1700000000\ntorn\nnext 1700000000\n");
	ck_assert(listed("whole"));
	ck_assert(listed("next"));
	ck_assert(!listed("torn"));
	ck_assert(!listed("tornnext"));
	ck_assert(!listed(""));
}
END_TEST

START_TEST(without_its_line_end_even_a_whole_line_was_promised_to_nobody)
{
	write_file(path, "torn 1700000000", 0);
	ck_assert(!listed("torn"));
}
END_TEST

START_TEST(a_link_in_its_place_is_refused)
{
	struct buf text;

	write_file(other, "victim 1700000000\n", 0);
	ck_assert_int_eq(symlink(other, path), 0);
	buf_init(&text, NULL, REVOKED_KIDS_FILE_MAX);
	ck_assert_int_eq(revoked_kids_read(path, &text), ERR_IO);
	ck_assert_int_eq(revoked_kids_add(path, STR("kid"), NOW), ERR_IO);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rename(other, path), 0);
	assert_text("victim 1700000000\n");
	buf_done(&text);
}
END_TEST

START_TEST(what_cannot_be_opened_is_no_empty_list)
{
	struct buf text;

	ck_assert_int_eq(mkdir(path, 0700), 0);
	buf_init(&text, NULL, REVOKED_KIDS_FILE_MAX);
	ck_assert_int_eq(revoked_kids_read(path, &text), ERR_IO);
	ck_assert_int_eq(revoked_kids_add(path, STR("kid"), NOW), ERR_IO);
	buf_done(&text);
	rmdir(path);
	ck_assert_int_eq(revoked_kids_add("no-folder-in-this-name", STR("kid"), NOW), ERR_IO);
	unlink("no-folder-in-this-name");
}
END_TEST

START_TEST(a_list_beyond_its_limit_is_an_error_and_not_cut)
{
	struct buf text;

	OK(revoked_kids_add(path, STR("first"), NOW));
	ck_assert_int_eq(truncate(path, REVOKED_KIDS_FILE_MAX + 1), 0);
	buf_init(&text, NULL, REVOKED_KIDS_FILE_MAX);
	ck_assert_int_eq(revoked_kids_read(path, &text), ERR_LIMIT);
	buf_done(&text);
}
END_TEST

START_TEST(the_longest_kid_fits)
{
	char kid[KID_MAX + 1];

	memset(kid, 'k', KID_MAX);
	kid[KID_MAX] = '\0';
	OK(revoked_kids_add(path, str_z(kid), INT64_MAX));
	ck_assert(listed(kid));
}
END_TEST

/* A disk with room for `size` bytes of this file, as far as one process can have it. */
static void room_for(rlim_t size)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_line_that_does_not_fit_leaves_no_trace_that_counts)
{
	enum err e;

	OK(revoked_kids_add(path, STR("first"), NOW));
	room_for(sizeof("first 1700000000\n") - 1 + sizeof("second kid") - 1);
	e = revoked_kids_add(path, STR("second kid"), NOW);
	room_for(RLIM_INFINITY);
	ck_assert_int_eq(e, ERR_FULL);
	assert_text("first 1700000000\n");
	OK(revoked_kids_add(path, STR("third"), NOW));
	ck_assert(!listed("second kid"));
	ck_assert(!listed("second"));
	ck_assert(listed("third"));
}
END_TEST

/* Who may revoke keys could otherwise do so until the server does not start any more. */
START_TEST(a_full_list_takes_no_more_and_can_be_read)
{
	struct buf text;
	int fd;

	OK(revoked_kids_add(path, STR("first"), NOW));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "\n", 1, REVOKED_KIDS_FILE_MAX - 8), 1);
	close(fd);
	ck_assert_int_eq(revoked_kids_add(path, STR("one-too-many"), NOW), ERR_FULL);
	buf_init(&text, NULL, REVOKED_KIDS_FILE_MAX);
	OK(revoked_kids_read(path, &text));
	ck_assert(revoked_kids_has(str_n(text.p, text.n), STR("first")));
	buf_done(&text);
}
END_TEST

#ifdef CHANCERY_FAULTS
START_TEST(a_full_disk_is_told_before_anything_is_done)
{
	fault_arm("revoked_kids.write:1:full");
	ck_assert_int_eq(revoked_kids_add(path, STR("first"), NOW), ERR_FULL);
	fault_arm(NULL);
	assert_text("");
	OK(revoked_kids_add(path, STR("first"), NOW));
	ck_assert(listed("first"));
}
END_TEST
#endif

int main(void)
{
	const TTest *const tests[] = {
		what_is_added_is_there_and_only_its_owner_may_read_it,
		no_file_is_an_empty_list,
		a_kid_is_matched_whole,
		a_line_that_was_cut_off_revokes_nothing_and_spoils_no_other,
		without_its_line_end_even_a_whole_line_was_promised_to_nobody,
		a_link_in_its_place_is_refused,
		what_cannot_be_opened_is_no_empty_list,
		a_list_beyond_its_limit_is_an_error_and_not_cut,
		the_longest_kid_fits,
		a_line_that_does_not_fit_leaves_no_trace_that_counts,
		a_full_list_takes_no_more_and_can_be_read,
#ifdef CHANCERY_FAULTS
		a_full_disk_is_told_before_anything_is_done,
#endif
	};
	Suite *s = suite_create("revoked kids");
	TCase *tc = tcase_create("revoked kids");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, up, down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
