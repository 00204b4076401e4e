// SPDX-License-Identifier: ISC
// Forks: one fiber at a time and a thousand at once, from the pool; with an argument by value; and
// the first use of a stack.

#include "eio/fiber.h"
#include "tools/bench/fibers/bare.h"
#include "tools/bench/fibers/rows.h"

enum { BATCH = 1000 };

/** How many forks, in a switch that is open already. */
struct forks {
    size_t n;
    int64_t ns;
};

static eio_err *nothing(void *arg) {
    (void)arg;
    return NULL;
}

static eio_err *yield_once(void *arg) {
    (void)arg;
    return eio_fiber_yield();
}

static eio_err *fork_each(void *arg, eio_switch *sw) {
    struct forks *self = arg;
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < self->n; i++)
        EIO_TRY(eio_fiber_fork(sw, nothing, NULL, NULL));
    self->ns = measure_cpu_ns() - start;
    return NULL;
}

/** A child that ends in its first turn has been joined when the fork returns. */
static eio_err *one_at_a_time(void *arg, size_t n, int64_t *out_ns) {
    struct forks self = {.n = n};
    (void)arg;
    EIO_TRY(eio_switch_run(fork_each, &self));
    *out_ns = self.ns;
    return NULL;
}

struct value {
    uint64_t words[8];
};

static eio_err *use_value(void *arg) {
    const struct value *self = arg;
    return self->words[0] != 1 ? eio_err_failure("not the value that was given") : NULL;
}

static eio_err *fork_values(void *arg, eio_switch *sw) {
    struct forks *self = arg;
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < self->n; i++)
        EIO_TRY(EIO_FORK(sw, use_value, (struct value){.words = {1, i}}));
    self->ns = measure_cpu_ns() - start;
    return NULL;
}

static eio_err *with_value(void *arg, size_t n, int64_t *out_ns) {
    struct forks self = {.n = n};
    (void)arg;
    EIO_TRY(eio_switch_run(fork_values, &self));
    *out_ns = self.ns;
    return NULL;
}

/** A promise's fiber and its join; each makes a promise in the switch's hands. */
static eio_err *fork_promises(void *arg, eio_switch *sw) {
    struct forks *self = arg;
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < self->n; i++) {
        eio_promise *promise;
        EIO_TRY(eio_fiber_fork_promise(sw, nothing, NULL, NULL, &promise));
        EIO_TRY(eio_promise_await(promise, NULL));
    }
    self->ns = measure_cpu_ns() - start;
    return NULL;
}

static eio_err *with_promise(void *arg, size_t n, int64_t *out_ns) {
    struct forks self = {.n = n};
    (void)arg;
    EIO_TRY(eio_switch_run(fork_promises, &self));
    *out_ns = self.ns;
    return NULL;
}

static eio_err *fork_batch(void *arg, eio_switch *sw) {
    eio_fiber_fn *fn = *(eio_fiber_fn **)arg;
    for (size_t i = 0; i < BATCH; i++)
        EIO_TRY(eio_fiber_fork(sw, fn, NULL, NULL));
    return NULL;
}

/** A scope of a thousand fibers, which are all alive at once, again and again. */
static eio_err *batches(void *arg, size_t n, int64_t *out_ns) {
    eio_fiber_fn *fn = yield_once;
    (void)arg;
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < n; i += BATCH)
        EIO_TRY(eio_switch_run(fork_batch, &fn));
    *out_ns = measure_cpu_ns() - start;
    return NULL;
}

/** Stacks of a size that nothing has used so far in this loop. */
static eio_err *fork_fresh(void *arg, eio_switch *sw) {
    struct forks *self = arg;
    const struct eio_fork_opts opts = {.stack_bytes = 32 * 1024};
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < self->n; i++)
        EIO_TRY(eio_fiber_fork(sw, yield_once, NULL, &opts));
    self->ns = measure_cpu_ns() - start;
    return NULL;
}

eio_err *row_fork_join(const struct bench *bench) {
    const struct subject subject = {
        .row = "fork-join", .label = "", .fn = one_at_a_time, .bare = bare_spawn};
    return measure(&subject, bench->size, 1000000, 1);
}

eio_err *row_fork_batch(const struct bench *bench) {
    const struct subject subject = {.row = "fork-batch", .label = "1000", .fn = batches};
    return measure(&subject, bench->size, 500000, BATCH);
}

eio_err *row_fork_value(const struct bench *bench) {
    const struct subject subject = {.row = "fork-value", .label = "64 B", .fn = with_value};
    return measure(&subject, bench->size, 1000000, 1);
}

eio_err *row_fork_promise(const struct bench *bench) {
    const struct subject subject = {.row = "fork-promise", .label = "", .fn = with_promise};
    return measure(&subject, bench->size, 50000, 1);
}

eio_err *row_fork_fresh(const struct bench *bench) {
    struct forks fresh = {.n = bench->size == SIZE_SHORTEST ? 500 : 50000};
    EIO_TRY(eio_switch_run(fork_fresh, &fresh));
    measure_print("fork-fresh", "", (double)fresh.ns / (double)fresh.n, "ns", fresh.n);
    return NULL;
}
