/* See the header. */
#include "tests/attack/corpus_office.h"

#include "keys/jti.h"
#include "tests/helpers/keys.h"
#include "tests/unit/tokens.h"

static void import_key(struct flow *office, const char *pem, const char *kid)
{
	AUTO(jwk, key) = NULL;
	EVP_PKEY *pkey = private_key(pem);
	struct buf b;
	struct jsonw w;
	struct str text;

	ck_assert_int_eq(jwk_from_pkey(pkey, str_z(kid), &key), ERR_OK);
	EVP_PKEY_free(pkey);
	buf_init(&b, office->arena, 4096);
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
	ck_assert_int_eq(admin(office, METHOD_POST, "/admin/v1/keys/import", text.p).status, 201);
}

const char *corpus_office_up(struct flow *office, const char *audience)
{
	const char *secret;

	flow_up(office);
	flow_api(office, audience, "orders", "orders.read");
	secret = flow_client(office, "shop", "orders.read", audience);
	import_key(office, KEY_EC_1, "ec1");
	return secret;
}

static void finish(const struct attack_world *w, const char *kid, struct buf *payload)
{
	static const unsigned char random[JTI_RANDOM] = { 1 };
	const struct flow *office = w->arg;
	char jti[JTI_TEXT + 1];

	ck_assert_int_eq(jti_append(payload, &office->app.derived.jti, str_z(kid), 1, random, jti),
			 ERR_OK);
}

struct attack_world corpus_office_world(struct flow *office, const char *issuer,
					const char *audience)
{
	return (struct attack_world){
		.issuer = issuer,
		.audience = audience,
		.subject = "shop",
		.client = "shop",
		.now = FIXTURE_NOW,
		.ec_pem = KEY_EC_1,
		.ec_kid = "ec1",
		.rsa_pem = KEY_RSA_2048,
		.finish = finish,
		.arg = office,
	};
}
