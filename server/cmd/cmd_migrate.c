/* `chancery migrate`: the database's schema, without a server. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "server/cmd/cmd_out.h"
#include "server/cmd/cmd_setup.h"
#include "server/store/dblock.h"
#include "server/store/migrate.h"

enum { MIGRATE_PATH_MAX = 4096 };

static const struct out_view migrate_view = { .id = "current" };

static int print(struct cmd *c, const struct config *config, const struct migrate_status *s)
{
	const char *state = s->newer		     ? "newer than this program"
			    : s->changed	     ? "changed by hand"
			    : s->current < s->latest ? "behind"
						     : "up to date";
	struct buf b;
	struct jsonw w;

	buf_init(&b, c->arena, MIGRATE_PATH_MAX * 2);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member(&w, "database", config->storage.path);
	jsonw_member_int(&w, "current", s->current);
	jsonw_member_int(&w, "latest", s->latest);
	jsonw_member_z(&w, "state", state);
	jsonw_end_object(&w);
	return out_text(c, &migrate_view, &b);
}

static int no_database(struct cmd *c, const struct config *config)
{
	return cmd_fail(c, CMD_REFUSED, "%s is not there; `chancery init` makes it",
			config->storage.path.p);
}

static int open_database(struct cmd *c, enum db_mode mode, const struct config **ret_config,
			 struct db **ret_db)
{
	int status = cmd_config(c, ret_config);
	enum err e;

	if (status)
		return status;
	e = db_open((*ret_config)->storage.path.p, mode, false, ret_db);
	if (e == ERR_NOT_FOUND)
		return no_database(c, *ret_config);
	if (e)
		return cmd_fail(c, CMD_REFUSED, "%s: cannot be opened (%s)",
				(*ret_config)->storage.path.p, err_name(e));
	return CMD_OK;
}

static int unreadable(struct cmd *c, struct db *db, enum err e)
{
	return cmd_fail(c, CMD_REFUSED, "the schema version cannot be read (%s: %s)", err_name(e),
			db_error(db));
}

static int run_status(struct cmd *c)
{
	AUTO(db, db) = NULL;
	const struct config *config;
	struct migrate_status s;
	int status = open_database(c, DB_READ, &config, &db);
	enum err e;

	if (status)
		return status;
	e = migrate_status(db, &s);
	return e ? unreadable(c, db, e) : print(c, config, &s);
}

/* DIR/db/lock, as the server takes it: two programs must not migrate at once, nor one under a
 * server. */
static int take_lock(struct cmd *c, const struct config *config, int *ret_lock)
{
	struct str folder = config->storage.path;
	char path[MIGRATE_PATH_MAX];
	pid_t holder = 0;
	enum err e;

	while (folder.n && folder.p[folder.n - 1] != '/')
		folder.n--;
	snprintf(path, sizeof(path), "%.*slock", STR_ARG(folder));
	e = dblock_take(path, ret_lock, &holder);
	if (e == ERR_BUSY)
		return cmd_fail(c, CMD_CONFLICT, "process %ld works on the database; stop it first",
				(long)holder);
	return e ? cmd_fail(c, CMD_REFUSED, "%s: cannot be locked (%s)", path, err_name(e))
		 : CMD_OK;
}

static int up(struct cmd *c)
{
	AUTO(db, db) = NULL;
	const struct config *config;
	struct migrate_status s;
	char copy[MIGRATE_PATH_MAX];
	int status = open_database(c, DB_WRITE, &config, &db);
	enum err e;

	if (status)
		return status;
	e = migrate_status(db, &s);
	if (e)
		return unreadable(c, db, e);
	if (s.current == s.latest)
		return print(c, config, &s);
	/* the name `serve` gives its copy */
	snprintf(copy, sizeof(copy), "%.*s.before-%d", STR_ARG(config->storage.path), s.latest);
	e = migrate_up(db, copy, c->env->now(c->env));
	if (e == ERR_CONFLICT)
		return cmd_fail(c, CMD_REFUSED, "the database is %s; nothing was changed",
				s.newer ? "newer than this program" : "changed by hand");
	if (e)
		return cmd_fail(c, CMD_REFUSED,
				"the migration failed (%s: %s); the database is as it was",
				err_name(e), db_error(db));
	cmd_note(c, "The database as it was before: %s", copy);
	e = migrate_status(db, &s);
	return e ? unreadable(c, db, e) : print(c, config, &s);
}

static int run_up(struct cmd *c)
{
	const struct config *config;
	int lock = -1, status = cmd_config(c, &config);

	if (!status && access(config->storage.path.p, F_OK) < 0 && errno == ENOENT)
		return no_database(c, config);
	if (!status)
		status = setup_become_owner(c, config->data_dir.p);
	if (!status)
		status = take_lock(c, config, &lock);
	if (!status)
		status = up(c);
	dblock_drop(lock);
	return status;
}

static const struct cmd_row rows[] = {
	{ .words = "migrate status",
	  .summary = "show the database's schema version and this program's",
	  .run = run_status,
	  .examples = CMD_EXAMPLES("is it up to date", "chancery migrate status --field state") },
	{ .words = "migrate up",
	  .summary = "bring the database's schema up to date",
	  .details = "Needs the server stopped (exit status 4 names its process). The database is "
		     "copied "
		     "first. `chancery serve` does the same by itself.",
	  .run = run_up,
	  .examples = CMD_EXAMPLES("before an upgraded server starts", "chancery migrate up") },
};

const struct cmd_group cmd_migrate_group = CMD_GROUP("Operations", rows);
