/* Lists as the store keeps them: one text, items separated by one space (server/store/store.h). */
#ifndef CHANCERY_SERVER_LISTS_H
#define CHANCERY_SERVER_LISTS_H

#include "base/buf.h"

bool list_has(struct str list, struct str item);
/* The first item; STR_NONE for an empty list. */
struct str list_first(struct str list);
/* Appends with the separator. */
void list_add(struct buf *out, struct str item);

#endif
