/* `chancery token decode` and `verify`: without a server, for gateways' authors and the confused.
 */
#ifndef CHANCERY_SERVER_CMD_VERIFY_H
#define CHANCERY_SERVER_CMD_VERIFY_H

#include "server/cmd/cmd.h"

int cmd_decode_run(struct cmd *c);
/* VERIFY_VALID, VERIFY_INVALID or VERIFY_UNDECIDED; wrong usage is undecided too. */
int cmd_verify_run(struct cmd *c);

#endif
