/* When the key set is looked at, and what a look does to an activation. The clock is the test's,
 * the fetch children and the web server are real. */
#include "server/serve/prober.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tests/helpers/fake_env.h"
#include "tests/helpers/fetch_fixture.h"
#include "tests/helpers/web_stub.h"
#include "tests/unit/probe_set.h"
#include "tests/unit/suite.h"

enum { NOW = 1700000000, WAIT_MS = 60000, DAY = 86400 };

#define ES (1U << ALG_ES256)
#define HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define OLD_SET HEAD "{\"keys\":[" EC_JWK("a") "]}"
#define NEW_SET HEAD "{\"keys\":[" EC_JWK("a") "," EC_JWK("s") "]}"
#define BROKEN "HTTP/1.1 503 Later\r\nConnection: close\r\n\r\n"

/* A server, a prober and one algorithm's two keys: the standby "s" is due in a minute. */
struct scene {
	struct fake_env env;
	struct log *log;
	struct metrics *metrics;
	struct web_stub web;
	struct keyring_key keys[2];
	struct probe_target target;
	char issuer[64];
	struct prober *prober;
	bool no_child;
	int children;
	pid_t pid;
};

static enum err connect_child(void *arg, int *ret_fd)
{
	struct scene *s = arg;

	s->children++;
	if (s->no_child)
		return ERR_UNAVAILABLE;
	*ret_fd = fetch_fork(NULL, &s->pid);
	return ERR_OK;
}

static void scene_up(struct scene *s, const char *text, enum web_end end)
{
	struct prober_options o = { .env = &s->env.env, .connect = connect_child, .arg = s };

	*s = (struct scene){ .no_child = false };
	fake_env_init(&s->env, NOW);
	ck_assert_int_eq(log_new(STDERR_FILENO, LOG_FORMAT_JSON, LOG_INFO, &s->log), ERR_OK);
	ck_assert_int_eq(metrics_new(&s->metrics), ERR_OK);
	web_stub_start(&s->web, text, end);
	snprintf(s->issuer, sizeof(s->issuer), "http://127.0.0.1:%d", s->web.port);
	s->keys[0] = probe_key("a", ALG_ES256, KEY_ACTIVE, EC_JWK("a"));
	s->keys[1] = probe_key("s", ALG_ES256, KEY_STANDBY, EC_JWK("s"));
	s->keys[1].info.ready_at = NOW - DAY;
	s->keys[1].info.activate_at = NOW + PROBER_LEAD_S;
	s->target = (struct probe_target){ str_z(s->issuer), 900, 1350, s->keys, 2 };
	o.log = s->log;
	o.shard = metrics_shard(s->metrics);
	ck_assert_int_eq(prober_new(&o, &s->prober), ERR_OK);
}

static void scene_down(struct scene *s)
{
	prober_free(s->prober);
	web_stub_stop(&s->web);
	metrics_free(s->metrics);
	log_free(s->log);
	jwk_free(s->keys[0].public_key);
	jwk_free(s->keys[1].public_key);
}

static unsigned tick(struct scene *s)
{
	prober_tick(s->prober, &s->target);
	return prober_held_back(s->prober);
}

/* To the end of the look that is under way. */
static unsigned tick_after_answer(struct scene *s)
{
	struct pollfd p = { .fd = prober_fd(s->prober), .events = POLLIN };

	ck_assert_int_ge(p.fd, 0);
	ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
	return tick(s);
}

static unsigned tick_at(struct scene *s, int64_t seconds_later)
{
	fake_env_advance(&s->env, seconds_later);
	return tick(s);
}

static void counted(const struct scene *s, int holds, int lacks, int failed)
{
	const struct metrics_gauges g = { .version = NULL };
	char want[3][64];
	struct str text;
	struct buf b;

	snprintf(want[0], sizeof(want[0]), "probe_total{result=\"holds\"} %d\n", holds);
	snprintf(want[1], sizeof(want[1]), "probe_total{result=\"lacks\"} %d\n", lacks);
	snprintf(want[2], sizeof(want[2]), "probe_total{result=\"failed\"} %d\n", failed);
	buf_init(&b, NULL, 1 << 20);
	metrics_render(s->metrics, &g, &b);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	for (size_t i = 0; i < 3; i++)
		ck_assert_msg(strstr(text.p, want[i]), "no %s", want[i]);
	buf_done(&b);
}

START_TEST(nothing_is_looked_at_before_it_is_time)
{
	struct scene s;

	scene_up(&s, NEW_SET, WEB_CLOSE);
	s.keys[1].info.activate_at = NOW + PROBER_LEAD_S + 1;
	ck_assert_uint_eq(tick(&s), 0);
	s.keys[1].info.activate_at = NOW;
	s.keys[1].info.ready_at = NOW + 1; /* nobody must know it yet */
	ck_assert_uint_eq(tick(&s), 0);
	s.keys[1].info.ready_at = NOW;
	s.keys[1].info.activate_at = 0; /* nothing is planned */
	ck_assert_uint_eq(tick(&s), 0);
	s.keys[1].info.activate_at = NOW;
	prober_tick(s.prober, NULL); /* keys.probe is off */
	ck_assert_int_eq(s.children, 0);
	ck_assert_int_eq(prober_fd(s.prober), -1);
	scene_down(&s);
}
END_TEST

START_TEST(a_standby_that_is_seen_is_looked_for_once)
{
	struct scene s;

	scene_up(&s, NEW_SET, WEB_CLOSE);
	ck_assert_uint_eq(tick(&s), ES); /* the look comes first */
	ck_assert_uint_eq(tick_after_answer(&s), 0);
	ck_assert(strncmp(s.web.script->last, "GET /.well-known/jwks.json ", 27) == 0);
	ck_assert_uint_eq(tick_at(&s, DAY), 0);
	ck_assert_int_eq(s.children, 1);
	counted(&s, 1, 0, 0);
	scene_down(&s);
}
END_TEST

START_TEST(an_overdue_standby_is_looked_for_too)
{
	struct scene s;

	scene_up(&s, NEW_SET, WEB_CLOSE);
	s.keys[1].info.activate_at = NOW - DAY;
	ck_assert_uint_eq(tick(&s), ES);
	ck_assert_uint_eq(tick_after_answer(&s), 0);
	scene_down(&s);
}
END_TEST

START_TEST(a_set_without_the_standby_holds_it_back_until_it_is_seen)
{
	struct scene s;

	scene_up(&s, OLD_SET, WEB_CLOSE);
	tick(&s);
	ck_assert_uint_eq(tick_after_answer(&s), ES);
	ck_assert_uint_eq(tick_at(&s, PROBER_REPEAT_S - 1), ES);
	ck_assert_int_eq(s.children, 1);
	web_stub_say(&s.web, NEW_SET, WEB_CLOSE);
	ck_assert_uint_eq(tick_at(&s, 1), ES);
	ck_assert_uint_eq(tick_after_answer(&s), 0);
	ck_assert_int_eq(s.children, 2);
	counted(&s, 1, 1, 0);
	scene_down(&s);
}
END_TEST

START_TEST(a_look_that_fails_holds_nothing_back_and_is_repeated)
{
	struct scene s;

	scene_up(&s, BROKEN, WEB_CLOSE);
	ck_assert_uint_eq(tick(&s), ES);
	ck_assert_uint_eq(tick_after_answer(&s), 0);
	ck_assert_uint_eq(tick_at(&s, PROBER_REPEAT_S - 1), 0);
	ck_assert_int_eq(s.children, 1);
	ck_assert_uint_eq(tick_at(&s, 1), 0); /* only the first look is waited for */
	ck_assert_int_eq(s.children, 2);
	ck_assert_uint_eq(tick_after_answer(&s), 0);
	counted(&s, 0, 0, 2);
	scene_down(&s);
}
END_TEST

START_TEST(a_look_that_fails_does_not_undo_what_was_seen)
{
	struct scene s;

	scene_up(&s, OLD_SET, WEB_CLOSE);
	tick(&s);
	ck_assert_uint_eq(tick_after_answer(&s), ES);
	web_stub_say(&s.web, BROKEN, WEB_CLOSE);
	tick_at(&s, PROBER_REPEAT_S);
	ck_assert_uint_eq(tick_after_answer(&s), ES);
	counted(&s, 0, 1, 1);
	scene_down(&s);
}
END_TEST

START_TEST(another_standby_is_looked_for_anew_but_not_at_once)
{
	struct scene s;

	scene_up(&s, NEW_SET, WEB_CLOSE);
	tick(&s);
	ck_assert_uint_eq(tick_after_answer(&s), 0);
	snprintf(s.keys[1].info.kid, sizeof(s.keys[1].info.kid), "t");
	ck_assert_uint_eq(tick_at(&s, PROBER_PAUSE_S - 1), 0);
	ck_assert_int_eq(s.children, 1);
	ck_assert_uint_eq(tick_at(&s, 1), ES);
	ck_assert_uint_eq(tick_after_answer(&s), ES); /* the set has "s" only */
	ck_assert_int_eq(s.children, 2);
	/* what was learnt about one ends with it */
	s.keys[1].info.state = KEY_ACTIVE;
	ck_assert_uint_eq(tick(&s), 0);
	scene_down(&s);
}
END_TEST

START_TEST(without_a_child_or_with_a_dead_or_silent_one_a_look_fails)
{
	struct scene s;

	scene_up(&s, "", WEB_HANG);
	s.no_child = true;
	ck_assert_uint_eq(tick(&s), 0);
	counted(&s, 0, 0, 1);
	ck_assert_uint_eq(tick_at(&s, PROBER_REPEAT_S - 1), 0);
	ck_assert_int_eq(s.children, 1);
	s.no_child = false;
	tick_at(&s, 1);
	kill(s.pid, SIGKILL);
	ck_assert_uint_eq(tick_after_answer(&s), 0);
	counted(&s, 0, 0, 2);
	tick_at(&s, PROBER_REPEAT_S);
	ck_assert_int_ge(prober_fd(s.prober), 0);
	tick_at(&s, PROBER_GIVE_UP_S - 1);
	ck_assert_int_ge(prober_fd(s.prober), 0);
	tick_at(&s, 1);
	ck_assert_int_eq(prober_fd(s.prober), -1);
	counted(&s, 0, 0, 3);
	ck_assert_int_eq(s.children, 3);
	scene_down(&s);
}
END_TEST

START_TEST(an_address_that_nobody_takes_is_a_look_that_fails)
{
	char issuer[FETCH_URL_MAX];
	struct scene s;

	scene_up(&s, NEW_SET, WEB_CLOSE);
	memset(issuer, 'a', sizeof(issuer));
	s.target.issuer = str_n(issuer, sizeof(issuer));
	ck_assert_uint_eq(tick(&s), 0);
	s.target.issuer = STR("ftp://127.0.0.1");
	ck_assert_uint_eq(tick_at(&s, PROBER_REPEAT_S), 0);
	counted(&s, 0, 0, 2);
	scene_down(&s);
}
END_TEST

START_TEST(turned_off_in_the_middle_of_a_look_it_lets_go)
{
	struct scene s;

	scene_up(&s, OLD_SET, WEB_HANG);
	ck_assert_uint_eq(tick(&s), ES);
	prober_tick(s.prober, NULL);
	ck_assert_uint_eq(prober_held_back(s.prober), 0);
	ck_assert_int_eq(prober_fd(s.prober), -1);
	ck_assert_uint_eq(tick(&s), 0); /* on again: nothing is under way */
	ck_assert_int_eq(s.children, 1);
	scene_down(&s);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nothing_is_looked_at_before_it_is_time,
		a_standby_that_is_seen_is_looked_for_once,
		an_overdue_standby_is_looked_for_too,
		a_set_without_the_standby_holds_it_back_until_it_is_seen,
		a_look_that_fails_holds_nothing_back_and_is_repeated,
		a_look_that_fails_does_not_undo_what_was_seen,
		another_standby_is_looked_for_anew_but_not_at_once,
		without_a_child_or_with_a_dead_or_silent_one_a_look_fails,
		an_address_that_nobody_takes_is_a_look_that_fails,
		turned_off_in_the_middle_of_a_look_it_lets_go,
	};

	return suite_run("prober", tests, COUNT(tests));
}
