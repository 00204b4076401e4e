// SPDX-License-Identifier: ISC
#ifndef EIO_BENCH_FIBERS_BARE_H
#define EIO_BENCH_FIBERS_BARE_H

// The limit: fibers by hand, with nothing that isn't needed to switch. No scopes, no cancellation,
// no guards, no error values, no poll; one global run queue, everything inlined into the fiber's
// own loop.

#include <stddef.h>
#include <stdint.h>

#include "eio/err.h"

/** Fibers that yield in turn. Make it once: fresh stacks are slow. */
struct bare_yield {
    size_t fibers;
    size_t stack_bytes;
    char *slab; // NULL: not made yet
};
/** A `measure_fn`: `n` yields in all, by `struct bare_yield`. */
eio_err *bare_yield(void *arg, size_t n, int64_t *out_ns);
/** A `measure_fn` without argument: two contexts that switch to each other. */
eio_err *bare_switch(void *arg, size_t n, int64_t *out_ns);
/** A `measure_fn` without argument: starts a fiber on a pooled stack, which ends at once. */
eio_err *bare_spawn(void *arg, size_t n, int64_t *out_ns);
/** Unmaps the stacks. */
void bare_yield_free(struct bare_yield *self);

#endif
