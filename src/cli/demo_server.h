// The process of demo origins: one loop that serves demo_pages on several ports.
#ifndef USHER_CLI_DEMO_SERVER_H
#define USHER_CLI_DEMO_SERVER_H

enum { DEMO_ORIGINS_MAX = 8 };

struct demo_port {
	int descriptor;	  // that listens
	const char *name; // of the origin
};

// Serves until SIGTERM or SIGINT: the exit code. The descriptors stay the caller's.
int demo_serve(const struct demo_port *ports, unsigned count);

#endif
