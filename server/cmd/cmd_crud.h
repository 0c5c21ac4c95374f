/* The acts that clients, users and apis have in common: list, show, create, update, delete. A
 * noun's file says what is its own. */
#ifndef CHANCERY_SERVER_CMD_CRUD_H
#define CHANCERY_SERVER_CMD_CRUD_H

#include "server/cmd/cmd_admin.h"
#include "server/cmd/cmd_out.h"

struct crud {
	const char *noun;	/* "client", for sentences */
	const char *collection; /* "/clients" */
	struct out_view view;
};

/* A member that is no option. */
struct body_member {
	const char *name;
	struct str value; /* STR_NONE: left out */
};
enum { BODY_MEMBERS_MAX = 4 };

/* "<collection>/<id>" and "<collection>/<id>/<tail>", encoded; in the arena. */
MUST_CHECK int crud_path(struct cmd *c, const struct crud *crud, struct str id, const char *tail,
			 struct str *ret_path);
/* A body from `members` (ends with a NULL name; NULL for none) and the options given. */
MUST_CHECK int crud_body(struct cmd *c, const struct body_member *members, const struct json *now,
			 struct str *ret_body);

/* Each does the whole act and prints. */
MUST_CHECK int crud_list(struct remote *r, const struct crud *crud, struct str path, size_t limit);
MUST_CHECK int crud_show(struct remote *r, const struct crud *crud, struct str id);
MUST_CHECK int crud_create(struct remote *r, const struct crud *crud, struct str path,
			   const struct body_member *members);
/* Options that add or remove are applied to the object as it stands, and again if somebody else
 * changed it meanwhile. */
MUST_CHECK int crud_update(struct remote *r, const struct crud *crud, struct str id);
/* Asks first. */
MUST_CHECK int crud_delete(struct remote *r, const struct crud *crud, struct str id,
			   const char *name);
/* After an act without an answer of its own: a sentence for people, {"<id>":..., "<verb>":true} for
 * programs. */
MUST_CHECK int crud_done(struct cmd *c, const struct crud *crud, struct str id, const char *verb);

#endif
