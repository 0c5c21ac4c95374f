/* Line by line: a line that is only a section's tag opens or closes it and is not printed; in all
 * others the holes are filled. */
#include "server/cmd/template.h"

struct tag {
	char kind; /* '#', '^', '/'; 0: the line is text */
	struct str name;
};

/* ---- looking up ---- */

static const struct template_value *find_value(const struct template_scope *scope, struct str name)
{
	for (; scope; scope = scope->outer) {
		for (size_t i = 0; i < scope->value_count; i++) {
			if (str_equal_z(name, scope->values[i].name))
				return &scope->values[i];
		}
	}
	return NULL;
}

static const struct template_list *find_list(const struct template_scope *scope, struct str name)
{
	for (; scope; scope = scope->outer) {
		for (size_t i = 0; i < scope->list_count; i++) {
			if (str_equal_z(name, scope->lists[i].name))
				return &scope->lists[i];
		}
	}
	return NULL;
}

/* ---- lines ---- */

/* With its line feed, where it has one. */
static bool next_line(struct str *rest, struct str *ret_line)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) + 1 : rest->n;

	*ret_line = str_n(rest->p, n);
	*rest = str_n(rest->p + n, rest->n - n);
	return n > 0;
}

static struct tag tag_of(struct str line)
{
	struct str text = line;

	if (str_ends(text, STR("\n")))
		text.n--;
	text = str_trim(text);
	if (text.n < 6 || !str_starts(text, STR("{{")) || !str_ends(text, STR("}}")) ||
	    !memchr("#^/", text.p[2], 3))
		return (struct tag){ 0 };
	return (struct tag){ .kind = text.p[2], .name = str_n(text.p + 3, text.n - 5) };
}

static enum err fill_line(struct str line, const struct template_scope *scope, struct buf *out)
{
	const struct template_value *value;
	const char *open, *close;

	while ((open = memmem(line.p, line.n, "{{", 2)) != NULL) {
		size_t before = (size_t)(open - line.p);

		close = memmem(open, line.n - before, "}}", 2);
		if (!close)
			return ERR_SYNTAX;
		value = find_value(scope, str_n(open + 2, (size_t)(close - open) - 2));
		if (!value)
			return ERR_SYNTAX;
		buf_add(out, line.p, before);
		buf_str(out, value->text);
		line = str_n(close + 2, line.n - before - (size_t)(close + 2 - open));
	}
	buf_str(out, line);
	return ERR_OK;
}

/* ---- sections ---- */

/* What stands before the end of the section `name`; *rest goes on behind it. */
static enum err cut_section(struct str *rest, struct str name, struct str *ret_inside)
{
	const char *start = rest->p;
	struct str line;

	while (next_line(rest, &line)) {
		struct tag tag = tag_of(line);

		if (tag.kind == '/' && str_equal(tag.name, name)) {
			*ret_inside = str_n(start, (size_t)(line.p - start));
			return ERR_OK;
		}
	}
	return ERR_SYNTAX;
}

static enum err render_items(const struct template_list *list, struct str inside,
			     const struct template_scope *scope, struct buf *out)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < list->count && !e; i++) {
		struct template_scope item = list->items[i];

		item.outer = scope;
		e = template_render(inside, &item, out);
	}
	return e;
}

static enum err render_section(struct tag tag, struct str inside,
			       const struct template_scope *scope, struct buf *out)
{
	const struct template_list *list = find_list(scope, tag.name);
	const struct template_value *value = find_value(scope, tag.name);

	if (!list && !value)
		return ERR_SYNTAX;
	if (list && tag.kind == '#')
		return render_items(list, inside, scope, out);
	if ((list ? list->count > 0 : value->text.n > 0) != (tag.kind == '#'))
		return ERR_OK;
	return template_render(inside, scope, out);
}

enum err template_render(struct str text, const struct template_scope *scope, struct buf *out)
{
	struct str line, inside;
	enum err e = ERR_OK;

	while (!e && next_line(&text, &line)) {
		struct tag tag = tag_of(line);

		if (tag.kind == '/')
			return ERR_SYNTAX;
		if (!tag.kind) {
			e = fill_line(line, scope, out);
			continue;
		}
		e = cut_section(&text, tag.name, &inside);
		if (!e)
			e = render_section(tag, inside, scope, out);
	}
	return e;
}
