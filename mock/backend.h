// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_BACKEND_H
#define EIO_MOCK_BACKEND_H

/*
 * A loop without a world outside: no descriptors, virtual time, one thread, the same order every
 * time. Tests run in it.
 *
 *     static eio_err *test(void *arg, const eio_env *env) {
 *         return eio_mono_clock_sleep(env->mono_clock, 3600 * EIO_SECOND); // takes no time
 *     }
 *     eio_err *err = eio_mock_run_full(test, NULL);  // +mock time is now 3600
 *
 * When no fiber is ready the clock goes on to the earliest sleeper and prints a line, `mock time is
 * now SECONDS`. When nobody sleeps either, the run ends with Deadlock_detected.
 *
 * Where several fibers are ready the order is fixed, and a program may come to depend on it without
 * knowing. With `shuffle_seed` the order is drawn anew before each step; a test that runs its
 * program with many seeds sees many schedules, and a seed that fails gives the same one again:
 *
 *     for (uint64_t seed = 1; seed <= 1000; seed++)
 *         EIO_TRY(eio_mock_run_opts(&(struct eio_mock_opts){.shuffle_seed = seed}, test, NULL));
 *
 * Mocks (flows, networks, clocks, ...) that are made in a run belong to it, and are freed when it
 * has ended. What is made outside of one belongs to the caller, who destroys it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/env.h"
#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/** A test that needs nothing of the environment. */
typedef eio_err *eio_mock_fn(void *arg);
/** A test, or a program under test: the same signature as that of `eio_main`. */
typedef eio_err *eio_mock_main_fn(void *arg, const eio_env *env);

/** How to run. NULL, or all zero: defaults. */
struct eio_mock_opts {
    uint64_t seed; /**< of `env->random`; the same seed gives the same bytes */
    bool strict;   /**< when `fn` has succeeded: a scripted action that wasn't used is a Failure */
    size_t stack_bytes; /**< default stack of a fiber; 0: the scheduler's */
    bool other_threads; /**< threads that the test has started may wake its fibers: when nothing is
                             left to do it waits for them, and there are no deadlocks */
    uint64_t shuffle_seed; /**< not 0: which of the ready fibers goes on is drawn from this, each
                                time (a forked fiber still runs first); 0: in order */
};

/**
 * Runs `fn(arg)` in the main fiber of a mock loop, and returns its error when every fiber has
 * ended.
 *
 * Suspends:  never: it returns when everything in the loop has ended. To be called by a thread, not
 *            by a fiber (asserted).
 * Errors:    those of `fn`; Deadlock_detected when every fiber waits and nothing is left that could
 *            wake one (where, is on stderr); Out_of_memory.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_run(eio_mock_fn *fn, void *arg);
/**
 * As `eio_mock_run`, with a whole environment: `net` is a mock network labelled `mock-net`, the
 * clocks show the run's virtual time (starting at 0), the standard streams are mock flows `stdin`,
 * `stdout`, `stderr`, `domain_mgr` makes fake domains, `random` always gives the same bytes,
 * `backend_name` is "mock".
 *
 * Suspends:  never, as `eio_mock_run`.
 * Errors:    as `eio_mock_run`.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_run_full(eio_mock_main_fn *fn, void *arg);
/**
 * As `eio_mock_run_full`, with options.
 *
 * Suspends:  never, as `eio_mock_run`.
 * Errors:    as `eio_mock_run`; Failure `not all scripted actions were used: ...` (`opts->strict`).
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_run_opts(const struct eio_mock_opts *opts,
                                                eio_mock_main_fn *fn, void *arg);
/**
 * NULL when every action that was scripted for the mocks of the running mock loop has been used;
 * else a Failure that names each mock, its handler, and how many are left.
 *
 * Suspends:  never.
 * Errors:    Failure `not all scripted actions were used: LABEL: on_read: 2 left; ...`;
 *            Out_of_memory.
 * Domain:    to be called by a fiber of a mock loop (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_check_used(void);

EIO_END_DECLS

#endif
