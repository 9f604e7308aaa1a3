#include "cli/tables.h"

#include "control/registry.h"

#include <stdlib.h>

int tables_print(const struct invocation *invocation, void (*print)(FILE *to, const struct config_section *root))
{
	struct snapshot_schema *schema = snapshot_schema_new(&registry);
	if (!schema) {
		fprintf(stderr, "usher %s: no memory\n", invocation->command->name);
		return EXIT_FAILURE;
	}
	print(stdout, snapshot_schema_root(schema));
	snapshot_schema_free(schema);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "usher %s: cannot write: %m\n", invocation->command->name);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
