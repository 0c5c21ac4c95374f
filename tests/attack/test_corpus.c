/* The corpus against libchancery, with each row's own verdict. */
#include <stdio.h>

#include "tests/attack/corpus.h"
#include "tests/helpers/fake_issuer.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"

enum { ROWS_MIN = 120 };

static struct fake_issuer f;

static struct attack_world world_of(void)
{
	return (struct attack_world){
		.issuer = FAKE_ISSUER,
		.audience = FAKE_AUDIENCE,
		.subject = "alice",
		.client = "shop",
		.now = FAKE_NOW,
		.ec_pem = KEY_EC_1,
		.ec_kid = "ec1",
		.rsa_pem = KEY_RSA_2048,
		.rsa_kid = "rsa1",
	};
}

static void judge(void *arg, const struct attack *attack)
{
	struct chancery *v = arg;
	struct chancery_claims *claims = NULL;
	enum chancery_verdict verdict = chancery_verify(v, attack->token.p, attack->token.n, NULL,
							&claims);

	ck_assert_msg(verdict == attack->verdict, "%s: %s", attack->name,
		      chancery_verdict_text(verdict));
	ck_assert((verdict == CHANCERY_OK) == (claims != NULL));
	chancery_claims_free(claims);
}

START_TEST(every_attack_is_refused_for_its_own_reason)
{
	const struct attack_world world = world_of();
	struct chancery_options o;
	struct chancery *v;

	fake_issuer_init(&f);
	o = fake_options(&f);
	v = fake_verifier(&o);
	ck_assert_uint_ge(attack_all(&world, ATTACK_EVERYBODY | ATTACK_RECEIVERS, judge, v),
			  ROWS_MIN);
	chancery_free(v);
	/* with the issuer's list of revocations, a verifier knows whose tokens these are */
	fake_issuer_set(&f, FAKE_FEED_JWKS, fake_set(KEY_EC_2, "feed1"), "");
	fake_issuer_set(&f, FAKE_FEED, fake_empty_feed(&f, KEY_EC_2, "feed1"), "");
	o.feed = "";
	o.feed_max_staleness = 60;
	v = fake_verifier(&o);
	attack_all(&world, ATTACK_EVERYBODY | ATTACK_RECEIVERS | ATTACK_ISSUERS, judge, v);
	chancery_free(v);
	fake_issuer_done(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { every_attack_is_refused_for_its_own_reason };

	return suite_run("corpus", tests, COUNT(tests));
}
