/* One test program: a list of tests, run by libcheck, each in a process of its own. */
#ifndef CHANCERY_TESTS_SUITE_H
#define CHANCERY_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Runs cases that have their tests. */
static inline int suite_run_cases(const char *name, TCase *const *cases, size_t count)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < count; i++) {
		tcase_set_timeout(cases[i], 120); /* valgrind on a busy machine */
		suite_add_tcase(suite, cases[i]);
	}
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Runs a case that has its tests; the case's name is the suite's. */
static inline int suite_run_case(const char *name, TCase *tests)
{
	return suite_run_cases(name, &tests, 1);
}

static inline int suite_run(const char *name, const TTest *const *tests, size_t count)
{
	TCase *all = tcase_create(name);

	for (size_t i = 0; i < count; i++)
		tcase_add_test(all, tests[i]);
	return suite_run_case(name, all);
}

#endif
