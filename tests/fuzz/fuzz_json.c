/* What we let in jansson lets in too, as the same value, and the other way round; and it is written
 * the same once it has been written once. */
#include "base/json.h"
#include "base/limits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/jansson_twin.h"

static struct str dump(const struct json *v, struct buf *b)
{
	struct str text;

	buf_init(b, NULL, 8 * JWKS_SIZE_MAX);
	json_dump(v, b);
	MUST(buf_end(b, &text) == ERR_OK);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(json, root) = NULL;
	AUTO(json, again) = NULL;
	struct str text = str_n(data, size), written;
	struct buf once, twice;
	enum err e = json_parse_any(text, JWKS_SIZE_MAX, &root);

	/* jansson's limits are others, and it takes a NUL for the end */
	if (e) {
		MUST(e == ERR_LIMIT || e == ERR_SYNTAX);
		MUST(e == ERR_LIMIT || str_has_nul(text) || jansson_refuses(text.p, text.n));
		return 0;
	}
	written = dump(root, &once);
	MUST(jansson_says_same(text.p, text.n, written.p, written.n));
	MUST(json_parse_any(written, 8 * JWKS_SIZE_MAX, &again) == ERR_OK);
	MUST(str_equal(written, dump(again, &twice)));
	buf_done(&once);
	buf_done(&twice);
	return 0;
}
