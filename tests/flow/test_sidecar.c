/* The sidecar's judge on an issuer in memory: what it fetches, what it remembers, and that it says
 * "cannot tell" rather than guess. */
#include <stdio.h>
#include <stdlib.h>

#include "server/token/shared_fetch.h"
#include "server/token/sidecar.h"
#include "server/token/verified.h"
#include "tests/helpers/fake_issuer.h"
#include "tests/helpers/flow.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define BILLING "https://billing.example"
#define ASK "/gateway/verify?audience=" FAKE_AUDIENCE

enum { MAX_STALENESS = 30 };

static struct flow *f;
static struct fake_issuer issuer;
static struct sidecar *sidecar;
static const struct sidecar_audience audiences[] = {
	{ .uri = FAKE_AUDIENCE, .slug = "orders" },
	{ .uri = BILLING },
};

static void publish(const char *cursor, const char *entries)
{
	const long long now = f->app.env->now(f->app.env);
	char payload[1024];

	snprintf(payload, sizeof(payload),
		 "{\"iss\":\"" FAKE_ISSUER "\",\"iat\":%lld,\"exp\":%lld,\"epoch\":\"e\","
		 "\"cursor\":\"%s\",\"full\":true,\"entries\":[%s]}",
		 now, now + 300, cursor, entries);
	fake_issuer_set(&issuer, FAKE_FEED,
			signed_token(KEY_EC_2,
				     "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\",\"kid\":"
				     "\"feed1\"}",
				     payload),
			"");
}

static void make(const char *feed)
{
	const struct sidecar_options options = {
		.env = f->app.env,
		.issuer = FAKE_ISSUER,
		.feed = feed,
		.max_staleness = MAX_STALENESS,
		.audiences = audiences,
		.audience_count = COUNT(audiences),
		.workers = 1,
		.fetch = fake_fetch,
		.fetch_arg = &issuer,
	};
	const char *why;

	ck_assert_int_eq(sidecar_new(&options, &sidecar, &why), ERR_OK);
	f->app.sidecar = sidecar;
}

static void up(void)
{
	f = flow_new(NULL);
	fake_issuer_init(&issuer);
	atomic_store(&issuer.now, FIXTURE_NOW);
	fake_issuer_set(&issuer, FAKE_FEED_JWKS, fake_set(KEY_EC_2, "feed1"), "");
	publish("e.0", "");
	make("");
}

static void down(void)
{
	sidecar_free(sidecar);
	fake_issuer_done(&issuer);
	flow_free(f);
}

static struct answer ask(const char *target, const char *token)
{
	return flow_send(f, &(struct ask){ .listener = LISTENER_SIDECAR,
					   .target = target,
					   .authorization = bearer(str_z(token)).text });
}

static int status_of(const char *target, const char *token)
{
	return ask(target, token).status;
}

static int ready(void)
{
	return flow_send(f, &(struct ask){ .listener = LISTENER_SIDECAR, .target = "/readyz" })
		.status;
}

static void pass(int64_t seconds)
{
	flow_advance(f, seconds);
	atomic_store(&issuer.now, f->app.env->now(f->app.env));
}

/* A user's token; the test's memory. */
static const char *token_of(const char *pem, const char *kid, const char *claims)
{
	char *text = fake_token(&issuer, pem, kid, claims);
	const char *copy = arena_z(f->arena, str_z(text));

	free(text);
	return copy;
}

#define USER "\"scope\":\"read\",\"sid\":\"s1\",\"roles\":[\"buyer\",\"clerk\"]"

START_TEST(it_answers_as_the_server_does)
{
	const char *token = token_of(KEY_EC_1, "ec1", USER);
	struct answer a;

	sidecar_tend(sidecar);
	for (int i = 0; i < 2; i++) { /* verified, then remembered */
		a = ask(ASK "&scope=read&role=clerk", token);
		ck_assert_msg(a.status == 200, "%d %s", a.status, a.why);
		ck_assert_str(answer_header(&a, "X-User-Id"), "alice");
		ck_assert_str(answer_header(&a, "X-User-Role"), "buyer,clerk");
		ck_assert_str(answer_header(&a, "X-Scope"), "read");
		ck_assert_str(answer_header(&a, "X-Client-Id"), "shop");
		ck_assert_str(answer_header(&a, "X-Token-Id"), "j1");
	}
	ck_assert_int_eq(status_of(ASK "&scope=write", token), 403);
	ck_assert_int_eq(status_of(ASK "&role=king", token), 403);
	ck_assert_int_eq(status_of("/gateway/verify/orders/x", token), 200);
	ck_assert_int_eq(status_of("/gateway/verify?audience=" BILLING, token), 401);
}
END_TEST

START_TEST(audiences_that_it_was_not_started_for_are_the_gateways_mistake)
{
	static const char *const targets[] = {
		"/gateway/verify?audience=https://other.example",
		"/gateway/verify/billing",
		"/gateway/verify/other",
		"/gateway/verify",
		"/gateway/verify?audience=" FAKE_ISSUER "/admin",
	};
	const char *token = token_of(KEY_EC_1, "ec1", USER);

	sidecar_tend(sidecar);
	for (size_t i = 0; i < COUNT(targets); i++)
		ck_assert_msg(status_of(targets[i], token) == 400, "%s", targets[i]);
}
END_TEST

START_TEST(a_key_bound_token_or_one_without_its_client_is_refused)
{
	char payload[400];
	char *token;

	sidecar_tend(sidecar);
	ck_assert_int_eq(status_of(ASK, token_of(KEY_EC_1, "ec1", NULL)), 200);
	ck_assert_int_eq(status_of(ASK, token_of(KEY_EC_1, "ec1", "\"cnf\":{\"jkt\":\"x\"}")), 401);
	snprintf(payload, sizeof(payload),
		 "{\"iss\":\"" FAKE_ISSUER "\",\"aud\":\"" FAKE_AUDIENCE
		 "\",\"sub\":\"alice\",\"jti\":\"j1\",\"iat\":%d,\"exp\":%d}",
		 FIXTURE_NOW, FIXTURE_NOW + 60);
	token = signed_token(KEY_EC_1, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"ec1\"}",
			     payload);
	ck_assert_int_eq(status_of(ASK, token), 401);
	free(token);
}
END_TEST

START_TEST(several_audiences_cost_one_fetch)
{
	sidecar_tend(sidecar);
	ck_assert_uint_eq(atomic_load(&issuer.documents[FAKE_JWKS].asked), 1);
	ck_assert_uint_eq(atomic_load(&issuer.documents[FAKE_FEED].asked), 1);
	ck_assert_uint_eq(atomic_load(&issuer.documents[FAKE_FEED_JWKS].asked), 1);
}
END_TEST

START_TEST(a_revoked_token_is_refused_after_the_next_look_also_when_it_is_remembered)
{
	const char *token = token_of(KEY_EC_1, "ec1", USER);

	sidecar_tend(sidecar);
	ck_assert_int_eq(status_of(ASK, token), 200);
	publish("e.1", "{\"kind\":\"sid\",\"value\":\"s1\",\"until\":9999999999}");
	pass(6);
	sidecar_tend(sidecar);
	ck_assert_int_eq(status_of(ASK, token), 401);
}
END_TEST

/* Where one look comes while the token's moment of being remembered still lasts. */
START_TEST(a_look_at_the_documents_forgets_what_was_verified)
{
	const char *token = token_of(KEY_EC_1, "ec1", USER);

	sidecar_tend(sidecar);
	pass(5);
	ck_assert_int_eq(status_of(ASK, token), 200);
	publish("e.1", "{\"kind\":\"jti\",\"value\":\"j1\",\"until\":9999999999}");
	sidecar_tend(sidecar); /* the feed is due; not a second has passed */
	ck_assert_int_eq(status_of(ASK, token), 401);
}
END_TEST

START_TEST(a_remembered_token_ends_with_its_time)
{
	const char *token = token_of(KEY_EC_1, "ec1", USER);

	sidecar_tend(sidecar);
	pass(300 + SIDECAR_SKEW - 1);
	publish("e.1", "");
	sidecar_tend(sidecar);
	ck_assert_int_eq(status_of(ASK, token), 200);
	pass(1);
	ck_assert_int_eq(status_of(ASK, token), 401);
}
END_TEST

START_TEST(without_documents_nothing_can_be_told)
{
	const char *token = token_of(KEY_EC_1, "ec1", USER);
	struct answer a;

	atomic_store(&issuer.away, true);
	sidecar_tend(sidecar);
	a = ask(ASK, token);
	ck_assert_int_eq(a.status, 503);
	ck_assert_ptr_nonnull(answer_header(&a, "Retry-After").p);
	ck_assert_int_eq(ready(), 503);
	ck_assert_ptr_nonnull(sidecar_trouble(sidecar));
	ck_assert_int_eq(
		flow_send(f, &(struct ask){ .listener = LISTENER_SIDECAR, .target = "/livez" })
			.status,
		200);
	atomic_store(&issuer.away, false);
	pass(60);
	sidecar_tend(sidecar);
	ck_assert_int_eq(status_of(ASK, token), 200);
	ck_assert_int_eq(ready(), 200);
}
END_TEST

START_TEST(a_list_that_is_too_old_is_none_also_for_what_is_remembered)
{
	const char *token = token_of(KEY_EC_1, "ec1", USER);

	sidecar_tend(sidecar);
	atomic_store(&issuer.away, true);
	pass(MAX_STALENESS - 1);
	sidecar_tend(sidecar);
	ck_assert_int_eq(status_of(ASK, token), 200);
	pass(2);
	ck_assert_int_eq(status_of(ASK, token), 503);
	ck_assert_int_eq(ready(), 503);
}
END_TEST

START_TEST(without_a_feed_the_issuer_may_be_away)
{
	const char *token = token_of(KEY_EC_1, "ec1", USER);

	sidecar_free(sidecar);
	make(NULL);
	sidecar_tend(sidecar);
	atomic_store(&issuer.away, true);
	pass(200);
	sidecar_tend(sidecar);
	ck_assert_int_eq(status_of(ASK, token), 200);
	ck_assert_uint_eq(atomic_load(&issuer.documents[FAKE_FEED].asked), 0);
}
END_TEST

START_TEST(a_flood_of_unknown_kids_is_one_fetch)
{
	sidecar_tend(sidecar);
	pass(60);
	for (int i = 0; i < 50; i++) {
		char kid[16];

		snprintf(kid, sizeof(kid), "k%d", i);
		ck_assert_int_ne(status_of(ASK, token_of(KEY_EC_2, kid, USER)), 200);
		sidecar_tend(sidecar);
	}
	ck_assert_uint_le(atomic_load(&issuer.documents[FAKE_JWKS].asked), 2);
}
END_TEST

START_TEST(after_a_rotation_old_and_new_keys_pass)
{
	const char *old = token_of(KEY_EC_1, "ec1", USER);

	sidecar_tend(sidecar);
	fake_issuer_set(&issuer, FAKE_JWKS, fake_set2(KEY_EC_1, "ec1", KEY_EC_2, "ec2"), "\"two\"");
	pass(60);
	(void)status_of(ASK, token_of(KEY_EC_2, "ec2", USER)); /* tells that there is a new one */
	sidecar_tend(sidecar);
	ck_assert_int_eq(status_of(ASK, token_of(KEY_EC_2, "ec2", USER)), 200);
	ck_assert_int_eq(status_of(ASK, old), 200);
}
END_TEST

/* ---- what is remembered ---- */

static const struct gateway_identity someone = {
	.sub = { "alice", 5 },
	.client_id = { "shop", 4 },
	.scope = { "", 0 },
	.jti = { "j", 1 },
	.roles = { "a b", 3 },
	.user = true,
	.exp = 7,
};

START_TEST(what_is_remembered_is_found_by_token_audience_and_epoch_until_its_end)
{
	const struct secret key = { .b = { 1 } };
	unsigned char one[VERIFIED_KEY_LEN], other[VERIFIED_KEY_LEN];
	struct gateway_identity id;
	struct verified *t;

	ck_assert_int_eq(verified_new(&key, &t), ERR_OK);
	verified_key(t, STR("a"), STR("bc"), one);
	verified_key(t, STR("ab"), STR("c"), other);
	ck_assert(memcmp(one, other, sizeof(one)) != 0);
	ck_assert(!verified_get(t, one, 0, 1, f->arena, &id));
	verified_put(t, one, 3, 10, &someone);
	ck_assert(verified_get(t, one, 3, 9, f->arena, &id));
	ck_assert_str(id.sub, "alice");
	ck_assert_str(id.roles, "a b");
	ck_assert_str(id.scope, "");
	ck_assert(id.user && id.exp == 7);
	ck_assert(!verified_get(t, one, 3, 10, f->arena, &id));
	ck_assert(!verified_get(t, one, 4, 9, f->arena, &id));
	ck_assert(!verified_get(t, one, 2, 9, f->arena, &id));
	ck_assert(!verified_get(t, other, 3, 9, f->arena, &id));
	memcpy(other, one, sizeof(other));
	other[VERIFIED_KEY_LEN - 1] ^= 1; /* the same slot */
	verified_put(t, other, 3, 10, &someone);
	ck_assert(!verified_get(t, one, 3, 9, f->arena, &id));
	ck_assert_str(id.sub, "alice"); /* a copy of our own */
	verified_free(t);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		it_answers_as_the_server_does,
		audiences_that_it_was_not_started_for_are_the_gateways_mistake,
		a_key_bound_token_or_one_without_its_client_is_refused,
		several_audiences_cost_one_fetch,
		a_revoked_token_is_refused_after_the_next_look_also_when_it_is_remembered,
		a_look_at_the_documents_forgets_what_was_verified,
		a_remembered_token_ends_with_its_time,
		without_documents_nothing_can_be_told,
		a_list_that_is_too_old_is_none_also_for_what_is_remembered,
		without_a_feed_the_issuer_may_be_away,
		a_flood_of_unknown_kids_is_one_fetch,
		after_a_rotation_old_and_new_keys_pass,
		what_is_remembered_is_found_by_token_audience_and_epoch_until_its_end,
	};
	TCase *all = tcase_create("sidecar");

	tcase_add_checked_fixture(all, up, down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	return suite_run_case("sidecar", all);
}
