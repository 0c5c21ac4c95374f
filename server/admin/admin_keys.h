/* What the endpoints about signing keys share (ep_admin_key*.c). */
#ifndef CHANCERY_SERVER_ADMIN_KEYS_H
#define CHANCERY_SERVER_ADMIN_KEYS_H

#include "server/admin/admin_act.h"
#include "server/state/consumers.h"

enum { KEYS_TEXT_MAX = 64 << 10 };

/* The members of a key; the caller opens and ends the object. Of a standby also who holds it. */
void admin_key_write(const struct request *rq, struct jsonw *w, const struct key_info *k);
/* Of all keys there are, removed and revoked ones too; NULL. */
const struct keyring_key *admin_key_named(const struct keyring_view *v, struct str kid);
/* One key as the keyring has it now. ERR_GONE_RESOURCE (fail() was called). */
enum err admin_key_respond(struct request *rq, int status, struct str kid);
/* ["gateway-1", ...] */
void admin_laggards_write(struct jsonw *w, const struct consumers_report *report);

/* Refuses a body that is not {}. ERR_OK, or the refusal's error (fail() was called). */
MUST_CHECK enum err admin_keys_no_body(struct request *rq);
/* Refuses for `result` of an act that needs another master key (server/serve/broker.h); `what` is
 * for the log. */
enum err admin_custody_refuse(struct request *rq, enum err result, const char *what);

#endif
