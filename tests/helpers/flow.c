/* Builds what serve builds, by the same calls, but for sockets and threads: operations run inline.
 */
#include "tests/helpers/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "oauth/form.h"
#include "oauth/machine.h"
#include "server/request/audit.h"
#include "server/token/auth.h"

enum { ANSWERS_MAX = 64 << 20, SETS_MAX = 32 };

struct kept_json {
	struct json *root;
	struct kept_json *next;
};

/* ---- up and down ---- */

static enum err inline_step(struct flow *f, enum lane lane,
			    enum err (*run)(struct lane_ctx *, void *), void *arg)
{
	struct task task = { .run = run, .arg = arg };

	lane_run_inline(f->store.db, f->app.env, lane, &task);
	return task.result;
}

static enum err step_write(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg)
{
	return inline_step(arg, LANE_WRITER, run, run_arg);
}

static enum err step_read(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg)
{
	return inline_step(arg, LANE_BLOCKING, run, run_arg);
}

static void load_config(struct flow *f, const char *const *more)
{
	static const char *const nothing[] = { NULL };
	const char *sets[SETS_MAX] = { "issuer=" FIXTURE_ISSUER };
	struct config_source source = {
		.data_dir = f->store.dir, .sets = sets, .set_count = 1, .environ = nothing
	};
	struct config_warnings warnings;
	struct config_fault fault;
	bool algs = false;

	for (; more && *more; more++) {
		ck_assert_uint_lt(source.set_count, SETS_MAX - 1);
		algs = algs || str_starts(str_z(*more), STR("keys.algs="));
		sets[source.set_count++] = *more;
	}
	if (!algs) /* an RSA key takes half a second */
		sets[source.set_count++] = "keys.algs=ES256";
	ck_assert_msg(config_load(&source, &f->config, &warnings, &fault) == ERR_OK, "%s",
		      fault.text);
}

static void make_parts(struct flow *f)
{
	struct app *app = &f->app;

	f->log_fd = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_ge(f->log_fd, 0);
	ck_assert_int_eq(log_new(f->log_fd, LOG_FORMAT_JSON, LOG_DEBUG, &app->log), ERR_OK);
	log_buf_init(&f->log, app->log);
	ck_assert_int_eq(metrics_new(&app->metrics), ERR_OK);
	f->metrics = metrics_shard(app->metrics);
	ck_assert_ptr_nonnull(f->metrics);
	ck_assert_int_eq(client_cache_new(64, 16, &app->clients), ERR_OK);
	ck_assert_int_eq(revoked_new(REVOCATIONS_MAX, &app->revoked), ERR_OK);
	ck_assert_int_eq(feed_new(app->env, &app->feed), ERR_OK);
	feed_set_signer(app->feed, dup(f->signer.signing[1].fd));
	ck_assert_int_eq(purpose_sets_new(&app->purpose_sets), ERR_OK);
	ck_assert_int_eq(consumers_new(f->config, &app->consumers), ERR_OK);
	ck_assert_int_eq(attempts_new(app->env, 1024, &app->attempts), ERR_OK);
	ck_assert_int_eq(secret_cache_new(app->env, 64, &app->proven), ERR_OK);
	ck_assert_int_eq(audit_folder_new(&app->refusals), ERR_OK);
	ck_assert_int_eq(snapshot_slot_new(&app->slot), ERR_OK);
}

/* As the supervisor keeps the master key, without a file. */
static enum err prepare_master(void *arg)
{
	struct flow *f = arg;
	struct secret next;

	memset(next.b, 'N', sizeof(next.b));
	return signer_master_next(&f->signer.custody, &next);
}

static enum err commit_master(void *arg)
{
	struct flow *f = arg;

	return signer_master_commit(&f->signer.custody);
}

static void open_keys(struct flow *f)
{
	const struct keyring_means means = {
		.env = f->app.env,
		.config = f->config,
		.store = { .write = step_write, .read = step_read, .arg = f },
		.control = &f->signer.control,
		.custody = { prepare_master, commit_master, f },
		.revoked_kids = f->revoked_kids,
	};
	struct derived_keys *d = &f->app.derived;
	struct keyring *k;

	snprintf(f->revoked_kids, sizeof(f->revoked_kids), "%s/revoked-kids", f->store.dir);
	ck_assert_int_eq(keyring_open(&means, true, &k), ERR_OK);
	f->app.keyring = k;
	d->key_id = keyring_key_id(k);
	ck_assert_int_eq(keyring_derive(k, "refresh", &d->refresh), ERR_OK);
	ck_assert_int_eq(keyring_derive(k, "jti", &d->jti), ERR_OK);
	ck_assert_int_eq(keyring_derive(k, "client-secret", &d->client_secret), ERR_OK);
	ck_assert_int_eq(keyring_derive(k, "page-token", &d->page_token), ERR_OK);
	ck_assert_int_eq(keyring_derive(k, "access-token", &d->access_token), ERR_OK);
	ck_assert_int_eq(snapshot_rebuild(&f->app, f->store.db, f->config), ERR_OK);
}

void flow_up_with(struct flow *f, const char *const *sets)
{
	*f = (struct flow){ .log_fd = -1 };
	signer_fixture_start(&f->signer);
	signer_fixture_clock(&f->signer, FIXTURE_NOW);
	store_fixture_up(&f->store);
	f->app.env = &f->store.fake.env;
	f->app.started_at = FIXTURE_NOW;
	f->app.wishes = &f->wishes;
	load_config(f, sets);
	ck_assert_int_eq(arena_new(ANSWERS_MAX, &f->arena), ERR_OK);
	make_parts(f);
	open_keys(f);
}

void flow_up(struct flow *f)
{
	flow_up_with(f, NULL);
}

void flow_down(struct flow *f)
{
	struct app *app = &f->app;

	for (struct kept_json *k = f->kept; k; k = k->next)
		json_free(k->root);
	snapshot_slot_free(app->slot);
	keyring_free(app->keyring);
	consumers_free(app->consumers);
	audit_folder_free(app->refusals);
	secret_cache_free(app->proven);
	attempts_free(app->attempts);
	purpose_sets_free(app->purpose_sets);
	feed_free(app->feed);
	revoked_free(app->revoked);
	client_cache_free(app->clients);
	metrics_free(app->metrics);
	log_buf_done(&f->log);
	log_free(app->log);
	close(f->log_fd);
	config_unref(f->config);
	arena_free(f->arena);
	store_fixture_down(&f->store);
	signer_fixture_stop(&f->signer);
}

struct flow *flow_new(const char *const *sets)
{
	struct flow *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	flow_up_with(f, sets);
	return f;
}

void flow_free(struct flow *f)
{
	flow_down(f);
	free(f);
}

void flow_advance(struct flow *f, int64_t seconds)
{
	fake_env_advance(&f->store.fake, seconds);
	signer_fixture_clock(&f->signer, f->app.env->now(f->app.env));
}

/* ---- who exists ---- */

void flow_changed(struct flow *f)
{
	client_cache_drop_all(f->app.clients);
	ck_assert_int_eq(snapshot_rebuild(&f->app, f->store.db, f->config), ERR_OK);
}

void flow_api(struct flow *f, const char *uri, const char *slug, const char *scope)
{
	store_fixture_api(&f->store, uri, slug, scope);
	flow_changed(f);
}

/* Ids must differ; the stream of the fake world makes them so. */
static struct str secret_id(struct flow *f)
{
	unsigned char bytes[8];
	struct str id;
	struct buf b;

	ck_assert_int_eq(f->app.env->random(f->app.env, bytes, sizeof(bytes)), ERR_OK);
	buf_init(&b, f->arena, 64);
	buf_z(&b, "sec_");
	buf_hex(&b, bytes, sizeof(bytes));
	ck_assert_int_eq(buf_end(&b, &id), ERR_OK);
	return id;
}

static void add_secret(struct flow *f, const char *client_id, enum secret_kind kind,
		       struct str hash, int64_t expires_at)
{
	const struct client_secret s = {
		.id = secret_id(f),
		.label = STR(""),
		.kind = kind,
		.hash = hash,
		.created_at = f->app.env->now(f->app.env),
		.expires_at = expires_at,
	};

	ck_assert_int_eq(store_secret_add(f->store.db, str_z(client_id), &s), ERR_OK);
	flow_changed(f);
}

const char *flow_secret(struct flow *f, const char *client_id, int64_t expires_at)
{
	unsigned char bytes[SECRET_LEN], hash[32];
	struct str text;
	struct buf b;

	ck_assert_int_eq(f->app.env->random(f->app.env, bytes, sizeof(bytes)), ERR_OK);
	buf_init(&b, f->arena, 256);
	machine_write(&b, MACHINE_CLIENT_SECRET, bytes, sizeof(bytes));
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	client_secret_mac(&f->app.derived.client_secret, text, hash);
	add_secret(f, client_id, SECRET_MACHINE, str_n(hash, sizeof(hash)), expires_at);
	return text.p;
}

static struct str hash_of(struct flow *f, const char *password)
{
	struct str hash;

	ck_assert_int_eq(password_hash(f->app.env, f->arena, str_z(password), &hash), ERR_OK);
	return hash;
}

void flow_operator_secret(struct flow *f, const char *client_id, const char *secret)
{
	add_secret(f, client_id, SECRET_ARGON2ID, hash_of(f, secret), 0);
}

const char *flow_client(struct flow *f, const char *id, const char *scope, const char *audiences)
{
	store_fixture_client(&f->store, id, scope, audiences);
	return flow_secret(f, id, 0);
}

void flow_user(struct flow *f, const char *id, const char *name, const char *password)
{
	const struct user user = {
		.id = str_z(id),
		.name = str_z(name),
		.email = STR_NONE,
		.roles = STR(""),
		.password = hash_of(f, password),
		.claims = STR(""),
		.created_at = FIXTURE_NOW,
	};

	ck_assert_int_eq(store_user_create(f->store.db, &user), ERR_OK);
	flow_changed(f);
}

/* ---- requests ---- */

struct auth anonymous(void)
{
	return (struct auth){ "" };
}

static struct auth auth_text(const char *scheme, struct str credentials)
{
	struct auth a;
	const int n = snprintf(a.text, sizeof(a.text), "%s %.*s", scheme, STR_ARG(credentials));

	ck_assert_int_lt(n, (int)sizeof(a.text));
	return a;
}

static void base64(struct buf *out, struct str s)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		const unsigned b0 = (unsigned char)s.p[i];
		const unsigned b1 = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
		const unsigned b2 = i + 2 < s.n ? (unsigned char)s.p[i + 2] : 0;
		const unsigned v = b0 << 16 | b1 << 8 | b2;

		buf_byte(out, alphabet[v >> 18]);
		buf_byte(out, alphabet[v >> 12 & 63]);
		buf_byte(out, i + 1 < s.n ? alphabet[v >> 6 & 63] : '=');
		buf_byte(out, i + 2 < s.n ? alphabet[v & 63] : '=');
	}
}

struct auth basic(const char *id, const char *secret)
{
	struct buf pair, coded;
	struct str text;
	struct auth a;

	buf_init(&pair, NULL, 4096);
	buf_init(&coded, NULL, 8192);
	form_encode(&pair, str_z(id));
	buf_byte(&pair, ':');
	form_encode(&pair, str_z(secret));
	ck_assert_int_eq(buf_end(&pair, &text), ERR_OK);
	base64(&coded, text);
	ck_assert_int_eq(buf_end(&coded, &text), ERR_OK);
	a = auth_text("Basic", text);
	buf_done(&pair);
	buf_done(&coded);
	return a;
}

struct auth bearer(struct str token)
{
	return auth_text("Bearer", token);
}

/* As http.c fills it from a connection. */
static void fill(struct request *rq, struct flow *f, const struct ask *ask)
{
	const char *query = strchr(ask->target, '?');

	rq->app = &f->app;
	rq->log = &f->log;
	rq->metrics = f->metrics;
	rq->db = f->store.db;
	rq->signer = &f->signer.signing[0];
	rq->listener = ask->listener ? ask->listener : LISTENER_PUBLIC;
	rq->method = ask->method ? ask->method : METHOD_GET;
	rq->path = str_z(ask->target);
	if (query) {
		rq->path.n = (size_t)(query - ask->target);
		rq->query = str_z(query + 1);
	}
	if (ask->authorization && ask->authorization[0])
		rq->authorization = str_z(ask->authorization);
	rq->content_type = str_z(ask->content_type);
	rq->if_match = str_z(ask->if_match);
	rq->if_none_match = str_z(ask->if_none_match);
	rq->accept = str_z(ask->accept);
	rq->body = ask->body;
	rq->address = str_z(ask->address ? ask->address : "192.0.2.1");
	rq->peer_trusted = ask->root;
	rq->peer_uid = ask->root ? 0 : -1;
}

static const struct json *parse_body(struct flow *f, const struct answer *a)
{
	struct kept_json *k;

	if (!a->content_type || a->body.n == 0 || !strstr(a->content_type, "json"))
		return NULL;
	k = arena_new_of(f->arena, struct kept_json);
	ck_assert_ptr_nonnull(k);
	ck_assert_msg(json_parse(a->body, ANSWERS_MAX, &k->root) == ERR_OK, "no JSON: %.*s",
		      STR_ARG(a->body));
	k->next = f->kept;
	f->kept = k;
	return k->root;
}

static struct answer copy_answer(struct flow *f, const struct request *rq)
{
	const struct response *r = &rq->response;
	struct answer a = {
		.status = r->status,
		.content_type = r->content_type,
		.body = arena_str(f->arena, r->body),
		.header_count = r->header_count,
		.error = rq->error,
		.why = arena_z(f->arena, str_z(rq->why)),
	};

	for (size_t i = 0; i < r->header_count; i++) {
		a.headers[i].name = r->headers[i].name;
		a.headers[i].value = arena_str(f->arena, r->headers[i].value);
	}
	ck_assert(!arena_failed(f->arena));
	a.json = parse_body(f, &a);
	return a;
}

/* From the first header to the last byte. No check's macros here: they allocate, and `around` may
 * have told that to fail. */
static enum err serve(struct request *rq)
{
	enum err e = request_begin(rq);

	if (e)
		return e;
	e = router_match(rq);
	if (e) {
		router_refuse(rq, e);
		e = ERR_OK;
	} else {
		e = router_run(rq);
	}
	router_log(rq);
	return e;
}

struct answer flow_send(struct flow *f, const struct ask *ask)
{
	struct request rq = { .path = STR_NONE };
	struct answer a;
	enum err e;

	ck_assert_int_eq(arena_new(REQUEST_ARENA_MAX, &rq.arena), ERR_OK);
	fill(&rq, f, ask);
	if (f->around)
		f->around(true, f->around_arg);
	e = serve(&rq);
	if (f->around)
		f->around(false, f->around_arg);
	ck_assert_int_eq(e, ERR_OK);
	ck_assert_int_ne(rq.response.status, 0);
	log_flush(&f->log);
	a = copy_answer(f, &rq);
	request_done(&rq);
	arena_free(rq.arena);
	return a;
}

struct answer get(struct flow *f, const char *target)
{
	return flow_send(f, &(struct ask){ .target = target });
}

struct answer post(struct flow *f, const char *target, struct auth auth, const char *form)
{
	const struct ask ask = {
		.method = METHOD_POST,
		.target = target,
		.authorization = auth.text,
		.content_type = "application/x-www-form-urlencoded",
		.body = str_z(form),
	};

	return flow_send(f, &ask);
}

struct answer admin(struct flow *f, enum method method, const char *target, const char *json)
{
	const struct ask ask = {
		.listener = LISTENER_SOCKET,
		.method = method,
		.target = target,
		.content_type = !json			 ? NULL
				: method == METHOD_PATCH ? "application/merge-patch+json"
							 : "application/json",
		.body = str_z(json),
		.root = true,
	};

	return flow_send(f, &ask);
}

/* ---- answers ---- */

struct str answer_header(const struct answer *a, const char *name)
{
	struct str found = STR_NONE;

	for (size_t i = 0; i < a->header_count; i++) {
		if (!str_case_equal(str_z(a->headers[i].name), str_z(name)))
			continue;
		ck_assert_msg(!found.p, "header %s stands twice", name);
		found = a->headers[i].value;
	}
	return found;
}

struct str answer_str(const struct answer *a, const char *member)
{
	struct str value;

	ck_assert_msg(json_str(json_get(a->json, member), &value), "no text %s in %d %.*s (%s)",
		      member, a->status, STR_ARG(a->body), a->why);
	return value;
}

int64_t answer_int(const struct answer *a, const char *member)
{
	int64_t value;

	ck_assert_msg(json_int(json_get(a->json, member), &value), "no number %s in %d %.*s (%s)",
		      member, a->status, STR_ARG(a->body), a->why);
	return value;
}

bool answer_bool(const struct answer *a, const char *member)
{
	bool value;

	ck_assert_msg(json_bool(json_get(a->json, member), &value), "no truth %s in %d %.*s (%s)",
		      member, a->status, STR_ARG(a->body), a->why);
	return value;
}

bool answer_has(const struct answer *a, const char *member)
{
	return json_get(a->json, member) != NULL;
}

struct str flow_log(struct flow *f)
{
	char *text;
	off_t end;

	log_flush(&f->log);
	end = lseek(f->log_fd, 0, SEEK_END);
	text = arena_alloc(f->arena, (size_t)(end - f->log_read) + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(pread(f->log_fd, text, (size_t)(end - f->log_read), f->log_read),
			 end - f->log_read);
	f->log_read = end;
	return str_z(text);
}
