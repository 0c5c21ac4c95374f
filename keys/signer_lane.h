/* A signing channel from inside: what tokens (signer_sign.c) and documents (signer_documents.c)
 * share of it. One thread each, the only one that touches it. */
#ifndef CHANCERY_KEYS_SIGNER_LANE_H
#define CHANCERY_KEYS_SIGNER_LANE_H

#include "base/buf.h"
#include "jose/b64.h"
#include "keys/jti.h"
#include "keys/signer_frame.h"
#include "keys/signer_process.h"

/* A document with a list, under way from frame to frame. */
struct listing {
	struct held_key *key; /* NULL: there is none */
	struct b64url_stream text;
	bool any; /* it has an object already */
};

struct signing_lane {
	struct signer *signer;
	size_t index;
	int fd;
	pthread_t thread;
	struct listing listing;
	/* kept from token to token */
	struct buf payload;
	struct buf token;
	char jti[JTI_TEXT + 1];
	char frame[SIGNER_FRAME_MAX];
};

/* One operation: in, then out. What `out` borrows is the lane's or the key's. */
struct lane_call {
	struct signing_lane *lane;
	struct signer_request in;
	struct signer_answer out;
	struct held_key *key; /* what signs; unref'd after the answer */
};

/* Answers the frame; false: it is malformed, or nobody takes the answer. For the loop, and for the
 * fuzzer in its place. */
bool signing_lane_frame(struct signing_lane *lane, struct str frame);
/* Without the thread. `fd` is the lane's from here on. */
MUST_CHECK enum err signing_lane_new(struct signer *s, int fd, size_t index,
				     struct signing_lane **ret_lane);
void signing_lane_free(struct signing_lane *lane);

/* This thread's prepared state for a key. */
MUST_CHECK enum err lane_ctx_of(const struct signing_lane *lane, struct held_key *key,
				struct sign_ctx **ret_ctx);
/* Header, payload, signature (RFC 7515 7.1) into lane->token. */
MUST_CHECK enum err lane_jws(struct signing_lane *lane, struct held_key *key, struct str payload);
/* An object that ends with its last byte, for we will write behind it; root is the caller's. */
MUST_CHECK enum err lane_claims(struct str text, struct json **ret_root);
bool lane_has_text(const struct json *value);

/* An access token's claims, judged but for its key. *ret_claim borrows from *ret_root, which is the
 * caller's, also when it fails. */
MUST_CHECK enum err lane_access_claims(const struct signing_lane *lane, struct str text,
				       struct token_claim *ret_claim, struct json **ret_root);
/* The claims with a fresh jti of `root` behind them, into lane->payload and lane->jti. */
MUST_CHECK enum err lane_payload(struct signing_lane *lane, struct str claims,
				 const struct signer_root *root, struct str kid);

enum err lane_api_sign(struct lane_call *c);
enum err lane_api_check(struct lane_call *c);
enum err lane_document(struct lane_call *c);
enum err lane_list(struct lane_call *c);
enum err lane_list_add(struct lane_call *c);
enum err lane_list_end(struct lane_call *c);
enum err lane_purpose_keys(struct lane_call *c);
/* Abandons it. */
void lane_list_forget(struct signing_lane *lane);

#endif
