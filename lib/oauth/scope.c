/* Scope lists. They are short (SCOPES_MAX), so membership is a walk along the list and nothing is
 * sorted: the order the client wrote is the order it reads back. */
#include "oauth/scope.h"

/* RFC 6749 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) */
static bool is_scope_char(char c)
{
	return c >= 0x21 && c <= 0x7e && c != '"' && c != '\\';
}

bool scope_token_valid(struct str token)
{
	for (size_t i = 0; i < token.n; i++) {
		if (!is_scope_char(token.p[i]))
			return false;
	}
	return token.n > 0 && token.n <= SCOPE_TOKEN_MAX;
}

bool scope_has(const struct scope *s, struct str token)
{
	for (size_t i = 0; i < s->count; i++) {
		if (str_equal(s->tokens[i], token))
			return true;
	}
	return false;
}

bool scope_add(struct scope *s, struct str token)
{
	if (scope_has(s, token))
		return true;
	if (s->count == SCOPES_MAX)
		return false;
	s->tokens[s->count++] = token;
	return true;
}

static enum err take_token(struct scope *s, struct str token)
{
	if (token.n > SCOPE_TOKEN_MAX)
		return ERR_LIMIT;
	if (!scope_token_valid(token))
		return ERR_SYNTAX;
	return scope_add(s, token) ? ERR_OK : ERR_LIMIT;
}

enum err scope_parse(struct str text, struct scope *ret_scope)
{
	struct scope s;
	struct str rest = text, token;
	enum err e = ERR_OK;

	if (text.n > SCOPE_MAX)
		return ERR_LIMIT;
	/* an empty token shows a doubled or leading space; a trailing one leaves no token behind */
	if (str_ends(text, STR(" ")))
		return ERR_SYNTAX;
	s.count = 0;
	while (!e && str_next(&rest, ' ', &token))
		e = take_token(&s, token);
	if (e)
		return e;
	memcpy(ret_scope->tokens, s.tokens, s.count * sizeof(s.tokens[0]));
	ret_scope->count = s.count;
	return ERR_OK;
}

void scope_write(const struct scope *s, struct buf *out)
{
	for (size_t i = 0; i < s->count; i++) {
		if (i > 0)
			buf_byte(out, ' ');
		buf_str(out, s->tokens[i]);
	}
}
