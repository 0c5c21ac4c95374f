/* Names for logs, metrics and the Allow header. */
#include "server/state/wire.h"

static const char *const method_names[METHOD_COUNT] = {
	[METHOD_OTHER] = "other",     [METHOD_GET] = "GET",	[METHOD_HEAD] = "HEAD",
	[METHOD_POST] = "POST",	      [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
	[METHOD_OPTIONS] = "OPTIONS",
};

const char *method_name(enum method m)
{
	return (unsigned)m < METHOD_COUNT ? method_names[m] : method_names[METHOD_OTHER];
}

const char *listener_name(enum listener l)
{
	switch (l) {
	case LISTENER_PUBLIC:
		return "public";
	case LISTENER_ADMIN:
		return "admin";
	case LISTENER_GATEWAY:
		return "gateway";
	case LISTENER_SIDECAR:
		return "sidecar";
	case LISTENER_SOCKET:
		break;
	}
	return "socket";
}
