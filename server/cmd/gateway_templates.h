/* The files of config/gateways/, in the binary (scripts/embed-gateways). */
#ifndef CHANCERY_SERVER_GATEWAY_TEMPLATES_H
#define CHANCERY_SERVER_GATEWAY_TEMPLATES_H

#include <stddef.h>

struct gateway_template {
	const char *file; /* "nginx.conf" */
	const char *text;
};

extern const struct gateway_template gateway_templates[];
extern const size_t gateway_template_count;

#endif
