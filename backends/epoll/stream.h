// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_STREAM_H
#define EIO_EPOLL_STREAM_H

// The ordinary case of a connection's reads, writes and copies. See the theory at the head of
// stream.c.

#include "backends/epoll/lend.h"
#include "backends/epoll/poll.h"
#include "backends/unix/low_level.h"

/** `eioi_io_ops.recv`. */
EIO_MUST_USE eio_err *eioi_stream_recv(void *backend, eio_fd *fd, eio_buf buf, size_t *out_got);
/** `eioi_io_ops.lend`. */
EIO_MUST_USE eio_err *eioi_stream_lend(void *backend, eio_fd *fd, eio_slice *out);
/** `eioi_io_ops.send`. */
EIO_MUST_USE eio_err *eioi_stream_send(void *backend, eio_fd *fd, eio_slice bytes,
                                       size_t *out_wrote);
/** `eioi_io_ops.pass`. */
EIO_MUST_USE eio_err *eioi_stream_pass(void *backend, eio_fd *from, eio_fd *to,
                                       struct eioi_passed *passed);
/** An event has come for what `polled->copy` reads, descriptor `fd`. */
void eioi_stream_go_round(struct eioi_epoll *loop, struct eioi_polled *polled, int fd);

#endif
