/* One administrative act: parsed on the loop, done in one writer operation together with its audit
 * row, then finished on the loop. And its quieter sister, the read.
 *
 * A struct admin_act is the first member of an endpoint's own struct, allocated in the request's
 * arena. Its step looks at rows, judges and changes them inside one transaction: nothing is looked
 * at in one operation and acted on in another. */
#ifndef CHANCERY_SERVER_ADMIN_ACT_H
#define CHANCERY_SERVER_ADMIN_ACT_H

#include "server/admin/admin_json.h"
#include "server/request/audit.h"

struct admin_act {
	/* set by the endpoint */
	struct request *rq;
	enum audit_event event;
	struct str target; /* for the audit row: admin_target */
	/* In the hash lane, before anything else; NULL: there is nothing to hash. */
	enum err (*hash)(struct lane_ctx *ctx, struct admin_act *act);
	/* In the writer. ERR_NOT_FOUND, ERR_CONFLICT and ERR_REUSED become 404, 409 and 412;
	 * ERR_FORBIDDEN is put on record; `fault` may say more. May run twice: it resets what it
	 * writes. */
	enum err (*step)(struct lane_ctx *ctx, struct admin_act *act);
	/* After the commit: makes the change true in memory, then answers. */
	enum err (*done)(struct request *rq, struct admin_act *act);

	struct admin_fault fault;
	/* admin_act_run's */
	struct audit_row row;
};

/* Zeroed, `size` bytes, first member a struct admin_act; NULL: no memory, fail() was called. */
void *admin_act_new(struct request *rq, size_t size);
enum err admin_act_run(struct request *rq, struct admin_act *act);

/* May this caller touch what is reserved: the socket's peer or a chancery:admin token? */
bool admin_privileged(const struct request *rq);
/* "client:" and the id, cut to what an audit row should hold. */
struct str admin_target(struct request *rq, const char *kind, struct str id);

/* Refuses with what `fault` tells; a pointer becomes a member of the problem (RFC 9457 3.2). */
enum err admin_refuse(struct request *rq, enum err e, const struct admin_fault *fault);
/* Refuses what is reserved: 403, and an audit row about `target`. `why` is a constant. */
enum err admin_forbid(struct request *rq, struct str target, const char *why);

/* Reads in a transaction of the blocking lane's reader, then goes on with `next`. */
struct admin_read {
	enum err (*run)(struct lane_ctx *ctx, struct request *rq, void *arg);
	void *arg;
	enum err (*next)(struct request *rq, enum err result);
};
enum err admin_read(struct request *rq, const struct admin_read *read);

/* A list: rows are read in small groups into memory of their own and written at once, until the
 * page is full in rows or in bytes (a page may hold fewer rows than asked for). */
struct admin_list {
	struct admin_page page;
	/* Reads at most `limit` rows after l->page.after into `scratch`, admin_list_add()s each. */
	enum err (*group)(struct db *db, struct arena *scratch, struct admin_list *l,
			  int64_t limit);
	/* the machine's */
	const struct secret *key;
	struct jsonw w;
	struct buf *out;
	int64_t shown, seen;
	bool full;
	char last[URI_MAX];
	size_t last_len;
	struct str text;
};
/* May row number `i` of a group be written (to l->w)? `key` is the row's. False: stop. */
bool admin_list_next(struct admin_list *l, struct str key);
enum err admin_list_run(struct request *rq, struct admin_list *l);

/* After the commit of a step that revoked (kind, value): makes it true in memory, also for tokens
 * issued while the commit was under way; `for_ever`: the id is gone and never comes back.
 * ERR_UNAVAILABLE (fail() was called): "revoked" must not be answered. */
MUST_CHECK enum err admin_revoked(struct request *rq, enum revoke_kind kind, struct str value,
				  bool for_ever);

/* In the blocking lane, `arg` a request: a new snapshot from what is committed, so that what the
 * next request sees is what this one answers. */
enum err admin_publish(struct lane_ctx *ctx, void *arg);

/* Sends an object of ours with its ETag. */
enum err admin_respond(struct request *rq, int status, struct buf *body, int64_t version);
enum err admin_no_content(struct request *rq);

#endif
