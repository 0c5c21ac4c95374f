/* The only file that knows libyaml. It walks the event stream, not a document tree: an event is
 * looked at, kept as text or refused, and nothing the input could multiply (aliases, merge keys,
 * tags) ever exists. */
#include "server/state/config_yaml.h"

#include <stdarg.h>
#include <stdio.h>

#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the present one; owned */
	struct arena *arena;
	struct config_entries *out;
	struct config_yaml_fault *fault;
};

static enum err refuse(struct reader *r, enum err e, size_t line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static enum err refuse(struct reader *r, enum err e, size_t line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->fault->why, sizeof(r->fault->why), format, ap);
	va_end(ap);
	r->fault->line = line;
	return e;
}

static size_t event_line(const struct reader *r)
{
	return r->event.start_mark.line + 1;
}

/* No value of ours holds a control character; letting one through would let a file write to
 * terminals. */
static bool is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	}
	return str_is_utf8(s);
}

static bool has_anchor_or_tag(const yaml_event_t *e)
{
	if (e->type == YAML_SCALAR_EVENT)
		return e->data.scalar.anchor || e->data.scalar.tag;
	if (e->type == YAML_SEQUENCE_START_EVENT)
		return e->data.sequence_start.anchor || e->data.sequence_start.tag;
	if (e->type == YAML_MAPPING_START_EVENT)
		return e->data.mapping_start.anchor || e->data.mapping_start.tag;
	return e->type == YAML_ALIAS_EVENT;
}

static enum err next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		if (r->parser.error == YAML_MEMORY_ERROR)
			return ERR_NOMEM;
		return refuse(r, ERR_SYNTAX, r->parser.problem_mark.line + 1, "not YAML: %s",
			      r->parser.problem ? r->parser.problem : "unreadable");
	}
	if (has_anchor_or_tag(&r->event))
		return refuse(r, ERR_SYNTAX, event_line(r),
			      "aliases, anchors and tags are not taken");
	return ERR_OK;
}

static enum err scalar(struct reader *r, struct str *ret_text)
{
	struct str raw = str_n(r->event.data.scalar.value, r->event.data.scalar.length);
	struct str text;

	if (!is_clean(raw))
		return refuse(r, ERR_SYNTAX, event_line(r), "a value holds a control character");
	text = arena_str(r->arena, raw);
	if (!text.p)
		return ERR_NOMEM;
	*ret_text = text;
	return ERR_OK;
}

static enum err add_entry(struct reader *r, enum config_entry_kind kind, struct str key,
			  struct config_entry **ret_entry)
{
	struct config_entry *entry;

	for (size_t i = 0; i < r->out->count; i++) {
		if (str_equal(r->out->rows[i].key, key))
			return refuse(r, ERR_SYNTAX, event_line(r),
				      "%.*s is there twice (first in line %zu)", STR_ARG(key),
				      r->out->rows[i].line);
	}
	if (r->out->count == CONFIG_ENTRIES_MAX)
		return refuse(r, ERR_LIMIT, event_line(r), "more than %d keys", CONFIG_ENTRIES_MAX);
	entry = &r->out->rows[r->out->count++];
	*entry = (struct config_entry){ .kind = kind, .key = key, .line = event_line(r) };
	*ret_entry = entry;
	return ERR_OK;
}

static enum err read_scalar(struct reader *r, struct str key)
{
	bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct config_entry *entry;
	struct str *item = arena_new_of(r->arena, struct str);
	enum err e;

	if (!item)
		return ERR_NOMEM;
	e = scalar(r, item);
	if (e)
		return e;
	e = add_entry(r, plain && item->n == 0 ? CONFIG_NOTHING : CONFIG_SCALAR, key, &entry);
	if (e)
		return e;
	entry->items = item;
	entry->count = 1;
	return ERR_OK;
}

static enum err read_list(struct reader *r, struct str key)
{
	struct str *items = arena_array(r->arena, CONFIG_LIST_MAX, sizeof(*items));
	struct config_entry *entry;
	enum err e;

	if (!items)
		return ERR_NOMEM;
	e = add_entry(r, CONFIG_LIST, key, &entry);
	if (e)
		return e;
	entry->items = items;
	for (;;) {
		e = next(r);
		if (e || r->event.type == YAML_SEQUENCE_END_EVENT)
			return e;
		if (r->event.type != YAML_SCALAR_EVENT)
			return refuse(r, ERR_SYNTAX, event_line(r),
				      "%.*s: a list holds plain values only", STR_ARG(key));
		if (entry->count == CONFIG_LIST_MAX)
			return refuse(r, ERR_LIMIT, event_line(r), "%.*s: more than %d values",
				      STR_ARG(key), CONFIG_LIST_MAX);
		e = scalar(r, &items[entry->count]);
		if (e)
			return e;
		entry->count++;
	}
}

/* "prefix.key" in the arena. */
static enum err read_key(struct reader *r, struct str prefix, struct str *ret_key)
{
	struct str word = STR_NONE;
	struct buf name;
	enum err e;

	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse(r, ERR_SYNTAX, event_line(r), "a key must be a word");
	e = scalar(r, &word);
	if (e)
		return e;
	if (word.n == 0 || word.n > CONFIG_KEY_MAX || !str_is_vschar(word))
		return refuse(r, ERR_SYNTAX, event_line(r),
			      "a key must be a word of ASCII letters");
	buf_init(&name, r->arena, CONFIG_DEPTH_MAX * (CONFIG_KEY_MAX + 1));
	buf_str(&name, prefix);
	if (prefix.n)
		buf_byte(&name, '.');
	buf_str(&name, word);
	return buf_end(&name, ret_key);
}

/* The mapping whose start is the present event, up to its end. Recursion stops at CONFIG_DEPTH_MAX.
 */
static enum err read_mapping(struct reader *r, struct str prefix, unsigned depth)
{
	struct config_entry *section;
	struct str key;
	enum err e;

	if (depth > CONFIG_DEPTH_MAX)
		return refuse(r, ERR_LIMIT, event_line(r), "%.*s: nested too deep",
			      STR_ARG(prefix));
	for (;;) {
		e = next(r);
		if (e || r->event.type == YAML_MAPPING_END_EVENT)
			return e;
		e = read_key(r, prefix, &key);
		if (!e)
			e = next(r);
		if (e)
			return e;
		if (r->event.type == YAML_SCALAR_EVENT) {
			e = read_scalar(r, key);
		} else if (r->event.type == YAML_SEQUENCE_START_EVENT) {
			e = read_list(r, key);
		} else {
			e = add_entry(r, CONFIG_SECTION, key, &section);
			if (!e)
				e = read_mapping(r, key, depth + 1);
		}
		if (e)
			return e;
	}
}

static enum err expect(struct reader *r, yaml_event_type_t type, const char *why)
{
	enum err e = next(r);

	if (e || r->event.type == type)
		return e;
	return refuse(r, ERR_SYNTAX, event_line(r), "%s", why);
}

static bool is_nothing(const yaml_event_t *e)
{
	return e->type == YAML_SCALAR_EVENT && e->data.scalar.length == 0 &&
	       e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static enum err read_stream(struct reader *r)
{
	enum err e = expect(r, YAML_STREAM_START_EVENT, "not YAML");

	if (!e)
		e = next(r);
	if (e || r->event.type == YAML_STREAM_END_EVENT)
		return e;
	e = next(r);
	if (e)
		return e;
	if (r->event.type == YAML_MAPPING_START_EVENT)
		e = read_mapping(r, STR_NONE, 1);
	else if (!is_nothing(&r->event))
		e = refuse(r, ERR_SYNTAX, event_line(r),
			   "the file must hold keys, as in \"issuer: https://...\"");
	if (!e)
		e = expect(r, YAML_DOCUMENT_END_EVENT, "not YAML");
	if (e)
		return e;
	return expect(r, YAML_STREAM_END_EVENT, "a second document is not taken");
}

enum err config_yaml_read(struct arena *a, struct str text, struct config_entries *ret_entries,
			  struct config_yaml_fault *ret_fault)
{
	struct reader r = { .arena = a, .out = ret_entries, .fault = ret_fault };
	enum err e;

	ret_entries->count = 0;
	*ret_fault = (struct config_yaml_fault){ .line = 0 };
	if (text.n > CONFIG_FILE_MAX)
		return refuse(&r, ERR_LIMIT, 0, "larger than %d bytes", CONFIG_FILE_MAX);
	if (!yaml_parser_initialize(&r.parser))
		return ERR_NOMEM;
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
	e = read_stream(&r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return e;
}
