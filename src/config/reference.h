// The reference of a configuration in Markdown, from the tables of key.h: a table of keys for
// each section, in the order in which they are first named, with links.
#ifndef USHER_CONFIG_REFERENCE_H
#define USHER_CONFIG_REFERENCE_H

#include "config/key.h"

#include <stdio.h>

// Writes the reference of the root section. The caller looks at ferror.
void reference_print(FILE *to, const struct config_section *root);

#endif
