// SPDX-License-Identifier: ISC
#ifndef EIO_MAIN_H
#define EIO_MAIN_H

/*
 * Starting a loop: picks io_uring, or epoll where that can't be had (one line on stderr says why),
 * and runs a function in its main fiber. `EIO_BACKEND=uring` or `=epoll` in the environment forces
 * one.
 *
 *     static eio_err *app(void *arg, const eio_env *env) { ... }
 *     int main(void) { return eio_main(app, NULL); }
 */

#include <stddef.h>
#include <stdint.h>

#include "eio/env.h"
#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/** A program, or a part of one. */
typedef eio_err *eio_main_fn(void *arg, const eio_env *env);

/**
 * Runs `fn(arg, env)`; prints its error to stderr as `Exception: ...`. Installs the handler that
 * names a fiber whose stack overflowed (over SIG_DFL only). Returns 0, 1 when `fn` failed, 2 when
 * no backend could be started.
 *
 * Suspends:  never: it blocks the thread until everything in the loop has ended.
 * Domain:    to be called by a thread, not by a fiber (asserted).
 */
EIO_API int eio_main(eio_main_fn *fn, void *arg);

/** How to run a loop. NULL, or all zero: defaults. */
struct eio_run_opts {
    const char *backend; /**< "uring", "epoll"; NULL: $EIO_BACKEND, else the best that works */
    size_t stack_bytes;  /**< default stack of a fiber; 0: 64 KiB */
    /**
     * How long a domain with nothing to do looks for events before it sleeps; 0: not at all. For
     * programs that wait for few peers and want each answer a few microseconds earlier: it takes
     * the processor to itself meanwhile. At most a second; negative: 0.
     */
    int64_t spin_ns;
    /**
     * How much of each stack is its guard, at most half of it; rounded up to pages of 4 KiB; 0: 4
     * KiB. A function that is compiled without `-fstack-clash-protection` and has more locals than
     * that may overflow beyond the guard unnoticed. A larger guard costs address space, no memory.
     */
    size_t guard_bytes;
};
/**
 * Runs `fn(arg, env)` and returns its error; prints nothing but the fall-back line, touches no
 * signal. Again after returning, and from several threads (a domain each); not from a fiber
 * (asserted).
 *
 * Suspends:  never: it blocks the thread until everything in the loop has ended.
 * Errors:    those of `fn`; Failure when the backend asked for is unknown or can't be started;
 *            Out_of_memory.
 */
EIO_API EIO_MUST_USE eio_err *eio_run(const struct eio_run_opts *opts, eio_main_fn *fn, void *arg);
/**
 * Installs the handler that `eio_main` installs. For programs that embed the library. Suspends:
 * never.
 */
EIO_API void eio_install_overflow_handler(void);

EIO_END_DECLS

#endif
