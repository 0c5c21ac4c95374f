/* A signer without its process, for the fuzzers of its channels. */
#ifndef CHANCERY_TESTS_FUZZ_SIGNER_H
#define CHANCERY_TESTS_FUZZ_SIGNER_H

#include <stdlib.h>

#include "keys/signer_call.h"
#include "tests/fuzz/fuzz.h"

static const struct secret master = { "a master key for a fuzzer only.." };

/* It holds the master key and nothing else; `issuer` NULL: any. */
static inline struct signer *fuzz_signer_new(const char *issuer)
{
	struct signer *s = calloc(1, sizeof(*s));

	MUST(s && !table_init(&s->table, issuer, 0));
	purpose_keys_init(&s->purposes);
	s->secrets = calloc(1, sizeof(*s->secrets));
	MUST(s->secrets);
	s->secrets->masters.present = master;
	return s;
}

static inline void fuzz_signer_free(struct signer *s)
{
	signer_making_done(s);
	purpose_keys_done(&s->purposes);
	table_done(&s->table);
	free(s->secrets);
	free(s);
}

#endif
