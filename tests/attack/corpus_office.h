/* The corpus against a server of ours: its tokens are signed by a key that was imported, with a jti
 * as our signer makes it, so that each row stands or falls by what is wrong with it. */
#ifndef CHANCERY_TESTS_CORPUS_OFFICE_H
#define CHANCERY_TESTS_CORPUS_OFFICE_H

#include "tests/attack/corpus.h"
#include "tests/helpers/flow.h"

/* Up, with the api `audience` (slug "orders"), the client "shop" and the imported key. Returns the
 * client's secret. */
const char *corpus_office_up(struct flow *office, const char *audience);
/* How its tokens look. */
struct attack_world corpus_office_world(struct flow *office, const char *issuer,
					const char *audience);

#endif
