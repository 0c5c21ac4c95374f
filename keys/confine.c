/* Landlock by its bare system calls (the C library has no names for them) and seccomp through
 * libseccomp, which is known to this file alone.
 *
 * A build with a sanitizer, or for valgrind (CONFINE_WIDE), is a test's: those map memory, start
 * helpers and read /proc, differently in every version. There the lists shrink to the calls that
 * are denied by name, tracing excepted (the leak check at exit traces itself), and /proc, /sys,
 * /dev and the libraries can be read. tests/unit/test_confine.c tests the lists of a plain build.
 */
#include "keys/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifdef CONFINE_WIDE
enum { WIDE = 1 };
#else
enum { WIDE = 0 };
#endif

/* ---- landlock ---- */

/* linux/landlock.h of the oldest system we build on lacks the later ones. */
enum {
	ABI_REFER = 2,
	ABI_TRUNCATE = 3,
	ABI_NET = 4,
	ABI_SCOPE = 6,
	RULE_PATH_BENEATH = 1,
	CREATE_RULESET_VERSION = 1,
};
#define FS_EXECUTE (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_REG (1ULL << 8)
#define FS_FIRST_ABI ((1ULL << 13) - 1)
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)
#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset {
	uint64_t files, net, scopes;
};

struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

static const struct confine_path wide_paths[] = {
	{ "/proc", CONFINE_READ }, { "/sys", CONFINE_READ }, { "/dev", CONFINE_READ },
	{ "/usr", CONFINE_READ },  { "/lib", CONFINE_READ }, { "/lib64", CONFINE_READ },
};

/* EPERM: a container's older filter, which refuses every call it has not heard of. */
static bool kernel_lacks(int error)
{
	return error == ENOSYS || error == EOPNOTSUPP || error == EPERM;
}

/* What this kernel knows, for it refuses what it does not. */
static struct ruleset ruleset_of(enum confine_role role, long abi)
{
	struct ruleset r = { .files = FS_FIRST_ABI };

	if (abi >= ABI_REFER)
		r.files |= FS_REFER;
	if (abi >= ABI_TRUNCATE)
		r.files |= FS_TRUNCATE;
	if (abi >= ABI_NET && role == CONFINE_SIGNER)
		r.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= ABI_NET && role == CONFINE_SERVER)
		r.net = NET_CONNECT_TCP;
	if (abi >= ABI_SCOPE)
		r.scopes = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	return r;
}

static uint64_t rights_of(unsigned may, const struct ruleset *r, mode_t mode)
{
	uint64_t rights = 0;

	if (may & CONFINE_READ)
		rights |= FS_READ_FILE | FS_READ_DIR;
	if (may & CONFINE_WRITE)
		rights |= FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_FILE | FS_MAKE_REG;
	if (!S_ISDIR(mode))
		rights &= FS_OF_FILES;
	return rights & r->files;
}

static enum err allow_path(int ruleset, const struct ruleset *r, const struct confine_path *p)
{
	struct path_rule rule = { .fd = open(p->path, O_PATH | O_CLOEXEC) };
	struct stat st;
	int failed;

	if (rule.fd < 0)
		return errno == ENOENT || errno == EACCES ? ERR_OK : ERR_IO;
	failed = fstat(rule.fd, &st);
	if (!failed) {
		rule.allowed = rights_of(p->may, r, st.st_mode);
		failed = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0;
	}
	if (failed && errno == EBADFD) /* a pipe or a socket: landlock does not care for it */
		failed = 0;
	close(rule.fd);
	return failed ? ERR_IO : ERR_OK;
}

static enum err allow_paths(int ruleset, const struct ruleset *r, const struct confine_path *paths,
			    size_t count)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < count && !e; i++)
		e = allow_path(ruleset, r, &paths[i]);
	for (size_t i = 0; i < COUNT(wide_paths) && WIDE && !e; i++)
		e = allow_path(ruleset, r, &wide_paths[i]);
	return e;
}

static enum err confine_files(enum confine_role role, const struct confine_path *paths,
			      size_t count, unsigned *held)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset r = ruleset_of(role, abi);
	enum err e;
	int fd;

	if (abi < 0)
		return kernel_lacks(errno) ? ERR_OK : ERR_IO;
	/* a kernel takes a longer struct than its own when it ends in zeros */
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof(r), 0);
	if (fd < 0)
		return ERR_IO;
	e = allow_paths(fd, &r, paths, count);
	if (!e && syscall(SYS_landlock_restrict_self, fd, 0))
		e = ERR_IO;
	close(fd);
	if (!e)
		*held |= CONFINED_FILES;
	return e;
}

/* ---- seccomp ---- */

/* By name, because each architecture has others; what one does not have is left out. */

/* To speak on sockets that are there, to have memory and threads, to know the time. */
static const char *const calls_of_all[] = {
	"brk",
	"clock_gettime",
	"clock_nanosleep",
	"close",
	"exit",
	"exit_group",
	"fstat",
	"futex",
	"getpid",
	"getrandom",
	"gettid",
	"gettimeofday",
	"madvise",
	"mlock",
	"mlock2",
	"mremap",
	"munlock",
	"munmap",
	"nanosleep",
	"poll",
	"ppoll",
	"read",
	"recvfrom",
	"recvmsg",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigtimedwait",
	"sched_getaffinity",
	"sched_yield",
	"set_robust_list",
	"setpriority",
	"shutdown",
	"sigaltstack",
	"time",
	"write",
	"writev",
};

/* Files that landlock lets it have, listeners, clients, timers. */
static const char *const calls_of_server[] = {
	"accept",
	"accept4",
	"access",
	"arch_prctl",
	"bind",
	"chmod",
	"chown",
	"clock_getres",
	"copy_file_range",
	"dup",
	"dup2",
	"dup3",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd2",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fallocate",
	"fchmod",
	"fchmodat",
	"fchown",
	"fchownat",
	"fdatasync",
	"flock",
	"fstatfs",
	"fsync",
	"ftruncate",
	"futex_waitv",
	"get_robust_list",
	"getcpu",
	"getcwd",
	"getdents64",
	"getegid",
	"geteuid",
	"getgid",
	"getgroups",
	"getpeername",
	"getppid",
	"getpriority",
	"getrlimit",
	"getrusage",
	"getsockname",
	"getsockopt",
	"getuid",
	"listen",
	"lseek",
	"lstat",
	"membarrier",
	"mmap",
	"mprotect",
	"msync",
	"newfstatat",
	"open",
	"openat",
	"pipe",
	"pipe2",
	"pread64",
	"preadv",
	"pselect6",
	"pwrite64",
	"pwritev",
	"readlink",
	"readlinkat",
	"readv",
	"recvmmsg",
	"rename",
	"renameat",
	"renameat2",
	"rt_sigpending",
	"rt_sigsuspend",
	"sched_getparam",
	"sched_getscheduler",
	"sched_setaffinity",
	"select",
	"sendfile",
	"setrlimit",
	"set_tid_address",
	"setsockopt",
	"signalfd4",
	"socketpair",
	"stat",
	"statfs",
	"statx",
	"sync_file_range",
	"sysinfo",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	"times",
	"truncate",
	"umask",
	"uname",
	"unlink",
	"unlinkat",
	"utimensat",
};

/* To look into another process, become another program, or reach corners of the kernel that have
 * held more holes than uses. Whoever calls one of these is not us any more. */
static const char *const deadly_calls[] = {
	"acct",
	"add_key",
	"bpf",
	"chroot",
	"delete_module",
	"execve",
	"execveat",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"init_module",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"modify_ldt",
	"mount",
	"mount_setattr",
	"move_mount",
	"move_pages",
	"name_to_handle_at",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pidfd_getfd",
	"pidfd_open",
	"pivot_root",
	"process_madvise",
	"process_vm_readv",
	"process_vm_writev",
	"quotactl",
	"reboot",
	"request_key",
	"setns",
	"swapoff",
	"swapon",
	"umount2",
	"unshare",
	"userfaultfd",
	"vmsplice",
};

/* The C library and OpenSSL try these and live without. */
static const char *const denied_to_signer[] = {
	"access", "faccessat", "faccessat2", "lstat",	   "newfstatat", "open",
	"openat", "openat2",   "readlink",   "readlinkat", "stat",	 "statx",
};

static int rule(scmp_filter_ctx ctx, uint32_t action, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(ctx, action, number, 0);
}

static int rules(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t count)
{
	int failed = 0;

	for (size_t i = 0; i < count && !failed; i++)
		failed = rule(ctx, action, names[i]);
	return failed;
}

static int rule_if(scmp_filter_ctx ctx, int number, struct scmp_arg_cmp arg)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 1, arg);
}

/* Threads, not processes. The flags of clone3 are out of a filter's sight: the C library goes back
 * to clone when there is none. Signals to ourselves only: abort() and raise(). */
static int thread_rules(scmp_filter_ctx ctx)
{
	int failed = rule_if(ctx, SCMP_SYS(clone),
			     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	if (!failed)
		failed = rule_if(ctx, SCMP_SYS(tgkill),
				 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	return failed;
}

/* MSG_FASTOPEN connects without connect(), and landlock does not see it. */
static int send_rules(scmp_filter_ctx ctx)
{
	static const struct {
		int number;
		unsigned flags; /* which argument they are */
	} calls[] = { { SCMP_SYS(sendto), 3 },
		      { SCMP_SYS(sendmsg), 2 },
		      { SCMP_SYS(sendmmsg), 3 } };
	int failed = 0;

	for (size_t i = 0; i < COUNT(calls) && !failed; i++)
		failed = rule_if(ctx, calls[i].number,
				 SCMP_CMP(calls[i].flags, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
	return failed;
}

/* Listeners of TCP and the admin socket's, by exact values. A datagram would carry anything to
 * anywhere without connect(); other families are corners of the kernel. */
static int server_sockets(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	static const int protocols[] = { 0, IPPROTO_TCP };
	const int what = SOCK_STREAM, how = SOCK_NONBLOCK | SOCK_CLOEXEC;
	int failed = 0;

	for (size_t i = 0; i < COUNT(families) * COUNT(protocols) && !failed; i++)
		failed = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i / COUNT(protocols)]),
			SCMP_A1(SCMP_CMP_MASKED_EQ, (scmp_datum_t)~how, (scmp_datum_t)what),
			SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocols[i % COUNT(protocols)]));
	return failed;
}

/* Not F_SETOWN and its like: the kernel would signal any process of our user for us. */
static int descriptor_rules(scmp_filter_ctx ctx)
{
	static const int commands[] = { F_DUPFD,  F_DUPFD_CLOEXEC, F_GETFD,	F_SETFD,
					F_GETFL,  F_SETFL,	   F_GETLK,	F_SETLK,
					F_SETLKW, F_OFD_GETLK,	   F_OFD_SETLK, F_OFD_SETLKW };
	int failed = 0;

	for (size_t i = 0; i < COUNT(commands) && !failed; i++)
		failed = rule_if(ctx, SCMP_SYS(fcntl),
				 SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
	return failed;
}

static int signer_rules(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int failed = rule_if(ctx, SCMP_SYS(mmap), not_executable);

	if (!failed)
		failed = rule_if(ctx, SCMP_SYS(mprotect), not_executable);
	if (!failed)
		failed = rule(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3");
	if (!failed)
		failed = rules(ctx, SCMP_ACT_ERRNO(EACCES), denied_to_signer,
			       COUNT(denied_to_signer));
	return failed;
}

/* TIOCSTI types on the terminal that started us; PR_SET_* reach far. */
static int server_rules(scmp_filter_ctx ctx, enum confine_role role)
{
	static const unsigned ioctls[] = { FIONBIO, FIONREAD, TCGETS };
	static const int prctls[] = { PR_SET_NAME, PR_GET_NAME };
	int failed = rules(ctx, SCMP_ACT_ALLOW, calls_of_server, COUNT(calls_of_server));

	for (size_t i = 0; i < COUNT(ioctls) && !failed; i++)
		failed = rule_if(ctx, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	for (size_t i = 0; i < COUNT(prctls) && !failed; i++)
		failed = rule_if(ctx, SCMP_SYS(prctl),
				 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)prctls[i]));
	if (!failed)
		failed = descriptor_rules(ctx);
	if (!failed)
		failed = role == CONFINE_FETCH ? rule(ctx, SCMP_ACT_ALLOW, "socket")
					       : server_sockets(ctx);
	if (!failed) /* our own limits, not another process's */
		failed = rule_if(ctx, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0));
	if (!failed)
		failed = rule(ctx, role == CONFINE_FETCH ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES),
			      "connect");
	return failed;
}

static int all_rules(scmp_filter_ctx ctx, enum confine_role role)
{
	int failed = 0;

	if (role != CONFINE_SIGNER || WIDE)
		failed = rules(ctx, SCMP_ACT_KILL_PROCESS, deadly_calls, COUNT(deadly_calls));
	if (failed || WIDE)
		return failed;
	if (role != CONFINE_SIGNER)
		failed = rule(ctx, SCMP_ACT_KILL_PROCESS, "ptrace");
	if (!failed)
		failed = rules(ctx, SCMP_ACT_ALLOW, calls_of_all, COUNT(calls_of_all));
	if (!failed)
		failed = send_rules(ctx);
	if (!failed)
		failed = thread_rules(ctx);
	if (failed)
		return failed;
	return role == CONFINE_SIGNER ? signer_rules(ctx) : server_rules(ctx, role);
}

static uint32_t other_calls(enum confine_role role)
{
	if (WIDE)
		return SCMP_ACT_ALLOW;
	return role == CONFINE_SIGNER ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS);
}

static enum err confine_calls(enum confine_role role, unsigned *held)
{
	scmp_filter_ctx ctx = seccomp_init(other_calls(role));
	int failed;

	if (!ctx)
		return ERR_NOMEM;
	failed = all_rules(ctx, role);
	if (!failed)
		failed = seccomp_load(ctx);
	seccomp_release(ctx);
	if (failed == -EINVAL || failed == -ENOSYS || failed == -EOPNOTSUPP)
		return ERR_OK; /* no seccomp in this kernel */
	if (!failed)
		*held |= CONFINED_CALLS;
	return failed ? ERR_IO : ERR_OK;
}

/* ---- both ---- */

/* Keys leave through core files and debuggers (Storm-0558): neither may look in here. */
static enum err confine_process(void)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || setrlimit(RLIMIT_CORE, &none) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return ERR_IO;
	return ERR_OK;
}

enum err confine(enum confine_role role, const struct confine_path *paths, size_t count,
		 unsigned *ret_held)
{
	unsigned held = 0;
	enum err e = confine_process();

	if (!e)
		e = confine_files(role, paths, count, &held);
	if (!e)
		e = confine_calls(role, &held);
	if (!e)
		*ret_held = held;
	return e;
}
