// What is asked of the server where a part of an answer is stored, or a part is all that is asked for, and whether the
// part that comes is the one that was meant (RFC 9111 sections 3.3 and 3.4). For the files of the handler `cache`.
//
// Of an answer one run of bytes is stored. Where it has a strong entity tag, what is missing before or behind it is
// asked for by Range and If-Range, so that the server sends either just that, of the same content, or all of another
// one.
#ifndef USHER_HANDLERS_CACHE_GAP_H
#define USHER_HANDLERS_CACHE_GAP_H

#include "cache/fetch.h"
#include "cache/object.h"
#include "cache/range.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

enum cache_gap_kind {
	CACHE_GAP_ALL,	    // all of the answer
	CACHE_GAP_AS_ASKED, // the part that the visitor asks for, in his words
	CACHE_GAP_MISSING,  // what touches the part that is stored, and is combined with it
};

struct cache_gap {
	enum cache_gap_kind kind;
	bool is_his;		// only this visitor asks for that
	bool validates;		// what is stored suffices if it has not changed
	struct cache_part part; // MISSING
};

struct cache_gap_question {
	const struct fields *request;	   // the visitor's
	const struct cache_object *object; // that is stored; NULL
	bool suffices;			   // as it is for this visitor
	bool wants_whole;		   // whatever part he asks for
	struct cache_fetch_bounds bounds;  // of what is stored
	int64_t now_s;
};

struct cache_gap cache_gap_find(const struct cache_gap_question *question);

// The same when all of it is fetched anew.
struct cache_gap cache_gap_renewal(const struct cache_object *object);

// Writes a request for it: what there is to be, or whether what is stored has changed (RFC 9111 section 4.3.1), in the
// place of what the visitor asked about his own copy. False when memory is out.
bool cache_gap_ask(const struct cache_gap *gap, const struct cache_object *stored, bool is_for_all,
		   struct fields *request, struct arena *arena);

// Whether a 206 is the part that was asked for, by the value of Range that was sent: then *ret_brought is what it has.
// One that is to be combined has the strong validator, the total and the coding of what is stored.
bool cache_gap_is_filled(const struct cache_gap *gap, struct slice range, const struct response *response,
			 const struct cache_object *stored, struct cache_run *ret_brought);

// Whether what is stored stays, since it is the larger one of two parts of the same that do not touch. The fields are
// of the part that came.
bool cache_gap_is_outdone(const struct cache_gap *gap, const struct cache_object *stored, const struct fields *fields,
			  const struct cache_run *run, int64_t now_s);

// Writes into the fields of an answer that this is what there is of it. False when memory is out.
bool cache_gap_tell(const struct cache_run *run, struct fields *fields, struct arena *arena);

// What is there then: of the stored content what stands before and behind the part that comes, and all in all.
struct cache_join {
	struct slice before, after;
	struct cache_run run;
};

struct cache_join cache_gap_join(const struct cache_gap *gap, const struct cache_object *stored,
				 const struct cache_run *brought);

#endif
