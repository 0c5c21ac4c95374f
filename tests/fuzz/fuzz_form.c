/* A form that is let in says the same after it is written and read again. */
#include "base/limits.h"
#include "oauth/form.h"
#include "tests/fuzz/fuzz.h"

static void write_form(const struct form *f, struct buf *out)
{
	for (size_t i = 0; i < f->count; i++) {
		form_encode(out, f->params[i].name);
		buf_byte(out, '=');
		form_encode(out, f->params[i].value);
		buf_byte(out, '&');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena, a) = NULL;
	struct form f, again;
	struct buf b;
	struct str text;

	MUST(arena_new(1 << 20, &a) == ERR_OK);
	if (size > FORM_SIZE_MAX || form_parse(a, str_n(data, size), &f))
		return 0;
	buf_init(&b, a, 1 << 18);
	write_form(&f, &b);
	MUST(buf_end(&b, &text) == ERR_OK);
	MUST(form_parse(a, text, &again) == ERR_OK);
	MUST(again.count == f.count && f.count <= FORM_PARAMS_MAX);
	for (size_t i = 0; i < f.count; i++) {
		MUST(str_equal(f.params[i].name, again.params[i].name));
		MUST(str_equal(f.params[i].value, again.params[i].value));
		MUST(!str_has_nul(f.params[i].value) && str_is_utf8(f.params[i].value));
	}
	return 0;
}
