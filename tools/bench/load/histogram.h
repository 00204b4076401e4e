// SPDX-License-Identifier: ISC
// Latencies, counted in buckets of 1.6 % of their size.

#ifndef EIO_BENCH_HISTOGRAM_H
#define EIO_BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 64 * 64 };

/** All zero: empty. */
struct histogram {
    uint64_t count;                      /**< values in all */
    uint64_t buckets[HISTOGRAM_BUCKETS]; /**< how many values fell into each */
};

void histogram_add(struct histogram *self, uint64_t value);
/** The value that `share` (0 to 1) of all don't exceed; 0 when there is none. */
double histogram_quantile(const struct histogram *self, double share);

#endif
