// The key `pam` of a login: users of the system. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_PAM_H
#define USHER_HANDLERS_ACCESS_PAM_H

#include "access/source.h"
#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct login_pam {
	struct config_place place;
	struct config_text service, directory;
	int64_t at_once;
};

extern const struct config_section access_pam_section;

// False after config_error. The source's places are the caller's to make, for at_once.
bool access_pam_load(struct config_load *load, struct login_pam *config, struct source *ret_source);

#endif
