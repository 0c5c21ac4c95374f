/* Tokens and keys for the tests of lib/jose: signed here, by OpenSSL directly, so that what
 * verifies them is not what made them. Everything aborts the test when it fails. */
#ifndef CHANCERY_TESTS_TOKENS_H
#define CHANCERY_TESTS_TOKENS_H

#include <openssl/evp.h>

#include "base/str.h"
#include "jose/jws.h"

/* A private key from keys.h. Caller: EVP_PKEY_free. */
EVP_PKEY *private_key(const char *pem);
/* Its public half as a key of ours. Caller: jwk_free. */
struct jwk *public_jwk(const char *pem);
/* Its public half as text. Caller: free. */
char *public_pem(const char *pem);

/* Two segments and their dot. Caller: free. */
char *signing_input(const char *header, struct str payload);
/* Compact JWS with the algorithm that belongs to the key, whatever the header says. Caller: free.
 */
char *signed_token(const char *pem, const char *header, const char *payload);
/* The same with HMAC-SHA-256. */
char *hmac_token(struct str key, const char *header, const char *payload);
/* input + "." + base64url(signature). */
char *with_signature(const char *input, const void *signature, size_t n);

/* Writes r || s, or the modulus-sized RSA signature; returns its length. */
size_t raw_signature(const char *pem, struct str input, unsigned char ret_signature[SIGNATURE_MAX]);

/* Parses and verifies; the error of whichever refuses. */
enum err token_check(struct str token, const struct jwk *key);
enum err token_check_z(const char *token, const struct jwk *key);
enum err token_parse(const char *token);
/* What parsing says to a token with this header, properly signed. */
enum err header_parse(const char *header);

#endif
