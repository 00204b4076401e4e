// SPDX-License-Identifier: ISC
// Timers: fibers that all sleep at once, with deadlines in no order, armed, and then cancelled or
// run off; per timer, for numbers from 1,000 on. The difference to fibers that wait for nothing
// (row memory) is the timer's. What is left of timer-fire without timers is row wake: as many
// fibers, which have waited as long, woken in no order, too. It grows with their number, since
// each one's stack is a page of its own, which has left the caches.

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eio/clock.h"
#include "eio/fiber.h"
#include "eio/promise.h"
#include "tools/bench/fibers/rows.h"

struct sleepers {
    eio_mono_clock *clock;
    size_t n;
    int64_t base;    // ns from now to the first deadline
    int64_t range;   // ns over which the deadlines are spread
    uint64_t random; // state of the generator
    bool pass;       // let all deadlines pass before going on
    int64_t armed;
};

static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static eio_err *sleeper(void *arg) {
    struct sleepers *self = arg;
    const int64_t offset = (int64_t)(next_random(&self->random) % (uint64_t)self->range);
    return eio_mono_clock_sleep_until(self->clock, self->base + offset);
}

static eio_err *go_to_sleep(void *arg, eio_switch *sw) {
    struct sleepers *self = arg;
    // Small stacks, so that as many as possible fit.
    const struct eio_fork_opts opts = {.stack_bytes = 16 * 1024};
    for (size_t i = 0; i < self->n; i++)
        EIO_TRY(eio_fiber_fork(sw, sleeper, self, &opts));
    if (self->pass)
        while (eio_mono_clock_now(self->clock) <= self->base + self->range)
            sched_yield();
    self->armed = measure_cpu_ns();
    return NULL;
}

static eio_err *go_to_sleep_and_fail(void *arg, eio_switch *sw) {
    EIO_TRY(go_to_sleep(arg, sw));
    return eio_err_const(&eio_err_exit);
}

/** Deadlines that nobody waits for. */
static eio_err *cancelled(const struct bench *bench, size_t n, double *arm, double *drop) {
    struct sleepers self = {.clock = bench->env->mono_clock,
                            .n = n,
                            .base = eio_mono_clock_now(bench->env->mono_clock) + 3600 * EIO_SECOND,
                            .range = 3600 * EIO_SECOND,
                            .random = 88172645463325252U};
    int64_t start = measure_cpu_ns();
    eio_err *err = eio_switch_run(go_to_sleep_and_fail, &self);
    int64_t end = measure_cpu_ns();
    if (!eio_err_catch(&err, &eio_err_exit))
        return err;
    *arm = (double)(self.armed - start) / (double)n;
    *drop = (double)(end - self.armed) / (double)n;
    return NULL;
}

/** How long to let `n` fibers lie before they are woken. */
static int64_t lying_ns(size_t n) {
    return (int64_t)n * 20 * EIO_MICROSECOND + 20 * EIO_MILLISECOND;
}

/** Deadlines that have all passed when the loop looks again: taking them in their order. */
static eio_err *fired(const struct bench *bench, size_t n, double *fire) {
    struct sleepers self = {.clock = bench->env->mono_clock,
                            .n = n,
                            .base = eio_mono_clock_now(bench->env->mono_clock) + lying_ns(n),
                            .range = EIO_MILLISECOND,
                            .random = 88172645463325252U,
                            .pass = true};
    EIO_TRY(eio_switch_run(go_to_sleep, &self));
    *fire = (double)(measure_cpu_ns() - self.armed) / (double)n;
    return NULL;
}

static void print(const struct bench *bench, const char *row, size_t n, double value) {
    char label[32];
    snprintf(label, sizeof label, "%zu", n);
    if (strcmp(bench->row, row) == 0)
        measure_print(row, label, value, "ns", n);
}

// Without timers

struct wakes {
    eio_mono_clock *clock;
    size_t n;
    size_t left;                      // fibers that haven't been woken
    eio_promise_resolver **resolvers; // in the order in which they are used
    int64_t start, end;
};

struct awaiter {
    struct wakes *all;
    eio_promise *promise;
};

static eio_err *await(void *arg) {
    const struct awaiter *self = arg;
    EIO_TRY(eio_promise_await(self->promise, NULL));
    if (--self->all->left == 0)
        self->all->end = measure_cpu_ns();
    return NULL;
}

static void shuffle(eio_promise_resolver **at, size_t n) {
    uint64_t random = 88172645463325252U;
    for (size_t i = n; i > 1; i--) {
        const size_t k = next_random(&random) % i;
        eio_promise_resolver *other = at[k];
        at[k] = at[i - 1];
        at[i - 1] = other;
    }
}

static eio_err *wait_and_wake(void *arg, eio_switch *sw) {
    struct wakes *self = arg;
    const struct eio_fork_opts opts = {.stack_bytes = 16 * 1024};
    for (size_t i = 0; i < self->n; i++) {
        struct awaiter awaiter = {.all = self};
        EIO_TRY(eio_promise_create(sw, &awaiter.promise, &self->resolvers[i]));
        EIO_TRY(eio_fiber_fork_copy(sw, await, &awaiter, sizeof awaiter, _Alignof(struct awaiter),
                                    &opts));
    }
    shuffle(self->resolvers, self->n);
    const int64_t end = eio_mono_clock_now(self->clock) + lying_ns(self->n);
    while (eio_mono_clock_now(self->clock) <= end)
        sched_yield();
    self->start = measure_cpu_ns();
    for (size_t i = 0; i < self->n; i++) {
        eio_promise_resolve(self->resolvers[i], NULL);
        if (i % 128 == 127) // as many as are woken by timers before some of them run
            EIO_TRY(eio_fiber_yield());
    }
    return NULL;
}

static eio_err *wakes(const struct bench *bench, size_t n, double *wake) {
    struct wakes self = {.clock = bench->env->mono_clock,
                         .n = n,
                         .left = n,
                         .resolvers = calloc(n, sizeof(eio_promise_resolver *))};
    if (self.resolvers == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eio_err *err = eio_switch_run(wait_and_wake, &self);
    *wake = (double)(self.end - self.start) / (double)n;
    free(self.resolvers);
    return err;
}

static const size_t counts[] = {1000, 10000, 100000, 1000000};

static size_t cases_of(const struct bench *bench) {
    return bench->size == SIZE_SHORTEST ? 1 : bench->size == SIZE_SHORT ? 3 : 4;
}

eio_err *row_wake(const struct bench *bench) {
    for (size_t i = 0; i < cases_of(bench); i++) {
        double wake = 0;
        EIO_TRY(wakes(bench, counts[i], &wake)); // the stacks' first use isn't measured
        EIO_TRY(wakes(bench, counts[i], &wake));
        print(bench, "wake", counts[i], wake);
    }
    return NULL;
}

eio_err *row_timer(const struct bench *bench) {
    for (size_t i = 0; i < cases_of(bench); i++) {
        const size_t n = counts[i];
        double arm, drop, fire;
        EIO_TRY(cancelled(bench, n, &arm, &drop)); // the stacks' first use isn't measured
        EIO_TRY(cancelled(bench, n, &arm, &drop));
        if (strcmp(bench->row, "timer-fire") == 0) {
            EIO_TRY(fired(bench, n, &fire));
            print(bench, "timer-fire", n, fire);
        }
        print(bench, "timer-arm", n, arm);
        print(bench, "timer-cancel", n, drop);
    }
    return NULL;
}
