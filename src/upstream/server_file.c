#include "upstream/server_file.h"

#include "upstream/pool_keys.h"

#include <string.h>

// A line, while its words are taken off it.
struct file_line {
	struct config_place place;
	const char *start;
	struct slice rest;
};

static bool next_line(struct slice *content, struct file_line *line)
{
	struct slice text;
	if (!slice_next_line(content, &text))
		return false;
	line->place.line++;
	line->start = text.data;
	line->rest = slice_first(text, slice_find(text, '#'));
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool next_word(struct file_line *line, struct config_text *ret_word)
{
	size_t from = 0, to;
	while (from < line->rest.length && is_blank(line->rest.data[from]))
		from++;
	for (to = from; to < line->rest.length && !is_blank(line->rest.data[to]);)
		to++;
	if (from == to)
		return false;
	ret_word->text = slice_from(line->rest.data + from, to - from);
	ret_word->place = line->place;
	ret_word->place.column = (uint32_t)(ret_word->text.data - line->start) + 1;
	line->rest = slice_after(line->rest, to);
	return true;
}

// --- Words

static bool read_bounded(struct config_load *load, const struct config_text *word, struct slice value, uint64_t most,
			 int64_t *ret_number)
{
	uint64_t number;
	if (!slice_to_number(value, &number) || number > most) {
		config_error(load, word->place, "expected a whole number from 0 to %llu, not \"%.*s\"",
			     (unsigned long long)most, SLICE_ARGUMENTS(value));
		return false;
	}
	*ret_number = (int64_t)number;
	return true;
}

static bool read_setting(struct config_load *load, const struct config_text *word, struct server_config *server)
{
	struct slice name, value;
	if (slice_equal(word->text, SLICE("backup"))) {
		server->backup = true;
		return true;
	}
	if (slice_cut(word->text, '=', &name, &value)) {
		if (slice_equal(name, SLICE("weight")))
			return read_bounded(load, word, value, POOL_WEIGHT_MAX, &server->weight);
		if (slice_equal(name, SLICE("priority")))
			return read_bounded(load, word, value, SERVER_PRIORITY_MAX, &server->priority);
		if (slice_equal(name, SLICE("max_requests")))
			return read_bounded(load, word, value, 1000000, &server->max_requests);
		if (slice_equal(name, SLICE("route"))) {
			server->route = (struct config_text){value, word->place};
			return true;
		}
	}
	config_error(
		load, word->place,
		"expected weight=N, priority=N, max_requests=N, route=NAME or backup behind an address, not \"%.*s\"",
		SLICE_ARGUMENTS(word->text));
	return false;
}

// False after an error; *ret_is_there tells a server from an empty line.
static bool read_server(struct config_load *load, struct file_line *line, struct server_config *ret_server,
			bool *ret_is_there)
{
	struct config_text word;
	*ret_is_there = next_word(line, &word);
	if (!*ret_is_there)
		return true;
	*ret_server = (struct server_config){.place = word.place, .weight = 1};
	bool good = server_config_set_address(load, ret_server, &word);
	while (good && next_word(line, &word))
		good = read_setting(load, &word, ret_server);
	return good;
}

// --- The file

bool server_file_load(struct config_load *load, struct pool_config *pool)
{
	struct slice content = pool->file.content;
	if (!pool->file.path.text.data)
		return true;
	size_t most = pool->servers.count + slice_count(content, '\n') + 1, count = pool->servers.count;
	struct server_config *servers = config_alloc(load, most * sizeof(*servers));
	if (!servers)
		return false;
	if (count > 0)
		memcpy(servers, pool->servers.items, count * sizeof(*servers));
	struct file_line line = {.place = {.file = pool->file.path.text.data}};
	bool good = true, is_there;
	while (next_line(&content, &line)) {
		good &= read_server(load, &line, &servers[count], &is_there);
		count += is_there;
	}
	pool->servers = (struct config_list){servers, count};
	return good;
}
