// What stays in a cache and what goes: published policies in their simplest form, for the hit ratio alone. All objects
// have the same size. Beside them usher's store is judged.
#ifndef USHER_BENCH_POLICIES_H
#define USHER_BENCH_POLICIES_H

#include <stdint.h>

// Told all requests in order: how many of them find what they ask for. Ids are below id_count; is_hit, unless it is
// NULL, is told of each request.
typedef unsigned policy_run(const uint32_t *ids, unsigned count, unsigned id_count, unsigned capacity, char *is_hit);

// What was used last stays.
policy_run policy_lru;
// N. Megiddo, D. Modha: ARC: A Self-Tuning, Low Overhead Replacement Cache, FAST 2003, figure 4.
policy_run policy_arc;
// S. Jiang, X. Zhang: LIRS, SIGMETRICS 2002; a hundredth of the room is for those of high recency.
policy_run policy_lirs;
// G. Einziger, R. Friedman, B. Manes: TinyLFU, ACM Transactions on Storage 13(4), 2017: W-TinyLFU with a window of one
// percent, four fifths of the rest protected, and a sketch of four rows that is halved after ten times the capacity.
policy_run policy_tinylfu;
// J. Yang et al.: FIFO Queues are All You Need for Cache Eviction, SOSP 2023, in one piece: a tenth is for what is new,
// what was asked for more than once there stays, and as many are remembered as stay. What usher's store does in shards.
policy_run policy_s3fifo;

#endif
