// The key `ldap` of a login: users of a directory. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_DIRECTORY_H
#define USHER_HANDLERS_ACCESS_DIRECTORY_H

#include "access/source.h"
#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct login_directory_groups {
	struct config_text attribute, base, filter, name;
	struct config_texts keep;
};

struct login_directory {
	struct config_place place;
	struct config_texts servers;
	bool starttls;
	struct config_file ca;
	int64_t connect_ns, answer_ns;
	struct config_text bind, reader, password, base, filter, user, email;
	struct login_directory_groups groups;
	int64_t at_once;
};

extern const struct config_section access_directory_section;

// False after config_error. The source's places are the caller's to make, for at_once.
bool access_directory_load(struct config_load *load, struct login_directory *config, struct source *ret_source);

#endif
