/* Credentials that are let in have one spelling in base64, and an id. */
#include "base/limits.h"
#include "jose/b64.h"
#include "oauth/basic.h"
#include "tests/fuzz/fuzz.h"

static void check_spelling(struct arena *a, struct str credentials)
{
	char *pair = arena_alloc(a, credentials.n);
	struct buf b;
	struct str text;
	size_t n;

	MUST(pair && b64_decode(credentials, pair, credentials.n, &n) == ERR_OK);
	buf_init(&b, a, 1 << 16);
	b64url_encode(&b, pair, n);
	MUST(buf_end(&b, &text) == ERR_OK && text.n <= credentials.n);
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i];

		MUST(credentials.p[i] == c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena, a) = NULL;
	struct str scheme, credentials, id, secret;

	MUST(arena_new(1 << 17, &a) == ERR_OK);
	if (auth_split(str_n(data, size), &scheme, &credentials))
		return 0;
	MUST(scheme.n > 0 && credentials.n > 0);
	if (basic_parse(a, credentials, &id, &secret))
		return 0;
	MUST(id.n > 0 && id.n <= ID_MAX && secret.n <= PASSWORD_MAX);
	MUST(str_is_utf8(id) && !str_has_nul(id) && !str_has_nul(secret));
	check_spelling(a, credentials);
	return 0;
}
