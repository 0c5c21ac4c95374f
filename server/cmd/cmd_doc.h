/* Texts made from the command table and the option table, so that they can not disagree with them.
 */
#ifndef CHANCERY_SERVER_CMD_DOC_H
#define CHANCERY_SERVER_CMD_DOC_H

#include "server/cmd/cmd.h"

/* chancery(1), in the man macros. */
void doc_man(const char *version, struct buf *out);
/* False when the shell is none of bash, zsh, fish. */
bool doc_completion(const char *shell, struct buf *out);

#endif
