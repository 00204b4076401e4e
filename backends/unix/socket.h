// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_SOCKET_H
#define EIO_UNIX_SOCKET_H

// Making and setting up raw sockets. Each function leaves the descriptor to its caller when it
// fails.

#include "backends/unix/rcfd.h"
#include "backends/unix/sockaddr.h"

/** socket(2), close-on-exec, and O_NONBLOCK where the backend wants that. */
EIO_MUST_USE eio_err *eioi_socket_new(int family, int type, int *out_fd);
/** setsockopt(2) of a boolean. */
EIO_MUST_USE eio_err *eioi_socket_set(int fd, int level, int name, bool on);
/**
 * bind(2), and what belongs to it when `addr` is a path: `fd` removes the file when it closes.
 * `mode` 0: by umask.
 */
EIO_MUST_USE eio_err *eioi_socket_bind(struct eio_fd *fd, const eio_sockaddr *addr, unsigned mode);

#endif
