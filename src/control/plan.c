#include "control/plan.h"

#include "base/log.h"
#include "control/bundle.h"
#include "control/registry.h"
#include "handlers/access.h"
#include "handlers/access_state.h"
#include "handlers/cache_disk.h"
#include "upstream/pool_config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *copy_of(const char *text)
{
	return text ? strdup(text) : NULL;
}

// Whether a copy was made where one was wanted.
static bool copied(const char *from, const char *to)
{
	return !from || to;
}

static char *place_of(const struct config_place *place)
{
	char *text = NULL;
	if (asprintf(&text, "%s:%u:%u", place->file ? place->file : "default", place->line, place->column) < 0)
		return NULL;
	return text;
}

static bool copy_listens(const struct snapshot *snapshot, struct plan *plan)
{
	plan->listens = calloc(snapshot->listen_count + 1, sizeof *plan->listens);
	if (!plan->listens)
		return false;
	for (size_t i = 0; i < snapshot->listen_count; i++) {
		const struct listen *listen = &snapshot->listens[i];
		struct plan_listen *copy = &plan->listens[i];
		char buffer[ADDRESS_TEXT_MAX];
		struct slice name = slice_first(address_format(&listen->address, buffer), sizeof copy->name - 1);
		memcpy(copy->name, name.data, name.length);
		copy->address = listen->address;
		copy->for_owner = listen->admin;
		copy->place = place_of(&listen->place);
		plan->listen_count++;
		if (!copy->place)
			return false;
	}
	return true;
}

static bool is_file(const char *log)
{
	return log && strcmp(log, "stdout") != 0 && strcmp(log, "stderr") != 0;
}

static bool copy_logs(const struct snapshot *snapshot, struct plan *plan)
{
	const char *paths[] = {snapshot->access_log_settings.path, snapshot->error_log};
	plan->logs = calloc(2, sizeof *plan->logs);
	if (!plan->logs)
		return false;
	for (size_t i = 0; i < 2; i++) {
		if (!is_file(paths[i]))
			continue;
		plan->logs[plan->log_count] = copy_of(paths[i]);
		if (!plan->logs[plan->log_count++])
			return false;
	}
	const char *error_log = is_file(snapshot->error_log) ? snapshot->error_log : NULL;
	plan->error_log = copy_of(error_log);
	return copied(error_log, plan->error_log);
}

static const struct {
	const char *key;
	const char *(*path)(const struct snapshot *snapshot, const struct config_place **ret_place);
} keepers[PLAN_DIRECTORIES] = {{"cache_disk", cache_disk_path}, {"state", access_state_path}};

static bool copy_directories(const struct snapshot *snapshot, struct plan *plan)
{
	bool good = true;
	for (size_t i = 0; i < PLAN_DIRECTORIES && good; i++) {
		const struct config_place *place;
		const char *path = keepers[i].path(snapshot, &place);
		if (!path)
			continue;
		struct plan_directory *copy = &plan->directories[plan->directory_count++];
		*copy = (struct plan_directory){keepers[i].key, copy_of(path), place_of(place)};
		good = copy->path && copy->place;
	}
	return good;
}

static bool find_user(const struct snapshot *snapshot, FILE *messages, struct plan *plan)
{
	const struct config_text *user = &snapshot->user;
	struct slice wrong;
	if (!privileges_find(user->text, &plan->privileges, &wrong)) {
		fprintf(messages, "%s:%u:%u: there is no user or group \"%.*s\" on this system\n", user->place.file,
			user->place.line, user->place.column, SLICE_ARGUMENTS(wrong));
		return false;
	}
	if (plan->privileges.drop && !privileges_can_drop())
		fprintf(messages, "%s:%u:%u: warning: only root can become another user: \"%.*s\" has no effect\n",
			user->place.file, user->place.line, user->place.column, SLICE_ARGUMENTS(user->text));
	plan->privileges.drop = plan->privileges.drop && privileges_can_drop();
	plan->user = copy_of(user->text.data);
	return copied(user->text.data, plan->user);
}

static bool describe_access(const struct snapshot *snapshot, struct plan *plan)
{
	size_t length;
	FILE *words = open_memstream(&plan->access, &length);
	if (!words)
		return false;
	access_describe(snapshot, words);
	return fclose(words) == 0;
}

static void count(const struct snapshot *snapshot, struct plan *plan)
{
	plan->sites = snapshot->site_count;
	for (size_t i = 0; i < snapshot->site_count; i++)
		plan->routes += snapshot->all_sites[i].route_count;
	plan->pools = registry_pools(snapshot)->count;
}

static bool fill_in(const struct snapshot *snapshot, FILE *messages, struct plan *plan)
{
	plan->threads = snapshot->workers;
	plan->drain_ns = registry_drain_ns(snapshot);
	plan->pid_file = copy_of(snapshot->pid_file);
	count(snapshot, plan);
	if (!find_user(snapshot, messages, plan))
		return false;
	if (copied(snapshot->pid_file, plan->pid_file) && copy_listens(snapshot, plan) && copy_logs(snapshot, plan) &&
	    copy_directories(snapshot, plan) && describe_access(snapshot, plan))
		return true;
	fprintf(messages, "%s: no memory\n", plan->path);
	return false;
}

bool plan_load(struct config_source *source, const char *path, FILE *messages, bool colours, struct plan *ret_plan)
{
	struct bundle_recorder recorder;
	struct plan plan = {.bundle = -1, .path = strdup(path)};
	// Private keys come into memory now.
	int error = privileges_hide_memory();
	if (error == 0)
		error = plan.path ? bundle_record(&recorder, source) : -ENOMEM;
	if (error < 0) {
		fprintf(messages, "%s: cannot keep what is read: %s\n", path, strerror(-error));
		plan_free(&plan);
		*ret_plan = plan;
		return false;
	}
	struct snapshot *snapshot = NULL;
	bool well = snapshot_load(&recorder.source, path, SLICE_EMPTY, &registry, messages, colours, &snapshot);
	well = well && fill_in(snapshot, messages, &plan);
	if (well) {
		plan.bundle = bundle_finish(&recorder);
		well = plan.bundle >= 0;
		if (!well)
			fprintf(messages, "%s: cannot keep what was read: %s\n", path, strerror(-plan.bundle));
	} else {
		bundle_discard(&recorder);
	}
	snapshot_unref(snapshot);
	// The master may run for years and never load again.
	(void)malloc_trim(0);
	if (!well)
		plan_free(&plan);
	plan.watched = recorder.watched;
	*ret_plan = plan;
	return well;
}

bool plan_renew(const struct plan *plan, struct config_source *source, FILE *messages, struct plan *ret_plan)
{
	struct bundle_replay replay;
	int error = bundle_replay(&replay, plan->bundle);
	if (error < 0) {
		fprintf(messages, "%s: cannot read what was kept: %s\n", plan->path, strerror(-error));
		*ret_plan = (struct plan){.bundle = -1};
		return false;
	}
	replay.source.watched = source->watched ? source->watched : source;
	bool well = plan_load(&replay.source, plan->path, messages, false, ret_plan);
	bundle_replay_end(&replay);
	return well;
}

void plan_review(const struct plan *plan, FILE *messages)
{
	struct bundle_replay replay;
	struct snapshot *snapshot = NULL;
	if (bundle_replay(&replay, plan->bundle) < 0)
		return;
	if (snapshot_load(&replay.source, plan->path, SLICE_EMPTY, &registry, messages, false, &snapshot))
		snapshot_unref(snapshot);
	bundle_replay_end(&replay);
	(void)malloc_trim(0);
}

// What somebody else keeps there stays his.
static bool is_empty(int directory)
{
	DIR *list = fdopendir(dup(directory));
	unsigned count = 0;
	while (list && count <= 2 && readdir(list))
		count++;
	if (list)
		closedir(list);
	return count == 2; // "." and ".."
}

int plan_open_directory(const struct plan *plan, const struct plan_directory *directory)
{
	struct stat status;
	if (mkdir(directory->path, 0700) < 0 && errno != EEXIST)
		return -errno;
	int descriptor = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	const struct privileges *privileges = &plan->privileges;
	if (privileges->drop && fstat(descriptor, &status) == 0 && status.st_uid != privileges->user &&
	    is_empty(descriptor) && fchown(descriptor, privileges->user, privileges->group) < 0)
		log_warning("%s: %s: give %s to the user that the worker runs as: %m", directory->place, directory->key,
			    directory->path);
	return descriptor;
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->listen_count; i++)
		free(plan->listens[i].place);
	for (size_t i = 0; i < plan->log_count; i++)
		free(plan->logs[i]);
	free(plan->listens);
	free(plan->logs);
	for (size_t i = 0; i < plan->directory_count; i++) {
		free(plan->directories[i].path);
		free(plan->directories[i].place);
	}
	free(plan->path);
	free(plan->user);
	free(plan->access);
	free(plan->pid_file);
	free(plan->error_log);
	watch_list_free(&plan->watched);
	if (plan->bundle >= 0)
		close(plan->bundle);
	*plan = (struct plan){.bundle = -1};
}
