/* Operations for the tests of the writer. */
#include "tests/store/writer_ops.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "server/store/store.h"

void op_name(int i, char name[OP_NAME_MAX])
{
	snprintf(name, OP_NAME_MAX, "op-%d", i);
}

/* Too much for the page cache: SQLite has to write in the middle of the statement. */
const char many_rows[] =
	"INSERT INTO meta (name, value) "
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
	"SELECT 'big-' || i, hex(zeroblob(2000)) FROM n";
static const char one_row[] =
	"INSERT INTO meta (name, value) VALUES ('big', hex(zeroblob(2000000)))";
static const char plain[] = "PRAGMA max_page_count = 1000000";
static const char tight[] = "PRAGMA max_page_count = 1"; /* that is: no more than there are */

const struct trouble_row troubles[TROUBLES] = {
	[NO_TROUBLE] = { .name = "none" },
	[REFUSES] = { .name = "refuses", .result = ERR_CONFLICT },
	[DISK_FULL] = { "full", tight, one_row, VFS_PASS, VFS_WRITE, true, ERR_FULL, true },
	[DISK_FULL_MIDWAY] = { "full midway", tight, many_rows, VFS_PASS, VFS_WRITE, true, ERR_FULL,
			       false },
	[DISK_ERROR] = { "i/o", plain, many_rows, VFS_IO, VFS_WRITE, true, ERR_IO, true },
	[NO_MEMORY] = { "memory", plain, one_row, VFS_NOMEM, VFS_ALLOC, true, ERR_NOMEM, true },
	[NO_MEMORY_BEFORE] = { "memory before", plain, many_rows, VFS_NOMEM, VFS_ALLOC, false,
			       ERR_NOMEM, false },
};

enum err run_sql(struct db *db, const char *sql)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql, &s);

	return e ? e : db_run(s, NULL);
}

static enum err get_into_trouble(struct db *db, enum trouble trouble)
{
	struct db_stmt *s;
	enum err e;

	if (!troubles[trouble].sql)
		return troubles[trouble].result;
	ck_assert_int_eq(db_script(db, troubles[trouble].before), ERR_OK);
	if (troubles[trouble].prepare_first)
		ck_assert_int_eq(db_stmt(db, troubles[trouble].sql, &s), ERR_OK);
	if (troubles[trouble].failure != VFS_PASS)
		vfs_fault_arm(troubles[trouble].point, 1, troubles[trouble].failure, true);
	e = run_sql(db, troubles[trouble].sql);
	vfs_fault_disarm();
	ck_assert_int_eq(db_script(db, plain), ERR_OK);
	return e;
}

static enum err run_op(struct lane_ctx *ctx, void *arg)
{
	struct op *op = arg;
	char name[OP_NAME_MAX];
	enum err e;

	op->runs++;
	op_name(op->i, name);
	e = store_meta_put(ctx->db, name, STR("here"));
	return e ? e : get_into_trouble(ctx->db, op->trouble);
}

void op_done(struct task *task)
{
	struct op *op = task->arg;

	op->order = atomic_fetch_add(op->counter, 1);
	op->done = true;
	sem_post(op->ready);
}

void op_make(struct op *op, int i, sem_t *ready, _Atomic int *counter)
{
	*op = (struct op){ .i = i, .ready = ready, .counter = counter };
	op->task = (struct task){ .run = run_op, .arg = op, .done = op_done };
}

static enum err run_gate(struct lane_ctx *ctx, void *arg)
{
	struct gate *g = arg;

	(void)ctx;
	sem_post(&g->entered);
	sem_wait(&g->leave);
	return ERR_OK;
}

static void gate_done(struct task *task)
{
	sem_post(&((struct gate *)task->arg)->left);
}

void gate_close(struct gate *g, struct writer *w)
{
	g->task = (struct task){ .run = run_gate, .arg = g, .done = gate_done };
	sem_init(&g->entered, 0, 0);
	sem_init(&g->leave, 0, 0);
	sem_init(&g->left, 0, 0);
	ck_assert_int_eq(writer_submit(w, &g->task), ERR_OK);
	sem_wait(&g->entered);
}

void gate_open(struct gate *g)
{
	sem_post(&g->leave);
	sem_wait(&g->left);
}

void group_make(struct group *g)
{
	memset(g, 0, sizeof(*g));
	sem_init(&g->ready, 0, 0);
	for (int i = 0; i < GROUP; i++)
		op_make(&g->ops[i], i, &g->ready, &g->counter);
}

void group_submit(struct group *g, struct writer *w)
{
	for (int i = 0; i < GROUP; i++)
		ck_assert_int_eq(writer_submit(w, &g->ops[i].task), ERR_OK);
}

void group_wait(struct group *g)
{
	for (int i = 0; i < GROUP; i++)
		sem_wait(&g->ready);
}

void group_run(struct group *g, struct writer *w)
{
	struct gate gate;

	gate_close(&gate, w);
	group_submit(g, w);
	gate_open(&gate);
	group_wait(g);
}
