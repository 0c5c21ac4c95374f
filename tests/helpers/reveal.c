/* Opens what the database keeps sealed, for a test that looks for it in a process's memory.
 *
 *     reveal MASTER_KEY_FILE < rows        rows: "root VERSION HEX" first, then "key KID ALG HEX"
 *
 * Prints "NAME HEX" for the master key, each root, and each private number of each signing key (d
 * of P-256; d, p and q of RSA), as big-endian bytes. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "keys/seal.h"

enum { LINE_MAX_BYTES = 16384 };

static int fail(const char *what)
{
	fprintf(stderr, "reveal: %s\n", what);
	exit(1);
}

static void print_secret(const char *name, const unsigned char *p, size_t n)
{
	printf("%s ", name);
	for (size_t i = 0; i < n; i++)
		printf("%02x", p[i]);
	printf("\n");
}

static size_t open_row(const struct secret *key, const char *context, const char *hex,
		       unsigned char *ret_plain)
{
	unsigned char sealed[SEALED_MAX];
	struct buf plain;
	size_t n;

	if (sodium_hex2bin(sealed, sizeof(sealed), hex, strlen(hex), NULL, &n, NULL))
		fail("no hex");
	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	if (unseal(key, str_z(context), str_n(sealed, n), &plain))
		fail(context);
	n = plain.n;
	memcpy(ret_plain, plain.p, n);
	buf_done(&plain);
	return n;
}

static void print_numbers(const char *kid, const unsigned char *der, size_t n)
{
	static const char *const names[] = { OSSL_PKEY_PARAM_PRIV_KEY, OSSL_PKEY_PARAM_RSA_D,
					     OSSL_PKEY_PARAM_RSA_FACTOR1,
					     OSSL_PKEY_PARAM_RSA_FACTOR2 };
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &der, (long)n);

	if (!pkey)
		fail("no PKCS#8");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unsigned char bytes[1024];
		BIGNUM *number = NULL;

		if (EVP_PKEY_get_bn_param(pkey, names[i], &number))
			print_secret(kid, bytes, (size_t)BN_bn2bin(number, bytes));
		BN_free(number);
	}
	EVP_PKEY_free(pkey);
}

static void read_master(const char *path, struct secret *ret_master)
{
	FILE *f = fopen(path, "rb");

	if (!f || fread(ret_master->b, sizeof(ret_master->b), 1, f) != 1)
		fail(path);
	fclose(f);
	print_secret("master", ret_master->b, sizeof(ret_master->b));
}

int main(int argc, char **argv)
{
	static char line[LINE_MAX_BYTES], a[256], b[32], hex[LINE_MAX_BYTES], context[512];
	unsigned char plain[SEAL_PLAIN_MAX];
	struct secret master, root, seals = { { 0 } };

	if (argc != 2 || secret_library_init())
		return 1;
	read_master(argv[1], &master);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "root %31s %16000s", b, hex) == 2) {
			snprintf(context, sizeof(context), "root:%s", b);
			if (open_row(&master, context, hex, plain) != sizeof(root.b))
				fail(context);
			memcpy(root.b, plain, sizeof(root.b));
			print_secret("root", root.b, sizeof(root.b));
			secret_derive(&root, "seal-signing-keys", &seals);
		} else if (sscanf(line, "key %255s %31s %16000s", a, b, hex) == 3) {
			snprintf(context, sizeof(context), "signing:%s:%s", a, b);
			print_numbers(a, plain, open_row(&seals, context, hex, plain));
		}
	}
	return 0;
}
