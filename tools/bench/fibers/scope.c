// SPDX-License-Identifier: ISC
// Scopes: an empty switch, `both` and `first` of two functions that return at once, a time-out that
// is set and dropped.

#include "eio/clock.h"
#include "eio/fiber.h"
#include "tools/bench/fibers/rows.h"

static eio_err *nothing(void *arg) {
    (void)arg;
    return NULL;
}

static eio_err *empty(void *arg, eio_switch *sw) {
    (void)arg;
    (void)sw;
    return NULL;
}

static eio_err *switches(void *arg, size_t n, int64_t *out_ns) {
    (void)arg;
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < n; i++)
        EIO_TRY(eio_switch_run(empty, NULL));
    *out_ns = measure_cpu_ns() - start;
    return NULL;
}

static eio_err *both(void *arg, size_t n, int64_t *out_ns) {
    (void)arg;
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < n; i++)
        EIO_TRY(eio_fiber_both(nothing, NULL, nothing, NULL));
    *out_ns = measure_cpu_ns() - start;
    return NULL;
}

static eio_err *first(void *arg, size_t n, int64_t *out_ns) {
    (void)arg;
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < n; i++)
        EIO_TRY(eio_fiber_first(nothing, NULL, nothing, NULL, NULL));
    *out_ns = measure_cpu_ns() - start;
    return NULL;
}

static eio_err *timeouts(void *arg, size_t n, int64_t *out_ns) {
    const eio_env *env = arg;
    eio_timeout timeout = eio_timeout_ns(env->mono_clock, 10 * EIO_SECOND);
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < n; i++)
        EIO_TRY(eio_timeout_run(timeout, nothing, NULL));
    *out_ns = measure_cpu_ns() - start;
    return NULL;
}

eio_err *row_switch_run(const struct bench *bench) {
    const struct subject subject = {.row = "switch-run", .label = "", .fn = switches};
    return measure(&subject, bench->size, 1000000, 1);
}

eio_err *row_both(const struct bench *bench) {
    const struct subject subject = {.row = "both", .label = "", .fn = both};
    return measure(&subject, bench->size, 500000, 1);
}

eio_err *row_first(const struct bench *bench) {
    const struct subject subject = {.row = "first", .label = "", .fn = first};
    return measure(&subject, bench->size, 500000, 1);
}

eio_err *row_timeout(const struct bench *bench) {
    const struct subject subject = {
        .row = "timeout", .label = "dropped", .fn = timeouts, .arg = (void *)(uintptr_t)bench->env};
    return measure(&subject, bench->size, 200000, 1);
}
