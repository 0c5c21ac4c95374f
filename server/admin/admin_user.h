/* A user as the admin API sees it: the body that describes one, the rules it must keep, the object
 * that shows one. */
#ifndef CHANCERY_SERVER_ADMIN_USER_H
#define CHANCERY_SERVER_ADMIN_USER_H

#include "server/admin/admin_act.h"

enum { USER_OBJECT_MAX = 16 << 10 };

struct user_body {
	struct str id, password;
	struct str name, email;
	const struct json *roles, *claims;
	bool disabled;
};
/* Members of POST; and of PATCH, which lacks id and password. */
extern const struct admin_shape user_shape, user_patch_shape;

/* Strings of *ret_user are copies in `a`, those of *ret_body borrowed; id, password, times and
 * version of the user are left alone. ERR_UNPROCESSABLE with the fault. */
MUST_CHECK enum err user_read(struct arena *a, const struct json *object,
			      const struct admin_shape *shape, struct user_body *ret_body,
			      struct user *ret_user, struct admin_fault *fault);

/* Has it a role under "chancery:"? Then only a privileged caller may touch it. */
bool user_is_reserved(const struct user *u);

/* All but the password, of which only is told whether there is one. */
void user_write(struct jsonw *w, const struct user *u);
/* What PATCH works on. */
MUST_CHECK enum err user_document(struct arena *a, const struct user *u, struct str *ret_text);

#endif
