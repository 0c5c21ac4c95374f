/* A data directory with a chancery.yaml in it, sources to load it with, and what came of them. */
#ifndef CHANCERY_TESTS_CONFIG_PLACE_H
#define CHANCERY_TESTS_CONFIG_PLACE_H

#include "server/state/config.h"

enum { PLACE_TEXT_MAX = 1 << 17 };

struct place {
	char dir[64], path[96];
	const char *environ[16];
	size_t env_count;
	const char *sets[8];
	struct config_source source;
	struct config *config;
	struct config_warnings warnings;
	struct config_fault fault;
};

/* `yaml` NULL: no file. */
void place_up(struct place *p, const char *yaml);
void place_down(struct place *p);
/* "CHANCERY_LOG_LEVEL=debug"; borrowed. */
void with_env(struct place *p, const char *row);
void with_set(struct place *p, const char *set);

enum err load(struct place *p);
void must_load(struct place *p);
/* The load fails and its fault holds `words`. */
void must_fault(struct place *p, const char *words);
/* `origin` NULL: whichever. */
void has_value(const struct config *c, const char *name, const char *value, const char *origin);
void write_text(const char *path, const char *text, size_t n);

#endif
