/* Writing the metrics: Prometheus text format 0.0.4, each family once with HELP and TYPE, in the
 * order of the tables, summed over the threads' shards. */
#include "server/state/metrics.h"

#include <stdio.h>

#include "server/state/metrics_table.h"

/* Larger matrices write only the cells that counted something. */
enum { CELLS_WRITTEN_AT_ZERO = 16 };

/* ---- label values ---- */

static const char *grant_value(const struct metrics_gauges *g, size_t i)
{
	if (i < g->grant_count)
		return g->grants[i];
	return i == GRANTS_COUNTED - 1 ? "none" : NULL;
}

static const char *error_value(const struct metrics_gauges *g, size_t i)
{
	(void)g;
	return err_name((enum err)(ERR_WIRE + 1 + i));
}

static const char *route_value(const struct metrics_gauges *g, size_t i)
{
	if (i < g->route_count && i < ROUTES_COUNTED - 1)
		return g->routes[i];
	return i == ROUTES_COUNTED - 1 ? "none" : NULL;
}

static const char *audit_value(const struct metrics_gauges *g, size_t i)
{
	if (i < g->audit_type_count && i < AUDIT_TYPES_COUNTED - 1)
		return g->audit_types[i];
	return i == AUDIT_TYPES_COUNTED - 1 ? "other" : NULL;
}

static const char *db_class_value(const struct metrics_gauges *g, size_t i)
{
	(void)g;
	return err_name(metrics_db_classes[i]);
}

static const char *alg_value(const struct metrics_gauges *g, size_t i)
{
	(void)g;
	return i == ALG_UNKNOWN ? NULL : alg_name((enum alg)i);
}

#define VALUES(function, ...)                                                                      \
	static const char *function(const struct metrics_gauges *g, size_t i)                      \
	{                                                                                          \
		static const char *const values[] = { __VA_ARGS__ };                               \
		(void)g;                                                                           \
		return values[i];                                                                  \
	}
VALUES(token_value, "access", "refresh")
VALUES(auth_value, "unknown", "client_secret_basic", "client_secret_post", "none")
VALUES(outcome_value, "failure", "success")
VALUES(jwks_value, "full", "304")
VALUES(feed_value, "anonymous", "full")
VALUES(active_value, "false", "true")
VALUES(probe_value, "holds", "lacks", "failed")
VALUES(reason_value, "password", "client_secret", "refresh_repeat")
VALUES(audit_outcome_value, "ok", "denied", "ended")
VALUES(gateway_value, "allowed", "no_token", "invalid_token", "insufficient_scope", "bad_question",
       "undecided")

#define NO_LABEL { NULL, 1, NULL }

const struct family metrics_families[FAMILY_COUNT] = {
	[FAMILY_TOKENS] = { "chancery_tokens_issued_total",
			    "Tokens issued.",
			    CELL_TOKENS,
			    { "grant_type", GRANTS_COUNTED, grant_value },
			    { "token", 2, token_value } },
	[FAMILY_TOKEN_ERRORS] = { "chancery_token_errors_total",
				  "Token requests refused.",
				  CELL_TOKEN_ERRORS,
				  { "grant_type", GRANTS_COUNTED, grant_value },
				  { "error", ERRORS_COUNTED, error_value } },
	[FAMILY_CLIENT_AUTH] = { "chancery_client_auth_total",
				 "Client authentications.",
				 CELL_CLIENT_AUTH,
				 { "method", AUTH_METHODS_COUNTED, auth_value },
				 { "outcome", 2, outcome_value } },
	[FAMILY_PASSWORDS] = { "chancery_password_verifications_total",
			       "Passwords verified.",
			       CELL_PASSWORDS,
			       { "outcome", 2, outcome_value },
			       NO_LABEL },
	[FAMILY_SIGN_ERRORS] = { "chancery_jwt_sign_errors_total",
				 "Signatures that failed.",
				 CELL_SIGN_ERRORS,
				 { "alg", ALG_COUNT, alg_value },
				 NO_LABEL },
	[FAMILY_JWKS] = { "chancery_jwks_requests_total",
			  "Key sets served.",
			  CELL_JWKS,
			  { "cache", 2, jwks_value },
			  NO_LABEL },
	[FAMILY_FEED] = { "chancery_feed_requests_total",
			  "Revocation feeds served.",
			  CELL_FEED,
			  { "view", FEEDS_COUNTED, feed_value },
			  { "cache", 2, jwks_value } },
	[FAMILY_INTROSPECTIONS] = { "chancery_introspections_total",
				    "Introspections answered.",
				    CELL_INTROSPECTIONS,
				    { "active", 2, active_value },
				    NO_LABEL },
	[FAMILY_REVOCATIONS] = { "chancery_revocations_total",
				 "Tokens revoked by their client.",
				 CELL_REVOCATIONS,
				 { "token", 2, token_value },
				 NO_LABEL },
	[FAMILY_RATE_LIMITED] = { "chancery_rate_limited_total",
				  "Requests answered 429.",
				  CELL_RATE_LIMITED,
				  { "route", ROUTES_COUNTED, route_value },
				  { "reason", RATE_REASONS, reason_value } },
	[FAMILY_AUDIT] = { "chancery_audit_events_total",
			   "Audit events; those that share a row count singly.",
			   CELL_AUDIT,
			   { "type", AUDIT_TYPES_COUNTED, audit_value },
			   { "outcome", AUDIT_OUTCOMES, audit_outcome_value } },
	[FAMILY_AUDIT_ERRORS] = { "chancery_audit_write_errors_total",
				  "Audit rows that could not be written.",
				  CELL_AUDIT_ERRORS,
				  { "type", AUDIT_TYPES_COUNTED, audit_value },
				  NO_LABEL },
	[FAMILY_DB_ERRORS] = { "chancery_db_errors_total",
			       "Work on the database that ended in a fault of it.",
			       CELL_DB_ERRORS,
			       { "class", DB_CLASSES_COUNTED, db_class_value },
			       NO_LABEL },
	[FAMILY_HTTP_REFUSED] = { "chancery_http_malformed_total",
				  "Requests refused by the HTTP library before they had a route.",
				  CELL_HTTP_REFUSED, NO_LABEL, NO_LABEL },
	[FAMILY_PROBES] = { "chancery_keys_probe_total",
			    "Looks at the published key set from outside.",
			    CELL_PROBES,
			    { "result", PROBES_COUNTED, probe_value },
			    NO_LABEL },
	[FAMILY_GATEWAY] = { "chancery_gateway_verifications_total",
			     "Tokens judged for gateways.",
			     CELL_GATEWAY,
			     { "verdict", GATEWAY_VERDICTS, gateway_value },
			     NO_LABEL },
};

/* ---- text ---- */

void metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void escaped(struct buf *out, struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\n') {
			buf_z(out, "\\n");
			continue;
		}
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_byte(out, '\\');
		buf_byte(out, value.p[i]);
	}
}

static void u64(struct buf *out, uint64_t v)
{
	buf_fmt(out, " %llu\n", (unsigned long long)v);
}

void metrics_seconds(struct buf *out, uint64_t micros)
{
	buf_fmt(out, " %llu.%06llu\n", (unsigned long long)(micros / 1000000),
		(unsigned long long)(micros % 1000000));
}

void metrics_simple(struct buf *out, const char *name, const char *type, const char *help,
		    uint64_t value)
{
	metrics_head(out, name, type, help);
	buf_z(out, name);
	u64(out, value);
}

/* ---- sums over shards ---- */

static uint64_t load(const _Atomic uint64_t *cell)
{
	return atomic_load_explicit(cell, memory_order_relaxed);
}

static uint64_t sum_cell(struct metrics *m, size_t i)
{
	uint64_t sum = 0;

	for (struct metrics_shard *s = atomic_load(&m->shards); s; s = s->next)
		sum += load(&s->cells[i]);
	return sum;
}

struct sums {
	uint64_t buckets[BUCKETS_MAX + 1];
	uint64_t sum_us;
	uint64_t codes[CODES_MAX];
	uint64_t requests;
};

static void sum_histogram(struct sums *sums, const struct histogram *h)
{
	for (size_t i = 0; i <= BUCKETS_MAX; i++)
		sums->buckets[i] += load(&h->buckets[i]);
	sums->sum_us += load(&h->sum_us);
}

static struct sums sum_series(struct metrics *m, uint32_t key)
{
	struct sums sums = { .requests = 0 };

	for (struct metrics_shard *s = atomic_load(&m->shards); s; s = s->next) {
		const size_t count = atomic_load_explicit(&s->series_count, memory_order_acquire);

		for (size_t i = 0; i < count; i++) {
			if (s->keys[i] != key)
				continue;
			sum_histogram(&sums, &s->series[i].duration);
			for (size_t c = 0; c < CODES_MAX; c++) {
				const uint64_t n = load(&s->series[i].codes[c]);

				sums.codes[c] += n;
				sums.requests += n;
			}
		}
	}
	return sums;
}

/* ---- families and histograms ---- */

static void cell_line(struct buf *out, const struct family *f, const char *a, const char *b,
		      uint64_t value)
{
	buf_z(out, f->name);
	if (a)
		buf_fmt(out, "{%s=\"%s\"", f->a.name, a);
	if (b)
		buf_fmt(out, ",%s=\"%s\"", f->b.name, b);
	if (a)
		buf_byte(out, '}');
	u64(out, value);
}

static void family(struct metrics *m, const struct metrics_gauges *g, const struct family *f,
		   struct buf *out)
{
	const bool sparse = f->a.count * f->b.count > CELLS_WRITTEN_AT_ZERO;

	metrics_head(out, f->name, "counter", f->help);
	for (size_t i = 0; i < f->a.count; i++) {
		const char *a = f->a.value ? f->a.value(g, i) : NULL;

		if (f->a.value && !a)
			continue;
		for (size_t j = 0; j < f->b.count; j++) {
			const uint64_t value = sum_cell(m, f->first + i * f->b.count + j);

			if (value > 0 || !sparse)
				cell_line(out, f, a, f->b.value ? f->b.value(g, j) : NULL, value);
		}
	}
}

/* `labels` is ready text without braces, "" for none. Buckets are cumulative on the wire. */
static void histogram(struct buf *out, const char *name, struct str labels,
		      const struct bounds *bounds, const struct sums *sums)
{
	const char *comma = labels.n > 0 ? "," : "";
	uint64_t total = 0;

	for (size_t i = 0; i <= bounds->count; i++) {
		total += sums->buckets[i];
		buf_fmt(out, "%s_bucket{%.*s%sle=\"%s\"}", name, STR_ARG(labels), comma,
			i < bounds->count ? bounds->text[i] : "+Inf");
		u64(out, total);
	}
	buf_fmt(out, labels.n > 0 ? "%s_sum{%.*s}" : "%s_sum%.*s", name, STR_ARG(labels));
	metrics_seconds(out, sums->sum_us);
	buf_fmt(out, labels.n > 0 ? "%s_count{%.*s}" : "%s_count%.*s", name, STR_ARG(labels));
	u64(out, total);
}

static void password_histogram(struct metrics *m, struct buf *out)
{
	struct sums sums = { .requests = 0 };

	for (struct metrics_shard *s = atomic_load(&m->shards); s; s = s->next)
		sum_histogram(&sums, &s->password);
	metrics_head(out, "chancery_password_verify_duration_seconds", "histogram",
		     "Time from the password grant's start to its verdict.");
	histogram(out, "chancery_password_verify_duration_seconds", STR(""), &bounds_password,
		  &sums);
}

static void sign_histogram(struct metrics *m, struct buf *out)
{
	metrics_head(out, "chancery_jwt_sign_duration_seconds", "histogram",
		     "Time the signer took for a token.");
	for (unsigned alg = ALG_UNKNOWN + 1; alg < ALG_COUNT; alg++) {
		struct sums sums = { .requests = 0 };
		char labels[32];

		for (struct metrics_shard *s = atomic_load(&m->shards); s; s = s->next)
			sum_histogram(&sums, &s->sign[alg]);
		snprintf(labels, sizeof(labels), "alg=\"%s\"", alg_name((enum alg)alg));
		histogram(out, "chancery_jwt_sign_duration_seconds", str_z(labels), &bounds_sign,
			  &sums);
	}
}

static void db_histogram(struct metrics *m, struct buf *out)
{
	static const char *const labels[DB_OPS] = { "op=\"read\"", "op=\"write\"" };

	metrics_head(
		out, "chancery_db_query_duration_seconds", "histogram",
		"Time of one task on a reader, or of one transaction until it is on the disk.");
	for (size_t op = 0; op < DB_OPS; op++) {
		struct sums sums = { .requests = 0 };

		for (struct metrics_shard *s = atomic_load(&m->shards); s; s = s->next)
			sum_histogram(&sums, &s->db[op]);
		histogram(out, "chancery_db_query_duration_seconds", str_z(labels[op]), &bounds_db,
			  &sums);
	}
}

/* ---- requests ---- */

static void in_flight(struct metrics *m, struct buf *out)
{
	const char *name = "chancery_http_requests_in_flight";

	metrics_head(out, name, "gauge", "Requests that have begun and are not answered.");
	for (size_t i = 0; i < LISTENERS_COUNTED; i++) {
		uint64_t sum = 0;

		for (struct metrics_shard *s = atomic_load(&m->shards); s; s = s->next)
			sum += load(&s->in_flight[i]);
		buf_fmt(out, "%s{listener=\"%s\"}", name,
			listener_name((enum listener)(LISTENER_PUBLIC << i)));
		u64(out, sum);
	}
}

typedef void series_writer(struct buf *out, struct str labels, const struct sums *sums);

static void write_codes(struct buf *out, struct str labels, const struct sums *sums)
{
	for (size_t c = 0; c <= metrics_code_count; c++) {
		if (sums->codes[c] == 0)
			continue;
		buf_fmt(out, "chancery_http_requests_total{%.*s,code=\"", STR_ARG(labels));
		if (c < metrics_code_count)
			buf_i64(out, metrics_codes[c]);
		else
			buf_z(out, "other");
		buf_z(out, "\"}");
		u64(out, sums->codes[c]);
	}
}

static void write_duration(struct buf *out, struct str labels, const struct sums *sums)
{
	histogram(out, "chancery_http_request_duration_seconds", labels, &bounds_request, sums);
}

static void one_series(struct metrics *m, const struct metrics_gauges *g, const unsigned key[3],
		       struct buf *out, series_writer *write)
{
	const struct sums sums = sum_series(m, metrics_series_key(key[0], key[1], key[2]));
	const char *route = key[1] < g->route_count ? g->routes[key[1]] : "none";
	char labels[256];
	int n;

	if (sums.requests == 0)
		return;
	n = snprintf(labels, sizeof(labels), "listener=\"%s\",route=\"%s\",method=\"%s\"",
		     listener_name((enum listener)key[0]), route, method_name((enum method)key[2]));
	if (n > 0 && (size_t)n < sizeof(labels))
		write(out, str_n(labels, (size_t)n), &sums);
}

static void each_series(struct metrics *m, const struct metrics_gauges *g, struct buf *out,
			series_writer *write)
{
	for (unsigned l = LISTENER_PUBLIC; l <= LISTENER_LAST; l <<= 1) {
		for (unsigned r = 0; r <= g->route_count; r++) {
			const unsigned route = r < g->route_count ? r : METRICS_NO_ROUTE;

			for (unsigned method = 0; method < METHOD_COUNT; method++)
				one_series(m, g, (const unsigned[3]){ l, route, method }, out,
					   write);
		}
	}
}

static void requests(struct metrics *m, const struct metrics_gauges *g, struct buf *out)
{
	metrics_head(out, "chancery_http_requests_total", "counter", "Requests answered.");
	each_series(m, g, out, write_codes);
	metrics_head(out, "chancery_http_request_duration_seconds", "histogram",
		     "Time from the request's first header to its answer.");
	each_series(m, g, out, write_duration);
}

/* ---- gauges ---- */

static void lanes(const struct metrics_gauges *g, struct buf *out)
{
	metrics_simple(out, "chancery_password_verify_queue_length", "gauge",
		       "Hashes waiting for a slot.", g->hash_queued);
	metrics_simple(out, "chancery_password_verify_shed_total", "counter",
		       "Hashes refused because the queue was full.", g->hash_shed);
	metrics_simple(out, "chancery_blocking_queue_length", "gauge",
		       "Reads waiting for a thread.", g->blocking_queued);
	metrics_simple(out, "chancery_blocking_shed_total", "counter",
		       "Reads refused because the queue was full.", g->blocking_shed);
	metrics_simple(out, "chancery_writer_queue_length", "gauge",
		       "Writes waiting for the writer.", g->writer_queued);
	metrics_simple(out, "chancery_writer_batches_total", "counter",
		       "Transactions of the writer.", g->writer_batches);
	metrics_simple(out, "chancery_writer_operations_total", "counter",
		       "Operations the writer ran.", g->writer_operations);
	metrics_simple(out, "chancery_writer_reruns_total", "counter",
		       "Operations run again after a failed batch.", g->writer_reruns);
	metrics_simple(out, "chancery_writer_failures_total", "counter", "Operations that failed.",
		       g->writer_failures);
	metrics_simple(out, "chancery_writer_shed_total", "counter",
		       "Writes refused because the queue was full.", g->writer_shed);
	metrics_simple(out, "chancery_log_dropped_total", "counter",
		       "Log lines dropped because the sink was stuck.", g->log_dropped);
}

static void rotations(const struct metrics_gauges *g, struct buf *out)
{
	const char *name = "chancery_key_rotations_total";

	metrics_head(out, name, "counter", "Key rotations.");
	buf_fmt(out, "%s{trigger=\"schedule\",outcome=\"success\"}", name);
	u64(out, g->key_rotations_scheduled);
	buf_fmt(out, "%s{trigger=\"manual\",outcome=\"success\"}", name);
	u64(out, g->key_rotations_manual);
	buf_fmt(out, "%s{trigger=\"emergency\",outcome=\"success\"}", name);
	u64(out, g->key_rotations_emergency);
	buf_fmt(out, "%s{trigger=\"any\",outcome=\"failure\"}", name);
	u64(out, g->key_rotations_failed);
	metrics_head(out, "chancery_key_next_rotation_timestamp_seconds", "gauge",
		     "When the next planned rotation is due; 0 for none.");
	buf_fmt(out, "chancery_key_next_rotation_timestamp_seconds %lld\n",
		(long long)g->next_rotation_at);
}

static void keys(const struct metrics_gauges *g, struct buf *out)
{
	metrics_head(out, "chancery_signing_key_info", "gauge", "Signing keys in the key set.");
	for (size_t i = 0; i < g->key_count; i++) {
		buf_z(out, "chancery_signing_key_info{kid=\"");
		escaped(out, g->keys[i].kid);
		buf_fmt(out, "\",alg=\"%s\",state=\"%s\"} 1\n", g->keys[i].alg, g->keys[i].state);
	}
	metrics_head(out, "chancery_signing_key_state_seconds", "gauge", "Age of a signing key.");
	for (size_t i = 0; i < g->key_count; i++) {
		buf_z(out, "chancery_signing_key_state_seconds{kid=\"");
		escaped(out, g->keys[i].kid);
		buf_fmt(out, "\"} %lld\n", (long long)g->keys[i].age);
	}
}

static void consumers(const struct metrics_gauges *g, struct buf *out)
{
	const char *name = "chancery_jwks_consumers";

	metrics_head(out, name, "gauge",
		     "Verifiers that hold each standby key they should, that do not, and others.");
	buf_fmt(out, "%s{state=\"holding\"} %u\n", name, g->consumers_holding);
	buf_fmt(out, "%s{state=\"lagging\"} %u\n", name, g->consumers_lagging);
	buf_fmt(out, "%s{state=\"anonymous\"} %u\n", name, g->consumers_anonymous);
}

static void configuration(const struct metrics_gauges *g, struct buf *out)
{
	metrics_simple(out, "chancery_config_last_reload_successful", "gauge",
		       "Was the last reload taken.", g->config_reload_ok ? 1 : 0);
	metrics_simple(
		out, "chancery_confined", "gauge",
		"Is the server kept from the master key and from other processes by the kernel.",
		g->confined ? 1 : 0);
	metrics_simple(out, "chancery_clock_in_doubt", "gauge",
		       "Did the wall clock jump: deletes and rotations pause.",
		       g->clock_in_doubt ? 1 : 0);
	metrics_simple(out, "chancery_config_last_reload_success_timestamp_seconds", "gauge",
		       "When a configuration was taken last.",
		       g->config_reloaded_at > 0 ? (uint64_t)g->config_reloaded_at : 0);
	if (!g->version)
		return;
	metrics_head(out, "chancery_build_info", "gauge", "What is running.");
	buf_fmt(out, "chancery_build_info{version=\"%s\"} 1\n", g->version);
}

void metrics_render(struct metrics *m, const struct metrics_gauges *g, struct buf *out)
{
	configuration(g, out);
	requests(m, g, out);
	in_flight(m, out);
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		family(m, g, &metrics_families[i], out);
	password_histogram(m, out);
	sign_histogram(m, out);
	db_histogram(m, out);
	lanes(g, out);
	keys(g, out);
	consumers(g, out);
	metrics_feed(g, out);
	rotations(g, out);
	metrics_process(g, out);
}
