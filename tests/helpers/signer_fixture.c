/* A supervisor of five lines; see the header. */
#include "tests/helpers/signer_fixture.h"

#include <check.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

enum { HOUR = 3600, PATIENCE_MS = 60000 /* sanitizers, and other tests at the same time */ };

static int64_t shared_now(void *arg)
{
	_Atomic int64_t *clock = arg;
	int64_t now = atomic_load(clock);

	return now ? now : (int64_t)time(NULL);
}

static void child(const struct signer_fixture *f, const struct signer_lines *lines)
{
	struct signer_masters masters = { .present = f->master };

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	close(f->control.fd);
	close(f->custody.fd);
	for (size_t i = 0; i < SIGNER_FIXTURE_LANES; i++)
		close(f->signing[i].fd);
	_exit(signer_run_at(&masters, lines, &(struct signer_clock){ shared_now, f->clock }));
}

static void start(struct signer_fixture *f)
{
	int control[2], custody[2], signing[2], theirs[SIGNER_FIXTURE_LANES];

	ck_assert_int_eq(signer_channel_pair(control), ERR_OK);
	ck_assert_int_eq(signer_channel_pair(custody), ERR_OK);
	f->control = (struct signer_channel){ .fd = control[0], .patience_ms = PATIENCE_MS };
	f->custody = (struct signer_channel){ .fd = custody[0], .patience_ms = PATIENCE_MS };
	for (size_t i = 0; i < SIGNER_FIXTURE_LANES; i++) {
		ck_assert_int_eq(signer_channel_pair(signing), ERR_OK);
		f->signing[i] = (struct signer_channel){ .fd = signing[0],
							 .patience_ms = PATIENCE_MS };
		theirs[i] = signing[1];
	}
	f->pid = fork();
	ck_assert_int_ge(f->pid, 0);
	if (f->pid == 0)
		child(f, &(struct signer_lines){ .control = control[1],
						 .custody = custody[1],
						 .signing = theirs,
						 .count = SIGNER_FIXTURE_LANES });
	close(control[1]);
	close(custody[1]);
	for (size_t i = 0; i < SIGNER_FIXTURE_LANES; i++)
		close(theirs[i]);
}

void signer_fixture_start(struct signer_fixture *f)
{
	ck_assert_int_eq(secret_library_init(), ERR_OK);
	memset(f->master.b, 0x4d, sizeof(f->master.b));
	f->clock = mmap(NULL, sizeof(*f->clock), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	ck_assert_ptr_ne(f->clock, MAP_FAILED);
	start(f);
}

void signer_fixture_clock(struct signer_fixture *f, int64_t now)
{
	atomic_store(f->clock, now);
}

static void close_channels(struct signer_fixture *f)
{
	signer_channel_close(&f->control);
	signer_channel_close(&f->custody);
	for (size_t i = 0; i < SIGNER_FIXTURE_LANES; i++)
		signer_channel_close(&f->signing[i]);
}

void signer_fixture_stop(struct signer_fixture *f)
{
	int status;

	close_channels(f);
	ck_assert_int_eq(waitpid(f->pid, &status, 0), f->pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "signer ended with %d",
		      status);
	munmap((void *)f->clock, sizeof(*f->clock));
}

void signer_fixture_kill(struct signer_fixture *f)
{
	ck_assert_int_eq(kill(f->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(f->pid, NULL, 0), f->pid);
}

void signer_fixture_restart(struct signer_fixture *f)
{
	signer_fixture_kill(f);
	close_channels(f);
	start(f);
}

static struct jwk *parse_public(struct str text)
{
	struct json *object;
	struct jwk *key;

	ck_assert_int_eq(json_parse(text, text.n, &object), ERR_OK);
	ck_assert_int_eq(jwk_from_json(object, &key), ERR_OK);
	json_free(object);
	return key;
}

struct jwk *signer_fixture_ready(struct signer_fixture *f, enum alg alg)
{
	struct key_info info = { .alg = alg, .state = KEY_ACTIVE };
	struct buf public_jwk, sealed;
	struct str text;
	struct jwk *key;
	bool by_next;

	buf_init(&public_jwk, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	ck_assert_int_eq(signer_root(&f->control, 1, STR_NONE, &sealed, &by_next), ERR_OK);
	ck_assert_int_eq(signer_policy(&f->control, STR(FIXTURE_ISSUER), HOUR, 0), ERR_OK);
	buf_clear(&sealed);
	ck_assert_int_eq(signer_generate(&f->control, alg, info.kid, &public_jwk, &sealed), ERR_OK);
	info.exp_bound = INT64_MAX;
	ck_assert_int_eq(signer_load(&f->control, &info, str_n(sealed.p, sealed.n)), ERR_OK);
	ck_assert_int_eq(buf_end(&public_jwk, &text), ERR_OK);
	key = parse_public(text);
	buf_done(&public_jwk);
	buf_done(&sealed);
	return key;
}
