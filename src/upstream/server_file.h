// Servers that stand in a file of their own (pools.NAME.file), one on a line:
//
//	# comments and empty lines are passed over
//	10.0.0.11:8080
//	10.0.0.12:8080  weight=2  max_requests=50
//	10.0.0.13:8080  backup
//
// For the files of this folder.
#ifndef USHER_UPSTREAM_SERVER_FILE_H
#define USHER_UPSTREAM_SERVER_FILE_H

#include "upstream/pool_config.h"

#include <stdbool.h>

// Puts the file's servers behind those of the pool. False after config_error, which names the line.
bool server_file_load(struct config_load *load, struct pool_config *pool);

#endif
