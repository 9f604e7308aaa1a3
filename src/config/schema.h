// The JSON Schema (draft 2020-12) of a configuration, from the tables of key.h: for editors
// that complete and check while one types.
#ifndef USHER_CONFIG_SCHEMA_H
#define USHER_CONFIG_SCHEMA_H

#include "config/key.h"

#include <stdio.h>

// Writes the schema of the root section, with a newline behind it. The caller looks at ferror.
void schema_print(FILE *to, const struct config_section *root);

#endif
