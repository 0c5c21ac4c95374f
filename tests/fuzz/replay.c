/* Runs a fuzz target over the files of a folder, without libFuzzer: what it once found, and the
 * seeds it begins with, stay an ordinary test under every compiler. Every prefix of every file runs
 * too, in a block of exactly its size, so that a sanitizer sees the first byte read past the end.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { FILE_MAX = 1 << 16 };

static void run_prefixes(const uint8_t *data, size_t size)
{
	for (size_t n = 0; n <= size; n++) {
		uint8_t *block = malloc(n ? n : 1);

		MUST(block);
		if (n)
			memcpy(block, data, n);
		LLVMFuzzerTestOneInput(block, n);
		free(block);
	}
}

static void run_file(const char *folder, const char *name)
{
	static uint8_t data[FILE_MAX];
	char path[4096];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	MUST(file);
	n = fread(data, 1, sizeof(data), file);
	fclose(file);
	printf("%s: %zu bytes\n", path, n);
	fflush(stdout);
	run_prefixes(data, n);
}

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;
	size_t count = 0;

	if (!folder) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		run_file(argv[1], entry->d_name);
		count++;
	}
	closedir(folder);
	return count > 0 ? 0 : 1;
}
