/* Walking the space-separated lists of the store. Short ones (tens of items): a scan beats a
 * structure. */
#include "server/store/lists.h"

bool list_has(struct str list, struct str item)
{
	struct str one;

	while (str_next(&list, ' ', &one))
		if (str_equal(one, item))
			return true;
	return false;
}

struct str list_first(struct str list)
{
	struct str one;

	return str_next(&list, ' ', &one) && one.n ? one : STR_NONE;
}

void list_add(struct buf *out, struct str item)
{
	if (out->n)
		buf_byte(out, ' ');
	buf_str(out, item);
}
