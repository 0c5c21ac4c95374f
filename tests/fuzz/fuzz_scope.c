/* A scope list that is let in reads back as the same set. */
#include "oauth/scope.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scope s, again;
	struct buf b;
	struct str text;

	if (scope_parse(str_n(data, size), &s))
		return 0;
	buf_init(&b, NULL, SCOPE_MAX);
	scope_write(&s, &b);
	MUST(buf_end(&b, &text) == ERR_OK && text.n <= size);
	MUST(scope_parse(text, &again) == ERR_OK);
	MUST(again.count == s.count && s.count <= SCOPES_MAX);
	for (size_t i = 0; i < s.count; i++)
		MUST(scope_token_valid(s.tokens[i]) && str_equal(s.tokens[i], again.tokens[i]));
	buf_done(&b);
	return 0;
}
