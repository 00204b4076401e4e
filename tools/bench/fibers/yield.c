// SPDX-License-Identifier: ISC
// Switches: fibers that yield in turn, against the bare loop with the same stacks. Forks and ends
// of the fibers aren't counted.

#include <stdio.h>

#include "eio/fiber.h"
#include "tools/bench/fibers/bare.h"
#include "tools/bench/fibers/rows.h"

struct yields {
    size_t fibers;
    size_t each; // yields that each fiber makes
    size_t left; // fibers that haven't made theirs
    int64_t start, end;
};

static eio_err *yielding(void *arg) {
    struct yields *self = arg;
    EIO_TRY(eio_fiber_yield()); // until all have been forked
    for (size_t i = 0; i < self->each; i++)
        EIO_TRY(eio_fiber_yield());
    if (--self->left == 0)
        self->end = measure_cpu_ns();
    return NULL;
}

static eio_err *fork_yielding(void *arg, eio_switch *sw) {
    struct yields *self = arg;
    for (size_t i = 0; i < self->fibers; i++)
        EIO_TRY(eio_fiber_fork(sw, yielding, self, NULL));
    self->start = measure_cpu_ns();
    return NULL;
}

static eio_err *yields(void *arg, size_t n, int64_t *out_ns) {
    struct yields self = {.fibers = *(const size_t *)arg, .left = *(const size_t *)arg};
    self.each = n / self.fibers;
    EIO_TRY(eio_switch_run(fork_yielding, &self));
    *out_ns = self.end - self.start;
    return NULL;
}

// Two fibers that yield at different places, so that no return goes where the last one went.

static __attribute__((noinline)) eio_err *other_place(struct yields *self) {
    for (size_t i = 0; i < self->each; i++)
        EIO_TRY(eio_fiber_yield());
    return NULL;
}

static eio_err *yielding_elsewhere(void *arg) {
    struct yields *self = arg;
    EIO_TRY(eio_fiber_yield());
    return other_place(self);
}

static eio_err *fork_different(void *arg, eio_switch *sw) {
    struct yields *self = arg;
    EIO_TRY(eio_fiber_fork(sw, yielding_elsewhere, self, NULL));
    EIO_TRY(eio_fiber_fork(sw, yielding, self, NULL));
    self->start = measure_cpu_ns();
    return NULL;
}

static eio_err *different_yields(void *arg, size_t n, int64_t *out_ns) {
    struct yields self = {.each = n / 2, .left = 1};
    (void)arg;
    EIO_TRY(eio_switch_run(fork_different, &self));
    *out_ns = self.end - self.start;
    return NULL;
}

eio_err *row_switch(const struct bench *bench) {
    const struct subject subject = {
        .row = "switch", .label = "", .fn = different_yields, .bare = bare_switch};
    return measure(&subject, bench->size, 2000000, 2);
}

static eio_err *yield_case(const struct bench *bench, size_t fibers) {
    struct bare_yield bare = {.fibers = fibers, .stack_bytes = 64 * 1024};
    char label[32];
    snprintf(label, sizeof label, "%zu", fibers);
    const struct subject subject = {.row = "yield",
                                    .label = label,
                                    .fn = yields,
                                    .arg = &fibers,
                                    .bare = bare_yield,
                                    .bare_arg = &bare};
    eio_err *err = measure(&subject, bench->size, 1000000, fibers);
    bare_yield_free(&bare);
    return err;
}

eio_err *row_yield(const struct bench *bench) {
    static const size_t fibers[] = {1, 2, 10, 100, 500, 1000, 10000, 100000};
    const size_t most = bench->size == SIZE_SHORTEST ? 1000 : 100000;
    for (size_t i = 0; i < sizeof fibers / sizeof fibers[0] && fibers[i] <= most; i++)
        EIO_TRY(yield_case(bench, fibers[i]));
    return NULL;
}
