/* The kinds of options. Each reads a text into the struct and writes it back; what it refuses it
 * says as "must be ...". */
#include "server/state/config_kinds.h"

#include <stdarg.h>
#include <stdio.h>

#include "oauth/uri.h"
#include "server/state/consumer_match.h"

enum { PATH_LENGTH_MAX = 4095 }; /* PATH_MAX without its NUL */

static enum err must_be(struct option_target *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static enum err must_be(struct option_target *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(t->why, sizeof(t->why), format, ap);
	va_end(ap);
	return ERR_SYNTAX;
}

static void *place(const struct option_row *row, struct config *c)
{
	return (char *)c + row->offset;
}

static const void *place_const(const struct option_row *row, const struct config *c)
{
	return (const char *)c + row->offset;
}

/* ---- numbers ---- */

static enum err read_count(const struct option_row *row, const struct option_text *text,
			   struct option_target *t)
{
	int64_t n;

	if (str_to_i64(text->items[0], row->min, row->max, &n))
		return must_be(t, "a number from %lld to %lld", (long long)row->min,
			       (long long)row->max);
	*(int64_t *)place(row, t->config) = n;
	return ERR_OK;
}

static void write_count(const struct option_row *row, const struct config *c, struct buf *out)
{
	buf_i64(out, *(const int64_t *)place_const(row, c));
}

/* 0 is "auto" */
static enum err read_workers(const struct option_row *row, const struct option_text *text,
			     struct option_target *t)
{
	if (str_equal_z(text->items[0], "auto")) {
		*(int64_t *)place(row, t->config) = 0;
		return ERR_OK;
	}
	if (read_count(row, text, t))
		return must_be(t, "\"auto\" or a number from %lld to %lld", (long long)row->min,
			       (long long)row->max);
	return ERR_OK;
}

static void write_workers(const struct option_row *row, const struct config *c, struct buf *out)
{
	if (*(const int64_t *)place_const(row, c) == 0)
		buf_z(out, "auto");
	else
		write_count(row, c, out);
}

static void range_text(const struct option_row *row, char *ret_text, size_t size)
{
	struct buf b;
	struct str text;

	buf_init(&b, NULL, size - 1);
	duration_write(row->min, &b);
	buf_z(&b, " to ");
	duration_write(row->max, &b);
	if (buf_end(&b, &text))
		text = STR("the allowed range");
	snprintf(ret_text, size, "%.*s", STR_ARG(text));
	buf_done(&b);
}

static enum err read_duration(const struct option_row *row, const struct option_text *text,
			      struct option_target *t)
{
	char range[64];
	int64_t seconds;

	if (duration_parse(text->items[0], &seconds) || seconds < row->min || seconds > row->max) {
		range_text(row, range, sizeof(range));
		return must_be(t, "a duration like 90s, 15m, 2h or 30d, from %s", range);
	}
	*(int64_t *)place(row, t->config) = seconds;
	return ERR_OK;
}

static void write_duration(const struct option_row *row, const struct config *c, struct buf *out)
{
	duration_write(*(const int64_t *)place_const(row, c), out);
}

/* ---- words ---- */

/* All our enums are int-sized and start at 0, as gcc and clang make them. */
static enum err read_word(const struct option_row *row, const struct option_text *text,
			  struct option_target *t)
{
	struct buf names;
	struct str list = STR_NONE;
	enum err e;

	for (int i = 0; row->words[i]; i++) {
		if (str_equal_z(text->items[0], row->words[i])) {
			*(int *)place(row, t->config) = i;
			return ERR_OK;
		}
	}
	buf_init(&names, NULL, 128);
	for (int i = 0; row->words[i]; i++)
		buf_fmt(&names, "%s%s", i ? ", " : "", row->words[i]);
	e = buf_end(&names, &list);
	if (e != ERR_NOMEM)
		e = must_be(t, "one of %.*s", STR_ARG(list));
	buf_done(&names);
	return e;
}

static void write_word(const struct option_row *row, const struct config *c, struct buf *out)
{
	buf_z(out, row->words[*(const int *)place_const(row, c)]);
}

static enum err read_alg(const struct option_row *row, const struct option_text *text,
			 struct option_target *t)
{
	enum alg alg = alg_by_name(text->items[0]);

	if (alg == ALG_UNKNOWN)
		return must_be(t, "ES256 or RS256");
	*(enum alg *)place(row, t->config) = alg;
	return ERR_OK;
}

static void write_alg(const struct option_row *row, const struct config *c, struct buf *out)
{
	buf_z(out, alg_name(*(const enum alg *)place_const(row, c)));
}

/* The row's place is config.keys.algs; the count is its neighbour. */
static enum err read_algs(const struct option_row *row, const struct option_text *text,
			  struct option_target *t)
{
	enum alg *algs = place(row, t->config);
	size_t n = 0;

	for (size_t i = 0; i < text->count; i++) {
		enum alg alg = alg_by_name(text->items[i]);

		if (alg == ALG_UNKNOWN)
			return must_be(t, "a list of ES256 and RS256");
		for (size_t j = 0; j < n; j++) {
			if (algs[j] == alg)
				return must_be(t, "a list without repetition");
		}
		algs[n++] = alg;
	}
	if (n == 0)
		return must_be(t, "a list of at least one of ES256 and RS256");
	t->config->keys.alg_count = n;
	return ERR_OK;
}

static void write_algs(const struct option_row *row, const struct config *c, struct buf *out)
{
	const enum alg *algs = place_const(row, c);

	for (size_t i = 0; i < c->keys.alg_count; i++)
		buf_fmt(out, "%s%s", i ? "," : "", alg_name(algs[i]));
}

/* ---- texts ---- */

static enum err keep(const struct option_row *row, struct str text, struct option_target *t)
{
	struct str copy = arena_str(t->arena, text);

	if (!copy.p)
		return ERR_NOMEM;
	*(struct str *)place(row, t->config) = copy;
	return ERR_OK;
}

static void write_text(const struct option_row *row, const struct config *c, struct buf *out)
{
	buf_str(out, *(const struct str *)place_const(row, c));
}

/* RFC 8414 2: https (or http, for config_check_serve to judge), no query, no fragment. */
static enum err read_issuer(const struct option_row *row, const struct option_text *text,
			    struct option_target *t)
{
	struct str issuer = text->items[0];
	struct uri uri = { .host = STR_NONE };
	enum err e;

	if (issuer.n == 0)
		return keep(row, issuer, t);
	if (!uri_is_issuer(issuer, &uri))
		return must_be(t, "an http or https URL%s",
			       str_ends(issuer, STR("/")) ? " that does not end in a slash"
							  : " without query, fragment or user");
	e = keep(row, issuer, t);
	if (e)
		return e;
	t->config->issuer_path = str_n(t->config->issuer.p + issuer.n - uri.path.n, uri.path.n);
	return ERR_OK;
}

static enum err read_resource(const struct option_row *row, const struct option_text *text,
			      struct option_target *t)
{
	if (text->items[0].n && !uri_is_resource(text->items[0]))
		return must_be(t, "an absolute URI without fragment (RFC 8707 2)");
	return keep(row, text->items[0], t);
}

static enum err read_storage(const struct option_row *row, const struct option_text *text,
			     struct option_target *t)
{
	if (!str_equal_z(text->items[0], "sqlite"))
		return must_be(t, "\"sqlite\"");
	return keep(row, text->items[0], t);
}

/* Absolute, or "DIR/..." below the data directory: a relative path would mean another file after
 * the next `cd`. */
static enum err read_path(const struct option_row *row, const struct option_text *text,
			  struct option_target *t)
{
	struct str path = text->items[0], whole;
	struct buf b;
	enum err e;

	if (path.n == 0)
		return keep(row, path, t);
	buf_init(&b, t->arena, PATH_LENGTH_MAX);
	if (str_starts(path, STR("DIR/"))) {
		buf_str(&b, t->config->data_dir);
		path = str_n(path.p + 3, path.n - 3);
	}
	buf_str(&b, path);
	e = buf_end(&b, &whole);
	if (e == ERR_NOMEM)
		return e;
	if (e || path.p[0] != '/')
		return must_be(t, "an absolute path, or DIR/... for one in the data directory");
	if (row->max && whole.n > (size_t)row->max)
		return must_be(t, "a path of at most %lld bytes (it has %zu)", (long long)row->max,
			       whole.n);
	*(struct str *)place(row, t->config) = whole;
	return ERR_OK;
}

static enum err read_path_or_off(const struct option_row *row, const struct option_text *text,
				 struct option_target *t)
{
	if (str_equal_z(text->items[0], "off"))
		return keep(row, text->items[0], t);
	if (text->items[0].n == 0)
		return must_be(t, "\"off\" or an absolute path");
	return read_path(row, text, t);
}

/* ---- addresses ---- */

/* Names are not taken: which address one means would be decided by a resolver, after this check. */
static enum err read_address(const struct option_row *row, const struct option_text *text,
			     struct option_target *t)
{
	struct str host = STR_NONE;
	int64_t port;

	if (address_split(text->items[0], &host, &port))
		return must_be(t, "an IP address and a port, like 127.0.0.1:8080, 0.0.0.0:8080 or "
				  "[::1]:8080");
	return keep(row, text->items[0], t);
}

static enum err read_address_or_off(const struct option_row *row, const struct option_text *text,
				    struct option_target *t)
{
	if (str_equal_z(text->items[0], "off"))
		return keep(row, text->items[0], t);
	if (read_address(row, text, t))
		return must_be(t, "\"off\", or an IP address and a port, like 127.0.0.1:8081");
	return ERR_OK;
}

static enum err read_networks(const struct option_row *row, const struct option_text *text,
			      struct option_target *t)
{
	struct network_list *list = place(row, t->config);
	struct network *items = arena_array(t->arena, text->count + 1, sizeof(*items));

	if (!items)
		return ERR_NOMEM;
	for (size_t i = 0; i < text->count; i++) {
		if (network_parse(text->items[i], &items[i]))
			return must_be(t, "a list of IP addresses and networks, like 10.0.0.0/8 "
					  "(not 10.0.0.1/8) or ::1");
	}
	*list = (struct network_list){ .items = items, .count = text->count };
	return ERR_OK;
}

static enum err read_consumers(const struct option_row *row, const struct option_text *text,
			       struct option_target *t)
{
	struct str_list *list = place(row, t->config);
	struct str *items = arena_array(t->arena, text->count + 1, sizeof(*items));
	struct consumer_match unused;

	if (!items)
		return ERR_NOMEM;
	for (size_t i = 0; i < text->count; i++) {
		if (consumer_match_parse(text->items[i], &unused))
			return must_be(t, "a list of name=address, name=network or "
					  "name=sha256:HASH, like gateway=10.0.0.7");
		items[i] = arena_str(t->arena, text->items[i]);
		if (!items[i].p)
			return ERR_NOMEM;
	}
	*list = (struct str_list){ .items = items, .count = text->count };
	return ERR_OK;
}

static void write_list(const struct option_row *row, const struct config *c, struct buf *out)
{
	const struct str_list *list = place_const(row, c);

	for (size_t i = 0; i < list->count; i++) {
		if (i)
			buf_byte(out, ',');
		buf_str(out, list->items[i]);
	}
}

static void write_networks(const struct option_row *row, const struct config *c, struct buf *out)
{
	const struct network_list *list = place_const(row, c);

	for (size_t i = 0; i < list->count; i++) {
		if (i)
			buf_byte(out, ',');
		network_write(&list->items[i], out);
	}
}

/* ---- the kinds ---- */

const struct option_kind kind_issuer = { "URL", false, read_issuer, write_text };
const struct option_kind kind_resource = { "URI", false, read_resource, write_text };
const struct option_kind kind_storage = { "sqlite", false, read_storage, write_text };
const struct option_kind kind_path = { "path", false, read_path, write_text };
const struct option_kind kind_path_or_off = { "path or off", false, read_path_or_off, write_text };
const struct option_kind kind_address = { "address:port", false, read_address, write_text };
const struct option_kind kind_address_or_off = { "address:port or off", false, read_address_or_off,
						 write_text };
const struct option_kind kind_networks = { "list of addresses and networks", true, read_networks,
					   write_networks };
const struct option_kind kind_consumers = {
	"list of name=address, name=network or name=sha256:hash of a certificate", true,
	read_consumers, write_list
};
const struct option_kind kind_workers = { "auto or a number", false, read_workers, write_workers };
const struct option_kind kind_count = { "number", false, read_count, write_count };
const struct option_kind kind_duration = { "duration", false, read_duration, write_duration };
const struct option_kind kind_word = { "word", false, read_word, write_word };
const struct option_kind kind_alg = { "ES256 or RS256", false, read_alg, write_alg };
const struct option_kind kind_algs = { "list of ES256 and RS256", true, read_algs, write_algs };
