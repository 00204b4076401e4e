// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_STACK_H
#define EIO_FIBER_STACK_H

// Stacks for fibers: equal slots of large mappings (slabs), each with a guard page at its bottom
// and the fiber's own record at its top, pooled per domain, last in, first out.

#include <stdbool.h>
#include <stddef.h>

#include "eio/err.h"

enum {
    EIOI_STACK_MIN_SHIFT = 14, // 16 KiB
    EIOI_STACK_CLASSES = 17,   // up to 1 GiB
};

struct eioi_fiber;
struct eioi_sched;
struct eioi_slab;
struct eioi_stack_pool;

/**
 * A fiber record at the top of a stack of at least `bytes`. Errors: Out_of_memory, Stack_limit,
 * Invalid_argument.
 */
EIO_MUST_USE eio_err *eioi_stack_get(struct eioi_sched *s, size_t bytes, struct eioi_fiber **out);
/** Gives a stack back; it may be the one that the caller runs on, until it leaves it for good. */
void eioi_stack_put(struct eioi_sched *s, struct eioi_fiber *fiber);
/** Gives the pages of stacks that nobody needed since the last call back to the system. */
void eioi_stack_trim(struct eioi_sched *s);
/** Whether a later trim would have something to do. */
bool eioi_stack_has_idle(const struct eioi_sched *s);
/** Unmaps everything; no fiber is alive. */
void eioi_stack_destroy_all(struct eioi_sched *s);
/** Lowest and one past the highest usable byte of the stack of `fiber`. */
void eioi_stack_bounds(const struct eioi_fiber *fiber, char **out_low, char **out_high);
/**
 * Whether `addr` is in a guard of the calling thread's stacks; then `buf` gets a line that names
 * the fiber. Async-signal-safe.
 */
bool eioi_stack_describe_fault(const void *addr, char *buf, size_t len);

#endif
