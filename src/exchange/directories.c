#include "exchange/directories.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 8 };

static struct directory {
	char *path; // NULL: free
	int descriptor;
} all[MOST];

static struct directory *find(struct slice path)
{
	for (unsigned i = 0; i < MOST; i++)
		if (all[i].path && slice_equal(slice_from_string(all[i].path), path))
			return &all[i];
	return NULL;
}

static int take(struct directory *directory)
{
	int descriptor = directory->descriptor;
	free(directory->path);
	directory->path = NULL;
	return descriptor;
}

void directories_put(struct slice path, int descriptor)
{
	struct directory *place = find(path);
	if (place)
		close(take(place));
	for (unsigned i = 0; i < MOST && !place; i++)
		if (!all[i].path)
			place = &all[i];
	char *copy = place ? strndup(path.data, path.length) : NULL;
	if (copy)
		*place = (struct directory){copy, descriptor};
	else
		close(descriptor);
}

int directories_take(const char *path)
{
	struct directory *directory = find(slice_from_string(path));
	return directory ? take(directory) : -ENOENT;
}

void directories_close(void)
{
	for (unsigned i = 0; i < MOST; i++)
		if (all[i].path)
			close(take(&all[i]));
}
