/* The signer process: shuts itself in, starts a thread per signing channel, serves the control
 * channel until the server is gone. */
#include "keys/signer.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "keys/signer_process.h"

enum { EXIT_CLOSED = 0, EXIT_FAULT = 1 };

/* Keys leave through core files and debuggers (Storm-0558): neither may look in here. */
static bool confine(void)
{
	const struct rlimit none = { 0, 0 };

	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static int64_t system_now(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

static void close_all(int control, const int *channels, size_t count)
{
	close(control);
	for (size_t i = 0; i < count; i++)
		close(channels[i]);
}

static void signer_free(struct signer *s)
{
	table_done(&s->table);
	sodium_free(s->secrets); /* wipes */
	free(s);
}

static enum err signer_new(const struct secret *master, const struct signer_clock *clock,
			   struct signer **ret_signer)
{
	struct signer *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	s->master = master;
	mlock(master,
	      sizeof(*master)); /* locks are not inherited; refused, it may be swapped, no more */
	s->clock = *clock;
	s->secrets = sodium_malloc(sizeof(*s->secrets));
	if (!s->secrets || table_init(&s->table)) {
		sodium_free(s->secrets);
		free(s);
		return ERR_NOMEM;
	}
	*s->secrets = (struct signer_secrets){ 0 };
	*ret_signer = s;
	return ERR_OK;
}

/* The lanes own their descriptors from here on, started or not. */
static bool serve(struct signer *s, int control, const int *channels, size_t count)
{
	struct signing_lane *lanes[SIGNER_CHANNELS_MAX] = { NULL };
	bool clean = true;

	for (size_t i = 0; i < count; i++) {
		if (signing_lane_start(s, channels[i], i, &lanes[i]))
			clean = false;
	}
	clean = clean && signer_control_serve(s, control);
	for (size_t i = 0; i < count; i++)
		signing_lane_stop(lanes[i]);
	close(control);
	return clean;
}

int signer_run_at(const struct secret *master, int control, const int *channels, size_t count,
		  const struct signer_clock *clock)
{
	struct signer *s;
	bool clean;

	if (count > SIGNER_CHANNELS_MAX || !confine() || secret_library_init() ||
	    signer_new(master, clock, &s)) {
		close_all(control, channels, count);
		return EXIT_FAULT;
	}
	clean = serve(s, control, channels, count);
	signer_free(s);
	return clean ? EXIT_CLOSED : EXIT_FAULT;
}

int signer_run(const struct secret *master, int control, const int *channels, size_t count)
{
	const struct signer_clock clock = { .now = system_now };

	return signer_run_at(master, control, channels, count, &clock);
}
