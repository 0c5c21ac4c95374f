/* Operations that go wrong on demand, and groups of them: what the tests of the writer are made of.
 */
#ifndef CHANCERY_TESTS_STORE_WRITER_OPS_H
#define CHANCERY_TESTS_STORE_WRITER_OPS_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "server/store/lane.h"
#include "tests/helpers/vfs_fault.h"

enum { GROUP = 16, OP_NAME_MAX = 16 };

enum trouble {
	NO_TROUBLE,
	REFUSES,
	DISK_FULL,	  /* in a statement of one row: SQLite gives up the whole transaction */
	DISK_FULL_MIDWAY, /* in a statement of many rows: it gives up the statement only */
	DISK_ERROR,
	NO_MEMORY,	  /* while a statement runs */
	NO_MEMORY_BEFORE, /* while it is prepared */
	TROUBLES
};

/* What each kind looks like from outside. */
struct trouble_row {
	const char *name;
	const char *before, *sql;
	enum vfs_failure failure;
	enum vfs_point point;
	bool prepare_first;
	enum err result;
	bool group_lost; /* the whole transaction, not only the savepoint */
};
extern const struct trouble_row troubles[TROUBLES];

/* Writes the meta value "op-<i>", then gets into its trouble. */
struct op {
	struct task task;
	int i;
	enum trouble trouble;
	int runs;
	bool done;
	int order; /* in which it was handed back */
	sem_t *ready;
	_Atomic int *counter;
};
void op_make(struct op *op, int i, sem_t *ready, _Atomic int *counter);
void op_name(int i, char name[OP_NAME_MAX]);
void op_done(struct task *task);
/* Eight megabytes in one statement: too much for the page cache. */
extern const char many_rows[];
enum err run_sql(struct db *db, const char *sql);

/* A task that holds the writer's thread, so that what is submitted meanwhile becomes one group. */
struct gate {
	struct task task;
	sem_t entered, leave, left;
};
void gate_close(struct gate *g, struct writer *w);
void gate_open(struct gate *g);

struct group {
	struct op ops[GROUP];
	sem_t ready;
	_Atomic int counter;
};
void group_make(struct group *g);
void group_submit(struct group *g, struct writer *w);
void group_wait(struct group *g);
/* All of them in one transaction, to begin with. */
void group_run(struct group *g, struct writer *w);

#endif
