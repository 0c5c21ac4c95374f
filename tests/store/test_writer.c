/* The writer's promise: nobody is told "done" before it is on the disk, one bad operation costs
 * only itself, and what was promised survives SIGKILL at any moment. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "tests/helpers/store_fixture.h"
#include "tests/helpers/vfs_fault.h"
#include "tests/store/writer_ops.h"

static struct store_fixture f;
static struct writer *w;

static bool stored(struct db *db, int i)
{
	char name[OP_NAME_MAX];
	struct str value;

	op_name(i, name);
	return store_meta_get(db, f.arena, name, &value) == ERR_OK;
}

static void restart(void)
{
	writer_stop(w);
	w = NULL;
	vfs_fault_disarm();
	store_fixture_reopen(&f);
}

/* Acknowledged is there, refused is not. */
static void check_against_disk(const struct group *g)
{
	restart();
	for (int i = 0; i < GROUP; i++)
		ck_assert_msg(stored(f.db, i) == (g->ops[i].task.result == ERR_OK),
			      "operation %d was answered %s", i, err_name(g->ops[i].task.result));
}

static void set_up(void)
{
	store_fixture_up(&f);
	ck_assert_int_eq(writer_start(f.db_path, &f.fake.env, NULL, &w), ERR_OK);
}

static void tear_down(void)
{
	vfs_fault_disarm();
	writer_stop(w);
	w = NULL;
	store_fixture_down(&f);
}

/* ---- tests ---- */

START_TEST(a_group_is_one_transaction_and_is_answered_in_order)
{
	struct group g;
	struct writer_stats stats;

	group_make(&g);
	group_run(&g, w);
	for (int i = 0; i < GROUP; i++) {
		ck_assert_int_eq(g.ops[i].task.result, ERR_OK);
		ck_assert_int_eq(g.ops[i].order, i);
		ck_assert_int_eq(g.ops[i].runs, 1);
	}
	writer_stats(w, &stats);
	ck_assert_uint_eq(stats.batches, 2); /* the gate's and the group's */
	ck_assert_uint_eq(stats.operations, GROUP + 1);
	ck_assert_uint_eq(stats.reruns, 0);
	ck_assert_uint_eq(stats.failures, 0);
	check_against_disk(&g);
}
END_TEST

/* The loop's index counts kind of trouble times place in the group. */
START_TEST(trouble_in_one_operation_costs_only_that_one)
{
	const enum trouble kind = (enum trouble)(_i / GROUP);
	const int bad = _i % GROUP;
	struct group g;
	struct writer_stats stats;

	group_make(&g);
	g.ops[bad].trouble = kind;
	group_run(&g, w);
	for (int i = 0; i < GROUP; i++) {
		ck_assert_msg(g.ops[i].task.result == (i == bad ? troubles[kind].result : ERR_OK),
			      "%s in %d: operation %d was answered %s", troubles[kind].name, bad, i,
			      err_name(g.ops[i].task.result));
		ck_assert_int_eq(g.ops[i].order, i);
	}
	writer_stats(w, &stats);
	ck_assert_uint_eq(stats.failures, troubles[kind].result != ERR_OK);
	ck_assert_msg(stats.reruns == (troubles[kind].group_lost ? GROUP : 0), "%s: %d reruns",
		      troubles[kind].name, (int)stats.reruns);
	check_against_disk(&g);
}
END_TEST

/* The nth write of a group's commit fails once: the group is run again one by one and nobody
 * notices. */
START_TEST(a_commit_that_fails_once_is_made_good_one_by_one)
{
	const enum vfs_failure failures[] = { VFS_FULL, VFS_IO, VFS_NOMEM };
	struct group g;
	struct gate gate;

	group_make(&g);
	gate_close(&gate, w);
	group_submit(&g, w);
	/* the gate's own transaction writes nothing */
	vfs_fault_arm(VFS_WRITE, 1 + _i / 3, failures[_i % 3], false);
	gate_open(&gate);
	group_wait(&g);
	for (int i = 0; i < GROUP; i++)
		ck_assert_int_eq(g.ops[i].task.result, ERR_OK);
	check_against_disk(&g);
}
END_TEST

START_TEST(a_disk_that_stays_full_refuses_all_and_recovers_by_itself)
{
	struct group g, later;
	struct gate gate;

	group_make(&g);
	gate_close(&gate, w);
	group_submit(&g, w);
	vfs_fault_arm(VFS_WRITE, 1, VFS_FULL, true);
	gate_open(&gate);
	group_wait(&g);
	for (int i = 0; i < GROUP; i++) {
		ck_assert_int_eq(g.ops[i].task.result, ERR_FULL);
		ck_assert(!stored(f.db, i));
	}
	vfs_fault_disarm();
	group_make(&later);
	group_run(&later, w);
	check_against_disk(&later);
}
END_TEST

START_TEST(a_failed_fsync_ends_writing_until_restart)
{
	struct group g, later;
	struct gate gate;
	struct writer_stats stats;

	group_make(&g);
	gate_close(&gate, w);
	group_submit(&g, w);
	vfs_fault_arm(VFS_SYNC, 1, VFS_FSYNC, false);
	gate_open(&gate);
	group_wait(&g);
	for (int i = 0; i < GROUP; i++)
		ck_assert_int_eq(g.ops[i].task.result, ERR_UNAVAILABLE);
	writer_stats(w, &stats);
	ck_assert(stats.failed);
	group_make(&later);
	ck_assert_int_eq(writer_submit(w, &later.ops[0].task), ERR_UNAVAILABLE);
	restart();
	ck_assert_int_eq(writer_start(f.db_path, &f.fake.env, NULL, &w), ERR_OK);
	group_run(&later, w);
	check_against_disk(&later);
}
END_TEST

/* The group's commit cannot be written; run one by one, the third cannot be synced. */
START_TEST(a_failed_fsync_among_single_runs_ends_writing_there)
{
	struct group g;
	struct gate gate;

	group_make(&g);
	gate_close(&gate, w);
	group_submit(&g, w);
	vfs_fault_arm(VFS_WRITE, 1, VFS_IO, false);
	vfs_fault_arm(VFS_SYNC, 3, VFS_FSYNC, false);
	gate_open(&gate);
	group_wait(&g);
	for (int i = 0; i < GROUP; i++)
		ck_assert_int_eq(g.ops[i].task.result, i < 2 ? ERR_OK : ERR_UNAVAILABLE);
	restart();
	for (int i = 0; i < 2; i++)
		ck_assert(stored(f.db, i));
	for (int i = 3; i < GROUP; i++) /* of the third nobody knows */
		ck_assert(!stored(f.db, i));
}
END_TEST

START_TEST(what_waited_behind_a_failed_fsync_is_refused_too)
{
	struct group g;
	struct op first;
	sem_t ready;
	_Atomic int counter = 0;
	struct gate gate;

	sem_init(&ready, 0, 0);
	op_make(&first, 99, &ready, &counter);
	group_make(&g);
	gate_close(&gate, w);
	ck_assert_int_eq(writer_submit(w, &first.task), ERR_OK);
	group_submit(&g, w);
	vfs_fault_arm(VFS_SYNC, 1, VFS_FSYNC, true);
	gate_open(&gate);
	group_wait(&g);
	sem_wait(&ready);
	for (int i = 0; i < GROUP; i++)
		ck_assert_int_eq(g.ops[i].task.result, ERR_UNAVAILABLE);
}
END_TEST

/* Every place of the commit, every failure, once and for ever: what was acknowledged is on the
 * disk. */
START_TEST(nothing_acknowledged_is_missing_whatever_write_fails)
{
	const enum vfs_failure failures[] = { VFS_FULL, VFS_IO, VFS_NOMEM };
	const int nth = 1 + _i / 6;
	struct group g;

	group_make(&g);
	group_submit(&g, w);
	vfs_fault_arm(VFS_WRITE, nth, failures[_i % 3], _i % 6 >= 3);
	group_wait(&g);
	check_against_disk(&g);
}
END_TEST

START_TEST(a_full_queue_sheds_and_counts)
{
	struct op *ops = calloc(WRITER_QUEUE_MAX + 1, sizeof(*ops));
	sem_t ready;
	_Atomic int counter = 0;
	struct gate gate;
	struct writer_stats stats;

	ck_assert_ptr_nonnull(ops);
	sem_init(&ready, 0, 0);
	gate_close(&gate, w);
	for (int i = 0; i <= WRITER_QUEUE_MAX; i++) {
		op_make(&ops[i], i, &ready, &counter);
		ck_assert_int_eq(writer_submit(w, &ops[i].task),
				 i < WRITER_QUEUE_MAX ? ERR_OK : ERR_BUSY);
	}
	writer_stats(w, &stats);
	ck_assert_uint_eq(stats.queued, WRITER_QUEUE_MAX);
	ck_assert_uint_eq(stats.shed, 1);
	gate_open(&gate);
	for (int i = 0; i < WRITER_QUEUE_MAX; i++)
		sem_wait(&ready);
	ck_assert(!ops[WRITER_QUEUE_MAX].done);
	restart();
	ck_assert(stored(f.db, WRITER_QUEUE_MAX - 1));
	ck_assert(!stored(f.db, WRITER_QUEUE_MAX));
	free(ops);
}
END_TEST

START_TEST(stopping_finishes_what_is_queued)
{
	struct group g;

	group_make(&g);
	group_submit(&g, w);
	check_against_disk(&g); /* stops the writer first */
	for (int i = 0; i < GROUP; i++)
		ck_assert(g.ops[i].done);
}
END_TEST

static int64_t file_size(const char *suffix)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", f.db_path, suffix);
	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

static enum err run_many_rows(struct lane_ctx *ctx, void *arg)
{
	enum err e = db_script(ctx->db, "DELETE FROM meta");

	(void)arg;
	return e ? e : run_sql(ctx->db, many_rows);
}

/* The next one is waiting before the writer looks at its log: it never pauses. */
static void submit_next(struct task *task)
{
	struct op *op = task->arg;

	if (task->result || ++op->runs == op->i || writer_submit(w, task))
		sem_post(op->ready);
}

static void write_many_rows(int times)
{
	struct op op;
	sem_t ready;

	sem_init(&ready, 0, 0);
	op_make(&op, times, &ready, NULL);
	op.task.run = run_many_rows;
	op.task.done = submit_next;
	ck_assert_int_eq(writer_submit(w, &op.task), ERR_OK);
	sem_wait(&ready);
	ck_assert_int_eq(op.task.result, ERR_OK);
	ck_assert_int_eq(op.runs, times);
}

/* About 16 MiB of log a time: without anybody moving it there would be 250. */
START_TEST(the_log_does_not_grow_without_bound)
{
	write_many_rows(16);
	ck_assert_int_lt(file_size("-wal"), 100 << 20);
}
END_TEST

/* Long before the writer would have to do it itself. */
START_TEST(a_second_thread_moves_the_log)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	const int64_t most = file_size("") + (4 << 20);

	write_many_rows(1);
	for (int i = 0; i < 2000 && file_size("") <= most; i++)
		nanosleep(&moment, NULL);
	ck_assert_int_gt(file_size(""), most);
}
END_TEST

/* ---- SIGKILL ---- */

enum { KILL_ROUNDS = 12 };

static int acknowledgements; /* the pipe's end in the child */

static void acknowledge(struct task *task)
{
	struct op *op = task->arg;
	unsigned char i = (unsigned char)op->i;

	if (task->result == ERR_OK)
		(void)!write(acknowledgements, &i, 1);
	sem_post(op->ready);
}

/* The child: a writer of its own that runs a group and is killed on the way. */
static void run_and_die(int round)
{
	static const char *const points[] = { "writer.op:9:abort", "writer.commit:2:abort",
					      "writer.committed:2:abort" };
	struct group g;

	if (round < 3) {
#ifdef CHANCERY_FAULTS
		fault_arm(points[round]);
#else
		(void)points;
		kill(getpid(), SIGKILL);
#endif
	} else {
		vfs_fault_arm(round % 2 ? VFS_WRITE : VFS_SYNC, 1 + round / 2, VFS_KILL, true);
	}
	if (writer_start(f.db_path, &f.fake.env, NULL, &w))
		_exit(1);
	group_make(&g);
	for (int i = 0; i < GROUP; i++)
		g.ops[i].task.done = acknowledge;
	for (int i = 0; i < GROUP; i++)
		if (writer_submit(w, &g.ops[i].task))
			_exit(1);
	group_wait(&g);
	kill(getpid(), SIGKILL); /* this round's point was never reached */
}

START_TEST(what_was_acknowledged_before_sigkill_is_there)
{
	int pipes[2], status;
	unsigned char i;
	pid_t child;

	writer_stop(w);
	w = NULL;
	db_close(f.db); /* no connection may cross a fork */
	f.db = NULL;
	ck_assert_int_eq(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		acknowledgements = pipes[1];
		run_and_die(_i);
		_exit(1);
	}
	close(pipes[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(db_open(f.db_path, DB_WRITE, false, &f.db), ERR_OK);
	while (read(pipes[0], &i, 1) == 1)
		ck_assert_msg(stored(f.db, i), "operation %d was acknowledged and is gone", i);
	close(pipes[0]);
}
END_TEST

/* ---- many threads ---- */

enum { THREADS = 4, OPS_PER_THREAD = 200 };

static void *submit_many(void *arg)
{
	struct op *ops = arg;

	for (int i = 0; i < OPS_PER_THREAD; i++)
		while (writer_submit(w, &ops[i].task) == ERR_BUSY)
			sched_yield();
	return NULL;
}

START_TEST(tasks_of_many_threads_are_each_answered_once)
{
	struct op *ops = calloc(THREADS * OPS_PER_THREAD, sizeof(*ops));
	pthread_t threads[THREADS];
	_Atomic int counter = 0;
	sem_t ready;

	sem_init(&ready, 0, 0);
	for (int i = 0; i < THREADS * OPS_PER_THREAD; i++) {
		op_make(&ops[i], i, &ready, &counter);
	}
	for (int t = 0; t < THREADS; t++)
		pthread_create(&threads[t], NULL, submit_many, ops + t * OPS_PER_THREAD);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	for (int i = 0; i < THREADS * OPS_PER_THREAD; i++)
		sem_wait(&ready);
	ck_assert_int_eq(counter, THREADS * OPS_PER_THREAD);
	restart();
	for (int i = 0; i < THREADS * OPS_PER_THREAD; i++)
		ck_assert(stored(f.db, i) && ops[i].runs == 1);
	free(ops);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("writer");
	TCase *t = tcase_create("writer");
	SRunner *r;
	int failed;

	vfs_fault_install();
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_group_is_one_transaction_and_is_answered_in_order);
	tcase_add_loop_test(t, trouble_in_one_operation_costs_only_that_one, 0, TROUBLES * GROUP);
	tcase_add_loop_test(t, a_commit_that_fails_once_is_made_good_one_by_one, 0, 9);
	tcase_add_test(t, a_disk_that_stays_full_refuses_all_and_recovers_by_itself);
	tcase_add_test(t, a_failed_fsync_ends_writing_until_restart);
	tcase_add_test(t, a_failed_fsync_among_single_runs_ends_writing_there);
	tcase_add_test(t, what_waited_behind_a_failed_fsync_is_refused_too);
	tcase_add_loop_test(t, nothing_acknowledged_is_missing_whatever_write_fails, 0, 60);
	tcase_add_test(t, a_full_queue_sheds_and_counts);
	tcase_add_test(t, stopping_finishes_what_is_queued);
	tcase_add_test(t, the_log_does_not_grow_without_bound);
	tcase_add_test(t, a_second_thread_moves_the_log);
	tcase_add_loop_test(t, what_was_acknowledged_before_sigkill_is_there, 0, KILL_ROUNDS);
	tcase_add_test(t, tasks_of_many_threads_are_each_answered_once);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
