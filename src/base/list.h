// An intrusive, circular, doubly linked list.
//
// A struct that goes on a list has a member of type struct list_link; LIST_ENTRY gets
// back from the member to the struct. The head is a link too. Nothing is allocated.
#ifndef USHER_BASE_LIST_H
#define USHER_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
	struct list_link *previous, *next;
};

#define LIST_ENTRY(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list_link *head)
{
	head->previous = head->next = head;
}

static inline bool list_is_empty(const struct list_link *head)
{
	return head->next == head;
}

static inline void list_insert_before(struct list_link *where, struct list_link *link)
{
	link->previous = where->previous;
	link->next = where;
	where->previous->next = link;
	where->previous = link;
}

static inline void list_push_back(struct list_link *head, struct list_link *link)
{
	list_insert_before(head, link);
}

static inline void list_push_front(struct list_link *head, struct list_link *link)
{
	list_insert_before(head->next, link);
}

// Takes the link off its list and leaves it alone on its own, so that a second removal
// does no harm.
static inline void list_remove(struct list_link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	list_init(link);
}

// The first link taken off, or NULL.
static inline struct list_link *list_pop_front(struct list_link *head)
{
	struct list_link *first = head->next;
	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

// Moves all links of one list, in their order, to the end of another.
static inline void list_move_all(struct list_link *from, struct list_link *to)
{
	if (list_is_empty(from))
		return;
	from->next->previous = to->previous;
	to->previous->next = from->next;
	from->previous->next = to;
	to->previous = from->previous;
	list_init(from);
}

#endif
