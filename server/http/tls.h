/* The certificate of a listener: loaded from files, replaced whole while connections run. The only
 * module that knows GnuTLS; libmicrohttpd makes the sessions, this one gives each its certificate.
 *
 * A session keeps the certificate it began with until it ends, so that a reload cuts nobody. */
#ifndef CHANCERY_SERVER_TLS_H
#define CHANCERY_SERVER_TLS_H

#include "base/str.h"
#include "server/state/consumer_match.h"

struct tls;
struct tls_cert; /* one loaded chain and its key; shared, immutable */

struct tls_fault {
	char text[256]; /* which file, and why */
};

/* PEM: leaf first, then its issuers; the key without a passphrase. ERR_IO, ERR_SYNTAX,
 * ERR_CONFLICT: the key is not the leaf's; ERR_NOMEM. */
MUST_CHECK enum err tls_new(const char *certificate, const char *key, struct tls **ret_tls,
			    struct tls_fault *ret_fault);
/* After every listener that uses it has stopped. */
void tls_free(struct tls *t);
/* The two steps of a reload, so that several listeners can take what was read together, or none of
 * it. Any thread. tls_load: as tls_new; the reference is the caller's. */
MUST_CHECK enum err tls_load(const char *certificate, const char *key, struct tls_cert **ret_cert,
			     struct tls_fault *ret_fault);
/* `fresh` is taken; sessions that begin from now on present it. */
void tls_replace(struct tls *t, struct tls_cert *fresh);

/* For http.c. */

/* TLS 1.2 and 1.3, ECDHE with AEAD. */
const char *tls_priorities(void);
/* A gnutls_certificate_retrieve_function2 that serves what tls_attach gave the session. */
void *tls_retrieve(void);
/* Before the handshake: `session` is a gnutls_session_t. The reference is the caller's, until the
 * session has ended. */
struct tls_cert *tls_attach(struct tls *t, void *session);
void tls_cert_unref(struct tls_cert *c);

/* Shall sessions that begin from now on ask the client for a certificate? It need not have one, nor
 * need anybody have issued it: it is known by its hash (server/state/consumer_match.h). Any thread.
 */
void tls_ask_certificate(struct tls *t, bool asks);
/* SHA-256 of the DER of the certificate whose key the client proved to hold in the handshake, which
 * must be over. False: it showed none. */
bool tls_client_certificate(void *session, unsigned char ret_hash[CERTIFICATE_HASH_LEN]);

#endif
