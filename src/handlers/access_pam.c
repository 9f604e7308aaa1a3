#include "handlers/access_pam.h"

#include "access/pam.h"
#include "base/hash.h"

#include <stddef.h>

static const struct config_key pam_keys[] = {
	{"service", CONFIG_TEXT, offsetof(struct login_pam, service), .required = true,
	 .help = "the service whose file says by which modules users are verified",
	 .form = "a name such as usher, for /etc/pam.d/usher"},
	{"directory", CONFIG_TEXT, offsetof(struct login_pam, directory),
	 .help = "where the service's file is, in the place of /etc/pam.d"},
	{"at_once", CONFIG_INTEGER, offsetof(struct login_pam, at_once), "4",
	 "so many logins are verified at once; others wait, up to 64 of them for up to ten seconds", .min = 1,
	 .max = 16},
	{0},
};

const struct config_section access_pam_section = {
	.name = "logins.pam",
	.help = "Users of the system, by Pluggable Authentication Modules.",
	.size = sizeof(struct login_pam),
	.keys = pam_keys,
	.place_offset = offsetof(struct login_pam, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "service",
};

// Without a file of its own, a service is verified by the one of the name "other", which refuses everybody, or worse.
static bool has_file(struct config_load *load, struct slice directory, struct slice service)
{
	struct slice content, path = arena_printf(config_arena(load), "%.*s/%.*s", SLICE_ARGUMENTS(directory),
						  SLICE_ARGUMENTS(service));
	return path.data && config_read_if_there(load, path.data, &content);
}

static bool check_service(struct config_load *load, const struct login_pam *config, struct slice directory)
{
	struct slice service = config->service.text;
	if (service.length == 0 || slice_find(service, '/') < service.length) {
		config_error(load, config->service.place, "\"%.*s\" is no name of a service", SLICE_ARGUMENTS(service));
		return false;
	}
	bool has_own = directory.data ? has_file(load, directory, service)
				      : has_file(load, SLICE("/etc/pam.d"), service) ||
						has_file(load, SLICE("/usr/lib/pam.d"), service);
	if (!has_own)
		config_error(load, config->service.place, "there is no service \"%.*s\" in %.*s",
			     SLICE_ARGUMENTS(service),
			     SLICE_ARGUMENTS(directory.data ? directory : SLICE("/etc/pam.d")));
	return has_own;
}

bool access_pam_load(struct config_load *load, struct login_pam *config, struct source *ret_source)
{
	struct pam_service *service = config_alloc(load, sizeof *service);
	struct slice directory = SLICE_EMPTY;
	if (config->directory.text.data && !(directory = config_resolve(load, &config->directory)).data)
		return false;
	if (!service || !check_service(load, config, directory))
		return false;
	*service = (struct pam_service){config->service.text, directory};
	*ret_source = (struct source){
		.verify = pam_service_verify,
		.self = service,
		.is_remote = true,
		.digest = hash_number(hash_fast(config->service.text) + 2) ^ hash_fast(directory),
	};
	return true;
}
