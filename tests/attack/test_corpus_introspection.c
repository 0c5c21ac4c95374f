/* The corpus against introspection (RFC 7662): whatever libchancery would refuse is inactive, and
 * only "inactive" is said. The tokens are signed by a key that was imported, with a jti as our
 * signer makes it, so that each row stands or falls by what is wrong with it. */
#include "keys/jti.h"
#include "oauth/form.h"
#include "tests/attack/corpus.h"
#include "tests/helpers/flow.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define ORDERS "https://orders.example"

static struct flow office;
static const char *secret;

static void import_key(const char *pem, const char *kid)
{
	AUTO(jwk, key) = NULL;
	EVP_PKEY *pkey = private_key(pem);
	struct buf b;
	struct jsonw w;
	struct str text;

	ck_assert_int_eq(jwk_from_pkey(pkey, str_z(kid), &key), ERR_OK);
	EVP_PKEY_free(pkey);
	buf_init(&b, office.arena, 4096);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_z(&w, "alg", "ES256");
	jsonw_member_z(&w, "kid", kid);
	jsonw_member_z(&w, "state", "retiring");
	jsonw_member_z(&w, "tokens_until", "2023-11-15T22:13:20Z");
	jsonw_key(&w, "public_jwk");
	jwk_export(key, &w);
	jsonw_end_object(&w);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_int_eq(admin(&office, METHOD_POST, "/admin/v1/keys/import", text.p).status, 201);
}

static void set_up(void)
{
	flow_up(&office);
	flow_api(&office, ORDERS, "orders", "orders.read");
	secret = flow_client(&office, "shop", "orders.read", ORDERS);
	import_key(KEY_EC_1, "ec1");
}

static void tear_down(void)
{
	flow_down(&office);
}

static void finish(const struct attack_world *w, const char *kid, struct buf *payload)
{
	static const unsigned char random[JTI_RANDOM] = { 1 };
	char jti[JTI_TEXT + 1];

	(void)w;
	ck_assert_int_eq(jti_append(payload, &office.app.derived.jti, str_z(kid), 1, random, jti),
			 ERR_OK);
}

static void judge(void *arg, const struct attack *attack)
{
	struct buf b;
	struct str form;
	struct answer a;

	(void)arg;
	buf_init(&b, NULL, ADMIN_BODY_MAX);
	buf_z(&b, "token=");
	form_encode(&b, attack->token);
	ck_assert_int_eq(buf_end(&b, &form), ERR_OK);
	a = post(&office, "/oauth2/introspect", basic("shop", secret), form.p);
	buf_done(&b);
	if (attack->verdict == CHANCERY_OK)
		ck_assert_msg(a.status == 200 && answer_bool(&a, "active"), "%s: %s", attack->name,
			      a.why);
	else if (a.status == 200)
		ck_assert_msg(str_equal_z(a.body, "{\"active\":false}"), "%s is active",
			      attack->name);
	else /* no token at all, or a body beyond all bounds */
		ck_assert_msg(a.status == 400 || a.status == 413, "%s: %d", attack->name, a.status);
}

START_TEST(introspection_calls_every_attack_inactive)
{
	const struct attack_world world = {
		.issuer = FIXTURE_ISSUER,
		.audience = ORDERS,
		.subject = "shop",
		.client = "shop",
		.now = FIXTURE_NOW,
		.ec_pem = KEY_EC_1,
		.ec_kid = "ec1",
		.rsa_pem = KEY_RSA_2048,
		.finish = finish,
	};

	ck_assert_uint_ge(attack_all(&world, ATTACK_EVERYBODY | ATTACK_ISSUERS, judge, NULL), 120);
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("introspection");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, introspection_calls_every_attack_inactive);
	return suite_run_case("corpus_introspection", all);
}
