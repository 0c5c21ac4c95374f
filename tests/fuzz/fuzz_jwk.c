/* A key that is let in, from JSON, a set or PEM, is exported as itself. */
#include "base/limits.h"
#include "jose/jwk.h"
#include "tests/fuzz/fuzz.h"

static void check_export(const struct jwk *key)
{
	AUTO(json, root) = NULL;
	AUTO(jwk, again) = NULL;
	char one[THUMBPRINT_LEN + 1], two[THUMBPRINT_LEN + 1];
	struct buf b;
	struct jsonw w;
	struct str text;

	buf_init(&b, NULL, 4096);
	jsonw_init(&w, &b);
	jwk_export(key, &w);
	MUST(buf_end(&b, &text) == ERR_OK);
	MUST(json_parse(text, JWKS_SIZE_MAX, &root) == ERR_OK);
	MUST(jwk_from_json(root, &again) == ERR_OK);
	MUST(jwk_thumbprint(key, one) == ERR_OK && jwk_thumbprint(again, two) == ERR_OK);
	MUST(str_equal_z(str_z(one), two) && str_equal(jwk_kid(key), jwk_kid(again)));
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_n(data, size);
	AUTO(json, root) = NULL;
	AUTO(jwk, key) = NULL;
	AUTO(jwk, pem) = NULL;
	AUTO(jwks, set) = NULL;

	if (!json_parse(text, JWKS_SIZE_MAX, &root) && !jwk_from_json(root, &key))
		check_export(key);
	if (!jwk_from_pem(text, STR_NONE, &pem))
		check_export(pem);
	if (!jwks_parse(text, &set)) {
		for (size_t i = 0; i < set->count; i++)
			MUST(jwks_find(set, jwk_kid(set->keys[i])) == set->keys[i]);
	}
	return 0;
}
