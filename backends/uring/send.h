// SPDX-License-Identifier: ISC
#ifndef EIO_URING_SEND_H
#define EIO_URING_SEND_H

// Writing to connections. See the theory at the head of send.c.

#include <liburing.h>
#include <sys/socket.h>

#include "backends/unix/low_level.h"

/**
 * Of every send on a stream. WAITALL: the kernel itself goes on after a short send, where it would
 * otherwise take another turn of the loop.
 */
enum { EIOI_SEND_FLAGS = MSG_NOSIGNAL | MSG_WAITALL };

/** Fills in the submission entry of a send of `bytes`, all of them if nothing comes in between. */
void eioi_send_prepare(struct io_uring_sqe *sqe, const eio_fd *fd, eio_slice bytes);
/** `eioi_io_ops.send`. */
EIO_MUST_USE eio_err *eioi_send(void *backend, eio_fd *fd, eio_slice bytes, size_t *out_wrote);

#endif
