// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_STREAM_H
#define EIO_EPOLL_STREAM_H

// The ordinary case of a connection's reads, writes and copies. See the theory at the head of
// stream.c.

#include "backends/epoll/lend.h"
#include "backends/epoll/poll.h"
#include "backends/unix/low_level.h"

/** Whether `io` may be one for here: it reads from or writes to a connection, one piece of memory. */
static inline bool eioi_stream_has(const struct eioi_io *io) {
    const unsigned connection = EIOI_FD_SOCKET | EIOI_FD_STREAM;
    return (io->fd->flags & connection) == connection && io->rw.iov_count == 1;
}
/**
 * Performs a read, `io`, into its own memory, or (`loan` not NULL) into a buffer of the loop that is
 * lent then. The caller has looked whether the fiber is cancelled. False: it isn't for here, and
 * remains to be done; else `*out_res` is the result, or `*out_err` says why there is none.
 */
bool eioi_stream_read(struct eioi_epoll *loop, const struct eioi_io *io, struct eioi_loan *loan,
                      int32_t *out_res, eio_err **out_err);
/** A write; the same, but it is never an error. */
bool eioi_stream_write(struct eioi_epoll *loop, const struct eioi_io *io, int32_t *out_res);
/** `eioi_io_ops.pass`. */
EIO_MUST_USE eio_err *eioi_stream_pass(void *backend, eio_fd *from, eio_fd *to,
                                       struct eioi_passed *passed);
/** An event has come for what `polled->copy` reads, descriptor `fd`. */
void eioi_stream_go_round(struct eioi_epoll *loop, struct eioi_polled *polled, int fd);

#endif
