#include "exchange/snapshot.h"

#include "base/check.h"
#include "exchange/country.h"
#include "exchange/error_page.h"
#include "exchange/listen.h"
#include "exchange/route_match.h"
#include "exchange/scope.h"
#include "exchange/snapshot_load.h"
#include "observe/access_log.h"

#include <sched.h>
#include <string.h>

static unsigned core_count(void)
{
	cpu_set_t cores;
	if (sched_getaffinity(0, sizeof cores, &cores) < 0)
		return 1;
	int count = CPU_COUNT(&cores);
	return count > 0 ? (unsigned)count : 1;
}

static bool load_logs(struct snapshot_loading *loading)
{
	const struct access_log_config *log = loading->top->access_log;
	struct access_log_settings *settings = &loading->snapshot->access_log_settings;
	if (!log || !log->path.text.data || slice_equal(log->path.text, SLICE("off")))
		return true;
	settings->format = log->format.text;
	settings->path = log->path.text.data;
	if (slice_equal(log->path.text, SLICE("stdout")) || slice_equal(log->path.text, SLICE("stderr")))
		return true;
	settings->path = config_resolve(loading->load, &log->path).data;
	return settings->path != NULL;
}

static bool resolve_optional(struct config_load *load, const struct config_text *text, const char **ret_path)
{
	*ret_path = text->text.data ? config_resolve(load, text).data : NULL;
	return *ret_path || !text->text.data;
}

static bool load_top(struct snapshot_loading *loading)
{
	const struct top_config *top = loading->top;
	struct snapshot *snapshot = loading->snapshot;
	snapshot->workers = top->workers > 0 ? (unsigned)top->workers : core_count();
	snapshot->user = top->user;
	snapshot->resolver = top->resolver;
	snapshot->http2 = top->http2;
	bool good = load_logs(loading);
	good = resolve_optional(loading->load, &top->error_log, &snapshot->error_log) && good;
	good = resolve_optional(loading->load, &top->pid_file, &snapshot->pid_file) && good;
	good = geo_load(loading->load, top->geo, snapshot) && good;
	return network_set_load(loading->load, &top->trusted_proxies, &snapshot->trusted_proxies) && good;
}

static bool load_sections(struct snapshot_loading *loading)
{
	const struct top_section_type *const *types = loading->snapshot->registry->sections;
	bool good = true;
	for (size_t i = 0; types[i]; i++) {
		check(i < SNAPSHOT_SECTIONS_MAX);
		void *value = loading->top->scope.values[loading->schema->sections + i];
		if (!types[i]->load)
			loading->snapshot->sections[i] = value;
		else
			good = types[i]->load(loading->load, loading->snapshot, value,
					      &loading->snapshot->sections[i]) &&
			       good;
	}
	return good;
}

static bool finish_sections(struct snapshot_loading *loading)
{
	const struct top_section_type *const *types = loading->snapshot->registry->sections;
	bool good = true;
	for (size_t i = 0; types[i]; i++)
		if (types[i]->finish)
			good = types[i]->finish(loading->load, loading->snapshot, loading->snapshot->sections[i]) &&
			       good;
	return good;
}

bool scope_inherit(struct snapshot_loading *loading, const struct scope *scope, const struct inherited *outer,
		   struct inherited *ret_inherited)
{
	bool top = outer->errors == NULL, good = scope_check_ends(loading, scope);
	ret_inherited->limits = limits_inherit(loading->load, scope->values[SCOPED_LIMITS], outer->limits, top);
	ret_inherited->timeouts = timeouts_inherit(loading->load, scope->values[SCOPED_TIMEOUTS], outer->timeouts, top);
	ret_inherited->errors = error_pages_load(loading->load, scope->values[SCOPED_ERROR_PAGES], outer->errors);
	return good && ret_inherited->limits && ret_inherited->timeouts && ret_inherited->errors;
}

// Everything from the filled-in structs to the snapshot; goes on after an error, to find more.
static bool load_snapshot(struct snapshot_loading *loading)
{
	const struct inherited standard = {.limits = &limits_standard, .timeouts = &timeouts_standard};
	struct snapshot *snapshot = loading->snapshot;
	struct inherited inherited;
	bool good = load_top(loading);
	good = load_sections(loading) && good;
	if (!scope_inherit(loading, &loading->top->scope, &standard, &inherited))
		return false;
	snapshot->limits = inherited.limits;
	snapshot->timeouts = inherited.timeouts;
	snapshot->errors = inherited.errors;
	// Routes may ask whether their site has TLS, and on which port.
	bool sites_are_good = sites_load(loading);
	if (!snapshot->all_sites)
		return false;
	good = listens_load(loading) && sites_are_good && good;
	if (sites_are_good)
		good = listens_check_tls(loading) && tls_servers_load(loading) && good;
	good = sites_load_routes(loading, &inherited) && good;
	return finish_sections(loading) && good;
}

bool snapshot_load(struct config_source *source, const char *path, struct slice text,
		   const struct snapshot_registry *registry, FILE *messages, bool colours,
		   struct snapshot **ret_snapshot)
{
	void *top = NULL;
	struct config *config;
	struct snapshot_loading loading = {.schema = snapshot_schema_new(registry)};
	if (!loading.schema)
		return false;
	loading.load = config_load_begin(source, path, text, &loading.schema->root, &top);
	bool good = false;
	if (loading.load && top && (loading.snapshot = config_alloc(loading.load, sizeof *loading.snapshot))) {
		loading.top = top;
		loading.keys_were_wrong = config_error_count(loading.load) > 0;
		loading.snapshot->registry = registry;
		atomic_init(&loading.snapshot->references, 1);
		good = load_snapshot(&loading);
	}
	if (loading.load && config_load_end(loading.load, messages, colours, &config)) {
		if (good) {
			loading.snapshot->config = config;
			*ret_snapshot = loading.snapshot;
		} else {
			config_free(config);
		}
	} else {
		good = false;
	}
	snapshot_schema_free((struct snapshot_schema *)loading.schema);
	return good;
}

void snapshot_ref(struct snapshot *snapshot)
{
	size_t before = atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
	check(before > 0);
}

void snapshot_unref(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	size_t before = atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel);
	check(before > 0);
	if (before > 1)
		return;
	access_log_close(snapshot->access_log);
	config_free(snapshot->config);
}

static bool owns(const struct snapshot *snapshot, struct slice name)
{
	for (size_t i = 0; i < snapshot->own_field_count; i++)
		if (slice_equal_nocase(snapshot->own_fields[i], name))
			return true;
	return false;
}

bool snapshot_own_field(struct config_load *load, struct snapshot *snapshot, struct slice name)
{
	if (field_id_of(name) != FIELD_OTHER || owns(snapshot, name))
		return true;
	struct slice *more = config_alloc(load, (snapshot->own_field_count + 1) * sizeof *more);
	if (!more)
		return false;
	if (snapshot->own_field_count > 0)
		memcpy(more, snapshot->own_fields, snapshot->own_field_count * sizeof *more);
	more[snapshot->own_field_count++] = name;
	snapshot->own_fields = more;
	return true;
}

void *snapshot_section(const struct snapshot *snapshot, const struct top_section_type *type)
{
	size_t i = 0;
	while (snapshot->registry->sections[i] != type) {
		check(snapshot->registry->sections[i]);
		i++;
	}
	return snapshot->sections[i];
}
