/* "Did you mean ...?": the candidate with the smallest edit distance to a mistyped word. Used for
 * option names, variables and commands, so that one rule decides what is near enough to be worth
 * saying. */
#ifndef CHANCERY_SERVER_NEAREST_H
#define CHANCERY_SERVER_NEAREST_H

#include "base/str.h"

enum {
	NEAREST_WORD_MAX = 64
}; /* longer words get no hint: nobody mistypes that much by accident */

struct nearest {
	struct str word;
	const char *best; /* borrowed from the candidates */
	size_t distance;
};

void nearest_init(struct nearest *n, struct str word);
/* Compares with `candidate`; `shown` is what is suggested for it. */
void nearest_offer(struct nearest *n, struct str candidate, const char *shown);
/* NULL when nothing was near enough (a third of the word's letters wrong, at least one allowed). */
const char *nearest_best(const struct nearest *n);

#endif
