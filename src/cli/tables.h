// Printing what the tables of all features say: what schema and reference share.
#ifndef USHER_CLI_TABLES_H
#define USHER_CLI_TABLES_H

#include "cli/command.h"
#include "config/key.h"

#include <stdio.h>

// Prints the table of the whole configuration to standard output: the exit code.
int tables_print(const struct invocation *invocation, void (*print)(FILE *to, const struct config_section *root));

#endif
