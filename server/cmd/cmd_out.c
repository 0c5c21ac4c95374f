/* The four formats and --field, over a JSON value. The table is for people: cells are cut to
 * nothing but printable text. The other formats are for programs and lose nothing. */
#include "server/cmd/cmd_out.h"

#include <stdio.h>

enum { COLUMNS_MAX = 12, INDENT = 2 };

void out_plain(struct str text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char ch = (unsigned char)text.p[i];

		/* C1 controls are two bytes in UTF-8: 0xc2 0x80 to 0xc2 0x9f */
		bool c1 = ch == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0;

		buf_byte(out, ch < 0x20 || ch == 0x7f || c1 ? '?' : (char)ch);
		i += c1;
	}
}

static void indent(struct buf *out, unsigned depth)
{
	for (unsigned i = 0; i < depth * INDENT; i++)
		buf_byte(out, ' ');
}

/* ---- JSON ---- */

static void pretty(const struct json *v, unsigned depth, struct buf *out);

static void json_string(struct str s, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_str(&w, s);
}

static void pretty_array(const struct json *v, unsigned depth, struct buf *out)
{
	buf_byte(out, '[');
	for (size_t i = 0; i < json_len(v); i++) {
		buf_z(out, i ? ",\n" : "\n");
		indent(out, depth + 1);
		pretty(json_at(v, i), depth + 1, out);
	}
	buf_byte(out, '\n');
	indent(out, depth);
	buf_byte(out, ']');
}

static void pretty_object(const struct json *v, unsigned depth, struct buf *out)
{
	const struct json *member;
	struct str name;
	void *iter = NULL;
	bool first = true;

	buf_byte(out, '{');
	while (json_each(v, &iter, &name, &member)) {
		buf_z(out, first ? "\n" : ",\n");
		first = false;
		indent(out, depth + 1);
		json_string(name, out);
		buf_z(out, ": ");
		pretty(member, depth + 1, out);
	}
	buf_byte(out, '\n');
	indent(out, depth);
	buf_byte(out, '}');
}

static void pretty(const struct json *v, unsigned depth, struct buf *out)
{
	if (json_type(v) == JSON_ARRAY && json_len(v))
		pretty_array(v, depth, out);
	else if (json_type(v) == JSON_OBJECT && json_len(v))
		pretty_object(v, depth, out);
	else
		json_dump(v, out);
}

void out_json_pretty(const struct json *v, struct buf *out)
{
	pretty(v, 0, out);
	buf_byte(out, '\n');
}

/* ---- YAML ---- */

/* May the text stand without quotes and still be that text for every YAML reader? Only what starts
 * with a letter, has no sign that means something, and is no word that means a truth or nothing. */
static bool is_plain_yaml(struct str s)
{
	static const char *const words[] = { "true", "false", "null", "yes", "no",
					     "on",   "off",   "y",    "n" };

	if (s.n == 0 || !((s.p[0] | 0x20) >= 'a' && (s.p[0] | 0x20) <= 'z') || s.p[s.n - 1] == ':')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool letter = (s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z';

		if (!letter && !(s.p[i] >= '0' && s.p[i] <= '9') && !strchr("_-./:@+", s.p[i]))
			return false;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (str_case_equal(s, str_z(words[i])))
			return false;
	}
	return true;
}

/* A JSON string is a YAML string in double quotes. */
static void yaml_string(struct str s, struct buf *out)
{
	if (is_plain_yaml(s))
		buf_str(out, s);
	else
		json_string(s, out);
}

static bool is_container(const struct json *v)
{
	enum json_type type = json_type(v);

	return (type == JSON_ARRAY || type == JSON_OBJECT) && json_len(v) > 0;
}

static void yaml_block(const struct json *v, unsigned depth, bool indented, struct buf *out);

static void yaml_scalar(const struct json *v, struct buf *out)
{
	struct str text;

	if (json_str(v, &text))
		yaml_string(text, out);
	else
		json_dump(v, out);
	buf_byte(out, '\n');
}

/* "- item", where a container begins in the same line. */
static void yaml_items(const struct json *v, unsigned depth, bool indented, struct buf *out)
{
	for (size_t i = 0; i < json_len(v); i++) {
		const struct json *item = json_at(v, i);

		if (i || !indented)
			indent(out, depth);
		buf_z(out, "- ");
		if (is_container(item))
			yaml_block(item, depth + 1, true, out);
		else
			yaml_scalar(item, out);
	}
}

static void yaml_members(const struct json *v, unsigned depth, bool indented, struct buf *out)
{
	const struct json *member;
	struct str name;
	void *iter = NULL;

	for (; json_each(v, &iter, &name, &member); indented = false) {
		if (!indented)
			indent(out, depth);
		yaml_string(name, out);
		buf_z(out, is_container(member) ? ":\n" : ": ");
		if (is_container(member))
			yaml_block(member, depth + 1, false, out);
		else
			yaml_scalar(member, out);
	}
}

/* `indented`: the first line has its indentation already. */
static void yaml_block(const struct json *v, unsigned depth, bool indented, struct buf *out)
{
	if (json_type(v) == JSON_ARRAY)
		yaml_items(v, depth, indented, out);
	else
		yaml_members(v, depth, indented, out);
}

void out_yaml(const struct json *v, struct buf *out)
{
	if (is_container(v)) {
		yaml_block(v, 0, false, out);
		return;
	}
	json_dump(v, out);
	buf_byte(out, '\n');
}

/* ---- tables ---- */

static void cell_value(const struct json *v, struct buf *out)
{
	struct str text;

	if (json_str(v, &text))
		out_plain(text, out);
	else
		json_dump(v, out);
}

/* A list of plain values as "a, b", nothing as "-", an object as JSON. */
static void cell(const struct json *v, struct buf *out)
{
	enum json_type type = json_type(v);
	struct str text;

	if (type == JSON_NULL || (type == JSON_ARRAY && !json_len(v)) ||
	    (type == JSON_OBJECT && !json_len(v)) || (json_str(v, &text) && !text.n)) {
		buf_byte(out, '-');
		return;
	}
	if (type != JSON_ARRAY) {
		cell_value(v, out);
		return;
	}
	for (size_t i = 0; i < json_len(v); i++) {
		buf_z(out, i ? ", " : "");
		cell_value(json_at(v, i), out);
	}
}

/* Columns on a terminal: one a character, continuation bytes none. Wide scripts come out ragged. */
static size_t width(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void pad(struct buf *out, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		buf_byte(out, ' ');
}

/* An arena copy of a cell's text. */
static enum err cell_text(struct cmd *c, const struct json *v, struct str *ret_text)
{
	struct buf b;

	buf_init(&b, c->arena, CMD_DOCUMENT_MAX);
	cell(v, &b);
	return buf_end(&b, ret_text);
}

static enum err object_table(struct cmd *c, const struct json *object, struct buf *out)
{
	const struct json *member;
	struct str name, text;
	void *iter = NULL;
	size_t widest = 0;
	enum err e;

	while (json_each(object, &iter, &name, &member)) {
		if (width(name) > widest)
			widest = width(name);
	}
	iter = NULL;
	while (json_each(object, &iter, &name, &member)) {
		e = cell_text(c, member, &text);
		if (e)
			return e;
		out_plain(name, out);
		pad(out, width(name), widest + 2);
		buf_str(out, text);
		buf_byte(out, '\n');
	}
	return ERR_OK;
}

static size_t column_count(const struct out_view *view)
{
	size_t n = 0;

	while (view->columns[n].title && n < COLUMNS_MAX)
		n++;
	return n;
}

static void table_line(const struct str *cells, const size_t *widths, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		buf_str(out, cells[i]);
		if (i + 1 < n)
			pad(out, width(cells[i]), widths[i] + 2);
	}
	buf_byte(out, '\n');
}

/* All cells first, for the widths; then the lines. */
static enum err list_table(struct cmd *c, const struct out_view *view, const struct json *items,
			   struct buf *out)
{
	size_t columns = column_count(view), rows = json_len(items) + 1;
	struct str *cells = arena_array(c->arena, rows * columns, sizeof(*cells));
	size_t widths[COLUMNS_MAX] = { 0 };

	if (!cells)
		return ERR_NOMEM;
	for (size_t i = 0; i < columns; i++)
		cells[i] = str_z(view->columns[i].title);
	for (size_t r = 1; r < rows; r++) {
		for (size_t i = 0; i < columns; i++) {
			const struct json *v = json_get(json_at(items, r - 1),
							view->columns[i].member);
			enum err e = cell_text(c, v, &cells[r * columns + i]);

			if (e)
				return e;
		}
	}
	for (size_t i = 0; i < rows * columns; i++) {
		if (width(cells[i]) > widths[i % columns])
			widths[i % columns] = width(cells[i]);
	}
	for (size_t r = 0; r < rows; r++)
		table_line(&cells[r * columns], widths, columns, out);
	return ERR_OK;
}

/* ---- quiet and --field ---- */

static void raw_line(const struct json *v, struct buf *out)
{
	struct str text;

	if (json_str(v, &text))
		buf_str(out, text);
	else
		json_dump(v, out);
	buf_byte(out, '\n');
}

/* "a.b" walks into objects; a name that has the dot itself goes first (a claim may be called so).
 */
static const struct json *field_of(const struct json *object, const char *name)
{
	const struct json *v = json_get(object, name);
	char part[128];
	const char *dot;

	while (!v && object && (dot = strchr(name, '.')) && (size_t)(dot - name) < sizeof(part)) {
		memcpy(part, name, (size_t)(dot - name));
		part[dot - name] = 0;
		object = json_get(object, part);
		name = dot + 1;
		v = json_get(object, name);
	}
	return v;
}

static int no_field(struct cmd *c, const char *field, const struct json *object)
{
	const struct json *member;
	struct buf names;
	struct str name, text = STR_NONE;
	void *iter = NULL;

	buf_init(&names, c->arena, 4096);
	while (json_each(object, &iter, &name, &member)) {
		buf_byte(&names, ' ');
		out_plain(name, &names);
	}
	if (buf_end(&names, &text))
		text = STR_NONE;
	return cmd_fail(c, CMD_REFUSED, "--field %s: no such field; there are:%.*s", field,
			STR_ARG(text));
}

static int field_line(struct cmd *c, const struct json *object, struct buf *out)
{
	const char *field = cmd_get(c, "field");
	const struct json *v = field_of(object, field);

	if (!v)
		return no_field(c, field, object);
	raw_line(v, out);
	return CMD_OK;
}

/* ---- the whole ---- */

static int print(struct cmd *c, struct buf *out)
{
	struct str text;
	enum err e = buf_end(out, &text);

	if (e == ERR_LIMIT)
		return cmd_fail(c, CMD_REFUSED, "the output is larger than %d bytes",
				CMD_DOCUMENT_MAX);
	if (e)
		return cmd_nomem(c);
	if (text.n && fwrite(text.p, text.n, 1, stdout) != 1)
		return cmd_fail(c, CMD_REFUSED, "cannot write to standard output");
	return CMD_OK;
}

int out_object(struct cmd *c, const struct out_view *view, const struct json *object)
{
	struct buf out;
	enum err e = ERR_OK;
	int status = CMD_OK;

	buf_init(&out, c->arena, CMD_DOCUMENT_MAX);
	if (cmd_get(c, "field"))
		status = field_line(c, object, &out);
	else if (c->format == FORMAT_JSON)
		out_json_pretty(object, &out);
	else if (c->format == FORMAT_YAML)
		out_yaml(object, &out);
	else if (c->format == FORMAT_QUIET)
		raw_line(json_get(object, view->id), &out);
	else
		e = object_table(c, object, &out);
	if (status)
		return status;
	return e ? cmd_nomem(c) : print(c, &out);
}

/* One line an item, for --field and quiet. */
static int item_lines(struct cmd *c, const struct out_view *view, const struct json *items,
		      struct buf *out)
{
	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *item = json_at(items, i);
		int status = CMD_OK;

		if (cmd_get(c, "field"))
			status = field_line(c, item, out);
		else
			raw_line(json_get(item, view->id), out);
		if (status)
			return status;
	}
	return CMD_OK;
}

int out_list(struct cmd *c, const struct out_view *view, const struct json *list)
{
	const struct json *items = json_get(list, "items");
	struct buf out;
	enum err e = ERR_OK;
	int status = CMD_OK;

	buf_init(&out, c->arena, CMD_DOCUMENT_MAX);
	if (cmd_get(c, "field") || c->format == FORMAT_QUIET)
		status = item_lines(c, view, items, &out);
	else if (c->format == FORMAT_JSON)
		out_json_pretty(list, &out);
	else if (c->format == FORMAT_YAML)
		out_yaml(list, &out);
	else
		e = list_table(c, view, items, &out);
	if (status)
		return status;
	return e ? cmd_nomem(c) : print(c, &out);
}

int out_text(struct cmd *c, const struct out_view *view, struct buf *object)
{
	AUTO(json, root) = NULL;
	struct str text;

	if (buf_end(object, &text) || json_parse(text, CMD_DOCUMENT_MAX, &root))
		return cmd_nomem(c);
	return out_object(c, view, root);
}

int out_done(struct cmd *c, const char *member, const char *sentence)
{
	const struct out_view view = { .id = member };
	struct jsonw w;
	struct buf b;

	if (c->format == FORMAT_TABLE && !cmd_get(c, "field")) {
		cmd_note(c, "%s", sentence);
		return CMD_OK;
	}
	buf_init(&b, c->arena, 256);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_bool(&w, member, true);
	jsonw_end_object(&w);
	return out_text(c, &view, &b);
}
