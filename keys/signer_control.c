/* The control side of the signer: one row per operation. The server is the only caller and asks one
 * thing at a time; whatever it sends is checked as if a stranger had sent it. */
#include <pthread.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "keys/seal.h"
#include "keys/signer_frame.h"
#include "keys/signer_process.h"

enum { NONCE_LEN = 24, CONTEXT_MAX = 255, PUBLIC_JWK_MAX = 2048, GENERATE_NICE = 5 };

#define SEAL_LABEL "seal-signing-keys"
#define JTI_LABEL "jti"

/* What the server may have. The sealing key's label is not here and never will be. */
static const char *const derived_labels[] = { "refresh", JTI_LABEL, "client-secret", "page-token" };

/* One operation: in, then out. */
struct call {
	struct signer *s;
	struct signer_request in;
	int64_t number;
	char kid[KID_MAX + 1];
	struct buf text, more;
};

static struct str context_of(char *text, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
static struct str context_of(char *text, size_t size, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, size, format, args);
	va_end(args);
	return str_n(text, n < 0 || (size_t)n >= size ? size - 1 : (size_t)n);
}

static void seal_with(const struct secret *key, struct str context, struct str plain,
		      struct buf *out)
{
	unsigned char nonce[NONCE_LEN];

	randombytes_buf(nonce, sizeof(nonce));
	seal(key, context, plain, nonce, out);
}

/* ---- root ---- */

static enum err open_root(struct call *c, struct str context, struct secret *ret_root)
{
	struct buf plain;
	enum err e;

	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	e = unseal(c->s->master, context, c->in.data, &plain);
	if (!e && plain.n != SECRET_LEN)
		e = ERR_CORRUPT;
	if (!e)
		memcpy(ret_root->b, plain.p, SECRET_LEN);
	buf_done(&plain);
	return e;
}

static enum err make_root(struct call *c, struct str context, struct secret *ret_root)
{
	randombytes_buf(ret_root->b, SECRET_LEN);
	seal_with(c->s->master, context, str_n(ret_root->b, SECRET_LEN), &c->more);
	return c->more.err;
}

/* A second root would leave keys and secrets of two installations in one process; the same one
 * again (the server opened its keyring anew) is no harm. */
static enum err adopt_root(struct signer_secrets *secrets, uint32_t version,
			   const struct secret *root)
{
	if (secrets->open)
		return secret_equal(&secrets->root, root) ? ERR_OK : ERR_CONFLICT;
	secrets->version = version;
	secrets->root = *root;
	secret_derive(root, SEAL_LABEL, &secrets->seal);
	secret_derive(root, JTI_LABEL, &secrets->jti);
	secrets->open = true;
	return ERR_OK;
}

static enum err do_root(struct call *c)
{
	struct secret root;
	char text[CONTEXT_MAX + 1];
	struct str context = context_of(text, sizeof(text), "root:%u", c->in.head.version);
	enum err e;

	if (c->in.data.n)
		e = open_root(c, context, &root);
	else
		e = c->s->secrets->open ? ERR_CONFLICT : make_root(c, context, &root);
	if (!e)
		e = adopt_root(c->s->secrets, c->in.head.version, &root);
	secret_wipe(&root);
	return e;
}

static enum err do_ping(struct call *c)
{
	(void)c;
	return ERR_OK;
}

static enum err do_policy(struct call *c)
{
	return table_policy(&c->s->table, c->in.data, c->in.head.number);
}

static enum err do_derive(struct call *c)
{
	struct secret key;

	for (size_t i = 0; i < sizeof(derived_labels) / sizeof(derived_labels[0]); i++) {
		if (!str_equal_z(c->in.data, derived_labels[i]))
			continue;
		secret_derive(&c->s->secrets->root, derived_labels[i], &key);
		buf_add(&c->more, key.b, sizeof(key.b));
		secret_wipe(&key);
		return c->more.err;
	}
	return ERR_NOT_FOUND;
}

/* ---- keys ---- */

static struct str key_context(char text[CONTEXT_MAX + 1], struct str kid, enum alg alg)
{
	return context_of(text, CONTEXT_MAX + 1, "signing:%.*s:%s", STR_ARG(kid), alg_name(alg));
}

struct generation {
	enum alg alg;
	struct signing_key *key;
	enum err result;
};

static void *generate_main(void *arg)
{
	struct generation *g = arg;

	/* of this thread only (Linux): signatures come first; if refused it is a little less polite
	 */
	setpriority(PRIO_PROCESS, (id_t)gettid(), GENERATE_NICE);
	g->result = signing_key_generate(g->alg, &g->key);
	return NULL;
}

static enum err generate(enum alg alg, struct signing_key **ret_key)
{
	struct generation g = { .alg = alg, .result = ERR_INTERNAL };
	pthread_t thread;

	if (pthread_create(&thread, NULL, generate_main, &g))
		return ERR_NOMEM;
	pthread_join(thread, NULL);
	*ret_key = g.key;
	return g.result;
}

static enum err export_public(struct call *c, const struct signing_key *key)
{
	AUTO(jwk, public_key) = NULL;
	struct jsonw w;
	struct str kid;
	enum err e = signing_key_public(key, &public_key);

	if (e)
		return e;
	kid = jwk_kid(public_key);
	if (kid.n > KID_MAX)
		return ERR_LIMIT;
	memcpy(c->kid, kid.p, kid.n);
	c->kid[kid.n] = '\0';
	jsonw_init(&w, &c->text);
	jwk_export(public_key, &w);
	return c->text.err;
}

static enum err seal_private(struct call *c, const struct signing_key *key)
{
	char text[CONTEXT_MAX + 1];
	struct str context = key_context(text, str_z(c->kid), signing_key_alg(key));
	struct buf plain;
	enum err e;

	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	e = signing_key_pkcs8(key, &plain);
	if (!e) {
		seal_with(&c->s->secrets->seal, context, str_n(plain.p, plain.n), &c->more);
		e = c->more.err;
	}
	buf_done(&plain);
	return e;
}

static enum err do_generate(struct call *c)
{
	AUTO(signing_key, key) = NULL;
	enum err e = generate((enum alg)c->in.head.alg, &key);

	if (!e)
		e = export_public(c, key);
	return e ? e : seal_private(c, key);
}

static enum err do_load(struct call *c)
{
	char text[CONTEXT_MAX + 1];
	enum alg alg = (enum alg)c->in.head.alg;
	struct signing_key *key;
	struct held_key *held;
	struct buf plain;
	enum err e;

	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	e = unseal(&c->s->secrets->seal, key_context(text, c->in.kid, alg), c->in.data, &plain);
	if (!e)
		e = signing_key_load(alg, str_n(plain.p, plain.n), &key);
	buf_done(&plain);
	if (!e)
		e = held_key_new(c->in.kid, key, c->in.head.number, &held);
	return e ? e : table_load(&c->s->table, held, c->in.head.kind == KEY_ACTIVE);
}

static enum err do_activate(struct call *c)
{
	return table_activate(&c->s->table, c->in.kid, c->in.head.number, &c->number);
}

static enum err do_bound(struct call *c)
{
	return table_bound(&c->s->table, c->in.kid, c->in.head.number);
}

static enum err do_drop(struct call *c)
{
	return table_drop(&c->s->table, c->in.kid);
}

/* ---- the table ---- */

static const struct op {
	enum err (*run)(struct call *c);
	bool needs_root;
	bool needs_alg;
} ops[SIGNER_OP_COUNT] = {
	[SIGNER_OP_PING] = { do_ping },
	[SIGNER_OP_ROOT] = { do_root },
	[SIGNER_OP_POLICY] = { do_policy },
	[SIGNER_OP_DERIVE] = { do_derive, .needs_root = true },
	[SIGNER_OP_GENERATE] = { do_generate, .needs_root = true, .needs_alg = true },
	[SIGNER_OP_LOAD] = { do_load, .needs_root = true, .needs_alg = true },
	[SIGNER_OP_ACTIVATE] = { do_activate, .needs_root = true },
	[SIGNER_OP_BOUND] = { do_bound, .needs_root = true },
	[SIGNER_OP_DROP] = { do_drop, .needs_root = true },
};

static enum err run(struct call *c, const struct op *op)
{
	if (op->needs_root && !c->s->secrets->open)
		return ERR_CONFLICT;
	if (op->needs_alg && (c->in.head.alg == ALG_UNKNOWN || c->in.head.alg >= ALG_COUNT))
		return ERR_UNSUPPORTED;
	return op->run(c);
}

static bool answer_call(int fd, const struct call *c, enum err e)
{
	struct signer_answer answer = { .head = { .seq = c->in.head.seq, .err = (uint16_t)e } };

	if (!e) {
		answer.head.number = c->number;
		answer.kid = str_z(c->kid);
		answer.text = str_n(c->text.p, c->text.n);
		answer.more = str_n(c->more.p, c->more.n);
	}
	return signer_answer_send(fd, &answer);
}

static bool serve_one(struct signer *s, int fd, struct str frame)
{
	struct call c = { .s = s };
	bool sent;

	if (!signer_request_parse(frame, &c.in) || c.in.head.op >= SIGNER_OP_COUNT ||
	    !ops[c.in.head.op].run)
		return false;
	buf_init(&c.text, NULL, PUBLIC_JWK_MAX);
	buf_init(&c.more, NULL, SEALED_MAX);
	sent = answer_call(fd, &c, run(&c, &ops[c.in.head.op]));
	buf_done(&c.text);
	buf_done(&c.more);
	return sent;
}

bool signer_control_serve(struct signer *s, int fd)
{
	char frame[SIGNER_FRAME_MAX];
	size_t n;

	while (signer_frame_recv(fd, frame, sizeof(frame), 0, &n)) {
		if (!serve_one(s, fd, str_n(frame, n)))
			return false;
	}
	return true;
}
