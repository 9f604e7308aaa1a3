// A configuration that is no file: made by a command, from its arguments.
#ifndef USHER_CLI_TEXT_SOURCE_H
#define USHER_CLI_TEXT_SOURCE_H

#include "base/slice.h"
#include "config/load.h"

// Answers with the text where `path` is read, and as the disk does for all else.
struct text_source {
	struct config_source source; // first
	const char *path;
	struct slice text;
};

// Both must live as long as the source.
void text_source_init(struct text_source *source, const char *path, struct slice text);

#endif
