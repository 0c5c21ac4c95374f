/* A key of a former server as its operator has it: PEM, a JWK or a JWK set, with or without the
 * private half. Read by the command line, which seals a private half to the signer at once
 * (keys/signer.h); neither the server nor any file of ours sees it. */
#ifndef CHANCERY_KEYS_IMPORT_FILE_H
#define CHANCERY_KEYS_IMPORT_FILE_H

#include "base/auto.h"
#include "jose/jwk.h"
#include "keys/signer.h"

struct import_file {
	struct jwk *public_key; /* under the kid that it keeps */
	struct buf pkcs8;	/* DER of the private half; empty: the file has none */
};

/* `kid` absent: a JWK's own, else the thumbprint. Given, it names one key of a set, or a key that
 * has no kid of its own.
 * ERR_NOT_FOUND: no key of this kid. ERR_CONFLICT: several keys, and no kid given. ERR_SYNTAX:
 * neither PEM nor JWK, or encrypted. ERR_UNSUPPORTED: not P-256 or RSA of 2048 to 4096 bits, not
 * for signatures, or a private RSA key without its primes. ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err import_file_read(struct str text, struct str kid, struct import_file *ret_file);
/* Wipes. */
void import_file_done(struct import_file *f);
/* The private half in a box (crypto_box_seal) that only the holder of `to` opens. */
MUST_CHECK enum err import_file_seal(const struct import_file *f,
				     const unsigned char to[SIGNER_IMPORT_KEY_LEN],
				     struct buf *out);

#endif
