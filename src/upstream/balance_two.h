// The better of two servers that are drawn by weight: what random and least_time share. For
// the files of this folder.
#ifndef USHER_UPSTREAM_BALANCE_TWO_H
#define USHER_UPSTREAM_BALANCE_TWO_H

#include "upstream/balancer.h"

// What choosing the member costs: less is better.
typedef uint64_t member_cost(const struct member *member, int64_t now_ns);

// As balancer_type.choose.
struct server *choose_of_two(struct tier *tier, member_cost *cost, struct pick *pick, int64_t now_ns);

#endif
