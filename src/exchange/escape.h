// Values made safe for where they are put: pages of HTML, strings of JSON, paths, queries.
#ifndef USHER_EXCHANGE_ESCAPE_H
#define USHER_EXCHANGE_ESCAPE_H

#include "base/arena.h"
#include "base/slice.h"

enum escape_kind {
	ESCAPE_HTML, // text or a quoted attribute's value
	ESCAPE_JSON, // within a string
	// In these, what may not stand there is percent-encoded, and encodings stay.
	ESCAPE_PATH,	  // of a target
	ESCAPE_QUERY,	  // of a target
	ESCAPE_PARAMETER, // one value within a query: "&", "=", "+" and ";" are encoded as well
	ESCAPE_URI,	  // a whole one: blanks, controls, quotes, "<", ">", "\" and non-ASCII
};

// The text itself where nothing has to change, else a copy in the arena; .data is NULL when
// memory is out.
struct slice escape(struct slice text, enum escape_kind kind, struct arena *arena);

#endif
