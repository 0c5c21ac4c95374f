/* A web server that says what the test wants, right or wrong, in a process of its own on a loopback
 * port. Failures end the test. */
#ifndef CHANCERY_TESTS_WEB_STUB_H
#define CHANCERY_TESTS_WEB_STUB_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

enum web_end { WEB_CLOSE, WEB_HANG, WEB_ENDLESS };

enum { WEB_TEXT_MAX = 64 << 10, WEB_HEAD_MAX = 4096 };

/* Shared with the stub: may be changed while it runs. */
struct web_script {
	char text[WEB_TEXT_MAX]; /* all of an answer, from the status line on */
	_Atomic size_t len;
	_Atomic int end;	 /* after the text: enum web_end */
	_Atomic int requests;	 /* so far */
	char last[WEB_HEAD_MAX]; /* head of the last request */
};

struct web_stub {
	pid_t pid;
	int port;
	struct web_script *script;
};

void web_stub_start(struct web_stub *w, const char *text, enum web_end end);
void web_stub_say(struct web_stub *w, const char *text, enum web_end end);
void web_stub_stop(struct web_stub *w);
/* A loopback port on which nobody listens. */
int web_closed_port(void);

#endif
