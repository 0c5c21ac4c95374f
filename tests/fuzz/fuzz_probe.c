/* A key set as any web server may send it, judged: three lines of header fields, then the body. It
 * never holds back what it does not lack, and what is all well lacks nothing. */
#include "server/state/probe.h"
#include "tests/fuzz/fuzz.h"

enum { NOW = 1700000000 };

static void check(const struct fetch_answer *a, const struct probe_result *r)
{
	MUST((r->verdict == PROBE_LACKS) == (r->lacks != 0));
	MUST((r->lacks & ~(1U << ALG_ES256)) == 0);
	MUST(a->status == 200 || r->verdict == PROBE_FAILED);
	MUST(!r->ok || r->verdict == PROBE_HOLDS);
	MUST((r->note[0] == 0) == (r->verdict == PROBE_HOLDS));
	MUST(memchr(r->note, 0, sizeof(r->note)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct keyring_key keys[] = {
		{ .info = { .kid = "a", .alg = ALG_ES256, .state = KEY_ACTIVE } },
		{ .info = { .kid = "s", .alg = ALG_ES256, .state = KEY_STANDBY } },
		{ .info = { .kid = "x", .alg = ALG_ES256, .state = KEY_REVOKED } },
	};
	static const struct probe_target target = { { "https://a", 9 }, 900, 1350, keys, 3 };
	struct fetch_answer a = { .outcome = FETCH_ANSWERED, .status = 200 };
	struct str rest = str_n(data, size);
	struct probe_result r;

	(void)str_next(&rest, '\n', &a.parts[FETCH_CONTENT_TYPE]);
	(void)str_next(&rest, '\n', &a.parts[FETCH_CACHE_CONTROL]);
	(void)str_next(&rest, '\n', &a.parts[FETCH_AGE]);
	a.parts[FETCH_BODY] = rest;
	a.parts[FETCH_ETAG] = STR("\"e\"");
	probe_judge(&a, &target, NOW, &r);
	check(&a, &r);
	a.status = 500;
	probe_judge(&a, &target, NOW, &r);
	check(&a, &r);
	return 0;
}
