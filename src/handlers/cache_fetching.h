// Fetching what a visitor misses: a subrequest asks the server, and what comes is stored while all who wait for it read
// it. For the files of the handler `cache`.
//
// What is not to be stored goes to the visitor for whom the fetch was begun, from the subrequest's own response,
// which lasts until fetching_release.
#ifndef USHER_HANDLERS_CACHE_FETCHING_H
#define USHER_HANDLERS_CACHE_FETCHING_H

#include "cache/fetch.h"
#include "cache/storable.h"
#include "cache/store.h"
#include "exchange/exchange.h"
#include "handlers/cache_config.h"
#include "handlers/cache_gap.h"

struct fetching;

struct fetching_order {
	struct exchange *exchange; // of the visitor, as it is before the next handler
	const struct cache_config *config;
	struct cache_store *store;
	struct slice key;
	uint64_t hash, variant;
	struct cache_object *stale; // what is stored, to be validated or combined; NULL: nothing
	struct cache_gap gap;	    // what is asked for
	bool is_for_all;	    // else the visitor's own conditions go to the server
	bool is_shared;		    // others may wait for it
	struct cache_fetch *fetch;  // which it has to end
	struct fields *left_out;    // for the visitor: the fields that are not stored, in his exchange's memory
};

// Begins. `visitor` is set while the visitor's exchange may take the response: until he calls fetching_release, or the
// subrequest ends, which sets it to NULL; NULL for a fetch that no visitor waits for. Where no memory is left, the
// fetch has failed.
void fetching_start(const struct fetching_order *order, struct fetching **visitor);

// In the state PASSES, for the visitor: the server's response, in the subrequest's memory, and why it is not stored.
const struct response *fetching_response(const struct fetching *fetching);
enum cache_verdict fetching_verdict(const struct fetching *fetching);

// Whether that response is one to what the visitor asks.
bool fetching_is_for_visitor(const struct fetching *fetching);

// How much content is stored, by the configuration, where there is this disk, or none.
struct cache_fetch_bounds fetching_bounds(const struct cache_config *config, const struct cache_store *store,
					  struct cache_disk *disk);

// The visitor needs it no more.
void fetching_release(struct fetching *fetching);

// A copy of the list of fields, not of their texts. False when memory is out.
bool cache_copy_fields(struct arena *arena, const struct fields *from, struct fields *ret_copy);

#endif
