/* Durations as people write them: a whole number and one unit, "90s", "15m", "2h", "30d". No
 * months, no fractions, no sums: what is written is what is compared, and every one of them is
 * whole seconds. */
#include "server/state/config.h"

struct unit {
	char letter;
	int64_t seconds;
};

/* From large to small: duration_write takes the first that divides. */
static const struct unit units[] = {
	{ 'd', 86400 },
	{ 'h', 3600 },
	{ 'm', 60 },
	{ 's', 1 },
};
static const size_t unit_count = sizeof(units) / sizeof(units[0]);

static const struct unit *unit_of(char letter)
{
	for (size_t i = 0; i < unit_count; i++) {
		if (units[i].letter == letter)
			return &units[i];
	}
	return NULL;
}

enum err duration_parse(struct str text, int64_t *ret_seconds)
{
	const struct unit *unit;
	int64_t n;
	enum err e;

	if (text.n == 0)
		return ERR_SYNTAX;
	unit = unit_of(text.p[text.n - 1]);
	if (unit)
		text.n--;
	else
		unit = unit_of('s');
	e = str_to_i64(text, INT64_MIN, INT64_MAX, &n);
	if (e)
		return e;
	if (n < 0 || n > INT64_MAX / unit->seconds)
		return ERR_LIMIT;
	*ret_seconds = n * unit->seconds;
	return ERR_OK;
}

void duration_write(int64_t seconds, struct buf *out)
{
	for (size_t i = 0; i < unit_count; i++) {
		if (seconds && seconds % units[i].seconds == 0) {
			buf_i64(out, seconds / units[i].seconds);
			buf_byte(out, units[i].letter);
			return;
		}
	}
	buf_z(out, "0s");
}
