// The files and patterns that a configuration named to be watched (config/key.h), each with a
// mark of how it was just before it was read: what has another mark later has changed.
#ifndef USHER_CONTROL_WATCH_LIST_H
#define USHER_CONTROL_WATCH_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watched {
	char *name;
	bool is_pattern;
	uint64_t mark;
};

// Zeroed: empty.
struct watch_list {
	struct watched *items;
	size_t count, capacity;
};

// The mark of a file: of what its name leads to now, be it nothing. Of a pattern: of the names
// that match. Two that differ tell a change; 0 may be one, since a file system tells the time
// too coarsely to say so soon.
uint64_t watch_mark(const char *name, bool is_pattern);

// Adds one with its mark of now; false when memory is out.
bool watch_list_add(struct watch_list *list, const char *name, bool is_pattern);

// Sorts by name, and keeps each once.
void watch_list_sort(struct watch_list *list);

// Moves what `from` has beyond `to` there, both sorted; the rest of `from` is freed. False
// when memory is out: then it is all there still.
bool watch_list_merge(struct watch_list *to, struct watch_list *from);

void watch_list_free(struct watch_list *list);

#endif
