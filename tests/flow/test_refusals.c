/* Every way to be refused, and how it looks from outside. */
#include <pthread.h>

#include "tests/helpers/flow.h"
#include "tests/unit/suite.h"

#define FORM "application/x-www-form-urlencoded"

static struct answer ask(struct flow *f, enum listener listener, enum method method,
			 const char *target)
{
	return flow_send(f, &(struct ask){ .listener = listener,
					   .method = method,
					   .target = target,
					   .root = listener == LISTENER_SOCKET });
}

START_TEST(oauth_refusal_looks_as_rfc6749_says)
{
	struct flow *f = flow_new(NULL);
	struct answer a = post(f, "/oauth2/token", basic("nobody", "x"), "grant_type=password");

	ck_assert_refused(a, 401, "invalid_client");
	ck_assert_str_eq(a.content_type, "application/json");
	ck_assert_uint_eq(json_len(a.json), 2);
	ck_assert_str(answer_header(&a, "WWW-Authenticate"), "Basic realm=\"chancery\"");
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert_str(answer_header(&a, "Pragma"), "no-cache");
	ck_assert_str(answer_header(&a, "X-Content-Type-Options"), "nosniff");
	a = post(f, "/oauth2/token", anonymous(), "grant_type=password&client_id=nobody");
	ck_assert_refused(a, 401, "invalid_client");
	ck_assert_str(answer_header(&a, "WWW-Authenticate"), "Basic realm=\"chancery\"");
	a = ask(f, LISTENER_PUBLIC, METHOD_GET, "/oauth2/token");
	ck_assert_refused(a, 405, "invalid_request");
	flow_free(f);
}
END_TEST

START_TEST(problem_looks_as_rfc9457_says)
{
	struct flow *f = flow_new(NULL);
	struct answer a = admin(f, METHOD_GET, "/admin/v1/clients/nobody", NULL);

	ck_assert_int_eq(a.status, 404);
	ck_assert_str_eq(a.content_type, "application/problem+json");
	ck_assert_str(answer_str(&a, "type"), "urn:chancery:problem:gone_resource");
	ck_assert_str(answer_str(&a, "title"), "Not Found");
	ck_assert_int_eq(answer_int(&a, "status"), 404);
	ck_assert_uint_gt(answer_str(&a, "detail").n, 0);
	ck_assert_uint_eq(answer_str(&a, "instance").n, REQUEST_ID_LEN);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert(!answer_has(&a, "ready_at"));
	a = admin(f, METHOD_GET, "/admin/v1/nothing", NULL);
	ck_assert_int_eq(a.status, 404);
	ck_assert_str_eq(a.content_type, "application/problem+json");
	flow_free(f);
}
END_TEST

START_TEST(bare_status_says_no_more_than_its_phrase)
{
	struct flow *f = flow_new(NULL);
	const struct answer a = get(f, "/nothing/here");

	ck_assert_int_eq(a.status, 404);
	ck_assert_str_eq(a.content_type, "text/plain");
	ck_assert_str(a.body, "Not Found\n");
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	flow_free(f);
}
END_TEST

/* RFC 6750 3 */
START_TEST(bearer_challenge_fits_the_refusal)
{
	struct ask request = { .listener = LISTENER_ADMIN, .target = "/admin/v1/clients" };
	struct flow *f = flow_new(NULL);
	struct auth token = bearer(STR("nonsense"));
	const char *secret;
	struct answer a = flow_send(f, &request);

	ck_assert_int_eq(a.status, 401);
	ck_assert_str(answer_header(&a, "WWW-Authenticate"), "Bearer realm=\"chancery\"");
	request.authorization = token.text;
	a = flow_send(f, &request);
	ck_assert_int_eq(a.status, 401);
	ck_assert_str(answer_header(&a, "WWW-Authenticate"),
		      "Bearer realm=\"chancery\", error=\"invalid_token\"");
	a = admin(f, METHOD_POST, "/admin/v1/clients",
		  "{\"client_id\":\"ops\",\"grant_types\":[\"client_credentials\"],"
		  "\"scope\":\"chancery:keys\",\"audiences\":[\"" FIXTURE_ISSUER "/admin\"]}");
	ck_assert_int_eq(a.status, 201);
	secret = arena_z(f->arena, answer_str(&a, "client_secret"));
	a = post(f, "/oauth2/token", basic("ops", secret), "grant_type=client_credentials");
	ck_assert_int_eq(a.status, 200);
	token = bearer(answer_str(&a, "access_token"));
	a = flow_send(f, &request);
	ck_assert_int_eq(a.status, 403);
	ck_assert_str(answer_header(&a, "WWW-Authenticate"),
		      "Bearer realm=\"chancery\", error=\"insufficient_scope\", "
		      "scope=\"chancery:admin chancery:clients chancery:read\"");
	flow_free(f);
}
END_TEST

static bool reflects(const struct answer *a, const char *marker)
{
	bool found = memmem(a->body.p, a->body.n, marker, strlen(marker)) != NULL;

	for (size_t i = 0; i < a->header_count; i++)
		found = found || memmem(a->headers[i].value.p, a->headers[i].value.n, marker,
					strlen(marker)) != NULL;
	return found;
}

START_TEST(nothing_of_the_input_comes_back_in_a_refusal)
{
	static const struct {
		const char *target, *authorization, *form;
	} rows[] = {
		{ "/mirror", NULL, "a=mirror" },
		{ "/oauth2/token?mirror=mirror", NULL, "grant_type=mirror" },
		{ "/oauth2/token", "Basic mirror", "grant_type=mirror" },
		{ "/oauth2/token", "Mirror mirror", "mirror=mirror" },
		{ "/oauth2/token", NULL, "mirror=1&mirror=2" },
		{ "/oauth2/token", NULL,
		  "grant_type=client_credentials&client_id=mirror&client_secret=mirror" },
		{ "/oauth2/introspect", NULL, "token=mirror&client_id=mirror" },
		{ "/oauth2/revoke", NULL, "token=mirror&token_type_hint=mirror" },
	};
	struct flow *f = flow_new(NULL);
	struct answer a;
	const char *secret;

	for (size_t i = 0; i < COUNT(rows); i++) {
		a = flow_send(f, &(struct ask){ .method = METHOD_POST,
						.target = rows[i].target,
						.authorization = rows[i].authorization,
						.content_type = FORM,
						.body = str_z(rows[i].form) });
		ck_assert_int_ge(a.status, 400);
		ck_assert_msg(!reflects(&a, "mirror"), "row %zu: %.*s", i, STR_ARG(a.body));
	}
	flow_api(f, "https://a.example", "a", "s");
	secret = flow_client(f, "c", "s", "https://a.example");
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=client_credentials&scope=mirror");
	ck_assert_refused(a, 400, "invalid_scope");
	ck_assert(!reflects(&a, "mirror"));
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=client_credentials&resource=https://mirror");
	ck_assert_refused(a, 400, "invalid_target");
	ck_assert(!reflects(&a, "mirror"));
	flow_free(f);
}
END_TEST

START_TEST(delayed_password_is_429_with_retry_after)
{
	struct flow *f = flow_new(NULL);
	const char *secret;
	struct answer a;

	flow_api(f, "https://a.example", "a", "s");
	secret = flow_client(f, "c", "s", "https://a.example");
	flow_user(f, "u1", "alice", "right password");
	for (int i = 0; i <= LOGIN_FAILURES_FREE; i++)
		a = post(f, "/oauth2/token", basic("c", secret),
			 "grant_type=password&username=alice&password=wrong");
	ck_assert_int_eq(a.status, 429);
	ck_assert_str(answer_header(&a, "Retry-After"), "30");
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=password&username=ALICE&password=right+password");
	ck_assert_int_eq(a.status, 429);
	flow_advance(f, 30);
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=password&username=alice&password=right+password");
	ck_assert_int_eq(a.status, 200);
	flow_free(f);
}
END_TEST

/* What is wrong with us is no concern of the client's, but for when to try again. */
START_TEST(our_own_faults_are_500_or_503_and_say_no_more)
{
	static const struct {
		enum err e;
		int status;
	} rows[] = {
		{ ERR_NOMEM, 503 },	{ ERR_FULL, 503 },    { ERR_IO, 503 },
		{ ERR_BUSY, 503 },	{ ERR_TIMEOUT, 503 }, { ERR_UNAVAILABLE, 503 },
		{ ERR_CORRUPT, 503 },	{ ERR_CRYPTO, 500 },  { ERR_INTERNAL, 500 },
		{ ERR_NOT_FOUND, 500 }, { ERR_SYNTAX, 500 },
	};
	struct flow *f = flow_new(NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct request rq = { .app = &f->app,
				      .route = &routes[0],
				      .listener = LISTENER_PUBLIC };
		const struct header *h;
		bool retry = false;

		ck_assert_int_eq(arena_new(REQUEST_ARENA_MAX, &rq.arena), ERR_OK);
		router_refuse(&rq, rows[i].e);
		ck_assert_int_eq(rq.response.status, rows[i].status);
		ck_assert_ptr_nonnull(strstr(rq.response.body.p, rows[i].status == 503
									 ? "temporarily_unavailable"
									 : "server_error"));
		for (h = rq.response.headers; h < rq.response.headers + rq.response.header_count;
		     h++)
			retry = retry || strcmp(h->name, "Retry-After") == 0;
		ck_assert(retry == (rows[i].status == 503));
		arena_free(rq.arena);
	}
	flow_free(f);
}
END_TEST

START_TEST(refusal_without_memory_still_has_its_status)
{
	struct flow *f = flow_new(NULL);
	struct request rq = { .app = &f->app, .route = &routes[0], .allow = 1u << METHOD_POST };

	ck_assert_int_eq(arena_new(4096, &rq.arena), ERR_OK);
	while (arena_alloc(rq.arena, 16))
		;
	router_refuse(&rq, ERR_METHOD);
	ck_assert_int_eq(rq.response.status, 405);
	ck_assert_uint_eq(rq.response.body.n, 0);
	ck_assert_ptr_null(rq.response.content_type);
	arena_free(rq.arena);
	flow_free(f);
}
END_TEST

START_TEST(no_store_row_says_so_and_a_document_does_not)
{
	struct flow *f = flow_new(NULL);
	const char *secret;
	struct answer a;

	flow_api(f, "https://a.example", "a", "s");
	secret = flow_client(f, "c", "s", "https://a.example");
	a = post(f, "/oauth2/token", basic("c", secret), "grant_type=client_credentials");
	ck_assert_int_eq(a.status, 200);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert_str(answer_header(&a, "Pragma"), "no-cache");
	ck_assert_str(answer_header(&a, "X-Content-Type-Options"), "nosniff");
	a = get(f, "/.well-known/jwks.json");
	ck_assert(str_starts(answer_header(&a, "Cache-Control"), STR("public, max-age=")));
	ck_assert(!answer_header(&a, "Pragma").p);
	ck_assert_str(answer_header(&a, "X-Content-Type-Options"), "nosniff");
	flow_free(f);
}
END_TEST

/* ---- lanes ---- */

static enum err wait_for_gate(struct lane_ctx *ctx, void *arg)
{
	(void)ctx;
	pthread_mutex_lock(arg);
	pthread_mutex_unlock(arg);
	return ERR_OK;
}

static void done(struct task *task)
{
	(void)task;
}

static enum err never_next(struct request *rq, enum err result)
{
	(void)rq;
	(void)result;
	ck_abort_msg("went on after a refusal");
	return ERR_INTERNAL;
}

START_TEST(full_lane_is_503_and_says_so)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	const struct pool_options options = { "hash", 1, 1, 0, NULL };
	struct task tasks[2];
	struct request rq = { .retry_after = 0 };
	struct flow *f = flow_new(NULL);
	enum err e = ERR_OK;

	pthread_mutex_lock(&gate);
	ck_assert_int_eq(pool_start(&options, f->app.env, &f->app.hash), ERR_OK);
	for (size_t i = 0; i < COUNT(tasks); i++) { /* one runs, one waits */
		tasks[i] = (struct task){ .run = wait_for_gate, .arg = &gate, .done = done };
		while (pool_submit(f->app.hash, &tasks[i]) != ERR_OK)
			;
	}
	rq.app = &f->app;
	e = park(&rq, LANE_HASH, wait_for_gate, &gate, never_next);
	ck_assert_int_eq(e, ERR_UNAVAILABLE);
	ck_assert(rq.shed);
	ck_assert_int_eq(rq.retry_after, 1);
	pthread_mutex_unlock(&gate);
	pool_stop(f->app.hash);
	f->app.hash = NULL;
	flow_free(f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		oauth_refusal_looks_as_rfc6749_says,
		problem_looks_as_rfc9457_says,
		bare_status_says_no_more_than_its_phrase,
		bearer_challenge_fits_the_refusal,
		nothing_of_the_input_comes_back_in_a_refusal,
		delayed_password_is_429_with_retry_after,
		our_own_faults_are_500_or_503_and_say_no_more,
		refusal_without_memory_still_has_its_status,
		no_store_row_says_so_and_a_document_does_not,
		full_lane_is_503_and_says_so,
	};

	return suite_run("refusals", tests, COUNT(tests));
}
