/* The commands of cmd_serve.c's group that have a file of their own. */
#ifndef CHANCERY_SERVER_CMD_INIT_H
#define CHANCERY_SERVER_CMD_INIT_H

#include "server/cmd/cmd.h"

int cmd_init_run(struct cmd *c);
int cmd_dev_run(struct cmd *c);

#endif
