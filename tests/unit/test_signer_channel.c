/* The signer, through its real process: what it signs, what it refuses, and what happens to those
 * who speak to it wrongly or too late. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "jose/jws.h"
#include "keys/signer_frame.h"
#include "tests/helpers/signer_fixture.h"
#include "tests/unit/suite.h"

enum { NOW = 1700000000 };

static struct signer_fixture fixture;
static struct buf token_text;
static struct arena *arena;

static void up(void)
{
	signer_fixture_start(&fixture);
	signer_fixture_clock(&fixture, NOW);
	buf_init(&token_text, NULL, JWT_SIZE_MAX);
	ck_assert_int_eq(arena_new(1 << 20, &arena), ERR_OK);
}

static void down(void)
{
	signer_fixture_stop(&fixture);
	buf_done(&token_text);
	arena_free(arena);
}

static enum err sign_text(enum alg alg, const char *claims, struct signed_token *ret_token)
{
	return signer_sign(&fixture.signing[0], TOKEN_ACCESS, alg, str_z(claims), &token_text,
			   ret_token);
}

#define CLAIMS(iat, exp)                                                                           \
	"{\"iss\":\"https://id.example\",\"sub\":\"a\",\"aud\":\"u\",\"client_id\":\"a\","         \
	"\"iat\":" iat ",\"exp\":" exp "}"
#define GOOD_CLAIMS CLAIMS("1700000000", "1700000600")

static enum err sign_good(enum alg alg)
{
	struct signed_token token;

	return sign_text(alg, GOOD_CLAIMS, &token);
}

/* ---- those who speak wrongly ---- */

static const struct frame_request sign_head = { .op = SIGNER_OP_SIGN,
						.kind = TOKEN_ACCESS,
						.alg = ALG_ES256 };

/* Frame number `i` in `out`; false after the last. */
static bool bad_frame(int i, unsigned char *out, size_t *ret_n)
{
	struct frame_request h = sign_head;

	*ret_n = sizeof(h);
	switch (i) {
	case 0: /* shorter than a head */
		*ret_n = sizeof(h) - 1;
		break;
	case 1:
		*ret_n = 1;
		break;
	case 2: /* data missing */
		h.data_len = 1;
		break;
	case 3: /* a length that wraps around */
		h.data_len = UINT32_MAX;
		break;
	case 4: /* kid longer than any */
		h.kid_len = KID_MAX + 1;
		*ret_n = sizeof(h) + KID_MAX + 1;
		break;
	case 5: /* something behind the end */
		*ret_n = sizeof(h) + 1;
		break;
	case 6: /* of the other channel */
		h.op = SIGNER_OP_DERIVE;
		break;
	case 7:
		h.op = SIGNER_OP_NONE;
		break;
	case 8:
		h.op = UINT8_MAX;
		break;
	case 9: /* longer than any frame */
		*ret_n = SIGNER_FRAME_MAX + 1;
		break;
	case 10: /* the supervisor's */
		h.op = SIGNER_OP_MASTER_COMMIT;
		break;
	case 11: /* longer than any frame, and its length adds up */
		*ret_n = SIGNER_FRAME_MAX + 1;
		h.data_len = (uint32_t)(*ret_n - sizeof(h));
		break;
	default:
		return false;
	}
	memcpy(out, &h, sizeof(h));
	return true;
}

/* The peer closes; a machine that is busy takes longer than the channel's own patience. */
static void await_end(int fd)
{
	char byte;
	ssize_t n;

	do
		n = recv(fd, &byte, sizeof(byte), 0);
	while (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
	ck_assert_int_eq(n, 0);
}

START_TEST(a_malformed_frame_closes_its_channel_and_no_other)
{
	static unsigned char frame[2 * SIGNER_FRAME_MAX];
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct signed_token token;
	size_t n;

	ck_assert(bad_frame(_i, frame, &n));
	ck_assert_int_eq(send(fixture.signing[1].fd, frame, n, 0), (ssize_t)n);
	await_end(fixture.signing[1].fd);
	ck_assert_int_eq(signer_sign(&fixture.signing[1], TOKEN_ACCESS, ALG_ES256, STR(GOOD_CLAIMS),
				     &token_text, &token),
			 ERR_UNAVAILABLE);
	ck_assert_int_eq(fixture.signing[1].fd, -1);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_OK);
}
END_TEST

START_TEST(a_malformed_control_frame_ends_the_signer)
{
	static unsigned char frame[2 * SIGNER_FRAME_MAX];
	int status;
	size_t n;

	for (int i = 0; bad_frame(i, frame, &n); i++) {
		if (frame[offsetof(struct frame_request, op)] == SIGNER_OP_DERIVE)
			continue; /* it is of this channel */
		ck_assert_int_eq(send(fixture.control.fd, frame, n, 0), (ssize_t)n);
		ck_assert_int_eq(waitpid(fixture.pid, &status, 0), fixture.pid);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 1 || n > SIGNER_FRAME_MAX));
		signer_channel_close(&fixture.control);
		signer_channel_close(&fixture.custody);
		for (size_t lane = 0; lane < SIGNER_FIXTURE_LANES; lane++)
			signer_channel_close(&fixture.signing[lane]);
		signer_fixture_start(&fixture);
	}
}
END_TEST

/* ---- those who come too late ---- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The signal arrives when it arrives; all threads stand still when waitpid says so. */
static void stop_signer(void)
{
	int status;

	ck_assert_int_eq(kill(fixture.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(fixture.pid, &status, WUNTRACED), fixture.pid);
	ck_assert(WIFSTOPPED(status));
}

START_TEST(a_dead_signer_is_noticed_at_once)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct secret secret;

	ck_assert_int_eq(sign_good(ALG_ES256), ERR_OK);
	signer_fixture_kill(&fixture);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_UNAVAILABLE);
	ck_assert_int_eq(fixture.signing[0].fd, -1);
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_UNAVAILABLE);
	ck_assert_int_eq(signer_derive(&fixture.control, "jti", &secret), ERR_UNAVAILABLE);
	ck_assert_int_eq(fixture.control.fd, -1);
	signer_channel_close(&fixture.signing[1]);
	signer_fixture_start(&fixture);
}
END_TEST

START_TEST(a_stopped_signer_costs_one_wait_and_its_late_answer_is_thrown_away)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct signed_token token;
	struct jws jws;
	int64_t began;

	fixture.signing[0].patience_ms = 0; /* as in the server */
	stop_signer();
	began = now_ms();
	ck_assert_int_eq(sign_text(ALG_ES256, CLAIMS("1700000000", "1700000111"), &token),
			 ERR_UNAVAILABLE);
	ck_assert_int_ge(now_ms() - began, SIGNER_TIMEOUT_MS - 1);
	began = now_ms();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(sign_good(ALG_ES256), ERR_UNAVAILABLE);
	/* waiting each time would take a thousand times as long as one wait */
	ck_assert_int_lt(now_ms() - began, 100 * SIGNER_TIMEOUT_MS);
	ck_assert_int_eq(kill(fixture.pid, SIGCONT), 0);
	for (began = now_ms();
	     sign_text(ALG_ES256, GOOD_CLAIMS, &token) && now_ms() - began < 5000;)
		usleep(1000);
	ck_assert_int_eq(jws_parse(arena, token.text, &jws), ERR_OK);
	ck_assert_ptr_nonnull(memmem(jws.payload.p, jws.payload.n, "1700000600", 10));
	ck_assert_int_eq(sign_good(ALG_ES256), ERR_OK);
}
END_TEST

START_TEST(a_new_socket_owes_nothing_for_the_old_one)
{
	AUTO(jwk, old) = signer_fixture_ready(&fixture, ALG_ES256);
	struct signer_channel ch = fixture.signing[0];
	AUTO(jwk, key) = NULL;
	struct signed_token token;

	ch.patience_ms = 0; /* as in the server */
	stop_signer();
	ck_assert_int_eq(
		signer_sign(&ch, TOKEN_ACCESS, ALG_ES256, STR(GOOD_CLAIMS), &token_text, &token),
		ERR_UNAVAILABLE);
	ck_assert(ch.owed_by != 0);
	signer_fixture_restart(&fixture);
	key = signer_fixture_ready(&fixture, ALG_ES256);
	ch.fd = fixture.signing[0].fd; /* as a worker does: only the descriptor */
	ck_assert_int_eq(
		signer_sign(&ch, TOKEN_ACCESS, ALG_ES256, STR(GOOD_CLAIMS), &token_text, &token),
		ERR_OK);
}
END_TEST

/* ---- at the same time ---- */

struct making {
	pthread_t thread;
	_Atomic bool done;
};

static void *make_rsa_keys(void *arg)
{
	struct making *m = arg;
	char kid[KID_MAX + 1];
	struct buf jwk_text, sealed;

	buf_init(&jwk_text, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	for (int i = 0; i < 3; i++) {
		buf_clear(&jwk_text);
		buf_clear(&sealed);
		if (signer_generate(&fixture.control, ALG_RS256, kid, &jwk_text, &sealed))
			break;
	}
	buf_done(&jwk_text);
	buf_done(&sealed);
	atomic_store(&m->done, true);
	return NULL;
}

START_TEST(signing_goes_on_while_a_key_is_made)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct making m = { .done = false };
	int signed_meanwhile = 0;

	ck_assert_int_eq(pthread_create(&m.thread, NULL, make_rsa_keys, &m), 0);
	while (!atomic_load(&m.done)) {
		ck_assert_int_eq(sign_good(ALG_ES256), ERR_OK);
		signed_meanwhile++;
	}
	pthread_join(m.thread, NULL);
	ck_assert_int_gt(signed_meanwhile, 100);
}
END_TEST

struct hammer {
	pthread_t thread;
	struct signer_channel *ch;
	_Atomic bool stop;
	size_t good, bad;
};

static void *hammer_on(void *arg)
{
	struct hammer *h = arg;
	struct signed_token token;
	struct buf text;

	buf_init(&text, NULL, JWT_SIZE_MAX);
	while (!atomic_load(&h->stop)) {
		if (signer_sign(h->ch, TOKEN_ACCESS, ALG_ES256, STR(GOOD_CLAIMS), &text, &token))
			h->bad++;
		else
			h->good++;
	}
	buf_done(&text);
	return NULL;
}

START_TEST(keys_switch_under_load_without_a_failed_token)
{
	AUTO(jwk, key) = signer_fixture_ready(&fixture, ALG_ES256);
	struct hammer hammers[SIGNER_FIXTURE_LANES] = { 0 };
	struct key_info info = { .alg = ALG_ES256, .state = KEY_STANDBY };
	struct buf jwk_text, sealed;
	int64_t last;

	buf_init(&jwk_text, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	for (size_t i = 0; i < COUNT(hammers); i++) {
		hammers[i].ch = &fixture.signing[i];
		ck_assert_int_eq(pthread_create(&hammers[i].thread, NULL, hammer_on, &hammers[i]),
				 0);
	}
	for (int i = 0; i < 100; i++) {
		buf_clear(&jwk_text);
		buf_clear(&sealed);
		ck_assert_int_eq(
			signer_generate(&fixture.control, ALG_ES256, info.kid, &jwk_text, &sealed),
			ERR_OK);
		ck_assert_int_eq(signer_load(&fixture.control, &info, str_n(sealed.p, sealed.n)),
				 ERR_OK);
		ck_assert_int_eq(
			signer_activate(&fixture.control, str_z(info.kid), INT64_MAX, &last),
			ERR_OK);
	}
	for (size_t i = 0; i < COUNT(hammers); i++) {
		atomic_store(&hammers[i].stop, true);
		pthread_join(hammers[i].thread, NULL);
		ck_assert_uint_gt(hammers[i].good, 0);
		ck_assert_uint_eq(hammers[i].bad, 0);
	}
	buf_done(&jwk_text);
	buf_done(&sealed);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_malformed_control_frame_ends_the_signer,
		a_dead_signer_is_noticed_at_once,
		a_stopped_signer_costs_one_wait_and_its_late_answer_is_thrown_away,
		a_new_socket_owes_nothing_for_the_old_one,
		signing_goes_on_while_a_key_is_made,
		keys_switch_under_load_without_a_failed_token,
	};
	TCase *tc = tcase_create("signer channel");

	if (secret_library_init())
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, up, down);
	tcase_add_loop_test(tc, a_malformed_frame_closes_its_channel_and_no_other, 0, 12);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("signer channel", tc);
}
