/* A verifier without memory: each allocation fails once, with and without all after it. A token is
 * never called bad for want of memory, nothing is lost, and the next try works. */
#include <stdio.h>

#include "tests/helpers/fake_issuer.h"
#include "tests/helpers/keys.h"
#include "tests/helpers/mem_fail.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define LIST                                                                                       \
	"{\"iss\":\"" FAKE_ISSUER "\",\"iat\":1800000000,\"exp\":1800000300,\"epoch\":\"e\","      \
	"\"cursor\":\"c\",\"full\":true,\"entries\":[{\"kind\":\"jti\",\"value\":\"x\",\"until\":" \
	"1900000000}]}"

static struct fake_issuer f;
static char *token;

/* All of it from a cold start: three documents, a token, its claims. */
static bool use(enum chancery_verdict *ret_verdict)
{
	struct chancery_options o = fake_options(&f);
	struct chancery_claims *claims = NULL;
	struct chancery *v = NULL;
	const char *wrong;

	o.feed = "";
	o.feed_max_staleness = 60;
	wrong = chancery_new(&o, &v);
	if (wrong)
		return false;
	*ret_verdict = chancery_verify(v, token, strlen(token), NULL, &claims);
	if ((*ret_verdict == CHANCERY_OK) != (claims != NULL))
		ck_abort_msg("claims come with CHANCERY_OK alone");
	chancery_claims_free(claims);
	chancery_free(v);
	return true;
}

START_TEST(a_token_is_never_bad_for_want_of_memory)
{
	enum chancery_verdict verdict;
	size_t undecided = 0;

	fake_issuer_init(&f);
	fake_issuer_set(&f, FAKE_FEED_JWKS, fake_set(KEY_EC_2, "feed1"), "");
	fake_issuer_set(&f, FAKE_FEED,
			signed_token(KEY_EC_2,
				     "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\",\"kid\":"
				     "\"feed1\"}",
				     LIST),
			"");
	token = fake_token(&f, KEY_EC_1, "ec1", NULL);
	/* what libraries make once and keep is made now */
	ck_assert(use(&verdict) && verdict == CHANCERY_OK);
	for (int forever = 0; forever <= 1; forever++) {
		bool met = true;

		for (size_t n = 1; met; n++) {
			bool made;

			mem_fail_arm(n, forever);
			made = use(&verdict);
			met = mem_fail_count() >= n;
			mem_fail_arm(0, false);
			if (made && met)
				ck_assert_msg(
					verdict == CHANCERY_OK || verdict == CHANCERY_UNDECIDED,
					"allocation %zu: %s", n, chancery_verdict_text(verdict));
			if (!met)
				ck_assert(made && verdict == CHANCERY_OK);
			undecided += made && verdict == CHANCERY_UNDECIDED;
		}
	}
	ck_assert_uint_gt(undecided, 200);
	free(token);
	fake_issuer_done(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { a_token_is_never_bad_for_want_of_memory };

	mem_fail_libraries();
	return suite_run("verifier_nomem", tests, COUNT(tests));
}
