/* A request and its answer, as everything above HTTP sees them. http.c fills one from a connection;
 * a flow test fills one by hand. All memory is the request's arena.
 *
 * A handler is a chain of plain functions. Each of them either answers (fills rq->response, returns
 * ERR_OK), refuses (returns fail()), or parks: names one operation on a lane and the function that
 * goes on when the operation is durable (returns park()). Nothing runs between the two, and only
 * the lane touches the operation's argument meanwhile. */
#ifndef CHANCERY_SERVER_REQUEST_H
#define CHANCERY_SERVER_REQUEST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "oauth/form.h"
#include "server/store/lane.h"
#include "server/state/log.h"
#include "server/state/metrics.h"
#include "server/store/store.h"
#include "server/state/wire.h"

enum { RESPONSE_HEADERS_MAX = 12, REQUEST_ID_LEN = 22 };

struct header {
	const char *name;
	struct str value;
};

struct response {
	int status;
	const char *content_type;
	struct str body; /* arena, or held alive by rq->snapshot or rq->large */
	struct header headers[RESPONSE_HEADERS_MAX];
	size_t header_count;
};

struct app;
struct grant;
struct kept_text;
struct route;
struct signer_channel;
struct snapshot;
struct worker;

struct request {
	/* where we are */
	const struct app *app;
	struct worker *worker;	   /* NULL in flow tests */
	unsigned worker_index;	   /* what a worker's thread owns alone is found by it */
	struct snapshot *snapshot; /* referenced for the request's life */
	struct arena *arena;
	struct log_buf *log;
	struct metrics_shard *metrics;
	struct db *db; /* flow tests: operations run inline on it; NULL in the server */
	struct signer_channel *signer; /* the worker's; this thread's alone */
	int64_t now;		       /* frozen when the request arrived */
	int64_t started_us;	       /* monotonic */
	char id[REQUEST_ID_LEN + 1];

	/* what came in */
	enum listener listener;
	enum method method;
	struct str path;	  /* raw, without query; never decoded */
	struct str query;	  /* raw, without the '?' */
	struct str authorization; /* the header, absent when there was none */
	struct str content_type, if_none_match, if_match, accept, origin;
	struct str body;
	struct str address;	/* the client's, after trusted proxies */
	struct str certificate; /* its hash (consumer_match.h), of the connection; absent: none */
	bool peer_trusted;	/* socket: the peer's uid is root's or ours */
	int64_t peer_uid;	/* socket only, else -1 */

	/* what we found out */
	const struct route *route;
	unsigned allow;		 /* router: bits 1 << enum method that the path has rows for */
	struct str path_args[3]; /* decoded {segments} of the route, in order */
	struct form *form;	 /* set for BODY_FORM rows */
	struct form *query_form; /* query_get's, read at first use */
	const struct json *json; /* set for BODY_JSON rows: an object ({} for an empty body) */
	struct json *json_owned;
	const struct client *client; /* authenticated; held by rq->client_ref */
	struct client_ref *client_ref;
	unsigned auth_method_used; /* for the log and the metric */
	struct {
		struct str name; /* "uid:0", "client:ops" */
		unsigned scopes; /* ADMIN_SCOPE_* bits (server/token/auth.h) */
	} actor;

	/* the answer, or why not */
	struct response response;
	struct buf
		large; /* heap, for an answer that would outgrow the arena; goes with the request */
	struct kept_text *kept; /* for one that is shared; a reference, with the request too */
	enum err error;
	char why[160];		 /* the first sentence; for our log */
	const char *description; /* the admin API may tell more than the table: a constant or arena
				    text */
	struct str pointer;	 /* RFC 6901, the member at fault: goes into the problem */
	/* goes into the Bearer challenge; in the characters of RFC 6750 3 */
	struct str challenge_scope;
	const char *challenge_text; /* error_description: a constant */
	int64_t retry_after;	    /* seconds; 429 and 503 */
	int64_t ready_at;	    /* with ERR_NOT_READY: goes into the problem */
	struct str laggards;	    /* likewise; a JSON array */
	/* for the log line */
	struct str log_client, log_subject, log_grant, log_kid, log_jti;

	const struct grant *grant; /* token endpoint: the grant that decides */

	/* parked */
	struct task task;
	bool shed; /* park() found the lane full; nothing was handed over */
	enum err (*next)(struct request *rq, enum err result);
	void *state;	  /* a handler's own, in the arena */
	void *connection; /* http.c's */
};

/* Fills id, now, started_us and the snapshot; the rest of "where we are" is the caller's and stands
 * already. ERR_CRYPTO: no randomness. */
MUST_CHECK enum err request_begin(struct request *rq);
/* Gives back what the request holds: a large answer, parsed JSON, client, snapshot. The arena is
 * its owner's. */
void request_done(struct request *rq);

/* Keeps the first sentence, returns `e`. The sentence never holds a secret. */
enum err fail(struct request *rq, enum err e, const char *format, ...) PRINTF_LIKE(3, 4);

/* Leaves the operation to a lane; returns ERR_PARKED, or the error of a full lane (ERR_UNAVAILABLE,
 * with Retry-After). `next` gets the operation's result on the worker's thread. With rq->db the
 * operation runs here and now and `next`'s answer is returned: always `return park(...)`. */
enum err park(struct request *rq, enum lane lane, enum err (*run)(struct lane_ctx *, void *),
	      void *arg, enum err (*next)(struct request *, enum err result));

/* The worker's end of it (worker.c, above us: hence declared here, too): takes a finished task home
 * to its request's thread. */
void worker_post(struct task *task);

/* `name` is a literal; `value` lives as long as the request. */
void respond_header(struct request *rq, const char *name, struct str value);
/* 200 unless set before; body is borrowed for the request's life. */
enum err respond_text(struct request *rq, int status, const char *content_type, struct str body);
/* Checks the buffer, then as respond_text with application/json. */
enum err respond_json(struct request *rq, int status, struct buf *body);
/* A parameter of the query, form-decoded; STR_NONE when absent. Twice: ERR_INVALID_REQUEST. */
MUST_CHECK enum err query_get(struct request *rq, const char *name, struct str *ret_value);

#endif
