/* What the files of `chancery key` share. */
#ifndef CHANCERY_SERVER_CMD_KEY_H
#define CHANCERY_SERVER_CMD_KEY_H

#include "server/cmd/cmd_crud.h"

extern const struct crud key_crud;

/* `key plan`, `key lint`, `key drill`. (cmd_key_check.c) */
int key_plan(struct remote *r);
int key_lint(struct remote *r);
int key_drill(struct remote *r);
/* `key import FILE`, with key_import_options: a key of a former server. (cmd_key_import.c) */
int key_import(struct remote *r);
extern const struct cmd_option key_import_options[];
/* `key tripwire FILE|-`: captured tokens. (cmd_key_tripwire.c) */
int key_tripwire(struct remote *r);

#endif
