#include "handlers/access_state.h"

#include "access/state.h"
#include "base/log.h"
#include "exchange/directories.h"
#include "handlers/access_logins.h"
#include "handlers/cache_disk.h"
#include "handlers/handlers.h"
#include "http/uri.h"
#include "tls/trust.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- Keys

struct redis_config {
	struct config_place place;
	struct config_text address, user, password, prefix;
	bool tls;
	struct config_file ca;
	const char *host;
	uint16_t port; // 0: the host is a path
	X509_STORE *trust;
};

struct state_config {
	struct config_place place;
	struct config_text path;
	struct redis_config *redis;
	const char *resolved; // the path; NULL: there is none
};

static const struct config_key redis_keys[] = {
	{"address", CONFIG_TEXT, offsetof(struct redis_config, address),
	 .help = "where the Redis is; port 6379 unless it is written",
	 .form = "an address such as 10.0.0.5:6379, or unix:/run/redis/redis.sock", .required = true},
	{"user", CONFIG_TEXT, offsetof(struct redis_config, user),
	 .help = "whom usher logs in as there, besides the password"},
	{"password", CONFIG_TEXT, offsetof(struct redis_config, password), .help = "what it logs in with",
	 .form = "a text such as ${REDIS_PASSWORD}", .secret = true},
	{"prefix", CONFIG_TEXT, offsetof(struct redis_config, prefix), "usher",
	 "what the names of keys begin with; ushers with the same one share their logins"},
	{"tls", CONFIG_BOOL, offsetof(struct redis_config, tls), "false", "by TLS, with a certificate for its name"},
	{"ca", CONFIG_FILE, offsetof(struct redis_config, ca),
	 .help = "certificates of the authorities that vouch for it; the system's unless they are written"},
	{0},
};

static const struct config_section redis_section = {
	.name = "state.redis",
	.help = "A Redis by which several ushers share what was ended and used up.",
	.size = sizeof(struct redis_config),
	.keys = redis_keys,
	.place_offset = offsetof(struct redis_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "address",
};

static const struct config_key state_keys[] = {
	{"path", CONFIG_TEXT, offsetof(struct state_config, path),
	 .help = "a directory for usher alone, made when it is not there, in which it keeps an SQLite database; "
		 "systemd's "
		 "STATE_DIRECTORY where it is not written",
	 .form = "a path such as /var/lib/usher"},
	{"redis", CONFIG_OPTIONAL, offsetof(struct state_config, redis),
	 .help = "a Redis that several ushers share, so that what ends at one ends at all", .section = &redis_section,
	 .form = "an address such as 10.0.0.5:6379, or a map"},
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

enum { REDIS_PORT = 6379 };

static bool read_address(struct config_load *load, struct redis_config *redis)
{
	struct slice text = redis->address.text, host;
	if (slice_starts_with(text, SLICE("unix:/"))) {
		redis->host = arena_copy(config_arena(load), slice_after(text, 5)).data;
		if (redis->tls)
			config_error(load, redis->address.place, "a UNIX socket has no TLS");
		return redis->host && !redis->tls;
	}
	if (!uri_parse_authority(text, &host, &redis->port)) {
		config_error(load, redis->address.place,
			     "\"%.*s\" is no address such as 10.0.0.5:6379 or unix:/run/redis/redis.sock",
			     SLICE_ARGUMENTS(text));
		return false;
	}
	if (redis->port == 0)
		redis->port = REDIS_PORT;
	if (host.data[0] == '[')
		host = slice_from(host.data + 1, host.length - 2);
	redis->host = arena_copy(config_arena(load), host).data;
	return redis->host != NULL;
}

static void free_trust(void *trust)
{
	X509_STORE_free(trust);
}

static bool read_trust(struct config_load *load, struct redis_config *redis)
{
	const char *wrong;
	struct slice pem;
	if (!redis->tls && redis->ca.path.text.data) {
		config_error(load, redis->ca.path.place, "`ca` has no meaning without `tls: true`");
		return false;
	}
	if (!redis->tls)
		return true;
	if (!redis->ca.path.text.data) {
		redis->trust = trust_of_system(load, redis->place, &pem);
		return redis->trust && X509_STORE_up_ref(redis->trust) &&
		       config_at_free(load, free_trust, redis->trust);
	}
	redis->trust = trust_from(redis->ca.content, &wrong);
	if (redis->trust)
		return config_at_free(load, free_trust, redis->trust);
	config_error(load, redis->ca.path.place, "%.*s: %s", SLICE_ARGUMENTS(redis->ca.path.text), wrong);
	return false;
}

static bool read_redis(struct config_load *load, struct redis_config *redis)
{
	if (redis->user.text.data && !redis->password.text.data) {
		config_error(load, redis->user.place, "a user without a `password`");
		return false;
	}
	return read_address(load, redis) && read_trust(load, redis);
}

// systemd's StateDirectory= (systemd.exec); of several, the first. False when memory is out.
static bool use_standard(struct config_load *load, struct state_config **config)
{
	const char *variable = config_environment(load, "STATE_DIRECTORY");
	if (!variable || variable[0] != '/')
		return true;
	if (!*config && (*config = config_alloc(load, sizeof **config)))
		(*config)->place.file = "STATE_DIRECTORY";
	if (!*config)
		return false;
	struct slice path = slice_first(slice_from_string(variable), strcspn(variable, ":"));
	(*config)->resolved = arena_copy(config_arena(load), path).data;
	return (*config)->resolved != NULL;
}

static bool load(struct config_load *load, struct snapshot *snapshot, void *value, void **ret_section)
{
	struct state_config *config = value;
	bool has_path = config && config->path.text.data, good = true;
	if (has_path)
		good = (config->resolved = config_resolve(load, &config->path).data) != NULL;
	else if (config || access_logins_have_pages(snapshot))
		good = use_standard(load, &config);
	if (good && config && config->redis)
		good = read_redis(load, config->redis);
	else if (good && config && !config->resolved) {
		config_error(load, config->place, "expected a `path`, a `redis`, or both");
		good = false;
	}
	*ret_section = config;
	return good;
}

static bool finish(struct config_load *load, struct snapshot *snapshot, void *value)
{
	const struct state_config *config = value;
	const struct config_place *place;
	const char *disk = cache_disk_path(snapshot, &place);
	if (!config || !config->resolved || !disk || strcmp(disk, config->resolved) != 0)
		return true;
	config_error(load, *place, "`cache_disk` and `state` need a directory each of their own");
	return false;
}

const struct top_section_type state_section = {
	.key = {.name = "state",
		.kind = CONFIG_OPTIONAL,
		.section = &section,
		.help = "where usher keeps what logins must not forget: ended sessions, used codes, and the secret of "
			"sessions. systemd's STATE_DIRECTORY where there is one; otherwise all of it ends with usher's "
			"worker",
		.form = "a path such as /var/lib/usher, or a map such as {path: /var/lib/usher, redis: 10.0.0.5}"},
	.load = load,
	.finish = finish,
};

// --- Use

static struct {
	char *name; // of what is open, for messages and to be compared
	struct state_redis_settings redis;
	char *texts[4]; // of these
} used;

const char *access_state_path(const struct snapshot *snapshot, const struct config_place **ret_place)
{
	const struct state_config *config = snapshot_section(snapshot, &state_section);
	if (config)
		*ret_place = &config->place;
	return config ? config->resolved : NULL;
}

static char *name_of(const struct state_config *config)
{
	const struct redis_config *redis = config->redis;
	char *name = NULL;
	if (asprintf(&name, "%s%s%s%.*s", config->resolved ? config->resolved : "",
		     config->resolved && redis ? " and " : "", redis ? "the Redis at " : "",
		     SLICE_ARGUMENTS(redis ? redis->address.text : SLICE_EMPTY)) < 0)
		return NULL;
	return name;
}

// The store outlives the configuration that it was opened by. False when memory is out.
static bool copy_redis(const struct redis_config *redis)
{
	const char *const from[4] = {redis->host, redis->user.text.data, redis->password.text.data,
				     redis->prefix.text.data};
	for (unsigned i = 0; i < 4; i++)
		if (from[i] && !(used.texts[i] = strdup(from[i])))
			return false;
	used.redis = (struct state_redis_settings){
		.address = {used.texts[0], redis->port, used.texts[1], used.texts[2], redis->trust},
		.prefix = used.texts[3],
	};
	return !redis->trust || X509_STORE_up_ref(redis->trust) == 1;
}

static void forget_used(void)
{
	X509_STORE_free(used.redis.address.trust);
	used.redis = (struct state_redis_settings){.prefix = NULL};
	for (unsigned i = 0; i < 4; i++) {
		if (used.texts[i])
			explicit_bzero(used.texts[i], strlen(used.texts[i]));
		free(used.texts[i]);
		used.texts[i] = NULL;
	}
	free(used.name);
	used.name = NULL;
}

static bool open_store(const struct state_config *config, char *ret_failure, size_t size)
{
	char why[STATE_REASON_MAX] = "no memory";
	struct state_settings settings = {
		.path = config->resolved,
		.directory = config->resolved ? directories_take(config->resolved) : -1,
		.redis = config->redis ? &used.redis : NULL,
	};
	used.name = name_of(config);
	bool good = used.name && (!config->redis || copy_redis(config->redis));
	if (good && config->resolved && settings.directory < 0) {
		snprintf(why, sizeof why, "%s", strerror(-settings.directory));
		good = false;
	}
	if (good && state_open(&settings, why))
		return true;
	snprintf(ret_failure, size, "%s:%u:%u: state: %s: %s", config->place.file, (unsigned)config->place.line,
		 (unsigned)config->place.column, used.name ? used.name : "", why);
	forget_used();
	return false;
}

static bool is_used(const struct state_config *config)
{
	char *name = config ? name_of(config) : NULL;
	bool same = name && strcmp(name, used.name) == 0;
	free(name);
	return same;
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
	else if (!is_used(config))
		log_warning("state: %s stays in use until usher is restarted", used.name);
	return true;
}

void access_state_end(void)
{
	state_close();
	forget_used();
}
