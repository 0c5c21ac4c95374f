/* One question and its answer, for the files that make up the server's side of the signer's
 * channels.
 */
#ifndef CHANCERY_KEYS_SIGNER_EXCHANGE_H
#define CHANCERY_KEYS_SIGNER_EXCHANGE_H

#include "keys/signer.h"
#include "keys/signer_frame.h"

/* `frame` holds the answer that `out` borrows from. */
struct exchange {
	struct signer_request in;
	struct signer_answer out;
	int timeout_ms;
	char frame[SIGNER_FRAME_MAX];
};

/* ERR_OK: the signer's own verdict was ERR_OK too. ERR_UNAVAILABLE: no answer that counts. */
MUST_CHECK enum err signer_exchange(struct signer_channel *ch, struct exchange *x);

/* The token that was answered: its text into `out`, which *ret_token borrows. */
MUST_CHECK enum err signer_take_token(const struct exchange *x, struct buf *out,
				      struct signed_token *ret_token);

#endif
