// What a rule of the handler `access` says, in words.
#ifndef USHER_HANDLERS_ACCESS_H
#define USHER_HANDLERS_ACCESS_H

#include "exchange/snapshot.h"

#include <stdio.h>

// One line for each rule of the configuration: "intranet.example.com: visitors from 10.0.0.0/8 get in; others log in
// through staff; anyone else gets 403".
void access_describe(const struct snapshot *snapshot, FILE *stream);

#endif
