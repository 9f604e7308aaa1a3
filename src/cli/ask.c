#include "cli/ask.h"

#include "control/control_client.h"
#include "control/control_path.h"

#include <stdlib.h>
#include <string.h>

int ask_running(const struct invocation *invocation, const char *words, FILE *to)
{
	const char *config = command_config_of(invocation, ASK_CONFIG);
	const char *control = invocation->values[ASK_CONTROL];
	const char *name = invocation->command->name;
	struct sockaddr_un address;
	if (!config)
		return EXIT_USAGE;
	int error = control_path(control, config, &address);
	if (error < 0) {
		fprintf(stderr, "usher %s: %s: %s\n", name, control ? control : config, strerror(-error));
		return EXIT_FAILURE;
	}
	switch (control_ask(&address, words, to)) {
	case CONTROL_OK:
		return EXIT_SUCCESS;
	case CONTROL_FAILED:
		break;
	case CONTROL_NOBODY:
		fprintf(stderr, "usher %s: no usher of yours runs with %s (nobody listens on %s)\n", name,
			control ? control : config, address.sun_path);
		break;
	case CONTROL_LOST:
		fprintf(stderr, "usher %s: usher went away without an answer\n", name);
		break;
	}
	return EXIT_FAILURE;
}
