/* The way of a recorded token into the store and back. The text itself is never kept: whoever reads
 * the database holds no token, and without the key cannot even tell whether a text is one. */
#include "server/token/recorded.h"

#include "jose/b64.h"
#include "oauth/machine.h"

enum { JTI_BYTES = 16, OPAQUE_TEXT_MAX = 128 };

struct recording {
	struct token_record record;
	void *state;
	enum err (*next)(struct request *rq, enum err result);
};

struct looking {
	struct arena *arena;
	unsigned char hash[TOKEN_HASH_LEN];
	struct token_record record;
	void *state;
	enum err (*next)(struct request *rq, enum err result, const struct token_record *record);
};

static void hash_text(const struct request *rq, struct str text,
		      unsigned char ret_hash[TOKEN_HASH_LEN])
{
	const struct str parts[] = { STR("access-token"), text };

	secret_mac(&rq->app->derived.access_token, parts, 2, ret_hash, TOKEN_HASH_LEN);
}

/* ---- making one that says nothing ---- */

static enum err opaque_text(struct request *rq, struct str *ret_text)
{
	unsigned char bytes[SECRET_LEN];
	struct buf b;
	enum err e = rq->app->env->random(rq->app->env, bytes, sizeof(bytes));

	if (e)
		return e;
	buf_init(&b, rq->arena, OPAQUE_TEXT_MAX);
	machine_write(&b, MACHINE_ACCESS, bytes, sizeof(bytes));
	wipe(bytes, sizeof(bytes));
	return buf_end(&b, ret_text);
}

/* As the signer does for tokens it signs: the jti is the last member. */
static enum err add_jti(struct request *rq, struct str claims, struct str *ret_claims)
{
	char jti[B64URL_LEN(JTI_BYTES) + 1];
	unsigned char bytes[JTI_BYTES];
	struct buf b;
	enum err e = rq->app->env->random(rq->app->env, bytes, sizeof(bytes));

	if (e)
		return e;
	b64url_encode_z(bytes, sizeof(bytes), jti);
	rq->log_jti = arena_str(rq->arena, str_z(jti));
	buf_init(&b, rq->arena, JWT_SIZE_MAX);
	buf_add(&b, claims.p, claims.n - 1);
	buf_z(&b, ",\"jti\":\"");
	buf_z(&b, jti);
	buf_z(&b, "\"}");
	return buf_end(&b, ret_claims);
}

enum err opaque_make(struct request *rq, struct made_token *token)
{
	enum err e = add_jti(rq, token->claims, &token->claims);

	return e ? e : opaque_text(rq, &token->text);
}

/* ---- into the store ---- */

static enum err record_step(struct lane_ctx *ctx, void *arg)
{
	const struct recording *r = arg;

	return store_token_record(ctx->db, &r->record);
}

static enum err recorded(struct request *rq, enum err result)
{
	const struct recording *r = rq->state;

	rq->state = r->state;
	return r->next(rq, result);
}

enum err token_record(struct request *rq, const struct made_token *token, void *state,
		      enum err (*next)(struct request *rq, enum err result))
{
	struct recording *r = arena_new_of(rq->arena, struct recording);

	if (!r)
		return fail(rq, ERR_NOMEM, "no memory to record a token");
	*r = (struct recording){
		.record = { .kid = token->kid, .claims = token->claims, .exp = token->exp },
		.state = state,
		.next = next,
	};
	hash_text(rq, token->text, r->record.hash);
	rq->state = r;
	return park(rq, LANE_WRITER, record_step, r, recorded);
}

/* ---- and back ---- */

bool token_is_encrypted(struct str text)
{
	size_t dots = 0;

	for (size_t i = 0; i < text.n; i++)
		dots += text.p[i] == '.';
	return dots == 4;
}

bool token_is_recorded(struct str text)
{
	return str_starts(text, STR(MACHINE_ACCESS)) || token_is_encrypted(text);
}

static bool may_be_opaque(struct str text)
{
	unsigned char bytes[SECRET_LEN];
	bool ours = machine_read(text, MACHINE_ACCESS, bytes, sizeof(bytes)) == ERR_OK;

	wipe(bytes, sizeof(bytes));
	return ours;
}

static enum err look_step(struct lane_ctx *ctx, void *arg)
{
	struct looking *l = arg;

	return store_token_get(ctx->db, l->arena, l->hash, &l->record);
}

static enum err looked(struct request *rq, enum err result)
{
	const struct looking *l = rq->state;

	rq->state = l->state;
	return l->next(rq, result, &l->record);
}

enum err token_look_up(struct request *rq, struct str text, void *state,
		       enum err (*next)(struct request *rq, enum err result,
					const struct token_record *record))
{
	struct looking *l;

	/* we cannot read what is encrypted to others, and need not: its text is known or it is not
	 */
	if (!may_be_opaque(text) && !(token_is_encrypted(text) && text.n <= JWT_SIZE_MAX)) {
		rq->state = state;
		return next(rq, ERR_NOT_FOUND, NULL);
	}
	l = arena_new_of(rq->arena, struct looking);
	if (!l)
		return fail(rq, ERR_NOMEM, "no memory to look a token up");
	*l = (struct looking){ .arena = rq->arena, .state = state, .next = next };
	hash_text(rq, text, l->hash);
	rq->state = l;
	return park(rq, LANE_BLOCKING, look_step, l, looked);
}
