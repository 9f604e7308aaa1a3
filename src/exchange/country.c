#include "exchange/country.h"

#include "exchange/exchange.h"
#include "exchange/snapshot.h"

#include <stddef.h>

static const struct config_key geo_keys[] = {
	{"database", CONFIG_FILE, offsetof(struct geo_config, database),
	 .help = "a file in MaxMind's DB format that has countries, such as GeoLite2-Country.mmdb; taken without a "
		 "reload "
		 "when it is replaced",
	 .required = true, .watched = true},
	{0},
};

const struct config_section geo_section = {
	.name = "geo",
	.help = "Where addresses are: for `country:CH` in rules, and $country.",
	.size = sizeof(struct geo_config),
	.keys = geo_keys,
	.place_offset = offsetof(struct geo_config, place),
	.shorthand = "database",
};

static void free_database(void *database)
{
	country_database_free(database);
}

bool geo_load(struct config_load *load, const struct geo_config *config, struct snapshot *snapshot)
{
	const char *why;
	snapshot->has_geo = config != NULL;
	if (!config || !config_is_whole(load, config))
		return !config;
	struct country_database *database = country_database_read(config->database.content, &why);
	if (!database) {
		config_error(load, config->database.path.place, "%.*s: %s", SLICE_ARGUMENTS(config->database.path.text),
			     why);
		return false;
	}
	snapshot->countries = database;
	return config_at_free(load, free_database, database);
}

const char *country_read(const struct snapshot *snapshot, struct slice code, unsigned *ret_country)
{
	*ret_country = country_of_letters(code);
	if (country_name(*ret_country).length == 0)
		return "is no country; expected two capital letters as in ISO 3166-1, such as CH";
	if (!snapshot->has_geo)
		return "is a country, and nothing says where addresses are; add `geo: GeoLite2-Country.mmdb` at the "
		       "top";
	return NULL;
}

unsigned exchange_country(struct exchange *exchange)
{
	const struct country_database *countries = exchange->snapshot->countries;
	if (countries && !exchange->has_country) {
		exchange->country = country_database_find(countries, &exchange->client);
		exchange->has_country = true;
	}
	return exchange->country;
}
