// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_LOW_LEVEL_H
#define EIO_EPOLL_LOW_LEVEL_H

#include "backends/unix/low_level.h"

/** What the flows and sockets of backends/unix use. */
extern const struct eioi_io_ops eioi_epoll_io_ops;

#endif
