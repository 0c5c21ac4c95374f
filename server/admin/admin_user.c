/* A user as the admin API sees it. POST's body and PATCH's patched document go through one reader.
 */
#include "server/admin/admin_user.h"

#include "oauth/scope.h"
#include "server/admin/admin_rules.h"
#include "server/token/auth.h"

enum { EMAIL_MAX = 254, CREATE_ONLY_ROWS = 2 };

#define FIELD(member, type_)                                                                       \
	{ .name = #member,                                                                         \
	  .type = type_,                                                                           \
	  .offset = offsetof(struct user_body, member),                                            \
	  .nullable = true }
static const struct json_field user_rows[] = {
	FIELD(id, JSON_STRING),
	FIELD(password, JSON_STRING),
	/* from here on also in PATCH */
	{ .name = "name",
	  .type = JSON_STRING,
	  .offset = offsetof(struct user_body, name),
	  .required = true },
	FIELD(email, JSON_STRING),
	FIELD(roles, JSON_ARRAY),
	FIELD(claims, JSON_OBJECT),
	FIELD(disabled, JSON_BOOL),
};
enum { USER_ROW_COUNT = sizeof(user_rows) / sizeof(*user_rows) };
const struct admin_shape user_shape = { user_rows, USER_ROW_COUNT };
const struct admin_shape user_patch_shape = { user_rows + CREATE_ONLY_ROWS,
					      USER_ROW_COUNT - CREATE_ONLY_ROWS };

/* ---- reading ---- */

/* Gateways hand roles on as a list with commas (server/token/gateway_answer.c). */
static bool role_valid(struct str role)
{
	return scope_token_valid(role) && !memchr(role.p, ',', role.n);
}

static const struct admin_list_rule role_rule = {
	.pointer = "/roles",
	.max = ROLES_MAX,
	.valid = role_valid,
	.detail = "a role is up to 128 visible characters without quotes, backslashes and commas",
};

/* One @ with something on both sides: more would be guessing, and we send no mail. */
static bool email_valid(struct str email)
{
	const char *at = email.n ? memchr(email.p, '@', email.n) : NULL;

	return at && at != email.p && at + 1 < email.p + email.n &&
	       !memchr(email.p, ' ', email.n) &&
	       !memchr(at + 1, '@', (size_t)(email.p + email.n - at - 1));
}

static enum err read_names(struct arena *a, const struct user_body *in, struct user *u,
			   struct admin_fault *fault)
{
	enum err e;

	if (!str_trim(in->name).n)
		return admin_unprocessable(fault, "/name", "must not be empty");
	e = admin_check_text(a, "/name", str_trim(in->name), ID_MAX, &u->name, fault);
	if (!e && in->email.n && !email_valid(in->email))
		return admin_unprocessable(fault, "/email", "is no e-mail address");
	return e ? e : admin_check_text(a, "/email", in->email, EMAIL_MAX, &u->email, fault);
}

enum err user_read(struct arena *a, const struct json *object, const struct admin_shape *shape,
		   struct user_body *ret_body, struct user *ret_user, struct admin_fault *fault)
{
	struct user_body in = { .disabled = false };
	struct user u = *ret_user;
	uint64_t seen;
	enum err e = admin_fields(a, object, shape, &in, &seen, fault);

	if (!e)
		e = read_names(a, &in, &u, fault);
	if (!e)
		e = admin_check_list(a, in.roles, &role_rule, &u.roles, fault);
	if (!e)
		e = admin_check_claims(a, in.claims, &u.claims, fault);
	if (e)
		return e;
	u.disabled = in.disabled;
	*ret_body = in;
	*ret_user = u;
	return ERR_OK;
}

bool user_is_reserved(const struct user *u)
{
	struct str roles = u->roles, role;

	while (str_next(&roles, ' ', &role))
		if (scope_is_reserved(role))
			return true;
	return false;
}

/* ---- writing ---- */

static void write_mutable(struct jsonw *w, const struct user *u)
{
	jsonw_member(w, "name", u->name);
	jsonw_member(w, "email", u->email);
	admin_write_list(w, "roles", u->roles);
	admin_write_claims(w, "claims", u->claims);
	jsonw_member_bool(w, "disabled", u->disabled);
}

void user_write(struct jsonw *w, const struct user *u)
{
	jsonw_object(w);
	jsonw_member(w, "id", u->id);
	write_mutable(w, u);
	jsonw_member_bool(w, "password_set", u->password.n > 0);
	admin_write_time(w, "created_at", u->created_at);
	admin_write_time(w, "updated_at", u->updated_at);
	jsonw_end_object(w);
}

enum err user_document(struct arena *a, const struct user *u, struct str *ret_text)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, a, USER_OBJECT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	write_mutable(&w, u);
	jsonw_end_object(&w);
	return buf_end(&b, ret_text);
}
