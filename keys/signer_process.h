/* The signer from inside: what its control thread (signer_control.c) and its signing threads
 * (signer_sign.c) share. signer.c starts and ends them. */
#ifndef CHANCERY_KEYS_SIGNER_PROCESS_H
#define CHANCERY_KEYS_SIGNER_PROCESS_H

#include "keys/purpose.h"
#include "keys/signer_table.h"

/* One version of the root key, and what is made from it. Written once, before a key of it can be
 * held; signing threads reach it through such a key only. */
struct signer_root {
	uint32_t version;
	struct secret root;
	struct secret seal; /* seals the rows of private keys */
	struct secret jti;
};

/* In locked memory that no core dump holds (sodium_malloc). The control thread's alone, roots
 * excepted (above). */
struct signer_secrets {
	struct signer_masters masters;
	struct signer_root roots[SIGNER_ROOTS_MAX]; /* in the order in which they came */
	size_t root_count;
	unsigned char import_public[SIGNER_IMPORT_KEY_LEN];
	unsigned char import_private[SIGNER_IMPORT_KEY_LEN];
};

/* The highest version held, or NULL. */
const struct signer_root *signer_root_current(const struct signer_secrets *secrets);

/* A key pair under way: the thread writes key and result, then `done`. */
struct generation {
	bool begun;
	_Atomic bool done;
	pthread_t thread;
	enum alg alg;
	struct signing_key *key;
	enum err result;
};

struct signer {
	struct signer_clock clock;
	struct signer_secrets *secrets;
	struct generation making[ALG_COUNT]; /* the control thread's */
	struct key_table table;
	struct purpose_keys purposes;
};

/* Waits for what is being made, and frees it. */
void signer_making_done(struct signer *s);

/* Serves both until control closes (true) or a frame of either is malformed (false). */
bool signer_control_serve(struct signer *s, int control, int custody);

/* A signing channel: starts its thread. `index` is below SIGNER_CHANNELS_MAX and unique. */
struct signing_lane;
MUST_CHECK enum err signing_lane_start(struct signer *s, int fd, size_t index,
				       struct signing_lane **ret_lane);
/* Wakes the thread, waits for it and closes the descriptor. */
void signing_lane_stop(struct signing_lane *lane);

#endif
