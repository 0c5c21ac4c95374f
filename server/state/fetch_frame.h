/* What crosses between the server and a fetch child (server/serve/fetch.h): one request frame, one
 * answer frame, each one message of a SOCK_SEQPACKET pair. A frame is a fixed struct in the
 * machine's own order, then its variable parts; each end treats the other as a stranger, and what
 * does not add up is no frame. */
#ifndef CHANCERY_SERVER_FETCH_FRAME_H
#define CHANCERY_SERVER_FETCH_FRAME_H

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

enum {
	FETCH_URL_MAX = 1024,
	FETCH_TIMEOUT_MS_MAX = 8000,
	FETCH_PART_MAX = 512, /* each but the body */
	FETCH_BODY_MAX = JWKS_SIZE_MAX,
};

struct fetch_request {
	struct str url;	     /* "https://..." or "http://...", FETCH_URL_MAX */
	uint32_t timeout_ms; /* for all of it: 1 to FETCH_TIMEOUT_MS_MAX */
	uint32_t max_bytes;  /* of the body: 1 to FETCH_BODY_MAX */
};

enum fetch_outcome {
	FETCH_NONE,
	FETCH_ANSWERED,	 /* with any status */
	FETCH_NO_ANSWER, /* why says it */
	FETCH_TOO_LARGE, /* the body passed max_bytes */
	FETCH_NO_CLIENT, /* libcurl is not there; why says it */
	FETCH_OUTCOME_COUNT
};

/* Parts of an answer that was not given, or was empty, have n = 0. */
enum fetch_part {
	FETCH_WHY,
	FETCH_CONTENT_TYPE,
	FETCH_CACHE_CONTROL,
	FETCH_AGE,
	FETCH_ETAG,
	FETCH_SET_COOKIE, /* up to the first "=": what a cookie holds is not for our logs */
	FETCH_BODY,
	FETCH_PART_COUNT
};

struct fetch_answer {
	enum fetch_outcome outcome;
	int status; /* 100 to 999 with FETCH_ANSWERED, else 0 */
	struct str parts[FETCH_PART_COUNT];
};

struct fetch_request_head {
	uint32_t mark; /* tells requests from answers, and frames from noise */
	uint32_t timeout_ms;
	uint32_t max_bytes;
	uint32_t url_len;
};

struct fetch_answer_head {
	uint32_t mark;
	uint32_t outcome;
	uint32_t status;
	uint32_t lens[FETCH_PART_COUNT];
};

enum {
	FETCH_REQUEST_FRAME_MAX = sizeof(struct fetch_request_head) + FETCH_URL_MAX,
	FETCH_ANSWER_FRAME_MAX = sizeof(struct fetch_answer_head) +
				 (FETCH_PART_COUNT - 1) * FETCH_PART_MAX + FETCH_BODY_MAX,
};

/* False: not a frame. The parts are borrowed from `frame`. A URL that is let in has a scheme of the
 * two and is printable ASCII; nothing more is said about it. */
bool fetch_request_parse(struct str frame, struct fetch_request *ret_request);
bool fetch_answer_parse(struct str frame, struct fetch_answer *ret_answer);

/* One message; never waits. ERR_SYNTAX: out of its bounds; ERR_UNAVAILABLE: the peer is gone or
 * does not take it. */
MUST_CHECK enum err fetch_request_send(int fd, const struct fetch_request *request);
MUST_CHECK enum err fetch_answer_send(int fd, const struct fetch_answer *answer);

#endif
