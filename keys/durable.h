/* What makes a new or renamed file outlive a power cut: its folder must be synced, too. */
#ifndef CHANCERY_KEYS_DURABLE_H
#define CHANCERY_KEYS_DURABLE_H

#include "base/err.h"

/* Syncs the folder that holds `path`. ERR_LIMIT: longer than PATH_MAX; ERR_FULL, ERR_IO. */
MUST_CHECK enum err durable_folder_of(const char *path);

#endif
