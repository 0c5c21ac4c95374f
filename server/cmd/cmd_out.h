/* What a command prints on stdout, in the format that was asked for: table, one JSON document,
 * YAML, or ids only; or the one raw value of --field. Tables and notes pass what the server holds
 * through a filter, so that a client's name cannot write to the operator's terminal. */
#ifndef CHANCERY_SERVER_CMD_OUT_H
#define CHANCERY_SERVER_CMD_OUT_H

#include "base/json.h"
#include "server/cmd/cmd.h"

struct out_column {
	const char *title;
	const char *member;
};

/* How objects of one kind look. */
struct out_view {
	const char *id;			  /* what quiet prints */
	const struct out_column *columns; /* of a list's table; ends with a NULL title */
};

/* One object: a table of its members. */
MUST_CHECK int out_object(struct cmd *c, const struct out_view *view, const struct json *object);
/* A list as the API gives it: {"items":[...],"next_page_token":""}. */
MUST_CHECK int out_list(struct cmd *c, const struct out_view *view, const struct json *list);
/* As out_object for JSON text that we wrote ourselves; takes the buffer's error with it. */
MUST_CHECK int out_text(struct cmd *c, const struct out_view *view, struct buf *object);

/* After an act whose answer is nothing: the sentence on stderr for people, {"<member>":true} for
 * programs. */
MUST_CHECK int out_done(struct cmd *c, const char *member, const char *sentence);

/* Several lines of JSON, two spaces of indentation. */
void out_json_pretty(const struct json *v, struct buf *out);
void out_yaml(const struct json *v, struct buf *out);
/* Printable characters and UTF-8 as they are, controls as '?'. */
void out_plain(struct str text, struct buf *out);

#endif
