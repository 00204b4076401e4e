// SPDX-License-Identifier: ISC
// Names are words of the programs' own, so nothing in them needs quoting.

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tools/bench/common/line.h"

void print_line(const struct line *line) {
    printf("{\"row\": \"%s\", \"case\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"n\": %" PRIu64
           ", \"cpu_us\": %.6g}\n",
           line->row, line->variant, line->value, line->unit, line->n, line->cpu_us);
    fflush(stdout);
}

int64_t process_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
