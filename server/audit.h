/* Audit rows: admin acts, key events, logins begun and ended, refusals folded per subject, network and
 * minute. Names are rows of one table; an act's row is written in the act's own transaction. */
#ifndef CHANCERY_SERVER_AUDIT_H
#define CHANCERY_SERVER_AUDIT_H

#include "server/request.h"

enum audit_event {
	AUDIT_CLIENT_CREATE, AUDIT_CLIENT_UPDATE, AUDIT_CLIENT_DELETE, AUDIT_SECRET_ADD, AUDIT_SECRET_REMOVE,
	AUDIT_USER_CREATE, AUDIT_USER_UPDATE, AUDIT_USER_DELETE, AUDIT_USER_PASSWORD, AUDIT_USER_UNLOCK,
	AUDIT_API_CREATE, AUDIT_API_UPDATE, AUDIT_API_DELETE,
	AUDIT_KEY_ROTATE, AUDIT_KEY_CREATE, AUDIT_KEY_REMOVE,
	AUDIT_LOGIN_BEGIN, AUDIT_LOGIN_END, AUDIT_LOGIN_REFUSED,
	AUDIT_REFRESH_REUSE, AUDIT_REFRESH_AHEAD, AUDIT_TOKEN_REVOKE, AUDIT_TOKEN_FORGED,
	AUDIT_ADMIN_DENIED, AUDIT_SERVER_START, AUDIT_SERVER_STOP, AUDIT_CONFIG_RELOAD,
	AUDIT_EVENT_COUNT
};
const char *audit_name(enum audit_event e);

/* A row about this request: actor, address and request id filled in; strings are the arena's. */
void audit_fill(struct request *rq, enum audit_event event, const char *outcome, struct str target,
		struct audit_row *ret_row);

#endif
