/* The order is: mark, master key, database, keys, configuration, mark away. Each step is durable
 * before the next one; a reader of the directory sees the mark or the whole. */
#include "server/cmd/cmd_setup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keys/seal.h"
#include "server/state/keyring.h"
#include "server/store/migrate.h"

enum { SETUP_PATH_MAX = 4096 };

/* Names in the data directory, in the order in which they are made. */
enum part {
	PART_MARK,
	PART_MASTER_KEY,
	PART_DB_DIR,
	PART_DB,
	PART_WAL,
	PART_SHM,
	PART_YAML,
	PART_COUNT
};
static const char *const part_names[PART_COUNT] = {
	".init",	  "master.key",		"db",
	"db/chancery.db", "db/chancery.db-wal", "db/chancery.db-shm",
	"chancery.yaml",
};

struct setup {
	struct cmd *c;
	const struct config *config;
	const char *dir;
	bool made_dir;
	bool made[PART_COUNT]; /* to be taken back when a later step fails */
	struct secret master;
	pid_t signer; /* 0: not started */
	struct signer_channel control;
};

static const char *part_path(const char *dir, enum part part, char path[SETUP_PATH_MAX])
{
	snprintf(path, SETUP_PATH_MAX, "%s/%s", dir, part_names[part]);
	return path;
}

static bool part_exists(const char *dir, enum part part)
{
	char path[SETUP_PATH_MAX];
	struct stat st;

	return lstat(part_path(dir, part, path), &st) == 0;
}

int setup_become_owner(struct cmd *c, const char *dir)
{
	struct stat st;

	if (geteuid() != 0 || stat(dir, &st) < 0 || st.st_uid == 0)
		return CMD_OK;
	if (setgroups(0, NULL) < 0 || setgid(st.st_gid) < 0 || setuid(st.st_uid) < 0)
		return cmd_fail(c, CMD_REFUSED,
				"%s belongs to uid %lu, which cannot be taken on: %s", dir,
				(unsigned long)st.st_uid, strerror(errno));
	cmd_note(c, "%s belongs to uid %lu; going on as that user.", dir, (unsigned long)st.st_uid);
	return CMD_OK;
}

/* ---- looking ---- */

static int broken(struct cmd *c, const char *dir, const char *what, const char *help)
{
	return cmd_fail(c, CMD_REFUSED, "%s is half made: %s. %s", dir, what, help);
}

/* The master key that the configuration means, ours or the operator's. */
static bool master_exists(const struct config *config)
{
	return access(config->keys.master_key_file.p, F_OK) == 0;
}

/* An empty file or a schema without a root key is no database of ours. */
static enum err look_into(struct cmd *c, const struct config *config)
{
	AUTO(db, db) = NULL;
	struct migrate_status schema;
	struct str sealed;
	int64_t version;
	enum err e = db_open(config->storage.path.p, DB_READ, false, &db);

	if (!e)
		e = migrate_status(db, &schema);
	if (!e && schema.current == 0)
		e = ERR_NOT_FOUND;
	return e ? e : store_root_get(db, c->arena, &version, &sealed);
}

static int look_at_database(struct cmd *c, const struct config *config, const char *dir,
			    enum setup_state *ret_state)
{
	enum err e;

	if (!master_exists(config))
		return cmd_fail(
			c, CMD_REFUSED,
			"%s has a database, but %s is not there. Put the master key back from "
			"your backup; another one could not open what this one sealed, so none "
			"is made",
			dir, config->keys.master_key_file.p);
	if (!config->issuer.n)
		return broken(c, dir, "there is a database, but no chancery.yaml",
			      "Write the line \"issuer: URL\" back into it");
	e = look_into(c, config);
	if (e == ERR_NOT_FOUND)
		return broken(
			c, dir, "its database is empty",
			"Restore the database from your backup, or remove the directory and run "
			"`chancery init` again");
	if (e)
		return cmd_fail(c, CMD_REFUSED, "%s: the database cannot be read (%s)",
				config->storage.path.p, err_name(e));
	*ret_state = SETUP_COMPLETE;
	return CMD_OK;
}

static bool db_dir_is_used(const char *dir)
{
	char path[SETUP_PATH_MAX];
	DIR *d = opendir(part_path(dir, PART_DB_DIR, path));
	const struct dirent *entry;
	bool used = false;

	while (d && (entry = readdir(d)))
		used = used || entry->d_name[0] != '.';
	if (d)
		closedir(d);
	return used;
}

int setup_look(struct cmd *c, const struct config *config, enum setup_state *ret_state)
{
	const char *dir = config->data_dir.p;
	struct stat st;

	*ret_state = SETUP_ABSENT;
	if (lstat(dir, &st) < 0 && errno == ENOENT)
		return CMD_OK;
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return cmd_fail(c, CMD_REFUSED, "%s: not a directory", dir);
	*ret_state = SETUP_BROKEN;
	if (part_exists(dir, PART_MARK))
		return broken(
			c, dir, "`chancery init` was cut off, or is at work right now",
			"If none is running, no token was ever made with it: remove the directory "
			"and run `chancery init` again");
	if (part_exists(dir, PART_DB))
		return look_at_database(c, config, dir, ret_state);
	if (db_dir_is_used(dir))
		return broken(c, dir, "db/ holds files, but no chancery.db",
			      "Restore the database from your backup, or remove the directory");
	if (part_exists(dir, PART_MASTER_KEY))
		return broken(c, dir, "there is a master.key, but no database",
			      "Restore the database that belongs to it, or move the key away");
	*ret_state = SETUP_ABSENT;
	return CMD_OK;
}

/* ---- making ---- */

static int failed(const struct setup *s, const char *what)
{
	return cmd_fail(s->c, CMD_REFUSED, "%s: %s", what, strerror(errno));
}

static enum err sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return good ? ERR_OK : ERR_IO;
}

/* A new file with this content, durable. */
static int write_new(struct setup *s, enum part part, struct str text)
{
	char path[SETUP_PATH_MAX];
	int fd = open(part_path(s->dir, part, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good;

	if (fd < 0)
		return failed(s, path);
	s->made[part] = true;
	good = write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;
	if (!good)
		(void)failed(s, path);
	close(fd);
	if (good && sync_dir(s->dir))
		return failed(s, s->dir);
	return good ? CMD_OK : CMD_REFUSED;
}

/* 0700, also when it was there already and empty of ours: nobody else has any business in it. */
static int make_dir(struct setup *s)
{
	s->made_dir = mkdir(s->dir, 0700) == 0;
	if (!s->made_dir && errno != EEXIST)
		return failed(s, s->dir);
	if (chmod(s->dir, 0700) < 0)
		return failed(s, s->dir);
	return write_new(s, PART_MARK, STR("chancery init is at work\n"));
}

static int make_master(struct setup *s)
{
	const char *path = s->config->keys.master_key_file.p, *why;
	enum err e;

	if (!s->config->keys.master_key_ours) {
		e = master_key_read(path, false, &s->master, &why);
		if (e == ERR_NOT_FOUND)
			return cmd_fail(s->c, CMD_REFUSED,
					"keys.master_key_file: %s is not there; make it with "
					"`(umask 077; head -c 32 /dev/urandom > %s)`",
					path, path);
		return e ? cmd_fail(s->c, CMD_REFUSED, "keys.master_key_file %s: %s", path, why)
			 : CMD_OK;
	}
	e = s->c->env->random(s->c->env, s->master.b, sizeof(s->master.b));
	if (e)
		return cmd_fail(s->c, CMD_REFUSED, "the kernel gives no randomness");
	e = master_key_create(path, &s->master);
	if (e)
		return cmd_fail(s->c, CMD_REFUSED, "%s: cannot be made (%s)", path, err_name(e));
	s->made[PART_MASTER_KEY] = true;
	return CMD_OK;
}

static int make_database(struct setup *s, struct db **ret_db)
{
	char path[SETUP_PATH_MAX];
	enum err e;

	if (mkdir(part_path(s->dir, PART_DB_DIR, path), 0700) == 0)
		s->made[PART_DB_DIR] = true;
	else if (errno != EEXIST)
		return failed(s, path);
	part_path(s->dir, PART_DB, path);
	s->made[PART_DB] = s->made[PART_WAL] = s->made[PART_SHM] = true;
	e = db_open(path, DB_WRITE, true, ret_db);
	if (!e)
		e = migrate_up(*ret_db, NULL, s->c->env->now(s->c->env));
	return e ? cmd_fail(s->c, CMD_REFUSED, "%s: cannot be made (%s)", path, err_name(e))
		 : CMD_OK;
}

/* ---- the first keys, made by a signer of our own ---- */

static void be_signer(struct setup *s, const int pair[2])
{
	struct signer_masters masters = { .present = s->master };

	secret_wipe(&s->master);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(pair[0]);
	_exit(signer_run(&masters, &(struct signer_lines){ .control = pair[1], .custody = -1 }));
}

/* The signer as its own process, as in `serve`, and like there forked before a database is open:
 * private keys exist nowhere else, here neither. */
static int start_signer(struct setup *s)
{
	int pair[2];

	if (signer_channel_pair(pair))
		return failed(s, "the signer");
	s->signer = fork();
	if (s->signer == 0)
		be_signer(s, pair);
	close(pair[1]);
	s->control = (struct signer_channel){ .fd = pair[0] };
	return s->signer < 0 ? failed(s, "the signer") : CMD_OK;
}

static void stop_signer(struct setup *s)
{
	signer_channel_close(&s->control);
	while (s->signer > 0 && waitpid(s->signer, NULL, 0) < 0 && errno == EINTR)
		;
}

static enum err run_step(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg)
{
	const struct lane_ctx *inside = arg;
	struct task task = { .run = run, .arg = run_arg };

	lane_run_inline(inside->db, inside->env, LANE_WRITER, &task);
	return task.result;
}

static int make_keys(struct setup *s, struct db *db)
{
	struct lane_ctx inside = { .db = db, .env = s->c->env };
	const struct keyring_means means = {
		.env = s->c->env,
		.config = s->config,
		.store = { .write = run_step, .read = run_step, .arg = &inside },
		.control = &s->control,
	};
	struct keyring *keyring = NULL;
	enum err e = keyring_open(&means, true, &keyring);

	keyring_free(keyring);
	if (e)
		return cmd_fail(s->c, CMD_REFUSED, "the first keys cannot be made (%s)",
				err_name(e));
	return CMD_OK;
}

/* ---- the rest ---- */

static int make_yaml(struct setup *s)
{
	struct buf b;
	struct str text;

	if (part_exists(s->dir, PART_YAML))
		return CMD_OK;
	buf_init(&b, s->c->arena, SETUP_PATH_MAX);
	buf_z(&b,
	      "# `chancery config show` lists every option, its value and where it comes from:\n"
	      "# flag, environment (CHANCERY_SERVER_ADDRESS), this file, default, in this "
	      "order.\n");
	buf_fmt(&b, "issuer: %.*s\n", STR_ARG(s->config->issuer));
	if (buf_end(&b, &text))
		return cmd_nomem(s->c);
	return write_new(s, PART_YAML, text);
}

static int make_all(struct setup *s)
{
	AUTO(db, db) = NULL;
	char path[SETUP_PATH_MAX];
	int status = make_dir(s);

	if (!status)
		status = make_master(s);
	if (!status)
		status = start_signer(s);
	if (!status)
		status = make_database(s, &db);
	if (!status)
		status = make_keys(s, db);
	if (!status)
		status = make_yaml(s);
	if (status)
		return status;
	db_close(TAKE(db)); /* the log goes into the file */
	if (sync_dir(part_path(s->dir, PART_DB_DIR, path)) || sync_dir(s->dir))
		return failed(s, s->dir);
	if (unlink(part_path(s->dir, PART_MARK, path)) < 0 || sync_dir(s->dir))
		return failed(s, path);
	return CMD_OK;
}

/* Only what this call made; the mark goes last, in case this is cut off too. */
static void take_back(const struct setup *s)
{
	char path[SETUP_PATH_MAX];

	for (int part = PART_COUNT - 1; part >= 0; part--) {
		if (!s->made[part])
			continue;
		part_path(s->dir, (enum part)part, path);
		if (part == PART_DB_DIR)
			(void)rmdir(path);
		else
			(void)unlink(path);
	}
	if (s->made_dir)
		(void)rmdir(s->dir);
}

int setup_make(struct cmd *c, const struct config *config)
{
	struct setup s = {
		.c = c,
		.config = config,
		.dir = config->data_dir.p,
		.control = { .fd = -1 },
	};
	int status = make_all(&s);

	stop_signer(&s);
	secret_wipe(&s.master);
	if (status)
		take_back(&s);
	return status;
}
