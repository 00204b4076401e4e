// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_PASS_H
#define EIO_EPOLL_PASS_H

// Copying from one connection to another, as long as nothing comes in the way. See the theory at the
// head of pass.c.

#include "backends/unix/low_level.h"

/** `eioi_io_ops.pass`. */
EIO_MUST_USE eio_err *eioi_epoll_pass(void *backend, eio_fd *from, eio_fd *to,
                                      struct eioi_passed *passed);

#endif
