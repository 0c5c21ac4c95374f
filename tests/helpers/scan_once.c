/* Each check runs in a fork, and each fork looks for leaks as it ends. That look reads some
 * megabytes of the sanitizers' own empty pages, which the kernel must first make up one by one. One
 * look before the first fork leaves them in place for all: a fifth of the CPU of most programs. */
int __lsan_do_recoverable_leak_check(void);

__attribute__((constructor)) static void scan_once(void)
{
	(void)__lsan_do_recoverable_leak_check();
}
