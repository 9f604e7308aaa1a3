#include "handlers/access_lists.h"

#include "exchange/country.h"
#include "exchange/exchange.h"
#include "handlers/handlers.h"

#include <stddef.h>
#include <string.h>

enum { LIST_MAX = 4 * 1000 * 1000 };

// --- Keys

struct list_config {
	struct config_place place;
	struct config_text name;
	struct config_texts networks;
	struct config_texts files;
	// Made of these.
	struct network *items;
	size_t count;
	struct country_set countries;
	bool local;
};

struct lists {
	struct list_config *items;
	size_t count;
};

static const struct config_key list_keys[] = {
	{"networks", CONFIG_TEXTS, offsetof(struct list_config, networks),
	 .help = "addresses and networks, such as 192.0.2.1 and 10.0.0.0/8, and countries, such as country:CH",
	 .form = "a network such as 10.0.0.0/8"},
	{"file", CONFIG_TEXTS, offsetof(struct list_config, files),
	 .help = "files with an address, a network or a country in each line; what is behind a # is passed over; taken "
		 "without a "
		 "reload "
		 "when they are replaced",
	 .form = "a path such as blocked.txt"},
	{0},
};

static const struct config_section list_section = {
	.name = "lists",
	.help = "Networks under a name, for rules.",
	.size = sizeof(struct list_config),
	.keys = list_keys,
	.place_offset = offsetof(struct list_config, place),
	.name_offset = offsetof(struct list_config, name),
	.shorthand = "networks",
};

// --- Loading

static const struct slice country_prefix = {"country:", 8};

// Adds what a text means. NULL, or what is wrong with it (a literal that follows it in a message).
static const char *add_text(const struct snapshot *snapshot, struct list_config *list, struct slice text)
{
	unsigned country;
	if (slice_starts_with(text, country_prefix)) {
		const char *why = country_read(snapshot, slice_after(text, country_prefix.length), &country);
		if (!why)
			country_set_add(&list->countries, country);
		return why;
	}
	if (!network_parse(text, &list->items[list->count]))
		return "is no network; expected one such as 10.0.0.0/8 (without bits beyond its prefix), an address "
		       "such "
		       "as 192.0.2.1, a country such as country:CH, or `unix`";
	list->count++;
	return NULL;
}

static bool read_text(struct config_load *load, const struct snapshot *snapshot, struct list_config *list,
		      const struct config_text *text)
{
	if (slice_equal(text->text, SLICE("unix"))) {
		list->local = true;
		return true;
	}
	const char *why = add_text(snapshot, list, text->text);
	if (why)
		config_error(load, text->place, "\"%.*s\" %s", SLICE_ARGUMENTS(text->text), why);
	return !why;
}

static struct slice without_comment(struct slice line)
{
	return slice_trim(slice_first(line, slice_find(line, '#')));
}

static bool read_lines(struct config_load *load, const struct snapshot *snapshot, struct list_config *list,
		       const struct config_text *path, struct slice content)
{
	struct slice line;
	for (unsigned number = 1; slice_next_line(&content, &line); number++) {
		line = without_comment(line);
		const char *why = line.length > 0 ? add_text(snapshot, list, line) : NULL;
		if (!why)
			continue;
		config_error(load, path->place, "%.*s:%u: \"%.*s\" %s", SLICE_ARGUMENTS(path->text), number,
			     SLICE_ARGUMENTS(slice_first(line, 64)), why);
		return false;
	}
	return true;
}

static bool load_list(struct config_load *load, const struct snapshot *snapshot, struct list_config *list)
{
	size_t room = list->networks.count;
	struct slice *contents = config_alloc(load, (list->files.count + 1) * sizeof *contents);
	bool good = contents != NULL;
	for (size_t i = 0; good && i < list->files.count; i++) {
		good = config_read_watched(load, &list->files.items[i], &contents[i]);
		room += good ? slice_count(contents[i], '\n') + 1 : 0;
	}
	if (good && room > LIST_MAX) {
		config_error(load, list->place, "the list has more than %d lines", LIST_MAX);
		good = false;
	}
	list->items = good ? config_alloc(load, (room + 1) * sizeof *list->items) : NULL;
	if (!list->items)
		return false;
	for (size_t i = 0; i < list->networks.count; i++)
		good = read_text(load, snapshot, list, &list->networks.items[i]) && good;
	for (size_t i = 0; i < list->files.count; i++)
		good = read_lines(load, snapshot, list, &list->files.items[i], contents[i]) && good;
	if (good && list->count == 0 && !list->local && country_set_is_empty(&list->countries))
		config_warning(load, list->place, "the list has nothing in it: no rule with it means anybody");
	return good;
}

static bool load(struct config_load *load, struct snapshot *snapshot, void *value, void **ret_section)
{
	struct config_list *configured = value;
	struct lists *lists = config_alloc(load, sizeof *lists);
	bool good = lists != NULL;
	if (!good)
		return false;
	if (configured)
		*lists = (struct lists){configured->items, configured->count};
	for (size_t i = 0; i < lists->count; i++)
		good = load_list(load, snapshot, &lists->items[i]) && good;
	*ret_section = lists;
	return good;
}

const struct top_section_type lists_section = {
	.key = {.name = "lists",
		.kind = CONFIG_NAMED,
		.section = &list_section,
		.help = "networks under names, for the rules of `access`",
		.form = "a map of names and lists, such as {office: [192.0.2.0/24], blocked: {file: blocked.txt}}"},
	.load = load,
};

// --- Rules

static const struct list_config *find_list(const struct lists *lists, struct slice name)
{
	for (size_t i = 0; lists && i < lists->count; i++)
		if (slice_equal(lists->items[i].name.text, name))
			return &lists->items[i];
	return NULL;
}

static void complain(struct config_load *load, const struct lists *lists, const struct config_text *text)
{
	size_t count = lists ? lists->count : 0;
	struct slice *names = config_alloc(load, (count + 1) * sizeof *names);
	if (!names)
		return;
	for (size_t i = 0; i < count; i++)
		names[i] = lists->items[i].name.text;
	names[count] = SLICE("all");
	config_error(
		load, text->place,
		"\"%.*s\" is neither an address, nor a network (without bits beyond its prefix), nor a country such as "
		"country:CH, nor a list under `lists`%s",
		SLICE_ARGUMENTS(text->text), config_suggestion(load, text->text, names, count + 1));
}

static struct slice words_of_one(struct config_load *load, struct slice text)
{
	if (!slice_starts_with(text, country_prefix))
		return text;
	struct slice code = slice_after(text, country_prefix.length), name = country_name(country_of_letters(code));
	return arena_printf(config_arena(load), "%.*s (%.*s)", SLICE_ARGUMENTS(name), SLICE_ARGUMENTS(code));
}

// The words of a rule: "10.0.0.0/8, Switzerland (CH) and office".
static struct slice words_of(struct config_load *load, const struct config_texts *texts)
{
	struct slice words = SLICE_EMPTY;
	for (size_t i = 0; i < texts->count; i++)
		words = arena_printf(config_arena(load), "%.*s%s%.*s", SLICE_ARGUMENTS(words),
				     i == 0		     ? ""
				     : i + 1 == texts->count ? " and "
							     : ", ",
				     SLICE_ARGUMENTS(words_of_one(load, texts->items[i].text)));
	return words;
}

static size_t room_for(const struct lists *lists, const struct config_texts *texts)
{
	size_t room = texts->count + 1;
	for (size_t i = 0; i < texts->count; i++) {
		const struct list_config *list = find_list(lists, texts->items[i].text);
		room += list ? list->count : 0;
	}
	return room;
}

// Adds what one text of a rule means. False after config_error.
static bool add_meant(struct config_load *load, struct snapshot *snapshot, const struct config_text *text,
		      struct access_networks *networks, struct list_config *all)
{
	const struct lists *lists = snapshot_section(snapshot, &lists_section);
	const struct list_config *list = find_list(lists, text->text);
	if (list) {
		if (list->count > 0)
			memcpy(all->items + all->count, list->items, list->count * sizeof *list->items);
		all->count += list->count;
		all->local |= list->local;
		country_set_join(&all->countries, &list->countries);
		return true;
	}
	if (slice_equal(text->text, SLICE("all"))) {
		networks->all = true;
		return true;
	}
	if (slice_starts_with(text->text, country_prefix) || slice_equal(text->text, SLICE("unix")))
		return read_text(load, snapshot, all, text);
	if (network_parse(text->text, &all->items[all->count])) {
		all->count++;
		return true;
	}
	complain(load, lists, text);
	return false;
}

bool access_networks_load(struct config_load *load, struct snapshot *snapshot, const struct config_texts *texts,
			  struct access_networks *ret_networks)
{
	const struct lists *lists = snapshot_section(snapshot, &lists_section);
	struct access_networks networks = {.words = words_of(load, texts)};
	struct list_config *all = config_alloc(load, sizeof *all);
	bool good = true;
	if (!all || !(all->items = config_alloc(load, room_for(lists, texts) * sizeof *all->items)))
		return false;
	for (size_t i = 0; i < texts->count; i++)
		good = add_meant(load, snapshot, &texts->items[i], &networks, all) && good;
	networks.set = (struct network_set){.networks = all->items, .count = all->count, .local = all->local};
	networks.countries = country_set_is_empty(&all->countries) ? NULL : &all->countries;
	network_set_freeze(&networks.set);
	*ret_networks = networks;
	return good;
}

bool access_networks_have(const struct access_networks *networks, struct exchange *exchange)
{
	return networks->all || network_set_contains(&networks->set, &exchange->client) ||
	       (networks->countries && country_set_has(networks->countries, exchange_country(exchange)));
}
