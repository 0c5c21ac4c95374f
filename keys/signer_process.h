/* The signer from inside: what its control thread (signer_control.c) and its signing threads
 * (signer_sign.c) share. signer.c starts and ends them. */
#ifndef CHANCERY_KEYS_SIGNER_PROCESS_H
#define CHANCERY_KEYS_SIGNER_PROCESS_H

#include "keys/signer_table.h"

/* In locked memory that no core dump holds (sodium_malloc). Set once, by the first control frame,
 * before any key can be loaded; read by signing threads only after they found a key. */
struct signer_secrets {
	bool open;
	uint32_t version;
	struct secret root;
	struct secret seal; /* seals the rows of private keys */
	struct secret jti;
};

struct signer {
	const struct secret *master;
	struct signer_clock clock;
	struct signer_secrets *secrets;
	struct key_table table;
};

/* Serves until the channel closes (true) or a frame is malformed (false). */
bool signer_control_serve(struct signer *s, int fd);

/* A signing channel: starts its thread. `index` is below SIGNER_CHANNELS_MAX and unique. */
struct signing_lane;
MUST_CHECK enum err signing_lane_start(struct signer *s, int fd, size_t index,
				       struct signing_lane **ret_lane);
/* Wakes the thread, waits for it and closes the descriptor. */
void signing_lane_stop(struct signing_lane *lane);

#endif
