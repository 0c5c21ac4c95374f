/* A machine secret that is let in is the only text of its bytes, and no refresh token is genuine by
 * luck. */
#include "oauth/machine.h"
#include "tests/fuzz/fuzz.h"

static void check_spelling(struct str text, const char *prefix, const void *payload, size_t n)
{
	struct buf b;
	struct str again;

	buf_init(&b, NULL, 200);
	machine_write(&b, prefix, payload, n);
	MUST(buf_end(&b, &again) == ERR_OK && str_equal(text, again));
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct secret key = { "no text of a fuzzer is made with" };
	static const unsigned char seed[LOGIN_SEED_LEN];
	const struct refresh_bind bind = {
		.key = &key, .key_id = 1, .issuer = STR("i"), .client_id = STR("c"), .seed = seed
	};
	struct str text = str_n(data, size);
	unsigned char payload[32];
	struct refresh_name name;

	if (machine_read(text, MACHINE_CLIENT_SECRET, payload, sizeof(payload)) == ERR_OK)
		check_spelling(text, MACHINE_CLIENT_SECRET, payload, sizeof(payload));
	if (refresh_read(text, &name) == ERR_OK)
		MUST(!refresh_genuine(&name, &bind));
	return 0;
}
