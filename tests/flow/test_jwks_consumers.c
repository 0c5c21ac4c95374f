/* Who counts as a consumer of the key set, from the request on. */
#include "tests/helpers/flow.h"
#include "tests/unit/suite.h"

#include <stdio.h>

#define JWKS "/.well-known/jwks.json"
#define GATEWAY "10.0.0.7"

enum { MAX_AGE = 900, CROWD = 10000 };

static const char *const named[] = { "keys.consumers=gateway=" GATEWAY, NULL };

static struct answer fetch(struct flow *f, enum method method, const char *target,
			   const char *address, const char *if_none_match)
{
	return flow_send(f, &(struct ask){ .method = method,
					   .target = target,
					   .address = address,
					   .if_none_match = if_none_match });
}

static struct answer fetch_as(struct flow *f, const char *address, struct auth auth)
{
	return flow_send(
		f, &(struct ask){ .target = JWKS, .address = address, .authorization = auth.text });
}

static struct consumers_report report(struct flow *f)
{
	struct keyring_view *v = keyring_view_get(f->app.keyring);
	const struct key_info *standby = key_plan_find(v->infos, v->count, ALG_ES256, KEY_STANDBY);
	struct consumers_report r;

	consumers_holding(f->app.consumers, ALG_ES256, str_z(standby->kid),
			  f->app.env->now(f->app.env), &r);
	keyring_view_unref(v);
	return r;
}

static bool lagging(struct flow *f)
{
	struct keyring_view *v = keyring_view_get(f->app.keyring);
	const unsigned bits = consumers_lagging(f->app.consumers, v, f->app.env->now(f->app.env));

	keyring_view_unref(v);
	return bits != 0;
}

static void rotate(struct flow *f)
{
	struct rotate_result r;

	ck_assert_int_eq(keyring_rotate(f->app.keyring, ALG_ES256, true, NULL, &r), ERR_OK);
	flow_changed(f);
}

static void become_steady(struct flow *f, const char *address)
{
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(fetch(f, METHOD_GET, JWKS, address, NULL).status, 200);
		flow_advance(f, MAX_AGE);
	}
}

/* ---- what proves that it holds the standby ---- */

START_TEST(a_body_or_its_validator_proves_what_a_consumer_holds)
{
	static const struct {
		enum method method;
		const char *target;
		const char *held; /* "etag": the present one's */
		int status;
		unsigned holds;
	} rows[] = {
		{ METHOD_GET, JWKS, NULL, 200, 1 },
		{ METHOD_GET, JWKS "?alg=ES256", NULL, 200, 1 },
		{ METHOD_GET, JWKS "?kty=EC", NULL, 200, 1 },
		{ METHOD_GET, JWKS "?alg=RS256", NULL, 400, 0 },
		{ METHOD_GET, JWKS, "etag", 304, 1 },
		{ METHOD_HEAD, JWKS, "etag", 304, 1 },
		{ METHOD_HEAD, JWKS, NULL, 200, 0 },
		{ METHOD_HEAD, JWKS, "\"x\"", 200, 0 },
		{ METHOD_GET, JWKS, "\"x\"", 200, 1 },
		{ METHOD_GET, JWKS, "*", 304, 0 },
		{ METHOD_GET, "/.well-known/openid-configuration", NULL, 200, 0 },
		{ METHOD_POST, JWKS, NULL, 405, 0 },
	};
	struct flow *f = flow_new(named);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *held = rows[i].held;
		char stranger[32];
		struct answer a;

		rotate(f);
		ck_assert_uint_eq(report(f).held, 0);
		snprintf(stranger, sizeof(stranger), "192.0.2.%zu", i);
		a = fetch(f, METHOD_GET, JWKS, stranger, NULL);
		if (held && !strcmp(held, "etag"))
			held = answer_header(&a, "ETag").p;
		a = fetch(f, rows[i].method, rows[i].target, GATEWAY, held);
		ck_assert_int_eq(a.status, rows[i].status);
		ck_assert_msg(report(f).held == rows[i].holds, "row %zu", i);
		ck_assert_uint_eq(report(f).expected, 1);
		flow_advance(f, 3600); /* so that retired keys make room */
		ck_assert_int_eq(keyring_tend(f->app.keyring, &(int64_t){ 0 }, &(bool){ false }),
				 ERR_OK);
	}
	flow_free(f);
}
END_TEST

START_TEST(an_authenticated_fetch_is_known_by_its_client)
{
	struct flow *f = flow_new(NULL);
	struct answer a;
	const char *secret;

	flow_api(f, "https://a.example", "a", "s");
	secret = flow_client(f, "ops", "s", "https://a.example");
	flow_operator_secret(f, "ops", "a secret of the operator's own");
	ck_assert_int_eq(fetch_as(f, "192.0.2.1", basic("ops", secret)).status, 200);
	ck_assert_uint_eq(report(f).held, 1);
	rotate(f);
	ck_assert_str_eq(report(f).laggards[0].name, "client:ops");
	a = fetch_as(f, "192.0.2.2", basic("ops", "a secret of the operator's own"));
	ck_assert_int_eq(a.status, 200);
	ck_assert_uint_eq(report(f).held, 1);
	/* wrong ones are nobody, and are told so */
	rotate(f);
	a = fetch_as(f, "192.0.2.1", basic("ops", "wrong"));
	ck_assert_refused(a, 401, "invalid_client");
	ck_assert_str(answer_header(&a, "WWW-Authenticate"), "Basic realm=\"chancery\"");
	ck_assert_refused(fetch_as(f, "192.0.2.1", basic("nobody", secret)), 401, "invalid_client");
	ck_assert_uint_eq(report(f).held, 0);
	ck_assert_uint_eq(report(f).expected, 1);
	/* other schemes are for others: a proxy's, a service mesh's */
	ck_assert_int_eq(fetch_as(f, "192.0.2.1", bearer(STR("x"))).status, 200);
	ck_assert_uint_eq(report(f).held, 0);
	flow_free(f);
}
END_TEST

/* ---- crowds ---- */

/* What a peer says of itself (user agent, forwarding headers of an untrusted peer) never gets as
 * far as here: whoever it claims to be, it is one address. */
START_TEST(ten_thousand_fetches_from_one_peer_are_one_stranger)
{
	struct flow *f = flow_new(named);
	struct answer a = fetch(f, METHOD_GET, JWKS, GATEWAY, NULL);
	const char *etag = answer_header(&a, "ETag").p;

	for (int i = 0; i < CROWD; i++)
		ck_assert_int_eq(fetch(f, METHOD_GET, JWKS, "198.51.100.1", etag).status, 304);
	ck_assert_uint_eq(report(f).anonymous, 1);
	ck_assert_uint_eq(report(f).expected, 1);
	ck_assert(!lagging(f));
	flow_free(f);
}
END_TEST

START_TEST(ten_thousand_addresses_push_out_nobody_and_make_nobody_wait)
{
	struct flow *f = flow_new(named);
	struct answer a;
	const char *etag;

	a = fetch(f, METHOD_GET, JWKS, GATEWAY, NULL);
	etag = answer_header(&a, "ETag").p;
	become_steady(f, "192.0.2.7");
	for (int i = 0; i < CROWD; i++) {
		char address[32];

		snprintf(address, sizeof(address), "198.18.%d.%d", i >> 8, i & 255);
		ck_assert_int_eq(fetch(f, METHOD_GET, JWKS, address, etag).status, 304);
	}
	ck_assert_uint_eq(report(f).expected, 2);
	ck_assert(!lagging(f));
	rotate(f); /* the crowd does not hold the new standby, and nobody waits for it */
	ck_assert_uint_eq(report(f).expected, 2);
	ck_assert(lagging(f));
	fetch(f, METHOD_GET, JWKS, GATEWAY, NULL);
	fetch(f, METHOD_GET, JWKS, "192.0.2.7", NULL);
	ck_assert(!lagging(f));
	flow_free(f);
}
END_TEST

START_TEST(metrics_tell_how_many_hold_the_standbys)
{
	struct flow *f = flow_new(named);
	struct answer a;

	become_steady(f, "192.0.2.7");
	a = flow_send(f, &(struct ask){
				 .listener = LISTENER_SOCKET, .target = "/metrics", .root = true });
	ck_assert_int_eq(a.status, 200);
	ck_assert_ptr_nonnull(strstr(a.body.p, "chancery_jwks_consumers{state=\"holding\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(a.body.p, "chancery_jwks_consumers{state=\"lagging\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(a.body.p, "chancery_jwks_consumers{state=\"anonymous\"} 1\n"));
	flow_free(f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_body_or_its_validator_proves_what_a_consumer_holds,
		an_authenticated_fetch_is_known_by_its_client,
		ten_thousand_fetches_from_one_peer_are_one_stranger,
		ten_thousand_addresses_push_out_nobody_and_make_nobody_wait,
		metrics_tell_how_many_hold_the_standbys,
	};

	return suite_run("jwks consumers", tests, COUNT(tests));
}
