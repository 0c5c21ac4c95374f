/* GnuTLS asks a callback for the certificate of every handshake and tells it nothing but the
 * session. The session database is not used, so its pointer is free to say which certificate is
 * meant. */
#include "server/http/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/secret.h"

enum { CHAIN_MAX = 8, PEM_SIZE_MAX = 65536, KEY_ID_MAX = 64 };

struct tls_cert {
	_Atomic unsigned refs;
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned count;
	gnutls_privkey_t key;
};

struct tls {
	pthread_mutex_t lock; /* guards `cert`, the pointer */
	struct tls_cert *cert;
	_Atomic bool asks; /* the client for a certificate */
};

/* A file's bytes; they may be a key. */
struct pem {
	unsigned char *p;
	size_t n;
};

static void pem_free(struct pem *pem)
{
	if (pem->p)
		wipe(pem->p, PEM_SIZE_MAX);
	free(pem->p);
}
#define AUTO_PEM __attribute__((cleanup(pem_free)))

void tls_cert_unref(struct tls_cert *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) > 1)
		return;
	for (unsigned i = 0; i < c->count; i++)
		gnutls_pcert_deinit(&c->chain[i]);
	gnutls_privkey_deinit(c->key);
	free(c);
}

#define tls_cert_free tls_cert_unref
AUTO_DEFINE(tls_cert)

/* ---- loading ---- */

static enum err say(struct tls_fault *f, enum err e, const char *file, const char *why)
{
	snprintf(f->text, sizeof(f->text), "%s: %s", file, why);
	return e;
}

static enum err say_gnutls(struct tls_fault *f, const char *file, int code)
{
	return say(f, code == GNUTLS_E_MEMORY_ERROR ? ERR_NOMEM : ERR_SYNTAX, file,
		   gnutls_strerror(code));
}

static enum err pem_read(const char *file, struct pem *pem, struct tls_fault *fault)
{
	char why[128];
	ssize_t n = 1;
	int fd;

	pem->p = calloc(1, PEM_SIZE_MAX);
	if (!pem->p)
		return say(fault, ERR_NOMEM, file, "no memory");
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return say(fault, ERR_IO, file, strerror_r(errno, why, sizeof(why)));
	while (n > 0 && pem->n < PEM_SIZE_MAX) {
		n = read(fd, pem->p + pem->n, PEM_SIZE_MAX - pem->n);
		if (n > 0)
			pem->n += (size_t)n;
	}
	close(fd);
	if (n < 0)
		return say(fault, ERR_IO, file, "cannot be read");
	if (pem->n == PEM_SIZE_MAX)
		return say(fault, ERR_SYNTAX, file, "too large for a certificate");
	return ERR_OK;
}

static enum err load_chain(struct tls_cert *c, const char *file, struct tls_fault *fault)
{
	AUTO_PEM struct pem pem = { 0 };
	unsigned count = CHAIN_MAX;
	gnutls_datum_t data;
	enum err e;
	int code;

	e = pem_read(file, &pem, fault);
	if (e)
		return e;
	data = (gnutls_datum_t){ pem.p, (unsigned)pem.n };
	code = gnutls_pcert_list_import_x509_raw(
		c->chain, &count, &data, GNUTLS_X509_FMT_PEM,
		GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED | GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (code < 0)
		return say_gnutls(fault, file, code);
	c->count = count;
	return count ? ERR_OK : say(fault, ERR_SYNTAX, file, "no certificate in it");
}

static enum err load_key(struct tls_cert *c, const char *file, struct tls_fault *fault)
{
	AUTO_PEM struct pem pem = { 0 };
	gnutls_datum_t data;
	enum err e;
	int code;

	e = pem_read(file, &pem, fault);
	if (e)
		return e;
	data = (gnutls_datum_t){ pem.p, (unsigned)pem.n };
	code = gnutls_privkey_import_x509_raw(c->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
	return code < 0 ? say_gnutls(fault, file, code) : ERR_OK;
}

/* A pair that does not belong together would be found out by every client, in the handshake. */
static bool key_fits(const struct tls_cert *c)
{
	unsigned char ours[KEY_ID_MAX], theirs[KEY_ID_MAX];
	size_t our_n = sizeof(ours), their_n = sizeof(theirs);
	gnutls_pubkey_t pub = NULL;
	bool fits;

	if (gnutls_pubkey_init(&pub) < 0)
		return false;
	fits = gnutls_pubkey_import_privkey(pub, c->key, 0, 0) == 0 &&
	       gnutls_pubkey_get_key_id(pub, GNUTLS_KEYID_USE_SHA256, ours, &our_n) == 0 &&
	       gnutls_pubkey_get_key_id(c->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, theirs,
					&their_n) == 0 &&
	       our_n == their_n && !memcmp(ours, theirs, our_n);
	gnutls_pubkey_deinit(pub);
	return fits;
}

enum err tls_load(const char *certificate, const char *key, struct tls_cert **ret_cert,
		  struct tls_fault *fault)
{
	AUTO(tls_cert, c) = calloc(1, sizeof(*c));
	enum err e;

	if (!c)
		return say(fault, ERR_NOMEM, certificate, "no memory");
	c->refs = 1;
	if (gnutls_privkey_init(&c->key) < 0)
		return say(fault, ERR_NOMEM, key, "no memory");
	e = load_chain(c, certificate, fault);
	if (e)
		return e;
	e = load_key(c, key, fault);
	if (e)
		return e;
	if (!key_fits(c))
		return say(fault, ERR_CONFLICT, key, "not the key of the certificate");
	*ret_cert = TAKE(c);
	return ERR_OK;
}

enum err tls_new(const char *certificate, const char *key, struct tls **ret_tls,
		 struct tls_fault *ret_fault)
{
	struct tls *t = calloc(1, sizeof(*t));
	enum err e;

	if (!t)
		return say(ret_fault, ERR_NOMEM, certificate, "no memory");
	e = tls_load(certificate, key, &t->cert, ret_fault);
	if (e) {
		free(t);
		return e;
	}
	pthread_mutex_init(&t->lock, NULL);
	*ret_tls = t;
	return ERR_OK;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	tls_cert_unref(t->cert);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void tls_replace(struct tls *t, struct tls_cert *fresh)
{
	struct tls_cert *old;

	pthread_mutex_lock(&t->lock);
	old = t->cert;
	t->cert = fresh;
	pthread_mutex_unlock(&t->lock);
	tls_cert_unref(old);
}

static struct tls_cert *present(struct tls *t)
{
	struct tls_cert *c;

	pthread_mutex_lock(&t->lock);
	c = t->cert;
	atomic_fetch_add(&c->refs, 1);
	pthread_mutex_unlock(&t->lock);
	return c;
}

/* ---- sessions ---- */

/* RFC 9325 4.1 and 4.2: forward secrecy and AEAD, which "NORMAL" does not insist on; RFC 9155: no
 * SHA-1 under a handshake. */
const char *tls_priorities(void)
{
	return "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
	       ":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA"
	       ":-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM"
	       ":-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1";
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *issuers, int issuer_count,
		    const gnutls_pk_algorithm_t *algs, int alg_count, gnutls_pcert_st **ret_chain,
		    unsigned *ret_count, gnutls_privkey_t *ret_key)
{
	struct tls_cert *c = gnutls_db_get_ptr(session);

	(void)issuers;
	(void)issuer_count;
	(void)algs;
	(void)alg_count;
	if (!c)
		return -1;
	*ret_chain = c->chain;
	*ret_count = c->count;
	*ret_key = c->key;
	return 0;
}

void *tls_retrieve(void)
{
	return (void *)retrieve;
}

struct tls_cert *tls_attach(struct tls *t, void *session)
{
	struct tls_cert *c = present(t);

	gnutls_db_set_ptr(session, c);
	if (atomic_load(&t->asks))
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
	return c;
}

void tls_ask_certificate(struct tls *t, bool asks)
{
	atomic_store(&t->asks, asks);
}

bool tls_client_certificate(void *session, unsigned char ret_hash[CERTIFICATE_HASH_LEN])
{
	unsigned count = 0;
	const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
	size_t n = CERTIFICATE_HASH_LEN;

	return shown && count && gnutls_fingerprint(GNUTLS_DIG_SHA256, shown, ret_hash, &n) == 0 &&
	       n == CERTIFICATE_HASH_LEN;
}
