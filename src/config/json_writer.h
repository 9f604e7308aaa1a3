// Writes indented JSON to a stream, piece by piece; commas and indentation come by themselves.
#ifndef USHER_CONFIG_JSON_WRITER_H
#define USHER_CONFIG_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_writer {
	FILE *to;
	unsigned depth;
	bool has_before; // something stands before this in the same object or array
	bool is_value;	 // a name was written: what follows belongs to it
};

// `opening` is { or [, `closing` the one that fits it.
void json_write_open(struct json_writer *json, char opening);
void json_write_close(struct json_writer *json, char closing);

void json_write_name(struct json_writer *json, const char *name);
void json_write_string(struct json_writer *json, const char *string);
void json_write_integer(struct json_writer *json, int64_t integer);
void json_write_bool(struct json_writer *json, bool value);

// A name and its value.
void json_write_member(struct json_writer *json, const char *name, const char *string);
void json_write_member_integer(struct json_writer *json, const char *name, int64_t integer);
void json_write_member_bool(struct json_writer *json, const char *name, bool value);

#endif
