// SPDX-License-Identifier: ISC
#ifndef EIO_BENCH_FIBERS_ROWS_H
#define EIO_BENCH_FIBERS_ROWS_H

// The rows, and what is common to those that run in one domain or in several.

#include "eio/domain.h"
#include "eio/env.h"
#include "tools/bench/fibers/measure.h"

/** What every row gets. */
struct bench {
    const eio_env *env;
    enum size size;
    const char *row; // which one it is to print, of those that the function measures
};

typedef eio_err *row_fn(const struct bench *bench);

row_fn row_yield, row_switch;
row_fn row_fork_join, row_fork_batch, row_fork_value, row_fork_promise, row_fork_fresh;
row_fn row_switch_run, row_both, row_first, row_timeout;
row_fn row_cancel, row_take_first;
row_fn row_promise_read, row_promise, row_promise_domains;
row_fn row_stream, row_stream_domains;
row_fn row_mutex, row_mutex_domains;
row_fn row_semaphore, row_semaphore_domains;
row_fn row_condition, row_condition_domains;
row_fn row_timer, row_wake;
row_fn row_memory;
row_fn row_domain_start;

/** Where a party runs: NULL: in this domain; else in a new one. */
static inline eio_err *run_in_place(eio_domain_mgr *mgr, eio_call_fn *fn, void *arg) {
    return mgr == NULL ? fn(arg) : eio_domain_run(mgr, fn, arg);
}

/** CPU time of one thread says nothing where several work. */
static inline int64_t place_now(const eio_domain_mgr *mgr) {
    return mgr == NULL ? measure_cpu_ns() : measure_wall_ns();
}

/**
 * A daemon that keeps its domain from going to sleep: else what is measured is how long the system
 * takes to wake a thread.
 */
eio_err *place_spin(void *arg);

#endif
