/* Access tokens that are known by their record: what was said when they were issued is stored under
 * a keyed hash of their text, before they leave. */
#ifndef CHANCERY_SERVER_RECORDED_H
#define CHANCERY_SERVER_RECORDED_H

#include "server/token/token.h"

/* A token that was made and has not left: the text, what is inside, and what the answer needs. */
struct made_token {
	struct str text;
	struct str kid;	   /* of the key that signed what is inside; STR_NONE: nothing is signed */
	struct str claims; /* JSON text with its jti */
	int64_t exp;
};

/* Makes an opaque token of claims that have no jti yet: 256 random bits as a machine secret for a
 * text, and a jti of its own. Everything lives in the arena. */
MUST_CHECK enum err opaque_make(struct request *rq, struct made_token *token);

/* Stores it; `next` goes on when the record is durable. */
enum err token_record(struct request *rq, const struct made_token *token, void *state,
		      enum err (*next)(struct request *rq, enum err result));

/* By its looks: encrypted (RFC 7516 9: a compact JWE has five segments, a JWS three). */
bool token_is_encrypted(struct str text);
/* By its looks: one to be found by its record, and nowhere else. */
bool token_is_recorded(struct str text);
/* Reads the record; `next` gets it, or ERR_NOT_FOUND, which a text that cannot be one of ours gets
 * without a look. */
enum err token_look_up(struct request *rq, struct str text, void *state,
		       enum err (*next)(struct request *rq, enum err result,
					const struct token_record *record));

#endif
