/* The revocation feed (docs/revocations.md): who sees what, when, and at what cost. */
#include <stdio.h>

#include "tests/flow/token_tests.h"

static struct flow *const f = &fx.flow;

enum { FEEDS_MAX = 64 };

/* What the tests have read; freed at the end of each. */
static struct json *feeds[FEEDS_MAX];
static size_t feed_count;

static void up(void)
{
	office_fixture_up();
	feed_count = 0;
}

static void down(void)
{
	while (feed_count)
		json_free(feeds[--feed_count]);
	office_fixture_down();
}

static struct answer read_feed(struct auth auth, const char *since, const char *etag)
{
	char target[256] = "/oauth2/revocations";
	const struct ask ask = {
		.target = target,
		.authorization = auth.text[0] ? auth.text : NULL,
		.if_none_match = etag,
	};

	if (since)
		snprintf(target, sizeof(target), "/oauth2/revocations?since=%s", since);
	return flow_send(f, &ask);
}

/* The payload, verified as a reader would. */
static const struct json *payload_of(const struct answer *a)
{
	struct answer keys = get(f, "/oauth2/revocations/jwks.json");
	AUTO(jwks, set) = NULL;
	const struct jwk *key;
	struct jws jws;

	ck_assert_msg(a->status == 200, "%d: %s", a->status, a->why);
	ck_assert_str_eq(a->content_type, "application/jwt");
	ck_assert_int_eq(keys.status, 200);
	ck_assert_int_eq(jwks_parse(keys.body, &set), ERR_OK);
	ck_assert_int_eq(jws_parse(f->arena, a->body, &jws), ERR_OK);
	ck_assert_str(jws.typ, "revocations+jwt");
	key = jwks_find(set, jws.kid);
	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(jws_verify(&jws, key), ERR_OK);
	ck_assert_uint_lt(feed_count, FEEDS_MAX);
	ck_assert_int_eq(json_parse(jws.payload, jws.payload.n, &feeds[feed_count]), ERR_OK);
	return feeds[feed_count++];
}

static const struct json *feed(struct auth auth, const char *since)
{
	struct answer a = read_feed(auth, since, NULL);

	return payload_of(&a);
}

static struct auth shop(void)
{
	return basic("shop", fx.secret);
}

static const struct json *entry(const struct json *payload, const char *kind, struct str value)
{
	const struct json *entries = json_get(payload, "entries");
	struct str k, v;

	for (size_t i = 0; i < json_len(entries); i++) {
		const struct json *one = json_at(entries, i);

		ck_assert(json_str(json_get(one, "kind"), &k) &&
			  json_str(json_get(one, "value"), &v));
		if (str_equal_z(k, kind) && str_equal(v, value))
			return one;
	}
	return NULL;
}

static size_t count_of(const struct json *payload)
{
	return json_len(json_get(payload, "entries"));
}

static const char *text_of(const struct json *payload, const char *member)
{
	struct str text;

	ck_assert(json_str(json_get(payload, member), &text));
	return arena_str(f->arena, text).p;
}

static int64_t number_of(const struct json *object, const char *member)
{
	int64_t n;

	ck_assert_msg(json_int(json_get(object, member), &n), "no number %s", member);
	return n;
}

static bool is_full(const struct json *payload)
{
	bool full;

	ck_assert(json_bool(json_get(payload, "full"), &full));
	return full;
}

static struct str machine_token(void)
{
	struct answer a = token("grant_type=client_credentials&resource=" ORDERS);

	ck_assert_int_eq(a.status, 200);
	return answer_str(&a, "access_token");
}

static struct str claim(struct str token_text, const char *name)
{
	struct str value;

	ck_assert(json_str(json_get(claims_of(token_text), name), &value));
	return value;
}

static uint64_t signatures(void)
{
	struct feed_signatures s;

	feed_signatures(f->app.feed, &s);
	return s.made;
}

/* ---- what it says ---- */

START_TEST(an_empty_feed_says_so_and_for_how_long)
{
	const struct json *p = feed(anonymous(), NULL);

	ck_assert_str_eq(text_of(p, "iss"), "https://id.example");
	ck_assert_int_eq(number_of(p, "iat"), FIXTURE_NOW);
	ck_assert_int_eq(number_of(p, "exp") - number_of(p, "iat"), 300);
	ck_assert(is_full(p));
	ck_assert_uint_eq(count_of(p), 0);
	ck_assert(str_starts(str_z(text_of(p, "cursor")), str_z(text_of(p, "epoch"))));
}
END_TEST

/* kind, and does a stranger see it */
static void expect(const char *kind, struct str value, bool stranger)
{
	const struct json *all, *theirs;

	flow_advance(f, 1);
	all = feed(shop(), NULL);
	theirs = feed(anonymous(), NULL);
	ck_assert_msg(entry(all, kind, value), "%s %.*s is not there", kind, STR_ARG(value));
	ck_assert_msg(!entry(theirs, kind, value) != stranger, "%s: a stranger", kind);
}

START_TEST(each_kind_is_seen_by_those_it_is_for)
{
	struct str one = machine_token(), kid;
	struct answer first = login();
	char target[256];
	struct jws jws;

	ck_assert_int_eq(jws_parse(f->arena, one, &jws), ERR_OK);
	kid = arena_str(f->arena, jws.kid);
	flow_client(f, "other", "orders.read", ORDERS);
	flow_user(f, "u-bob", "bob", PASSWORD);
	ck_assert_int_eq(revoke(one).status, 200);
	expect("jti", claim(one, "jti"), true);
	ck_assert_int_eq(revoke(answer_str(&first, "refresh_token")).status, 200);
	expect("sid", claim(answer_str(&first, "access_token"), "sid"), true);
	admin(f, METHOD_PATCH, "/admin/v1/clients/other", "{\"disabled\":true}");
	expect("client", STR("other"), false);
	admin(f, METHOD_DELETE, "/admin/v1/users/u-bob", NULL);
	expect("user", STR("u-bob"), false);
	admin(f, METHOD_PATCH, "/admin/v1/apis/billing", "{\"disabled\":true}");
	expect("api", STR(BILLING), false);
	snprintf(target, sizeof(target), "/admin/v1/keys/%.*s/revoke", STR_ARG(kid));
	ck_assert_int_eq(admin(f, METHOD_POST, target, "{}").status, 200);
	expect("kid", kid, true);
}
END_TEST

START_TEST(an_entry_says_which_tokens_and_until_when)
{
	struct str one = machine_token();
	const struct json *p, *e;

	ck_assert_int_eq(revoke(one).status, 200);
	flow_client(f, "gone", "orders.read", ORDERS);
	admin(f, METHOD_PATCH, "/admin/v1/clients/gone", "{\"disabled\":true}");
	p = feed(shop(), NULL);
	e = entry(p, "jti", claim(one, "jti"));
	ck_assert_ptr_nonnull(e);
	ck_assert_ptr_null(json_get(e, "before")); /* whenever issued */
	ck_assert_int_eq(number_of(e, "until"), FIXTURE_NOW + 600 + JWT_SKEW_MAX);
	e = entry(p, "client", STR("gone"));
	ck_assert_ptr_nonnull(e);
	ck_assert_int_ge(number_of(e, "before"), FIXTURE_NOW);
	ck_assert_int_le(number_of(e, "before"), FIXTURE_NOW + END_SLACK);
	ck_assert_int_gt(number_of(e, "until"), FIXTURE_NOW + ACCESS_TTL_MAX);
}
END_TEST

START_TEST(an_entry_leaves_when_its_last_token_has_expired)
{
	struct str one = machine_token();

	ck_assert_int_eq(revoke(one).status, 200);
	flow_advance(f, 600 + JWT_SKEW_MAX);
	ck_assert_ptr_nonnull(entry(feed(anonymous(), NULL), "jti", claim(one, "jti")));
	flow_advance(f, FEED_RENEW);
	ck_assert_uint_eq(count_of(feed(anonymous(), NULL)), 0);
}
END_TEST

/* ---- when ---- */

START_TEST(a_revocation_is_in_the_feed_at_once_or_a_second_later)
{
	struct str one = machine_token(), two = machine_token();
	const struct json *p;

	ck_assert_int_eq(revoke(one).status, 200);
	p = feed(anonymous(), NULL);
	ck_assert_ptr_nonnull(entry(p, "jti", claim(one, "jti")));
	/* within the second the text stays as it is, whoever asks */
	ck_assert_int_eq(revoke(two).status, 200);
	p = feed(anonymous(), NULL);
	ck_assert_ptr_null(entry(p, "jti", claim(two, "jti")));
	flow_advance(f, 1);
	p = feed(anonymous(), NULL);
	ck_assert_ptr_nonnull(entry(p, "jti", claim(one, "jti")));
	ck_assert_ptr_nonnull(entry(p, "jti", claim(two, "jti")));
}
END_TEST

START_TEST(the_text_is_signed_anew_when_half_of_its_life_is_gone)
{
	const struct json *first = feed(anonymous(), NULL), *second;

	flow_advance(f, FEED_RENEW - 1);
	ck_assert_int_eq(number_of(feed(anonymous(), NULL), "iat"), FIXTURE_NOW);
	flow_advance(f, 1);
	second = feed(anonymous(), NULL);
	ck_assert_int_eq(number_of(second, "iat"), FIXTURE_NOW + FEED_RENEW);
	ck_assert_str_eq(text_of(first, "cursor"), text_of(second, "cursor"));
}
END_TEST

/* ---- at what cost ---- */

START_TEST(a_flood_of_readers_costs_one_signature)
{
	struct answer a = read_feed(anonymous(), NULL, NULL);
	const char *etag = arena_str(f->arena, answer_header(&a, "ETag")).p;
	const uint64_t before = signatures();
	char made_up[128];

	ck_assert_str(answer_header(&a, "Cache-Control"), "no-cache");
	ck_assert_str(answer_header(&a, "Vary"), "Authorization");
	for (int i = 0; i < 50; i++) {
		snprintf(made_up, sizeof(made_up), "%s.%d", text_of(payload_of(&a), "epoch"),
			 1000 + i);
		ck_assert(str_equal(read_feed(anonymous(), made_up, NULL).body, a.body));
		ck_assert_int_eq(read_feed(anonymous(), NULL, etag).status, 304);
	}
	ck_assert_uint_eq(signatures(), before);
}
END_TEST

START_TEST(metrics_count_readers_and_signatures)
{
	struct ask ask = { .listener = LISTENER_ADMIN, .target = "/metrics" };
	static const char *const lines[] = {
		"chancery_feed_requests_total{view=\"anonymous\",cache=\"full\"} 1",
		"chancery_feed_requests_total{view=\"full\",cache=\"full\"} 2",
		"chancery_feed_signatures_total{outcome=\"success\"} 2",
		"chancery_feed_entries{view=\"anonymous\"} 1",
		"chancery_feed_merged_total{view=\"full\"} 0",
	};
	struct answer a;

	ck_assert_int_eq(revoke(machine_token()).status, 200);
	read_feed(anonymous(), NULL, NULL);
	read_feed(shop(), NULL, NULL);
	read_feed(shop(), NULL, NULL);
	a = flow_send(f, &ask);
	ck_assert_int_eq(a.status, 200);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert_msg(memmem(a.body.p, a.body.n, lines[i], strlen(lines[i])), "%s",
			      lines[i]);
}
END_TEST

/* ---- cursors ---- */

START_TEST(since_a_cursor_only_what_is_newer)
{
	struct str one = machine_token(), two = machine_token();
	const struct json *p;
	const char *cursor;

	ck_assert_int_eq(revoke(one).status, 200);
	cursor = text_of(feed(anonymous(), NULL), "cursor");
	p = feed(anonymous(), cursor);
	ck_assert(!is_full(p));
	ck_assert_uint_eq(count_of(p), 0);
	ck_assert_str_eq(text_of(p, "cursor"), cursor);
	ck_assert_int_eq(revoke(two).status, 200);
	flow_advance(f, 1);
	p = feed(anonymous(), cursor);
	ck_assert(!is_full(p));
	ck_assert_uint_eq(count_of(p), 1);
	ck_assert_ptr_nonnull(entry(p, "jti", claim(two, "jti")));
	/* the new cursor is one as well */
	p = feed(anonymous(), text_of(p, "cursor"));
	ck_assert(!is_full(p));
	ck_assert_uint_eq(count_of(p), 0);
}
END_TEST

START_TEST(a_cursor_of_the_empty_list_is_one)
{
	const char *cursor = text_of(feed(anonymous(), NULL), "cursor");
	const struct json *p;

	ck_assert_int_eq(revoke(machine_token()).status, 200);
	flow_advance(f, 1);
	p = feed(anonymous(), cursor);
	ck_assert(!is_full(p));
	ck_assert_uint_eq(count_of(p), 1);
}
END_TEST

START_TEST(what_is_no_cursor_gets_the_whole_list)
{
	const char *theirs = text_of(feed(shop(), NULL), "cursor");
	const char *epoch = text_of(feed(anonymous(), NULL), "epoch");
	const char *texts[] = { "",	".",	".0",  "x.0", "AAAAAAAAAAAAAAAA.0",
				"a.-1", theirs, epoch, NULL };
	char longer[128], negative[64];

	ck_assert_int_eq(revoke(machine_token()).status, 200);
	flow_advance(f, 1);
	for (size_t i = 0; texts[i]; i++)
		ck_assert_msg(is_full(feed(anonymous(), texts[i])), "%s", texts[i]);
	snprintf(longer, sizeof(longer), "%s.00000000000000000000000", epoch);
	ck_assert(is_full(feed(anonymous(), longer)));
	snprintf(negative, sizeof(negative), "%s.-1", epoch);
	ck_assert(is_full(feed(anonymous(), negative)));
}
END_TEST

START_TEST(a_cursor_too_old_gets_the_whole_list)
{
	const char *old = text_of(feed(anonymous(), NULL), "cursor"), *last = old;

	for (int i = 0; i < FEED_CURSORS; i++) {
		ck_assert(!is_full(feed(anonymous(), old)));
		json_free(feeds[--feed_count]);
		ck_assert_int_eq(revoke(machine_token()).status, 200);
		flow_advance(f, 1);
		last = text_of(feed(anonymous(), NULL), "cursor");
		json_free(feeds[--feed_count]);
	}
	ck_assert(is_full(feed(anonymous(), old)));
	ck_assert(!is_full(feed(anonymous(), last)));
}
END_TEST

START_TEST(doubled_and_unknown_parameters_are_refused)
{
	static const char *const queries[] = {
		"?since=a&since=b", "?until=1",	  "?since=a&x=1",
		"?Since=a",	    "?since=%zz", "?since=%00",
	};
	char target[64];

	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		snprintf(target, sizeof(target), "/oauth2/revocations%s", queries[i]);
		ck_assert_refused(get(f, target), 400, "invalid_request");
	}
	ck_assert_refused(get(f, "/oauth2/revocations/jwks.json?x=1"), 400, "invalid_request");
}
END_TEST

/* ---- who ---- */

START_TEST(only_a_confidential_client_is_more_than_a_stranger)
{
	struct answer a;

	ck_assert_refused(read_feed(basic("shop", "wrong"), NULL, NULL), 401, "invalid_client");
	ck_assert_refused(read_feed(basic("nobody", "wrong"), NULL, NULL), 401, "invalid_client");
	ck_assert_int_eq(admin(f, METHOD_POST, "/admin/v1/clients",
			       "{\"client_id\":\"app\",\"public\":true,"
			       "\"grant_types\":[\"refresh_token\"]}")
				 .status,
			 201);
	ck_assert_refused(read_feed(basic("app", ""), NULL, NULL), 401, "invalid_client");
	a = read_feed(bearer(machine_token()), NULL, NULL);
	ck_assert_str_eq(text_of(payload_of(&a), "epoch"),
			 text_of(feed(anonymous(), NULL), "epoch"));
	ck_assert_str_ne(text_of(feed(shop(), NULL), "epoch"),
			 text_of(feed(anonymous(), NULL), "epoch"));
}
END_TEST

START_TEST(a_gateway_sees_all_without_a_name)
{
	const struct ask list = { .listener = LISTENER_GATEWAY, .target = "/oauth2/revocations" };
	const struct ask keys = { .listener = LISTENER_GATEWAY,
				  .target = "/oauth2/revocations/jwks.json" };
	struct answer a;

	flow_client(f, "other", "orders.read", ORDERS);
	admin(f, METHOD_PATCH, "/admin/v1/clients/other", "{\"disabled\":true}");
	a = flow_send(f, &list);
	ck_assert_ptr_nonnull(entry(payload_of(&a), "client", STR("other")));
	ck_assert_int_eq(flow_send(f, &keys).status, 200);
}
END_TEST

/* RFC 8414 2: a member of ours among the registered ones */
START_TEST(the_metadata_names_the_feed)
{
	struct answer a = get(f, "/.well-known/oauth-authorization-server");

	ck_assert_str(answer_str(&a, "revocations_uri"), "https://id.example/oauth2/revocations");
}
END_TEST

/* ---- keys, and want of them ---- */

START_TEST(its_keys_never_stand_in_the_main_set)
{
	struct answer main_set = get(f, "/.well-known/jwks.json");
	struct answer own = get(f, "/oauth2/revocations/jwks.json");
	AUTO(jwks, a) = NULL;
	AUTO(jwks, b) = NULL;

	ck_assert_int_eq(jwks_parse(main_set.body, &a), ERR_OK);
	ck_assert_int_eq(jwks_parse(own.body, &b), ERR_OK);
	ck_assert_uint_eq(b->count, 3);
	for (size_t i = 0; i < b->count; i++)
		ck_assert_ptr_null(jwks_find(a, jwk_kid(b->keys[i])));
	ck_assert_str(answer_header(&own, "Cache-Control"), "public, max-age=900");
	ck_assert(answer_header(&own, "ETag").p);
}
END_TEST

START_TEST(the_key_set_follows_the_period)
{
	struct answer first = get(f, "/oauth2/revocations/jwks.json"), second;

	flow_advance(f, PURPOSE_PERIOD);
	second = get(f, "/oauth2/revocations/jwks.json");
	ck_assert(!str_equal(first.body, second.body));
	feed(anonymous(), NULL); /* and what is signed verifies by it */
}
END_TEST

START_TEST(without_a_signer_only_what_is_still_true_is_served)
{
	struct answer kept = read_feed(anonymous(), NULL, NULL);

	feed_set_signer(f->app.feed, -1);
	flow_advance(f, FEED_LIFETIME - 1);
	ck_assert(str_equal(read_feed(anonymous(), NULL, NULL).body, kept.body));
	ck_assert_int_eq(read_feed(shop(), NULL, NULL).status, 503);
	flow_advance(f, 1);
	ck_assert_int_eq(read_feed(anonymous(), NULL, NULL).status, 503);
}
END_TEST

START_TEST(without_a_signer_a_list_that_has_moved_on_is_not_served)
{
	struct answer a;

	read_feed(anonymous(), NULL, NULL);
	feed_set_signer(f->app.feed, -1);
	ck_assert_int_eq(revoke(machine_token()).status, 200);
	flow_advance(f, 1);
	a = read_feed(anonymous(), NULL, NULL);
	ck_assert_int_eq(a.status, 503);
	ck_assert(answer_header(&a, "Retry-After").p);
}
END_TEST

Suite *feed_suite(void)
{
	const TTest *const tests[] = {
		an_empty_feed_says_so_and_for_how_long,
		each_kind_is_seen_by_those_it_is_for,
		an_entry_says_which_tokens_and_until_when,
		an_entry_leaves_when_its_last_token_has_expired,
		a_revocation_is_in_the_feed_at_once_or_a_second_later,
		the_text_is_signed_anew_when_half_of_its_life_is_gone,
		a_flood_of_readers_costs_one_signature,
		metrics_count_readers_and_signatures,
		since_a_cursor_only_what_is_newer,
		a_cursor_of_the_empty_list_is_one,
		what_is_no_cursor_gets_the_whole_list,
		a_cursor_too_old_gets_the_whole_list,
		doubled_and_unknown_parameters_are_refused,
		only_a_confidential_client_is_more_than_a_stranger,
		a_gateway_sees_all_without_a_name,
		the_metadata_names_the_feed,
		its_keys_never_stand_in_the_main_set,
		the_key_set_follows_the_period,
		without_a_signer_only_what_is_still_true_is_served,
		without_a_signer_a_list_that_has_moved_on_is_not_served,
	};
	Suite *s = suite_create("revocation feed");
	TCase *t = tcase_create("feed");

	tcase_add_checked_fixture(t, up, down);
	tcase_set_timeout(t, 60);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	return s;
}
