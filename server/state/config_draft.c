/* Default, file, environment, flag: each replaces the text of the one before, and only the text
 * that won is typed (config.c). So a bad value in the file does not matter to somebody who
 * overrides it. */
#include "server/state/config_draft.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "server/state/config_yaml.h"
#include "server/state/nearest.h"

enum { PATH_TEXT_MAX = 8192 };

enum err config_faulty(struct config_fault *fault, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(fault->text, sizeof(fault->text), format, ap);
	va_end(ap);
	return ERR_SYNTAX;
}

static void warn(struct drafts *d, const char *format, ...) PRINTF_LIKE(2, 3);

static void warn(struct drafts *d, const char *format, ...)
{
	size_t room = sizeof(d->warnings->text) / sizeof(d->warnings->text[0]);
	va_list ap;

	if (d->warnings->count == room)
		return;
	va_start(ap, format);
	vsnprintf(d->warnings->text[d->warnings->count++], sizeof(d->warnings->text[0]), format,
		  ap);
	va_end(ap);
}

void option_env_name(const char *option, char ret_name[ENV_NAME_MAX])
{
	size_t n = (size_t)snprintf(ret_name, ENV_NAME_MAX, "CHANCERY_%s", option);

	for (size_t i = 0; i < n && i < ENV_NAME_MAX - 1; i++)
		ret_name[i] = ret_name[i] == '.' ? '_' : (char)toupper((unsigned char)ret_name[i]);
}

const char *environ_get(const char *const *rows, const char *name)
{
	size_t n = strlen(name);

	for (; rows && *rows; rows++) {
		if (strncmp(*rows, name, n) == 0 && (*rows)[n] == '=')
			return *rows + n + 1;
	}
	return NULL;
}

bool option_find(struct str name, size_t *ret_i)
{
	for (size_t i = 0; i < option_row_count; i++) {
		if (str_equal_z(name, option_rows[i].name)) {
			*ret_i = i;
			return true;
		}
	}
	return false;
}

static bool is_section(struct str name)
{
	for (size_t i = 0; i < option_row_count; i++) {
		struct str row = str_z(option_rows[i].name);

		if (row.n > name.n && str_starts(row, name) && row.p[name.n] == '.')
			return true;
	}
	return false;
}

static struct str last_part(struct str name)
{
	const char *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;

	return dot ? str_n(dot + 1, name.n - (size_t)(dot + 1 - name.p)) : name;
}

/* Near in the whole, or the right word in the wrong section. */
static const char *nearest_option(struct str name)
{
	struct nearest n;

	nearest_init(&n, name);
	for (size_t i = 0; i < option_row_count; i++)
		nearest_offer(&n, str_z(option_rows[i].name), option_rows[i].name);
	if (nearest_best(&n))
		return n.best;
	for (size_t i = 0; i < option_row_count; i++) {
		if (str_equal(last_part(name), last_part(str_z(option_rows[i].name))))
			return option_rows[i].name;
	}
	return NULL;
}

static enum err unknown_option(struct drafts *d, struct str name, const char *where)
{
	const char *near = nearest_option(name);

	return config_faulty(
		d->fault, "%.*s: no such option%s%s%s (%s); `chancery config show` lists them all",
		STR_ARG(name), near ? "; did you mean " : "", near ? near : "", near ? "?" : "",
		where);
}

/* ---- sources ---- */

static enum err split_list(struct arena *a, struct str text, struct option_text *ret_text)
{
	size_t count = 0, i = 0;
	struct str part, rest = text;
	struct str *items;

	while (str_next(&rest, ',', &part))
		count++;
	items = arena_array(a, count + 1, sizeof(*items));
	if (!items)
		return ERR_NOMEM;
	for (rest = text; str_next(&rest, ',', &part);)
		items[i++] = str_trim(part);
	*ret_text = (struct option_text){ .items = items, .count = count };
	return ERR_OK;
}

/* A text from environment, flag or default. */
static enum err draft_text(struct drafts *d, size_t i, const char *text, enum origin origin)
{
	struct draft *row = &d->rows[i];
	struct str *item;

	row->origin = origin;
	row->line = 0;
	if (option_is_list(&option_rows[i]))
		return split_list(d->arena, str_z(text), &row->text);
	item = arena_new_of(d->arena, struct str);
	if (!item)
		return ERR_NOMEM;
	*item = str_z(text);
	row->text = (struct option_text){ .items = item, .count = 1 };
	return ERR_OK;
}

static enum err from_defaults(struct drafts *d)
{
	const char *credentials = environ_get(d->source->environ, "CREDENTIALS_DIRECTORY");
	struct buf path;
	struct str text;
	size_t master;
	enum err e = ERR_OK;

	for (size_t i = 0; i < option_row_count && !e; i++)
		e = draft_text(d, i, option_rows[i].fallback, FROM_DEFAULT);
	if (e || !credentials || credentials[0] != '/' ||
	    !option_find(STR("keys.master_key_file"), &master))
		return e;
	/* systemd's LoadCredential=master.key */
	buf_init(&path, d->arena, PATH_TEXT_MAX);
	buf_fmt(&path, "%s/master.key", credentials);
	e = buf_end(&path, &text);
	if (!e && access(text.p, F_OK) == 0)
		e = draft_text(d, master, text.p, FROM_CREDENTIAL);
	return e;
}

static enum err draft_entry(struct drafts *d, const struct config_entry *entry)
{
	char where[64];
	size_t i;

	snprintf(where, sizeof(where), "line %zu", entry->line);
	if (is_section(entry->key)) {
		if (entry->kind == CONFIG_SECTION || entry->kind == CONFIG_NOTHING)
			return ERR_OK;
		return config_faulty(d->fault,
				     "%.*s: a section with keys below it, not a value (%s)",
				     STR_ARG(entry->key), where);
	}
	if (!option_find(entry->key, &i))
		return unknown_option(d, entry->key, where);
	if (entry->kind == CONFIG_NOTHING)
		return config_faulty(d->fault, "%.*s: has no value (%s)", STR_ARG(entry->key),
				     where);
	if ((entry->kind == CONFIG_LIST) != option_is_list(&option_rows[i]))
		return config_faulty(d->fault, "%.*s: must be %s (%s)", STR_ARG(entry->key),
				     option_is_list(&option_rows[i]) ? "a list, like [a, b]"
								     : "one value",
				     where);
	d->rows[i] = (struct draft){
		.text = { .items = entry->items, .count = entry->count },
		.origin = FROM_FILE,
		.line = entry->line,
	};
	return ERR_OK;
}

/* The whole of an open regular file of at most CONFIG_FILE_MAX bytes. */
static enum err read_open_file(struct drafts *d, int fd, struct str *ret_text)
{
	struct stat st;
	char *p;
	ssize_t n;
	size_t got = 0;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return config_faulty(d->fault, "%s: not a regular file", d->file);
	p = arena_alloc(d->arena, CONFIG_FILE_MAX + 1);
	if (!p)
		return ERR_NOMEM;
	while (got <= CONFIG_FILE_MAX) {
		n = read(fd, p + got, CONFIG_FILE_MAX + 1 - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return config_faulty(d->fault, "%s: %s", d->file, strerror(errno));
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_text = str_n(p, got);
	return ERR_OK;
}

static int open_file(const struct drafts *d)
{
	if (d->source->open_file)
		return d->source->open_file(d->source->open_arg, d->file);
	return open(d->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* Absence of the default file is no error: a container may be configured by its environment alone.
 */
static enum err read_file(struct drafts *d, struct str *ret_text)
{
	int fd = open_file(d);
	enum err e;

	if (fd < 0 && errno == ENOENT && !d->source->file)
		return ERR_NOT_FOUND;
	if (fd < 0)
		return config_faulty(d->fault, "%s: %s%s", d->file, strerror(errno),
				     errno == EACCES ? "; be root or the server's own user" : "");
	e = read_open_file(d, fd, ret_text);
	close(fd);
	return e;
}

static enum err from_file(struct drafts *d)
{
	struct config_entries *entries;
	struct config_yaml_fault bad;
	struct str text = STR_NONE;
	char sentence[sizeof(d->fault->text)];
	enum err e = read_file(d, &text);

	if (e)
		return e == ERR_NOT_FOUND ? ERR_OK : e;
	entries = arena_new_of(d->arena, struct config_entries);
	if (!entries)
		return ERR_NOMEM;
	e = config_yaml_read(d->arena, text, entries, &bad);
	if (e == ERR_NOMEM)
		return e;
	if (e && bad.line)
		return config_faulty(d->fault, "%s line %zu: %s", d->file, bad.line, bad.why);
	if (e)
		return config_faulty(d->fault, "%s: %s", d->file, bad.why);
	for (size_t i = 0; i < entries->count; i++) {
		e = draft_entry(d, &entries->rows[i]);
		if (e == ERR_SYNTAX) {
			memcpy(sentence, d->fault->text, sizeof(sentence));
			return config_faulty(d->fault, "%s: %s", d->file, sentence);
		}
		if (e)
			return e;
	}
	return ERR_OK;
}

/* Names Kubernetes sets for a service called "chancery" or "chancery-...": CHANCERY_PORT,
 * CHANCERY_SERVICE_HOST, CHANCERY_ADMIN_PORT_8081_TCP_ADDR. And names that are not options. */
static bool env_is_foreign(struct str name)
{
	static const char *const parts[] = { "_PORT_", "_SERVICE_PORT" };
	static const char *const ends[] = { "_PORT", "_SERVICE_HOST" };

	if (str_equal_z(name, "CHANCERY_DATA") || FAULT_VARIABLE(name))
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (str_ends(name, str_z(ends[i])))
			return true;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (memmem(name.p, name.n, parts[i], strlen(parts[i])))
			return true;
	}
	return false;
}

static bool env_option(struct str name, size_t *ret_i)
{
	char known[ENV_NAME_MAX];

	for (size_t i = 0; i < option_row_count; i++) {
		option_env_name(option_rows[i].name, known);
		if (str_equal_z(name, known)) {
			*ret_i = i;
			return true;
		}
	}
	return false;
}

static void warn_unknown_env(struct drafts *d, struct str name)
{
	char known[ENV_NAME_MAX];
	struct nearest n;
	size_t best = option_row_count;

	nearest_init(&n, name);
	for (size_t i = 0; i < option_row_count; i++) {
		size_t before = n.distance;

		option_env_name(option_rows[i].name, known);
		nearest_offer(&n, str_z(known), option_rows[i].name);
		if (n.distance < before)
			best = i;
	}
	if (!nearest_best(&n)) {
		warn(d, "%.*s is set, but there is no such option", STR_ARG(name));
		return;
	}
	option_env_name(option_rows[best].name, known);
	warn(d, "%.*s is set, but there is no such option; did you mean %s?", STR_ARG(name), known);
}

static enum err from_environment(struct drafts *d)
{
	for (const char *const *env = d->source->environ; env && *env; env++) {
		struct str rest = str_z(*env), name;
		size_t i;
		enum err e;

		if (!str_starts(rest, STR("CHANCERY_")) || !str_next(&rest, '=', &name))
			continue;
		if (env_option(name, &i)) {
			e = draft_text(d, i, *env + name.n + 1, FROM_ENV);
			if (e)
				return e;
		} else if (!env_is_foreign(name)) {
			warn_unknown_env(d, name);
		}
	}
	return ERR_OK;
}

static enum err from_flags(struct drafts *d)
{
	for (size_t k = 0; k < d->source->set_count; k++) {
		const char *set = d->source->sets[k];
		const char *equals = strchr(set, '=');
		struct str name;
		size_t i;
		enum err e;

		if (!equals)
			return config_faulty(d->fault, "--set %s: write it as section.key=value",
					     set);
		name = str_n(set, (size_t)(equals - set));
		if (!option_find(name, &i))
			return unknown_option(d, name, "--set");
		e = draft_text(d, i, equals + 1, FROM_FLAG);
		if (e)
			return e;
	}
	return ERR_OK;
}

enum err drafts_collect(struct drafts *d)
{
	static enum err (*const sources[])(struct drafts *) = {
		from_defaults,
		from_file,
		from_environment,
		from_flags,
	};
	enum err e = ERR_OK;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]) && !e; i++)
		e = sources[i](d);
	return e;
}
