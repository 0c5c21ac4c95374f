/* A second opinion on JSON, from a library, for fuzz_json.c. In a file of its own because half of
 * jansson's names are also ours. */
#ifndef CHANCERY_TESTS_JANSSON_TWIN_H
#define CHANCERY_TESTS_JANSSON_TWIN_H

#include <stdbool.h>
#include <stddef.h>

/* jansson refuses the text too. */
bool jansson_refuses(const char *text, size_t n);
/* jansson reads both texts, as the same value. */
bool jansson_says_same(const char *text, size_t n, const char *other, size_t other_n);

#endif
