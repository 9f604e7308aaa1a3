#include "handlers/access_state.h"

#include "access/state.h"
#include "base/log.h"
#include "exchange/directories.h"
#include "handlers/access_logins.h"
#include "handlers/cache_disk.h"
#include "handlers/handlers.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- Keys

struct state_config {
	struct config_place place;
	struct config_text path;
	const char *resolved;
};

static const struct config_key state_keys[] = {
	{"path", CONFIG_TEXT, offsetof(struct state_config, path),
	 .help = "a directory for usher alone, made when it is not there, in which it keeps an SQLite database",
	 .form = "a path such as /var/lib/usher", .required = true},
	{0},
};

static const struct config_section section = {
	.name = "state",
	.help = "What logins must not forget: the secret of sessions where none is configured, sessions that were "
		"ended, and codes that were used.",
	.size = sizeof(struct state_config),
	.keys = state_keys,
	.place_offset = offsetof(struct state_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "path",
};

// systemd's StateDirectory= (systemd.exec); of several, the first.
static bool use_standard(struct config_load *load, const struct snapshot *snapshot, struct state_config **ret_config)
{
	const char *variable = config_environment(load, "STATE_DIRECTORY");
	if (!variable || variable[0] != '/' || !access_logins_have_pages(snapshot))
		return true;
	struct state_config *config = config_alloc(load, sizeof *config);
	struct slice path = slice_first(slice_from_string(variable), strcspn(variable, ":"));
	if (!config)
		return false;
	config->place.file = "STATE_DIRECTORY";
	config->resolved = arena_copy(config_arena(load), path).data;
	*ret_config = config;
	return config->resolved != NULL;
}

static bool load(struct config_load *load, struct snapshot *snapshot, void *value, void **ret_section)
{
	struct state_config *config = value;
	if (config)
		config->resolved = config_resolve(load, &config->path).data;
	else if (!use_standard(load, snapshot, &config))
		return false;
	*ret_section = config;
	return !config || config->resolved;
}

static bool finish(struct config_load *load, struct snapshot *snapshot, void *value)
{
	const struct state_config *config = value;
	const struct config_place *place;
	const char *disk = cache_disk_path(snapshot, &place);
	if (!config || !disk || strcmp(disk, config->resolved) != 0)
		return true;
	config_error(load, *place, "`cache_disk` and `state` need a directory each of their own");
	return false;
}

const struct top_section_type state_section = {
	.key = {.name = "state",
		.kind = CONFIG_OPTIONAL,
		.section = &section,
		.help = "a directory for what logins must not forget: ended sessions, used codes, and the secret of "
			"sessions. "
			"systemd's STATE_DIRECTORY where there is one; otherwise all of it ends with usher's worker",
		.form = "a path such as /var/lib/usher"},
	.load = load,
	.finish = finish,
};

// --- Use

static char *used_path;

const char *access_state_path(const struct snapshot *snapshot, const struct config_place **ret_place)
{
	const struct state_config *config = snapshot_section(snapshot, &state_section);
	if (config)
		*ret_place = &config->place;
	return config ? config->resolved : NULL;
}

static bool open_store(const struct state_config *config, char *ret_failure, size_t size)
{
	char why[STATE_REASON_MAX];
	struct state_settings settings = {.path = config->resolved, .directory = directories_take(config->resolved)};
	used_path = strdup(config->resolved);
	if (used_path && settings.directory >= 0 && state_open(&settings, why))
		return true;
	if (settings.directory < 0)
		snprintf(why, sizeof why, "%s", strerror(-settings.directory));
	snprintf(ret_failure, size, "%s:%u:%u: state: %s: %s", config->place.file, (unsigned)config->place.line,
		 (unsigned)config->place.column, config->resolved, why);
	free(used_path);
	used_path = NULL;
	return false;
}

// Said once.
static void tell_what_is_forgotten(const struct snapshot *snapshot)
{
	static bool said;
	if (said || !access_logins_have_pages(snapshot))
		return;
	said = true;
	log_info("without `state`, what was logged out, codes that were used, and sessions whose key is not "
		 "configured are forgotten when the worker ends");
}

bool access_state_use(const struct snapshot *snapshot, char *ret_failure, size_t size)
{
	const struct state_config *config = snapshot_section(snapshot, &state_section);
	if (!state_is_open() && config)
		return open_store(config, ret_failure, size);
	if (!state_is_open())
		tell_what_is_forgotten(snapshot);
	else if (!config || strcmp(config->resolved, used_path) != 0)
		log_warning("state: %s stays in use until usher is restarted", used_path);
	return true;
}

void access_state_end(void)
{
	state_close();
	free(used_path);
	used_path = NULL;
}
