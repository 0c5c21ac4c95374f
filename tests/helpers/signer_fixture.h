/* The real signer in a child process, for tests: nothing is imitated but the supervisor. Failures
 * end the test. Start it before the test starts threads. */
#ifndef CHANCERY_TESTS_SIGNER_FIXTURE_H
#define CHANCERY_TESTS_SIGNER_FIXTURE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "jose/jwk.h"
#include "keys/signer.h"

enum { SIGNER_FIXTURE_LANES = 2 };

#define FIXTURE_ISSUER "https://id.example"

struct signer_fixture {
	pid_t pid;
	struct secret master;
	struct signer_channel control;
	struct signer_channel custody; /* as the supervisor holds it */
	struct signer_channel signing[SIGNER_FIXTURE_LANES];
	_Atomic int64_t *clock; /* shared with the signer; 0: the machine's */
};

/* master is 32 times 0x4d; nothing is loaded yet (keyring_open does that, or signer_fixture_ready).
 */
void signer_fixture_start(struct signer_fixture *f);
/* Closes the channels and waits for a clean end. */
void signer_fixture_stop(struct signer_fixture *f);
/* SIGKILL, waited for. The channels stay as they are. */
void signer_fixture_kill(struct signer_fixture *f);
/* Kills, closes, and starts another with the same master key. */
void signer_fixture_restart(struct signer_fixture *f);

/* What the signer believes the time to be, from now on; it judges iat by it. 0: the machine's clock
 * again. */
void signer_fixture_clock(struct signer_fixture *f, int64_t now);

/* Root, policy (FIXTURE_ISSUER, an hour) and one active key of `alg`. Caller frees the public half.
 */
struct jwk *signer_fixture_ready(struct signer_fixture *f, enum alg alg);

#endif
