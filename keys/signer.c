/* The signer process: loads what it needs, shuts itself in before any key is opened, starts a
 * thread per signing channel, serves the control channel until the server is gone. */
#include "keys/signer.h"

#include <sodium.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "keys/confine.h"
#include "keys/signer_process.h"

enum { EXIT_CLOSED = 0, EXIT_FAULT = 1 };

static int64_t system_now(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec + FAULT_CLOCK();
}

static void close_all(const struct signer_lines *lines)
{
	close(lines->control);
	if (lines->custody >= 0)
		close(lines->custody);
	for (size_t i = 0; i < lines->count; i++)
		close(lines->signing[i]);
}

static void signer_free(struct signer *s)
{
	signer_making_done(s);
	purpose_keys_done(&s->purposes);
	table_done(&s->table);
	sodium_free(s->secrets); /* wipes */
	free(s);
}

static enum err signer_new(const struct signer_masters *masters, const struct signer_lines *lines,
			   const struct signer_clock *clock, struct signer **ret_signer)
{
	struct signer *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	s->clock = *clock;
	s->secrets = sodium_malloc(sizeof(*s->secrets));
	if (!s->secrets || table_init(&s->table, lines->issuer, lines->longest_ttl)) {
		sodium_free(s->secrets);
		free(s);
		return ERR_NOMEM;
	}
	purpose_keys_init(&s->purposes);
	*s->secrets = (struct signer_secrets){ .masters = *masters };
	if (crypto_box_keypair(s->secrets->import_public, s->secrets->import_private)) {
		signer_free(s);
		return ERR_CRYPTO;
	}
	*ret_signer = s;
	return ERR_OK;
}

/* The lanes own their descriptors from here on, started or not. */
static bool serve(struct signer *s, const struct signer_lines *lines)
{
	struct signing_lane *lanes[SIGNER_CHANNELS_MAX] = { NULL };
	bool clean = true;

	for (size_t i = 0; i < lines->count; i++) {
		if (signing_lane_start(s, lines->signing[i], i, &lanes[i]))
			clean = false;
	}
	clean = clean && signer_control_serve(s, lines->control, lines->custody);
	for (size_t i = 0; i < lines->count; i++)
		signing_lane_stop(lanes[i]);
	close(lines->control);
	if (lines->custody >= 0)
		close(lines->custody);
	return clean;
}

int signer_run_at(struct signer_masters *masters, const struct signer_lines *lines,
		  const struct signer_clock *clock)
{
	struct signer *s = NULL;
	unsigned held; /* the server has the same kernel, and tells */
	bool clean = lines->count <= SIGNER_CHANNELS_MAX && !secret_library_init() &&
		     !sign_library_init() && !signer_new(masters, lines, clock, &s) &&
		     !confine(CONFINE_SIGNER, NULL, 0, &held);

	wipe(masters, sizeof(*masters));
	if (!clean) {
		if (s)
			signer_free(s);
		close_all(lines);
		return EXIT_FAULT;
	}
	clean = serve(s, lines);
	signer_free(s);
	return clean ? EXIT_CLOSED : EXIT_FAULT;
}

int signer_run(struct signer_masters *masters, const struct signer_lines *lines)
{
	const struct signer_clock clock = { .now = system_now };

	return signer_run_at(masters, lines, &clock);
}
