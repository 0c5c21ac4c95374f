/* What a configuration file says, once it is taken, is a list of distinct clean keys and clean
 * values. */
#include "server/state/config_yaml.h"
#include "tests/fuzz/fuzz.h"

static void check_clean(struct str s)
{
	MUST(s.p && str_is_utf8(s));
	for (size_t i = 0; i < s.n; i++)
		MUST((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f);
}

static void check_entry(const struct config_entries *all, size_t at)
{
	const struct config_entry *entry = &all->rows[at];

	MUST(entry->key.n > 0 && str_is_vschar(entry->key) && entry->line > 0);
	MUST(entry->kind != CONFIG_SCALAR || entry->count == 1);
	MUST(entry->kind != CONFIG_SECTION || entry->count == 0);
	MUST(entry->count <= CONFIG_LIST_MAX);
	for (size_t i = 0; i < entry->count; i++)
		check_clean(entry->items[i]);
	for (size_t i = 0; i < at; i++)
		MUST(!str_equal(all->rows[i].key, entry->key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena, a) = NULL;
	struct config_entries *entries;
	struct config_yaml_fault fault;
	enum err e;

	MUST(arena_new(1 << 20, &a) == ERR_OK);
	entries = arena_new_of(a, struct config_entries);
	MUST(entries);
	e = config_yaml_read(a, str_n(data, size), entries, &fault);
	if (e) {
		MUST(e == ERR_SYNTAX || e == ERR_LIMIT);
		check_clean(str_z(fault.why));
		MUST(fault.why[0]);
		return 0;
	}
	for (size_t i = 0; i < entries->count; i++)
		check_entry(entries, i);
	return 0;
}
