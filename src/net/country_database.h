// Where addresses are: a database in MaxMind's DB format, version 2.0 (https://maxmind.github.io/MaxMind-DB/), of which
// the countries are taken and the rest is left.
//
// Reading checks all of it, whatever the bytes: a database that was cut or altered is an error there, or tells other
// countries, and nothing can go wrong when an address is looked up.
#ifndef USHER_NET_COUNTRY_DATABASE_H
#define USHER_NET_COUNTRY_DATABASE_H

#include "base/slice.h"
#include "net/address.h"
#include "net/country.h"

struct country_database;

// Reads what a file held; the bytes are not needed any longer. NULL when they are no such database or memory is out;
// *ret_why (a literal) tells.
struct country_database *country_database_read(struct slice content, const char **ret_why);

void country_database_free(struct country_database *database); // NULL is allowed

// Which country an address is in; COUNTRY_NONE where that is not known, for a UNIX socket and for none.
unsigned country_database_find(const struct country_database *database, const struct address *address);

#endif
