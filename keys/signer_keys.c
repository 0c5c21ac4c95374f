/* Signing keys: made, imported, opened, switched, dropped. Private halves leave this process only
 * sealed under the current root, bound to kid and algorithm. */
#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "jose/jws.h"
#include "keys/seal.h"
#include "keys/signer_call.h"

enum { GENERATE_NICE = 5 };

static_assert((int)SIGNER_IMPORT_KEY_LEN == (int)crypto_box_PUBLICKEYBYTES, "one key length");
static_assert((int)SIGNER_IMPORT_KEY_LEN == (int)crypto_box_SECRETKEYBYTES, "one key length");
static_assert((int)SIGNER_IMPORT_OVERHEAD == (int)crypto_box_SEALBYTES, "the header promises it");
static_assert((int)SIGNER_IMPORT_KEY_MAX <= (int)SEAL_PLAIN_MAX, "what comes in can be stored");

static struct str key_context(char text[CONTEXT_MAX + 1], struct str kid, enum alg alg)
{
	return call_context(text, "signing:%.*s:%s", STR_ARG(kid), alg_name(alg));
}

static enum alg alg_of(const struct call *c)
{
	return (enum alg)c->in.head.alg;
}

/* ---- out: public half and sealed row ---- */

static enum err export_public(struct call *c, const struct signing_key *key, struct str kid)
{
	AUTO(jwk, public_key) = NULL;
	struct jsonw w;
	enum err e = signing_key_public(key, kid, &public_key);

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
		call_seal(&signer_root_current(c->s->secrets)->seal, context,
			  str_n(plain.p, plain.n), &c->more);
		e = c->more.err;
	}
	buf_done(&plain);
	return e;
}

static enum err hand_out(struct call *c, const struct signing_key *key, struct str kid)
{
	enum err e = export_public(c, key, kid);

	return e ? e : seal_private(c, key);
}

/* ---- made here ---- */

static void *generate_main(void *arg)
{
	struct generation *g = arg;

	/* of this thread only (Linux): signatures come first; if refused it is a little less polite
	 */
	setpriority(PRIO_PROCESS, (id_t)gettid(), GENERATE_NICE);
	g->result = signing_key_generate(g->alg, &g->key);
	atomic_store(&g->done, true);
	return NULL;
}

enum err call_generate(struct call *c)
{
	struct generation *g = &c->s->making[alg_of(c)];

	if (g->begun)
		return ERR_OK;
	*g = (struct generation){ .alg = alg_of(c) };
	if (pthread_create(&g->thread, NULL, generate_main, g))
		return ERR_NOMEM;
	g->begun = true;
	return ERR_OK;
}

static enum err take_generated(struct generation *g, struct signing_key **ret_key)
{
	pthread_join(g->thread, NULL);
	g->begun = false;
	if (!g->result)
		*ret_key = TAKE(g->key);
	return g->result;
}

enum err call_generated(struct call *c)
{
	struct generation *g = &c->s->making[alg_of(c)];
	AUTO(signing_key, key) = NULL;
	enum err e;

	if (!g->begun)
		return ERR_NOT_FOUND;
	if (!atomic_load(&g->done))
		return ERR_BUSY;
	e = take_generated(g, &key);
	return e ? e : hand_out(c, key, STR_NONE);
}

void signer_making_done(struct signer *s)
{
	for (size_t i = 0; i < ALG_COUNT; i++) {
		AUTO(signing_key, key) = NULL;

		if (s->making[i].begun)
			(void)take_generated(&s->making[i], &key); /* nobody asks any more */
	}
}

/* ---- made elsewhere ---- */

enum err call_import_key(struct call *c)
{
	buf_add(&c->more, c->s->secrets->import_public, SIGNER_IMPORT_KEY_LEN);
	return c->more.err;
}

static bool is_visible(struct str kid)
{
	for (size_t i = 0; i < kid.n; i++) {
		if (kid.p[i] <= ' ' || kid.p[i] > '~')
			return false;
	}
	return kid.n > 0;
}

static enum err open_box(const struct call *c, unsigned char ret_plain[SIGNER_IMPORT_KEY_MAX])
{
	const struct signer_secrets *secrets = c->s->secrets;

	if (c->in.data.n < SIGNER_IMPORT_OVERHEAD ||
	    c->in.data.n > SIGNER_IMPORT_KEY_MAX + SIGNER_IMPORT_OVERHEAD ||
	    crypto_box_seal_open(ret_plain, (const unsigned char *)c->in.data.p, c->in.data.n,
				 secrets->import_public, secrets->import_private))
		return ERR_BAD_SIGNATURE;
	return ERR_OK;
}

static enum err unbox_key(const struct call *c, struct signing_key **ret_key)
{
	unsigned char plain[SIGNER_IMPORT_KEY_MAX];
	enum err e = open_box(c, plain);

	if (!e)
		e = signing_key_load(alg_of(c), str_n(plain, c->in.data.n - SIGNER_IMPORT_OVERHEAD),
				     ret_key);
	wipe(plain, sizeof(plain));
	return e;
}

enum err call_import(struct call *c)
{
	AUTO(signing_key, key) = NULL;
	enum err e;

	if (!is_visible(c->in.kid))
		return ERR_SYNTAX;
	e = unbox_key(c, &key);
	if (!e)
		e = signing_key_check(key);
	return e ? e : hand_out(c, key, c->in.kid);
}

/* ---- opened ---- */

static enum err open_row(const struct call *c, struct signing_key **ret_key)
{
	const struct secret *seal = &signer_root_current(c->s->secrets)->seal;
	char text[CONTEXT_MAX + 1];
	struct buf plain;
	enum err e;

	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	e = unseal(seal, key_context(text, c->in.kid, alg_of(c)), c->in.data, &plain);
	if (!e)
		e = signing_key_load(alg_of(c), str_n(plain.p, plain.n), ret_key);
	buf_done(&plain);
	return e;
}

static enum err sign_and_verify(const struct signing_key *key)
{
	AUTO(jwk, public_key) = NULL;
	struct jws jws = { .alg = signing_key_alg(key), .signing_input = STR("probe.probe") };
	struct sign_ctx *ctx = NULL;
	enum err e = signing_key_public(key, STR_NONE, &public_key);

	if (!e)
		e = sign_ctx_new(key, &ctx);
	if (!e)
		e = sign(ctx, jws.signing_input, jws.signature, sizeof(jws.signature),
			 &jws.signature_len);
	if (!e)
		e = jws_verify(&jws, public_key);
	sign_ctx_free(ctx);
	return e == ERR_BAD_SIGNATURE ? ERR_CRYPTO : e;
}

enum err call_probe(struct call *c)
{
	AUTO(signing_key, key) = NULL;
	enum err e = open_row(c, &key);

	return e ? e : sign_and_verify(key);
}

enum err call_load(struct call *c)
{
	/* RFC 9068 2.1 */
	const struct held_use use = { .typ = "at+jwt", .exp_bound = c->in.head.number };
	struct signing_key *key;
	struct held_key *held;
	enum err e;

	/* what does not sign any more, or never may again, is not even opened */
	if (c->in.head.kind != KEY_ACTIVE && c->in.head.kind != KEY_STANDBY)
		return ERR_CONFLICT;
	e = open_row(c, &key);
	if (!e)
		e = held_key_new(c->in.kid, key, signer_root_current(c->s->secrets), &use, &held);
	return e ? e : table_load(&c->s->table, held, c->in.head.kind == KEY_ACTIVE);
}

enum err call_activate(struct call *c)
{
	return table_activate(&c->s->table, c->in.kid, c->in.head.number, &c->number);
}

enum err call_bound(struct call *c)
{
	return table_bound(&c->s->table, c->in.kid, c->in.head.number);
}

enum err call_drop(struct call *c)
{
	return table_drop(&c->s->table, c->in.kid);
}
