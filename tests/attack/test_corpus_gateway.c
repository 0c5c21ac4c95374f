/* The corpus against /gateway/verify, of the server and of a sidecar: whatever libchancery would
 * refuse is 401 with none of the identity headers, and the good rows pass. */
#include "keys/jti.h"
#include "server/token/sidecar.h"
#include "tests/attack/corpus.h"
#include "tests/helpers/fake_issuer.h"
#include "tests/helpers/flow.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

static struct flow office;
static struct fake_issuer issuer;
static struct sidecar *sidecar;

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
	flow_api(&office, FAKE_AUDIENCE, "orders", "orders.read");
	flow_client(&office, "shop", "orders.read", FAKE_AUDIENCE);
	import_key(KEY_EC_1, "ec1");
}

static void tear_down(void)
{
	flow_down(&office);
}

/* Beside the office, on its clock: the issuer that it fetches from is the fake one. */
static void sidecar_up(void)
{
	const struct sidecar_audience audience = { .uri = FAKE_AUDIENCE, .slug = "orders" };
	struct sidecar_options options = {
		.env = office.app.env,
		.issuer = FAKE_ISSUER,
		.audiences = &audience,
		.audience_count = 1,
		.workers = 1,
		.fetch = fake_fetch,
		.fetch_arg = &issuer,
	};
	const char *why;

	fake_issuer_init(&issuer);
	ck_assert_int_eq(sidecar_new(&options, &sidecar, &why), ERR_OK);
	sidecar_tend(sidecar);
	ck_assert(sidecar_is_ready(sidecar));
	office.app.sidecar = sidecar;
}

static void sidecar_down(void)
{
	sidecar_free(sidecar);
	fake_issuer_done(&issuer);
}

static void finish(const struct attack_world *w, const char *kid, struct buf *payload)
{
	static const unsigned char random[JTI_RANDOM] = { 1 };
	char jti[JTI_TEXT + 1];

	(void)w;
	ck_assert_int_eq(jti_append(payload, &office.app.derived.jti, str_z(kid), 1, random, jti),
			 ERR_OK);
}

static const struct attack_world world = {
	.issuer = FAKE_ISSUER,
	.audience = FAKE_AUDIENCE,
	.subject = "shop",
	.client = "shop",
	.now = FIXTURE_NOW,
	.ec_pem = KEY_EC_1,
	.ec_kid = "ec1",
	.rsa_pem = KEY_RSA_2048,
	.finish = finish,
};

static struct answer ask_with(enum listener listener, struct str token)
{
	struct buf b;
	struct str header;
	struct answer a;

	buf_init(&b, NULL, ADMIN_BODY_MAX);
	buf_z(&b, "Bearer ");
	buf_str(&b, token);
	ck_assert_int_eq(buf_end(&b, &header), ERR_OK);
	a = flow_send(&office, &(struct ask){ .listener = listener,
					      .target = "/gateway/verify/orders",
					      .authorization = header.p });
	buf_done(&b);
	return a;
}

static void judge(void *arg, const struct attack *attack)
{
	const enum listener *listener = arg;
	struct answer a;

	/* RFC 9110 5.5: white space at the end of a field is none of its value */
	if (str_trim(attack->token).n != attack->token.n)
		return;
	a = ask_with(*listener, attack->token);
	if (attack->verdict == CHANCERY_OK) {
		ck_assert_msg(a.status == 200, "%s: %d %s", attack->name, a.status, a.why);
		ck_assert_str(answer_header(&a, "X-Client-Id"), "shop");
		return;
	}
	ck_assert_msg(a.status == 401, "%s: %d", attack->name, a.status);
	ck_assert_msg(!answer_header(&a, "X-Client-Id").p, "%s", attack->name);
	ck_assert_msg(answer_header(&a, "WWW-Authenticate").n > 0, "%s", attack->name);
}

START_TEST(the_gateway_lets_no_attack_pass)
{
	enum listener listener = LISTENER_GATEWAY;

	ck_assert_uint_ge(attack_all(&world, ATTACK_EVERYBODY | ATTACK_RECEIVERS | ATTACK_ISSUERS,
				     judge, &listener),
			  120);
}
END_TEST

/* Twice, so that what was verified before is asked about as well. */
START_TEST(a_sidecar_lets_no_attack_pass)
{
	enum listener listener = LISTENER_SIDECAR;

	sidecar_up();
	for (int i = 0; i < 2; i++)
		ck_assert_uint_ge(attack_all(&world,
					     ATTACK_EVERYBODY | ATTACK_RECEIVERS | ATTACK_ISSUERS,
					     judge, &listener),
				  120);
	sidecar_down();
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("gateways");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, the_gateway_lets_no_attack_pass);
	tcase_add_test(all, a_sidecar_lets_no_attack_pass);
	return suite_run_case("corpus_gateway", all);
}
