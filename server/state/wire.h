/* The two small sets everybody above and below the router speaks about: request methods and the
 * listeners a request may come in by. They stand apart so that metrics can name them without
 * knowing a request. */
#ifndef CHANCERY_SERVER_WIRE_H
#define CHANCERY_SERVER_WIRE_H

enum method {
	METHOD_OTHER = 0,
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PATCH,
	METHOD_DELETE,
	METHOD_OPTIONS,
	METHOD_COUNT
};
/* Bits: a route names the listeners it is served on. */
enum listener {
	LISTENER_PUBLIC = 1,
	LISTENER_ADMIN = 2,
	LISTENER_SOCKET = 4,
	LISTENER_GATEWAY = 8,
	LISTENER_LAST = LISTENER_GATEWAY, /* of a server */
	LISTENER_SIDECAR = 16,		  /* `chancery gateway`, which has no other */
};

/* "GET"; "other" for METHOD_OTHER and what is no method. */
const char *method_name(enum method m);
/* "public", "admin", "socket", "gateway", "sidecar". */
const char *listener_name(enum listener l);

#endif
