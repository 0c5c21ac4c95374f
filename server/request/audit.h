/* Audit rows: admin acts, key events, logins begun and ended, refusals folded per subject, network
 * and minute. Names are rows of one table; an act's row is written in the act's own transaction. */
#ifndef CHANCERY_SERVER_AUDIT_H
#define CHANCERY_SERVER_AUDIT_H

#include "server/request/request.h"

enum audit_event {
	AUDIT_CLIENT_CREATE,
	AUDIT_CLIENT_UPDATE,
	AUDIT_CLIENT_DELETE,
	AUDIT_SECRET_ADD,
	AUDIT_SECRET_REMOVE,
	AUDIT_API_SECRET,
	AUDIT_USER_CREATE,
	AUDIT_USER_UPDATE,
	AUDIT_USER_DELETE,
	AUDIT_USER_PASSWORD,
	AUDIT_USER_UNLOCK,
	AUDIT_API_CREATE,
	AUDIT_API_UPDATE,
	AUDIT_API_DELETE,
	AUDIT_KEY_ROTATE,
	AUDIT_KEY_CREATE,
	AUDIT_KEY_REMOVE,
	AUDIT_KEY_REVOKE,
	AUDIT_KEY_REVOKE_ALL,
	AUDIT_KEY_RELIST,
	AUDIT_KEY_IMPORT,
	AUDIT_KEY_REWRAP,
	AUDIT_KEY_DRILL,
	AUDIT_CLOCK_JUMP,
	AUDIT_CLOCK_RESUME,
	AUDIT_LOGIN_BEGIN,
	AUDIT_LOGIN_END,
	AUDIT_LOGIN_REFUSED,
	AUDIT_REFRESH_REUSE,
	AUDIT_REFRESH_AHEAD,
	AUDIT_TOKEN_REVOKE,
	AUDIT_TOKEN_FORGED,
	AUDIT_ADMIN_DENIED,
	AUDIT_SERVER_START,
	AUDIT_SERVER_STOP,
	AUDIT_CONFIG_RELOAD,
	AUDIT_EVENT_COUNT
};
const char *audit_name(enum audit_event e);
/* All of them, by event: AUDIT_EVENT_COUNT. For the metrics. */
const char *const *audit_names(void);

/* A row about this request: actor, address and request id filled in; strings are the arena's. */
void audit_fill(struct request *rq, enum audit_event event, const char *outcome, struct str target,
		struct audit_row *ret_row);

/* Counts a row that audit_fill made, once it is known whether it stands in the database. */
void audit_count(struct request *rq, const struct audit_row *row, bool written);

/* Refusals folded: a stranger who guesses a thousand passwords makes one row a minute, not a
 * thousand. A bounded table, thread-safe; the housekeeper writes the rows of minutes that have
 * ended. */
struct audit_folder;
enum { AUDIT_FOLD_MAX = 256 };
MUST_CHECK enum err audit_folder_new(struct audit_folder **ret_folder);
void audit_folder_free(struct audit_folder *f);

struct audit_refusal {
	enum audit_event event;
	struct str subject;    /* "client:x", "user:x"; cut to ID_MAX */
	struct str address;    /* folded to its network */
	struct str reason;     /* of the first refusal */
	struct str request_id; /* likewise */
	int64_t now;
};
/* When the table is full the refusal counts in one row for all other subjects. */
void audit_fold(struct audit_folder *f, const struct audit_refusal *r);
/* The same, from a request's thread, and counted. */
void audit_refusal_add(struct request *rq, const struct audit_refusal *r);
/* The same, from a request that is being refused: address, id and rq->why are filled in. */
void audit_refused(struct request *rq, enum audit_event event, struct str subject);
/* Two steps, because a write may be run twice or fail: audit_fold_write inside the writer's
 * operation (all: also the minute that runs), audit_fold_written after its commit; without the
 * second the rows are kept and written by the next one. One caller at a time. *ret_rows: how many
 * were written. */
MUST_CHECK enum err audit_fold_write(struct audit_folder *f, struct db *db, int64_t now, bool all,
				     size_t *ret_rows);
void audit_fold_written(struct audit_folder *f);
/* Is anything waiting to be written at `now`? */
bool audit_fold_due(struct audit_folder *f, int64_t now);

#endif
