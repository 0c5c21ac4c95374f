/* Failpoints and the clock that tests move. The only state of the program that is neither constant
 * nor owned by somebody, which is why it exists in test builds alone.
 *
 * Arming takes place while one thread runs; passing is safe from any number of threads: a passage
 * is one atomic increment, so "the third" is the third of the process, whoever makes it. */
#include "base/fault.h"

#ifdef CHANCERY_FAULTS

#include <endian.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { POINTS_MAX = 16, POINT_NAME_MAX = 63 };

enum action { ACTION_ABORT, ACTION_ERROR, ACTION_FULL, ACTION_NOMEM, ACTION_DELAY, ACTION_COUNT };

static const char *const action_names[ACTION_COUNT] = { "abort", "error", "full", "nomem",
							"delay" };

struct point {
	char name[POINT_NAME_MAX + 1];
	int64_t hit;
	enum action action;
	atomic_int_fast64_t passed;
};

static struct point points[POINTS_MAX];
static atomic_size_t armed;
static pthread_once_t environment_read = PTHREAD_ONCE_INIT;

static const char points_variable[] = "CHANCERY_FAILPOINTS";
static const char clock_variable[] = "CHANCERY_FAULT_CLOCK";
static _Atomic(uint64_t) *clock_page; /* NULL: the clock is right */

static bool action_by_name(struct str name, enum action *ret_action)
{
	for (size_t i = 0; i < ACTION_COUNT; i++) {
		if (str_equal_z(name, action_names[i])) {
			*ret_action = (enum action)i;
			return true;
		}
	}
	return false;
}

/* "name:hit:action"; anything else arms nothing. */
static bool point_read(struct str text, struct point *ret_point)
{
	struct str name, hit;
	struct point p = { .hit = 0 };

	if (!str_next(&text, ':', &name) || name.n == 0 || name.n > POINT_NAME_MAX)
		return false;
	if (!str_next(&text, ':', &hit) || str_to_i64(hit, 0, INT64_MAX, &p.hit))
		return false;
	if (!action_by_name(text, &p.action))
		return false;
	memcpy(p.name, name.p, name.n);
	memcpy(ret_point->name, p.name, sizeof(p.name));
	ret_point->hit = p.hit;
	ret_point->action = p.action;
	atomic_store(&ret_point->passed, 0);
	return true;
}

static void arm(struct str spec)
{
	struct str part;
	size_t n = 0;

	atomic_store(&armed, 0);
	while (n < POINTS_MAX && str_next(&spec, ',', &part)) {
		if (point_read(part, &points[n]))
			n++;
	}
	atomic_store(&armed, n);
}

enum err fault_clock_map(const char *file)
{
	struct stat st;
	void *page = MAP_FAILED;
	int fd;

	clock_page = NULL;
	if (!file)
		return ERR_OK;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ERR_IO;
	if (fstat(fd, &st) == 0 && st.st_size == sizeof(*clock_page))
		page = mmap(NULL, sizeof(*clock_page), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return ERR_IO;
	clock_page = page;
	return ERR_OK;
}

/* The value of the variable, or NULL when `entry` sets another one. */
static const char *value_of(const char *entry, const char *variable)
{
	size_t n = strlen(variable);

	return strncmp(entry, variable, n) == 0 && entry[n] == '=' ? entry + n + 1 : NULL;
}

static void take_variable(const char *entry)
{
	const char *spec = value_of(entry, points_variable);
	const char *file = value_of(entry, clock_variable);

	if (spec)
		arm(str_z(spec));
	if (file && fault_clock_map(file)) {
		fprintf(stderr, "chancery: %s is no file of 8 bytes\n", entry);
		exit(EXIT_FAILURE);
	}
}

static void read_environment(void)
{
	for (char **e = environ; e && *e; e++)
		take_variable(*e);
}

bool fault_variable(struct str name)
{
	return str_equal_z(name, points_variable) || str_equal_z(name, clock_variable);
}

int64_t fault_clock(void)
{
	pthread_once(&environment_read, read_environment);
	if (!clock_page)
		return 0;
	return (int64_t)le64toh(atomic_load_explicit(clock_page, memory_order_relaxed));
}

void fault_arm(const char *spec)
{
	pthread_once(&environment_read, read_environment);
	arm(str_z(spec));
}

static enum err act(enum action action)
{
	const struct timespec pause = { .tv_nsec = 100000000 };

	switch (action) {
	case ACTION_ABORT:
		(void)raise(SIGKILL); /* the one way that the filter leaves (keys/confine.c) */
		return ERR_INTERNAL;
	case ACTION_ERROR:
		return ERR_IO;
	case ACTION_FULL:
		return ERR_FULL;
	case ACTION_NOMEM:
		return ERR_NOMEM;
	case ACTION_DELAY:
		nanosleep(&pause, NULL);
		return ERR_OK;
	case ACTION_COUNT:
		break;
	}
	return ERR_INTERNAL;
}

/* Every row of the name counts, so that "p:2:delay,p:5:error" says what it seems to say. */
enum err fault_point(const char *name)
{
	enum err result = ERR_OK;
	size_t n;

	pthread_once(&environment_read, read_environment);
	n = atomic_load(&armed);
	for (size_t i = 0; i < n; i++) {
		int64_t pass;
		enum err e;

		if (strcmp(points[i].name, name) != 0)
			continue;
		pass = (int64_t)atomic_fetch_add(&points[i].passed, 1) + 1;
		if (points[i].hit != 0 && points[i].hit != pass)
			continue;
		e = act(points[i].action);
		if (!result)
			result = e;
	}
	return result;
}

#endif
