// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_LOW_LEVEL_H
#define EIO_EPOLL_LOW_LEVEL_H

#include "backends/epoll/lend.h"
#include "backends/epoll/poll.h"
#include "backends/unix/low_level.h"

/** What the flows and sockets of backends/unix use. */
extern const struct eioi_io_ops eioi_epoll_io_ops;
/**
 * `eioi_io_ops.perform`, for a fiber that isn't cancelled; a read, where `loan` isn't NULL, into a
 * buffer of the loop, which is lent then.
 */
EIO_MUST_USE eio_err *eioi_epoll_perform(struct eioi_epoll *loop, struct eioi_io *io,
                                         struct eioi_loan *loan, int32_t *out_res);

#endif
