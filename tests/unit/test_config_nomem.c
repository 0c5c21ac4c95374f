/* Reading a configuration with every allocation failing in turn: no memory is said, never a default
 * in the place of a value. */
#include <stdio.h>

#include "config_place.h"
#include "suite.h"
#include "tests/helpers/mem_fail.h"

enum { ALLOCATIONS_MAX = 10000 };

static const char yaml[] =
	"issuer: https://id.example.com\nserver: { trusted_proxies: [10.0.0.0/8, \"::1\"] }\n"
	"tokens: { access_ttl: 1m }\n";

/* *ret_met: the n-th allocation was asked for. */
static enum err load_with(struct place *p, size_t n, bool forever, bool *ret_met)
{
	enum err e;

	mem_fail_arm(n, forever);
	e = load(p);
	*ret_met = mem_fail_count() >= n;
	mem_fail_arm(0, false);
	return e;
}

static void survive(bool forever)
{
	struct place p;
	bool met = true;
	size_t n = 1;

	place_up(&p, yaml);
	with_set(&p, "log.level=debug");
	for (; met && n < ALLOCATIONS_MAX; n++) {
		enum err e = load_with(&p, n, forever, &met);

		ck_assert_msg(e == (met ? ERR_NOMEM : ERR_OK), "allocation %zu: %s %s", n,
			      err_name(e), p.fault.text);
	}
	ck_assert_uint_gt(n, 3);
	has_value(p.config, "tokens.access_ttl", "1m", "file");
	place_down(&p);
}

START_TEST(any_allocation_may_fail_once)
{
	survive(false);
}
END_TEST

START_TEST(memory_may_run_out_at_any_point)
{
	survive(true);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { any_allocation_may_fail_once,
				       memory_may_run_out_at_any_point };

	return suite_run("config nomem", tests, COUNT(tests));
}
