/* The broker's line, both ends: the desk on a thread, as the supervisor has it, and a real signer
 * behind it. What it opens and moves is looked at on disk. */
#include "server/serve/broker.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "keys/seal.h"
#include "tests/helpers/signer_fixture.h"
#include "tests/unit/suite.h"

#define OK(expression) ck_assert_int_eq((expression), ERR_OK)

static struct signer_fixture fixture;
static struct signer_masters masters;
static struct broker broker;
static struct broker_desk desk;
static int desk_fd;
static pthread_t desk_thread;
static bool desk_runs;
static char folder[64], config[96], master[96], next[104];

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		struct pollfd p = { .fd = desk_fd, .events = POLLIN };

		if (poll(&p, 1, -1) == 1 && broker_serve(&desk, desk_fd))
			break;
	}
	close(desk_fd);
	return NULL;
}

static void up(void)
{
	int pair[2];

	signer_fixture_start(&fixture);
	snprintf(folder, sizeof(folder), "/tmp/chy-broker-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(config, sizeof(config), "%s/chancery.yaml", folder);
	snprintf(master, sizeof(master), "%s/master.key", folder);
	snprintf(next, sizeof(next), "%s.next", master);
	OK(master_key_create(master, &fixture.master));
	masters = (struct signer_masters){ .present = fixture.master };
	desk = (struct broker_desk){
		.config_file = config,
		.master_file = master,
		.master_ours = true,
		.masters = &masters,
		.signer = fixture.custody,
	};
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	broker_init(&broker, pair[0]);
	desk_fd = pair[1];
	ck_assert_int_eq(pthread_create(&desk_thread, NULL, serve, NULL), 0);
	desk_runs = true;
}

static void end_desk(void)
{
	broker_done(&broker);
	if (desk_runs)
		pthread_join(desk_thread, NULL);
	desk_runs = false;
}

static void down(void)
{
	end_desk();
	unlink(config);
	unlink(master);
	unlink(next);
	ck_assert_int_eq(rmdir(folder), 0);
	signer_fixture_stop(&fixture);
}

static void write_file(const char *path, mode_t mode, const void *p, size_t n)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static struct secret file_key(const char *path)
{
	const char *why;
	struct secret key;

	OK(master_key_read(path, true, &key, &why));
	return key;
}

START_TEST(the_configuration_comes_as_a_descriptor)
{
	char text[16] = "";
	int fd = -1;

	ck_assert_int_eq(broker_config(&broker, &fd), ERR_NOT_FOUND);
	ck_assert_int_eq(fd, -1);
	write_file(config, 0600, "issuer: x\n", 10);
	OK(broker_config(&broker, &fd));
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 10);
	ck_assert_str_eq(text, "issuer: x\n");
	close(fd);
}
END_TEST

START_TEST(our_master_key_is_made_beside_and_moved_into_place)
{
	struct buf root, resealed, unused;
	struct secret made;
	bool by_next;

	buf_init(&root, NULL, 1024);
	buf_init(&resealed, NULL, 1024);
	buf_init(&unused, NULL, 1024);
	OK(signer_root(&fixture.control, 1, STR_NONE, &root, &by_next));
	ck_assert_int_eq(broker_master_commit(&broker), ERR_NOT_FOUND);
	OK(broker_master_prepare(&broker));
	made = file_key(next);
	ck_assert(!secret_equal(&made, &fixture.master));
	OK(broker_master_prepare(&broker)); /* what is there is taken */
	ck_assert(secret_equal(&made, &(struct secret[]){ file_key(next) }[0]));
	OK(signer_reseal_root(&fixture.control, 1, str_n(root.p, root.n), &resealed));

	OK(broker_master_commit(&broker));
	ck_assert(secret_equal(&made, &(struct secret[]){ file_key(master) }[0]));
	ck_assert_int_eq(access(next, F_OK), -1);
	ck_assert(secret_equal(&made, &masters.present) && !masters.has_next);
	OK(signer_root(&fixture.control, 1, str_n(resealed.p, resealed.n), &unused, &by_next));
	ck_assert(!by_next);
	ck_assert_int_eq(signer_root(&fixture.control, 1, str_n(root.p, root.n), &unused, &by_next),
			 ERR_BAD_SIGNATURE);
	buf_done(&root);
	buf_done(&resealed);
	buf_done(&unused);
}
END_TEST

START_TEST(an_operators_key_is_read_and_never_made_or_moved)
{
	struct secret theirs = { "an operator has written this one" };

	desk.master_ours = false;
	ck_assert_int_eq(broker_master_prepare(&broker), ERR_NOT_FOUND);
	ck_assert_int_eq(access(next, F_OK), -1);
	write_file(next, 0600, &fixture.master, sizeof(fixture.master));
	ck_assert_int_eq(broker_master_prepare(&broker), ERR_CONFLICT);
	ck_assert_int_eq(unlink(next), 0);
	write_file(next, 0600, "short", 5);
	ck_assert_int_eq(broker_master_prepare(&broker), ERR_SYNTAX);
	ck_assert_int_eq(unlink(next), 0);
	write_file(next, 0600, &theirs, sizeof(theirs));
	ck_assert_int_eq(chmod(next, 0644), 0);
	ck_assert_int_eq(broker_master_prepare(&broker), ERR_FORBIDDEN);
	ck_assert_int_eq(chmod(next, 0640), 0);
	OK(broker_master_prepare(&broker));
	OK(broker_master_commit(&broker));
	ck_assert_int_eq(access(next, F_OK), 0);
	ck_assert(secret_equal(&fixture.master, &(struct secret[]){ file_key(master) }[0]));
	ck_assert(secret_equal(&theirs, &masters.present));
}
END_TEST

START_TEST(a_signer_that_does_not_follow_is_to_be_replaced)
{
	OK(broker_master_prepare(&broker));
	signer_fixture_kill(&fixture);
	OK(broker_master_commit(&broker));
	ck_assert(desk.signer_astray);
	signer_channel_close(&fixture.control);
	for (size_t i = 0; i < SIGNER_FIXTURE_LANES; i++)
		signer_channel_close(&fixture.signing[i]);
	/* or the next signer inherits its line, which then never closes, or a lock that it held */
	end_desk();
	signer_fixture_start(&fixture);
}
END_TEST

#ifdef CHANCERY_FAULTS
START_TEST(a_folder_that_cannot_be_synced_leaves_one_present_key)
{
	struct secret made;

	OK(broker_master_prepare(&broker));
	made = file_key(next);
	fault_arm("master.sync:1:error");
	ck_assert_int_eq(broker_master_commit(&broker), ERR_IO);
	ck_assert(secret_equal(&made, &(struct secret[]){ file_key(master) }[0]));
	ck_assert(secret_equal(&made, &masters.present) && !masters.has_next);
	ck_assert_int_eq(broker_master_commit(&broker), ERR_NOT_FOUND);
}
END_TEST
#endif

/* Half an answer, with a descriptor. */
static void send_half(int line, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	char half[] = "half";
	struct iovec iov = { .iov_base = half, .iov_len = 4 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };

	control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS,
					 .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(line, &msg, 0), 4);
}

START_TEST(a_descriptor_of_no_answer_is_closed)
{
	struct broker asks;
	int pair[2], pipe_ends[2], fd = -1;
	char byte;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	ck_assert_int_eq(pipe(pipe_ends), 0);
	broker_init(&asks, pair[0]);
	send_half(pair[1], pipe_ends[1]);
	close(pipe_ends[1]);
	ck_assert_int_eq(broker_config(&asks, &fd), ERR_UNAVAILABLE);
	ck_assert_int_eq(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(read(pipe_ends[0], &byte, 1), 0); /* nobody holds the other end */
	broker_done(&asks);
	close(pipe_ends[0]);
	close(pair[1]);
}
END_TEST

START_TEST(what_is_no_question_ends_the_line)
{
	static const uint32_t questions[][2] = { { 1, 0 }, { 1, 99 }, { 1, UINT32_MAX } };
	char byte = 1;

	for (size_t i = 0; i <= COUNT(questions); i++) {
		const void *p = i < COUNT(questions) ? (const void *)questions[i] : &byte;
		size_t n = i < COUNT(questions) ? sizeof(questions[i]) : 1;
		int pair[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		OK(broker_serve(&desk, pair[1])); /* nothing there */
		ck_assert_int_eq(send(pair[0], p, n, 0), (ssize_t)n);
		ck_assert_int_eq(broker_serve(&desk, pair[1]), ERR_SYNTAX);
		close(pair[0]);
		ck_assert_int_eq(broker_serve(&desk, pair[1]), ERR_NOT_FOUND);
		close(pair[1]);
	}
}
END_TEST

START_TEST(without_a_supervisor_every_call_says_so)
{
	struct broker alone;
	int fd = -1;

	broker_init(&alone, -1);
	ck_assert_int_eq(broker_config(&alone, &fd), ERR_UNAVAILABLE);
	ck_assert_int_eq(broker_master_prepare(&alone), ERR_UNAVAILABLE);
	ck_assert_int_eq(broker_master_commit(&alone), ERR_UNAVAILABLE);
	broker_done(&alone);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_configuration_comes_as_a_descriptor,
		our_master_key_is_made_beside_and_moved_into_place,
		an_operators_key_is_read_and_never_made_or_moved,
		a_signer_that_does_not_follow_is_to_be_replaced,
		a_descriptor_of_no_answer_is_closed,
#ifdef CHANCERY_FAULTS
		a_folder_that_cannot_be_synced_leaves_one_present_key,
#endif
		what_is_no_question_ends_the_line,
		without_a_supervisor_every_call_says_so,
	};
	TCase *tc = tcase_create("broker");

	if (secret_library_init())
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, up, down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("broker", tc);
}
