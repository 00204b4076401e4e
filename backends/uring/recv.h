// SPDX-License-Identifier: ISC
#ifndef EIO_URING_RECV_H
#define EIO_URING_RECV_H

// Reading from connections. See the theory at the head of recv.c.

#include "backends/unix/low_level.h"

struct eioi_op;
struct eioi_uring;

/** `eioi_io_ops.recv`. */
EIO_MUST_USE eio_err *eioi_recv(void *backend, eio_fd *fd, eio_buf buf, size_t *out_got);
/** `eioi_io_ops.lend`. */
EIO_MUST_USE eio_err *eioi_recv_lend(void *backend, eio_fd *fd, eio_slice *out);
/** `eioi_io_ops.release`. */
void eioi_recv_release(void *backend, eio_fd *fd, size_t used);
/** `eioi_io_ops.pass`. */
EIO_MUST_USE eio_err *eioi_recv_pass(void *backend, eio_fd *from, eio_fd *to,
                                     struct eioi_passed *passed);
/** Where to say which write a close is to end. NULL: the descriptor has no engine. */
struct eioi_op **eioi_recv_writer(const eio_fd *fd);

#endif
