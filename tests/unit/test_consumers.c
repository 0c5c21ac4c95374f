/* Who counts as a consumer of the key set, who is waited for, and what a crowd cannot undo. */
#include "tests/unit/suite.h"

#include <pthread.h>
#include <stdio.h>

#include "server/state/consumers.h"
#include "tests/helpers/store_fixture.h"

#define OK(call) ck_assert_int_eq((call), ERR_OK)

enum { NOW = FIXTURE_NOW, DAY = 86400, MAX_AGE = 900 };
enum { EC = 1u << ALG_ES256, RSA = 1u << ALG_RS256, ALL = EC | RSA };

/* Two algorithms with a standby each: of generation 1, then 2. */
struct world {
	struct config config;
	struct str rows[4];
	struct consumers *c;
	struct key_info infos[4];
	struct keyring_view view;
	int64_t now;
};

static void set_standbys(struct world *w, size_t generation)
{
	for (size_t i = 0; i < COUNT(w->infos); i++) {
		struct key_info *info = &w->infos[i];

		info->alg = i % 2 ? ALG_RS256 : ALG_ES256;
		info->state = i / 2 + 1 == generation ? KEY_STANDBY : KEY_ACTIVE;
		snprintf(info->kid, sizeof(info->kid), "%s-%zu", alg_name(info->alg), i / 2 + 1);
		if (info->state == KEY_STANDBY)
			w->view.standby[info->alg] = kid_mark(str_z(info->kid));
	}
	w->view.infos = w->infos;
	w->view.count = COUNT(w->infos);
}

static void configure(struct world *w, const char *first, const char *second)
{
	w->rows[0] = str_z(first);
	w->rows[1] = str_z(second);
	w->config.keys.consumers.items = w->rows;
	w->config.keys.consumers.count = first && second ? 2 : first != NULL;
}

static void world_up(struct world *w, const char *first, const char *second)
{
	*w = (struct world){ .now = NOW };
	w->config.keys.jwks_max_age = MAX_AGE;
	configure(w, first, second);
	set_standbys(w, 1);
	OK(consumers_new(&w->config, &w->c));
}

static void fetch_as(struct world *w, const char *address, const char *client, unsigned algs)
{
	const struct consumer_fetch f = { .address = str_z(address),
					  .client_id = str_z(client),
					  .algs = algs,
					  .view = &w->view,
					  .now = w->now };

	consumers_note(w->c, &f);
}

static void fetch(struct world *w, const char *address)
{
	fetch_as(w, address, NULL, ALL);
}

/* Three fetches over two max-ages; ends `w->now` two max-ages later. */
static void become_steady(struct world *w, const char *address, unsigned algs)
{
	for (int i = 0; i < 3; i++) {
		fetch_as(w, address, NULL, algs);
		w->now += i < 2 ? MAX_AGE : 0;
	}
}

static struct consumers_report report(struct world *w, enum alg alg)
{
	struct consumers_report r;

	for (size_t i = 0; i < COUNT(w->infos); i++) {
		if (w->infos[i].alg == alg && w->infos[i].state == KEY_STANDBY)
			consumers_holding(w->c, alg, str_z(w->infos[i].kid), w->now, &r);
	}
	return r;
}

#define ck_assert_held(w, alg, want_held, want_expected)                                           \
	do {                                                                                       \
		const struct consumers_report r_ = report(w, alg);                                 \
		ck_assert_uint_eq(r_.held, want_held);                                             \
		ck_assert_uint_eq(r_.expected, want_expected);                                     \
	} while (0)

/* ---- who counts ---- */

START_TEST(steady_is_who_comes_three_times_over_two_max_ages)
{
	static const struct {
		int64_t at[4];
		size_t fetches;
		bool steady;
	} rows[] = {
		{ { 0 }, 1, false },
		{ { 0, 2 * MAX_AGE }, 2, false },
		{ { 0, 1, 2 }, 3, false },
		{ { 0, 1, 2 * MAX_AGE - 1 }, 3, false },
		{ { 0, 1, 2 * MAX_AGE }, 3, true },
		{ { 0, 1, 2 * MAX_AGE - 1, 2 * MAX_AGE }, 4, true },
		{ { 0, DAY, 2 * DAY }, 3, true },
		{ { 0, MAX_AGE, MAX_AGE + DAY + 1 }, 3, false }, /* began anew */
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world w;

		world_up(&w, NULL, NULL);
		for (size_t k = 0; k < rows[i].fetches; k++) {
			w.now = NOW + rows[i].at[k];
			fetch(&w, "192.0.2.7");
		}
		ck_assert_msg(report(&w, ALG_ES256).expected == rows[i].steady, "row %zu", i);
		consumers_free(w.c);
	}
}
END_TEST

START_TEST(address_counts_by_network_and_family)
{
	struct world w;
	struct consumers_report r;

	world_up(&w, NULL, NULL);
	fetch(&w, "2001:db8:1:2::1");
	w.now += MAX_AGE;
	fetch(&w, "2001:db8:1:2:ffff::2");
	w.now += MAX_AGE;
	fetch(&w, "2001:db8:1:2::3");
	fetch(&w, "2001:db8:1:3::1");
	become_steady(&w, "::ffff:192.0.2.7", ALL);
	fetch(&w, "192.0.2.7"); /* the same one */
	fetch(&w, "no address");
	set_standbys(&w, 2);
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.expected, 2);
	ck_assert_uint_eq(r.held, 0);
	ck_assert_uint_eq(r.laggard_count, 2);
	ck_assert_str_eq(r.laggards[0].name, "2001:db8:1:2::/64");
	ck_assert_str_eq(r.laggards[1].name, "192.0.2.7");
	consumers_free(w.c);
}
END_TEST

START_TEST(a_named_one_counts_before_it_was_ever_seen)
{
	struct world w;
	struct consumers_report r;

	world_up(&w, "gateway=10.0.0.7", "pods=10.1.0.0/16");
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, NOW), ALL);
	r = report(&w, ALG_RS256);
	ck_assert_uint_eq(r.expected, 2);
	ck_assert_str_eq(r.laggards[0].name, "gateway");
	ck_assert(r.laggards[0].never_seen && r.laggards[1].never_seen);
	fetch(&w, "10.0.0.7");
	fetch(&w, "10.1.200.3");
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, NOW), 0);
	set_standbys(&w, 2);
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, NOW), ALL);
	fetch(&w, "10.1.0.9");
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.held, 1);
	ck_assert_str_eq(r.laggards[0].name, "gateway");
	ck_assert(!r.laggards[0].never_seen);
	w.now += 100 * DAY; /* the operator says it exists */
	ck_assert_held(&w, ALG_ES256, 1, 2);
	consumers_free(w.c);
}
END_TEST

START_TEST(the_first_row_that_fits_is_the_one)
{
	struct world w;
	struct consumers_report r;

	world_up(&w, "gateway=10.0.0.7", "pods=10.0.0.0/8");
	fetch(&w, "10.0.0.7");
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.held, 1);
	ck_assert_str_eq(r.laggards[0].name, "pods");
	consumers_free(w.c);
}
END_TEST

START_TEST(a_client_counts_by_its_name_wherever_it_is)
{
	struct world w;
	struct consumers_report r;

	world_up(&w, NULL, NULL);
	fetch_as(&w, "192.0.2.1", "ops", ALL);
	fetch_as(&w, "192.0.2.2", "ops", ALL);
	fetch_as(&w, "no address", "shop", ALL);
	ck_assert_held(&w, ALG_ES256, 2, 2);
	set_standbys(&w, 2);
	fetch_as(&w, "192.0.2.3", "ops", ALL);
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.held, 1);
	ck_assert_str_eq(r.laggards[0].name, "client:shop");
	ck_assert_uint_eq(r.anonymous, 0);
	w.now += CONSUMERS_KEEP + 1;
	ck_assert_held(&w, ALG_ES256, 0, 0);
	consumers_free(w.c);
}
END_TEST

/* A row of the configuration must not look unseen because its machine authenticates. */
START_TEST(a_client_at_a_named_address_is_both)
{
	struct world w;

	world_up(&w, "gateway=10.0.0.7", NULL);
	fetch_as(&w, "10.0.0.7", "ops", ALL);
	ck_assert_held(&w, ALG_ES256, 2, 2);
	consumers_free(w.c);
}
END_TEST

/* ---- who is waited for ---- */

START_TEST(a_consumer_is_expected_to_hold_what_it_asks_for)
{
	struct world w;

	world_up(&w, NULL, NULL);
	become_steady(&w, "192.0.2.7", EC);
	ck_assert_held(&w, ALG_ES256, 1, 1);
	ck_assert_held(&w, ALG_RS256, 0, 0);
	set_standbys(&w, 2);
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, w.now), EC);
	fetch_as(&w, "192.0.2.7", NULL, RSA);
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, w.now), EC);
	ck_assert_held(&w, ALG_RS256, 1, 1);
	w.now += DAY + 1; /* has it stopped to? */
	fetch_as(&w, "192.0.2.7", NULL, RSA);
	ck_assert_held(&w, ALG_ES256, 0, 0);
	ck_assert_held(&w, ALG_RS256, 1, 1);
	consumers_free(w.c);
}
END_TEST

START_TEST(a_steady_one_is_waited_for_a_day)
{
	struct world w;

	world_up(&w, NULL, NULL);
	become_steady(&w, "192.0.2.7", ALL);
	set_standbys(&w, 2);
	w.now += DAY;
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, w.now), ALL);
	w.now++;
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, w.now), 0);
	fetch(&w, "192.0.2.7");
	ck_assert_held(&w, ALG_ES256, 1, 1);
	consumers_free(w.c);
}
END_TEST

START_TEST(without_a_standby_nobody_lags)
{
	struct world w;

	world_up(&w, "gateway=10.0.0.7", NULL);
	w.view.standby[ALG_ES256] = 0;
	w.view.standby[ALG_RS256] = 0;
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, NOW), 0);
	consumers_free(w.c);
}
END_TEST

START_TEST(counts_are_of_consumers_not_of_keys)
{
	struct world w;
	struct consumers_counts n;

	world_up(&w, "gateway=10.0.0.7", "pods=10.1.0.0/16");
	fetch_as(&w, "10.0.0.7", NULL, ALL);
	become_steady(&w, "192.0.2.7", EC);
	fetch(&w, "198.51.100.1");
	fetch(&w, "198.51.100.2");
	fetch(&w, "198.51.100.2");
	consumers_count(w.c, &w.view, w.now, &n);
	ck_assert_uint_eq(n.holding, 2);
	ck_assert_uint_eq(n.lagging, 1);
	ck_assert_uint_eq(n.anonymous, 3); /* the steady one was one of them */
	w.now += DAY;
	consumers_count(w.c, &w.view, w.now, &n);
	ck_assert_uint_eq(n.anonymous, 3);
	w.now += DAY;
	consumers_count(w.c, &w.view, w.now, &n);
	ck_assert_uint_eq(n.anonymous, 0);
	consumers_free(w.c);
}
END_TEST

START_TEST(a_report_names_some_and_counts_all)
{
	struct world w;
	struct consumers_report r;
	char id[16];

	world_up(&w, NULL, NULL);
	for (int i = 0; i < CONSUMERS_CLIENTS_MAX + 10; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		fetch_as(&w, "192.0.2.1", id, ALL);
	}
	set_standbys(&w, 2);
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.expected, CONSUMERS_CLIENTS_MAX); /* more are strangers */
	ck_assert_uint_eq(r.laggard_count, CONSUMERS_LAGGARDS_MAX);
	consumers_free(w.c);
}
END_TEST

/* ---- crowds ---- */

/* A fetch from each of these addresses. */
static void crowd(struct world *w, int from, int to)
{
	char address[32];

	for (int i = from; i < to; i++) {
		snprintf(address, sizeof(address), "198.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		fetch(w, address);
	}
}

START_TEST(a_crowd_pushes_out_nobody_who_counts_and_lags_for_nobody)
{
	struct world w;
	struct consumers_report r;

	world_up(&w, "gateway=10.0.0.7", NULL);
	fetch(&w, "10.0.0.7");
	fetch_as(&w, "192.0.2.3", "ops", ALL);
	become_steady(&w, "192.0.2.7", ALL);
	fetch(&w, "192.0.2.8"); /* comes again, in the crowd */
	w.now += 1;
	fetch(&w, "192.0.2.8");
	crowd(&w, 0, 10000);
	w.now += 2 * MAX_AGE;
	crowd(&w, 10000, 20000);
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.held, 3);
	ck_assert_uint_eq(r.expected, 3);
	ck_assert_uint_gt(r.anonymous, 5000);
	ck_assert_uint_le(r.anonymous, 8192);
	set_standbys(&w, 2);
	fetch(&w, "10.0.0.7");
	fetch_as(&w, "192.0.2.3", "ops", ALL);
	fetch(&w, "192.0.2.7");
	ck_assert_uint_eq(consumers_lagging(w.c, &w.view, w.now), 0);
	fetch(&w, "192.0.2.8");
	ck_assert_held(&w, ALG_ES256, 4, 4);
	consumers_free(w.c);
}
END_TEST

/* Strangers that do everything steady ones do fill the steady table at most. */
START_TEST(a_steady_crowd_is_bounded_and_pushes_out_no_steady_one)
{
	struct world w;
	struct consumers_report r;

	world_up(&w, "gateway=10.0.0.7", NULL);
	fetch(&w, "10.0.0.7");
	become_steady(&w, "192.0.2.7", ALL);
	for (int i = 0; i < 4; i++) {
		crowd(&w, 0, 200);
		w.now += MAX_AGE;
	}
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.expected, CONSUMERS_STEADY_MAX + 1);
	set_standbys(&w, 2);
	crowd(&w, 0, 200);
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.expected - r.held, 2);
	ck_assert_str_eq(r.laggards[0].name, "gateway");
	ck_assert_str_eq(r.laggards[1].name, "192.0.2.7");
	consumers_free(w.c);
}
END_TEST

/* ---- reload ---- */

START_TEST(a_reload_keeps_what_is_known_of_rows_that_stay)
{
	struct world w;
	struct consumers_report r;

	world_up(&w, "gateway=10.0.0.7", "pods=10.1.0.0/16");
	fetch(&w, "10.0.0.7");
	configure(&w, "new=10.2.0.1", "gateway=10.0.0.7");
	OK(consumers_configure(w.c, &w.config));
	r = report(&w, ALG_ES256);
	ck_assert_uint_eq(r.held, 1);
	ck_assert_uint_eq(r.expected, 2);
	ck_assert_str_eq(r.laggards[0].name, "new");
	configure(&w, NULL, NULL);
	OK(consumers_configure(w.c, &w.config));
	ck_assert_held(&w, ALG_ES256, 0, 0);
	consumers_free(w.c);
}
END_TEST

/* ---- over a restart ---- */

static void write_all(struct world *w, struct store_fixture *f)
{
	OK(db_begin(f->db));
	OK(consumers_write(w->c, f->db, &w->view, w->now));
	OK(db_commit(f->db));
	consumers_written(w->c);
}

static size_t stored(struct store_fixture *f, struct consumer_row **ret_rows)
{
	size_t count;

	OK(store_consumers(f->db, f->arena, 100, ret_rows, &count));
	return count;
}

static void restart(struct world *w, struct store_fixture *f)
{
	consumers_free(w->c);
	OK(consumers_new(&w->config, &w->c));
	OK(consumers_load(w->c, f->db, &w->view, w->now));
}

START_TEST(a_restart_forgets_nobody_whom_a_rotation_waits_for)
{
	struct store_fixture f;
	struct consumers_report r;
	struct consumer_row *rows;
	struct world w;

	store_fixture_up(&f);
	world_up(&w, "gateway=10.0.0.7", "pods=10.1.0.0/16");
	fetch(&w, "10.0.0.7");
	fetch_as(&w, "192.0.2.3", "a=b c", EC);
	become_steady(&w, "192.0.2.7", EC);
	become_steady(&w, "2001:db8::1", ALL);
	fetch(&w, "198.51.100.1"); /* nobody */
	write_all(&w, &f);
	ck_assert_uint_eq(stored(&f, &rows), 4);
	restart(&w, &f);
	ck_assert_held(&w, ALG_ES256, 4, 5);
	ck_assert_held(&w, ALG_RS256, 2, 3);
	set_standbys(&w, 2);
	fetch(&w, "2001:db8::2");
	restart(&w, &f); /* what was not written is asked for again */
	ck_assert_held(&w, ALG_ES256, 0, 5);
	r = report(&w, ALG_ES256);
	ck_assert_str_eq(r.laggards[0].name, "gateway");
	ck_assert(!r.laggards[0].never_seen && r.laggards[1].never_seen);
	ck_assert_str_eq(r.laggards[2].name, "client:a=b c");
	consumers_free(w.c);
	store_fixture_down(&f);
}
END_TEST

START_TEST(only_those_that_fetched_are_written_again)
{
	struct store_fixture f;
	struct consumer_row *rows;
	struct world w;

	store_fixture_up(&f);
	world_up(&w, NULL, NULL);
	fetch_as(&w, "192.0.2.3", "one", ALL);
	fetch_as(&w, "192.0.2.3", "two", ALL);
	OK(db_begin(f.db));
	OK(consumers_write(w.c, f.db, &w.view, w.now));
	db_rollback(f.db); /* not durable: the next write says it again */
	write_all(&w, &f);
	ck_assert_uint_eq(stored(&f, &rows), 2);
	OK(db_begin(f.db));
	OK(store_consumers_forget(f.db, INT64_MAX));
	OK(db_commit(f.db));
	w.now += 60;
	fetch_as(&w, "192.0.2.3", "two", ALL);
	write_all(&w, &f);
	ck_assert_uint_eq(stored(&f, &rows), 1);
	ck_assert(str_equal_z(rows[0].name, "client:two"));
	ck_assert(str_equal_z(rows[0].held, "ES256-1 RS256-1"));
	ck_assert_int_eq(rows[0].first_at, NOW);
	ck_assert_int_eq(rows[0].last_at, NOW + 60);
	ck_assert_int_eq(rows[0].fetches, 2);
	w.now += CONSUMERS_KEEP + 1;
	write_all(&w, &f);
	ck_assert_uint_eq(stored(&f, &rows), 0);
	consumers_free(w.c);
	store_fixture_down(&f);
}
END_TEST

START_TEST(what_is_stored_of_others_is_left_alone)
{
	static const char *const names[] = {
		"config:gone=10.0.0.1", "address:nonsense", "address:", "client:", "other:x", ""
	};
	struct store_fixture f;
	struct world w;

	store_fixture_up(&f);
	world_up(&w, NULL, NULL);
	OK(db_begin(f.db));
	for (size_t i = 0; i < COUNT(names); i++) {
		const struct consumer_row row = { .name = str_z(names[i]),
						  .first_at = NOW,
						  .last_at = NOW,
						  .fetches = 3,
						  .held = STR("x  y") };

		OK(store_consumer_put(f.db, &row));
	}
	OK(db_commit(f.db));
	restart(&w, &f);
	ck_assert_held(&w, ALG_ES256, 0, 0);
	consumers_free(w.c);
	store_fixture_down(&f);
}
END_TEST

/* ---- threads ---- */

static void *fetch_and_ask(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 2000; i++) {
		char address[32];

		snprintf(address, sizeof(address), "203.0.%d.%d", i & 127, i & 63);
		fetch(w, address);
		fetch_as(w, "192.0.2.3", "ops", ALL);
		if (i % 64 == 0)
			(void)consumers_lagging(w->c, &w->view, w->now);
	}
	return NULL;
}

START_TEST(many_threads_may_note_while_others_ask_and_reload)
{
	struct world w;
	pthread_t threads[3];

	world_up(&w, "gateway=10.0.0.7", NULL);
	for (size_t i = 0; i < COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, fetch_and_ask, &w), 0);
	for (int i = 0; i < 200; i++)
		OK(consumers_configure(w.c, &w.config));
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert_held(&w, ALG_ES256, 1, 2);
	consumers_free(w.c);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		steady_is_who_comes_three_times_over_two_max_ages,
		address_counts_by_network_and_family,
		a_named_one_counts_before_it_was_ever_seen,
		the_first_row_that_fits_is_the_one,
		a_client_counts_by_its_name_wherever_it_is,
		a_client_at_a_named_address_is_both,
		a_consumer_is_expected_to_hold_what_it_asks_for,
		a_steady_one_is_waited_for_a_day,
		without_a_standby_nobody_lags,
		counts_are_of_consumers_not_of_keys,
		a_report_names_some_and_counts_all,
		a_crowd_pushes_out_nobody_who_counts_and_lags_for_nobody,
		a_steady_crowd_is_bounded_and_pushes_out_no_steady_one,
		a_reload_keeps_what_is_known_of_rows_that_stay,
		a_restart_forgets_nobody_whom_a_rotation_waits_for,
		only_those_that_fetched_are_written_again,
		what_is_stored_of_others_is_left_alone,
		many_threads_may_note_while_others_ask_and_reload,
	};

	return suite_run("consumers", tests, COUNT(tests));
}
