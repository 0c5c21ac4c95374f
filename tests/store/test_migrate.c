/* Schema versions, the engine's seam below them, and the lock beside them. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/store/dblock.h"
#include "server/store/migrate.h"
#include "tests/helpers/store_fixture.h"
#include "tests/helpers/vfs_fault.h"

#define OK(call) ck_assert_str_eq(err_name(call), err_name(ERR_OK))
#define IS(expected, call) ck_assert_str_eq(err_name(call), err_name(expected))

static struct store_fixture f;
static char copy_path[160];

static void set_up(void)
{
	store_fixture_up(&f);
	snprintf(copy_path, sizeof(copy_path), "%s.copy", f.db_path);
}

static void tear_down(void)
{
	vfs_fault_disarm();
	store_fixture_down(&f);
}

/* ---- migrations of our own making, after the real ones ---- */

static const struct migration first = { 1, "0001_a", "CREATE TABLE a (x BIGINT);" };
static const struct migration second = {
	2, "0002_b",
	"CREATE TABLE b (x BIGINT);"
	"INSERT INTO b SELECT x FROM a; INSERT INTO b VALUES (2);"
};
static const struct migration broken = { 2, "0002_b",
					 "CREATE TABLE b (x BIGINT); CREATE TABLE a (x);" };
static const struct migration third = { 3, "0003_c",
					"CREATE TABLE c (x TEXT);"
					"INSERT INTO c WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
					"SELECT i + 1 FROM n WHERE i < 3000) "
					"SELECT hex(zeroblob(1000)) FROM n;" };

/* An empty database beside the fixture's, brought to the list given. */
struct own {
	struct db *db;
	char path[160], copy[200];
	struct migration list[4];
	struct migration_set set;
};

static void own_open(struct own *o)
{
	*o = (struct own){ .db = NULL };
	snprintf(o->path, sizeof(o->path), "%s/own.db", f.dir);
	snprintf(o->copy, sizeof(o->copy), "%s.copy", o->path);
	OK(db_open(o->path, DB_WRITE, true, &o->db));
	o->set.items = o->list;
}

static void own_add(struct own *o, const struct migration *m)
{
	o->list[o->set.count++] = *m;
}

static enum err own_up(struct own *o)
{
	return migrate_up_to(o->db, &o->set, o->copy, FIXTURE_NOW);
}

static bool has_table(struct db *db, const char *name)
{
	bool has;

	OK(db_has_table(db, name, &has));
	return has;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

START_TEST(a_fresh_database_is_brought_to_the_newest)
{
	struct migrate_status status;

	OK(migrate_status(f.db, &status));
	ck_assert_int_eq(status.current, (int)migration_count);
	ck_assert_int_eq(status.latest, (int)migration_count);
	ck_assert(!status.newer && !status.changed);
	ck_assert(has_table(f.db, "clients"));
	ck_assert_msg(!exists(copy_path), "an empty database is not worth a copy");
}
END_TEST

START_TEST(running_again_does_nothing)
{
	OK(migrate_up(f.db, copy_path, FIXTURE_NOW));
	ck_assert(!exists(copy_path));
}
END_TEST

START_TEST(an_empty_database_has_version_nought)
{
	struct migrate_status status;
	struct own o;

	own_open(&o);
	OK(migrate_status(o.db, &status));
	ck_assert_int_eq(status.current, 0);
	ck_assert(!status.newer && !status.changed);
	db_close(o.db);
}
END_TEST

START_TEST(an_upgrade_copies_the_database_first)
{
	struct db *copy;
	struct stat st;
	struct own o;

	own_open(&o);
	own_add(&o, &first);
	OK(own_up(&o));
	OK(db_script(o.db, "INSERT INTO a VALUES (1)"));
	own_add(&o, &second);
	OK(own_up(&o));
	ck_assert(has_table(o.db, "b"));
	ck_assert_int_eq(stat(o.copy, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	OK(db_open(o.copy, DB_WRITE, false, &copy));
	ck_assert(has_table(copy, "a") && !has_table(copy, "b"));
	db_close(copy);
	db_close(o.db);
}
END_TEST

START_TEST(a_copy_that_cannot_be_made_stops_the_upgrade)
{
	struct own o;

	own_open(&o);
	own_add(&o, &first);
	OK(own_up(&o));
	own_add(&o, &second);
	snprintf(o.copy, sizeof(o.copy), "%s/no/such/folder", f.dir);
	IS(ERR_IO, own_up(&o));
	ck_assert(!has_table(o.db, "b"));
	db_close(o.db);
}
END_TEST

START_TEST(a_newer_database_is_not_touched)
{
	struct migrate_status status;
	struct own o;

	own_open(&o);
	own_add(&o, &first);
	own_add(&o, &second);
	OK(own_up(&o));
	o.set.count = 1;
	OK(migrate_status_of(o.db, &o.set, &status));
	ck_assert(status.newer);
	IS(ERR_CONFLICT, own_up(&o));
	db_close(o.db);
}
END_TEST

START_TEST(a_migration_that_was_changed_is_refused)
{
	struct migrate_status status;
	struct own o;

	own_open(&o);
	own_add(&o, &first);
	OK(own_up(&o));
	o.list[0].sql = "CREATE TABLE a (x BIGINT); ";
	own_add(&o, &second);
	OK(migrate_status_of(o.db, &o.set, &status));
	ck_assert(status.changed && !status.newer);
	IS(ERR_CONFLICT, own_up(&o));
	ck_assert(!has_table(o.db, "b") && !exists(o.copy));
	db_close(o.db);
}
END_TEST

START_TEST(a_database_with_a_gap_in_its_history_is_refused)
{
	struct migrate_status status;
	struct own o;

	own_open(&o);
	own_add(&o, &first);
	own_add(&o, &second);
	OK(own_up(&o));
	OK(db_script(o.db, "DELETE FROM migrations WHERE number = 1"));
	OK(migrate_status_of(o.db, &o.set, &status));
	ck_assert(status.changed);
	db_close(o.db);
}
END_TEST

START_TEST(a_migration_that_fails_leaves_nothing_behind)
{
	struct migrate_status status;
	struct own o;

	own_open(&o);
	own_add(&o, &first);
	own_add(&o, &broken);
	ck_assert_int_ne(own_up(&o), ERR_OK);
	OK(migrate_status_of(o.db, &o.set, &status));
	ck_assert_int_eq(status.current, 1);
	ck_assert(!has_table(o.db, "b"));
	o.set.count = 1;
	own_add(&o, &second);
	OK(own_up(&o));
	db_close(o.db);
}
END_TEST

/* The process dies at the nth write of the upgrade, wherever that is: the next start finishes it.
 */
START_TEST(an_upgrade_killed_at_any_write_is_finished_by_the_next)
{
	struct migrate_status status;
	struct own o;
	int child_status;
	pid_t child;

	own_open(&o);
	own_add(&o, &first);
	OK(own_up(&o));
	db_close(o.db);
	own_add(&o, &second);
	own_add(&o, &third);
	child = fork();
	if (child == 0) {
		vfs_fault_arm(_i % 2 ? VFS_WRITE : VFS_SYNC, 1 + _i * _i, VFS_KILL, false);
		if (db_open(o.path, DB_WRITE, false, &o.db) == ERR_OK && own_up(&o) == ERR_OK)
			kill(getpid(), SIGKILL); /* the point lay beyond */
		_exit(1);
	}
	ck_assert_int_eq(waitpid(child, &child_status, 0), child);
	ck_assert(WIFSIGNALED(child_status));
	OK(db_open(o.path, DB_WRITE, false, &o.db));
	OK(own_up(&o));
	OK(migrate_status_of(o.db, &o.set, &status));
	ck_assert_int_eq(status.current, 3);
	ck_assert(has_table(o.db, "b") && has_table(o.db, "c"));
	db_close(o.db);
}
END_TEST

/* ---- the seam ---- */

START_TEST(parameters_are_numbered_not_counted)
{
	static const char sql[] = "SELECT $2, $1, '$3', $2";
	struct db_stmt *s;
	bool row;

	OK(db_stmt(f.db, sql, &s));
	db_bind_i64(s, 1, 10);
	db_bind_i64(s, 2, 20);
	OK(db_step(s, &row));
	ck_assert_int_eq(db_i64(s, 0), 20);
	ck_assert_int_eq(db_i64(s, 1), 10);
	ck_assert(str_equal_z(db_str(s, 2), "$3"));
	ck_assert_int_eq(db_i64(s, 3), 20);
	OK(db_step(s, &row));
	ck_assert(!row);
}
END_TEST

START_TEST(bytes_and_nothing_are_told_apart)
{
	static const char sql[] = "SELECT $1, $2, $3, $4";
	struct db_stmt *s;
	bool row;

	OK(db_stmt(f.db, sql, &s));
	db_bind_str(s, 1, STR_NONE);
	db_bind_str(s, 2, STR(""));
	db_bind_bytes(s, 3, NULL, 0);
	db_bind_bytes(s, 4, "a\0b", 3);
	OK(db_step(s, &row));
	ck_assert_ptr_null(db_str(s, 0).p);
	ck_assert_ptr_nonnull(db_str(s, 1).p);
	ck_assert_ptr_nonnull(db_str(s, 2).p);
	ck_assert_uint_eq(db_str(s, 2).n, 0);
	ck_assert(str_equal(db_str(s, 3), STR("a\0b")));
	db_end(s);
}
END_TEST

START_TEST(a_bad_parameter_comes_out_of_the_step_and_is_forgotten)
{
	static const char sql[] = "SELECT $1";
	struct db_stmt *s;
	bool row;

	OK(db_stmt(f.db, sql, &s));
	db_bind_i64(s, 9, 1);
	db_bind_i64(s, 1, 1);
	ck_assert_int_ne(db_step(s, &row), ERR_OK);
	OK(db_stmt(f.db, sql, &s));
	db_bind_i64(s, 1, 7);
	OK(db_step(s, &row));
	ck_assert_int_eq(db_i64(s, 0), 7);
}
END_TEST

/* A statement left half-way would pin its old view: the next transaction on this connection would
 * be refused, or a reader would see yesterday for ever. */
START_TEST(a_statement_left_halfway_does_not_outlive_its_transaction)
{
	static const char sql[] = "SELECT name FROM meta";
	struct db_stmt *s;
	struct db *other;
	bool row;

	OK(store_meta_put(f.db, "a", STR("1")));
	OK(store_meta_put(f.db, "b", STR("1")));
	OK(db_open(f.db_path, DB_WRITE, false, &other));
	for (int round = 0; round < 3; round++) {
		OK(db_begin(f.db));
		OK(db_stmt(f.db, sql, &s));
		OK(db_step(s, &row));
		if (round == 1)
			db_rollback(f.db);
		else
			OK(db_commit(f.db));
		OK(store_meta_put(other, "c", STR("1")));
	}
	db_close(other);
}
END_TEST

START_TEST(a_reader_cannot_write)
{
	struct db *reader;

	OK(db_open(f.db_path, DB_READ, false, &reader));
	ck_assert_int_ne(db_script(reader, "DELETE FROM meta"), ERR_OK);
	ck_assert_int_ne(store_meta_put(reader, "x", STR("y")), ERR_OK);
	db_close(reader);
}
END_TEST

static const struct {
	const char *pragma, *value;
} settings[] = {
	{ "PRAGMA journal_mode", "wal" },  { "PRAGMA synchronous", "2" },
	{ "PRAGMA foreign_keys", "1" },	   { "PRAGMA trusted_schema", "0" },
	{ "PRAGMA cell_size_check", "1" }, { "PRAGMA secure_delete", "1" },
	{ "PRAGMA mmap_size", "0" },
};

/* The same on a reader and on a writer, by the loop's parity. */
START_TEST(every_connection_has_its_settings)
{
	struct db *db;
	struct db_stmt *s;
	bool row;

	OK(db_open(f.db_path, _i % 2 ? DB_READ : DB_WRITE, false, &db));
	OK(db_stmt(db, settings[_i / 2].pragma, &s));
	OK(db_step(s, &row));
	ck_assert(str_equal_z(db_str(s, 0), settings[_i / 2].value));
	db_close(db);
}
END_TEST

START_TEST(the_schema_cannot_be_turned_against_us)
{
	ck_assert_int_ne(db_script(f.db, "SELECT load_extension('x')"), ERR_OK);
	OK(db_script(f.db, "PRAGMA writable_schema = ON")); /* ignored under DEFENSIVE */
	ck_assert_int_ne(db_script(f.db, "DELETE FROM sqlite_schema"), ERR_OK);
	ck_assert_int_ne(db_script(f.db, "SELECT \"no such column\""), ERR_OK);
}
END_TEST

START_TEST(opening_tells_what_is_wrong)
{
	char path[160];
	struct stat st;
	struct db *db;
	FILE *file;

	snprintf(path, sizeof(path), "%s/none.db", f.dir);
	IS(ERR_NOT_FOUND, db_open(path, DB_WRITE, false, &db));
	IS(ERR_NOT_FOUND, db_open(path, DB_READ, false, &db));
	ck_assert(!exists(path));
	file = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database", file);
	fclose(file);
	IS(ERR_CORRUPT, db_open(path, DB_WRITE, false, &db));
	ck_assert_int_eq(stat(f.db_path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

/* The copy's disk is not the database's: what was committed there may go on being believed. */
START_TEST(a_copy_whose_fsync_fails_casts_no_doubt_on_the_database)
{
	vfs_fault_arm(VFS_SYNC, 1, VFS_FSYNC, true);
	IS(ERR_IO, db_copy(f.db, copy_path));
	vfs_fault_disarm();
	ck_assert(!db_sync_failed(f.db));
	ck_assert(!exists(copy_path));
	OK(db_copy(f.db, copy_path));
}
END_TEST

START_TEST(a_copy_holds_what_is_only_in_the_log)
{
	struct db *copy;
	struct str value;

	OK(store_meta_put(f.db, "a", STR("in the log")));
	OK(db_copy(f.db, copy_path));
	OK(store_meta_put(f.db, "a", STR("later")));
	OK(db_copy(f.db, copy_path)); /* replaces the one before */
	OK(db_open(copy_path, DB_WRITE, false, &copy));
	OK(store_meta_get(copy, f.arena, "a", &value));
	ck_assert(str_equal_z(value, "later"));
	db_close(copy);
}
END_TEST

/* ---- the lock ---- */

/* In a child of its own, because a process never conflicts with its own locks. */
static int take_in_child(const char *path, pid_t *ret_holder)
{
	int pipes[2], status;
	pid_t holder = 0, child;

	ck_assert_int_eq(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		int fd;
		enum err e = dblock_take(path, &fd, &holder);

		(void)!write(pipes[1], &holder, sizeof(holder));
		_exit((int)e);
	}
	close(pipes[1]);
	ck_assert_int_eq(read(pipes[0], ret_holder, sizeof(*ret_holder)), sizeof(*ret_holder));
	close(pipes[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

START_TEST(a_second_server_is_told_the_pid_of_the_first)
{
	char path[160];
	pid_t holder = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", f.dir);
	OK(dblock_take(path, &fd, &holder));
	ck_assert_int_eq(take_in_child(path, &holder), ERR_BUSY);
	ck_assert_int_eq(holder, getpid());
	dblock_drop(fd);
	ck_assert_int_eq(take_in_child(path, &holder), ERR_OK);
	OK(dblock_take(path, &fd, &holder)); /* the child is gone, and its lock with it */
	dblock_drop(fd);
	dblock_drop(-1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("migrate");
	TCase *t = tcase_create("migrate");
	SRunner *r;
	int failed;

	vfs_fault_install();
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_fresh_database_is_brought_to_the_newest);
	tcase_add_test(t, running_again_does_nothing);
	tcase_add_test(t, an_empty_database_has_version_nought);
	tcase_add_test(t, an_upgrade_copies_the_database_first);
	tcase_add_test(t, a_copy_that_cannot_be_made_stops_the_upgrade);
	tcase_add_test(t, a_newer_database_is_not_touched);
	tcase_add_test(t, a_migration_that_was_changed_is_refused);
	tcase_add_test(t, a_database_with_a_gap_in_its_history_is_refused);
	tcase_add_test(t, a_migration_that_fails_leaves_nothing_behind);
	tcase_add_loop_test(t, an_upgrade_killed_at_any_write_is_finished_by_the_next, 0, 24);
	tcase_add_test(t, parameters_are_numbered_not_counted);
	tcase_add_test(t, bytes_and_nothing_are_told_apart);
	tcase_add_test(t, a_bad_parameter_comes_out_of_the_step_and_is_forgotten);
	tcase_add_test(t, a_statement_left_halfway_does_not_outlive_its_transaction);
	tcase_add_test(t, a_reader_cannot_write);
	tcase_add_loop_test(t, every_connection_has_its_settings, 0,
			    2 * (int)(sizeof(settings) / sizeof(settings[0])));
	tcase_add_test(t, the_schema_cannot_be_turned_against_us);
	tcase_add_test(t, opening_tells_what_is_wrong);
	tcase_add_test(t, a_copy_whose_fsync_fails_casts_no_doubt_on_the_database);
	tcase_add_test(t, a_copy_holds_what_is_only_in_the_log);
	tcase_add_test(t, a_second_server_is_told_the_pid_of_the_first);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
