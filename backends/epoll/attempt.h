// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_ATTEMPT_H
#define EIO_EPOLL_ATTEMPT_H

// One try of an operation, which doesn't block.

#include <stdint.h>
#include <sys/uio.h>

#include "backends/epoll/poll.h"
#include "backends/unix/low_level.h"

/** It would have blocked: no result yet. */
#define EIOI_WOULD_BLOCK INT32_MIN
/** As above, and no event will say when to try again (a Unix listener whose queue is full). */
#define EIOI_TRY_LATER (INT32_MIN + 1)

/**
 * Tries `io` once: the call's result or -errno, or one of the above. `*started`, false before the
 * first try, is what a connect remembers.
 */
int32_t eioi_epoll_attempt(struct eioi_epoll *self, struct eioi_polled *polled, struct eioi_io *io,
                           bool *started);

/**
 * One receive from a socket: how much, or -errno (EINTR, too), or EIOI_WOULD_BLOCK. One that shows
 * that nothing is left says so in `polled`.
 */
int32_t eioi_epoll_receive(struct eioi_polled *polled, int fd, const struct iovec *iov, int count);
/** One send to a socket; the same. */
int32_t eioi_epoll_send(struct eioi_polled *polled, int fd, const struct iovec *iov, int count);

#endif
