/* verify ISSUER AUDIENCE: judges the tokens on its standard input, one a line (see libchancery.md)
 */
#include <chancery.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const struct chancery_options options = {
		.size = sizeof(options),
		.issuer = argc > 1 ? argv[1] : NULL,
		.audience = argc > 2 ? argv[2] : NULL,
		.algorithms = CHANCERY_ES256 | CHANCERY_RS256,
		.fetch = chancery_fetch_curl,
		.skew = 5,
		.feed = "",
		.feed_interval = 1,
		.feed_max_staleness = 120,
	};
	struct chancery *verifier;
	const char *wrong = chancery_new(&options, &verifier);
	char token[8192];

	if (wrong)
		return fprintf(stderr, "verify: %s\n", wrong), 2;
	while (fgets(token, sizeof(token), stdin)) {
		struct chancery_claims *claims = NULL;
		enum chancery_verdict verdict = chancery_verify(
			verifier, token, strcspn(token, "\n"), NULL, &claims);
		const char *who = claims ? chancery_claims_text(claims, "sub", NULL) : "nobody";

		printf("%s: %s\n", who, chancery_verdict_text(verdict));
		fflush(stdout);
		chancery_claims_free(claims);
	}
	chancery_free(verifier);
	return 0;
}
