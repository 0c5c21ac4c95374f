/* Every flow with its k-th allocation failing, for every k: the answer is the right one or 500 or
 * 503, never a wrong verdict ("invalid_client" for want of memory), and the next request finds all
 * in order. */
#include "tests/helpers/flow.h"
#include "tests/unit/suite.h"

#include <stdio.h>

#include "server/store/cache.h"
#include "tests/helpers/mem_fail.h"

enum { TOO_MANY = 5000 };

struct failing {
	struct flow *f;
	size_t at;    /* 0: none fails */
	size_t count; /* allocations of the last request */
	const char *secret;
	struct str access, refresh;
	size_t round;
};

static void arm(bool begins, void *arg)
{
	struct failing *x = arg;

	if (!begins)
		x->count = mem_fail_count();
	mem_fail_arm(begins ? x->at : 0, false);
}

/* ---- what is asked ---- */

static struct answer ask_client_credentials(struct failing *x)
{
	return post(x->f, "/oauth2/token", basic("c", x->secret),
		    "grant_type=client_credentials&scope=s");
}

static struct answer ask_secret_in_body(struct failing *x)
{
	char form[256];

	snprintf(form, sizeof(form), "grant_type=client_credentials&client_id=c&client_secret=%s",
		 x->secret);
	return post(x->f, "/oauth2/token", anonymous(), form);
}

static struct answer ask_operator_secret(struct failing *x)
{
	return post(x->f, "/oauth2/token", basic("op", "a secret of the operator"),
		    "grant_type=client_credentials");
}

static struct answer ask_password(struct failing *x)
{
	return post(x->f, "/oauth2/token", basic("c", x->secret),
		    "grant_type=password&username=alice&password=right+password");
}

/* The answer may be lost; the same token gets the same successor then. */
static struct answer ask_refresh(struct failing *x)
{
	char form[512];
	struct answer a;

	snprintf(form, sizeof(form), "grant_type=refresh_token&refresh_token=%.*s",
		 STR_ARG(x->refresh));
	a = post(x->f, "/oauth2/token", basic("c", x->secret), form);
	if (a.status == 200 && x->at == 0)
		x->refresh = answer_str(&a, "refresh_token");
	return a;
}

static struct answer ask_introspect(struct failing *x)
{
	static char form[JWT_SIZE_MAX + 16];
	struct answer a;

	snprintf(form, sizeof(form), "token=%.*s", STR_ARG(x->access));
	a = post(x->f, "/oauth2/introspect", basic("c", x->secret), form);
	if (a.status == 200 && !answer_bool(&a, "active"))
		a.status = 400;
	return a;
}

/* Issued and looked at, both with the allocation failing. */
static struct answer ask_format(struct failing *x, const char *audience)
{
	static char form[JWT_SIZE_MAX + 16];
	struct answer a;

	snprintf(form, sizeof(form), "grant_type=client_credentials&resource=%s", audience);
	a = post(x->f, "/oauth2/token", basic("c", x->secret), form);
	if (a.status != 200)
		return a;
	snprintf(form, sizeof(form), "token=%.*s", STR_ARG(answer_str(&a, "access_token")));
	a = post(x->f, "/oauth2/introspect", basic("c", x->secret), form);
	if (a.status == 200 && !answer_bool(&a, "active"))
		a.status = 400;
	return a;
}

static struct answer ask_opaque(struct failing *x)
{
	return ask_format(x, "https://o.example");
}

static struct answer ask_shared(struct failing *x)
{
	return ask_format(x, "https://h.example");
}

static struct answer ask_jwe(struct failing *x)
{
	return ask_format(x, "https://e.example");
}

static struct answer ask_api_secret(struct failing *x)
{
	/* takes the place of the one before, which has not signed yet */
	return admin(x->f, METHOD_POST, "/admin/v1/apis/h/secrets", "{\"sign_after\":60}");
}

static struct answer ask_revoke(struct failing *x)
{
	static char form[JWT_SIZE_MAX + 16];
	struct answer token = { .status = 0 };
	const size_t at = x->at;
	struct answer a;

	x->at = 0;
	token = ask_client_credentials(x);
	x->at = at;
	snprintf(form, sizeof(form), "token=%.*s", STR_ARG(answer_str(&token, "access_token")));
	a = post(x->f, "/oauth2/revoke", basic("c", x->secret), form);
	return a;
}

static struct answer ask_jwks(struct failing *x)
{
	return get(x->f, "/.well-known/jwks.json");
}

/* Made anew each time, with one entry more. */
static struct answer ask_feed(struct failing *x)
{
	char jti[32];
	struct revocation r = { .kind = REVOKE_JTI, .until = FIXTURE_NOW + 86400 * 365 };

	snprintf(jti, sizeof(jti), "jti-%zu", revoked_count(x->f->app.revoked));
	r.value = str_z(jti);
	ck_assert_int_eq(revoked_add(x->f->app.revoked, &r), ERR_OK);
	flow_advance(x->f, FEED_RENEW);
	return get(x->f, "/oauth2/revocations");
}

static struct answer ask_metrics(struct failing *x)
{
	return flow_send(x->f, &(struct ask){ .listener = LISTENER_ADMIN, .target = "/metrics" });
}

static struct answer ask_admin_create(struct failing *x)
{
	char json[256];
	struct answer a;

	snprintf(json, sizeof(json),
		 "{\"client_id\":\"n%zu\",\"grant_types\":[\"client_credentials\"],"
		 "\"scope\":\"s\",\"audiences\":[\"https://a.example\"]}",
		 x->round);
	a = admin(x->f, METHOD_POST, "/admin/v1/clients", json);
	if (a.status == 409 && x->at == 0)
		a.status = 201; /* made already, its answer was lost */
	return a;
}

static struct answer ask_admin_list(struct failing *x)
{
	return admin(x->f, METHOD_GET, "/admin/v1/clients?page_size=2", NULL);
}

static struct answer ask_admin_update(struct failing *x)
{
	return admin(x->f, METHOD_PATCH, "/admin/v1/users/u1", "{\"email\":\"a@example.com\"}");
}

static struct answer ask_wrong_secret(struct failing *x)
{
	return post(x->f, "/oauth2/token", basic("c", "wrong"), "grant_type=client_credentials");
}

static struct answer ask_nowhere(struct failing *x)
{
	return get(x->f, "/nowhere");
}

static const struct {
	const char *name;
	int status;
	struct answer (*ask)(struct failing *x);
} flows[] = {
	{ "client_credentials", 200, ask_client_credentials },
	{ "secret in the body", 200, ask_secret_in_body },
	{ "operator's secret", 200, ask_operator_secret },
	{ "password", 200, ask_password },
	{ "refresh", 200, ask_refresh },
	{ "introspect", 200, ask_introspect },
	{ "opaque", 200, ask_opaque },
	{ "hs256", 200, ask_shared },
	{ "jwe", 200, ask_jwe },
	{ "api secret", 201, ask_api_secret },
	{ "revoke", 200, ask_revoke },
	{ "jwks", 200, ask_jwks },
	{ "feed", 200, ask_feed },
	{ "metrics", 200, ask_metrics },
	{ "admin create", 201, ask_admin_create },
	{ "admin list", 200, ask_admin_list },
	{ "admin update", 200, ask_admin_update },
	{ "wrong secret", 401, ask_wrong_secret },
	{ "nowhere", 404, ask_nowhere },
};

/* ---- the campaign ---- */

static const char *const formats[] = {
	"{\"uri\":\"https://o.example\",\"slug\":\"o\",\"format\":\"opaque\"}",
	"{\"uri\":\"https://h.example\",\"slug\":\"h\",\"alg\":\"HS256\"}",
	"{\"uri\":\"https://e.example\",\"slug\":\"e\",\"format\":\"jwe\",\"encryption_key\":{"
	"\"kty\":\"EC\",\"crv\":\"P-256\","
	"\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}}",
};

static void populate(struct failing *x)
{
	struct answer a;

	x->f = flow_new(NULL);
	flow_api(x->f, "https://a.example", "a", "s");
	for (size_t i = 0; i < COUNT(formats); i++)
		ck_assert_int_eq(admin(x->f, METHOD_POST, "/admin/v1/apis", formats[i]).status,
				 201);
	x->secret = flow_client(x->f, "c", "s",
				"https://a.example https://o.example https://h.example "
				"https://e.example");
	flow_client(x->f, "op", "s", "https://a.example");
	flow_operator_secret(x->f, "op", "a secret of the operator");
	flow_user(x->f, "u1", "alice", "right password");
	a = ask_password(x);
	x->refresh = answer_str(&a, "refresh_token");
	x->access = answer_str(&a, "access_token");
	x->f->around = arm;
	x->f->around_arg = x;
}

/* What the housekeeper does within a second. */
static void catch_up(struct failing *x)
{
	if (revoked_is_behind(x->f->app.revoked))
		ck_assert_int_eq(revoked_load(x->f->app.revoked, x->f->store.db, FIXTURE_NOW),
				 ERR_OK);
}

static void one_round(struct failing *x, size_t flow, size_t k)
{
	const int want = flows[flow].status;
	struct answer a;

	x->round++;
	client_cache_drop_all(x->f->app.clients);
	x->at = k;
	a = flows[flow].ask(x);
	x->at = 0;
	ck_assert_msg(a.status == want || a.status == 500 || a.status == 503,
		      "%s, allocation %zu: %d %s", flows[flow].name, k, a.status, a.why);
	catch_up(x);
	ck_assert_msg(flows[flow].ask(x).status == want, "%s, after allocation %zu failed",
		      flows[flow].name, k);
}

START_TEST(no_flow_answers_wrongly_for_want_of_memory)
{
	const size_t flow = (size_t)_i;
	struct failing x = { .at = 0 };
	size_t k = 0, count;

	populate(&x);
	do {
		one_round(&x, flow, ++k);
		client_cache_drop_all(x.f->app.clients);
		x.round++;
		(void)flows[flow].ask(&x);
		count = x.count;
		ck_assert_uint_lt(k, TOO_MANY);
	} while (k <= count);
	flow_free(x.f);
}
END_TEST

static struct answer post_token(struct failing *x, const char *path, struct str token)
{
	static char form[JWT_SIZE_MAX + 16];

	snprintf(form, sizeof(form), "token=%.*s", STR_ARG(token));
	return post(x->f, path, basic("c", x->secret), form);
}

/* 200 to a revocation is a promise, also to one that is said again because the first try had no
 * memory after its commit. */
START_TEST(what_was_revoked_is_never_called_active)
{
	enum { LAST = 8 }; /* more allocations than a revocation makes */
	struct failing x = { .at = 0 };

	populate(&x);
	for (size_t i = 0; i < 2 * LAST; i++) {
		/* statements are prepared in the first round and kept */
		const size_t k = 1 + i % LAST;
		struct answer login = ask_password(&x), a;

		x.at = k;
		(void)post_token(&x, "/oauth2/revoke", answer_str(&login, "refresh_token"));
		ck_assert_uint_lt(x.count, LAST);
		x.at = 0;
		a = post_token(&x, "/oauth2/revoke", answer_str(&login, "refresh_token"));
		ck_assert_msg(a.status == 200, "allocation %zu: %s", k, a.why);
		a = post_token(&x, "/oauth2/introspect", answer_str(&login, "access_token"));
		ck_assert_msg(a.status == 503 || !answer_bool(&a, "active"), "allocation %zu", k);
		catch_up(&x);
		a = post_token(&x, "/oauth2/introspect", answer_str(&login, "access_token"));
		ck_assert_msg(a.status == 200 && !answer_bool(&a, "active"), "allocation %zu", k);
	}
	flow_free(x.f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flow without memory");
	TCase *flow = tcase_create("flows");
	SRunner *runner;
	int failed;

	mem_fail_libraries();
	tcase_set_timeout(flow, 300);
	tcase_add_loop_test(flow, no_flow_answers_wrongly_for_want_of_memory, 0, COUNT(flows));
	tcase_add_test(flow, what_was_revoked_is_never_called_active);
	suite_add_tcase(suite, flow);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
