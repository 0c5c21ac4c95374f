/* What the kernel tells about the process, under the names that all Prometheus clients use. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "server/state/metrics_table.h"

static const int64_t PAGES_MAX = INT64_MAX >> 16; /* so that bytes do not overflow */

/* The first two numbers of statm: pages of address space, pages resident. */
static bool read_statm(int64_t ret_pages[2])
{
	struct str rest, number;
	char text[128];
	ssize_t n;
	int fd;

	fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	close(fd);
	rest = str_n(text, n > 0 ? (size_t)n : 0);
	for (int i = 0; i < 2; i++) {
		if (!str_next(&rest, ' ', &number) ||
		    str_to_i64(number, 0, PAGES_MAX, &ret_pages[i]))
			return false;
	}
	return true;
}

static void process_memory(struct buf *out)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int64_t pages[2];

	if (!read_statm(pages))
		return;
	metrics_simple(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
		       (uint64_t)pages[0] * page);
	metrics_simple(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
		       (uint64_t)pages[1] * page);
}

static void process_fds(struct buf *out)
{
	struct rlimit limit;
	uint64_t open_fds = 0;
	DIR *dir = opendir("/proc/self/fd");

	if (!dir)
		return;
	for (const struct dirent *d = readdir(dir); d; d = readdir(dir))
		open_fds += d->d_name[0] != '.';
	closedir(dir);
	metrics_simple(out, "process_open_fds", "gauge", "Open descriptors.",
		       open_fds - 1); /* not the folder's own */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		metrics_simple(out, "process_max_fds", "gauge", "Descriptors allowed.",
			       limit.rlim_cur);
}

void metrics_process(const struct metrics_gauges *g, struct buf *out)
{
	struct timespec cpu;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
		metrics_head(out, "process_cpu_seconds_total", "counter", "User and system time.");
		buf_z(out, "process_cpu_seconds_total");
		metrics_seconds(out, (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000);
	}
	process_memory(out);
	process_fds(out);
	metrics_simple(out, "process_start_time_seconds", "gauge", "When the process started.",
		       g->started_at > 0 ? (uint64_t)g->started_at : 0);
}
