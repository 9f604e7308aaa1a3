// Variables of the environment in scalars: ${NAME}, ${NAME:-default}, and $${ for ${.
#ifndef USHER_CONFIG_VARIABLE_H
#define USHER_CONFIG_VARIABLE_H

#include "config/loading.h"

// The scalar's text with variables put in, in the configuration's memory with a NUL behind
// it; false after an error was reported. What is put in is text and nothing else: no
// variables are looked for in it, and no YAML.
bool variable_expand(struct config_load *load, struct config_place place, struct slice written, struct slice *ret_text);

#endif
