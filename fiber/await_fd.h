// SPDX-License-Identifier: ISC
#ifndef EIO_AWAIT_FD_H
#define EIO_AWAIT_FD_H

/*
 * Waiting for descriptors that belong to somebody else: other libraries' sockets, pipes, event
 * descriptors.
 *
 *     EIO_TRY(eio_await_readable(PQsocket(conn)));
 *     PQconsumeInput(conn);
 */

#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/**
 * Waits until `fd` can be read (poll(2): POLLIN, or an error or hang-up). Several fibers may wait
 * for one descriptor.
 *
 * Suspends:  until ready.
 * Errors:    Cancelled; Io (EBADF; EPERM where the file can't be polled); Not_available on a
 *            backend without descriptors.
 * Owner:     `fd` is borrowed, and must stay open until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_await_readable(int fd);
/**
 * Waits until `fd` can be written (poll(2): POLLOUT, or an error or hang-up).
 *
 * Suspends:  until ready.
 * Errors:    as `eio_await_readable`.
 * Owner:     `fd` is borrowed, and must stay open until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_await_writable(int fd);

EIO_END_DECLS

#endif
