/* Frames between server and signer, and the jti at a payload's end: whatever is let in lies within
 * the bytes that came, adds up to all of them, and no jti is genuine by luck. */
#include "base/limits.h"
#include "keys/signer.h"
#include "keys/signer_frame.h"
#include "tests/fuzz/fuzz.h"

static void check_parts(struct str frame, size_t head, const struct str *parts, size_t count)
{
	const char *at = frame.p + head;

	for (size_t i = 0; i < count; i++) {
		MUST(parts[i].p == at);
		at += parts[i].n;
	}
	MUST(at == frame.p + frame.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct secret key = { "no text of a fuzzer is made with" };
	struct str frame = str_n(data, size);
	struct signer_request rq;
	struct signer_answer a;
	struct str jti;

	if (signer_request_parse(frame, &rq)) {
		const struct str parts[] = { rq.kid, rq.data };

		MUST(rq.kid.n <= KID_MAX);
		check_parts(frame, sizeof(rq.head), parts, 2);
	}
	if (signer_answer_parse(frame, &a)) {
		const struct str parts[] = { a.kid, a.text, a.more };

		MUST(a.kid.n <= KID_MAX);
		check_parts(frame, sizeof(a.head), parts, 3);
	}
	jti = signer_jti_of(frame);
	MUST(!jti.p || (jti.n <= JTI_MAX && jti.p + jti.n + 2 == frame.p + frame.n));
	MUST(!signer_jti_genuine(&key, STR("kid"), frame));
	return 0;
}
