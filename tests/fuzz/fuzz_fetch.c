/* Frames between server and fetch child: whatever is let in lies within the bytes that came, adds
 * up to all of them, and keeps the bounds that the header names. */
#include "server/state/fetch_frame.h"
#include "tests/fuzz/fuzz.h"

static void check_request(struct str frame, const struct fetch_request *r)
{
	MUST(r->url.p == frame.p + sizeof(struct fetch_request_head));
	MUST(r->url.p + r->url.n == frame.p + frame.n);
	MUST(r->url.n <= FETCH_URL_MAX && str_is_vschar(r->url));
	MUST(str_starts(r->url, STR("http://")) || str_starts(r->url, STR("https://")));
	MUST(r->timeout_ms >= 1 && r->timeout_ms <= FETCH_TIMEOUT_MS_MAX);
	MUST(r->max_bytes >= 1 && r->max_bytes <= FETCH_BODY_MAX);
}

static void check_answer(struct str frame, const struct fetch_answer *a)
{
	const char *at = frame.p + sizeof(struct fetch_answer_head);

	MUST(a->outcome > FETCH_NONE && a->outcome < FETCH_OUTCOME_COUNT);
	MUST((a->outcome == FETCH_ANSWERED) == (a->status >= 100));
	MUST(a->status <= 999);
	for (size_t i = 0; i < FETCH_PART_COUNT; i++) {
		MUST(a->parts[i].p == at);
		MUST(a->parts[i].n <= (i == FETCH_BODY ? FETCH_BODY_MAX : FETCH_PART_MAX));
		at += a->parts[i].n;
	}
	MUST(at == frame.p + frame.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str frame = str_n(data, size);
	struct fetch_request r;
	struct fetch_answer a;
	bool is_request = fetch_request_parse(frame, &r);
	bool is_answer = fetch_answer_parse(frame, &a);

	MUST(!is_request || !is_answer);
	if (is_request)
		check_request(frame, &r);
	if (is_answer)
		check_answer(frame, &a);
	return 0;
}
