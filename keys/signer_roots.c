/* Master and root keys. A root is sealed under the master key and its version; everything else that
 * is secret comes from a root by label. While a change of the master key is under way there are
 * two, and a root may stand under either: the database says which, at one moment for all of them.
 */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#include "keys/seal.h"
#include "keys/signer_call.h"

enum { NONCE_LEN = 24, VERSION_MAX = UINT8_MAX /* it is one byte of a jti */ };

#define SEAL_LABEL "seal-signing-keys"
#define JTI_LABEL "jti"

struct str call_context(char text[CONTEXT_MAX + 1], const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, CONTEXT_MAX + 1, format, args);
	va_end(args);
	return str_n(text, n < 0 || n > CONTEXT_MAX ? CONTEXT_MAX : (size_t)n);
}

void call_seal(const struct secret *key, struct str context, struct str plain, struct buf *out)
{
	unsigned char nonce[NONCE_LEN];

	randombytes_buf(nonce, sizeof(nonce));
	seal(key, context, plain, nonce, out);
}

static struct str root_context(char text[CONTEXT_MAX + 1], uint32_t version)
{
	return call_context(text, "root:%u", version);
}

/* ---- opening ---- */

static enum err open_under(const struct secret *master, const struct call *c,
			   struct secret *ret_root)
{
	char text[CONTEXT_MAX + 1];
	struct buf plain;
	enum err e;

	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	e = unseal(master, root_context(text, c->in.head.value), c->in.data, &plain);
	if (!e && plain.n != SECRET_LEN)
		e = ERR_CORRUPT;
	if (!e)
		memcpy(ret_root->b, plain.p, SECRET_LEN);
	buf_done(&plain);
	return e;
}

static enum err open_root(const struct call *c, struct secret *ret_root, bool *ret_by_next)
{
	const struct signer_masters *m = &c->s->secrets->masters;
	enum err e = open_under(&m->present, c, ret_root);

	*ret_by_next = false;
	if (e != ERR_BAD_SIGNATURE || !m->has_next)
		return e;
	*ret_by_next = true;
	return open_under(&m->next, c, ret_root);
}

static void seal_root(const struct secret *master, uint32_t version, const struct secret *root,
		      struct buf *out)
{
	char text[CONTEXT_MAX + 1];

	call_seal(master, root_context(text, version), str_n(root->b, sizeof(root->b)), out);
}

/* ---- which are held ---- */

const struct signer_root *signer_root_current(const struct signer_secrets *secrets)
{
	const struct signer_root *highest = NULL;

	for (size_t i = 0; i < secrets->root_count; i++) {
		if (!highest || secrets->roots[i].version > highest->version)
			highest = &secrets->roots[i];
	}
	return highest;
}

static const struct signer_root *lowest(const struct signer_secrets *secrets)
{
	const struct signer_root *found = &secrets->roots[0];

	for (size_t i = 1; i < secrets->root_count; i++) {
		if (secrets->roots[i].version < found->version)
			found = &secrets->roots[i];
	}
	return found;
}

static const struct signer_root *find(const struct signer_secrets *secrets, uint32_t version)
{
	for (size_t i = 0; i < secrets->root_count; i++) {
		if (secrets->roots[i].version == version)
			return &secrets->roots[i];
	}
	return NULL;
}

/* Another root of the same version would leave keys and secrets of two installations in one
 * process; the same one again (the server opened its keyring anew) is no harm. */
static enum err adopt(struct signer *s, uint32_t version, const struct secret *key)
{
	struct signer_secrets *secrets = s->secrets;
	const struct signer_root *current = signer_root_current(secrets);
	const struct signer_root *same = find(secrets, version);
	struct signer_root *r = &secrets->roots[secrets->root_count];

	if (same)
		return secret_equal(&same->root, key) ? ERR_OK : ERR_CONFLICT;
	if (version == 0 || version > VERSION_MAX || secrets->root_count == SIGNER_ROOTS_MAX)
		return ERR_LIMIT;
	/* what is held signs under the root that was current: that must stay true */
	if (current && version > current->version && table_holds_keys(&s->table))
		return ERR_CONFLICT;
	r->version = version;
	r->root = *key;
	secret_derive(key, SEAL_LABEL, &r->seal);
	secret_derive(key, JTI_LABEL, &r->jti);
	secrets->root_count++;
	purpose_keys_root(&s->purposes, r);
	return ERR_OK;
}

/* ---- operations ---- */

static enum err make_root(struct call *c, struct secret *ret_root)
{
	const struct signer_secrets *secrets = c->s->secrets;

	if (secrets->root_count)
		return ERR_CONFLICT;
	randombytes_buf(ret_root->b, SECRET_LEN);
	seal_root(&secrets->masters.present, c->in.head.value, ret_root, &c->more);
	return c->more.err;
}

enum err call_root(struct call *c)
{
	bool by_next = false;
	struct secret root;
	enum err e = c->in.data.n ? open_root(c, &root, &by_next) : make_root(c, &root);

	if (!e)
		e = adopt(c->s, c->in.head.value, &root);
	c->number = by_next;
	secret_wipe(&root);
	return e;
}

enum err call_reseal_root(struct call *c)
{
	const struct signer_masters *m = &c->s->secrets->masters;
	struct secret root;
	bool by_next;
	enum err e = m->has_next ? open_root(c, &root, &by_next) : ERR_NOT_FOUND;

	if (!e) {
		seal_root(&m->next, c->in.head.value, &root, &c->more);
		e = c->more.err;
	}
	secret_wipe(&root);
	return e;
}

enum err call_new_root(struct call *c)
{
	const struct signer_secrets *secrets = c->s->secrets;
	uint32_t version = c->in.head.value;
	struct secret root;

	if (!secrets->masters.has_next)
		return ERR_NOT_FOUND;
	if (version <= signer_root_current(secrets)->version)
		return ERR_CONFLICT;
	if (version > VERSION_MAX)
		return ERR_LIMIT;
	randombytes_buf(root.b, sizeof(root.b));
	seal_root(&secrets->masters.next, version, &root, &c->more);
	secret_wipe(&root);
	return c->more.err;
}

/* What the server may have. The sealing key's label is not here and never will be. */
static const struct label {
	const char *name;
	bool of_lowest;
} labels[] = {
	{ "refresh", false },	 { JTI_LABEL, false },	    { "client-secret", true },
	{ "page-token", false }, { "access-token", false },
};

static const struct signer_root *root_for(const struct call *c, const struct label *label)
{
	const struct signer_secrets *secrets = c->s->secrets;

	if (c->in.head.value)
		return find(secrets, c->in.head.value);
	return label->of_lowest ? lowest(secrets) : signer_root_current(secrets);
}

enum err call_derive(struct call *c)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		const struct signer_root *root;
		struct secret key;

		if (!str_equal_z(c->in.data, labels[i].name))
			continue;
		root = root_for(c, &labels[i]);
		if (!root)
			return ERR_NOT_FOUND;
		secret_derive(&root->root, labels[i].name, &key);
		buf_add(&c->more, key.b, sizeof(key.b));
		secret_wipe(&key);
		return c->more.err;
	}
	return ERR_NOT_FOUND;
}

/* ---- custody ---- */

enum err call_master_next(struct call *c)
{
	struct signer_masters *m = &c->s->secrets->masters;

	if (c->in.data.n != SECRET_LEN)
		return ERR_SYNTAX;
	memcpy(m->next.b, c->in.data.p, SECRET_LEN);
	m->has_next = true;
	return ERR_OK;
}

enum err call_master_commit(struct call *c)
{
	struct signer_masters *m = &c->s->secrets->masters;

	if (!m->has_next)
		return ERR_NOT_FOUND;
	m->present = m->next;
	secret_wipe(&m->next);
	m->has_next = false;
	return ERR_OK;
}
