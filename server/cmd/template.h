/* Texts with holes, for configurations that are printed: a subset of mustache that can be read in
 * one minute, so that a template in config/gateways/ still looks like what it becomes.
 *
 *   {{name}}             the value, as it is
 *   {{#name}} {{/name}}  each on a line of its own: what is between them once for every item of a
 *                        list, or once if the value of that name is not empty
 *   {{^name}} {{/name}}  the same, if the value is empty
 *
 * Nothing is escaped here: who fills a template checks what it puts in. */
#ifndef CHANCERY_SERVER_TEMPLATE_H
#define CHANCERY_SERVER_TEMPLATE_H

#include "base/buf.h"

struct template_value {
	const char *name;
	struct str text; /* without a value: empty */
};

struct template_scope;

struct template_list {
	const char *name;
	const struct template_scope *items;
	size_t count;
};

/* What an item does not know is looked up in the scope around it. */
struct template_scope {
	const struct template_value *values;
	size_t value_count;
	const struct template_list *lists;
	size_t list_count;
	const struct template_scope *outer;
};

/* ERR_SYNTAX: a section without an end, a tag without one, or a name that no scope knows. Errors of
 * `out` stay in it. */
MUST_CHECK enum err template_render(struct str text, const struct template_scope *scope,
				    struct buf *out);

#endif
