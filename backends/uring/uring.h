// SPDX-License-Identifier: ISC
#ifndef EIO_URING_URING_H
#define EIO_URING_URING_H

// The io_uring backend, as the start-up code sees it: one instance a domain, made, used and
// destroyed by one thread.

#include "eio/err.h"
#include "eio/macros.h"
#include "fiber/sched.h"

EIO_BEGIN_DECLS

struct eioi_uring;

/**
 * What `eioi_sched_run` gets beside the instance; its `io_ops` are those of
 * backends/unix/low_level.h.
 */
extern const struct eioi_backend_ops eioi_uring_ops;

/**
 * An instance for the calling thread. Errors: Failure, its text saying what is missing and the
 * likely cause (then another backend may do); Out_of_memory.
 */
EIO_MUST_USE eio_err *eioi_uring_create(struct eioi_uring **out);
/** As `eioi_uring_create`, with a submission queue of `entries` (a power of two). */
EIO_MUST_USE eio_err *eioi_uring_create_sized(unsigned entries, struct eioi_uring **out);
/** Waits for what the kernel still does, and frees it; no loop uses it any more. NULL is fine. */
void eioi_uring_destroy(struct eioi_uring *self);

EIO_END_DECLS

#endif
