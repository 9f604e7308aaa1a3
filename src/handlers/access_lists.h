// The key `lists`: networks under names, in the configuration or in files. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_LISTS_H
#define USHER_HANDLERS_ACCESS_LISTS_H

#include "config/load.h"
#include "exchange/snapshot.h"
#include "net/address.h"

// What a rule's texts mean.
struct access_networks {
	struct network_set set;
	bool all;			     // everybody
	const struct country_set *countries; // NULL: none
	struct slice words;		     // for people: "10.0.0.0/8 and office"
};

// Reads addresses, networks, names of lists, `country:CH` and its like, `unix` and `all`. False after config_error.
bool access_networks_load(struct config_load *load, struct snapshot *snapshot, const struct config_texts *texts,
			  struct access_networks *ret_networks);

// Whether they mean the client. One whose country is not known is in no country.
bool access_networks_have(const struct access_networks *networks, struct exchange *exchange);

#endif
