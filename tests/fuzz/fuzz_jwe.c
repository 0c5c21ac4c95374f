/* An encrypted token that opens is the one that was encrypted: whatever is changed in it is
 * noticed, and a reader without the key's other half makes none by chance. */
#include "jose/jwe.h"
#include "tests/fuzz/fuzz.h"
#include "tests/helpers/keys.h"

/* Loading them takes longer than all the rest. */
static struct jwe_key *ec, *rsa;

static void open_with(const struct jwe_key *key, struct str token)
{
	AUTO(arena, a) = NULL;
	struct str plain;

	MUST(arena_new(1 << 16, &a) == ERR_OK);
	if (jwe_open(a, token, key, &plain) == ERR_OK)
		MUST(str_equal_z(plain, "a.signed.token"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!ec)
		MUST(jwe_key_from_pem(STR(KEY_EC_1), &ec) == ERR_OK);
	if (!rsa)
		MUST(jwe_key_from_pem(STR(KEY_RSA_2048), &rsa) == ERR_OK);
	open_with(ec, str_n(data, size));
	open_with(rsa, str_n(data, size));
	return 0;
}
