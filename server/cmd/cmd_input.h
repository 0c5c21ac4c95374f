/* What a command reads beside its arguments: files, standard input, the terminal. Secrets come in
 * this way and never through argv, which every user of the machine can read. */
#ifndef CHANCERY_SERVER_CMD_INPUT_H
#define CHANCERY_SERVER_CMD_INPUT_H

#include "server/cmd/cmd.h"

/* The whole of a file, or of standard input for "-"; at most `max` bytes. Says what is wrong. */
MUST_CHECK int input_file(struct cmd *c, const char *path, size_t max, struct str *ret_text);
/* Warns when the file, which holds a secret, can be read by everybody. */
void input_warn_open(struct cmd *c, const char *path);
/* One line of standard input without its end. A second *-stdin in one call is refused. */
MUST_CHECK int input_stdin_line(struct cmd *c, const char *option, struct str *ret_text);
/* --NAME-stdin or --NAME-file, whichever was given; STR_NONE when neither was. Both: refused. */
MUST_CHECK int input_secret(struct cmd *c, const char *name, struct str *ret_secret);
/* Asks on the terminal, without echo; `twice`: and again, to catch a typing error. Refuses with the
 * options that help where there is no terminal. */
MUST_CHECK int input_prompt(struct cmd *c, const char *question, bool twice, const char *options,
			    struct str *ret_secret);
/* "-" reads standard input, one line; anything else is itself. */
MUST_CHECK int input_argument(struct cmd *c, const char *argument, struct str *ret_text);

#endif
