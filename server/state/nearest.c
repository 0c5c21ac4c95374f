/* Levenshtein distance over short words with one row of memory; a swap of neighbours counts as two.
 */
#include "server/state/nearest.h"

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t edit_distance(struct str a, struct str b)
{
	size_t row[NEAREST_WORD_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t replaced = diagonal + (a.p[i - 1] != b.p[j - 1]);

			diagonal = row[j];
			row[j] = min_size(replaced, min_size(row[j], row[j - 1]) + 1);
		}
	}
	return row[b.n];
}

void nearest_init(struct nearest *n, struct str word)
{
	*n = (struct nearest){ .word = word, .distance = SIZE_MAX };
}

void nearest_offer(struct nearest *n, struct str candidate, const char *shown)
{
	size_t d;

	if (n->word.n > NEAREST_WORD_MAX || candidate.n > NEAREST_WORD_MAX)
		return;
	d = edit_distance(n->word, candidate);
	if (d < n->distance) {
		n->distance = d;
		n->best = shown;
	}
}

const char *nearest_best(const struct nearest *n)
{
	return n->distance <= 1 + n->word.n / 3 ? n->best : NULL;
}
