/* The pools: every task is answered once by a thread with a reader of its own, a full queue sheds.
 * And the same task run in the caller. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/helpers/store_fixture.h"

enum { THREADS = 3, QUEUE = 8, NICE = 10 };

static struct store_fixture f;
static struct pool *pool;

static void set_up(void)
{
	struct pool_options options = { "test", THREADS, QUEUE, NICE, NULL };

	store_fixture_up(&f);
	options.db_path = f.db_path;
	ck_assert_int_eq(pool_start(&options, &f.fake.env, &pool), ERR_OK);
}

static void tear_down(void)
{
	pool_stop(pool);
	pool = NULL;
	store_fixture_down(&f);
}

struct job {
	struct task task;
	sem_t *go;   /* waited for, when set */
	sem_t *done; /* posted afterwards */
	_Atomic int runs;
	int nice;
	enum err found; /* what a read said */
	bool in_transaction;
};

static enum err run_job(struct lane_ctx *ctx, void *arg)
{
	struct job *job = arg;
	struct arena *a;

	if (job->go)
		sem_wait(job->go);
	atomic_fetch_add(&job->runs, 1);
	job->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
	if (arena_new(4096, &a))
		return ERR_NOMEM;
	if (ctx->db) {
		struct str value;

		job->in_transaction = db_in_transaction(ctx->db);
		job->found = store_meta_get(ctx->db, a, "x", &value);
	}
	arena_free(a);
	return ctx->env == &f.fake.env ? ERR_CONFLICT : ERR_INTERNAL;
}

static void job_done(struct task *task)
{
	struct job *job = task->arg;

	if (job->done)
		sem_post(job->done);
}

static void job_make(struct job *job, sem_t *go, sem_t *done)
{
	*job = (struct job){ .go = go, .done = done };
	job->task = (struct task){ .run = run_job, .arg = job, .done = job_done };
}

START_TEST(a_task_gets_a_reader_and_its_answer)
{
	struct job job;
	sem_t done;

	sem_init(&done, 0, 0);
	ck_assert_int_eq(store_meta_put(f.db, "x", STR("1")), ERR_OK);
	job_make(&job, NULL, &done);
	ck_assert_int_eq(pool_submit(pool, &job.task), ERR_OK);
	sem_wait(&done);
	ck_assert_int_eq(job.task.result, ERR_CONFLICT); /* what run said, whatever it was */
	ck_assert_int_eq(job.found, ERR_OK);
	ck_assert(!job.in_transaction);
	ck_assert_int_eq(job.nice, NICE);
}
END_TEST

START_TEST(a_full_pool_sheds_and_counts)
{
	struct job jobs[THREADS + QUEUE + 1];
	sem_t go, done;

	sem_init(&go, 0, 0);
	sem_init(&done, 0, 0);
	for (int i = 0; i < THREADS; i++) {
		job_make(&jobs[i], &go, &done);
		ck_assert_int_eq(pool_submit(pool, &jobs[i].task), ERR_OK);
	}
	while (pool_queued(pool) > 0)
		sched_yield(); /* until each thread has one in hand */
	for (int i = THREADS; i < THREADS + QUEUE + 1; i++) {
		job_make(&jobs[i], &go, &done);
		ck_assert_int_eq(pool_submit(pool, &jobs[i].task),
				 i < THREADS + QUEUE ? ERR_OK : ERR_BUSY);
	}
	ck_assert_uint_eq(pool_queued(pool), QUEUE);
	ck_assert_uint_eq(pool_shed(pool), 1);
	for (int i = 0; i < THREADS + QUEUE; i++)
		sem_post(&go);
	for (int i = 0; i < THREADS + QUEUE; i++)
		sem_wait(&done);
	for (int i = 0; i < THREADS + QUEUE; i++)
		ck_assert_int_eq(jobs[i].runs, 1);
	ck_assert_int_eq(jobs[THREADS + QUEUE].runs, 0);
}
END_TEST

START_TEST(stopping_a_pool_finishes_what_is_queued)
{
	struct job jobs[QUEUE];

	for (int i = 0; i < QUEUE; i++) {
		job_make(&jobs[i], NULL, NULL);
		ck_assert_int_eq(pool_submit(pool, &jobs[i].task), ERR_OK);
	}
	pool_stop(pool);
	pool = NULL;
	for (int i = 0; i < QUEUE; i++)
		ck_assert_int_eq(jobs[i].runs, 1);
}
END_TEST

START_TEST(a_pool_without_a_database_cannot_start)
{
	struct pool_options options = { "test", 1, 1, 0, "/no/such/folder/x.db" };
	struct pool *none = NULL;

	ck_assert_int_eq(pool_start(&options, &f.fake.env, &none), ERR_NOT_FOUND);
	ck_assert_ptr_null(none);
}
END_TEST

/* ---- run in the caller ---- */

static enum err put_then(struct lane_ctx *ctx, void *arg)
{
	enum err e = store_meta_put(ctx->db, "inline", STR("here"));

	return e ? e : *(enum err *)arg;
}

START_TEST(an_inline_write_is_all_or_nothing)
{
	enum err says = ERR_CONFLICT;
	struct task task = { .run = put_then, .arg = &says };
	struct str value;

	lane_run_inline(f.db, &f.fake.env, LANE_WRITER, &task);
	ck_assert_int_eq(task.result, ERR_CONFLICT);
	ck_assert_int_eq(store_meta_get(f.db, f.arena, "inline", &value), ERR_NOT_FOUND);
	says = ERR_OK;
	lane_run_inline(f.db, &f.fake.env, LANE_WRITER, &task);
	ck_assert_int_eq(task.result, ERR_OK);
	ck_assert(!db_in_transaction(f.db));
	ck_assert_int_eq(store_meta_get(f.db, f.arena, "inline", &value), ERR_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_task_gets_a_reader_and_its_answer);
	tcase_add_test(t, a_full_pool_sheds_and_counts);
	tcase_add_test(t, stopping_a_pool_finishes_what_is_queued);
	tcase_add_test(t, a_pool_without_a_database_cannot_start);
	tcase_add_test(t, an_inline_write_is_all_or_nothing);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
