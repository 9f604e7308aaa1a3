// Errors and warnings of a load: kept until its end, then printed in the order of their
// places, each with its line of the file.
#ifndef USHER_CONFIG_MESSAGE_H
#define USHER_CONFIG_MESSAGE_H

#include "config/loading.h"

#include <stdarg.h>

// Keeps a message; beyond MESSAGES_MAX they are only counted. The same one at the same place
// is kept once.
void message_add(struct config_load *load, struct config_place place, bool is_warning, const char *format,
		 va_list arguments);

// Keeps what stands in the file for the node out of what is printed.
void message_hide(struct config_load *load, const struct node *node);

// Prints all of them, sorted.
void messages_print(struct config_load *load, FILE *to, bool colours);

#endif
