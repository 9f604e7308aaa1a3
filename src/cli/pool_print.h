// What the admin API says of pools, for people.
#ifndef USHER_CLI_POOL_PRINT_H
#define USHER_CLI_POOL_PRINT_H

#include <jansson.h>
#include <stdio.h>

// A line for each pool of {"pools": [...]}.
void pool_print_all(const json_t *answer, FILE *to);

// A line for each server of a pool, and what its checks say.
void pool_print(const json_t *pool, FILE *to);

#endif
