/* The keyring after something failed half way: a commit that was hidden, a crash, a signer that
 * does not get on. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keys/signer_frame.h"
#include "server/state/keyring_priv.h"
#include "tests/helpers/keyring_fixture.h"
#include "tests/unit/suite.h"

static enum err revoke_kid(const char *kid)
{
	struct revoke_result r;

	return keyring_revoke(o.keyring, str_z(kid), NULL, &r);
}

/* ---- commits that were hidden ---- */

START_TEST(a_new_signer_does_not_bring_a_revoked_key_back)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_kid(active.kid), ERR_UNAVAILABLE);
	ck_assert_int_eq(stored(active.kid).state, KEY_REVOKED);
	o.mood = STORE_WORKS;
	signer_fixture_restart(&o.signer);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	assert_signs_with(standby.kid);
	ck_assert(keyring_key_named(o.keyring, str_z(active.kid))->info.state == KEY_REVOKED);
}
END_TEST

START_TEST(a_new_signer_waits_for_a_database_that_is_to_be_followed)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct issued token;

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_kid(active.kid), ERR_UNAVAILABLE);
	o.mood = STORE_REFUSES;
	signer_fixture_restart(&o.signer);
	ck_assert_int_eq(keyring_reload_signer(o.keyring, &o.signer.control), ERR_FULL);
	ck_assert_int_eq(issue(300, &token), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	OK(tend());
	assert_signs_with(standby.kid);
}
END_TEST

START_TEST(a_revoked_key_without_a_successor_signs_nothing_more)
{
	struct key_info active = info_of(KEY_ACTIVE);
	struct issued token;

	lose_standby();
	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_kid(active.kid), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	ck_assert_int_eq(revoke_kid(active.kid), ERR_REUSED);
	ck_assert_int_eq(issue(300, &token), ERR_UNAVAILABLE);
	OK(tend());
	OK(tend()); /* one key a visit, and it takes two */
	OK(issue(300, &token));
	ck_assert_str_ne(token.kid, active.kid);
}
END_TEST

START_TEST(a_crash_before_the_new_key_ends_the_emergency_at_the_start)
{
	struct key_info active = info_of(KEY_ACTIVE);

	lose_standby();
	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_kid(active.kid), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	reopen();
	ck_assert_str_ne(info_of(KEY_ACTIVE).kid, active.kid);
	assert_signs_with(info_of(KEY_ACTIVE).kid);
}
END_TEST

/* ---- everything revoked ---- */

static enum err prepare(void *arg)
{
	const struct secret next = { "the master key that is to follow" };

	(void)arg;
	return signer_master_next(&o.signer.custody, &next);
}

static enum err commit(void *arg)
{
	(void)arg;
	return signer_master_commit(&o.signer.custody);
}

static enum err revoke_all(void)
{
	struct revoke_result results[REVOKE_ALL_MAX];
	size_t count;

	return keyring_revoke_all(o.keyring, NULL, results, &count);
}

static void open_with_custody(void)
{
	o.custody = (struct keyring_custody){ prepare, commit, NULL };
	reopen();
}

START_TEST(what_a_hidden_rotation_made_is_revoked_with_the_others)
{
	struct rotate_result r;

	open_with_custody();
	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(rotate(false, &r), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	OK(revoke_all());
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys"), 3);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys WHERE state <> 'revoked'"), 0);
}
END_TEST

START_TEST(revoking_all_can_be_tried_again)
{
	struct issued token;

	open_with_custody();
	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_all(), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	OK(revoke_all());
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys WHERE state <> 'revoked'"), 0);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM roots"), 2);
	ck_assert_int_eq(issue(300, &token), ERR_UNAVAILABLE);
}
END_TEST

/* ---- views and signers ---- */

START_TEST(a_view_that_a_refused_act_left_is_told_of)
{
	struct rotate_result r;
	int64_t next;
	bool changed;

	lose_standby();
	ck_assert_int_eq(rotate(false, &r), ERR_NOT_READY); /* it has made one */
	OK(keyring_tend(o.keyring, &next, &changed));
	ck_assert(changed);
	OK(keyring_tend(o.keyring, &next, &changed));
	ck_assert(!changed);
}
END_TEST

/* Whatever is asked. */
static void say_busy(int fd)
{
	char frame[SIGNER_FRAME_MAX];
	struct signer_request in;
	size_t n;

	while (signer_frame_recv(fd, frame, sizeof(frame), 0, &n) &&
	       signer_request_parse(str_n(frame, n), &in)) {
		struct signer_answer out = { .head = { .seq = in.head.seq, .err = ERR_BUSY } };

		if (!signer_answer_send(fd, &out))
			break;
	}
	_exit(0);
}

static int64_t ten_seconds_a_look(const struct env *env)
{
	static int64_t now;

	(void)env;
	return now += 10 * 1000000;
}

START_TEST(a_signer_that_is_busy_for_ever_is_not_waited_for_as_long)
{
	struct rotate_result r;
	int pair[2];
	pid_t pid;

	OK(signer_channel_pair(pair));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(pair[0]);
		say_busy(pair[1]);
	}
	close(pair[1]);
	signer_channel_close(&o.signer.control);
	o.signer.control.fd = pair[0];
	o.store.fake.env.monotonic = ten_seconds_a_look;
	ck_assert_int_eq(rotate(false, &r), ERR_UNAVAILABLE);
	signer_channel_close(&o.signer.control);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_new_signer_does_not_bring_a_revoked_key_back,
		a_new_signer_waits_for_a_database_that_is_to_be_followed,
		a_revoked_key_without_a_successor_signs_nothing_more,
		a_crash_before_the_new_key_ends_the_emergency_at_the_start,
		what_a_hidden_rotation_made_is_revoked_with_the_others,
		revoking_all_can_be_tried_again,
		a_view_that_a_refused_act_left_is_told_of,
		a_signer_that_is_busy_for_ever_is_not_waited_for_as_long,
	};
	TCase *tc = tcase_create("keyring astray");

	tcase_add_checked_fixture(tc, keyring_up, keyring_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("keyring astray", tc);
}
