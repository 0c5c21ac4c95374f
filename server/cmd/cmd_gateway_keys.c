/* `chancery gateway-keys`: keeps the public keys of an issuer in a folder, for gateways that read
 * keys at their start, and calls a command when they changed.
 *
 * It fetches before max-age is over, and a key is published for longer than that before it signs:
 * the gateway has it in time. An issuer that does not answer changes nothing. Whether the command
 * has still to be run is a file in the folder, so that neither a failure of it nor our end in
 * between loses a change. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/cmd/cmd_gateway.h"

enum { ROUND_MEMORY_MAX = 32 << 20, RETRY_SECONDS = 1, RETRY_SECONDS_MAX = 30 };

#define PENDING ".changed"

struct keeper {
	struct cmd *c;
	struct remote remote;
	struct str issuer;
	int folder;
	int64_t wait;	/* seconds until the next round */
	int64_t retry;	/* and until the one after it, if that fails */
	bool announced; /* that the set is there was said */
};

/* ---- the command ---- */

static int spawn_shell(const struct cmd *c, const char *text, pid_t *ret_pid)
{
	char shell[] = "sh", option[] = "-c";
	char *argv[] = { shell, option, (char *)(uintptr_t)text, NULL };
	posix_spawnattr_t attributes;
	sigset_t defaults;
	int failed;

	/* what we ignore the command would ignore, too */
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	if (posix_spawnattr_init(&attributes))
		return ENOMEM;
	failed = posix_spawnattr_setsigdefault(&attributes, &defaults);
	if (!failed)
		failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	if (!failed)
		failed = posix_spawn(ret_pid, "/bin/sh", NULL, &attributes, argv,
				     (char *const *)(uintptr_t)c->environ);
	posix_spawnattr_destroy(&attributes);
	return failed;
}

/* The operator's own words; nothing that came from the network is put into them. */
static int run_command(struct cmd *c, const char *text)
{
	int failed, ended = 0;
	pid_t pid;

	fflush(NULL);
	failed = spawn_shell(c, text, &pid);
	if (failed)
		return cmd_fail(c, CMD_REFUSED, "--exec: %s", strerror(failed));
	while (waitpid(pid, &ended, 0) < 0) {
		if (errno != EINTR)
			return cmd_fail(c, CMD_REFUSED, "--exec: %s", strerror(errno));
	}
	if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0)
		return CMD_OK;
	return cmd_fail(c, CMD_REFUSED, "--exec: the command failed (%s %d); it will be run again",
			WIFEXITED(ended) ? "status" : "signal",
			WIFEXITED(ended) ? WEXITSTATUS(ended) : WTERMSIG(ended));
}

static int set_pending(const struct keeper *k)
{
	int fd = openat(k->folder, PENDING, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return cmd_fail(k->c, CMD_REFUSED, "%s: %s", PENDING, strerror(errno));
	close(fd);
	return CMD_OK;
}

static int tell(const struct keeper *k)
{
	const char *command = cmd_get(k->c, "exec");
	int status;

	if (!command || faccessat(k->folder, PENDING, F_OK, 0))
		return CMD_OK;
	status = run_command(k->c, command);
	if (!status && unlinkat(k->folder, PENDING, 0))
		return cmd_fail(k->c, CMD_REFUSED, "%s: %s", PENDING, strerror(errno));
	return status;
}

/* ---- a round ---- */

static void say(struct keeper *k, const struct gateway_set *set, bool changed)
{
	if (changed || !k->announced)
		cmd_note(k->c, "%zu keys of %.*s%s", set->keys->count, STR_ARG(k->issuer),
			 changed ? ", changed" : "");
	k->announced = true;
}

/* The mark first: if we end between the change and it, the command would never be run. It goes
 * again when nothing changed and nothing was pending before. */
static int keep(struct keeper *k, struct arena *a, const struct gateway_set *set)
{
	bool pending = !faccessat(k->folder, PENDING, F_OK, 0), changed = false;
	int status = set_pending(k);

	if (!status)
		status = gateway_folder_sync(k->c, a, k->folder, set->keys, &changed);
	if (!changed && !pending)
		(void)unlinkat(k->folder, PENDING, 0);
	if (!status)
		say(k, set, changed);
	return status ? status : tell(k);
}

static int fetch_and_keep(struct keeper *k, int64_t *ret_max_age)
{
	AUTO(arena, a) = NULL;
	struct gateway_set set = { .keys = NULL };
	int status;

	if (arena_new(ROUND_MEMORY_MAX, &a))
		return cmd_nomem(k->c);
	status = gateway_fetch(&k->remote, a, k->issuer, &set);
	if (!status)
		status = keep(k, a, &set);
	*ret_max_age = set.max_age;
	jwks_free(set.keys);
	return status;
}

/* After four fifths of max-age, so that one fetch may fail. A round that failed, which was said, is
 * tried again soon, and more and more rarely. */
static int one_round(struct keeper *k)
{
	int64_t max_age = 0;
	int status = fetch_and_keep(k, &max_age);

	if (status) {
		k->wait = k->retry;
		k->retry = k->retry * 2 > RETRY_SECONDS_MAX ? RETRY_SECONDS_MAX : k->retry * 2;
		return status;
	}
	k->wait = max_age * 4 / 5 > 0 ? max_age * 4 / 5 : 1;
	k->retry = RETRY_SECONDS;
	return CMD_OK;
}

/* Until a signal ends it; with --once, once. */
static int keep_on(struct keeper *k)
{
	int status = one_round(k);

	while (!cmd_has(k->c, "once")) {
		sleep((unsigned)k->wait);
		status = one_round(k);
	}
	return status;
}

/* ---- the start ---- */

/* Two keepers of one folder would take each other's unfinished file. */
static int open_folder(struct keeper *k, const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return cmd_fail(k->c, CMD_REFUSED, "--out %s: %s", path, strerror(errno));
	k->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->folder < 0)
		return cmd_fail(k->c, CMD_REFUSED, "--out %s: %s", path, strerror(errno));
	if (flock(k->folder, LOCK_EX | LOCK_NB))
		return cmd_fail(k->c, CMD_CONFLICT, "--out %s: another gateway-keys keeps it",
				path);
	return CMD_OK;
}

int cmd_gateway_keys_run(struct cmd *c)
{
	const char *issuer = cmd_get(c, "issuer"), *out = cmd_get(c, "out");
	struct keeper k = { .c = c, .folder = -1, .retry = RETRY_SECONDS };
	int status;

	if (!issuer || !out)
		return cmd_usage(c, "gateway-keys needs --issuer URL and --out DIR");
	status = gateway_issuer(c, issuer, &k.issuer);
	if (!status)
		status = open_folder(&k, out);
	if (!status)
		status = remote_open_public(c, k.issuer, &k.remote);
	if (!status)
		status = keep_on(&k);
	remote_done(&k.remote);
	if (k.folder >= 0)
		close(k.folder);
	return status;
}
