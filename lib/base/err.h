/* One error type for the whole program and one table that says what each error means on the wire.
 *
 * Codes above ERR_WIRE are answers a protocol defines: they carry the RFC's name and a status, and
 * a handler returns them with fail(). Codes below it are facts about our own work (no memory, a row
 * that is not there); what reaches the wire unchanged from those is 500 or 503.
 * The description is a constant: a client never reads a sentence that contains its own input. */
#ifndef CHANCERY_BASE_ERR_H
#define CHANCERY_BASE_ERR_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum err {
	ERR_OK = 0,
	/* not an error: the request waits in a lane and goes on later (server/store/lane.h) */
	ERR_PARKED,

	/* facts about our own work */
	ERR_NOMEM,	 /* an allocation failed, or an arena reached its limit */
	ERR_LIMIT,	 /* a bound of limits.h was reached by input */
	ERR_SYNTAX,	 /* input is not of the form it must have */
	ERR_UNSUPPORTED, /* well formed, but of a kind we do not take */
	ERR_BAD_SIGNATURE,
	ERR_EXPIRED,
	ERR_NOT_FOUND,
	ERR_CONFLICT, /* a unique name is taken, or a rule of the store forbids it */
	ERR_REUSED,   /* a thing that may be used once was used before */
	ERR_FULL,     /* no space left on the device */
	ERR_IO,
	ERR_CORRUPT, /* stored data does not say what we wrote */
	ERR_BUSY,    /* a queue or a lock is full or held; shed, try again */
	ERR_TIMEOUT,
	ERR_CRYPTO, /* a primitive failed that does not fail on good input */
	ERR_INTERNAL,

	ERR_WIRE, /* nothing returns this: what follows has a wire name */

	/* RFC 6749 5.2, RFC 8707 2, RFC 6750 3.1 */
	ERR_INVALID_REQUEST,
	ERR_INVALID_CLIENT,
	ERR_INVALID_GRANT,
	ERR_UNAUTHORIZED_CLIENT,
	ERR_UNSUPPORTED_GRANT_TYPE,
	ERR_INVALID_SCOPE,
	ERR_INVALID_TARGET,
	ERR_UNSUPPORTED_TOKEN_TYPE, /* RFC 7009 2.2.1 */
	ERR_INVALID_TOKEN,
	ERR_INSUFFICIENT_SCOPE,
	ERR_NO_TOKEN, /* RFC 6750 3.1: no credentials at all, the challenge carries no error code */

	/* HTTP (RFC 9110) and the admin API */
	ERR_BAD_REQUEST,
	ERR_FORBIDDEN,
	ERR_NO_ROUTE,
	ERR_METHOD,
	ERR_GONE_RESOURCE,     /* 404 of the admin API: the object named does not exist */
	ERR_EXISTS,	       /* 409 */
	ERR_NOT_READY,	       /* 409, the answer carries ready_at */
	ERR_PRECONDITION,      /* 412 */
	ERR_TOO_LARGE,	       /* 413 */
	ERR_URI_TOO_LONG,      /* 414 */
	ERR_MEDIA_TYPE,	       /* 415 */
	ERR_UNPROCESSABLE,     /* 422 */
	ERR_RATE_LIMITED,      /* 429 */
	ERR_HEADERS_TOO_LARGE, /* 431 */
	ERR_SERVER,	       /* 500 */
	ERR_UNAVAILABLE,       /* 503, Retry-After */

	ERR_COUNT
};

struct err_row {
	const char *name; /* for our log: "invalid_grant", "nomem" */
	const char *wire; /* the RFC's error name; NULL below ERR_WIRE and for ERR_NO_TOKEN */
	int status;	  /* HTTP status; 500 or 503 below ERR_WIRE */
	const char *description; /* constant sentence for the client; chars of RFC 6749 5.2 only */
};

/* Never NULL; a number outside the enum gives the row of ERR_INTERNAL. */
const struct err_row *err_row(enum err e);
const char *err_name(enum err e);

#endif
