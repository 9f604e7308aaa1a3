#include "handlers/access_times.h"

#include <stddef.h>
#include <string.h>

#define ZONES "/usr/share/zoneinfo/"

// --- Keys

static const struct config_key keys[] = {
	{"at", CONFIG_TEXTS, offsetof(struct access_times, at),
	 .help = "days and times by the clock on the wall, such as Mon-Fri 08:00-18:00 (every day without days); the "
		 "end is "
		 "not in it, and one before the beginning is on the day after",
	 .required = true, .form = "a time such as \"Mon-Fri 08:00-18:00\""},
	{"zone", CONFIG_TEXT, offsetof(struct access_times, zone_name),
	 .help = "the time zone, as tzdata names it; the machine's when it is absent (TZ, or /etc/localtime)",
	 .form = "a zone such as Europe/Zurich"},
	{0},
};

const struct config_section access_times_section = {
	.name = "access.times",
	.help = "When visitors may come. At other times nobody gets in, whatever else is true.",
	.size = sizeof(struct access_times),
	.keys = keys,
	.place_offset = offsetof(struct access_times, place),
	.shorthand = "at",
};

// --- Loading

// Names such as Europe/Zurich lead to a file below ZONES, and nowhere else.
static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.length; i++) {
		char byte = ascii_lower(name.data[i]);
		if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && !strchr("+-_/", byte))
			return false;
	}
	return name.length > 0 && name.data[0] != '/';
}

static bool read_file(struct config_load *load, const char *path, struct time_zone *ret_zone)
{
	struct slice content;
	return path && config_read_if_there(load, path, &content) &&
	       time_zone_read(content, config_arena(load), ret_zone);
}

static bool read_named(struct config_load *load, struct slice name, struct time_zone *ret_zone)
{
	struct slice path =
		is_name(name) ? arena_printf(config_arena(load), ZONES "%.*s", SLICE_ARGUMENTS(name)) : SLICE_EMPTY;
	return read_file(load, path.data, ret_zone);
}

// As the C library does it, but for an error where it takes UTC silently (POSIX.1-2017 section 8.3, and ":" for files).
static bool read_machines(struct config_load *load, const struct access_times *times, struct time_zone *ret_zone)
{
	const char *wanted = config_environment(load, "TZ");
	struct slice content;
	if (!wanted) {
		*ret_zone = time_zone_utc;
		if (!config_read_if_there(load, "/etc/localtime", &content) ||
		    time_zone_read(content, config_arena(load), ret_zone))
			return true;
		config_error(load, times->place, "/etc/localtime is no time zone; say one by `zone`");
		return false;
	}
	if (*wanted == ':')
		wanted++;
	struct slice text = slice_from_string(wanted);
	*ret_zone = time_zone_utc;
	if (text.length == 0 || (*wanted == '/' && read_file(load, wanted, ret_zone)) ||
	    read_named(load, text, ret_zone) || time_zone_parse(text, ret_zone))
		return true;
	config_error(load, times->place, "the environment's TZ is no time zone; say one by `zone`");
	return false;
}

static bool load_zone(struct config_load *load, struct access_times *times)
{
	struct slice name = times->zone_name.text;
	if (!name.data)
		return read_machines(load, times, &times->zone);
	if (read_named(load, name, &times->zone))
		return true;
	config_error(load, times->zone_name.place,
		     "there is no time zone \"%.*s\" in " ZONES "; expected one such as Europe/Zurich",
		     SLICE_ARGUMENTS(name));
	return false;
}

static struct slice words_of(struct config_load *load, const struct access_times *times)
{
	struct arena *arena = config_arena(load);
	struct slice words = SLICE_EMPTY, zone = times->zone_name.text;
	for (size_t i = 0; i < times->at.count; i++)
		words = arena_printf(arena, "%.*s%s%.*s", SLICE_ARGUMENTS(words),
				     i == 0			? ""
				     : i + 1 == times->at.count ? " and "
								: ", ",
				     SLICE_ARGUMENTS(times->at.items[i].text));
	return arena_printf(arena, "%.*s (%.*s)", SLICE_ARGUMENTS(words),
			    SLICE_ARGUMENTS(zone.data ? zone : SLICE("the machine's time")));
}

bool access_times_load(struct config_load *load, struct access_times *times)
{
	bool good = true;
	for (size_t i = 0; i < times->at.count; i++) {
		const struct config_text *text = &times->at.items[i];
		const char *why = hours_add(&times->hours, text->text);
		if (why)
			config_error(load, text->place, "\"%.*s\" %s", SLICE_ARGUMENTS(text->text), why);
		good = good && !why;
	}
	times->words = words_of(load, times);
	return load_zone(load, times) && good;
}
