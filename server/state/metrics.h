/* Prometheus metrics: one table of rows (metrics.c), one shard of counters per thread, summed when
 * /metrics is read. No locks where it counts: a shard has one writer; readers load atomically. */
#ifndef CHANCERY_SERVER_METRICS_H
#define CHANCERY_SERVER_METRICS_H

#include "base/buf.h"
#include "base/err.h"

struct metrics;
struct metrics_shard;

MUST_CHECK enum err metrics_new(struct metrics **ret_metrics);
void metrics_free(struct metrics *m);
/* One for each thread that counts; lives as long as the metrics. NULL when out of memory. */
struct metrics_shard *metrics_shard(struct metrics *m);

/* Label sets are closed: each value is an index into a row's constant list, so that no input makes
 * a new series. All of these accept a NULL shard. */
struct request_labels {
	unsigned listener; /* enum listener */
	unsigned method;   /* enum method */
	unsigned route;	   /* index into routes[]; METRICS_NO_ROUTE */
	int status;
};
enum { METRICS_NO_ROUTE = 0xffff, METRICS_NO_GRANT = 0xffff };
void count_request(struct metrics_shard *s, const struct request_labels *labels, int64_t micros);
void count_token(struct metrics_shard *s, unsigned grant, bool refresh);
void count_token_error(struct metrics_shard *s, unsigned grant, enum err e);
void count_client_auth(struct metrics_shard *s, unsigned method, bool ok);
void count_password(struct metrics_shard *s, bool ok, int64_t micros);
void count_sign(struct metrics_shard *s, unsigned alg, bool ok, int64_t micros);
void count_introspection(struct metrics_shard *s, bool active);
void count_revocation(struct metrics_shard *s, bool refresh);
/* What was tried too often. */
enum rate_reason { RATE_PASSWORD, RATE_CLIENT_SECRET, RATE_REFRESH_REPEAT, RATE_REASONS };
void count_rate_limited(struct metrics_shard *s, unsigned route, enum rate_reason reason);
/* `type` is an index into the gauges' audit_types; METRICS_NO_TYPE. audit_count() knows it. */
enum audit_outcome { AUDIT_OK, AUDIT_DENIED, AUDIT_ENDED, AUDIT_OUTCOMES };
enum { METRICS_NO_TYPE = 0xffff };
void count_audit_event(struct metrics_shard *s, unsigned type, enum audit_outcome outcome);
void count_audit_error(struct metrics_shard *s, unsigned type);
/* For a row whose type the caller does not tell: counted as "other". */
void count_audit(struct metrics_shard *s, bool ok);
/* Work on the database: one task on a reader, or one transaction of the writer from its begin until
 * it is on the disk. Only faults of the database count as errors. */
enum db_op { DB_OP_READ, DB_OP_WRITE, DB_OPS };
void count_db(struct metrics_shard *s, enum db_op op, int64_t micros);
void count_db_result(struct metrics_shard *s, enum err result);
/* A request has begun, or its memory is given back; by the same thread. */
void count_begun(struct metrics_shard *s, unsigned listener);
void count_ended(struct metrics_shard *s, unsigned listener);
void count_jwks(struct metrics_shard *s, bool not_modified);
/* The revocation feed was read; `view` is enum feed_view. */
void count_feed(struct metrics_shard *s, unsigned view, bool not_modified);
void count_http_refused(struct metrics_shard *s); /* refused below us by the HTTP library */
void count_probe(struct metrics_shard *s, unsigned verdict); /* enum probe_verdict */
/* What /gateway/verify said. */
enum gateway_verdict {
	GATEWAY_ALLOWED,
	GATEWAY_NO_TOKEN,
	GATEWAY_INVALID_TOKEN,
	GATEWAY_INSUFFICIENT,
	GATEWAY_BAD_QUESTION, /* of the gateway: its configuration is wrong */
	GATEWAY_UNDECIDED,    /* trouble of ours */
	GATEWAY_VERDICTS
};
void count_gateway(struct metrics_shard *s, enum gateway_verdict verdict);

/* Values that are read when asked for: filled by the caller of metrics_render. */
struct metrics_gauges {
	const char *version; /* NULL: chancery_build_info is left out */
	uint64_t log_dropped, writer_batches, writer_operations, writer_reruns, writer_failures,
		writer_shed;
	unsigned writer_queued, hash_queued, blocking_queued;
	struct {
		uint64_t entries, merged; /* by view */
	} feed[2];			  /* enum feed_view */
	uint64_t feed_signed, feed_sign_failed;
	unsigned consumers_holding, consumers_lagging, consumers_anonymous;
	uint64_t hash_shed, blocking_shed, key_rotations_scheduled, key_rotations_manual,
		key_rotations_emergency, key_rotations_failed;
	int64_t next_rotation_at, config_reloaded_at, started_at;
	bool config_reload_ok;
	bool confined, clock_in_doubt;
	struct {
		struct str kid;
		const char *alg, *state;
		int64_t age;
	} keys[32];
	size_t key_count;
	const char *const *routes; /* label values, by route index */
	size_t route_count;
	const char *const *grants;
	size_t grant_count;
	const char *const *audit_types;
	size_t audit_type_count;
};
/* Prometheus text format 0.0.4. The buffer's own state tells whether it fitted. */
void metrics_render(struct metrics *m, const struct metrics_gauges *g, struct buf *out);

#endif
