/* See feed.h. Entries are kept as digests of kind and value, sorted: all of one size, and found in
 * a few steps without a lock. */
#include "verify/feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"
#include "verify/key_set.h"

enum {
	DIGEST_LEN = 16,
	MARK_MAX = 256, /* of a cursor or an epoch */
	ARENA_LIMIT = REVOCATION_LIST_MAX + (REVOCATION_LIST_MAX / 4),
};

#define UNRESERVED "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

struct entry {
	unsigned char digest[DIGEST_LEN];
	int64_t before;
	int64_t until;
};

struct feed {
	struct shared head;
	int64_t exp;
	char epoch[MARK_MAX + 1];
	char cursor[MARK_MAX + 1];
	size_t count;
	struct entry entries[];
};

static const char *const kinds[] = { "jti", "sid", "kid", "client", "user", "api" };
enum kind { KIND_JTI, KIND_SID, KIND_KID, KIND_CLIENT, KIND_USER, KIND_API, KIND_COUNT };

static void digest_of(enum kind kind, struct str value, unsigned char ret_digest[DIGEST_LEN])
{
	static const struct secret no_key;
	const struct str parts[] = { str_z(kinds[kind]), value };

	secret_mac(&no_key, parts, 2, ret_digest, DIGEST_LEN);
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(((const struct entry *)a)->digest, ((const struct entry *)b)->digest,
		      DIGEST_LEN);
}

/* ---- reading ---- */

struct payload {
	struct str iss, epoch, cursor;
	int64_t iat, exp;
	bool full;
	const struct json *entries;
};

static bool kind_by_name(struct str name, enum kind *ret_kind)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (str_equal_z(name, kinds[i])) {
			*ret_kind = (enum kind)i;
			return true;
		}
	}
	return false;
}

static bool entry_read(const struct json *object, struct entry *ret_entry)
{
	const struct json *before = json_get(object, "before");
	struct str name, value;
	enum kind kind;

	if (!json_str(json_get(object, "kind"), &name) || !kind_by_name(name, &kind))
		return false;
	if (!json_str(json_get(object, "value"), &value) || value.n == 0)
		return false;
	ret_entry->before = INT64_MAX;
	if (before && !json_int(before, &ret_entry->before))
		return false;
	if (!json_int(json_get(object, "until"), &ret_entry->until))
		return false;
	digest_of(kind, value, ret_entry->digest);
	return true;
}

/* It goes into a URL as it is (RFC 3986 2.3). */
static bool is_cursor(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (!memchr(UNRESERVED, text.p[i], sizeof(UNRESERVED) - 1))
			return false;
	}
	return text.n > 0 && text.n <= MARK_MAX;
}

/* Members that we do not know are left alone; those we know are all required. */
static bool payload_read(const struct json *root, struct payload *ret_payload)
{
	struct payload *p = ret_payload;

	p->entries = json_get(root, "entries");
	return json_str(json_get(root, "iss"), &p->iss) &&
	       json_str(json_get(root, "epoch"), &p->epoch) &&
	       json_str(json_get(root, "cursor"), &p->cursor) &&
	       json_int(json_get(root, "iat"), &p->iat) &&
	       json_int(json_get(root, "exp"), &p->exp) &&
	       json_bool(json_get(root, "full"), &p->full) && json_type(p->entries) == JSON_ARRAY &&
	       p->epoch.n <= MARK_MAX && is_cursor(p->cursor);
}

/* May this one follow the one we have? */
static const char *payload_judge(const struct payload *p, const struct feed_terms *terms,
				 const struct feed *old, struct moment now)
{
	if (!str_equal_z(p->iss, terms->issuer))
		return "the list of revocations is of another issuer";
	if (p->exp <= now.wall - terms->skew || p->iat > now.wall + terms->skew)
		return "the list of revocations is out of its time";
	if (!p->full && (!old || !str_equal_z(p->epoch, old->epoch)))
		return "the list of revocations goes on from one that we do not have";
	if (json_len(p->entries) > REVOCATION_ENTRIES_MAX)
		return "the list of revocations is too long";
	return NULL;
}

/* ---- building ---- */

static void feed_free(struct shared *value)
{
	free(value);
}

static void mark_copy(char to[MARK_MAX + 1], struct str from)
{
	memcpy(to, from.p, from.n);
	to[from.n] = '\0';
}

static struct feed *feed_new(const struct payload *p, size_t room)
{
	struct feed *f = calloc(1, sizeof(*f) + room * sizeof(f->entries[0]));

	if (!f)
		return NULL;
	shared_init(&f->head, feed_free);
	f->exp = p->exp;
	mark_copy(f->epoch, p->epoch);
	mark_copy(f->cursor, p->cursor);
	return f;
}

/* What the old list had and what no token can meet any more is left behind. */
static void feed_keep(struct feed *f, const struct feed *old, int64_t now)
{
	for (size_t i = 0; i < old->count; i++) {
		if (old->entries[i].until >= now - JWT_SKEW_MAX)
			f->entries[f->count++] = old->entries[i];
	}
}

static bool feed_add(struct feed *f, const struct json *entries)
{
	for (size_t i = 0; i < json_len(entries); i++) {
		if (!entry_read(json_at(entries, i), &f->entries[f->count]))
			return false;
		f->count++;
	}
	return true;
}

/* Sorted, and of entries about one thing the one that reaches furthest. */
static void feed_settle(struct feed *f)
{
	size_t n = 0;

	qsort(f->entries, f->count, sizeof(f->entries[0]), by_digest);
	for (size_t i = 0; i < f->count; i++) {
		struct entry *last = n ? &f->entries[n - 1] : NULL;
		const struct entry *e = &f->entries[i];

		if (!last || by_digest(last, e) != 0) {
			f->entries[n++] = *e;
			continue;
		}
		if (e->before > last->before)
			last->before = e->before;
		if (e->until > last->until)
			last->until = e->until;
	}
	f->count = n;
}

static const char *feed_build(const struct payload *p, const struct feed *old, struct moment now,
			      struct shared **ret_value)
{
	size_t kept = !p->full && old ? old->count : 0;
	struct feed *f;

	if (kept + json_len(p->entries) > REVOCATION_ENTRIES_MAX)
		return "the list of revocations is too long";
	f = feed_new(p, kept + json_len(p->entries));
	if (!f)
		return "no memory for the list of revocations";
	if (kept)
		feed_keep(f, old, now.wall);
	if (!feed_add(f, p->entries)) {
		feed_free(&f->head);
		return "the list of revocations has an entry of an unknown kind or form";
	}
	feed_settle(f);
	*ret_value = &f->head;
	return NULL;
}

/* ---- the document ---- */

static enum err verify_with(const struct shared *keys, const struct jws *jws)
{
	const struct jwk *key = jws->kid.p ? key_set_find(keys, jws->kid) : NULL;

	return key ? jws_verify(jws, key) : ERR_NOT_FOUND;
}

/* Its keys turn over like the others: unknown ones are looked for, not too often. */
static enum err check_signature(const struct feed_terms *terms, const struct jws *jws,
				struct moment now)
{
	struct shared *keys;
	int64_t age;
	enum err e;

	if (jws->alg != ALG_ES256 || !str_equal_z(jws->typ, "revocations+jwt"))
		return ERR_UNSUPPORTED;
	(void)document_refresh(terms->keys, now);
	keys = document_get(terms->keys, now, &age);
	e = verify_with(keys, jws);
	shared_unref(keys);
	if (e != ERR_NOT_FOUND || document_want(terms->keys, now) != ASKED_DONE)
		return e;
	keys = document_get(terms->keys, now, &age);
	e = verify_with(keys, jws);
	shared_unref(keys);
	return e;
}

static const char *explain(enum err e)
{
	static const struct {
		enum err e;
		const char *text;
	} rows[] = {
		{ ERR_NOMEM, "no memory for the list of revocations" },
		{ ERR_CRYPTO, "no memory for the list of revocations" },
		{ ERR_NOT_FOUND, "the key of the list of revocations is unknown" },
		{ ERR_BAD_SIGNATURE, "the signature of the list of revocations is bad" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].e == e)
			return rows[i].text;
	}
	return "the answer is no list of revocations";
}

static const char *read_list(struct document *d, struct str payload, struct moment now,
			     const struct feed *old, struct shared **ret_value)
{
	AUTO(json, root) = NULL;
	struct payload p;
	const char *wrong;
	enum err e = json_parse(payload, REVOCATION_LIST_MAX, &root);

	if (e)
		return explain(e);
	if (!payload_read(root, &p))
		return "the list of revocations lacks a member or has one of a wrong type";
	wrong = payload_judge(&p, d->owner, old, now);
	return wrong ? wrong : feed_build(&p, old, now, ret_value);
}

/* Nothing of the list is read before its signature is good. */
static const char *read_document(struct document *d, struct str body, struct moment now,
				 const struct shared *old, struct shared **ret_value)
{
	AUTO(arena, a) = NULL;
	struct jws jws;
	enum err e = arena_new(ARENA_LIMIT, &a);

	if (!e)
		e = jws_parse_long(a, str_trim(body), REVOCATION_LIST_MAX, &jws);
	if (!e)
		e = check_signature(d->owner, &jws, now);
	if (e)
		return explain(e);
	return read_list(d, jws.payload, now, (const struct feed *)old, ret_value);
}

/* Only what is newer than what we have; after a failure, everything. The URL has room for it: see
 * verifier.c. */
static void address(const struct document *d, const struct shared *old,
		    char ret_url[DOCUMENT_URL_MAX])
{
	if (old && !d->failed)
		snprintf(ret_url, DOCUMENT_URL_MAX, "%s?since=%s", d->url,
			 ((const struct feed *)old)->cursor);
	else
		snprintf(ret_url, DOCUMENT_URL_MAX, "%s", d->url);
}

const struct document_kind feed_kind = {
	.accept = "application/jwt",
	.limit = REVOCATION_LIST_MAX,
	.read = read_document,
	.address = address,
};

/* ---- asking ---- */

bool feed_is_over(const struct shared *value, int64_t now)
{
	return now >= ((const struct feed *)value)->exp;
}

static bool hits(const struct feed *f, enum kind kind, struct str value, int64_t iat)
{
	struct entry wanted;
	const struct entry *found;

	if (value.n == 0)
		return false;
	digest_of(kind, value, wanted.digest);
	found = bsearch(&wanted, f->entries, f->count, sizeof(f->entries[0]), by_digest);
	return found && iat <= found->before;
}

bool feed_hits(const struct shared *value, const struct jwt *jwt, struct str kid)
{
	const struct feed *f = (const struct feed *)value;

	if (hits(f, KIND_JTI, jwt->jti, jwt->iat) || hits(f, KIND_SID, jwt->sid, jwt->iat) ||
	    hits(f, KIND_KID, kid, jwt->iat) || hits(f, KIND_CLIENT, jwt->client_id, jwt->iat) ||
	    hits(f, KIND_USER, jwt->sub, jwt->iat))
		return true;
	for (size_t i = 0; i < jwt->aud_count; i++) {
		if (hits(f, KIND_API, jwt->aud[i], jwt->iat))
			return true;
	}
	return false;
}

size_t feed_count(const struct shared *value)
{
	return value ? ((const struct feed *)value)->count : 0;
}
