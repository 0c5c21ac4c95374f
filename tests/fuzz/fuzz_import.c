/* A key file that is taken has a public half; its private half, where it has one, is a key that
 * loads and has that very public half. */
#include "keys/import_file.h"
#include "keys/sign.h"
#include "tests/fuzz/fuzz.h"

static void check_private(const struct import_file *f)
{
	AUTO(signing_key, key) = NULL;
	AUTO(jwk, mine) = NULL;
	char one[THUMBPRINT_LEN + 1], two[THUMBPRINT_LEN + 1];

	MUST(signing_key_load(jwk_alg(f->public_key), str_n(f->pkcs8.p, f->pkcs8.n), &key) ==
	     ERR_OK);
	MUST(signing_key_public(key, STR_NONE, &mine) == ERR_OK);
	MUST(jwk_thumbprint(mine, one) == ERR_OK);
	MUST(jwk_thumbprint(f->public_key, two) == ERR_OK);
	MUST(str_equal_z(str_z(one), two));
}

static void read_file(struct str text, struct str kid)
{
	struct import_file f = { .public_key = NULL };

	if (import_file_read(text, kid, &f) == ERR_OK) {
		MUST(f.public_key && jwk_kid(f.public_key).n);
		MUST(!kid.p || str_equal(jwk_kid(f.public_key), kid));
		if (f.pkcs8.n)
			check_private(&f);
	}
	import_file_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_file(str_n(data, size), STR_NONE);
	read_file(str_n(data, size), STR("k2"));
	return 0;
}
