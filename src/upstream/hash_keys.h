// The keys of `hash` in a pool. For the files of this folder.
#ifndef USHER_UPSTREAM_HASH_KEYS_H
#define USHER_UPSTREAM_HASH_KEYS_H

#include "config/key.h"

extern const struct config_section hash_section;

#endif
