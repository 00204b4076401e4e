// SPDX-License-Identifier: ISC
// The time, for measuring.

#ifndef EIO_BENCH_CLOCK_H
#define EIO_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

/** Nanoseconds of the monotonic clock. */
static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
