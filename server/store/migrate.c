/* Brings a database to the schema this program knows. The text of a migration that has run never
 * changes: its checksum is stored with its number, and a database that says otherwise is not
 * touched. */
#include "server/store/migrate.h"

#include "base/fault.h"
#include "base/secret.h"
#include "server/store/sql.h"

enum { CHECKSUM_LEN = 32 };

static void checksum(const struct migration *m, unsigned char ret_sum[CHECKSUM_LEN])
{
	digest256(str_z(m->sql), ret_sum);
}

/* One row of what has run; rows come in order of their number. */
static void judge(const struct migration_set *set, int64_t number, struct str sum,
		  struct migrate_status *status)
{
	unsigned char ours[CHECKSUM_LEN];

	if (number < 1 || number > status->latest) {
		status->newer = true;
		return;
	}
	checksum(&set->items[number - 1], ours);
	if (number != status->current + 1 || !str_equal(sum, str_n(ours, sizeof(ours))))
		status->changed = true;
	status->current = (int)number;
}

static enum err read_rows(struct db *db, const struct migration_set *set,
			  struct migrate_status *status)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_migration_list, &s);

	while (!e) {
		bool row;

		e = db_step(s, &row);
		if (e || !row)
			return e;
		judge(set, db_i64(s, 0), db_str(s, 1), status);
	}
	return e;
}

enum err migrate_status_of(struct db *db, const struct migration_set *set,
			   struct migrate_status *ret_status)
{
	struct migrate_status status = { .latest = (int)set->count };
	bool begun = false;
	enum err e = db_has_table(db, "migrations", &begun);

	if (!e && begun)
		e = read_rows(db, set, &status);
	if (!e)
		*ret_status = status;
	return e;
}

static enum err record(struct db *db, const struct migration *m, int64_t now)
{
	unsigned char sum[CHECKSUM_LEN];
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_migration_insert, &s);

	if (e)
		return e;
	checksum(m, sum);
	db_bind_i64(s, 1, m->number);
	db_bind_str(s, 2, str_z(m->name));
	db_bind_bytes(s, 3, sum, sizeof(sum));
	db_bind_i64(s, 4, now);
	return db_run(s, NULL);
}

/* Two programs may start at once: what is missing is asked again inside the transaction. */
static enum err step(struct db *db, const struct migration_set *set, int64_t now, bool *ret_done)
{
	struct migrate_status status;
	enum err e = db_script(db, sql_migrations_table);

	if (!e)
		e = migrate_status_of(db, set, &status);
	if (e)
		return e;
	if (status.newer || status.changed)
		return ERR_CONFLICT;
	*ret_done = status.current == status.latest;
	if (*ret_done)
		return ERR_OK;
	e = db_script(db, set->items[status.current].sql);
	if (!e)
		e = FAILPOINT("migrate.step");
	return e ? e : record(db, &set->items[status.current], now);
}

static enum err step_in_transaction(struct db *db, const struct migration_set *set, int64_t now,
				    bool *ret_done)
{
	enum err e = db_begin(db);

	if (e)
		return e;
	e = step(db, set, now, ret_done);
	if (!e)
		e = db_commit(db);
	if (e)
		db_rollback(db);
	return e;
}

enum err migrate_up_to(struct db *db, const struct migration_set *set, const char *copy_to,
		       int64_t now)
{
	struct migrate_status status;
	bool done = false;
	enum err e = migrate_status_of(db, set, &status);

	if (e)
		return e;
	if (status.newer || status.changed)
		return ERR_CONFLICT;
	if (status.current == status.latest)
		return ERR_OK;
	if (status.current > 0)
		e = db_copy(db, copy_to);
	while (!e && !done)
		e = step_in_transaction(db, set, now, &done);
	return e;
}

static struct migration_set ours(void)
{
	return (struct migration_set){ migrations, migration_count };
}

enum err migrate_status(struct db *db, struct migrate_status *ret_status)
{
	const struct migration_set set = ours();

	return migrate_status_of(db, &set, ret_status);
}

enum err migrate_up(struct db *db, const char *copy_to, int64_t now)
{
	const struct migration_set set = ours();

	return migrate_up_to(db, &set, copy_to, now);
}
