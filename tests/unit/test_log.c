/* The log: what a line looks like, whatever is in it; and that no sink, however stuck, holds us up.
 */
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "server/state/log.h"

enum { READ_MAX = 4 << 20 };

struct sink {
	int in, out; /* we read `in`, the log writes `out` */
	struct log *log;
	struct log_buf buf;
	char *text;
	size_t n;
};

static void sink_on(struct sink *s, int in, int out, enum log_format format)
{
	*s = (struct sink){ .in = in, .out = out, .text = malloc(READ_MAX) };
	ck_assert_ptr_nonnull(s->text);
	ck_assert_int_eq(log_new(out, format, LOG_INFO, &s->log), ERR_OK);
	log_buf_init(&s->buf, s->log);
}

static void sink_up(struct sink *s, enum log_format format)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	sink_on(s, fds[0], fds[1], format);
}

static void sink_down(struct sink *s)
{
	log_buf_done(&s->buf);
	log_free(s->log);
	free(s->text);
	if (s->in >= 0)
		close(s->in);
	close(s->out);
}

/* Appends all that has arrived to s->text. */
static void drain(struct sink *s)
{
	ssize_t n;

	while ((n = read(s->in, s->text + s->n, READ_MAX - s->n)) > 0)
		s->n += (size_t)n;
}

static void one_line(struct sink *s, int64_t i)
{
	log_begin(&s->buf, LOG_INFO, "line");
	log_int(&s->buf, "i", i);
	log_z(&s->buf, "pad", "0123456789012345678901234567890123456789");
	log_end(&s->buf);
}

/* Every line is JSON and of ours; returns how many there are. */
static size_t whole_lines(const struct sink *s)
{
	struct str rest = str_n(s->text, s->n);
	struct str line;
	size_t count = 0;

	ck_assert(s->n == 0 || s->text[s->n - 1] == '\n');
	while (str_next(&rest, '\n', &line)) {
		struct json *root;
		struct str msg;

		ck_assert_int_eq(json_parse(line, READ_MAX, &root), ERR_OK);
		ck_assert(json_str(json_get(root, "msg"), &msg));
		ck_assert(str_equal_z(msg, "line"));
		json_free(root);
		count++;
	}
	return count;
}

/* Fills the pipe or socket until it takes no more. */
static void stuff(int fd)
{
	const int flags = fcntl(fd, F_GETFL);
	char block[4096] = { 0 };

	ck_assert_int_eq(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	while (write(fd, block, 1) > 0)
		;
	ck_assert_int_eq(fcntl(fd, F_SETFL, flags), 0);
}

/* ---- lines ---- */

START_TEST(values_survive_json_escaping)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "a\"b\\c", "a\"b\\c" },
		{ "tab\tline\nreturn\r", "tab\tline\nreturn\r" },
		{ "\x01\x1b[31m\x7f", "\x01\x1b[31m\x7f" },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91",
		  "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91" },
		{ "bad \xff\xfe end", "bad \xef\xbf\xbd\xef\xbf\xbd end" },
		{ "overlong \xc0\xaf", "overlong \xef\xbf\xbd\xef\xbf\xbd" },
		{ "surrogate \xed\xa0\x80", "surrogate \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd" },
		{ "c1 \xc2\x9b"
		  "31m",
		  "c1 \xc2\x9b"
		  "31m" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sink s;
		struct json *root;
		struct str value;

		sink_up(&s, LOG_FORMAT_JSON);
		log_begin(&s.buf, LOG_WARN, "values");
		log_z(&s.buf, "v", rows[i].in);
		log_int(&s.buf, "n", -5);
		log_end(&s.buf);
		log_flush(&s.buf);
		drain(&s);
		ck_assert_uint_gt(s.n, 0);
		ck_assert_msg(s.text[s.n - 1] == '\n', "row %zu", i);
		ck_assert_int_eq(json_parse(str_n(s.text, s.n - 1), READ_MAX, &root), ERR_OK);
		ck_assert(json_str(json_get(root, "v"), &value));
		ck_assert_msg(str_equal_z(value, rows[i].out), "row %zu: %.*s", i, STR_ARG(value));
		ck_assert(json_str(json_get(root, "level"), &value) && str_equal_z(value, "warn"));
		json_free(root);
		sink_down(&s);
	}
}
END_TEST

START_TEST(a_line_carries_no_control_and_no_terminal_escape)
{
	struct sink s;

	for (int format = LOG_FORMAT_JSON; format <= LOG_FORMAT_LOGFMT; format++) {
		sink_up(&s, (enum log_format)format);
		log_begin(&s.buf, LOG_INFO, "all bytes");
		for (int c = 0; c < 256; c++) {
			const char text[2] = { (char)c, 'x' };

			log_str(&s.buf, "v", str_n(text, 2));
		}
		log_str(&s.buf, "v",
			STR("\xc2\x9b"
			    "31m"));
		log_end(&s.buf);
		log_flush(&s.buf);
		drain(&s);
		ck_assert_uint_gt(s.n, 0);
		for (size_t i = 0; i + 1 < s.n; i++)
			ck_assert_msg(s.text[i] >= 0x20 && s.text[i] < 0x7f, "byte %zu", i);
		ck_assert(s.text[s.n - 1] == '\n');
		sink_down(&s);
	}
}
END_TEST

START_TEST(logfmt_quotes_only_what_needs_it)
{
	static const char want[] =
		" level=info msg=request id=abc-1 empty=\"\" eq=\"a=b\" sp=\"a b\" "
		"q=\"\\\"\" n=7\n";
	struct sink s;

	sink_up(&s, LOG_FORMAT_LOGFMT);
	log_begin(&s.buf, LOG_INFO, "request");
	log_z(&s.buf, "id", "abc-1");
	log_z(&s.buf, "empty", "");
	log_z(&s.buf, "absent", NULL);
	log_z(&s.buf, "eq", "a=b");
	log_z(&s.buf, "sp", "a b");
	log_z(&s.buf, "q", "\"");
	log_int(&s.buf, "n", 7);
	log_end(&s.buf);
	log_flush(&s.buf);
	drain(&s);
	ck_assert(str_starts(str_n(s.text, s.n), STR("ts=2")));
	ck_assert_msg(str_ends(str_n(s.text, s.n), STR(want)), "%.*s", (int)s.n, s.text);
	sink_down(&s);
}
END_TEST

START_TEST(below_the_level_nothing_is_written)
{
	struct sink s;

	sink_up(&s, LOG_FORMAT_JSON);
	log_begin(&s.buf, LOG_DEBUG, "line");
	log_z(&s.buf, "k", "v");
	log_end(&s.buf);
	ck_assert(!log_wants(&s.buf, LOG_DEBUG));
	log_set(s.log, LOG_FORMAT_JSON, LOG_DEBUG);
	ck_assert(log_wants(&s.buf, LOG_DEBUG));
	log_begin(&s.buf, LOG_DEBUG, "line");
	log_end(&s.buf);
	log_say(s.log, LOG_INFO, "line", "key", "value");
	log_say(s.log, LOG_INFO, "line", NULL, NULL);
	log_flush(&s.buf);
	drain(&s);
	ck_assert_uint_eq(whole_lines(&s), 3);
	sink_down(&s);
}
END_TEST

/* Longer than what a pipe takes at once. */
static void long_line(struct sink *s)
{
	char value[2000];

	memset(value, 'v', sizeof(value));
	log_begin(&s->buf, LOG_INFO, "line");
	for (int i = 0; i < 6; i++)
		log_str(&s->buf, "v", str_n(value, LOG_VALUE_MAX + (size_t)i));
	log_end(&s->buf);
}

START_TEST(long_line_is_whole_and_its_values_are_cut)
{
	struct sink s;

	sink_up(&s, LOG_FORMAT_LOGFMT);
	long_line(&s);
	long_line(&s);
	log_flush(&s.buf);
	drain(&s);
	ck_assert_uint_eq(log_dropped(s.log), 0);
	ck_assert_ptr_eq(memchr(s.text, '\n', s.n), s.text + s.n / 2 - 1);
	ck_assert_uint_lt(s.n / 2, 6 * (LOG_VALUE_MAX + 3) + 100);
	ck_assert_uint_gt(s.n / 2, 6 * LOG_VALUE_MAX);
	sink_down(&s);
}
END_TEST

/* ---- sinks ---- */

/* A stuck reader: flushes return, lines wait until there is no room, then whole lines go and are
 * counted. */
static void stuck_then_free(struct sink *s)
{
	const size_t total = 8000; /* of about 130 bytes: four times LOG_BUF_MAX */
	size_t lines;

	stuff(s->out);
	alarm(10); /* a blocked write ends the test */
	for (size_t i = 0; i < total; i++) {
		one_line(s, (int64_t)i);
		if (i % 16 == 0)
			log_flush(&s->buf);
	}
	log_flush(&s->buf);
	alarm(0);
	ck_assert_uint_gt(log_dropped(s->log), 0);
	ck_assert_uint_le(s->buf.text.n, LOG_BUF_MAX);
	drain(s); /* the stuffing */
	s->n = 0;
	for (int i = 0; i < 1000 && s->buf.text.n > 0; i++) {
		log_flush(&s->buf);
		drain(s);
	}
	lines = whole_lines(s);
	ck_assert_uint_gt(lines, 1000);
	ck_assert_uint_eq(lines + log_dropped(s->log), total);
}

START_TEST(full_pipe_never_blocks_and_whole_lines_are_dropped_and_counted)
{
	struct sink s;

	sink_up(&s, LOG_FORMAT_JSON);
	stuck_then_free(&s);
	sink_down(&s);
}
END_TEST

START_TEST(full_pipe_never_blocks_where_proc_cannot_be_opened)
{
	struct rlimit limit, none = { 3, 3 };
	struct sink s;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none.rlim_max = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	sink_on(&s, fds[0], fds[1], LOG_FORMAT_JSON);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	stuck_then_free(&s);
	sink_down(&s);
}
END_TEST

START_TEST(full_socket_never_blocks)
{
	struct sink s;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	sink_on(&s, fds[0], fds[1], LOG_FORMAT_JSON);
	stuck_then_free(&s);
	sink_down(&s);
}
END_TEST

START_TEST(full_device_drops_and_counts)
{
	struct sink s;

	sink_on(&s, -1, open("/dev/full", O_WRONLY), LOG_FORMAT_JSON);
	for (int i = 0; i < 100; i++)
		one_line(&s, i);
	log_flush(&s.buf);
	ck_assert_uint_eq(log_dropped(s.log), 100);
	ck_assert_uint_eq(s.buf.text.n, 0);
	sink_down(&s);
}
END_TEST

START_TEST(reader_that_went_away_drops_and_counts)
{
	struct sink s;

	signal(SIGPIPE, SIG_IGN);
	sink_up(&s, LOG_FORMAT_JSON);
	close(s.in);
	s.in = -1;
	one_line(&s, 1);
	one_line(&s, 2);
	log_flush(&s.buf);
	ck_assert_uint_eq(log_dropped(s.log), 2);
	sink_down(&s);
}
END_TEST

/* The pipe takes the first part of it and no more. */
START_TEST(long_line_that_is_stuck_half_way_is_given_up)
{
	char block[4096];
	struct sink s;

	sink_up(&s, LOG_FORMAT_JSON);
	stuff(s.out);
	ck_assert_int_eq(read(s.in, block, sizeof(block)), sizeof(block));
	log_begin(&s.buf, LOG_INFO, "line");
	for (int i = 0; i < 6; i++) {
		const char key[] = { (char)('a' + i), '\0' };

		log_str(&s.buf, key, str_n(block, sizeof(block)));
	}
	log_end(&s.buf);
	log_flush(&s.buf);
	ck_assert_uint_eq(log_dropped(s.log), 1);
	ck_assert_uint_eq(s.buf.text.n, 0);
	drain(&s);
	s.n = 0;
	one_line(&s, 1);
	log_flush(&s.buf);
	drain(&s);
	ck_assert_uint_gt(s.n, 0);
	ck_assert_int_eq(s.text[0], '\n');
	memmove(s.text, s.text + 1, --s.n);
	ck_assert_uint_eq(whole_lines(&s), 1);
	sink_down(&s);
}
END_TEST

/* A disk that fills up in the middle of a line, then has room again. */
START_TEST(a_torn_line_costs_a_reader_that_line_only)
{
	char path[] = "/tmp/chancery-log-XXXXXX";
	const int fd = mkstemp(path);
	struct rlimit limit, tight;
	struct sink s;

	signal(SIGXFSZ, SIG_IGN);
	unlink(path);
	sink_on(&s, fd, dup(fd), LOG_FORMAT_JSON);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	tight = (struct rlimit){ 300, limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (int i = 0; i < 4; i++)
		one_line(&s, i);
	log_flush(&s.buf);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	log_flush(&s.buf);
	one_line(&s, 4);
	log_flush(&s.buf);
	ck_assert_int_eq(lseek(s.in, 0, SEEK_SET), 0);
	drain(&s);
	ck_assert_uint_eq(log_dropped(s.log), 1);
	/* two lines, what is torn on a line of its own, the other two */
	struct str rest = str_n(s.text, s.n), line;
	int good = 0, bad = 0;

	while (str_next(&rest, '\n', &line)) {
		struct json *root = NULL;

		if (json_parse(line, READ_MAX, &root) == ERR_OK)
			good++;
		else
			bad++;
		json_free(root);
	}
	ck_assert_int_eq(good, 4);
	ck_assert_int_eq(bad, 1);
	sink_down(&s);
}
END_TEST

START_TEST(file_of_another_writer_is_not_overwritten)
{
	char path[] = "/tmp/chancery-log-XXXXXX";
	const int fd = mkstemp(path);
	struct sink s;
	struct str text;

	sink_on(&s, open(path, O_RDONLY), fd, LOG_FORMAT_JSON);
	unlink(path);
	one_line(&s, 1);
	log_flush(&s.buf);
	ck_assert_int_eq(write(fd, "another process\n", 16), 16);
	one_line(&s, 2);
	log_flush(&s.buf);
	drain(&s);
	text = str_n(s.text, s.n);
	ck_assert_ptr_nonnull(memmem(text.p, text.n, "}\nanother process\n{", 19));
	sink_down(&s);
}
END_TEST

struct writer {
	pthread_t thread;
	struct log *log;
};

static void *write_many(void *arg)
{
	const struct writer *w = arg;
	struct sink s = { .log = w->log };

	log_buf_init(&s.buf, w->log);
	for (int i = 0; i < 2000; i++) {
		one_line(&s, i);
		if (i % 40 == 0)
			log_flush(&s.buf);
	}
	while (s.buf.text.n > 0)
		log_flush(&s.buf);
	log_buf_done(&s.buf);
	return NULL;
}

START_TEST(lines_of_different_threads_do_not_mix)
{
	struct writer writers[4];
	struct sink s;

	sink_up(&s, LOG_FORMAT_JSON);
	for (int i = 0; i < 4; i++) {
		writers[i].log = s.log;
		ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]),
				 0);
	}
	while (s.n == 0 || memchr(s.text, '\n', s.n) == NULL || log_dropped(s.log) > 0 ||
	       whole_lines(&s) < 4 * 2000) {
		ck_assert_uint_eq(log_dropped(s.log), 0);
		usleep(1000);
		drain(&s);
		while (s.n > 0 && s.text[s.n - 1] != '\n')
			drain(&s);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(writers[i].thread, NULL);
	sink_down(&s);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		values_survive_json_escaping,
		a_line_carries_no_control_and_no_terminal_escape,
		logfmt_quotes_only_what_needs_it,
		below_the_level_nothing_is_written,
		long_line_is_whole_and_its_values_are_cut,
		full_pipe_never_blocks_and_whole_lines_are_dropped_and_counted,
		full_pipe_never_blocks_where_proc_cannot_be_opened,
		full_socket_never_blocks,
		full_device_drops_and_counts,
		reader_that_went_away_drops_and_counts,
		long_line_that_is_stuck_half_way_is_given_up,
		a_torn_line_costs_a_reader_that_line_only,
		file_of_another_writer_is_not_overwritten,
		lines_of_different_threads_do_not_mix,
	};

	return suite_run("log", tests, COUNT(tests));
}
