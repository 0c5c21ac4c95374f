/* See jansson_twin.h. */
#include "tests/fuzz/jansson_twin.h"

#include <jansson.h>

static json_t *read_text(const char *text, size_t n)
{
	return json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
}

bool jansson_refuses(const char *text, size_t n)
{
	json_t *v = read_text(text, n);

	json_decref(v);
	return v == NULL;
}

bool jansson_says_same(const char *text, size_t n, const char *other, size_t other_n)
{
	json_t *one = read_text(text, n);
	json_t *two = read_text(other, other_n);
	bool same = one && two && json_equal(one, two);

	json_decref(one);
	json_decref(two);
	return same;
}
