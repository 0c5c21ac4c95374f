/* The signer: a process of its own that alone holds master key, root key and private signing keys. It
 * has no network, no files and no database; it answers fixed frames on socket pairs.
 *
 * What crosses: sealed rows go in (the server reads them from the database and cannot open them),
 * tokens and derived keys come out. The signer builds the JOSE header, takes the kid from the key that
 * signs, appends the jti as the payload's last claim and computes its MAC.
 *
 * Two kinds of channel: one `control` channel (load, generate, switch, derive: one caller at a time),
 * and one `signing` channel per worker, served by a thread of its own in the signer. A request frame is
 * one SOCK_SEQPACKET message and gets exactly one answer. */
#ifndef CHANCERY_KEYS_SIGNER_H
#define CHANCERY_KEYS_SIGNER_H

#include "base/buf.h"
#include "base/secret.h"
#include "keys/plan.h"

enum { SIGNER_FRAME_MAX = 12288, SIGNER_TIMEOUT_MS = 50, SIGNER_CONTROL_TIMEOUT_MS = 10000, JTI_MAX = 64 };

/* Runs until the control channel closes; returns the exit status. `channels` are signing sockets. Called
 * in the forked child; `master` is wiped from the caller's copy by the caller. */
int signer_run(const struct secret *master, int control, const int *channels, size_t count);

/* The server's side. A struct signer_channel is used by one thread at a time. */
struct signer_channel {
	int fd; /* -1: no signer at the moment */
};

/* Token kinds: each fixes the header's typ and the claims the signer insists on. */
enum token_kind { TOKEN_ACCESS = 1 /* typ at+jwt, RFC 9068 2.1 */ };

struct signed_token {
	struct str text;   /* compact JWS, in the buffer given */
	char kid[KID_MAX + 1];
	char jti[JTI_MAX + 1];
};

/* `claims` is a JSON object without jti. Waits at most SIGNER_TIMEOUT_MS. ERR_UNAVAILABLE: no signer, no
 * active key, or no answer in time (the channel is then closed). ERR_INTERNAL: refused by policy. */
MUST_CHECK enum err signer_sign(struct signer_channel *ch, enum token_kind kind, enum alg alg,
				struct str claims, struct buf *out, struct signed_token *ret_token);

/* Control. All wait at most SIGNER_CONTROL_TIMEOUT_MS. ERR_BAD_SIGNATURE: the sealed row does not open
 * under this master key. */

/* First: makes (sealed_in absent) or opens the root key. Out: the sealed root to be stored when made. */
MUST_CHECK enum err signer_root(struct signer_channel *ch, uint32_t version, struct str sealed_in,
				struct buf *sealed_out);
/* Tells the issuer and the longest lifetime; refused tokens afterwards are those that break them. */
MUST_CHECK enum err signer_policy(struct signer_channel *ch, struct str issuer, int64_t longest_ttl);
/* A key derived from the root by label; only labels the signer knows: "refresh", "jti", "client-secret",
 * "page-token". */
MUST_CHECK enum err signer_derive(struct signer_channel *ch, const char *label, struct secret *ret_key);
/* Makes a key pair on a thread of its own. public_jwk: JSON text; sealed: for the row. Not loaded yet. */
MUST_CHECK enum err signer_generate(struct signer_channel *ch, enum alg alg, char ret_kid[KID_MAX + 1],
				    struct buf *public_jwk, struct buf *sealed);
/* Opens a row and holds it in `state` (standby and active keys only; the others are not needed). */
MUST_CHECK enum err signer_load(struct signer_channel *ch, const struct key_info *key, struct str sealed);
/* From the next frame on `kid` signs for its algorithm; the key that did so before is dropped and the
 * latest `exp` it signed is reported (0: none since start). */
MUST_CHECK enum err signer_activate(struct signer_channel *ch, struct str kid, int64_t exp_bound,
				    int64_t *ret_last_exp);
MUST_CHECK enum err signer_bound(struct signer_channel *ch, struct str kid, int64_t exp_bound);
MUST_CHECK enum err signer_drop(struct signer_channel *ch, struct str kid);

/* The jti's MAC (keys/jti.c), for the side that verifies: kid of the header, payload up to the jti. */
struct str signer_jti_of(struct str payload);
bool signer_jti_genuine(const struct secret *jti_key, struct str kid, struct str payload);

#endif
