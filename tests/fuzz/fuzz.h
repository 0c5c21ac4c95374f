/* What the fuzz targets share. A target takes any bytes, and whatever it lets in must have the
 * property it names with MUST. */
#ifndef CHANCERY_TESTS_FUZZ_H
#define CHANCERY_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Unlike assert() never compiled away. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
