/* verify ISSUER AUDIENCE: judges the tokens of its standard input, one a line (libchancery.md) */
#include <chancery.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const struct chancery_options options = {
		.size = sizeof(options),
		.issuer = argc == 3 ? argv[1] : NULL,
		.audience = argc == 3 ? argv[2] : NULL,
		.algorithms = CHANCERY_ES256 | CHANCERY_RS256,
		.skew = 5,
		.fetch = chancery_fetch_curl,
		.feed = "",
		.feed_max_staleness = 120,
	};
	struct chancery *verifier;
	const char *wrong = chancery_new(&options, &verifier);
	char token[8192];

	if (wrong)
		return fprintf(stderr, "verify: %s\n", wrong), 2;
	setbuf(stdout, NULL);
	while (fgets(token, sizeof(token), stdin)) {
		struct chancery_claims *claims = NULL;
		enum chancery_verdict verdict = chancery_verify(
			verifier, token, strcspn(token, "\n"), NULL, &claims);
		const char *who = claims ? chancery_claims_text(claims, "sub", NULL) : "nobody";

		printf("%s: %s\n", who, chancery_verdict_text(verdict));
		chancery_claims_free(claims);
	}
	chancery_free(verifier);
}
