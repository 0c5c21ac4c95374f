/* The log's lines and its sink.
 *
 * The sink must never stop a worker, however stuck its reader is. A socket takes MSG_DONTWAIT. A
 * pipe or a terminal is opened a second time through /proc with O_NONBLOCK, because setting the
 * flag on the descriptor we inherited would set it for every process that shares it (the shell
 * above us, too). A file is never opened again: two offsets into one file overwrite each other.
 * Where a second open is refused (a sandbox) poll() is asked before each write; writes are at most
 * PIPE_BUF bytes, which a pipe that polls writable takes whole.
 *
 * A chunk is whole lines wherever a line fits, and the sink's lock is held over one chunk, so that
 * lines of different threads do not mix. A write that stops in the middle of a line (a full disk)
 * leaves a torn line behind; the next one starts with a line break, and a reader loses that one
 * line only. */
#include "server/state/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "server/state/env.h"

enum sink_kind { SINK_NONBLOCKING, SINK_SOCKET, SINK_POLLED };

struct log {
	int fd;
	int own_fd; /* ours to close, or -1 */
	enum sink_kind kind;
	_Atomic int format;
	_Atomic int level;
	_Atomic uint64_t dropped;
	pthread_mutex_t lock; /* guards torn, and is held while a chunk is written */
	bool torn;
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* ---- the sink ---- */

static void sink_open(struct log *log)
{
	char path[64];
	struct stat st;

	log->kind = SINK_POLLED;
	if (fstat(log->fd, &st))
		return;
	if (S_ISSOCK(st.st_mode))
		log->kind = SINK_SOCKET;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", log->fd);
	log->own_fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (log->own_fd < 0)
		return;
	log->fd = log->own_fd;
	log->kind = SINK_NONBLOCKING;
}

enum err log_new(int fd, enum log_format format, enum log_level level, struct log **ret_log)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return ERR_NOMEM;
	log->fd = fd;
	log->own_fd = -1;
	pthread_mutex_init(&log->lock, NULL);
	sink_open(log);
	log_set(log, format, level);
	*ret_log = log;
	return ERR_OK;
}

void log_free(struct log *log)
{
	if (!log)
		return;
	if (log->own_fd >= 0)
		close(log->own_fd);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

void log_set(struct log *log, enum log_format format, enum log_level level)
{
	atomic_store_explicit(&log->format, (int)format, memory_order_relaxed);
	atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

uint64_t log_dropped(const struct log *log)
{
	return atomic_load_explicit(&log->dropped, memory_order_relaxed);
}

static void count_dropped(struct log *log, uint64_t lines)
{
	atomic_fetch_add_explicit(&log->dropped, lines, memory_order_relaxed);
}

/* As writev(2), but never waits: EAGAIN instead. */
static ssize_t sink_write(const struct log *log, struct iovec *iov, size_t count)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };
	struct pollfd p = { .fd = log->fd, .events = POLLOUT };

	if (log->kind == SINK_SOCKET)
		return sendmsg(log->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (log->kind == SINK_POLLED && (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))) {
		errno = p.revents & (POLLERR | POLLHUP | POLLNVAL) ? EPIPE : EAGAIN;
		return -1;
	}
	return writev(log->fd, iov, (int)count);
}

/* One chunk, under the lock. Returns how many of its bytes went out; -1 with errno. */
static ssize_t put_chunk(struct log *log, const char *p, size_t n)
{
	struct iovec iov[2] = { { (char *)(uintptr_t)"\n", log->torn ? 1 : 0 },
				{ (char *)(uintptr_t)p, n } };
	ssize_t out;

	do {
		out = sink_write(log, iov, 2);
	} while (out < 0 && errno == EINTR);
	if (out > 0 && log->torn) {
		log->torn = false;
		out--;
	}
	return out;
}

/* As many whole lines as fit PIPE_BUF with a torn line's line break; a longer line goes in parts.
 */
static size_t chunk_of(const char *p, size_t n)
{
	const size_t max = PIPE_BUF - 1;
	const char *end;

	if (n <= max)
		return n;
	end = memrchr(p, '\n', max);
	return end ? (size_t)(end - p) + 1 : max;
}

static uint64_t count_lines(const char *p, size_t n)
{
	uint64_t lines = 0;

	for (const char *end = p + n; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		lines++;
	return lines;
}

/* A line stopped in the middle: its rest is worth nothing. Returns where the next one begins. */
static size_t give_up_line(struct log *log, const char *p, size_t n, size_t at)
{
	const char *end = memchr(p + at, '\n', n - at);

	log->torn = true;
	count_dropped(log, 1);
	return end ? (size_t)(end - p) + 1 : n;
}

static bool would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

/* Writes what is taken. Returns how many bytes are done with; sets *ret_failed when the sink is
 * broken. */
static size_t put(struct log *log, const char *p, size_t n, bool *ret_failed)
{
	size_t at = 0;

	*ret_failed = false;
	pthread_mutex_lock(&log->lock);
	while (at < n) {
		const size_t chunk = chunk_of(p + at, n - at);
		const ssize_t out = put_chunk(log, p + at, chunk);

		if (out < 0) {
			*ret_failed = !would_block(errno);
			break;
		}
		at += (size_t)out;
		if ((size_t)out < chunk)
			break;
	}
	if (at > 0 && p[at - 1] != '\n')
		at = give_up_line(log, p, n, at);
	pthread_mutex_unlock(&log->lock);
	return at;
}

/* ---- a thread's buffer ---- */

void log_buf_init(struct log_buf *b, struct log *log)
{
	*b = (struct log_buf){ .log = log, .skip = true };
	buf_init(&b->text, NULL, LOG_BUF_MAX);
}

void log_flush(struct log_buf *b)
{
	bool failed;
	size_t done;

	if (b->text.n == 0)
		return;
	done = put(b->log, b->text.p, b->text.n, &failed);
	if (failed) {
		count_dropped(b->log, count_lines(b->text.p + done, b->text.n - done));
		done = b->text.n;
	}
	memmove(b->text.p, b->text.p + done, b->text.n - done);
	b->text.n -= done;
}

void log_buf_done(struct log_buf *b)
{
	log_flush(b);
	if (b->text.n > 0)
		count_dropped(b->log, count_lines(b->text.p, b->text.n));
	buf_done(&b->text);
}

bool log_wants(const struct log_buf *b, enum log_level level)
{
	return (int)level >= atomic_load_explicit(&b->log->level, memory_order_relaxed);
}

/* ---- escaping ---- */

/* Length of the valid UTF-8 sequence at p, 0 if there is none. */
static size_t sequence(const char *p, size_t n)
{
	for (size_t len = 2; len <= 4 && len <= n; len++) {
		if (str_is_utf8(str_n(p, len)))
			return len;
	}
	return 0;
}

static const char *short_escape(unsigned char c)
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		return NULL;
	}
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* C1 controls, too, drive terminals: a log read with cat must not be able to. */
static bool is_c1(const char *p, size_t len)
{
	return len == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0;
}

/* Writes what stands at p, escaped; returns how many bytes of input that was. */
static size_t escape_one(struct buf *out, const char *p, size_t n)
{
	const unsigned char c = (unsigned char)*p;
	const char *known = short_escape(c);
	size_t len;

	if (known) {
		buf_z(out, known);
		return 1;
	}
	if (c < 0x80) {
		buf_fmt(out, "\\u%04x", c);
		return 1;
	}
	len = sequence(p, n);
	if (len == 0) {
		buf_z(out, "\\ufffd");
		return 1;
	}
	if (is_c1(p, len))
		buf_fmt(out, "\\u%04x", (unsigned char)p[1]);
	else
		buf_add(out, p, len);
	return len;
}

static void quoted(struct buf *out, struct str s)
{
	size_t i = 0;

	buf_byte(out, '"');
	while (i < s.n) {
		size_t run = 0;

		while (i + run < s.n && is_plain((unsigned char)s.p[i + run]))
			run++;
		buf_add(out, s.p + i, run);
		i += run;
		if (i < s.n)
			i += escape_one(out, s.p + i, s.n - i);
	}
	buf_byte(out, '"');
}

/* logfmt: a bare word needs no quotes. */
static bool is_word(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_plain((unsigned char)s.p[i]) || s.p[i] == ' ' || s.p[i] == '=')
			return false;
	}
	return s.n > 0;
}

/* ---- lines ---- */

static void write_key(struct log_buf *b, const char *key)
{
	if (b->format == LOG_FORMAT_JSON) {
		buf_z(&b->text, b->text.n == b->line_start ? "{\"" : ",\"");
		buf_z(&b->text, key);
		buf_z(&b->text, "\":");
		return;
	}
	if (b->text.n > b->line_start)
		buf_byte(&b->text, ' ');
	buf_z(&b->text, key);
	buf_byte(&b->text, '=');
}

static void write_ts(struct log_buf *b)
{
	char text[RFC3339_LEN + 1];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	rfc3339(now.tv_sec, text);
	write_key(b, "ts");
	if (b->format == LOG_FORMAT_JSON)
		buf_byte(&b->text, '"');
	buf_add(&b->text, text, RFC3339_LEN - 1);
	buf_fmt(&b->text, ".%03dZ", (int)(now.tv_nsec / 1000000));
	if (b->format == LOG_FORMAT_JSON)
		buf_byte(&b->text, '"');
}

void log_begin(struct log_buf *b, enum log_level level, const char *msg)
{
	b->skip = !log_wants(b, level);
	if (b->skip)
		return;
	b->line_start = b->text.n;
	b->format = (enum log_format)atomic_load_explicit(&b->log->format, memory_order_relaxed);
	write_ts(b);
	log_z(b, "level", level_names[level]);
	log_z(b, "msg", msg);
}

void log_str(struct log_buf *b, const char *key, struct str value)
{
	if (b->skip || !value.p)
		return;
	if (value.n > LOG_VALUE_MAX)
		value.n = LOG_VALUE_MAX;
	write_key(b, key);
	if (b->format == LOG_FORMAT_LOGFMT && is_word(value))
		buf_str(&b->text, value);
	else
		quoted(&b->text, value);
}

void log_z(struct log_buf *b, const char *key, const char *value)
{
	log_str(b, key, str_z(value));
}

void log_int(struct log_buf *b, const char *key, int64_t value)
{
	if (b->skip)
		return;
	write_key(b, key);
	buf_i64(&b->text, value);
}

void log_end(struct log_buf *b)
{
	if (b->skip)
		return;
	b->skip = true;
	buf_z(&b->text, b->format == LOG_FORMAT_JSON ? "}\n" : "\n");
	if (b->text.err == ERR_OK)
		return;
	/* no room: this line goes, those before it stay */
	b->text.err = ERR_OK;
	b->text.n = b->line_start;
	count_dropped(b->log, 1);
}

void log_say(struct log *log, enum log_level level, const char *msg, const char *key,
	     const char *value)
{
	struct log_buf b;

	log_buf_init(&b, log);
	log_begin(&b, level, msg);
	if (key)
		log_z(&b, key, value);
	log_end(&b);
	log_buf_done(&b);
}
