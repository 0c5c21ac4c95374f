/* libsodium's HMAC, and not OpenSSL's: that one fetches its algorithm at first use, and can fail
 * half way. */
#include "jose/hs256.h"

#include <sodium.h>

void hs256(struct str secret, struct str input, unsigned char ret_mac[HS256_LEN])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret.p, secret.n);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)input.p, input.n);
	crypto_auth_hmacsha256_final(&state, ret_mac);
	sodium_memzero(&state, sizeof(state));
}
