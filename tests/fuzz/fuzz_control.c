/* The signer's control side without its process: any sequence of frames, on either line, to a
 * signer that holds a root. Every frame gets exactly one well-formed answer or ends its line; what
 * is given out is never the master key, the root, or what seals private keys.
 *
 * An input is frames one after the other: line (1), length (2, big-endian), bytes. */
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_signer.h"

static struct signer *new_signer(void)
{
	struct signer *s = fuzz_signer_new(NULL);

	MUST(crypto_box_keypair(s->secrets->import_public, s->secrets->import_private) == 0);
	return s;
}

/* RSA is slow and no parser. */
static bool is_slow(struct str frame)
{
	struct signer_request rq;

	return signer_request_parse(frame, &rq) && rq.head.op == SIGNER_OP_GENERATE &&
	       rq.head.alg == ALG_RS256;
}

static bool holds(struct str text, const struct secret *key)
{
	return memmem(text.p, text.n, key->b, sizeof(key->b)) != NULL;
}

static void check_answer(const struct signer *s, int fd, struct str frame)
{
	static char bytes[SIGNER_FRAME_MAX];
	struct signer_answer a;
	size_t n;

	MUST(signer_frame_recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT, &n) && n > 0);
	MUST(signer_answer_parse(str_n(bytes, n), &a));
	MUST(memcmp(&a.head.seq, frame.p, sizeof(a.head.seq)) == 0 && a.head.err < ERR_COUNT);
	MUST(!holds(str_n(bytes, n), &s->secrets->masters.present));
	for (size_t i = 0; i < s->secrets->root_count; i++) {
		MUST(!holds(str_n(bytes, n), &s->secrets->roots[i].root));
		MUST(!holds(str_n(bytes, n), &s->secrets->roots[i].seal));
	}
	MUST(signer_frame_recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT, &n) && n == 0);
}

static bool next_frame(struct str *rest, enum signer_line *ret_line, struct str *ret_frame)
{
	const unsigned char *p = (const unsigned char *)rest->p;
	size_t n;

	if (rest->n < 3)
		return false;
	*ret_line = p[0] & 1 ? LINE_CONTROL : LINE_CUSTODY;
	n = (size_t)p[1] << 8 | p[2];
	if (n > rest->n - 3)
		n = rest->n - 3;
	*ret_frame = str_n(rest->p + 3, n);
	*rest = str_n(rest->p + 3 + n, rest->n - 3 - n);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_request root = { .op = SIGNER_OP_ROOT, .value = 1 };
	struct str rest = str_n(data, size), frame = str_n(&root, sizeof(root));
	enum signer_line line = LINE_CONTROL;
	struct signer *s;
	int pair[2];

	MUST(!secret_library_init());
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	s = new_signer();
	do {
		if (is_slow(frame))
			continue;
		if (!signer_control_frame(s, pair[1], line, frame))
			break;
		check_answer(s, pair[0], frame);
	} while (next_frame(&rest, &line, &frame));
	fuzz_signer_free(s);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
