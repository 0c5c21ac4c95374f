/* JSON that is let in is written the same once it has been written once. */
#include "base/json.h"
#include "base/limits.h"
#include "tests/fuzz/fuzz.h"

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
	struct buf once, twice;
	struct str text;

	if (json_parse_any(str_n(data, size), JWKS_SIZE_MAX, &root))
		return 0;
	text = dump(root, &once);
	MUST(json_parse_any(text, 8 * JWKS_SIZE_MAX, &again) == ERR_OK);
	MUST(str_equal(text, dump(again, &twice)));
	buf_done(&once);
	buf_done(&twice);
	return 0;
}
