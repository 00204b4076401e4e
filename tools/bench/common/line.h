// SPDX-License-Identifier: ISC
// The line that a measuring program prints: see README.md.

#ifndef EIO_BENCH_LINE_H
#define EIO_BENCH_LINE_H

#include <stdint.h>

/** One measurement. `cpu_us` is the CPU time of this process for one of `n`. */
struct line {
    const char *row;
    const char *variant;
    double value;
    const char *unit;
    uint64_t n;
    double cpu_us;
};

void print_line(const struct line *line);
/** CPU time of this process, in nanoseconds. */
int64_t process_cpu_ns(void);

#endif
