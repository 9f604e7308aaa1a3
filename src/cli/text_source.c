#include "cli/text_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int text_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	struct text_source *text = (struct text_source *)source;
	struct config_source *disk = config_source_disk();
	if (strcmp(path, text->path) != 0)
		return disk->read_file(disk, path, ret_content);
	char *copy = malloc(text->text.length + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text->text.data, text->text.length);
	copy[text->text.length] = '\0';
	*ret_content = slice_from(copy, text->text.length);
	return 0;
}

static int text_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	struct config_source *disk = config_source_disk();
	return disk->glob(disk, pattern, ret_names);
}

static const char *text_environment(struct config_source *source, const char *name)
{
	struct config_source *disk = config_source_disk();
	return disk->environment(disk, name);
}

void text_source_init(struct text_source *source, const char *path, struct slice text)
{
	*source = (struct text_source){
		.source = {.read_file = text_read_file, .glob = text_glob, .environment = text_environment},
		.path = path,
		.text = text,
	};
}
