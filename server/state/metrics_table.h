/* What is counted, as rows: shared by metrics.c, which counts, and metrics_render.c, which writes.
 *
 * A family is a small matrix of cells, one for each pair of label values; both label sets are
 * closed. All cells of a thread lie in one array of its shard. One thread adds, with a load and a
 * store instead of a locked instruction; readers load. */
#ifndef CHANCERY_SERVER_METRICS_TABLE_H
#define CHANCERY_SERVER_METRICS_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "jose/alg.h"
#include "server/state/metrics.h"
#include "server/state/wire.h"

enum {
	GRANTS_COUNTED = 8,	  /* the last stands for "none that we have" */
	AUTH_METHODS_COUNTED = 4, /* enum auth_method */
	FEEDS_COUNTED = 2,	  /* enum feed_view */
	PROBES_COUNTED = 3,	  /* enum probe_verdict */
	ERRORS_COUNTED = ERR_COUNT - ERR_WIRE - 1,
	ROUTES_COUNTED = 64,	  /* by cells; the last stands for "none" and what is beyond */
	AUDIT_TYPES_COUNTED = 48, /* the last stands for "other" */
	LISTENERS_COUNTED = 4,
	DB_CLASSES_COUNTED = 5,
	BUCKETS_MAX = 14, /* without +Inf */
	SERIES_MAX = 128, /* (listener, route, method) that one thread has seen */
	CODES_MAX = 24,
};

enum family_id {
	FAMILY_TOKENS,
	FAMILY_TOKEN_ERRORS,
	FAMILY_CLIENT_AUTH,
	FAMILY_PASSWORDS,
	FAMILY_SIGN_ERRORS,
	FAMILY_JWKS,
	FAMILY_FEED,
	FAMILY_INTROSPECTIONS,
	FAMILY_REVOCATIONS,
	FAMILY_RATE_LIMITED,
	FAMILY_AUDIT,
	FAMILY_AUDIT_ERRORS,
	FAMILY_DB_ERRORS,
	FAMILY_HTTP_REFUSED,
	FAMILY_PROBES,
	FAMILY_GATEWAY,
	FAMILY_COUNT
};

/* `value` gets the gauges, because routes and grants are known to the caller of metrics_render
 * only; NULL means that this value does not exist in this server. */
struct label {
	const char *name;
	size_t count;
	const char *(*value)(const struct metrics_gauges *g, size_t i);
};

struct family {
	const char *name, *help;
	size_t first; /* cell */
	struct label a, b;
};
extern const struct family metrics_families[FAMILY_COUNT];
enum {
	CELL_TOKENS = 0,
	CELL_TOKEN_ERRORS = CELL_TOKENS + GRANTS_COUNTED * 2,
	CELL_CLIENT_AUTH = CELL_TOKEN_ERRORS + GRANTS_COUNTED * ERRORS_COUNTED,
	CELL_PASSWORDS = CELL_CLIENT_AUTH + AUTH_METHODS_COUNTED * 2,
	CELL_SIGN_ERRORS = CELL_PASSWORDS + 2,
	CELL_JWKS = CELL_SIGN_ERRORS + ALG_COUNT,
	CELL_FEED = CELL_JWKS + 2,
	CELL_INTROSPECTIONS = CELL_FEED + FEEDS_COUNTED * 2,
	CELL_REVOCATIONS = CELL_INTROSPECTIONS + 2,
	CELL_RATE_LIMITED = CELL_REVOCATIONS + 2,
	CELL_AUDIT = CELL_RATE_LIMITED + ROUTES_COUNTED * RATE_REASONS,
	CELL_AUDIT_ERRORS = CELL_AUDIT + AUDIT_TYPES_COUNTED * AUDIT_OUTCOMES,
	CELL_DB_ERRORS = CELL_AUDIT_ERRORS + AUDIT_TYPES_COUNTED,
	CELL_HTTP_REFUSED = CELL_DB_ERRORS + DB_CLASSES_COUNTED,
	CELL_PROBES = CELL_HTTP_REFUSED + 1,
	CELL_GATEWAY = CELL_PROBES + PROBES_COUNTED,
	CELL_COUNT = CELL_GATEWAY + GATEWAY_VERDICTS
};

struct bounds {
	size_t count;
	int64_t micros[BUCKETS_MAX];
	const char *text[BUCKETS_MAX]; /* seconds, as `le` says them */
};
extern const struct bounds bounds_request, bounds_sign, bounds_password, bounds_db;

struct histogram {
	_Atomic uint64_t
		buckets[BUCKETS_MAX + 1]; /* not cumulative; the one after the last bound is +Inf */
	_Atomic uint64_t sum_us;
};

/* Statuses we send, in order; what is not among them is counted behind the last. */
extern const int metrics_codes[];
extern const size_t metrics_code_count;

/* Results that are faults of the database, in the order of their cells. */
extern const enum err metrics_db_classes[DB_CLASSES_COUNTED];

struct series {
	_Atomic uint64_t codes[CODES_MAX];
	struct histogram duration;
};

struct metrics_shard {
	struct metrics_shard *next; /* set before the shard is reachable */
	_Atomic uint64_t cells[CELL_COUNT];
	struct histogram password, sign[ALG_COUNT], db[DB_OPS];
	_Atomic uint64_t in_flight[LISTENERS_COUNTED];
	_Atomic size_t series_count; /* released after the key is written */
	uint32_t keys[SERIES_MAX];
	struct series series[SERIES_MAX];
};

struct metrics {
	pthread_mutex_t lock; /* guards adding a shard */
	struct metrics_shard *_Atomic shards;
};

/* ---- text ---- */

/* The two lines before a family. */
void metrics_head(struct buf *out, const char *name, const char *type, const char *help);
/* A family of one value without labels. */
void metrics_simple(struct buf *out, const char *name, const char *type, const char *help,
		    uint64_t value);
/* " 1.000002" and a line's end: micros as seconds, exactly. */
void metrics_seconds(struct buf *out, uint64_t micros);
void metrics_feed(const struct metrics_gauges *g, struct buf *out);
/* metrics_process.c */
void metrics_process(const struct metrics_gauges *g, struct buf *out);

uint32_t metrics_series_key(unsigned listener, unsigned route, unsigned method);

#endif
