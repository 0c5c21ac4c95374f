/* See the header. */
#include "tests/helpers/fetch_fixture.h"

#include <check.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int fetch_fork(const char *ca_file, pid_t *ret_pid)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	ck_assert_int_eq(fetch_channel_pair(pair), ERR_OK);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(pair[0]);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
			_exit(99);
		_exit(fetch_child_run(pair[1], ca_file, NULL));
	}
	close(pair[1]);
	*ret_pid = pid;
	return pair[0];
}

int fetch_ended(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
