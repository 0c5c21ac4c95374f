/* What crosses between server and signer. Both ends are one binary on one machine, so a frame is a
 * fixed struct in the machine's own order, then its variable parts; yet each end treats the other
 * as a stranger, and a length that does not add up is the end of the channel.
 *
 *   request = struct frame_request, kid, data
 *   answer  = struct frame_answer, kid, text, more */
#ifndef CHANCERY_KEYS_SIGNER_FRAME_H
#define CHANCERY_KEYS_SIGNER_FRAME_H

#include <sys/uio.h>

#include "base/err.h"
#include "base/str.h"

enum signer_op {
	SIGNER_OP_NONE,
	SIGNER_OP_SIGN, /* on signing channels only; alg, kind: of token, data: claims; kid,
			   text: token, more: jti */
	/* on the control channel only */
	SIGNER_OP_PING,	       /* nothing in, nothing out */
	SIGNER_OP_ROOT,	       /* value: version, data: sealed or nothing; more: sealed,
				  number: 1 opened by the next master key */
	SIGNER_OP_RESEAL_ROOT, /* value: version, data: sealed; more: sealed */
	SIGNER_OP_NEW_ROOT,    /* value: version; more: sealed */
	SIGNER_OP_POLICY,      /* number: longest ttl, value: rate, data: issuer */
	SIGNER_OP_DERIVE,      /* value: version or 0, data: label; more: key */
	SIGNER_OP_GENERATE,    /* alg */
	SIGNER_OP_GENERATED,   /* alg; kid, text: public JWK, more: sealed */
	SIGNER_OP_IMPORT_KEY,  /* nothing; more: public half */
	SIGNER_OP_IMPORT,      /* alg, kid, data: box; text: public JWK, more: sealed */
	SIGNER_OP_PROBE,       /* alg, kid, data: sealed */
	SIGNER_OP_LOAD,	       /* alg, kind: state, number: bound, kid, data: sealed */
	SIGNER_OP_ACTIVATE,    /* number: bound, kid; number: last exp */
	SIGNER_OP_BOUND,       /* number: bound, kid */
	SIGNER_OP_DROP,	       /* kid */
	/* on the custody line only */
	SIGNER_OP_MASTER_NEXT,	 /* data: key */
	SIGNER_OP_MASTER_COMMIT, /* nothing in, nothing out */
	/* on signing channels only */
	SIGNER_OP_DOCUMENT,	/* kind: purpose, data: claims; kid, text: JWS */
	SIGNER_OP_LIST,		/* kind: purpose, data: claims; kid, text: header, encoded */
	SIGNER_OP_LIST_ADD,	/* data: objects, separated by commas */
	SIGNER_OP_LIST_END,	/* nothing; text: signature, encoded */
	SIGNER_OP_PURPOSE_KEYS, /* kind: purpose; text: JWK Set, number: until */
	SIGNER_OP_API_SIGN,  /* kid, value: length of the sealed row, data: that, claims; as SIGN */
	SIGNER_OP_API_CHECK, /* kid, value: as above, number: length of the URI, data: sealed, URI,
				MAC, signing input; nothing out */
	/* on the control channel only */
	SIGNER_OP_API_SECRET, /* data: URI; kid, text: secret, more: sealed */
	SIGNER_OP_COUNT
};

/* A document with a list: its claims without the last brace, then these around the objects. */
#define SIGNER_LIST_OPENING ",\"entries\":["
#define SIGNER_LIST_CLOSING "]}"

struct frame_request {
	uint32_t seq;
	uint8_t op;
	uint8_t alg;
	uint8_t kind;
	uint8_t kid_len;
	uint32_t value; /* of a meaning that the op gives it */
	uint32_t data_len;
	int64_t number;
};

struct frame_answer {
	uint32_t seq;
	uint16_t err; /* enum err */
	uint8_t kid_len;
	uint8_t unused;
	uint32_t text_len;
	uint32_t more_len;
	int64_t number;
};

struct signer_request {
	struct frame_request head;
	struct str kid, data;
};

struct signer_answer {
	struct frame_answer head;
	struct str kid, text, more;
};

/* False: not a frame. The parts are borrowed from `frame`. */
bool signer_request_parse(struct str frame, struct signer_request *ret_request);
bool signer_answer_parse(struct str frame, struct signer_answer *ret_answer);

/* Sets the lengths in the head. One message; false when the peer is gone or does not take it. */
bool signer_request_send(int fd, struct signer_request *request);
bool signer_answer_send(int fd, struct signer_answer *answer);
/* One message of at most `cap` bytes. False: closed, failed or longer. `flags` as for recv;
 * would-block gives true with *ret_n = 0. */
bool signer_frame_recv(int fd, void *p, size_t cap, int flags, size_t *ret_n);

#endif
