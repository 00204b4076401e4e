// SPDX-License-Identifier: ISC
#ifndef EIO_BENCH_FIBERS_MEASURE_H
#define EIO_BENCH_FIBERS_MEASURE_H

// Measuring in short repeats, and printing: one JSON object a line (tools/bench/README.md). What is
// compared is measured in turns (A B A B ...), so that a slow moment of the machine meets all of
// them alike.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/err.h"

/** How much to do. */
enum size { SIZE_SHORTEST, SIZE_SHORT, SIZE_FULL };

/** CPU time of this thread, ns. Takes a system call. */
int64_t measure_cpu_ns(void);
/** The monotonic clock, ns. */
int64_t measure_wall_ns(void);

/**
 * Runs once, does `n` units of work, and sets `*out_ns` to the time they took (by one of the clocks
 * above, of the part that is to be measured).
 */
typedef eio_err *measure_fn(void *arg, size_t n, int64_t *out_ns);

/** What is measured. */
struct subject {
    const char *row;   // its name
    const char *label; // the case; "" when there is one only
    measure_fn *fn;
    void *arg;
    measure_fn *bare; // the limit, measured beside it; NULL: none
    void *bare_arg;
};

/**
 * Measures `n` units (at SIZE_SHORT; fewer or more at another size, but a multiple of `step`) some
 * times, and prints the median ns for a unit, with the least and the most; and the bare loop's
 * median, and the median of the ratios.
 */
EIO_MUST_USE eio_err *measure(const struct subject *subject, enum size size, size_t n, size_t step);
/** Prints a line whose value was measured otherwise. */
void measure_print(const char *row, const char *label, double value, const char *unit, size_t n);

#endif
