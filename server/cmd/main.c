/* The program's one entrance: what the system gives is collected here and passed down from here. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/secret.h"
#include "server/cmd/cmd.h"

int main(int argc, char **argv)
{
	struct env env;

	/* a reader that went away is an error of write(), not our death */
	signal(SIGPIPE, SIG_IGN);
	if (secret_library_init()) {
		fputs("chancery: libsodium does not start\n", stderr);
		return CMD_REFUSED;
	}
	(void)FAULT_CLOCK(); /* its file, while there is no child and nothing is forbidden */
	env_system(&env);
	return cmd_main(&env, (const char *const *)environ, argc, argv);
}
