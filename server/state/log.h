/* Our log: one JSON object or logfmt line per event, to stderr. A struct log_buf belongs to one
 * thread; log_flush writes what the sink takes without blocking and keeps the rest for the next
 * time; when LOG_BUF_MAX bytes wait, or the sink fails, whole lines are dropped and counted. Values
 * are escaped; secrets never get here (struct secret has no printer).
 *
 * Fields of every line: ts (RFC 3339, milliseconds), level, msg; then those given. */
#ifndef CHANCERY_SERVER_LOG_H
#define CHANCERY_SERVER_LOG_H

#include "base/buf.h"
#include "server/state/config.h"

enum { LOG_BUF_MAX = 256 << 10, LOG_VALUE_MAX = 1024 };

struct log; /* the sink: shared, thread-safe */
/* `fd` stays the caller's. SIGPIPE must be ignored. */
MUST_CHECK enum err log_new(int fd, enum log_format format, enum log_level level,
			    struct log **ret_log);
void log_free(struct log *log);
/* For SIGHUP. */
void log_set(struct log *log, enum log_format format, enum log_level level);
uint64_t log_dropped(const struct log *log);

struct log_buf {
	struct log *log;
	struct buf text; /* finished lines, then the one being built */
	size_t line_start;
	enum log_format format; /* of the line being built */
	bool skip;
};
void log_buf_init(struct log_buf *b, struct log *log);
/* Flushes; what cannot be written is dropped and counted. */
void log_buf_done(struct log_buf *b);
void log_flush(struct log_buf *b);

/* Would a line of this level be written? For callers that would work to make the fields. */
bool log_wants(const struct log_buf *b, enum log_level level);
/* log_begin, fields, log_end. Below the level all is skipped. `msg` and keys are literals. */
void log_begin(struct log_buf *b, enum log_level level, const char *msg);
/* Absent values are left out, those above LOG_VALUE_MAX cut. */
void log_str(struct log_buf *b, const char *key, struct str value);
void log_z(struct log_buf *b, const char *key, const char *value);
void log_int(struct log_buf *b, const char *key, int64_t value);
void log_end(struct log_buf *b);
/* One-line form for threads without a buffer of their own: builds, writes and flushes. `key` may be
 * NULL. */
void log_say(struct log *log, enum log_level level, const char *msg, const char *key,
	     const char *value);

#endif
