/* A signing channel without its thread: any sequence of frames to a signer that has a root and a
 * policy, and no key for tokens. Every frame gets exactly one well-formed answer or ends the
 * channel; no root comes out; and what is signed was asked for within the purpose's row: it is of
 * our issuer and ends within its time.
 *
 * An input is frames one after the other: length (2, big-endian), bytes. The token of a list is not
 * put together here: tests/unit/test_signer_documents.c does that. */
#include <sys/socket.h>
#include <unistd.h>

#include "jose/jws.h"
#include "keys/signer_lane.h"
#include "tests/fuzz/fuzz_signer.h"

#define ISSUER "https://id.example"

enum { NOW = 1700000000 };

static int64_t fixed_now(void *arg)
{
	(void)arg;
	return NOW;
}

static struct signer *new_signer(int pair[2])
{
	struct frame_request root = { .op = SIGNER_OP_ROOT, .value = 1 };
	struct signer *s = fuzz_signer_new(ISSUER);
	char bytes[SIGNER_FRAME_MAX];
	size_t n;

	s->clock.now = fixed_now;
	MUST(signer_control_frame(s, pair[1], LINE_CONTROL, str_n(&root, sizeof(root))));
	MUST(signer_frame_recv(pair[0], bytes, sizeof(bytes), 0, &n) && n > 0);
	MUST(!table_policy(&s->table, STR(ISSUER), 3600, 0));
	return s;
}

/* By our issuer, for a minute at most. */
static void check_document(struct str text)
{
	struct arena *a;
	struct json *claims;
	struct jws jws;
	struct str iss;
	int64_t iat, exp;

	MUST(!arena_new(1 << 20, &a));
	MUST(!jws_parse(a, text, &jws) && str_equal_z(jws.typ, "identity+jwt"));
	MUST(!json_parse(jws.payload, jws.payload.n, &claims));
	MUST(json_str(json_get(claims, "iss"), &iss) && str_equal_z(iss, ISSUER));
	MUST(json_int(json_get(claims, "iat"), &iat) && json_int(json_get(claims, "exp"), &exp));
	MUST(iat >= NOW - SIGNER_CLOCK_SLACK && exp > iat && exp - iat <= IDENTITY_TTL_MAX);
	json_free(claims);
	arena_free(a);
}

static void check_answer(const struct signer *s, int fd, const struct frame_request *asked)
{
	static char bytes[SIGNER_FRAME_MAX];
	struct signer_answer a;
	size_t n;

	MUST(signer_frame_recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT, &n) && n > 0);
	MUST(signer_answer_parse(str_n(bytes, n), &a));
	MUST(a.head.seq == asked->seq && a.head.err < ERR_COUNT);
	MUST(!memmem(bytes, n, s->secrets->roots[0].root.b, SECRET_LEN));
	MUST(asked->op != SIGNER_OP_SIGN || a.head.err); /* there is no key */
	if (asked->op == SIGNER_OP_DOCUMENT && !a.head.err)
		check_document(a.text);
	MUST(signer_frame_recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT, &n) && n == 0);
}

static bool next_frame(struct str *rest, struct str *ret_frame)
{
	const unsigned char *p = (const unsigned char *)rest->p;
	size_t n;

	if (rest->n < 2)
		return false;
	n = (size_t)p[0] << 8 | p[1];
	if (n > rest->n - 2)
		n = rest->n - 2;
	*ret_frame = str_n(rest->p + 2, n);
	*rest = str_n(rest->p + 2 + n, rest->n - 2 - n);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_n(data, size), frame;
	struct frame_request asked;
	struct signing_lane *lane;
	struct signer *s;
	int pair[2];

	MUST(!secret_library_init());
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	s = new_signer(pair);
	MUST(!signing_lane_new(s, pair[1], 0, &lane));
	while (next_frame(&rest, &frame) && signing_lane_frame(lane, frame)) {
		memcpy(&asked, frame.p, sizeof(asked));
		check_answer(s, pair[0], &asked);
	}
	signing_lane_free(lane);
	fuzz_signer_free(s);
	close(pair[0]);
	return 0;
}
