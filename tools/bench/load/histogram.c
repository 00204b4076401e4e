// SPDX-License-Identifier: ISC
// Log-linear: 64 buckets for each power of two, one for each value below 64. So adding costs a
// count of leading zeros, and no value is off by more than a 64th of itself.

#include "tools/bench/load/histogram.h"

enum { SUB_BITS = 6, SUB_BUCKETS = 1 << SUB_BITS };

static unsigned bucket_of(uint64_t value) {
    if (value < SUB_BUCKETS)
        return (unsigned)value;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
    unsigned sub = (unsigned)(value >> (exponent - SUB_BITS)) & (SUB_BUCKETS - 1);
    return (exponent - SUB_BITS + 1) * SUB_BUCKETS + sub;
}

static double value_of(unsigned bucket) {
    if (bucket < SUB_BUCKETS)
        return bucket;
    unsigned shift = bucket / SUB_BUCKETS - 1;
    return (double)((uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS) << shift);
}

void histogram_add(struct histogram *self, uint64_t value) {
    self->buckets[bucket_of(value)]++;
    self->count++;
}

double histogram_quantile(const struct histogram *self, double share) {
    uint64_t wanted = (uint64_t)((double)self->count * share);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += self->buckets[i];
        if (seen > wanted)
            return value_of(i);
    }
    return 0;
}
