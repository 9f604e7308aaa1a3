// Shows the line of a file that a message is about, with a caret under the place.
#ifndef USHER_CONFIG_EXCERPT_H
#define USHER_CONFIG_EXCERPT_H

#include "config/loading.h"
#include "config/tables.h"

struct excerpt {
	const struct config_load *load;
	struct section_list sections; // for the names of their secret keys
	// Where the last line began: places come in order, so that a file is walked once.
	const struct document *document;
	size_t at;
	uint32_t line;
};

void excerpt_begin(struct excerpt *excerpt, const struct config_load *load);

// Prints the place's line and a line with a caret below; nothing when the file has no such
// line. Values of secret keys are shown as ***. Long lines are cut.
void excerpt_print(struct excerpt *excerpt, const struct document *document, struct config_place place, FILE *to,
		   bool colours);

#endif
