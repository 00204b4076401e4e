// SPDX-License-Identifier: ISC
// One domain's work is measured in CPU time of its thread, which other programs on the machine
// disturb least. A first turn, which warms up caches and pools of stacks, isn't counted.

#include "tools/bench/fibers/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REPEATS_MAX = 11 };

static int64_t clock_ns(clockid_t id) {
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int64_t measure_cpu_ns(void) {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t measure_wall_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
    qsort(values, n, sizeof values[0], by_value);
    return values[n / 2];
}

static size_t scaled(size_t n, size_t step, enum size size) {
    if (size == SIZE_SHORTEST)
        n /= 50;
    else if (size == SIZE_FULL)
        n *= 4;
    return n < step ? step : n - n % step;
}

static size_t repeats_of(enum size size) {
    if (size == SIZE_SHORTEST)
        return 1;
    return size == SIZE_SHORT ? 5 : (size_t)REPEATS_MAX;
}

eio_err *measure(const struct subject *subject, enum size size, size_t n, size_t step) {
    double values[REPEATS_MAX], bare[REPEATS_MAX], ratios[REPEATS_MAX];
    const size_t units = scaled(n, step, size), repeats = repeats_of(size);
    for (size_t turn = 0; turn <= repeats; turn++) {
        const size_t at = turn > 0 ? turn - 1 : 0;
        int64_t ns = 0, bare_ns = 1;
        EIO_TRY(subject->fn(subject->arg, units, &ns));
        if (subject->bare != NULL)
            EIO_TRY(subject->bare(subject->bare_arg, units, &bare_ns));
        values[at] = (double)ns / (double)units;
        bare[at] = (double)bare_ns / (double)units;
        ratios[at] = (double)ns / (double)bare_ns;
    }
    const double value = median(values, repeats);
    printf("{\"row\": \"%s\", \"case\": \"%s\", \"value\": %.3f, \"unit\": \"ns\", \"n\": %zu, "
           "\"repeats\": %zu, \"min\": %.3f, \"max\": %.3f",
           subject->row, subject->label, value, units, repeats, values[0], values[repeats - 1]);
    if (subject->bare != NULL)
        printf(", \"bare\": %.3f, \"ratio\": %.3f", median(bare, repeats), median(ratios, repeats));
    printf("}\n");
    fflush(stdout);
    return NULL;
}

void measure_print(const char *row, const char *label, double value, const char *unit, size_t n) {
    printf("{\"row\": \"%s\", \"case\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"n\": %zu}\n",
           row, label, value, unit, n);
    fflush(stdout);
}
