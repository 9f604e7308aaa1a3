#include "handlers/handlers.h"

#include "handlers/proxy.h"

#include <stddef.h>

// In the order in which the reference shows their keys. Which one is called first, enum
// handler_order says.
const struct handler_type *const handler_types[] = {
	&access_handler,
	&rate_handler,
	&filter_handler,
	&security_handler,
	&cors_handler,
	&proxy_handler,
	&redirect_handler,
	&respond_handler,
	&strip_handler,
	&rewrite_handler,
	&headers_handler,
	&cache_handler,
	&hsts_handler,
	&https_handler,
	&client_certificate_handler,
	&limits_handler,
	NULL,
};
