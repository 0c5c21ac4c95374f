/* One set of acts for every noun of the registry. */
#include "server/cmd/cmd_crud.h"

enum { BODY_TEXT_MAX = ADMIN_BODY_MAX, UPDATE_TRIES = 5 };

int crud_path(struct cmd *c, const struct crud *crud, struct str id, const char *tail,
	      struct str *ret_path)
{
	struct buf b;

	if (id.n == 0)
		return cmd_usage(c, "the name of the %s is empty", crud->noun);
	buf_init(&b, c->arena, BODY_TEXT_MAX);
	buf_z(&b, crud->collection);
	buf_byte(&b, '/');
	path_segment(&b, id);
	if (tail)
		buf_fmt(&b, "/%s", tail);
	return buf_end(&b, ret_path) ? cmd_nomem(c) : CMD_OK;
}

int crud_body(struct cmd *c, const struct body_member *members, const struct json *now,
	      struct str *ret_body)
{
	struct buf b;
	struct jsonw w;
	int status;
	enum err e;

	buf_init(&b, c->arena, BODY_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	for (; members && members->name; members++) {
		if (!members->value.p)
			continue;
		/* the writer escapes, but it can not mend what is no text */
		if (!str_is_utf8(members->value))
			return cmd_usage(c, "%s: not UTF-8", members->name);
		jsonw_member(&w, members->name, members->value);
	}
	status = body_options(c, now, &w);
	if (status)
		return status;
	jsonw_end_object(&w);
	e = buf_end(&b, ret_body);
	if (e == ERR_LIMIT)
		return cmd_usage(c, "the options together are larger than %d bytes", BODY_TEXT_MAX);
	return e ? cmd_nomem(c) : CMD_OK;
}

int crud_list(struct remote *r, const struct crud *crud, struct str path, size_t limit)
{
	AUTO(json, list) = NULL;
	int status = admin_list_all(r, path, limit, &list);

	return status ? status : out_list(r->c, &crud->view, list);
}

/* Sends, and prints the object that comes back. */
static int send_and_print(struct remote *r, const struct crud *crud, const struct admin_call *call)
{
	struct reply reply;
	int status = admin_send(r, call, &reply);

	if (!status && !reply.body)
		status = cmd_fail(r->c, CMD_UNREACHABLE, "the answer is not an object of ours");
	if (!status)
		status = out_object(r->c, &crud->view, reply.body);
	reply_done(&reply);
	return status;
}

int crud_show(struct remote *r, const struct crud *crud, struct str id)
{
	struct admin_call call = { .method = "GET" };
	int status = crud_path(r->c, crud, id, NULL, &call.path);

	return status ? status : send_and_print(r, crud, &call);
}

int crud_create(struct remote *r, const struct crud *crud, struct str path,
		const struct body_member *members)
{
	struct admin_call call = { .method = "POST", .path = path };
	int status = crud_body(r->c, members, NULL, &call.body);

	return status ? status : send_and_print(r, crud, &call);
}

/* Reads the object, edits its lists, and writes under the tag that was read, so that a change of
 * somebody else in between is not lost. *ret_again: there was one. */
static int edit_once(struct remote *r, const struct crud *crud, struct str path, bool *ret_again)
{
	struct admin_call get = { .method = "GET", .path = path };
	struct admin_call patch = { .method = "PATCH", .path = path };
	struct reply now, changed = { .body = NULL };
	int status = admin_send(r, &get, &now);

	*ret_again = false;
	if (!status)
		status = crud_body(r->c, NULL, now.body, &patch.body);
	patch.if_match = now.etag;
	if (!status)
		status = admin_send(r, &patch, &changed);
	*ret_again = changed.status == 412;
	if (!status)
		status = out_object(r->c, &crud->view, changed.body);
	reply_done(&now);
	reply_done(&changed);
	return status;
}

int crud_update(struct remote *r, const struct crud *crud, struct str id)
{
	struct admin_call call = { .method = "PATCH" };
	bool again = true;
	int status = crud_path(r->c, crud, id, NULL, &call.path);

	if (status)
		return status;
	if (!body_given(r->c))
		return cmd_usage(r->c, "nothing to change: no option was given");
	if (!body_edits(r->c)) {
		status = crud_body(r->c, NULL, NULL, &call.body);
		return status ? status : send_and_print(r, crud, &call);
	}
	for (int i = 0; i < UPDATE_TRIES && again; i++)
		status = edit_once(r, crud, call.path, &again);
	return status;
}

int crud_done(struct cmd *c, const struct crud *crud, struct str id, const char *verb)
{
	struct buf b;
	struct jsonw w;

	if (c->format == FORMAT_TABLE && !cmd_has(c, "field")) {
		buf_init(&b, c->arena, BODY_TEXT_MAX);
		out_plain(id, &b);
		buf_z(&b, ": ");
		for (const char *p = verb; *p; p++)
			buf_byte(&b, *p == '_' ? ' ' : *p);
		if (buf_end(&b, &id))
			return cmd_nomem(c);
		cmd_note(c, "%s %.*s", crud->noun, STR_ARG(id));
		return CMD_OK;
	}
	buf_init(&b, c->arena, BODY_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member(&w, crud->view.id, id);
	jsonw_member_bool(&w, verb, true);
	jsonw_end_object(&w);
	return out_text(c, &crud->view, &b);
}

int crud_delete(struct remote *r, const struct crud *crud, struct str id, const char *name)
{
	struct admin_call call = { .method = "DELETE" };
	struct reply reply;
	int status = crud_path(r->c, crud, id, NULL, &call.path);

	if (!status)
		status = cmd_confirm(
			r->c, "Delete the %s %s? Its tokens end at once; this can not be undone.",
			crud->noun, name);
	if (status)
		return status;
	status = admin_send(r, &call, &reply);
	reply_done(&reply);
	return status ? status : crud_done(r->c, crud, id, "deleted");
}
