/* The keyring: half a year of its life, and its death at every step. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "tests/helpers/keyring_fixture.h"
#include "tests/unit/suite.h"

/* ---- the plan ---- */

START_TEST(a_planned_switch_comes_on_its_day)
{
	struct key_info standby = info_of(KEY_STANDBY);
	struct keyring_counts counts;

	OK(tend());
	advance(PERIOD - 1);
	OK(tend());
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, standby.kid);
	advance(1);
	OK(tend());
	assert_signs_with(standby.kid);
	ck_assert_int_eq(info_of(KEY_STANDBY).activate_at, now() + PERIOD);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.rotate' AND "
				    "actor = 'system' AND target <> ''"),
			 1);
	keyring_counts(o.keyring, &counts);
	ck_assert_uint_eq(counts.scheduled, 1);
	assert_lint();
}
END_TEST

static void serve_present_view(void)
{
	struct keyring_view *v = keyring_view_get(o.keyring);

	keyring_served(o.keyring, v);
	keyring_view_unref(v);
}

START_TEST(a_standby_that_was_served_late_signs_late)
{
	struct rotate_result r = { .ready_at = 0 };
	struct key_info next;

	serve_present_view();
	advance(PERIOD);
	OK(tend()); /* the first standby was ready at once; its successor is not served yet */
	next = info_of(KEY_STANDBY);
	advance(PERIOD);
	OK(tend());
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, next.kid);
	ck_assert_int_eq(rotate(false, &r), ERR_NOT_READY);
	serve_present_view();
	advance(READY_AFTER - 1);
	serve_present_view(); /* again, which makes it no younger */
	OK(tend());
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, next.kid);
	ck_assert_int_eq(rotate(false, &r), ERR_NOT_READY);
	ck_assert_int_eq(r.ready_at, now() + 1);
	advance(1);
	OK(tend());
	assert_signs_with(next.kid);
}
END_TEST

START_TEST(what_was_ready_before_a_restart_need_not_wait_again)
{
	struct rotate_result r;

	advance(PERIOD);
	OK(tend());
	advance(info_of(KEY_STANDBY).ready_at - now());
	reopen();
	serve_present_view();
	OK(rotate(false, &r));
}
END_TEST

START_TEST(a_jump_that_nobody_has_judged_moves_nothing)
{
	struct rotate_result r;
	struct key_info standby, retiring;

	OK(rotate(false, &r));
	standby = info_of(KEY_STANDBY);
	retiring = info_of(KEY_RETIRING);
	keyring_set_time(o.keyring, now());
	atomic_fetch_add(&o.store.fake.now, 3650 * (int64_t)DAY);
	OK(tend());
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, standby.kid);
	ck_assert_str_eq(info_of(KEY_RETIRING).kid, retiring.kid);
	keyring_set_time(o.keyring, now());
	OK(tend());
	ck_assert_str_eq(info_of(KEY_ACTIVE).kid, standby.kid);
}
END_TEST

enum { ALIVE_MAX = 32 };

/* Every token that has not expired finds its key in the published set. */
static void assert_all_have_keys(const struct issued *alive)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	AUTO(jwks, set) = NULL;

	OK(jwks_parse(v->documents[JWKS_WHOLE].text, &set));
	for (size_t i = 0; i < ALIVE_MAX; i++)
		ck_assert(alive[i].exp <= now() || jwks_find(set, str_z(alive[i].kid)));
	keyring_view_unref(v);
}

START_TEST(in_half_a_year_no_token_is_left_without_its_key)
{
	static struct issued alive[ALIVE_MAX];
	int64_t end = now() + 180 * DAY, next;
	size_t turn;
	bool changed;

	for (turn = 0; now() < end; turn++) {
		OK(keyring_tend(o.keyring, &next, &changed));
		assert_lint();
		assert_all_have_keys(alive);
		OK(issue(ACCESS_TTL_MAX - (int64_t)turn % 7 * 1000, &alive[turn % ALIVE_MAX]));
		if (turn % 500 == 0) {
			signer_fixture_restart(&o.signer);
			OK(keyring_reload_signer(o.keyring, &o.signer.control));
		}
		ck_assert_int_gt(next, now());
		advance(next - now() + (int64_t)(turn * 7919 % 600)); /* not always in time */
	}
	ck_assert_uint_eq(count_in(KEY_REMOVED) + count_in(KEY_RETIRING), 5);
	ck_assert_uint_ge(count_in(KEY_REMOVED), 4);
	ck_assert_uint_gt(turn, 1000);
}
END_TEST

#ifdef CHANCERY_FAULTS
START_TEST(a_bound_is_durable_before_the_signer_may_use_it)
{
	struct key_info before = info_of(KEY_ACTIVE);
	struct issued token;

	advance(KEYRING_BOUND_STEP + 1);
	fault_arm("key.bound.committed:1:error");
	ck_assert_int_eq(tend(), ERR_IO);
	fault_arm(NULL);
	ck_assert_int_eq(stored(before.kid).exp_bound,
			 now() + ACCESS_TTL_MAX + 2 * KEYRING_BOUND_STEP);
	advance(KEYRING_BOUND_STEP - 1);
	OK(issue(ACCESS_TTL_MAX, &token)); /* the old bound, to its last second */
	advance(1);
	ck_assert_int_eq(issue(ACCESS_TTL_MAX, &token), ERR_UNAVAILABLE);
	OK(tend());
	OK(issue(ACCESS_TTL_MAX, &token));
	assert_lint();
}
END_TEST
#endif

START_TEST(a_new_algorithm_is_published_before_it_signs)
{
	struct keyring_view *v;
	int64_t made_at;

	o.config.keys.algs[1] = ALG_RS256;
	o.config.keys.alg_count = 2;
	keyring_configure(o.keyring, &o.config);
	OK(tend());
	made_at = now();
	v = keyring_view_get(o.keyring);
	ck_assert_ptr_nonnull(key_plan_find(v->infos, v->count, ALG_RS256, KEY_STANDBY));
	ck_assert_ptr_null(key_plan_find(v->infos, v->count, ALG_RS256, KEY_ACTIVE));
	ck_assert_int_eq(keyring_jwks_promise(o.keyring, v, now()).max_age, MAX_AGE);
	keyring_view_unref(v);
	advance(READY_AFTER - 1);
	OK(tend());
	advance(1);
	OK(tend());
	v = keyring_view_get(o.keyring);
	ck_assert_int_eq(key_plan_find(v->infos, v->count, ALG_RS256, KEY_ACTIVE)->activate_at,
			 made_at + READY_AFTER);
	ck_assert_ptr_nonnull(key_plan_find(v->infos, v->count, ALG_RS256, KEY_STANDBY));
	keyring_view_unref(v);
	assert_lint();
}
END_TEST

START_TEST(a_default_algorithm_without_a_key_stops_the_start)
{
	keyring_free(o.keyring);
	o.keyring = NULL;
	o.config.tokens.alg = ALG_RS256;
	ck_assert_int_eq(open_keyring(true), ERR_NOT_READY);
}
END_TEST

START_TEST(a_longer_max_age_is_written_down_before_it_is_promised)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	struct jwks_promise p = keyring_jwks_promise(o.keyring, v, now());
	struct rotate_result r = { .kid = "" };

	ck_assert_int_eq(p.max_age, MAX_AGE);
	ck_assert_int_eq(p.stale_while, PROMISE - MAX_AGE);
	o.config.keys.jwks_max_age = 4 * MAX_AGE;
	keyring_configure(o.keyring, &o.config);
	o.mood = STORE_REFUSES;
	ck_assert_int_eq(tend(), ERR_FULL);
	p = keyring_jwks_promise(o.keyring, v, now());
	ck_assert_int_le(p.max_age + p.stale_while, PROMISE);
	o.mood = STORE_WORKS;
	advance(60);
	OK(tend());
	p = keyring_jwks_promise(o.keyring, v, now());
	ck_assert_int_eq(p.max_age, 4 * MAX_AGE);
	ck_assert_int_eq(p.max_age + p.stale_while, 4 * PROMISE);
	keyring_view_unref(v);
	/* and remembered when it is shortened again, by a later server too */
	configure();
	reopen();
	OK(rotate(false, &r));
	ck_assert_int_eq(info_of(KEY_STANDBY).ready_at, now() + 4 * PROMISE + KEYRING_SKEW);
}
END_TEST

/* ---- failures ---- */

START_TEST(a_store_that_refuses_changes_nothing)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct rotate_result r = { .kid = "" };
	struct keyring_counts counts;

	o.mood = STORE_REFUSES;
	ck_assert_int_eq(rotate(false, &r), ERR_FULL);
	ck_assert_str_eq(r.kid, "");
	assert_signs_with(active.kid);
	ck_assert_int_eq(signer_bound(&o.signer.control, str_z(standby.kid), 0), ERR_NOT_FOUND);
	o.mood = STORE_WORKS;
	OK(tend());
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, standby.kid);
	keyring_counts(o.keyring, &counts);
	ck_assert_uint_eq(counts.failed, 1);
	OK(rotate(false, &r));
	assert_signs_with(standby.kid);
}
END_TEST

START_TEST(a_commit_whose_answer_was_lost_is_found_out)
{
	struct key_info standby = info_of(KEY_STANDBY);
	struct rotate_result r = { .kid = "" };

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(rotate(false, &r), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	OK(tend());
	ck_assert_str_eq(info_of(KEY_ACTIVE).kid, standby.kid);
	assert_signs_with(standby.kid);
	assert_lint();
}
END_TEST

#ifdef CHANCERY_FAULTS
START_TEST(a_signer_that_dies_before_the_switch_is_followed_by_one_that_knows)
{
	struct key_info standby = info_of(KEY_STANDBY);
	struct rotate_result r = { .kid = "" };

	fault_arm("key.rotate.committed:1:error");
	ck_assert_int_eq(rotate(false, &r), ERR_IO);
	fault_arm(NULL);
	ck_assert_str_eq(stored(standby.kid).kid, standby.kid);
	ck_assert_int_eq(stored(standby.kid).state, KEY_ACTIVE);
	signer_fixture_restart(&o.signer);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	OK(tend());
	assert_signs_with(standby.kid);
	assert_lint();
}
END_TEST
#endif

struct actor {
	pthread_t thread;
	size_t rotated, tended;
};

static void *act(void *arg)
{
	struct actor *a = arg;

	for (int i = 0; i < 20; i++) {
		struct rotate_result r;

		a->rotated += rotate(true, &r) == ERR_OK;
		a->tended += tend() == ERR_OK;
	}
	return NULL;
}

START_TEST(acts_of_many_threads_take_turns_and_readers_do_not_wait)
{
	struct actor actors[3] = { { .rotated = 0 } };
	size_t rotated = 0, tended = 0;

	for (size_t i = 0; i < COUNT(actors); i++)
		ck_assert_int_eq(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
	for (int i = 0; i < 2000; i++) {
		struct keyring_view *v = keyring_view_get(o.keyring);

		ck_assert_uint_gt(v->documents[JWKS_WHOLE].text.n, 0);
		ck_assert_int_ge(keyring_jwks_promise(o.keyring, v, FIXTURE_NOW).max_age, 1);
		keyring_view_unref(v);
	}
	for (size_t i = 0; i < COUNT(actors); i++) {
		pthread_join(actors[i].thread, NULL);
		rotated += actors[i].rotated;
		tended += actors[i].tended;
	}
	ck_assert_uint_eq(rotated, 60);
	ck_assert_uint_eq(tended, 60);
	ck_assert_uint_eq(count_in(KEY_RETIRING), 60);
	advance(READY_AFTER);
	assert_lint();
	assert_signs_with(info_of(KEY_ACTIVE).kid);
}
END_TEST

START_TEST(the_control_channel_is_renewed_between_acts)
{
	struct signer_fixture other;
	struct signer_channel fresh;
	struct key_info active = info_of(KEY_ACTIVE);

	signer_fixture_start(&other);
	signer_fixture_clock(&other, FIXTURE_NOW);
	fresh = other.control;
	OK(keyring_reload_signer(o.keyring, &fresh));
	ck_assert_int_eq(fresh.fd, -1);
	ck_assert_int_eq(o.signer.control.fd, other.control.fd);
	/* the other signer is the office's from now on */
	signer_fixture_kill(&o.signer);
	o.signer.pid = other.pid;
	for (size_t i = 0; i < SIGNER_FIXTURE_LANES; i++) {
		signer_channel_close(&o.signer.signing[i]);
		o.signer.signing[i] = other.signing[i];
	}
	assert_signs_with(active.kid);
}
END_TEST

START_TEST(a_signer_that_hangs_is_told_from_one_that_is_gone)
{
	int status;

	o.signer.control.patience_ms = 0;
	ck_assert_int_eq(kill(o.signer.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(o.signer.pid, &status, WUNTRACED), o.signer.pid);
	ck_assert_int_eq(keyring_ping(o.keyring), ERR_TIMEOUT);
	ck_assert_int_eq(tend(), ERR_TIMEOUT); /* at once: it owes an answer */
	signer_fixture_kill(&o.signer);
	ck_assert_int_eq(tend(), ERR_UNAVAILABLE);
	ck_assert_int_eq(o.signer.control.fd, -1);
	signer_fixture_start(&o.signer);
	signer_fixture_clock(&o.signer, FIXTURE_NOW);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	OK(tend());
	assert_signs_with(info_of(KEY_ACTIVE).kid);
}
END_TEST

START_TEST(after_a_failure_the_plan_pauses_and_then_goes_on)
{
	int64_t next;
	bool changed;

	advance(KEYRING_BOUND_STEP + 1);
	o.mood = STORE_REFUSES;
	ck_assert_int_eq(keyring_tend(o.keyring, &next, &changed), ERR_FULL);
	ck_assert(!changed);
	ck_assert_int_gt(next, now());
	o.mood = STORE_WORKS;
	OK(keyring_tend(o.keyring, &next, &changed));
	ck_assert(!changed); /* not yet */
	advance(next - now());
	OK(keyring_tend(o.keyring, &next, &changed));
	ck_assert(changed);
	assert_lint();
}
END_TEST

#ifdef CHANCERY_FAULTS
/* ---- crashes: a child dies at the point, the parent opens what it left ---- */

static const struct crash {
	const char *spec;
	bool switched; /* the database says so */
} crashes[] = {
	{ "key.rotate.generated:1:abort", false },
	{ "key.rotate.committed:1:abort", true },
	{ "key.rotate.activated:1:abort", true },
	{ "key.rotate.settled:1:abort", true },
};

static void die_while_rotating(const char *spec)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct rotate_result r;

		store_fixture_reopen(&o.store);
		signer_fixture_start(&o.signer);
		signer_fixture_clock(&o.signer, FIXTURE_NOW);
		OK(open_keyring(false));
		fault_arm(spec);
		_exit(rotate(false, &r) ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: status %d", spec,
		      status);
}

START_TEST(a_crash_at_any_step_of_a_rotation_leaves_a_healthy_set)
{
	for (size_t i = 0; i < COUNT(crashes); i++) {
		struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
		struct issued old;

		OK(issue(300, &old));
		keyring_free(o.keyring);
		o.keyring = NULL;
		die_while_rotating(crashes[i].spec);
		reopen();
		ck_assert_str_eq(info_of(KEY_ACTIVE).kid,
				 crashes[i].switched ? standby.kid : active.kid);
		assert_lint();
		assert_signs_with(info_of(KEY_ACTIVE).kid);
		ck_assert(verifies(&old));
		OK(tend());
		assert_lint();
		advance(READY_AFTER); /* the next standby */
	}
}
END_TEST
#endif

int main(void)
{
	const TTest *const tests[] = {
		a_planned_switch_comes_on_its_day,
		a_standby_that_was_served_late_signs_late,
		what_was_ready_before_a_restart_need_not_wait_again,
		a_jump_that_nobody_has_judged_moves_nothing,
		in_half_a_year_no_token_is_left_without_its_key,
		a_new_algorithm_is_published_before_it_signs,
		a_default_algorithm_without_a_key_stops_the_start,
		a_longer_max_age_is_written_down_before_it_is_promised,
		a_store_that_refuses_changes_nothing,
		a_commit_whose_answer_was_lost_is_found_out,
		acts_of_many_threads_take_turns_and_readers_do_not_wait,
		the_control_channel_is_renewed_between_acts,
		a_signer_that_hangs_is_told_from_one_that_is_gone,
		after_a_failure_the_plan_pauses_and_then_goes_on,
#ifdef CHANCERY_FAULTS
		a_bound_is_durable_before_the_signer_may_use_it,
		a_signer_that_dies_before_the_switch_is_followed_by_one_that_knows,
		a_crash_at_any_step_of_a_rotation_leaves_a_healthy_set,
#endif
	};
	TCase *tc = tcase_create("keyring plan");

	tcase_add_checked_fixture(tc, keyring_up, keyring_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("keyring plan", tc);
}
