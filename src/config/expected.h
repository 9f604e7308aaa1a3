// Says what was expected where something else stands.
#ifndef USHER_CONFIG_EXPECTED_H
#define USHER_CONFIG_EXPECTED_H

#include "config/loading.h"

// Reports that the key wants something else than the node.
void expected_report(struct config_load *load, const struct config_key *key, const struct node *node);

// Reports that the section has no such key, with the nearest one that it has.
void expected_report_unknown(struct config_load *load, const struct config_section *section,
			     const struct node_entry *entry);

#endif
