/* Descriptors of children; see the header. */
#include "server/serve/supervisor_ends.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

void ends_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void ends_close_signers(struct signer_ends *ends)
{
	ends_close(&ends->control);
	ends_close(&ends->custody);
	for (size_t i = 0; i < ends->count; i++)
		ends_close(&ends->signing[i]);
}

void ends_close_servers(struct server_channels *channels)
{
	ends_close(&channels->supervisor);
	ends_close(&channels->custody);
	ends_close(&channels->control);
	for (size_t i = 0; i < channels->count; i++)
		ends_close(&channels->signing[i]);
}

static enum err open_pair(int *ret_ours, int *ret_theirs)
{
	int pair[2];
	enum err e = signer_channel_pair(pair);

	if (e)
		return e;
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return ERR_OK;
}

enum err ends_open(size_t workers, struct signer_ends *ret_ends)
{
	struct signer_ends ends = {
		.ours = { .supervisor = -1, .custody = -1, .control = -1 },
		.line = -1,
		.control = -1,
		.custody = -1,
	};
	enum err e;

	if (workers == 0 || workers > SIGNER_CHANNELS_MAX)
		return ERR_LIMIT;
	e = open_pair(&ends.ours.control, &ends.control);
	if (!e)
		e = open_pair(&ends.line, &ends.custody);
	while (!e && ends.count < workers) {
		e = open_pair(&ends.ours.signing[ends.count], &ends.signing[ends.count]);
		if (!e)
			ends.ours.count = ++ends.count;
	}
	if (e) {
		ends_close(&ends.line);
		ends_close_signers(&ends);
		ends_close_servers(&ends.ours);
		return e;
	}
	*ret_ends = ends;
	return ERR_OK;
}

/* In the child. The parent may have died before the kernel was told. */
void ends_die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != parent)
		_exit(1);
}

static int compare_ints(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void ends_close_all_but(int *keep, size_t count)
{
	unsigned next = STDERR_FILENO + 1;

	qsort(keep, count, sizeof(*keep), compare_ints);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned)keep[i] > next)
			close_range(next, (unsigned)keep[i] - 1, 0);
		next = (unsigned)keep[i] + 1;
	}
	close_range(next, ~0U, 0);
}
