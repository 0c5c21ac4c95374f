/* From what the sources say (config_draft.c) to a struct config: types and checks the text that won
 * for each option, and remembers where it came from. */
#include "server/state/config.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/state/config_draft.h"
#include "server/state/config_options.h"

enum {
	CONFIG_ARENA_MAX = 512 << 10, /* the largest file, its entries and the values */
	PATH_TEXT_MAX = 8192,
	SHOWN_MAX = 80, /* bytes of a bad value that a message repeats */
};

#define DATA_DIR_DEFAULT "/var/lib/chancery"

static const char *const origin_names[] = { "default", "credential", "file", "env", "flag" };

/* The struct config that callers see is the first member. */
struct loaded {
	struct config config;
	_Atomic unsigned refs;
	struct arena *arena;
	enum origin origins[OPTIONS_MAX];
};

struct loading {
	struct loaded *loaded;
	struct drafts drafts;
};

/* "(/etc/x.yaml line 3)", "(CHANCERY_LOG_LEVEL)", "(--set)" */
static void where_text(const struct loading *l, size_t i, char *ret_text, size_t size)
{
	char name[ENV_NAME_MAX];

	switch (l->drafts.rows[i].origin) {
	case FROM_FILE:
		snprintf(ret_text, size, "%s line %zu", l->drafts.file, l->drafts.rows[i].line);
		break;
	case FROM_ENV:
		option_env_name(option_rows[i].name, name);
		snprintf(ret_text, size, "%s", name);
		break;
	case FROM_FLAG:
		snprintf(ret_text, size, "--set");
		break;
	case FROM_CREDENTIAL:
		snprintf(ret_text, size, "$CREDENTIALS_DIRECTORY");
		break;
	case FROM_DEFAULT:
		snprintf(ret_text, size, "the default");
		break;
	}
}

/* The bad text for a message: cut, and without what could steer a terminal. */
static void shown_text(const struct option_text *text, char ret_text[SHOWN_MAX])
{
	size_t n = 0;

	for (size_t k = 0; k < text->count; k++) {
		if (k && n < SHOWN_MAX - 1)
			ret_text[n++] = ',';
		for (size_t j = 0; j < text->items[k].n && n < SHOWN_MAX - 1; j++) {
			char c = text->items[k].p[j];

			ret_text[n++] = c >= 0x20 && c < 0x7f ? c : '?';
		}
	}
	ret_text[n] = 0;
}

static enum err type_one(struct loading *l, size_t i)
{
	struct option_target target = { .config = &l->loaded->config, .arena = l->drafts.arena };
	const struct option_text *text = &l->drafts.rows[i].text;
	char where[256], shown[SHOWN_MAX];
	enum err e = ERR_OK;

	for (size_t k = 0; k < text->count; k++) {
		if (!str_is_utf8(text->items[k]) || str_has_nul(text->items[k]))
			e = ERR_SYNTAX;
	}
	if (e)
		snprintf(target.why, sizeof(target.why), "UTF-8 text");
	else
		e = option_read(&option_rows[i], text, &target);
	if (e != ERR_SYNTAX)
		return e;
	where_text(l, i, where, sizeof(where));
	shown_text(text, shown);
	return config_faulty(l->drafts.fault, "%s: must be %s, not \"%s\" (%s)",
			     option_rows[i].name, target.why, shown, where);
}

static enum err type_all(struct loading *l)
{
	struct config *c = &l->loaded->config;
	struct buf path;
	size_t master;
	enum err e = ERR_OK;

	for (size_t i = 0; i < option_row_count && !e; i++) {
		e = type_one(l, i);
		l->loaded->origins[i] = l->drafts.rows[i].origin;
	}
	if (e)
		return e;
	c->keys.master_key_ours = option_find(STR("keys.master_key_file"), &master) &&
				  l->drafts.rows[master].origin == FROM_DEFAULT;
	buf_init(&path, l->drafts.arena, PATH_TEXT_MAX);
	buf_fmt(&path, "%.*s/db/chancery.db", STR_ARG(c->data_dir));
	return buf_end(&path, &c->storage.path);
}

/* Absolute, without trailing slashes. Nothing is resolved: the directory may not exist yet. */
static enum err find_data_dir(struct loading *l)
{
	const char *given = l->drafts.source->data_dir;
	char here[4096];
	struct buf b;
	enum err e;

	if (!given)
		given = environ_get(l->drafts.source->environ, "CHANCERY_DATA");
	if (!given || !given[0])
		given = DATA_DIR_DEFAULT;
	buf_init(&b, l->drafts.arena, sizeof(here));
	if (given[0] != '/') {
		if (!getcwd(here, sizeof(here)))
			return config_faulty(l->drafts.fault, "--data %s: no current directory: %s",
					     given, strerror(errno));
		buf_fmt(&b, "%s/", here);
	}
	buf_z(&b, given);
	e = buf_end(&b, &l->loaded->config.data_dir);
	if (e)
		return e == ERR_NOMEM
			       ? e
			       : config_faulty(l->drafts.fault, "--data: the path is too long");
	while (l->loaded->config.data_dir.n > 1 && str_ends(l->loaded->config.data_dir, STR("/")))
		l->loaded->config.data_dir.n--;
	l->loaded->config.data_dir = arena_str(l->drafts.arena, l->loaded->config.data_dir);
	return l->loaded->config.data_dir.p ? ERR_OK : ERR_NOMEM;
}

static enum err find_file(struct loading *l)
{
	struct buf b;
	struct str path;
	enum err e;

	l->drafts.file = l->drafts.source->file;
	if (l->drafts.file)
		return ERR_OK;
	buf_init(&b, l->drafts.arena, PATH_TEXT_MAX);
	buf_fmt(&b, "%.*s/chancery.yaml", STR_ARG(l->loaded->config.data_dir));
	e = buf_end(&b, &path);
	if (!e)
		l->drafts.file = path.p;
	return e;
}

static enum err loaded_new(struct loaded **ret_loaded)
{
	struct loaded *l = calloc(1, sizeof(*l));

	if (!l)
		return ERR_NOMEM;
	if (arena_new(CONFIG_ARENA_MAX, &l->arena)) {
		free(l);
		return ERR_NOMEM;
	}
	atomic_init(&l->refs, 1);
	*ret_loaded = l;
	return ERR_OK;
}

static enum err load(struct loading *l)
{
	enum err e = find_data_dir(l);

	if (!e)
		e = find_file(l);
	if (!e)
		e = drafts_collect(&l->drafts);
	return e ? e : type_all(l);
}

enum err config_load(const struct config_source *source, struct config **ret_config,
		     struct config_warnings *ret_warnings, struct config_fault *ret_fault)
{
	struct loading l = {
		.drafts = { .source = source, .warnings = ret_warnings, .fault = ret_fault },
	};
	enum err e;

	assert(option_row_count <= OPTIONS_MAX);
	ret_warnings->count = 0;
	ret_fault->text[0] = 0;
	e = loaded_new(&l.loaded);
	if (e)
		return e;
	l.drafts.arena = l.loaded->arena;
	e = load(&l);
	if (e) {
		config_unref(&l.loaded->config);
		return e;
	}
	*ret_config = &l.loaded->config;
	return ERR_OK;
}

struct config *config_ref(struct config *c)
{
	atomic_fetch_add_explicit(&((struct loaded *)c)->refs, 1, memory_order_relaxed);
	return c;
}

void config_unref(struct config *c)
{
	struct loaded *l = (struct loaded *)c;

	if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena_free(l->arena);
	free(l);
}

size_t config_option_count(void)
{
	return option_row_count;
}

void config_option(size_t i, struct option_view *ret_view)
{
	const struct option_row *row = &option_rows[i];

	*ret_view = (struct option_view){
		.name = row->name,
		.type = option_kind_name(row),
		.fallback = row->fallback,
		.help = row->help,
		.reload = row->reload,
	};
}

void config_value(const struct config *c, size_t i, struct buf *out, const char **ret_origin)
{
	option_write(&option_rows[i], c, out);
	*ret_origin = origin_names[((const struct loaded *)c)->origins[i]];
}
