/* What a gateway asks of /gateway/verify and what it is told: "may this token pass, and whose is
 * it?" Who judges the token is another matter; the two ends here are the same for every judge. */
#ifndef CHANCERY_SERVER_GATEWAY_H
#define CHANCERY_SERVER_GATEWAY_H

#include "oauth/scope.h"
#include "server/request/request.h"

/* Strings are the request's arena's. */
struct gateway_question {
	struct str audience; /* as asked; absent where the path names an api by its slug */
	struct str slug;
	struct scope scope; /* all of it is needed */
	struct scope roles; /* likewise */
};

/* Whom the token stands for. Strings live as long as the request. */
struct gateway_identity {
	struct str sub, client_id, scope, jti;
	struct str roles; /* separated by single spaces; only a user has any */
	bool user;	  /* a user's login, not a client of its own */
	int64_t exp;
};

/* Query `audience` (one), `scope` and `role` (space-separated, at least one where given), nothing
 * else and nothing twice; or a slug from the path, and then the query is the client's business.
 * ERR_INVALID_REQUEST, ERR_NOMEM. */
MUST_CHECK enum err gateway_read_question(struct request *rq, struct gateway_question *ret_q);

/* What is asked about. */
struct gateway_target {
	struct str audience;
	int64_t cache; /* s that a good answer may be kept, 0 to GATEWAY_CACHE_MAX */
};

/* A judge of tokens: the server's own, or a sidecar's. */
struct gateway_judge {
	/* ERR_INVALID_REQUEST: none that it knows. */
	enum err (*find)(struct request *rq, const struct gateway_question *q,
			 struct gateway_target *ret_target);
	/* May the token be used there? Its claims to gateway_identify. ERR_INVALID_TOKEN,
	 * ERR_UNAVAILABLE. */
	enum err (*judge)(struct request *rq, struct str audience, struct str token,
			  struct gateway_identity *ret_id);
};

/* What a good answer stands on. */
struct gateway_pass {
	struct gateway_identity id;
	struct gateway_target target;
};

/* From the request to a good answer, or the refusal. */
MUST_CHECK enum err gateway_decide(struct request *rq, const struct gateway_judge *judge,
				   struct gateway_pass *ret_pass);

/* Reads the claims of a token that was found good. ERR_INVALID_TOKEN: it must not pass a gateway
 * all the same. The strings are the arena's. */
MUST_CHECK enum err gateway_identify(struct request *rq, const struct json *claims,
				     struct gateway_identity *ret_id);

/* RFC 6750 2.1, the header and nothing else. ERR_NO_TOKEN. ERR_INVALID_TOKEN, with a word to the
 * client: of a format that only introspection, or the api itself, can read. */
MUST_CHECK enum err gateway_read_token(struct request *rq, struct str *ret_token);

/* Has it everything that was asked for? ERR_INSUFFICIENT_SCOPE, and the challenge says the scope.
 */
MUST_CHECK enum err gateway_check_needs(struct request *rq, const struct gateway_question *q,
					const struct gateway_identity *id);

/* 200 with all identity headers. ERR_INVALID_TOKEN: a value that no header can carry unchanged. */
MUST_CHECK enum err gateway_answer(struct request *rq, const struct gateway_pass *pass);

/* X-Identity, for an answer that is good otherwise; `api` is the audience asked about.
 * ERR_UNAVAILABLE. */
MUST_CHECK enum err gateway_sign_identity(struct request *rq, const struct gateway_identity *id,
					  struct str api);

void gateway_count(struct request *rq, enum err verdict);

#endif
