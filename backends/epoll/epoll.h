// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_EPOLL_H
#define EIO_EPOLL_EPOLL_H

// The epoll backend, as the start-up code sees it: one instance a domain.

#include "eio/err.h"
#include "fiber/sched.h"

struct eioi_epoll;

/**
 * What `eioi_sched_run` gets beside the instance; its `io_ops` are those of
 * backends/unix/low_level.h.
 */
extern const struct eioi_backend_ops eioi_epoll_ops;

/** An instance for the calling thread. Errors: Io (no descriptor left, ...); Out_of_memory. */
EIO_MUST_USE eio_err *eioi_epoll_create(struct eioi_epoll **out);
/** Closes it; no loop uses it any more. NULL is fine. */
void eioi_epoll_destroy(struct eioi_epoll *self);

#endif
