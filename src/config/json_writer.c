#include "config/json_writer.h"

#include "base/check.h"

#include <inttypes.h>

static void begin_value(struct json_writer *json)
{
	if (!json->is_value && json->depth > 0)
		fprintf(json->to, "%s\n%*s", json->has_before ? "," : "", (int)(2 * json->depth), "");
	json->is_value = false;
	json->has_before = true;
}

void json_write_open(struct json_writer *json, char opening)
{
	begin_value(json);
	fputc(opening, json->to);
	json->depth++;
	json->has_before = false;
}

void json_write_close(struct json_writer *json, char closing)
{
	check(json->depth > 0 && !json->is_value);
	json->depth--;
	if (json->has_before)
		fprintf(json->to, "\n%*s", (int)(2 * json->depth), "");
	fputc(closing, json->to);
	json->has_before = true;
}

// RFC 8259 section 7.
static void print_quoted(FILE *to, const char *string)
{
	fputc('"', to);
	for (; *string != '\0'; string++) {
		unsigned char c = (unsigned char)*string;
		if (c == '"' || c == '\\')
			fprintf(to, "\\%c", c);
		else if (c < 0x20)
			fprintf(to, "\\u%04x", c);
		else
			fputc(c, to);
	}
	fputc('"', to);
}

void json_write_name(struct json_writer *json, const char *name)
{
	check(!json->is_value);
	begin_value(json);
	print_quoted(json->to, name);
	fputs(": ", json->to);
	json->is_value = true;
}

void json_write_string(struct json_writer *json, const char *string)
{
	begin_value(json);
	print_quoted(json->to, string);
}

void json_write_integer(struct json_writer *json, int64_t integer)
{
	begin_value(json);
	fprintf(json->to, "%" PRId64, integer);
}

void json_write_bool(struct json_writer *json, bool value)
{
	begin_value(json);
	fputs(value ? "true" : "false", json->to);
}

void json_write_member(struct json_writer *json, const char *name, const char *string)
{
	json_write_name(json, name);
	json_write_string(json, string);
}

void json_write_member_integer(struct json_writer *json, const char *name, int64_t integer)
{
	json_write_name(json, name);
	json_write_integer(json, integer);
}

void json_write_member_bool(struct json_writer *json, const char *name, bool value)
{
	json_write_name(json, name);
	json_write_bool(json, value);
}
