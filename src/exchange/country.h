// The key `geo`, and which country an exchange's client is in.
#ifndef USHER_EXCHANGE_COUNTRY_H
#define USHER_EXCHANGE_COUNTRY_H

#include "config/load.h"
#include "net/country_database.h"

struct exchange;
struct snapshot;

struct geo_config {
	struct config_place place;
	struct config_file database;
};

extern const struct config_section geo_section;

// Reads the database into the snapshot; it is freed with the configuration. `config` is NULL where there is no key.
// False after config_error.
bool geo_load(struct config_load *load, const struct geo_config *config, struct snapshot *snapshot);

// Reads a country's code in a rule: NULL, or what is wrong with it (a literal that follows the code in a message).
const char *country_read(const struct snapshot *snapshot, struct slice code, unsigned *ret_country);

// Where the client is, as `geo` says; COUNTRY_NONE where that is not known. Looked up when it is first asked for.
unsigned exchange_country(struct exchange *exchange);

#endif
