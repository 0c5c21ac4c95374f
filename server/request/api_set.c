/* Looking up an api in the snapshot's sorted set. */
#include "server/request/app.h"

const struct api *api_find(const struct api_set *set, struct str uri)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		const int order = str_compare(uri, set->apis[mid].uri);

		if (order == 0)
			return &set->apis[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const struct api *api_by_slug(const struct api_set *set, struct str slug)
{
	for (size_t i = 0; i < set->count; i++) {
		if (str_equal(set->apis[i].slug, slug))
			return &set->apis[i];
	}
	return NULL;
}
