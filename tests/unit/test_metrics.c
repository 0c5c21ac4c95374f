/* Counting and the text Prometheus reads. */
#include "tests/unit/suite.h"

#include <pthread.h>

#include "jose/alg.h"
#include "server/state/metrics.h"
#include "server/state/wire.h"

enum { NOW = 1700000000, TEXT_MAX = 4 << 20 };

static const char *const route_names[] = { "/oauth2/token", "/livez" };
static const char *const grant_names[] = { "client_credentials", "password" };
static const char *const audit_types[] = { "client.create", "login.refused" };

static struct metrics_gauges gauges(void)
{
	struct metrics_gauges g = {
		.version = "0.1.0",
		.routes = route_names,
		.route_count = COUNT(route_names),
		.grants = grant_names,
		.grant_count = COUNT(grant_names),
		.audit_types = audit_types,
		.audit_type_count = COUNT(audit_types),
		.key_count = 1,
		.started_at = NOW,
	};

	g.keys[0].kid = STR("k\"1\\\n");
	g.keys[0].alg = "ES256";
	g.keys[0].state = "active";
	return g;
}

/* Caller: buf_done. */
static struct str render(struct metrics *m, struct buf *b)
{
	const struct metrics_gauges g = gauges();
	struct str text;

	buf_init(b, NULL, TEXT_MAX);
	metrics_render(m, &g, b);
	ck_assert_int_eq(buf_end(b, &text), ERR_OK);
	return text;
}

static bool has_line(struct str text, const char *want)
{
	struct str line;

	while (str_next(&text, '\n', &line)) {
		if (str_equal_z(line, want))
			return true;
	}
	return false;
}

static void count_some(struct metrics_shard *s)
{
	const struct request_labels token = { LISTENER_PUBLIC, METHOD_POST, 0, 200 };
	const struct request_labels refused = { LISTENER_PUBLIC, METHOD_POST, 0, 418 };
	const struct request_labels lost = { LISTENER_ADMIN, METHOD_OTHER, METRICS_NO_ROUTE, 404 };

	count_request(s, &token, 500);
	count_request(s, &token, 3000000);
	count_request(s, &refused, -5);
	count_request(s, &lost, 1);
	count_token(s, 0, false);
	count_token(s, 1, true);
	count_token(s, 99, false);
	count_token_error(s, METRICS_NO_GRANT, ERR_INVALID_CLIENT);
	count_token_error(s, 1, ERR_IO);
	count_token_error(s, 1, ERR_CORRUPT);
	count_token_error(s, 1, ERR_CRYPTO);
	count_client_auth(s, 1, true);
	count_client_auth(s, 77, false);
	count_password(s, true, 15000);
	count_sign(s, ALG_ES256, true, 30);
	count_sign(s, ALG_ES256, false, 30);
	count_sign(s, 99, false, 30);
	count_introspection(s, true);
	count_revocation(s, true);
	count_rate_limited(s, 0, RATE_PASSWORD);
	count_rate_limited(s, 5000, RATE_CLIENT_SECRET);
	count_audit_event(s, 0, AUDIT_OK);
	count_audit_event(s, 1, AUDIT_DENIED);
	count_audit_error(s, 1);
	count_audit(s, true);
	count_audit(s, false);
	count_db(s, DB_OP_READ, 70);
	count_db(s, DB_OP_WRITE, 2000000);
	count_db_result(s, ERR_OK);
	count_db_result(s, ERR_NOT_FOUND);
	count_db_result(s, ERR_IO);
	count_begun(s, LISTENER_PUBLIC);
	count_begun(s, LISTENER_PUBLIC);
	count_ended(s, LISTENER_PUBLIC);
	count_begun(s, LISTENER_SOCKET);
	count_ended(s, LISTENER_SOCKET);
	count_jwks(s, true);
	count_http_refused(s);
	count_probe(s, 1);
	count_probe(s, 3);
}

START_TEST(counts_of_all_threads_are_summed_and_labelled)
{
	static const char *const want[] = {
		"chancery_build_info{version=\"0.1.0\"} 1",
		"chancery_http_requests_total{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\",code=\"200\"} 4",
		"chancery_http_requests_total{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\",code=\"other\"} 2",
		"chancery_http_requests_total{listener=\"admin\",route=\"none\",method=\"other\","
		"code=\"404\"} 2",
		"chancery_http_request_duration_seconds_bucket{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\",le=\"0.0001\"} 2",
		"chancery_http_request_duration_seconds_bucket{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\",le=\"0.0005\"} 4",
		"chancery_http_request_duration_seconds_bucket{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\",le=\"2\"} 4",
		"chancery_http_request_duration_seconds_bucket{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\",le=\"+Inf\"} 6",
		"chancery_http_request_duration_seconds_sum{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\"} 6.001000",
		"chancery_http_request_duration_seconds_count{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\"} 6",
		"chancery_tokens_issued_total{grant_type=\"client_credentials\",token=\"access\"} "
		"2",
		"chancery_tokens_issued_total{grant_type=\"client_credentials\",token=\"refresh\"} "
		"0",
		"chancery_tokens_issued_total{grant_type=\"password\",token=\"refresh\"} 2",
		"chancery_tokens_issued_total{grant_type=\"none\",token=\"access\"} 2",
		"chancery_token_errors_total{grant_type=\"none\",error=\"invalid_client\"} 2",
		"chancery_token_errors_total{grant_type=\"password\",error=\"unavailable\"} 4",
		"chancery_token_errors_total{grant_type=\"password\",error=\"server\"} 2",
		"chancery_client_auth_total{method=\"client_secret_basic\",outcome=\"success\"} 2",
		"chancery_client_auth_total{method=\"unknown\",outcome=\"failure\"} 2",
		"chancery_keys_probe_total{result=\"holds\"} 0",
		"chancery_keys_probe_total{result=\"lacks\"} 2",
		"chancery_keys_probe_total{result=\"failed\"} 0",
		"chancery_password_verifications_total{outcome=\"success\"} 2",
		"chancery_password_verify_duration_seconds_bucket{le=\"0.02\"} 2",
		"chancery_password_verify_duration_seconds_sum 0.030000",
		"chancery_jwt_sign_duration_seconds_bucket{alg=\"ES256\",le=\"0.000025\"} 0",
		"chancery_jwt_sign_duration_seconds_bucket{alg=\"ES256\",le=\"0.00005\"} 2",
		"chancery_jwt_sign_errors_total{alg=\"ES256\"} 2",
		"chancery_introspections_total{active=\"true\"} 2",
		"chancery_revocations_total{token=\"refresh\"} 2",
		"chancery_rate_limited_total{route=\"/oauth2/token\",reason=\"password\"} 2",
		"chancery_rate_limited_total{route=\"none\",reason=\"client_secret\"} 2",
		"chancery_audit_events_total{type=\"client.create\",outcome=\"ok\"} 2",
		"chancery_audit_events_total{type=\"login.refused\",outcome=\"denied\"} 2",
		"chancery_audit_events_total{type=\"other\",outcome=\"ok\"} 2",
		"chancery_audit_write_errors_total{type=\"login.refused\"} 2",
		"chancery_audit_write_errors_total{type=\"other\"} 2",
		"chancery_db_query_duration_seconds_bucket{op=\"read\",le=\"0.00005\"} 0",
		"chancery_db_query_duration_seconds_bucket{op=\"read\",le=\"0.0001\"} 2",
		"chancery_db_query_duration_seconds_count{op=\"write\"} 2",
		"chancery_db_query_duration_seconds_sum{op=\"write\"} 4.000000",
		"chancery_db_errors_total{class=\"io\"} 2",
		"chancery_db_errors_total{class=\"corrupt\"} 0",
		"chancery_http_requests_in_flight{listener=\"public\"} 2",
		"chancery_http_requests_in_flight{listener=\"socket\"} 0",
		"chancery_jwks_requests_total{cache=\"304\"} 2",
		"chancery_http_malformed_total 2",
		"chancery_signing_key_info{kid=\"k\\\"1\\\\\\n\",alg=\"ES256\",state=\"active\"} 1",
		"process_start_time_seconds 1700000000",
	};
	struct metrics *m;
	struct str text;
	struct buf b;

	ck_assert_int_eq(metrics_new(&m), ERR_OK);
	count_some(metrics_shard(m));
	count_some(metrics_shard(m));
	count_some(NULL);
	text = render(m, &b);
	for (size_t i = 0; i < COUNT(want); i++)
		ck_assert_msg(has_line(text, want[i]), "missing: %s\n%.*s", want[i], STR_ARG(text));
	ck_assert_ptr_null(strstr(text.p, "error=\"invalid_target\""));
	ck_assert_ptr_nonnull(strstr(text.p, "process_resident_memory_bytes "));
	ck_assert_ptr_nonnull(strstr(text.p, "process_cpu_seconds_total "));
	buf_done(&b);
	metrics_free(m);
}
END_TEST

/* "name{labels} value": the part before the value, and the family it belongs to. */
static struct str series_of(struct str line)
{
	while (line.n > 0 && line.p[line.n - 1] != ' ')
		line.n--;
	return line;
}

static size_t times(struct str text, struct str line_start)
{
	struct str line;
	size_t n = 0;

	while (str_next(&text, '\n', &line))
		n += str_starts(line, line_start);
	return n;
}

static bool of_family(struct str series, struct str family)
{
	static const char *const suffixes[] = { "{",	 " ",	    "_bucket{", "_sum{",
						"_sum ", "_count{", "_count " };

	if (!str_starts(series, family))
		return false;
	series = str_n(series.p + family.n, series.n - family.n);
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		if (str_starts(series, str_z(suffixes[i])))
			return true;
	}
	return false;
}

/* Prometheus' text format: HELP and TYPE once and before the family's series, which stand together;
 * no series twice. */
START_TEST(text_is_what_prometheus_reads)
{
	struct metrics *m;
	struct str text, rest, line, family = STR_NONE;
	struct buf b;

	ck_assert_int_eq(metrics_new(&m), ERR_OK);
	count_some(metrics_shard(m));
	text = rest = render(m, &b);
	ck_assert(text.p[text.n - 1] == '\n');
	while (str_next(&rest, '\n', &line)) {
		if (str_starts(line, STR("# HELP "))) {
			struct str words = str_n(line.p + 7, line.n - 7);

			ck_assert(str_next(&words, ' ', &family));
			ck_assert_uint_eq(times(text, str_n(line.p, 7 + family.n + 1)), 1);
			continue;
		}
		if (str_starts(line, STR("# TYPE "))) {
			ck_assert(str_starts(str_n(line.p + 7, line.n - 7), family));
			continue;
		}
		ck_assert_msg(of_family(line, family), "%.*s", STR_ARG(line));
		ck_assert_msg(times(text, series_of(line)) == 1, "%.*s twice", STR_ARG(line));
	}
	buf_done(&b);
	metrics_free(m);
}
END_TEST

START_TEST(no_input_makes_a_series_without_bound)
{
	struct metrics *m;
	struct metrics_shard *s;
	struct str text;
	struct buf b;

	ck_assert_int_eq(metrics_new(&m), ERR_OK);
	s = metrics_shard(m);
	for (unsigned route = 0; route < 1000; route++) {
		const struct request_labels l = { LISTENER_PUBLIC, METHOD_GET, route, 200 };

		count_request(s, &l, 1);
	}
	text = render(m, &b);
	ck_assert_msg(has_line(text, "chancery_http_requests_total{listener=\"public\",route="
				     "\"none\",method=\"other\",code=\"200\"} 873"),
		      "%.*s", 2000, text.p);
	buf_done(&b);
	metrics_free(m);
}
END_TEST

static void *count_a_lot(void *arg)
{
	struct metrics_shard *s = metrics_shard(arg);

	for (unsigned i = 0; i < 20000; i++) {
		const struct request_labels l = { LISTENER_PUBLIC, METHOD_GET, i % 2, 200 };

		count_request(s, &l, i);
		count_rate_limited(s, 0, RATE_PASSWORD);
	}
	return NULL;
}

START_TEST(reading_while_others_count_is_safe)
{
	pthread_t threads[3];
	struct metrics *m;
	struct buf b;

	ck_assert_int_eq(metrics_new(&m), ERR_OK);
	for (size_t i = 0; i < COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count_a_lot, m), 0);
	for (int i = 0; i < 20; i++) {
		render(m, &b);
		buf_done(&b);
	}
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert(has_line(
		render(m, &b),
		"chancery_rate_limited_total{route=\"/oauth2/token\",reason=\"password\"} 60000"));
	buf_done(&b);
	metrics_free(m);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		counts_of_all_threads_are_summed_and_labelled,
		text_is_what_prometheus_reads,
		no_input_makes_a_series_without_bound,
		reading_while_others_count_is_safe,
	};

	return suite_run("metrics", tests, COUNT(tests));
}
