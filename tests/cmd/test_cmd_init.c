/* init, migrate and dev: a data directory is made whole or not at all, and never twice. */
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd_fixture.h"
#include "server/store/dblock.h"
#include "../unit/suite.h"

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(stat(path, &st) == 0, "%s is not there", path);
	return st.st_mode & 07777;
}

static int init(struct cmd_fixture *f)
{
	return RUN_HERE(f, "init", "--issuer", "https://id.example.com");
}

START_TEST(init_makes_an_installation_once)
{
	struct cmd_fixture f;
	struct json *made;

	cmd_fixture_up(&f);
	ck_assert_int_eq(chmod(f.dir, 0755), 0);
	RUN_HERE(&f, "init", "--issuer", "https://id.example.com", "-o", "json");
	made = must_json(&f);
	ck_assert_str_eq(member(made, "issuer"), "https://id.example.com");
	ck_assert_int_eq(mode_of(f.dir), 0700);
	ck_assert_int_eq(mode_of(path_in(&f, "master.key")), 0600);
	ck_assert_int_eq(mode_of(path_in(&f, "db")), 0700);
	ck_assert_int_eq(mode_of(path_in(&f, "db/chancery.db")) & 077, 0);
	ck_assert_int_ne(access(path_in(&f, ".init"), F_OK), 0);
	ck_assert_int_eq(RUN_HERE(&f, "config", "check"), 0);
	RUN_HERE(&f, "init");
	must_print(&f, f.out);
	ck_assert_ptr_nonnull(strstr(f.err, "nothing was changed"));
	RUN_HERE(&f, "init", "--issuer", "https://other.example.com");
	must_refuse(&f, CMD_CONFLICT, "is for the issuer https://id.example.com");
	RUN_HERE(&f, "migrate", "status", "--field", "state");
	must_print(&f, "up to date\n");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(init_refuses_what_is_half_made)
{
	static const struct {
		const char *gone, *words;
	} rows[] = {
		{ "master.key", "none is made" },
		{ "db/chancery.db", "no database" },
		{ "chancery.yaml", "no chancery.yaml" },
	};
	struct cmd_fixture f;

	for (size_t i = 0; i < COUNT(rows); i++) {
		cmd_fixture_up(&f);
		ck_assert_int_eq(init(&f), 0);
		ck_assert_int_eq(unlink(path_in(&f, rows[i].gone)), 0);
		init(&f);
		must_refuse(&f, CMD_REFUSED, rows[i].words);
		ck_assert_int_ne(access(path_in(&f, rows[i].gone), F_OK), 0);
		cmd_fixture_down(&f);
	}
	cmd_fixture_up(&f);
	ck_assert_int_eq(init(&f), 0);
	make_file(path_in(&f, ".init"), "", 0600);
	init(&f);
	must_refuse(&f, CMD_REFUSED, "was cut off");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(init_refuses_an_empty_database)
{
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	ck_assert_int_eq(init(&f), 0);
	make_file(path_in(&f, "db/chancery.db"), "", 0600);
	init(&f);
	must_refuse(&f, CMD_REFUSED, "half made");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(init_that_fails_takes_back_what_it_made)
{
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	make_file(path_in(&f, "db"), "in the way", 0600);
	init(&f);
	ck_assert_int_eq(f.status, CMD_REFUSED);
	ck_assert_int_ne(access(path_in(&f, "master.key"), F_OK), 0);
	ck_assert_int_ne(access(path_in(&f, ".init"), F_OK), 0);
	ck_assert_int_eq(access(path_in(&f, "db"), F_OK), 0);
	ck_assert_int_eq(unlink(path_in(&f, "db")), 0);
	ck_assert_int_eq(init(&f), 0);
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(init_takes_the_operators_file_and_key)
{
	char key[128], set[160];
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	snprintf(key, sizeof(key), "%s", path_in(&f, "given.key"));
	snprintf(set, sizeof(set), "keys.master_key_file=%s", key);
	make_file(path_in(&f, "chancery.yaml"), "issuer: https://mine.example.com\n# mine\n", 0600);
	RUN_HERE(&f, "init", "--set", set);
	must_refuse(&f, CMD_REFUSED, "head -c 32 /dev/urandom");
	make_file(key, "0123456789abcdef0123456789abcdef", 0640);
	ck_assert_int_eq(RUN_HERE(&f, "init", "--set", set), 0);
	ck_assert_int_ne(access(path_in(&f, "master.key"), F_OK), 0);
	RUN_HERE(&f, "config", "show", "--field", "value");
	ck_assert_ptr_nonnull(strstr(f.out, "https://mine.example.com\n"));
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(migrate_up_names_who_holds_the_database)
{
	struct cmd_fixture f;
	int ready[2], done[2], fd;
	char byte, words[32];
	pid_t holder, pid;

	cmd_fixture_up(&f);
	RUN_HERE(&f, "migrate", "up");
	must_refuse(&f, CMD_REFUSED, "`chancery init` makes it");
	ck_assert_int_eq(init(&f), 0);
	ck_assert(pipe(ready) == 0 && pipe(done) == 0);
	holder = fork();
	if (holder == 0) {
		close(done[1]);
		if (dblock_take(path_in(&f, "db/lock"), &fd, &pid))
			_exit(1);
		_exit(write(ready[1], "x", 1) != 1 || read(done[0], &byte, 1) != 0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	snprintf(words, sizeof(words), "process %ld ", (long)holder);
	RUN_HERE(&f, "migrate", "up");
	must_refuse(&f, CMD_CONFLICT, words);
	close(done[1]);
	ck_assert_int_eq(waitpid(holder, NULL, 0), holder);
	RUN_HERE(&f, "migrate", "up", "--field", "current");
	ck_assert_int_eq(f.status, 0);
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(init_as_root_makes_the_files_for_the_directorys_owner)
{
	static const char *const names[] = { "master.key", "db", "db/chancery.db",
					     "chancery.yaml" };
	struct cmd_fixture f;
	struct stat st;

	if (geteuid() != 0)
		return;
	cmd_fixture_up(&f);
	ck_assert_int_eq(chown(f.dir, 12345, 12346), 0);
	ck_assert_int_eq(init(&f), 0);
	for (size_t i = 0; i < COUNT(names); i++) {
		ck_assert_int_eq(stat(path_in(&f, names[i]), &st), 0);
		ck_assert_uint_eq(st.st_uid, 12345);
		ck_assert_uint_eq(st.st_gid, 12346);
	}
	ck_assert_int_eq(RUN_HERE(&f, "migrate", "up"), 0);
	ck_assert_int_eq(stat(path_in(&f, "db/lock"), &st), 0);
	ck_assert_uint_eq(st.st_uid, 12345);
	cmd_fixture_down(&f);
}
END_TEST

/* ---- dev ---- */

/* The folder that the only line "data <dir>" of the file names; waits until it is there. */
static void wait_for_data(FILE *out, char data[128])
{
	char line[512];

	for (int i = 0; i < 200; i++) {
		rewind(out);
		while (fgets(line, sizeof(line), out)) {
			if (sscanf(line, "data %127s", data) == 1)
				return;
		}
		usleep(100000);
	}
	ck_abort_msg("dev printed nothing");
}

START_TEST(dev_serves_something_to_try_and_leaves_nothing)
{
	const char *argv[] = { "chancery",	  "dev", "--address", "127.0.0.1:0", "--set",
			       "log.level=error", NULL };
	struct cmd_fixture f;
	char data[128], here[160];
	FILE *out = tmpfile();
	int status;
	pid_t dev;

	cmd_fixture_up(&f);
	dev = fork();
	ck_assert_int_ge(dev, 0);
	if (dev == 0) {
		struct env env;

		env_system(&env);
		dup2(fileno(out), STDOUT_FILENO);
		_exit(cmd_main(&env, f.environ, 6, (char **)(uintptr_t)argv));
	}
	wait_for_data(out, data);
	snprintf(here, sizeof(here), "--data=%s", data);
	RUN(&f, here, "client", "list", "-oquiet");
	must_print(&f, "demo\n");
	RUN(&f, here, "user", "list", "--field", "name");
	must_print(&f, "alice\n");
	ck_assert_int_eq(kill(dev, SIGINT), 0);
	ck_assert_int_eq(waitpid(dev, &status, 0), dev);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_ne(access(data, F_OK), 0);
	fclose(out);
	cmd_fixture_down(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		init_makes_an_installation_once,
		init_refuses_what_is_half_made,
		init_refuses_an_empty_database,
		init_that_fails_takes_back_what_it_made,
		init_takes_the_operators_file_and_key,
		migrate_up_names_who_holds_the_database,
		init_as_root_makes_the_files_for_the_directorys_owner,
		dev_serves_something_to_try_and_leaves_nothing,
	};

	return suite_run("cmd init", tests, COUNT(tests));
}
