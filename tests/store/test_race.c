/* One refresh token presented many times at once, and SIGKILL between the commit and the answers:
 * one successor, the same for all who ask, and nobody is signed out by accident. */
#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oauth/machine.h"
#include "tests/helpers/store_fixture.h"

enum { ROUNDS = 200, PARALLEL = 64, THREADS = 4, WINDOW = 10, KEY_ID = 1 };

static struct store_fixture f;
static struct writer *w;
static struct login login;
static const struct secret key = { { 7 } };

/* RT(n) of the login, as its client presents it now. */
static struct refresh_request request(uint32_t n)
{
	struct refresh_bind bind = {
		.key = &key,
		.key_id = KEY_ID,
		.issuer = STR("https://id.example"),
		.epoch = 1,
		.client_id = login.client_id,
		.seed = login.seed,
	};
	struct refresh_request in = {
		.bind = bind,
		.client_id = login.client_id,
		.now = atomic_load(&f.fake.now),
		.retry_window = WINDOW,
		.idle_ttl = 10000,
		.revoke_until = atomic_load(&f.fake.now) + 1000,
		.rotate = true,
	};
	struct buf b;
	struct str text;

	buf_init(&b, f.arena, 512);
	refresh_write(&b, &bind, login.id, n);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_int_eq(refresh_read(text, &in.name), ERR_OK);
	return in;
}

struct attempt {
	struct task task;
	struct refresh_request in;
	struct refresh_result out;
	struct arena *arena;
	sem_t *answered;
	int kill_after; /* answers before the process dies; -1: it lives */
	_Atomic int *answers;
};

static enum err run_attempt(struct lane_ctx *ctx, void *arg)
{
	struct attempt *a = arg;

	arena_reset(a->arena);
	return store_refresh(ctx->db, a->arena, &a->in, &a->out);
}

/* On the writer's thread after the commit, before anybody is answered. */
static void attempt_done(struct task *task)
{
	struct attempt *a = task->arg;

	if (atomic_fetch_add(a->answers, 1) == a->kill_after)
		kill(getpid(), SIGKILL);
	sem_post(a->answered);
}

struct attempts {
	struct attempt each[PARALLEL];
	sem_t answered;
	_Atomic int answers;
};

static void attempts_make(struct attempts *all, uint32_t n, int kill_after)
{
	sem_init(&all->answered, 0, 0);
	atomic_init(&all->answers, 0);
	for (int i = 0; i < PARALLEL; i++) {
		struct attempt *a = &all->each[i];

		*a = (struct attempt){ .in = request(n),
				       .answered = &all->answered,
				       .kill_after = kill_after,
				       .answers = &all->answers };
		a->task = (struct task){ .run = run_attempt, .arg = a, .done = attempt_done };
		ck_assert_int_eq(arena_new(64 << 10, &a->arena), ERR_OK);
	}
}

static void *submit_some(void *arg)
{
	struct attempt *from = arg;

	for (int i = 0; i < PARALLEL / THREADS; i++)
		if (writer_submit(w, &from[i].task))
			abort();
	return NULL;
}

static void attempts_run(struct attempts *all)
{
	pthread_t threads[THREADS];

	ck_assert_int_eq(writer_start(f.db_path, &f.fake.env, NULL, &w), ERR_OK);
	for (int t = 0; t < THREADS; t++)
		pthread_create(&threads[t], NULL, submit_some, &all->each[t * PARALLEL / THREADS]);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	for (int i = 0; i < PARALLEL; i++)
		sem_wait(&all->answered);
	writer_stop(w);
	w = NULL;
}

static void attempts_free(struct attempts *all)
{
	for (int i = 0; i < PARALLEL; i++)
		arena_free(all->each[i].arena);
}

/* In a child that dies after `kill_after` answers; no connection of ours may cross the fork. */
static void run_and_die(uint32_t n, int kill_after)
{
	static struct attempts all;
	int status;
	pid_t child;

	db_close(f.db);
	f.db = NULL;
	child = fork();
	if (child == 0) {
		attempts_make(&all, n, kill_after);
		attempts_run(&all);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(db_open(f.db_path, DB_WRITE, false, &f.db), ERR_OK);
}

static void run_and_live(uint32_t n)
{
	static struct attempts all;
	int rotated = 0;

	attempts_make(&all, n, -1);
	attempts_run(&all);
	for (int i = 0; i < PARALLEL; i++) {
		const struct attempt *a = &all.each[i];

		ck_assert_int_eq(a->task.result, ERR_OK);
		ck_assert(a->out.outcome == REFRESH_ROTATED || a->out.outcome == REFRESH_REPEATED);
		ck_assert_uint_eq(a->out.login.n, n + 1);
		rotated += a->out.outcome == REFRESH_ROTATED;
	}
	ck_assert_int_eq(rotated, 1);
	attempts_free(&all);
}

static struct refresh_result present(uint32_t n)
{
	struct refresh_request in = request(n);
	struct refresh_result r;

	ck_assert_int_eq(store_refresh(f.db, f.arena, &in, &r), ERR_OK);
	return r;
}

static void set_up(void)
{
	store_fixture_up(&f);
	store_fixture_client(&f, "app", "read", "");
	store_fixture_user(&f, "u1", "Alice");
	login = (struct login){
		.id = { 1 },
		.seed = { 2 },
		.sid = STR("sid"),
		.client_id = STR("app"),
		.user_id = STR("u1"),
		.scope = STR("read"),
		.expires_at = FIXTURE_NOW + 100000,
		.idle_until = FIXTURE_NOW + 10000,
		.rotated_at = FIXTURE_NOW,
	};
	ck_assert_int_eq(store_login_create(f.db, &login), ERR_OK);
}

static void tear_down(void)
{
	store_fixture_down(&f);
}

START_TEST(parallel_refreshes_have_one_successor_through_crashes)
{
	for (uint32_t n = 0; n < ROUNDS; n++) {
		struct refresh_result retry;

		fake_env_advance(&f.fake, 2 * WINDOW);
		if (n % 3 == 0)
			run_and_die(n, (int)(n % PARALLEL));
		else
			run_and_live(n);
		fake_env_advance(&f.fake, 1);
		retry = present(n); /* the honest client whose answer was lost */
		ck_assert_int_eq(retry.outcome, REFRESH_REPEATED);
		ck_assert_uint_eq(retry.login.n, n + 1);
	}
	ck_assert_int_eq(present(ROUNDS - 2).outcome, REFRESH_REUSED);
	ck_assert_int_eq(present(ROUNDS).outcome, REFRESH_UNKNOWN); /* the login is dead */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("race");
	TCase *t = tcase_create("race");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, parallel_refreshes_have_one_successor_through_crashes);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
