/* What a request leaves behind: one log line, counters, folded audit rows; and what it looks into,
 * the snapshot. */
#include "tests/helpers/flow.h"
#include "tests/unit/suite.h"

#include <stdio.h>

#include "server/request/audit.h"

/* A client with a secret, an api and a user. */
static const char *populate(struct flow *f)
{
	flow_api(f, "https://a.example", "a", "s");
	flow_user(f, "u1", "alice", "right password");
	return flow_client(f, "c", "s", "https://a.example");
}

/* ---- the line ---- */

/* Parses the only line that was written; NULL when there was none. Caller frees. */
static struct json *one_line(struct flow *f)
{
	const struct str text = flow_log(f);
	struct json *root = NULL;

	if (text.n == 0)
		return NULL;
	ck_assert_msg(memchr(text.p, '\n', text.n) == text.p + text.n - 1, "%.*s", STR_ARG(text));
	ck_assert_int_eq(json_parse(str_n(text.p, text.n - 1), 65536, &root), ERR_OK);
	return root;
}

static void line_says(const struct json *line, const char *key, const char *want)
{
	struct str value;

	if (!want) {
		ck_assert_msg(!json_get(line, key), "%s is there", key);
		return;
	}
	ck_assert_msg(json_str(json_get(line, key), &value), "%s is missing", key);
	ck_assert_msg(str_equal_z(value, want), "%s is %.*s", key, STR_ARG(value));
}

static void line_counts(const struct json *line, const char *key, int64_t want)
{
	int64_t value;

	ck_assert_msg(json_int(json_get(line, key), &value), "%s is missing", key);
	ck_assert_int_eq(value, want);
}

START_TEST(a_token_leaves_one_line_with_its_names)
{
	struct flow *f = flow_new(NULL);
	const char *secret = populate(f);
	struct answer a;
	struct json *line;
	struct str text;

	flow_log(f);
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=password&username=alice&password=right+password");
	ck_assert_int_eq(a.status, 200);
	line = one_line(f);
	line_says(line, "level", "info");
	line_says(line, "msg", "request");
	line_says(line, "listener", "public");
	line_says(line, "method", "POST");
	line_says(line, "route", "/oauth2/token");
	line_counts(line, "status", 200);
	line_counts(line, "duration_us", 0);
	line_says(line, "remote", "192.0.2.1");
	line_says(line, "client_id", "c");
	line_says(line, "sub", "u1");
	line_says(line, "grant_type", "password");
	line_says(line, "error", NULL);
	line_says(line, "reason", NULL);
	ck_assert(json_str(json_get(line, "jti"), &text) && text.n > 0);
	ck_assert(json_str(json_get(line, "kid"), &text) && text.n > 0);
	ck_assert(json_str(json_get(line, "request_id"), &text) && text.n == REQUEST_ID_LEN);
	json_free(line);
	flow_free(f);
}
END_TEST

START_TEST(a_refusal_leaves_its_error_and_the_reason)
{
	struct flow *f = flow_new(NULL);
	const char *secret = populate(f);
	struct json *line;

	flow_log(f);
	post(f, "/oauth2/token", basic("c", secret), "grant_type=client_credentials&scope=more");
	line = one_line(f);
	line_says(line, "level", "info");
	line_counts(line, "status", 400);
	line_says(line, "error", "invalid_scope");
	ck_assert_ptr_nonnull(json_get(line, "reason"));
	line_says(line, "jti", NULL);
	json_free(line);
	get(f, "/no\"where");
	line = one_line(f);
	line_says(line, "route", NULL);
	line_counts(line, "status", 404);
	json_free(line);
	flow_free(f);
}
END_TEST

/* Machine secret, password, refresh and access token: sent, received, refused. */
START_TEST(no_secret_reaches_the_log)
{
	struct flow *f = flow_new(NULL);
	const char *secret = populate(f);
	struct answer a;
	struct str hidden[4], text;

	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=password&username=alice&password=right+password");
	hidden[0] = str_z(secret);
	hidden[1] = answer_str(&a, "access_token");
	hidden[2] = answer_str(&a, "refresh_token");
	hidden[3] = STR("hunter2");
	post(f, "/oauth2/token", basic("c", "hunter2"), "grant_type=client_credentials");
	post(f, "/oauth2/token", basic("c", secret),
	     "grant_type=password&username=alice&password=hunter2");
	post(f, "/oauth2/token", basic("c", secret), "grant_type=hunter2");
	post(f, "/oauth2/token?hunter2", basic("c", secret), "hunter2");
	post(f, "/oauth2/token", basic("c", secret),
	     "grant_type=refresh_token&refresh_token=hunter2");
	post(f, "/oauth2/introspect", basic("c", secret), "token=hunter2");
	get(f, "/hunter2?hunter2");
	text = flow_log(f);
	ck_assert_uint_gt(text.n, 0);
	for (size_t i = 0; i < COUNT(hidden); i++)
		ck_assert_msg(!memmem(text.p, text.n, hidden[i].p, hidden[i].n), "%.*s in %.*s",
			      STR_ARG(hidden[i]), STR_ARG(text));
	flow_free(f);
}
END_TEST

START_TEST(access_log_writes_what_its_option_says)
{
	static const struct {
		const char *set;
		bool good_get, bad_get, good_post;
	} rows[] = {
		{ "log.access=all", true, true, true },
		{ "log.access=errors", false, true, false },
		{ "log.access=modifying", false, false, true },
		{ "log.access=off", false, false, false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *const sets[] = { rows[i].set, NULL };
		struct flow *f = flow_new(sets);
		const char *secret = populate(f);

		flow_log(f);
		get(f, "/livez");
		ck_assert_msg((flow_log(f).n > 0) == rows[i].good_get, "%s", rows[i].set);
		get(f, "/nothing");
		ck_assert_msg((flow_log(f).n > 0) == rows[i].bad_get, "%s", rows[i].set);
		post(f, "/oauth2/token", basic("c", secret), "grant_type=client_credentials");
		ck_assert_msg((flow_log(f).n > 0) == rows[i].good_post, "%s", rows[i].set);
		flow_free(f);
	}
}
END_TEST

START_TEST(a_fault_of_ours_is_an_error_line_whatever_the_option)
{
	static const char *const sets[] = { "log.access=off", NULL };
	struct flow *f = flow_new(sets);
	const char *secret = populate(f);
	struct json *line;
	struct answer a;

	flow_log(f);
	signer_channel_close(&f->signer.signing[0]);
	a = post(f, "/oauth2/token", basic("c", secret), "grant_type=client_credentials");
	ck_assert_refused(a, 503, "temporarily_unavailable");
	ck_assert_str(answer_header(&a, "Retry-After"), "1");
	line = one_line(f);
	line_says(line, "level", "error");
	line_says(line, "error", "unavailable");
	json_free(line);
	flow_free(f);
}
END_TEST

/* ---- counters ---- */

START_TEST(counters_follow_the_requests)
{
	static const char *const want[] = {
		"chancery_http_requests_total{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\",code=\"200\"} 1\n",
		"chancery_http_requests_total{listener=\"public\",route=\"/oauth2/"
		"token\",method=\"POST\",code=\"401\"} 1\n",
		"chancery_http_requests_total{listener=\"public\",route=\"none\",method=\"GET\","
		"code=\"404\"} 1\n",
		"chancery_tokens_issued_total{grant_type=\"client_credentials\",token=\"access\"} "
		"1\n",
		"chancery_token_errors_total{grant_type=\"none\",error=\"invalid_client\"} 1\n",
		"chancery_token_errors_total{grant_type=\"client_credentials\",error=\"invalid_"
		"scope\"} 1\n",
	};
	struct flow *f = flow_new(NULL);
	const char *secret = populate(f);
	struct answer a;

	post(f, "/oauth2/token", basic("c", secret), "grant_type=client_credentials");
	post(f, "/oauth2/token", basic("c", "wrong"), "grant_type=client_credentials");
	post(f, "/oauth2/token", basic("c", secret), "grant_type=client_credentials&scope=more");
	get(f, "/nothing");
	a = flow_send(f, &(struct ask){ .listener = LISTENER_ADMIN, .target = "/metrics" });
	ck_assert_int_eq(a.status, 200);
	for (size_t i = 0; i < COUNT(want); i++)
		ck_assert_msg(memmem(a.body.p, a.body.n, want[i], strlen(want[i])),
			      "missing %s in %.*s", want[i], STR_ARG(a.body));
	flow_free(f);
}
END_TEST

/* Every method on every row and on paths that do not exist, at every door. */
static void ask_everything(struct flow *f)
{
	for (unsigned l = LISTENER_PUBLIC; l <= LISTENER_LAST; l <<= 1) {
		for (unsigned method = 0; method < METHOD_COUNT; method++) {
			struct metrics_shard *shard = metrics_shard(f->app.metrics);
			struct request_labels labels = { l, method, METRICS_NO_ROUTE, 200 };

			ck_assert_ptr_nonnull(shard);
			count_request(shard, &labels, 100);
			for (labels.route = 0; labels.route < route_count; labels.route++)
				count_request(shard, &labels, 100);
		}
	}
}

START_TEST(metrics_are_served_after_every_route_was_asked)
{
	struct flow *f = flow_new(NULL);
	struct answer a;

	ask_everything(f);
	a = flow_send(f, &(struct ask){ .listener = LISTENER_ADMIN, .target = "/metrics" });
	ck_assert_msg(a.status == 200, "status %d: %s", a.status, a.why);
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "process_start_time_seconds ",
				     strlen("process_start_time_seconds ")));
	flow_free(f);
}
END_TEST

/* ---- folded refusals ---- */

static void refuse_times(struct flow *f, int n, const char *subject, const char *address)
{
	const struct audit_refusal r = {
		.event = AUDIT_LOGIN_REFUSED,
		.subject = str_z(subject),
		.address = str_z(address),
		.reason = STR("wrong password"),
		.request_id = STR("id"),
		.now = f->app.env->now(f->app.env),
	};

	for (int i = 0; i < n; i++)
		audit_fold(f->app.refusals, &r);
}

/* As the housekeeper's step: in a transaction, forgotten when it is committed. */
static size_t write_folds(struct flow *f, bool all, bool commit)
{
	struct db *db = f->store.db;
	size_t rows;

	ck_assert_int_eq(db_begin(db), ERR_OK);
	ck_assert_int_eq(
		audit_fold_write(f->app.refusals, db, f->app.env->now(f->app.env), all, &rows),
		ERR_OK);
	if (!commit) {
		db_rollback(db);
		return rows;
	}
	ck_assert_int_eq(db_commit(db), ERR_OK);
	audit_fold_written(f->app.refusals);
	return rows;
}

/* Newest first; the rows about the office's first keys are left out. */
static size_t refusal_rows(struct flow *f, struct audit_row **ret_rows)
{
	struct audit_row *rows;
	size_t count, kept = 0;

	ck_assert_int_eq(store_audit_list(f->store.db, f->store.arena, 0, 500, &rows, &count),
			 ERR_OK);
	for (size_t i = 0; i < count; i++) {
		if (str_equal_z(rows[i].event, "login.refused"))
			rows[kept++] = rows[i];
	}
	*ret_rows = rows;
	return kept;
}

START_TEST(refusals_become_one_row_per_subject_network_and_minute)
{
	struct flow *f = flow_new(NULL);
	struct audit_row *rows;

	refuse_times(f, 5, "user:u1", "192.0.2.1");
	refuse_times(f, 2, "user:u1", "192.0.2.200");
	refuse_times(f, 1, "user:u2", "192.0.2.1");
	refuse_times(f, 1, "user:u1", "192.0.3.1");
	ck_assert(!audit_fold_due(f->app.refusals, FIXTURE_NOW));
	ck_assert_uint_eq(write_folds(f, false, true), 0);
	flow_advance(f, 60);
	refuse_times(f, 1, "user:u1", "192.0.2.1");
	ck_assert(audit_fold_due(f->app.refusals, FIXTURE_NOW + 60));
	ck_assert_uint_eq(write_folds(f, false, true), 3);
	ck_assert_uint_eq(write_folds(f, false, true), 0);
	ck_assert_uint_eq(write_folds(f, true, true), 1);
	ck_assert_uint_eq(refusal_rows(f, &rows), 4);
	ck_assert_str(rows[3].event, "login.refused");
	ck_assert_str(rows[3].outcome, "denied");
	ck_assert_str(rows[3].target, "user:u1");
	ck_assert_str(rows[3].address, "192.0.2.0/24");
	ck_assert_str(rows[3].reason, "wrong password");
	ck_assert_int_eq(rows[3].count, 7);
	ck_assert_int_eq(rows[3].at, FIXTURE_NOW);
	ck_assert_int_eq(rows[2].count + rows[1].count + rows[0].count, 3);
	flow_free(f);
}
END_TEST

START_TEST(rolled_back_rows_are_written_by_the_next_one_and_none_twice)
{
	struct flow *f = flow_new(NULL);
	struct audit_row *rows;

	refuse_times(f, 5, "user:u1", "192.0.2.1");
	ck_assert_uint_eq(write_folds(f, true, false), 1);
	refuse_times(f, 2, "user:u1", "192.0.2.1"); /* while nothing is known about the first */
	ck_assert_uint_eq(write_folds(f, true, true), 1);
	ck_assert_uint_eq(refusal_rows(f, &rows), 1);
	ck_assert_int_eq(rows[0].count, 7);
	/* between the write and its commit */
	refuse_times(f, 1, "user:u1", "192.0.2.1");
	ck_assert_int_eq(db_begin(f->store.db), ERR_OK);
	size_t n;
	ck_assert_int_eq(audit_fold_write(f->app.refusals, f->store.db, FIXTURE_NOW, true, &n),
			 ERR_OK);
	refuse_times(f, 3, "user:u1", "192.0.2.1");
	ck_assert_int_eq(db_commit(f->store.db), ERR_OK);
	audit_fold_written(f->app.refusals);
	ck_assert_uint_eq(write_folds(f, true, true), 1);
	ck_assert_uint_eq(refusal_rows(f, &rows), 3);
	ck_assert_int_eq(rows[0].count, 3);
	ck_assert_int_eq(rows[1].count, 1);
	flow_free(f);
}
END_TEST

START_TEST(a_flood_of_subjects_stays_bounded_and_counted)
{
	struct flow *f = flow_new(NULL);
	struct audit_row *rows;
	int64_t total = 0;
	char subject[32];
	size_t n;

	for (int i = 0; i < 5000; i++) {
		snprintf(subject, sizeof(subject), "user:%d", i);
		refuse_times(f, 1, subject, "192.0.2.1");
	}
	ck_assert_uint_eq(write_folds(f, true, true), AUDIT_FOLD_MAX + 1);
	n = refusal_rows(f, &rows);
	ck_assert_uint_eq(n, AUDIT_FOLD_MAX + 1);
	for (size_t i = 0; i < n; i++)
		total += rows[i].count;
	ck_assert_int_eq(total, 5000);
	ck_assert_str(rows[0].target, "others");
	flow_free(f);
}
END_TEST

START_TEST(wrong_passwords_are_audited_folded)
{
	struct flow *f = flow_new(NULL);
	const char *secret = populate(f);
	struct audit_row *rows;

	for (int i = 0; i < 3; i++)
		post(f, "/oauth2/token", basic("c", secret),
		     "grant_type=password&username=alice&password=wrong");
	flow_advance(f, 60);
	ck_assert_uint_eq(write_folds(f, false, true), 1);
	ck_assert_uint_eq(refusal_rows(f, &rows), 1);
	ck_assert_int_eq(rows[0].count, 3);
	ck_assert_str(rows[0].event, "login.refused");
	flow_free(f);
}
END_TEST

START_TEST(every_event_has_a_name_of_its_own)
{
	for (int i = 0; i < AUDIT_EVENT_COUNT; i++) {
		ck_assert_str_ne(audit_name((enum audit_event)i), "unknown");
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(audit_name((enum audit_event)i),
					 audit_name((enum audit_event)j));
	}
	ck_assert_str_eq(audit_name(AUDIT_EVENT_COUNT), "unknown");
}
END_TEST

/* ---- the snapshot ---- */

START_TEST(apis_are_found_by_uri_and_slug)
{
	struct flow *f = flow_new(NULL);
	struct snapshot *s, *old;

	flow_api(f, "https://z.example", "b", "s");
	flow_api(f, "https://a.example", "a", "s");
	flow_api(f, "https://a.example/x", "x", "s");
	s = snapshot_get(&f->app);
	ck_assert_uint_eq(s->apis.count, 4);
	ck_assert_str(api_find(&s->apis, STR("https://a.example"))->slug, "a");
	ck_assert_str(api_find(&s->apis, STR("https://a.example/x"))->slug, "x");
	ck_assert_str(api_find(&s->apis, STR("https://z.example"))->slug, "b");
	ck_assert_ptr_nonnull(api_find(&s->apis, STR(FIXTURE_ISSUER "/admin")));
	ck_assert_ptr_null(api_find(&s->apis, STR("https://a.example/")));
	ck_assert_ptr_null(api_find(&s->apis, STR("")));
	ck_assert_str(api_by_slug(&s->apis, STR("x"))->uri, "https://a.example/x");
	ck_assert_ptr_null(api_by_slug(&s->apis, STR("y")));
	/* an old one stays whole while somebody looks into it */
	old = s;
	flow_api(f, "https://c.example", "c", "s");
	s = snapshot_get(&f->app);
	ck_assert_ptr_ne(s, old);
	ck_assert_uint_eq(old->apis.count, 4);
	ck_assert_ptr_null(api_find(&old->apis, STR("https://c.example")));
	ck_assert_ptr_nonnull(api_find(&s->apis, STR("https://c.example")));
	snapshot_unref(old);
	snapshot_unref(s);
	flow_free(f);
}
END_TEST

START_TEST(without_randomness_no_request_begins)
{
	struct flow *f = flow_new(NULL);
	struct request rq = { .app = &f->app };

	atomic_store(&f->store.fake.no_random, true);
	ck_assert_int_eq(request_begin(&rq), ERR_CRYPTO);
	request_done(&rq);
	atomic_store(&f->store.fake.no_random, false);
	flow_free(f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_token_leaves_one_line_with_its_names,
		a_refusal_leaves_its_error_and_the_reason,
		no_secret_reaches_the_log,
		access_log_writes_what_its_option_says,
		a_fault_of_ours_is_an_error_line_whatever_the_option,
		counters_follow_the_requests,
		metrics_are_served_after_every_route_was_asked,
		refusals_become_one_row_per_subject_network_and_minute,
		rolled_back_rows_are_written_by_the_next_one_and_none_twice,
		a_flood_of_subjects_stays_bounded_and_counted,
		wrong_passwords_are_audited_folded,
		every_event_has_a_name_of_its_own,
		apis_are_found_by_uri_and_slug,
		without_randomness_no_request_begins,
	};

	return suite_run("traces", tests, COUNT(tests));
}
