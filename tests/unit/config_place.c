/* A place to load a configuration from, made anew for every test. */
#include "config_place.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void write_text(const char *path, const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

void place_up(struct place *p, const char *yaml)
{
	*p = (struct place){ .dir = "/tmp/chancery-config-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/chancery.yaml", p->dir);
	if (yaml)
		write_text(p->path, yaml, strlen(yaml));
	p->source = (struct config_source){ .data_dir = p->dir,
					    .sets = p->sets,
					    .environ = p->environ };
}

void place_down(struct place *p)
{
	config_unref(p->config);
	(void)unlink(p->path);
	(void)rmdir(p->dir);
}

void with_env(struct place *p, const char *row)
{
	p->environ[p->env_count++] = row;
}

void with_set(struct place *p, const char *set)
{
	p->sets[p->source.set_count++] = set;
}

enum err load(struct place *p)
{
	config_unref(p->config);
	p->config = NULL;
	return config_load(&p->source, &p->config, &p->warnings, &p->fault);
}

void must_load(struct place *p)
{
	enum err e = load(p);

	ck_assert_msg(e == ERR_OK, "%s: %s", err_name(e), p->fault.text);
}

void must_fault(struct place *p, const char *words)
{
	ck_assert_int_eq(load(p), ERR_SYNTAX);
	ck_assert_msg(strstr(p->fault.text, words) != NULL, "\"%s\" is not in: %s", words,
		      p->fault.text);
}

static size_t find(const char *name)
{
	struct option_view view;

	for (size_t i = 0; i < config_option_count(); i++) {
		config_option(i, &view);
		if (strcmp(view.name, name) == 0)
			return i;
	}
	ck_abort_msg("no option %s", name);
}

void has_value(const struct config *c, const char *name, const char *value, const char *origin)
{
	const char *from;
	struct buf b;
	struct str text;

	buf_init(&b, NULL, PLACE_TEXT_MAX);
	config_value(c, find(name), &b, &from);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_str_eq(text.p, value);
	if (origin)
		ck_assert_str_eq(from, origin);
	buf_done(&b);
}
