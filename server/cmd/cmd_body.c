/* A request body out of the options given: what an option becomes stands in its row. */
#include "server/cmd/cmd_admin.h"
#include "server/cmd/cmd_input.h"

#include "jose/jwe_encrypt.h"

enum { CLAIM_VALUE_MAX = 2048 };

/* The first option given for `member`, so that a member that repeats is written once. */
static bool is_first(const struct cmd *c, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		const char *member = c->given[i].option->member;

		if (member && strcmp(member, c->given[at].option->member) == 0)
			return false;
	}
	return true;
}

static bool next_value(const struct cmd *c, const char *member, enum body_kind kind, size_t *at,
		       struct str *ret_value)
{
	while (*at < c->given_count) {
		const struct cmd_given *given = &c->given[(*at)++];

		if (given->option->kind == kind && strcmp(given->option->member, member) == 0) {
			*ret_value = str_z(given->value);
			return true;
		}
	}
	return false;
}

static void write_list(const struct cmd *c, const char *member, struct jsonw *w)
{
	struct str value;
	size_t at = 0;

	jsonw_array(w);
	while (next_value(c, member, BODY_LIST, &at, &value)) {
		if (value.n) /* --audience "" empties the list */
			jsonw_str(w, value);
	}
	jsonw_end_array(w);
}

static enum err write_words(const struct cmd *c, const char *member, struct jsonw *w)
{
	struct buf words;
	struct str value, text;
	size_t at = 0;

	buf_init(&words, c->arena, CMD_DOCUMENT_MAX);
	while (next_value(c, member, BODY_WORDS, &at, &value)) {
		if (words.n && value.n)
			buf_byte(&words, ' ');
		buf_str(&words, value);
	}
	if (buf_end(&words, &text))
		return ERR_NOMEM;
	jsonw_str(w, text);
	return ERR_OK;
}

static int write_seconds(struct cmd *c, const struct cmd_given *given, struct jsonw *w)
{
	int64_t seconds;

	if (strcmp(given->value, "default") == 0) {
		jsonw_null(w);
		return CMD_OK;
	}
	if (duration_parse(str_z(given->value), &seconds))
		return cmd_usage(c, "--%s %s: must be a duration like 90s, 15m, 2h or 30d",
				 given->option->name, given->value);
	jsonw_int(w, seconds);
	return CMD_OK;
}

static enum err read_encryption_key(struct str text, struct jwe_recipient **ret_key)
{
	AUTO(json, object) = NULL;
	enum err e;

	if (!str_starts(text, STR("{")))
		return jwe_recipient_from_pem(text, ret_key);
	e = json_parse(text, JWKS_SIZE_MAX, &object);
	return e ? e : jwe_recipient_from_json(object, ret_key);
}

/* Read here, so that a private key in the wrong file never leaves this machine. */
static int write_encryption_key(struct cmd *c, const struct cmd_given *given, struct jsonw *w)
{
	AUTO(jwe_recipient, key) = NULL;
	struct str text;
	int status = input_file(c, given->value, JWKS_SIZE_MAX, &text);

	if (status)
		return status;
	if (read_encryption_key(str_trim(text), &key))
		return cmd_usage(
			c,
			"--%s %s: must be a public key to encrypt to, as PEM or JWK: P-256, "
			"or RSA of 2048 to 4096 bits",
			given->option->name, given->value);
	jwe_recipient_export(key, w);
	return CMD_OK;
}

/* NAME=JSON; a value that is not JSON is most likely text without its quotes. */
static int write_claim(struct cmd *c, struct str pair, struct jsonw *w)
{
	const char *equals = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
	AUTO(json, value) = NULL;
	struct str name, text;

	if (!equals || equals == pair.p)
		return cmd_usage(c, "--claim %.*s: write it as NAME=JSON", STR_ARG(pair));
	name = str_n(pair.p, (size_t)(equals - pair.p));
	text = str_n(equals + 1, pair.n - name.n - 1);
	if (json_parse_any(text, CLAIM_VALUE_MAX, &value))
		return cmd_usage(
			c,
			"--claim %.*s: the value is not JSON; a text needs quotes: '%.*s=\"...\"'",
			STR_ARG(pair), STR_ARG(name));
	jsonw_key_str(w, name);
	jsonw_value(w, value);
	return CMD_OK;
}

static int write_claims(struct cmd *c, const char *member, struct jsonw *w)
{
	struct str value;
	size_t at = 0;
	int status = CMD_OK;

	jsonw_object(w);
	while (!status && next_value(c, member, BODY_CLAIMS, &at, &value))
		status = write_claim(c, value, w);
	jsonw_end_object(w);
	return status;
}

/* ---- --add-... and --remove-... ---- */

static bool is_removed(const struct cmd *c, const char *member, struct str item)
{
	struct str value;
	size_t at = 0;

	while (next_value(c, member, BODY_REMOVE, &at, &value)) {
		if (str_equal(value, item))
			return true;
	}
	return false;
}

struct edit {
	struct cmd *c;
	const char *member;
	bool words; /* one string of words, not an array */
	struct str seen[SCOPES_MAX * 2];
	size_t count;
};

static int edit_add(struct edit *edit, struct str item)
{
	for (size_t i = 0; i < edit->count; i++) {
		if (str_equal(edit->seen[i], item))
			return CMD_OK;
	}
	if (edit->count == sizeof(edit->seen) / sizeof(edit->seen[0]))
		return cmd_fail(edit->c, CMD_REFUSED, "%s: too many values", edit->member);
	edit->seen[edit->count++] = item;
	return CMD_OK;
}

static int edit_read(struct edit *edit, const struct json *now)
{
	struct str text = STR_NONE, item;
	int status = CMD_OK;

	edit->words = json_str(now, &text);
	while (!status && str_next(&text, ' ', &item)) {
		if (!is_removed(edit->c, edit->member, item))
			status = edit_add(edit, item);
	}
	for (size_t i = 0; !status && i < json_len(now); i++) {
		if (json_str(json_at(now, i), &item) && !is_removed(edit->c, edit->member, item))
			status = edit_add(edit, item);
	}
	return status;
}

static void edit_write(const struct edit *edit, struct jsonw *w)
{
	struct buf words;
	struct str text;

	if (!edit->words) {
		jsonw_array(w);
		for (size_t i = 0; i < edit->count; i++)
			jsonw_str(w, edit->seen[i]);
		jsonw_end_array(w);
		return;
	}
	buf_init(&words, edit->c->arena, CMD_DOCUMENT_MAX);
	for (size_t i = 0; i < edit->count; i++) {
		if (i)
			buf_byte(&words, ' ');
		buf_str(&words, edit->seen[i]);
	}
	if (buf_end(&words, &text) == ERR_OK)
		jsonw_str(w, text);
	else
		w->out->err = ERR_NOMEM;
}

static int write_edit(struct cmd *c, const char *member, const struct json *now, struct jsonw *w)
{
	struct edit edit = { .c = c, .member = member };
	struct str value;
	size_t at = 0;
	int status = edit_read(&edit, json_get(now, member));

	while (!status && next_value(c, member, BODY_ADD, &at, &value))
		status = edit_add(&edit, value);
	if (!status)
		edit_write(&edit, w);
	return status;
}

/* ---- the whole ---- */

static int write_value(struct cmd *c, const struct json *now, const struct cmd_given *given,
		       struct jsonw *w)
{
	const char *member = given->option->member;

	switch (given->option->kind) {
	case BODY_STRING:
		jsonw_z(w, given->value);
		return CMD_OK;
	case BODY_OR_NULL:
		if (strcmp(given->value, "default") == 0)
			jsonw_null(w);
		else
			jsonw_z(w, given->value);
		return CMD_OK;
	case BODY_LIST:
		write_list(c, member, w);
		return CMD_OK;
	case BODY_WORDS:
		return write_words(c, member, w) ? cmd_nomem(c) : CMD_OK;
	case BODY_TRUE:
	case BODY_FALSE:
		jsonw_bool(w, given->option->kind == BODY_TRUE);
		return CMD_OK;
	case BODY_SECONDS:
		return write_seconds(c, given, w);
	case BODY_KEY:
		return write_encryption_key(c, given, w);
	case BODY_CLAIMS:
		return write_claims(c, member, w);
	case BODY_ADD:
	case BODY_REMOVE:
		return write_edit(c, member, now, w);
	case BODY_NOT:
		break;
	}
	return CMD_OK;
}

/* Two options that would set one member differently: --scope with --add-scope, --enable with
 * --disable. */
static int check_clash(struct cmd *c, size_t at)
{
	const struct cmd_option *mine = c->given[at].option;

	for (size_t i = at + 1; i < c->given_count; i++) {
		const struct cmd_option *other = c->given[i].option;
		bool edits = (mine->kind == BODY_ADD || mine->kind == BODY_REMOVE) &&
			     (other->kind == BODY_ADD || other->kind == BODY_REMOVE);

		if (other != mine && !edits && other->member &&
		    strcmp(other->member, mine->member) == 0)
			return cmd_usage(c, "--%s and --%s: one of the two", mine->name,
					 other->name);
	}
	return CMD_OK;
}

int body_options(struct cmd *c, const struct json *now, struct jsonw *w)
{
	for (size_t i = 0; i < c->given_count; i++) {
		const struct cmd_given *given = &c->given[i];
		int status;

		if (given->option->kind == BODY_NOT || !is_first(c, i))
			continue;
		status = check_clash(c, i);
		if (status)
			return status;
		jsonw_key(w, given->option->member);
		status = write_value(c, now, given, w);
		if (status)
			return status;
	}
	return CMD_OK;
}

bool body_edits(const struct cmd *c)
{
	for (size_t i = 0; i < c->given_count; i++) {
		if (c->given[i].option->kind == BODY_ADD || c->given[i].option->kind == BODY_REMOVE)
			return true;
	}
	return false;
}

bool body_given(const struct cmd *c)
{
	for (size_t i = 0; i < c->given_count; i++) {
		if (c->given[i].option->kind != BODY_NOT)
			return true;
	}
	return false;
}
