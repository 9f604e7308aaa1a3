// Addresses as a person would type them into a browser.
#ifndef USHER_CLI_WHERE_H
#define USHER_CLI_WHERE_H

#include "net/address.h"

enum { WHERE_MAX = ADDRESS_TEXT_MAX + 32 };

// "http://localhost:8080" for a listening address; "unix:/path" for a UNIX socket.
const char *where_url(const struct address *address, char ret_text[WHERE_MAX]);

#endif
