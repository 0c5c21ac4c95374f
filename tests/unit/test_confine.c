/* Confinement, each time in a child of its own: what kills it, what it is refused, and what still
 * works. As root too, which is how the tests usually run: neither landlock nor seccomp asks who. */
#include "keys/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#ifdef CONFINE_WIDE
enum { WIDE = 1 };
#else
enum { WIDE = 0 };
#endif

enum { NOT_CONFINED = 200, KILLED = -SIGSYS };

static char folder[64];	 /* what the server may use */
static char outside[64]; /* and what it may not */
static char secret[96];	 /* a file in there */
static pid_t victim;	 /* a confined signer that sleeps */
static char victims[64]; /* its memory */

static void make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "s", 1), 1);
	close(fd);
}

static void become_or_exit(enum confine_role role)
{
	const struct confine_path paths[] = {
		{ folder, CONFINE_READ | CONFINE_WRITE },
		{ "/etc", CONFINE_READ },
		{ "/no/such/path", CONFINE_READ },
	};
	unsigned held = 0;

	if (confine(role, paths, role == CONFINE_SIGNER ? 0 : COUNT(paths), &held) ||
	    held != CONFINED_WHOLE)
		_exit(NOT_CONFINED);
}

/* What the action gave (0 or an errno) in a child confined so, or KILLED. */
static int outcome(enum confine_role role, int (*action)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		become_or_exit(role);
		_exit(action());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return -WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void start_victim(void)
{
	int pair[2];
	char byte;

	ck_assert_int_eq(pipe(pair), 0);
	victim = fork();
	if (victim == 0) {
		become_or_exit(CONFINE_SIGNER);
		if (write(pair[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	}
	close(pair[1]);
	ck_assert_int_ge(read(pair[0], &byte, 1), 0); /* 0: not confined, see below */
	close(pair[0]);
	snprintf(victims, sizeof(victims), "/proc/%d/mem", victim);
}

static void up(void)
{
	snprintf(folder, sizeof(folder), "/tmp/chy-confine-XXXXXX");
	snprintf(outside, sizeof(outside), "/tmp/chy-outside-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_ptr_nonnull(mkdtemp(outside));
	snprintf(secret, sizeof(secret), "%s/master.key", outside);
	make_file(secret);
	start_victim();
}

static void down(void)
{
	kill(victim, SIGKILL);
	ck_assert_int_eq(waitpid(victim, NULL, 0), victim);
	ck_assert_int_eq(unlink(secret), 0);
	ck_assert_int_eq(rmdir(outside), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

/* ---- actions: 0, or the errno ---- */

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return result(fd);
}

static int read_secret(void)
{
	return opened(secret, O_RDONLY);
}

static int write_secret(void)
{
	return opened(secret, O_WRONLY | O_TRUNC);
}

static int remove_secret(void)
{
	return result(unlink(secret));
}

static int make_beside_secret(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/more", outside);
	return opened(path, O_CREAT | O_WRONLY);
}

static int read_own_memory_of_victim(void)
{
	return opened(victims, O_RDONLY);
}

static int read_etc(void)
{
	return opened("/etc/passwd", O_RDONLY);
}

static int write_etc(void)
{
	return opened("/etc/passwd", O_WRONLY);
}

/* As SQLite and the log of revoked kids do. */
static int use_folder(void)
{
	char a[128], b[128];
	int failed;

	snprintf(a, sizeof(a), "%s/a", folder);
	snprintf(b, sizeof(b), "%s/b", folder);
	failed = opened(a, O_CREAT | O_RDWR);
	if (!failed)
		failed = result(truncate(a, 10));
	if (!failed)
		failed = result(rename(a, b));
	return failed ? failed : result(unlink(b));
}

static int steal_into_folder(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/stolen", folder);
	return result(link(secret, path));
}

static int trace_victim(void)
{
	return result(ptrace(PTRACE_ATTACH, victim, NULL, NULL));
}

static int copy_from_victim(void)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { &byte, 1 };

	return result(process_vm_readv(victim, &to, 1, &from, 1, 0));
}

static int signal_victim(void)
{
	return result(kill(victim, SIGTERM));
}

static int become_program(void)
{
	char name[] = "true";
	char *const argv[] = { name, NULL };

	return result(execve("/bin/true", argv, argv + 1));
}

static int make_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int make_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int connect_out(void)
{
	const struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/no/such/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : result(connect(fd, (const struct sockaddr *)&a, sizeof(a)));
}

/* A name server would carry what is in a datagram to anywhere. */
static int make_datagram_socket(void)
{
	return result(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int make_kernel_socket(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

/* Connects without connect(). */
static int connect_by_sending(void)
{
	const struct sockaddr_in a = { .sin_family = AF_INET,
				       .sin_port = htons(1),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	return result(sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (const struct sockaddr *)&a,
			     sizeof(a)));
}

static int connect_by_message(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(1),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct msghdr msg = { .msg_name = &a, .msg_namelen = sizeof(a) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : result(sendmsg(fd, &msg, MSG_FASTOPEN | MSG_NOSIGNAL));
}

/* The kernel would then signal in our name when something can be read; the upper half of what it
 * takes for an int is nobody's. */
static int signal_by_owner(void)
{
	int pair[2];

	if (pipe(pair))
		return errno;
	return result(syscall(SYS_fcntl, pair[0], F_SETOWN, victim));
}

static int signal_by_disguised_owner(void)
{
	int pair[2];

	if (pipe(pair))
		return errno;
	return result(syscall(SYS_fcntl, pair[0], F_SETOWN | 1L << 32, victim));
}

static int use_descriptors(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[128];
	int fd, failed;

	snprintf(path, sizeof(path), "%s/lock", folder);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	failed = fd < 0 || fcntl(fd, F_SETLK, &l) || fcntl(fd, F_GETLK, &l) ||
		 fcntl(fd, F_SETFL, O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC) ||
		 fcntl(fd, F_DUPFD_CLOEXEC, 0) < 0;
	return failed ? errno : result(unlink(path));
}

static int make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int bpf_call(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int mount_call(void)
{
	return result(syscall(SYS_mount, "a", "b", "c", 0, NULL));
}

static int key_call(void)
{
	return result(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}

static int ring_call(void)
{
	return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int handle_call(void)
{
	return result(syscall(SYS_open_by_handle_at, -1, NULL, 0));
}

static int unknown_call(void)
{
	return result(syscall(SYS_acct, "/tmp/x"));
}

static int new_user(void)
{
	return result(syscall(SYS_setuid, 12345));
}

static int terminal_input(void)
{
	return result(ioctl(0, TIOCSTI, "x"));
}

static void *nothing(void *arg)
{
	return arg;
}

static int make_thread(void)
{
	pthread_t thread;
	int failed = pthread_create(&thread, NULL, nothing, NULL);

	return failed ? failed : pthread_join(thread, NULL);
}

static int use_memory(void)
{
	size_t n = 1 << 20;
	char *p = malloc(n);

	if (!p)
		return ENOMEM;
	memset(p, 1, n);
	free(p);
	return 0;
}

/* ---- what must come of them ---- */

/* `wide`: in a build with a sanitizer, whose list is shorter; ANY: not tested there. */
enum { ANY = 1000 };

static const struct confine_case {
	const char *name;
	enum confine_role role;
	int (*action)(void);
	int expected, wide;
} cases[] = {
	{ "signer reads", CONFINE_SIGNER, read_secret, EACCES, EACCES },
	{ "signer reads /etc", CONFINE_SIGNER, read_etc, EACCES, EACCES },
	{ "signer traces", CONFINE_SIGNER, trace_victim, KILLED, EPERM },
	{ "signer copies memory", CONFINE_SIGNER, copy_from_victim, KILLED, KILLED },
	{ "signer execs", CONFINE_SIGNER, become_program, KILLED, KILLED },
	{ "signer forks", CONFINE_SIGNER, make_process, KILLED, ANY },
	{ "signer opens a socket", CONFINE_SIGNER, make_socket, KILLED, ANY },
	{ "signer unlinks", CONFINE_SIGNER, remove_secret, KILLED, EACCES },
	{ "signer signals", CONFINE_SIGNER, signal_victim, KILLED, EPERM },
	{ "signer makes code", CONFINE_SIGNER, make_code, KILLED, ANY },
	{ "signer asks a terminal", CONFINE_SIGNER, terminal_input, KILLED, ANY },
	{ "signer bpf", CONFINE_SIGNER, bpf_call, KILLED, KILLED },
	{ "signer acct", CONFINE_SIGNER, unknown_call, KILLED, KILLED },
	{ "signer makes a thread", CONFINE_SIGNER, make_thread, 0, 0 },
	{ "signer uses memory", CONFINE_SIGNER, use_memory, 0, 0 },

	{ "server reads the key", CONFINE_SERVER, read_secret, EACCES, EACCES },
	{ "server writes the key", CONFINE_SERVER, write_secret, EACCES, EACCES },
	{ "server removes the key", CONFINE_SERVER, remove_secret, EACCES, EACCES },
	{ "server makes beside it", CONFINE_SERVER, make_beside_secret, EACCES, EACCES },
	{ "server links the key", CONFINE_SERVER, steal_into_folder, ENOSYS, EXDEV },
	{ "server opens /proc/signer/mem", CONFINE_SERVER, read_own_memory_of_victim, EACCES,
	  EACCES },
	{ "server traces", CONFINE_SERVER, trace_victim, KILLED, EPERM },
	{ "server copies memory", CONFINE_SERVER, copy_from_victim, KILLED, KILLED },
	{ "server signals", CONFINE_SERVER, signal_victim, ENOSYS, EPERM },
	{ "server execs", CONFINE_SERVER, become_program, KILLED, KILLED },
	{ "server forks", CONFINE_SERVER, make_process, ENOSYS, ANY },
	{ "server bpf", CONFINE_SERVER, bpf_call, KILLED, KILLED },
	{ "server mount", CONFINE_SERVER, mount_call, KILLED, KILLED },
	{ "server keyctl", CONFINE_SERVER, key_call, KILLED, KILLED },
	{ "server io_uring", CONFINE_SERVER, ring_call, KILLED, KILLED },
	{ "server handle", CONFINE_SERVER, handle_call, KILLED, KILLED },
	{ "server acct", CONFINE_SERVER, unknown_call, KILLED, KILLED },
	{ "server setuid", CONFINE_SERVER, new_user, ENOSYS, ANY },
	{ "server types", CONFINE_SERVER, terminal_input, ENOSYS, ANY },
	{ "server connects", CONFINE_SERVER, connect_out, EACCES, ANY },
	{ "server connects by sending", CONFINE_SERVER, connect_by_sending, ENOSYS, ANY },
	{ "server connects by message", CONFINE_SERVER, connect_by_message, ENOSYS, ANY },
	{ "server sends datagrams", CONFINE_SERVER, make_datagram_socket, ENOSYS, ANY },
	{ "server asks the kernel", CONFINE_SERVER, make_kernel_socket, ENOSYS, ANY },
	{ "server has us signalled", CONFINE_SERVER, signal_by_owner, ENOSYS, ANY },
	{ "and in disguise", CONFINE_SERVER, signal_by_disguised_owner, ENOSYS, ANY },
	{ "server uses descriptors", CONFINE_SERVER, use_descriptors, 0, 0 },
	{ "server writes /etc", CONFINE_SERVER, write_etc, EACCES, EACCES },
	{ "server reads /etc", CONFINE_SERVER, read_etc, 0, 0 },
	{ "server uses its folder", CONFINE_SERVER, use_folder, 0, 0 },
	{ "server opens a socket", CONFINE_SERVER, make_socket, 0, 0 },
	{ "server makes a thread", CONFINE_SERVER, make_thread, 0, 0 },

	{ "fetch connects", CONFINE_FETCH, connect_out, ENOENT, ENOENT },
	{ "fetch sends datagrams", CONFINE_FETCH, make_datagram_socket, 0, 0 },
	{ "fetch reads the key", CONFINE_FETCH, read_secret, EACCES, EACCES },
	{ "fetch execs", CONFINE_FETCH, become_program, KILLED, KILLED },
};

START_TEST(each_call_is_killed_refused_or_allowed)
{
	if (WIDE && outcome(CONFINE_SERVER, use_memory) == NOT_CONFINED)
		return; /* valgrind hides landlock and seccomp from us */
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct confine_case *c = &cases[i];
		int wanted = WIDE ? c->wide : c->expected;
		int got;

		if (wanted == ANY)
			continue;
		got = outcome(c->role, c->action);
		ck_assert_msg(got == wanted, "%s: %d, not %d", c->name, got, wanted);
	}
	ck_assert_int_eq(access(secret, F_OK), 0);
	ck_assert_int_eq(kill(victim, 0), 0);
}
END_TEST

/* What the test above proves is confinement and not something else that refuses. */
START_TEST(an_unconfined_child_of_ours_may_do_all_that)
{
	ck_assert_int_eq(read_secret(), 0);
	ck_assert_int_eq(write_secret(), 0);
	ck_assert_int_eq(make_socket(), 0);
	ck_assert_int_eq(connect_out(), ENOENT);
	if (geteuid() == 0) /* the victim is not dumpable: only root gets this far */
		ck_assert_int_eq(read_own_memory_of_victim(), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_call_is_killed_refused_or_allowed,
		an_unconfined_child_of_ours_may_do_all_that,
	};
	Suite *s = suite_create("confine");
	TCase *tc = tcase_create("confine");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, up, down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
