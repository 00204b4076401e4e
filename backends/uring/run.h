// SPDX-License-Identifier: ISC
#ifndef EIO_URING_RUN_H
#define EIO_URING_RUN_H

// An operation on a descriptor, run by the fiber that waits for it until it has a result.

#include "backends/unix/low_level.h"
#include "backends/uring/op.h"

/** The most that one operation moves: what the kernel takes at once, and the result can say. */
#define EIOI_IO_LEN_MAX 0x7ffff000U

/** In the fiber's frame. */
struct eioi_run {
    struct eioi_fiber_op op;
    struct eioi_inflight inflight;
    struct eioi_uring *uring;
    eio_fd *fd;
    const char *name;  // for errors
    short poll_events; // what to wait for where the descriptor is O_NONBLOCK
};

/** Without taking a share. */
void eioi_run_prepare(struct eioi_run *self, struct eioi_uring *uring, eio_fd *fd, const char *name,
                      enum eioi_fd_role role, eioi_inflight_close_fn *on_close);
/** Takes a share of `fd`. Errors: eio_err_closed. */
EIO_MUST_USE eio_err *eioi_run_begin(struct eioi_run *self, struct eioi_uring *uring, eio_fd *fd,
                                     const char *name, enum eioi_fd_role role,
                                     eioi_inflight_close_fn *on_close);
/** Gives it back; the descriptor may be gone after this. */
void eioi_run_end(struct eioi_run *self);
/** What `on_close` is where nothing but the operation is waited for. */
void eioi_run_closed(struct eioi_inflight *inflight);
/** Why there will be no result: the fiber is cancelled, the descriptor closed. NULL: no reason. */
EIO_MUST_USE eio_err *eioi_run_reason_to_stop(struct eioi_run *self);
/** Until there is a result, which `*out_res` is, or a reason for none. */
EIO_MUST_USE eio_err *eioi_run_op(struct eioi_run *self, const struct eioi_op_spec *spec,
                                  int32_t *out_res);

#endif
