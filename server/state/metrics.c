/* Counting. Each thread adds to a shard of its own, so that two cores never fight over a line; a
 * shard is zeroed memory that costs a page only where something was counted. */
#include "server/state/metrics.h"

#include <stdlib.h>

#include "server/state/metrics_table.h"

enum { AUTH_METHOD_UNKNOWN, PASSWORD_WRONG = 0, PASSWORD_RIGHT = 1 };

const struct bounds bounds_request = {
	14,
	{ 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,
	  2000000 },
	{ "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
	  "0.25", "0.5", "1", "2" },
};
const struct bounds bounds_sign = {
	11,
	{ 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000 },
	{ "0.000025", "0.00005", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01",
	  "0.025", "0.05" },
};
const struct bounds bounds_password = {
	8,
	{ 10000, 20000, 50000, 100000, 250000, 500000, 1000000, 2000000 },
	{ "0.01", "0.02", "0.05", "0.1", "0.25", "0.5", "1", "2" },
};

const struct bounds bounds_db = {
	13,
	{ 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000 },
	{ "0.00005", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
	  "0.05", "0.1", "0.25", "1" },
};

const int metrics_codes[] = {
	200, 201, 202, 204, 304, 400, 401, 403, 404, 405,
	409, 412, 413, 414, 415, 422, 429, 431, 500, 503,
};
const size_t metrics_code_count = sizeof(metrics_codes) / sizeof(*metrics_codes);
_Static_assert(sizeof(metrics_codes) / sizeof(*metrics_codes) < CODES_MAX,
	       "one is kept for the others");

const enum err metrics_db_classes[DB_CLASSES_COUNTED] = {
	ERR_BUSY, ERR_FULL, ERR_IO, ERR_CORRUPT, ERR_UNAVAILABLE,
};

enum err metrics_new(struct metrics **ret_metrics)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return ERR_NOMEM;
	pthread_mutex_init(&m->lock, NULL);
	*ret_metrics = m;
	return ERR_OK;
}

void metrics_free(struct metrics *m)
{
	struct metrics_shard *s, *next;

	if (!m)
		return;
	for (s = atomic_load(&m->shards); s; s = next) {
		next = s->next;
		free(s);
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

struct metrics_shard *metrics_shard(struct metrics *m)
{
	struct metrics_shard *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	/* what finds no place of its own is counted here: SERIES_MAX is far above routes x methods
	 * in use, but a stranger may try them all */
	s->keys[0] = metrics_series_key(LISTENER_PUBLIC, METRICS_NO_ROUTE, METHOD_OTHER);
	atomic_store(&s->series_count, 1);
	pthread_mutex_lock(&m->lock);
	s->next = atomic_load(&m->shards);
	atomic_store(&m->shards, s);
	pthread_mutex_unlock(&m->lock);
	return s;
}

static void add(_Atomic uint64_t *cell, uint64_t n)
{
	const uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);

	atomic_store_explicit(cell, old + n, memory_order_relaxed);
}

/* A clock that jumped must not make a sum fall. */
static void observe(struct histogram *h, const struct bounds *bounds, int64_t micros)
{
	const int64_t us = micros > 0 ? micros : 0;
	size_t i = 0;

	while (i < bounds->count && us > bounds->micros[i])
		i++;
	add(&h->buckets[i], 1);
	add(&h->sum_us, (uint64_t)us);
}

uint32_t metrics_series_key(unsigned listener, unsigned route, unsigned method)
{
	return (uint32_t)((route & 0xffff) << 9 | (listener & 0x1f) << 4 | (method & 0xf));
}

static struct series *series_of(struct metrics_shard *s, const struct request_labels *l)
{
	const uint32_t key = metrics_series_key(l->listener, l->route, l->method);
	const size_t count = atomic_load_explicit(&s->series_count, memory_order_relaxed);

	for (size_t i = 0; i < count; i++) {
		if (s->keys[i] == key)
			return &s->series[i];
	}
	if (count == SERIES_MAX)
		return &s->series[0];
	s->keys[count] = key;
	atomic_store_explicit(&s->series_count, count + 1, memory_order_release);
	return &s->series[count];
}

void count_request(struct metrics_shard *s, const struct request_labels *labels, int64_t micros)
{
	struct series *series;
	size_t code = 0;

	if (!s)
		return;
	series = series_of(s, labels);
	while (code < metrics_code_count && metrics_codes[code] != labels->status)
		code++;
	add(&series->codes[code], 1);
	observe(&series->duration, &bounds_request, micros);
}

static unsigned grant_index(unsigned grant)
{
	return grant < GRANTS_COUNTED ? grant : GRANTS_COUNTED - 1;
}

void count_token(struct metrics_shard *s, unsigned grant, bool refresh)
{
	if (!s)
		return;
	add(&s->cells[CELL_TOKENS + grant_index(grant) * 2], 1);
	if (refresh)
		add(&s->cells[CELL_TOKENS + grant_index(grant) * 2 + 1], 1);
}

/* Facts about our own work are counted as what they look like on the wire. */
static unsigned error_index(enum err e)
{
	if (e <= ERR_WIRE || e >= ERR_COUNT)
		e = err_row(e)->status == 503 ? ERR_UNAVAILABLE : ERR_SERVER;
	return (unsigned)(e - ERR_WIRE - 1);
}

void count_token_error(struct metrics_shard *s, unsigned grant, enum err e)
{
	if (s)
		add(&s->cells[CELL_TOKEN_ERRORS + grant_index(grant) * ERRORS_COUNTED +
			      error_index(e)],
		    1);
}

void count_client_auth(struct metrics_shard *s, unsigned method, bool ok)
{
	if (method >= AUTH_METHODS_COUNTED)
		method = AUTH_METHOD_UNKNOWN;
	if (s)
		add(&s->cells[CELL_CLIENT_AUTH + method * 2 + (ok ? 1 : 0)], 1);
}

void count_password(struct metrics_shard *s, bool ok, int64_t micros)
{
	if (!s)
		return;
	add(&s->cells[CELL_PASSWORDS + (ok ? PASSWORD_RIGHT : PASSWORD_WRONG)], 1);
	observe(&s->password, &bounds_password, micros);
}

void count_sign(struct metrics_shard *s, unsigned alg, bool ok, int64_t micros)
{
	if (!s || alg >= ALG_COUNT)
		return;
	if (ok)
		observe(&s->sign[alg], &bounds_sign, micros);
	else
		add(&s->cells[CELL_SIGN_ERRORS + alg], 1);
}

void count_introspection(struct metrics_shard *s, bool active)
{
	if (s)
		add(&s->cells[CELL_INTROSPECTIONS + (active ? 1 : 0)], 1);
}

void count_revocation(struct metrics_shard *s, bool refresh)
{
	if (s)
		add(&s->cells[CELL_REVOCATIONS + (refresh ? 1 : 0)], 1);
}

void count_rate_limited(struct metrics_shard *s, unsigned route, enum rate_reason reason)
{
	const unsigned row = route < ROUTES_COUNTED ? route : ROUTES_COUNTED - 1;

	if (s)
		add(&s->cells[CELL_RATE_LIMITED + row * RATE_REASONS + reason], 1);
}

static unsigned type_index(unsigned type)
{
	return type < AUDIT_TYPES_COUNTED ? type : AUDIT_TYPES_COUNTED - 1;
}

void count_audit_event(struct metrics_shard *s, unsigned type, enum audit_outcome outcome)
{
	if (s)
		add(&s->cells[CELL_AUDIT + type_index(type) * AUDIT_OUTCOMES + outcome], 1);
}

void count_audit_error(struct metrics_shard *s, unsigned type)
{
	if (s)
		add(&s->cells[CELL_AUDIT_ERRORS + type_index(type)], 1);
}

void count_audit(struct metrics_shard *s, bool ok)
{
	if (ok)
		count_audit_event(s, METRICS_NO_TYPE, AUDIT_OK);
	else
		count_audit_error(s, METRICS_NO_TYPE);
}

void count_db(struct metrics_shard *s, enum db_op op, int64_t micros)
{
	if (s)
		observe(&s->db[op], &bounds_db, micros);
}

void count_db_result(struct metrics_shard *s, enum err result)
{
	size_t i = 0;

	while (i < DB_CLASSES_COUNTED && metrics_db_classes[i] != result)
		i++;
	if (s && i < DB_CLASSES_COUNTED)
		add(&s->cells[CELL_DB_ERRORS + i], 1);
}

static size_t listener_index(unsigned listener)
{
	size_t i = 0;

	while (i < LISTENERS_COUNTED - 1 && listener != (unsigned)LISTENER_PUBLIC << i)
		i++;
	return i;
}

void count_begun(struct metrics_shard *s, unsigned listener)
{
	if (s)
		add(&s->in_flight[listener_index(listener)], 1);
}

void count_ended(struct metrics_shard *s, unsigned listener)
{
	if (s)
		add(&s->in_flight[listener_index(listener)], UINT64_MAX); /* minus one */
}

void count_jwks(struct metrics_shard *s, bool not_modified)
{
	if (s)
		add(&s->cells[CELL_JWKS + (not_modified ? 1 : 0)], 1);
}

void count_feed(struct metrics_shard *s, unsigned view, bool not_modified)
{
	if (s && view < FEEDS_COUNTED)
		add(&s->cells[CELL_FEED + view * 2 + (not_modified ? 1 : 0)], 1);
}

void count_http_refused(struct metrics_shard *s)
{
	if (s)
		add(&s->cells[CELL_HTTP_REFUSED], 1);
}

void count_probe(struct metrics_shard *s, unsigned verdict)
{
	if (s && verdict < PROBES_COUNTED)
		add(&s->cells[CELL_PROBES + verdict], 1);
}

void count_gateway(struct metrics_shard *s, enum gateway_verdict verdict)
{
	if (s)
		add(&s->cells[CELL_GATEWAY + verdict], 1);
}
