#include "cli/proxy_text.h"

static bool is_port(struct slice word)
{
	uint64_t port;
	return slice_to_number(word, &port) && port <= UINT16_MAX;
}

// As a quoted scalar of YAML. What the configuration would take for a variable is written
// so that it does not.
static bool add_quoted(struct text *text, const char *before, struct slice word)
{
	text_add(text, SLICE("\""));
	text_add_string(text, before);
	for (size_t i = 0; i < word.length; i++) {
		char c = word.data[i];
		if ((unsigned char)c < ' ' || c == 0x7f)
			return false;
		if (c == '"' || c == '\\')
			text_add_char(text, '\\');
		text_add_char(text, c);
		if (c == '$' && i + 1 < word.length && word.data[i + 1] == '{')
			text_add_char(text, '$');
	}
	text_add(text, SLICE("\""));
	return true;
}

static bool add_target(struct text *text, struct slice target)
{
	if (slice_starts_with(target, SLICE("unix:")) || memmem(target.data, target.length, "://", 3))
		return add_quoted(text, "", target);
	if (is_port(target))
		return add_quoted(text, "http://127.0.0.1:", target);
	if (slice_starts_with(target, SLICE(":")))
		return add_quoted(text, "http://127.0.0.1", target);
	return add_quoted(text, "http://", target);
}

bool proxy_text(struct text *text, const char *listen, char *const *targets, int target_count, const char *access_log,
		const char **ret_wrong)
{
	struct slice port = slice_from_string(listen);
	*ret_wrong = listen;
	text_add(text, SLICE("listen: "));
	if (!add_quoted(text, is_port(port) ? ":" : "", port))
		return false;
	text_add(text, SLICE("\naccess_log: "));
	*ret_wrong = access_log ? access_log : "off";
	if (!access_log)
		text_add(text, SLICE("off"));
	else if (!add_quoted(text, "", slice_from_string(access_log)))
		return false;
	text_add(text, SLICE("\nproxy: ["));
	for (int i = 0; i < target_count; i++) {
		*ret_wrong = targets[i];
		if (i > 0)
			text_add(text, SLICE(", "));
		if (!add_target(text, slice_from_string(targets[i])))
			return false;
	}
	text_add(text, SLICE("]\n"));
	return !text->overflow;
}
