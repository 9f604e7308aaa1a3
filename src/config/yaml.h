// Reads YAML text into a tree of nodes, with libfyaml.
#ifndef USHER_CONFIG_YAML_H
#define USHER_CONFIG_YAML_H

#include "config/loading.h"

// The document's tree: an empty map for an empty file. NULL after an error was reported.
const struct node *yaml_read(struct config_load *load, const struct document *document);

// The same as yaml_read, with variables left as they are: for defaults.
const struct node *yaml_read_literally(struct config_load *load, const struct document *document);

#endif
