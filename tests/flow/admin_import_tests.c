/* /admin/v1/keys/import and tripwire: keys that were elsewhere, and tokens that come from there. */
#include "jose/b64.h"
#include "jose/jws.h"
#include "keys/import_file.h"
#include "keys/sign.h"
#include "server/request/audit.h"
#include "server/token/auth.h"
#include "tests/flow/admin_tests.h"
#include "tests/helpers/keys.h"

#define KEYS "/admin/v1/keys"
#define IMPORT KEYS "/import"

static struct import_file former; /* KEY_EC_1 */

static void up(void)
{
	admin_fixture_up();
	ck_assert_int_eq(import_file_read(STR(KEY_EC_1), STR("former-1"), &former), ERR_OK);
}

static void down(void)
{
	import_file_done(&former);
	admin_fixture_down();
}

/* ---- making bodies ---- */

static const char *sealed(const struct import_file *f)
{
	struct answer a = root_gets(200, METHOD_GET, IMPORT, NULL);
	unsigned char to[SIGNER_IMPORT_KEY_LEN];
	struct buf box, text;
	struct str coded;
	size_t n;

	ck_assert_int_eq(b64url_decode(answer_str(&a, "public_key"), to, sizeof(to), &n), ERR_OK);
	buf_init(&box, office.arena, 8192);
	buf_init(&text, office.arena, 16384);
	ck_assert_int_eq(import_file_seal(f, to, &box), ERR_OK);
	b64url_encode(&text, box.p, box.n);
	ck_assert_int_eq(buf_end(&text, &coded), ERR_OK);
	return coded.p;
}

static const char *public_jwk(const struct import_file *f)
{
	struct jsonw w;
	struct buf b;
	struct str text;

	buf_init(&b, office.arena, 4096);
	jsonw_init(&w, &b);
	jwk_export(f->public_key, &w);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return text.p;
}

static const char *active_body(const char *kid, const struct import_file *f)
{
	return format("{\"alg\":\"ES256\",\"kid\":\"%s\",\"state\":\"active\",\"sealed\":\"%s\"}",
		      kid, sealed(f));
}

static const char *retiring_body(const char *until)
{
	return format("{\"alg\":\"ES256\",\"kid\":\"former-1\",\"state\":\"retiring\","
		      "\"public_jwk\":%s,\"tokens_until\":\"%s\"}",
		      public_jwk(&former), until);
}

/* ---- signing outside, as the former server or a thief does ---- */

static struct str sign_outside(const char *kid, struct str payload)
{
	AUTO(signing_key, key) = NULL;
	const char *header = format("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid);
	unsigned char signature[SIGNATURE_MAX];
	struct sign_ctx *ctx;
	struct str text;
	struct buf b;
	size_t n;

	ck_assert_int_eq(signing_key_load(ALG_ES256, str_n(former.pkcs8.p, former.pkcs8.n), &key),
			 ERR_OK);
	ck_assert_int_eq(sign_ctx_new(key, &ctx), ERR_OK);
	buf_init(&b, office.arena, JWT_SIZE_MAX);
	b64url_encode(&b, header, strlen(header));
	buf_byte(&b, '.');
	b64url_encode(&b, payload.p, payload.n);
	ck_assert_int_eq(sign(ctx, str_n(b.p, b.n), signature, sizeof(signature), &n), ERR_OK);
	sign_ctx_free(ctx);
	buf_byte(&b, '.');
	b64url_encode(&b, signature, n);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return text;
}

static struct str foreign_payload(void)
{
	return STR("{\"iss\":\"https://id.example\",\"sub\":\"a\",\"jti\":\"made elsewhere\"}");
}

/* ---- import ---- */

static struct str state_of(const char *kid)
{
	struct answer a = root_gets(200, METHOD_GET, format(KEYS "/%s", kid), NULL);

	ck_assert_str(answer_str(&a, "origin"), "import");
	return answer_str(&a, "state");
}

static bool is_published(const char *kid)
{
	struct answer a = get(&office, "/.well-known/jwks.json");

	return memmem(a.body.p, a.body.n, kid, strlen(kid)) != NULL;
}

static struct str kid_of(struct str token)
{
	struct jws jws;

	ck_assert_int_eq(jws_parse(office.arena, token, &jws), ERR_OK);
	return jws.kid;
}

START_TEST(an_active_import_signs_the_next_token_under_its_kid)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str before = token_of("worker", secret), after;
	struct answer a = root_gets(201, METHOD_POST, IMPORT, active_body("former-1", &former));

	ck_assert_str(answer_str(&a, "kid"), "former-1");
	ck_assert_str(answer_str(&a, "state"), "active");
	ck_assert_str(answer_header(&a, "Location"), KEYS "/former-1");
	after = token_of("worker", secret);
	ck_assert_str(kid_of(after), "former-1");
	ck_assert(still_active(after));
	ck_assert(still_active(before));
	ck_assert(is_published("former-1"));
	a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=1", NULL);
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "\"key.import\"", 12));
	ck_assert_ptr_nonnull(memmem(a.body.p, a.body.n, "\"former-1\"", 10));
}
END_TEST

START_TEST(a_retiring_import_verifies_until_its_tokens_have_expired)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct answer a = root_gets(201, METHOD_POST, IMPORT,
				    retiring_body("2023-11-15T22:13:20Z"));
	int64_t next;
	bool changed;

	ck_assert_str(answer_str(&a, "last_token_expires_at"), "2023-11-15T22:13:20Z");
	ck_assert_str(state_of("former-1"), "retiring");
	ck_assert(is_published("former-1"));
	ck_assert(!str_equal_z(kid_of(token_of("worker", secret)), "former-1"));
	flow_advance(&office, 86400 + 61);
	ck_assert_int_eq(keyring_tend(office.app.keyring, &next, &changed), ERR_OK);
	flow_changed(&office);
	ck_assert(!is_published("former-1"));
	ck_assert_str(state_of("former-1"), "removed");
}
END_TEST

/* What does not depend on the box or the public half. */
static const struct {
	const char *body, *pointer;
} bad_bodies[] = {
	{ "{}", "/alg" },
	{ "{\"alg\":\"ES256\",\"kid\":\"\",\"state\":\"active\"}", "/kid" },
	{ "{\"alg\":\"ES256\",\"kid\":\"a b\",\"state\":\"active\"}", "/kid" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"standby\"}", "/state" },
	{ "{\"alg\":\"RS256\",\"kid\":\"k\",\"state\":\"active\"}", "/alg" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"active\"}", "/sealed" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"active\",\"sealed\":\"=\"}", "/sealed" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"active\",\"sealed\":\"AA\","
	  "\"public_jwk\":{}}",
	  "/public_jwk" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"active\",\"sealed\":\"AA\","
	  "\"tokens_until\":\"2023-11-15T00:00:00Z\"}",
	  "/tokens_until" },
	{ "{\"alg\":\"HS256\",\"kid\":\"k\",\"state\":\"retiring\"}", "/alg" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"retiring\",\"sealed\":\"AA\"}", "/sealed" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"retiring\"}", "/tokens_until" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"retiring\","
	  "\"tokens_until\":\"2023-11-14T00:00:00Z\"}",
	  "/tokens_until" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"retiring\","
	  "\"tokens_until\":\"2033-11-14T00:00:00Z\"}",
	  "/tokens_until" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"retiring\","
	  "\"tokens_until\":\"2023-11-15T00:00:00Z\"}",
	  "/public_jwk" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"retiring\","
	  "\"tokens_until\":\"2023-11-15T00:00:00Z\",\"public_jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}"
	  "}",
	  "/public_jwk" },
	{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"active\",\"private\":\"AA\"}", "/private" },
};

START_TEST(what_is_no_import_is_refused_with_a_pointer)
{
	struct answer a = root(METHOD_POST, IMPORT, bad_bodies[_i].body);

	ck_assert_msg(a.status == 422, "%s: %d %s", bad_bodies[_i].body, a.status, a.why);
	ck_assert_str(answer_str(&a, "pointer"), bad_bodies[_i].pointer);
}
END_TEST

START_TEST(a_public_half_is_of_the_kid_and_alg_it_comes_with)
{
	root_gets(422, METHOD_POST, IMPORT,
		  format("{\"alg\":\"ES256\",\"kid\":\"k\",\"state\":\"retiring\","
			 "\"public_jwk\":%s,\"tokens_until\":\"2023-11-15T00:00:00Z\"}",
			 public_jwk(&former)));
	root_gets(422, METHOD_POST, IMPORT,
		  format("{\"alg\":\"RS256\",\"kid\":\"former-1\",\"state\":\"retiring\","
			 "\"public_jwk\":%s,\"tokens_until\":\"2023-11-15T00:00:00Z\"}",
			 public_jwk(&former)));
}
END_TEST

START_TEST(a_box_for_another_signer_or_with_another_key_is_refused)
{
	struct import_file rsa;
	struct answer a;
	const char *old = active_body("former-1", &former);

	ck_assert_int_eq(import_file_read(STR(KEY_RSA_2048), STR_NONE, &rsa), ERR_OK);
	a = root_gets(422, METHOD_POST, IMPORT, active_body("rsa", &rsa));
	ck_assert_str(answer_str(&a, "pointer"), "/sealed");
	import_file_done(&rsa);
	signer_fixture_restart(&office.signer);
	ck_assert_int_eq(keyring_reload_signer(office.app.keyring, &office.signer.control), ERR_OK);
	root_gets(412, METHOD_POST, IMPORT, old);
	root_gets(201, METHOD_POST, IMPORT, active_body("former-1", &former));
}
END_TEST

START_TEST(a_kid_comes_once_and_a_revoked_one_never_again)
{
	root_gets(201, METHOD_POST, IMPORT, retiring_body("2023-11-15T00:00:00Z"));
	root_gets(409, METHOD_POST, IMPORT, retiring_body("2023-11-15T00:00:00Z"));
	root_gets(200, METHOD_POST, KEYS "/former-1/revoke", NULL);
	ck_assert(!is_published("former-1"));
	root_gets(409, METHOD_POST, IMPORT, retiring_body("2023-11-15T00:00:00Z"));
	root_gets(409, METHOD_POST, IMPORT, active_body("former-1", &former));
}
END_TEST

/* ---- tripwire ---- */

static struct answer judge(struct str token)
{
	return root_gets(200, METHOD_POST, KEYS "/tripwire",
			 format("{\"tokens\":[\"%.*s\"]}", STR_ARG(token)));
}

static void assert_verdict(struct str token, const char *verdict)
{
	struct answer a = judge(token);
	struct str have;

	ck_assert_uint_eq(json_len(items(&a)), 1);
	ck_assert(json_str(json_get(json_at(items(&a), 0), "verdict"), &have));
	ck_assert_str(have, verdict);
}

static size_t forgeries(void)
{
	struct answer a;
	size_t rows, n = 0;
	struct str event;

	ck_assert_int_eq(audit_fold_write(office.app.refusals, office.store.db,
					  office.app.env->now(office.app.env), true, &rows),
			 ERR_OK);
	audit_fold_written(office.app.refusals);
	a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=500", NULL);
	for (size_t i = 0; i < json_len(items(&a)); i++)
		n += json_str(json_get(json_at(items(&a), i), "event"), &event) &&
		     str_equal_z(event, "token.forged");
	return n;
}

/* Says that we made the key that is in fact known outside, and that signs now. */
static void steal(void)
{
	struct db_stmt *s;

	root_gets(201, METHOD_POST, IMPORT, active_body("former-1", &former));
	ck_assert_int_eq(db_stmt(office.store.db,
				 "UPDATE keys SET origin = 'manual' WHERE kid = 'former-1'", &s),
			 ERR_OK);
	ck_assert_int_eq(db_run(s, NULL), ERR_OK);
}

START_TEST(tokens_of_ours_are_genuine_at_any_age_and_of_any_key)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str token = token_of("worker", secret), jti;
	struct answer a;

	assert_verdict(token, "genuine");
	a = judge(token);
	ck_assert(json_str(json_get(json_at(items(&a), 0), "jti"), &jti));
	ck_assert_uint_eq(jti.n, 28);
	flow_advance(&office, 90000);
	assert_verdict(token, "genuine");
	root_gets(200, METHOD_POST, format(KEYS "/%.*s/revoke", STR_ARG(kid_of(token))), NULL);
	assert_verdict(token, "genuine");
	root_gets(200, METHOD_POST, KEYS "/rewrap", NULL);
	assert_verdict(token, "genuine");
	ck_assert_uint_eq(forgeries(), 0);
}
END_TEST

START_TEST(of_an_imported_key_only_our_own_tokens_are_proven)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);

	root_gets(201, METHOD_POST, IMPORT, active_body("former-1", &former));
	assert_verdict(token_of("worker", secret), "genuine");
	assert_verdict(sign_outside("former-1", foreign_payload()), "unproven");
	ck_assert_uint_eq(forgeries(), 0);
}
END_TEST

/* Also with a jti of ours, over claims that are not. */
START_TEST(a_key_of_ours_in_other_hands_is_caught)
{
	static const struct {
		const char *from, *to;
	} changes[] = {
		{ "\"sub\":\"worker\"", "\"sub\":\"walker\"" },
		{ "\"orders.read\"", "\"orders.rite\"" },
		{ "\"exp\":1", "\"exp\":2" },
	};
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str token, log;
	struct jws jws;

	steal();
	token = token_of("worker", secret);
	ck_assert_str(kid_of(token), "former-1");
	root_gets(202, METHOD_POST, KEYS "/rotate", "{\"force\":true}"); /* reads the keys again */
	assert_verdict(token, "genuine");
	assert_verdict(sign_outside("former-1", foreign_payload()), "forged");
	ck_assert_int_eq(jws_parse(office.arena, token, &jws), ERR_OK);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		char *payload = (char *)(uintptr_t)arena_z(office.arena, jws.payload);
		char *at = strstr(payload, changes[i].from);

		ck_assert_ptr_nonnull(at);
		memcpy(at, changes[i].to, strlen(changes[i].to));
		assert_verdict(sign_outside("former-1", str_n(payload, jws.payload.n)), "forged");
	}
	log = flow_log(&office);
	ck_assert_ptr_nonnull(memmem(log.p, log.n, "somebody else signs with our key", 32));
	ck_assert_uint_eq(forgeries(), 1); /* folded */
	root_gets(200, METHOD_POST, KEYS "/former-1/revoke", NULL);
	assert_verdict(sign_outside("former-1", foreign_payload()), "forged");
}
END_TEST

START_TEST(what_is_no_token_of_a_key_of_ours_is_told_apart)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str token = token_of("worker", secret);
	char *bad = (char *)(uintptr_t)arena_z(office.arena, token);
	struct answer a;

	bad[token.n - 5] = bad[token.n - 5] == 'A' ? 'B' : 'A';
	assert_verdict(str_n(bad, token.n), "unknown_key");
	assert_verdict(STR(""), "not_a_token");
	assert_verdict(STR("a.b.c"), "not_a_token");
	assert_verdict(sign_outside("nobody", foreign_payload()), "unknown_key");
	a = root_gets(422, METHOD_POST, KEYS "/tripwire", "{}");
	ck_assert_str(answer_str(&a, "pointer"), "/tokens");
	root_gets(422, METHOD_POST, KEYS "/tripwire", "{\"tokens\":[1]}");
	a = root_gets(200, METHOD_POST, KEYS "/tripwire", "{\"tokens\":[]}");
	ck_assert_uint_eq(json_len(items(&a)), 0);
}
END_TEST

START_TEST(a_hundred_tokens_go_at_once_and_no_more)
{
	struct answer a;
	struct str text;
	struct buf b;

	buf_init(&b, office.arena, 4096);
	for (int i = 0; i < 99; i++)
		buf_z(&b, "\"x\",");
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	a = root_gets(200, METHOD_POST, KEYS "/tripwire", format("{\"tokens\":[%s\"x\"]}", text.p));
	ck_assert_uint_eq(json_len(items(&a)), 100);
	root_gets(422, METHOD_POST, KEYS "/tripwire",
		  format("{\"tokens\":[%s\"x\",\"x\"]}", text.p));
}
END_TEST

Suite *import_suite(void)
{
	Suite *suite = suite_create("admin import");
	TCase *c = tcase_create("import");

	tcase_set_timeout(c, 240);
	tcase_add_checked_fixture(c, up, down);
	tcase_add_test(c, an_active_import_signs_the_next_token_under_its_kid);
	tcase_add_test(c, a_retiring_import_verifies_until_its_tokens_have_expired);
	tcase_add_loop_test(c, what_is_no_import_is_refused_with_a_pointer, 0,
			    sizeof(bad_bodies) / sizeof(*bad_bodies));
	tcase_add_test(c, a_public_half_is_of_the_kid_and_alg_it_comes_with);
	tcase_add_test(c, a_box_for_another_signer_or_with_another_key_is_refused);
	tcase_add_test(c, a_kid_comes_once_and_a_revoked_one_never_again);
	tcase_add_test(c, tokens_of_ours_are_genuine_at_any_age_and_of_any_key);
	tcase_add_test(c, of_an_imported_key_only_our_own_tokens_are_proven);
	tcase_add_test(c, a_key_of_ours_in_other_hands_is_caught);
	tcase_add_test(c, what_is_no_token_of_a_key_of_ours_is_told_apart);
	tcase_add_test(c, a_hundred_tokens_go_at_once_and_no_more);
	suite_add_tcase(suite, c);
	return suite;
}
