#include "config/variable.h"

#include "config/message.h"

#include <stdlib.h>

// What stands between ${ and }.
struct reference {
	struct slice name;
	bool has_standard;
	struct slice standard; // behind :-
};

static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.length; i++) {
		char c = ascii_lower(name.data[i]);
		bool is_digit = c >= '0' && c <= '9';
		if (!((c >= 'a' && c <= 'z') || c == '_' || (is_digit && i > 0)))
			return false;
	}
	return name.length > 0 && name.length <= 255;
}

// Takes "NAME}" or "NAME:-default}" off the front of *rest.
static bool reference_take(struct slice *rest, struct reference *ret_reference)
{
	struct slice inside;
	if (!slice_cut(*rest, '}', &inside, rest))
		return false;
	size_t colon = slice_find(inside, ':');
	*ret_reference = (struct reference){.name = slice_first(inside, colon)};
	if (colon < inside.length) {
		if (!slice_starts_with(slice_after(inside, colon), SLICE(":-")))
			return false;
		ret_reference->has_standard = true;
		ret_reference->standard = slice_after(inside, colon + 2);
	}
	return is_name(ret_reference->name);
}

static bool reference_value(struct config_load *load, struct config_place place, const struct reference *reference,
			    struct slice *ret_value)
{
	struct slice name = arena_copy(&load->scratch, reference->name);
	if (name.data == NULL) {
		load_out_of_memory(load);
		return false;
	}
	const char *value = load->source->environment(load->source, name.data);
	if (value == NULL && !reference->has_standard) {
		config_error(load, place, "the environment variable %s is not set; ${%s:-...} gives it a default",
			     name.data, name.data);
		return false;
	}
	// As in the shell: with :- an empty one is as good as none.
	bool use_standard = value == NULL || (value[0] == '\0' && reference->has_standard);
	*ret_value = use_standard ? reference->standard : slice_from_string(value);
	return true;
}

// Text that grows.
struct growing {
	char *data;
	size_t length, capacity;
};

static bool append(struct config_load *load, struct config_place place, struct growing *text, struct slice more)
{
	if (more.length > TEXT_BYTES_MAX - text->length) {
		config_error(load, place, "with its variables put in, this is longer than %d bytes", TEXT_BYTES_MAX);
		return false;
	}
	if (more.length > text->capacity - text->length) {
		size_t capacity = 2 * (text->length + more.length);
		char *data = realloc(text->data, capacity);
		if (data == NULL) {
			load_out_of_memory(load);
			return false;
		}
		text->data = data;
		text->capacity = capacity;
	}
	if (more.length > 0)
		memcpy(text->data + text->length, more.data, more.length);
	text->length += more.length;
	return true;
}

// The index of the next "${", or the length.
static size_t find_reference(struct slice text)
{
	const char *found = text.data != NULL ? memmem(text.data, text.length, "${", 2) : NULL;
	return found ? (size_t)(found - text.data) : text.length;
}

static bool expand(struct config_load *load, struct config_place place, struct slice rest, struct growing *text)
{
	for (;;) {
		size_t at = find_reference(rest);
		bool is_last = at == rest.length;
		bool is_escaped = !is_last && at > 0 && rest.data[at - 1] == '$';
		if (!append(load, place, text, slice_first(rest, is_escaped ? at - 1 : at)))
			return false;
		if (is_last)
			return true;
		rest = slice_after(rest, at + 2);
		struct reference reference;
		struct slice value = SLICE("${");
		if (!is_escaped && !reference_take(&rest, &reference)) {
			config_error(load, place, "expected ${NAME} or ${NAME:-default}; $${ stands for ${ itself");
			return false;
		}
		if (!is_escaped && !reference_value(load, place, &reference, &value))
			return false;
		if (!append(load, place, text, value))
			return false;
	}
}

bool variable_expand(struct config_load *load, struct config_place place, struct slice written, struct slice *ret_text)
{
	struct growing text = {0};
	bool has_some = find_reference(written) < written.length;
	bool ok = !has_some || expand(load, place, written, &text);
	if (ok) {
		struct slice whole = has_some ? slice_from(text.data, text.length) : written;
		*ret_text = arena_copy(&load->config->arena, whole);
		if (ret_text->data == NULL) {
			load_out_of_memory(load);
			ok = false;
		}
	}
	free(text.data);
	return ok;
}
